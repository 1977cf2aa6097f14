/* SPDX-License-Identifier: BSD-3-Clause */
/* The exact route: libjpeg's own pixels, a strip at a time. */
#include "jpeg/decompressor.h"
#include "jpeg/hooks.h"
#include "jpeg/state.h"
#include "jpeg/warnings.h"

/* Approximate bytes of a strip: what stays in the first-level cache beside libjpeg's own rows. */
#define STRIP_NBYTES 12288
#define MAX_STRIP_ROWS 16

/*
 * libjpeg-turbo's SIMD versions write rows that begin at a multiple of this past the cache, from where they would
 * have to be read back at once. So a strip's rows begin halfway between two multiples.
 */
#define STREAMED_ALIGNMENT 32

/* What libjpeg delivers: pixels of the output itself if it can, else the rows that take the least work. */
static fi_rows_kind choose_kind(const fi_decompressor *jpeg, const fi_request *request) {
    const struct jpeg_decompress_struct *cinfo = &jpeg->cinfo;
    const fi_sink *sink = request->sink;

    if (fi_is_four_channel(cinfo)) return FI_ROWS_CMYK_PIXELS;
    if (request->plan->width == cinfo->image_width && sink->takes(sink, FI_ROWS_OUTPUT)) return FI_ROWS_OUTPUT;
    if (cinfo->jpeg_color_space == JCS_GRAYSCALE) return FI_ROWS_GREY;
    if (cinfo->jpeg_color_space == JCS_RGB) return FI_ROWS_RGB_PIXELS;
    if (!sink->takes(sink, FI_ROWS_YCC)) return FI_ROWS_GREY;
    return jpeg->use_libjpeg_entropy ? FI_ROWS_RGB_PIXELS : FI_ROWS_YCC;
}

static void choose(fi_decompressor *jpeg, const fi_request *request) {
    static const J_COLOR_SPACE output_spaces[] = {
        [FI_MODE_RGB] = JCS_EXT_RGB, [FI_MODE_BGR] = JCS_EXT_BGR, [FI_MODE_L] = JCS_GRAYSCALE};
    static const J_COLOR_SPACE spaces[] = {
        [FI_ROWS_GREY] = JCS_GRAYSCALE,
        [FI_ROWS_YCC] = JCS_EXT_RGB, /* its conversion is replaced */
        [FI_ROWS_RGB_PIXELS] = JCS_EXT_RGB,
        [FI_ROWS_CMYK_PIXELS] = JCS_CMYK,
    };

    jpeg->rows_kind = choose_kind(jpeg, request);
    jpeg->cinfo.out_color_space =
        jpeg->rows_kind == FI_ROWS_OUTPUT ? output_spaces[request->options->mode] : spaces[jpeg->rows_kind];
}

/* libjpeg writes to the output itself, and above the window to a strip. */
static void read_into_output(j_decompress_ptr cinfo, fi_sink *sink, uint8_t *strip) {
    JSAMPROW rows[MAX_STRIP_ROWS];

    while (!sink->done(sink)) {
        JDIMENSION n = 0, y = cinfo->output_scanline;
        while (n < MAX_STRIP_ROWS && (rows[n] = sink->dest(sink, y + n))) n++;
        if (n == 0) rows[n++] = strip;
        sink->rows(sink, NULL, jpeg_read_scanlines(cinfo, rows, n));
    }
}

static void read_strips(j_decompress_ptr cinfo, fi_sink *sink, uint8_t *strip, size_t stride, uint32_t strip_rows,
                        uint32_t end) {
    const uint8_t *const planes[3] = {strip, NULL, NULL};

    while (!sink->done(sink)) {
        const uint32_t left = end - cinfo->output_scanline, rows = left < strip_rows ? left : strip_rows;
        for (uint32_t got = 0; got < rows;) {
            JSAMPROW pointers[4];
            const uint32_t n = rows - got < 4 ? rows - got : 4; /* libjpeg gives a row group at most, 4 rows */
            for (uint32_t i = 0; i < n; i++) pointers[i] = strip + (got + i) * stride;
            got += jpeg_read_scanlines(cinfo, pointers, n);
        }
        sink->rows(sink, planes, rows);
    }
}

/* The hook takes the rows: libjpeg writes nothing to the pointers that it is given. */
static void read_ycc(fi_decompressor *jpeg, uint8_t *strip, uint32_t end) {
    JSAMPROW rows[MAX_STRIP_ROWS];

    fi_hooks_take_ycc(jpeg);
    for (size_t i = 0; i < MAX_STRIP_ROWS; i++) rows[i] = strip;
    while (!jpeg->sink->done(jpeg->sink)) {
        const uint32_t left = end - jpeg->cinfo.output_scanline;
        jpeg_read_scanlines(&jpeg->cinfo, rows, left < MAX_STRIP_ROWS ? left : MAX_STRIP_ROWS);
    }
}

static void read_rows(fi_decompressor *jpeg, const fi_request *request) {
    const j_decompress_ptr cinfo = &jpeg->cinfo;
    const size_t row_nbytes = (size_t)cinfo->output_width * (size_t)cinfo->output_components;
    const size_t stride = (row_nbytes + STREAMED_ALIGNMENT - 1) / STREAMED_ALIGNMENT * STREAMED_ALIGNMENT;
    const fi_format format = {.kind = jpeg->rows_kind, .planes[0].stride = stride};
    const uint32_t end = request->plan->top + request->plan->height;
    uint32_t rows = (uint32_t)(STRIP_NBYTES / row_nbytes);

    if (rows < 1) rows = 1;
    if (rows > MAX_STRIP_ROWS) rows = MAX_STRIP_ROWS;
    if (!fi_buffer_reserve(request->rows, stride * rows + STREAMED_ALIGNMENT, 0) ||
        !jpeg->sink->begin(jpeg->sink, &format)) {
        fi_fail(jpeg, FI_E_NOMEM);
    }
    uint8_t *strip = request->rows->data;
    strip += (STREAMED_ALIGNMENT / 2 - (uintptr_t)strip) % STREAMED_ALIGNMENT;
    if (format.kind == FI_ROWS_OUTPUT) read_into_output(cinfo, jpeg->sink, strip);
    else if (format.kind == FI_ROWS_YCC) read_ycc(jpeg, strip, end);
    else read_strips(cinfo, jpeg->sink, strip, stride, rows, end);
}

const fi_route fi_copy_route = {choose, read_rows};
