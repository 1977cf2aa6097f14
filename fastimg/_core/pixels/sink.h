/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The seam of the core. A decoder makes rows, and a sink takes them into the caller's array:
 *
 *   sink->begin(sink, &format);
 *   do sink->rows(sink, planes, groups); while (!sink->done(sink));
 *
 * A sink does not know who makes the rows: libjpeg-turbo, the core's own stages, or an image that is in memory already.
 * Two exist: copy (copy_sink.h) and resample (resample_sink.h). Both end in a writer (writer.h). A third hands rows on to
 * several others (fan_sink.h).
 */
#ifndef FI_SINK_H
#define FI_SINK_H

#include "buffer.h"
#include "fi.h"

/* What rows hold: planes, or interleaved pixels in plane 0. */
typedef enum fi_rows_kind {
    FI_ROWS_GREY,        /* one plane */
    FI_ROWS_YCC,         /* planes of Y, Cb and Cr, as JFIF has them */
    FI_ROWS_RGB,         /* planes of R, G and B */
    FI_ROWS_RGB_PIXELS,  /* 3 bytes per pixel */
    FI_ROWS_CMYK_PIXELS, /* 4 bytes per pixel, inverted, as Adobe has them */
    FI_ROWS_OUTPUT,      /* bytes of the output array, written there by the decoder itself */
} fi_rows_kind;

/* Whether a row is one of interleaved pixels, in plane 0. */
static inline bool fi_rows_are_pixels(fi_rows_kind kind) {
    return kind == FI_ROWS_RGB_PIXELS || kind == FI_ROWS_CMYK_PIXELS;
}

/*
 * One plane of the rows. Interleaved pixels, and all planes that a copy sink takes, have one sample per pixel and come
 * one row per group. But Cb and Cr may have one per 2 x 1 or 2 x 2 pixels: then a copy sink takes the row that is nearest
 * to the next row of pixels, each time, and reads the samples before and after it, which repeat those at its edges.
 */
typedef struct fi_plane_format {
    size_t stride;           /* bytes from row to row */
    uint32_t rows_per_group; /* that come at once */
    uint32_t h_samp, v_samp; /* T.81's sampling factors: samples per fi_format.max_h_samp, max_v_samp pixels */
    uint32_t scaled_size;    /* samples left of every 8 after the inverse DCT: 8, 4, 2 or 1 */
    bool is_q6; /* samples are int16_t in Q6, which may leave the range of pixels, and not bytes */
} fi_plane_format;

typedef struct fi_format {
    fi_rows_kind kind;
    uint32_t height, width; /* of the whole image, at full size */
    uint32_t max_h_samp, max_v_samp;
    uint32_t scale_denom; /* the image was reduced by this: 1, 2, 4 or 8 */
    /* Whether a plane's last sample counts if it stands for fewer pixels than the others: its padding was kept out. */
    bool has_partial_samples;
    fi_plane_format planes[3];
} fi_format;

typedef struct fi_sink fi_sink;
struct fi_sink {
    /* Whether the sink takes such rows for its output. Asked before begin(). */
    bool (*takes)(const fi_sink *sink, fi_rows_kind kind);

    /* Before the first row, and again if the decoder starts over. Copies the format. Returns false if out of memory. */
    bool (*begin)(fi_sink *sink, const fi_format *format);

    /* Whether any of plane p's next group of rows will be looked at. If not, they may hold anything. */
    bool (*needs)(const fi_sink *sink, unsigned p);

    /* With FI_ROWS_OUTPUT: where the decoder writes the image's row y; NULL if that row is not needed. */
    uint8_t *(*dest)(const fi_sink *sink, uint32_t y);

    /*
     * The next groups of rows, from the image's first row on, a pointer for each plane. (One group, if a copy sink takes Cb
     * and Cr per 2 x 2 pixels, and two more pointers, to the rows of both that are next nearest.) Up to FI_ROW_SLACK bytes
     * after each row are read as well. Rows below the image's last one may come along, and may hold anything.
     */
    void (*rows)(fi_sink *sink, const uint8_t *const planes[], uint32_t groups);

    /* Whether all rows that the output needs have come. */
    bool (*done)(const fi_sink *sink);

    /*
     * NULL: the rows must come in order. Else returns a copy of a sink that has begun, in `memory`, for another thread to
     * give it rows from row y of the image on; or NULL if out of memory. begin() decides.
     */
    fi_sink *(*fork)(const fi_sink *sink, uint32_t y, fi_buffer *memory);
};

#define FI_ROW_SLACK 16 /* bytes that must be readable after a row, for the resampling kernels */

#endif
