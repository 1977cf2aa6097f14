/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sink of the resized route. Each plane is resampled from its own resolution, so neither a full-size image nor
 * upsampled chroma ever exists: rows are resampled horizontally as they come, into a ring that holds as many as the
 * vertical filter needs, and a result row is made, converted and written as soon as its last row has come.
 */
#ifndef FI_RESAMPLE_SINK_H
#define FI_RESAMPLE_SINK_H

#include "buffer.h"
#include "pixels/coefs.h"
#include "pixels/sink.h"
#include "pixels/writer.h"

/* One plane's coefficients, and the ring of its horizontally resampled rows. */
typedef struct fi_plane_state {
    const fi_coefs *x, *y;
    int16_t *ring;
    uint32_t ring_rows;
    uint32_t rows_per_group;
    uint32_t begin, end; /* rows that any result needs: begin to end - 1 */
    uint32_t next;       /* the next row to come */
    bool is_q6;
} fi_plane_state;

typedef struct fi_resample_sink {
    fi_sink base;
    const fi_plan *plan;
    const fi_options *options;
    const fi_output *out;
    fi_coef_cache *cache;
    fi_buffer *memory;
    const fi_resample_kernels *kernels;
    fi_format format;
    fi_plane_state planes[3];
    unsigned count; /* of planes: 1 or 3 */
    uint32_t row;   /* of the result: the next one */
    uint32_t max_taps;
    fi_writer writer;
    /* Scratch. */
    const int16_t **taps; /* the ring rows of one result */
    int16_t *q6[3];       /* one result row per plane */
    uint8_t *split[3];    /* rows of interleaved pixels, as planes */
    uint8_t *pixels;      /* one row of RGB pixels */
} fi_resample_sink;

/* All that is passed in is borrowed, and must outlive the sink. */
void fi_resample_sink_init(fi_resample_sink *sink, const fi_plan *plan, const fi_options *options, const fi_output *out,
                           fi_coef_cache *cache, fi_buffer *memory);

#endif
