/* SPDX-License-Identifier: BSD-3-Clause */
/* The exact route: libjpeg's own pixels, a strip at a time, to the output. */
#include "session_private.h"

#include "pixels.h"

/* Bytes of a strip, more or less: what stays in the first-level cache beside libjpeg's own rows. */
#define STRIP_NBYTES 12288
#define STRIP_MOST_ROWS 16

/*
 * Rows that begin at a multiple of this libjpeg-turbo's vector versions write past the cache, from where they would have to be
 * read back at once: a strip's rows begin in the middle between two.
 */
#define STREAMED_ALIGNMENT 32

/* Whether libjpeg's rows are the output's rows. */
static bool rows_are_output(const struct jpeg_decompress_struct *cinfo, const fi_request *req) {
    const fi_options *options = req->options;
    const fi_plan *plan = req->plan;
    return req->out->data && !fi_is_four_channel(cinfo) && options->dtype == FI_UINT8 && !plan->transpose &&
           !plan->mirror_x && plan->width == cinfo->image_width && plan->place_height == req->out->height &&
           plan->place_width == req->out->width && (options->layout == FI_HWC || options->mode == FI_MODE_L);
}

/* Whether libjpeg's rows of Y, Cb and Cr go to the store as planes, without being interleaved in between. */
static bool is_ours_to_convert(const fi_session *session, const fi_request *req) {
    const struct jpeg_decompress_struct *cinfo = &session->cinfo;
    return !session->stock && cinfo->jpeg_color_space == JCS_YCbCr && cinfo->out_color_space == JCS_EXT_RGB &&
           !rows_are_output(cinfo, req);
}

void fi_exact_choose(fi_session *session, const fi_request *req) {
    const j_decompress_ptr cinfo = &session->cinfo;
    const bool direct = rows_are_output(cinfo, req);

    if (fi_is_four_channel(cinfo)) {
        cinfo->out_color_space = JCS_CMYK;
    } else if (req->options->mode == FI_MODE_L || (cinfo->jpeg_color_space == JCS_GRAYSCALE && !direct)) {
        cinfo->out_color_space = JCS_GRAYSCALE;
    } else {
        cinfo->out_color_space = direct && req->options->mode == FI_MODE_BGR ? JCS_EXT_BGR : JCS_EXT_RGB;
    }
}

/* Rows of CMYK pixels become RGB, or luma, in place. */
static void convert_four_channels(uint8_t *src, size_t stride, uint32_t rows, uint32_t width, bool luma) {
    for (; rows; rows--, src += stride) {
        fi_cmyk_to_rgb(src, src, width);
        if (luma) fi_rgb_to_luma(src, src, width);
    }
}

static void drop_rows(j_decompress_ptr cinfo, uint8_t *row, uint32_t end) {
    JSAMPROW rows[1] = {row};
    while (cinfo->output_scanline < end) jpeg_read_scanlines(cinfo, rows, 1);
}

static void read_into_output(j_decompress_ptr cinfo, const fi_request *req) {
    const uint32_t top = req->plan->top, end = top + req->plan->height;
    JSAMPROW rows[16];

    while (cinfo->output_scanline < end) {
        const uint32_t y = cinfo->output_scanline - top;
        uint32_t n = end - cinfo->output_scanline;
        if (n > 16) n = 16;
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t at = req->plan->mirror_y ? req->plan->height - 1 - (y + i) : y + i;
            rows[i] = req->out->data + (ptrdiff_t)at * req->out->row_stride;
        }
        jpeg_read_scanlines(cinfo, rows, n);
    }
}

static void read_through_store(j_decompress_ptr cinfo, const fi_request *req, uint8_t *strip, uint32_t strip_rows,
                               size_t stride, uint8_t *scratch) {
    const fi_plan *plan = req->plan;
    const uint32_t end = plan->top + plan->height;
    const bool four = fi_is_four_channel(cinfo), luma = req->options->mode == FI_MODE_L;
    const unsigned in = (unsigned)cinfo->output_components, channels = four ? (luma ? 1 : 3) : in;
    fi_store store;

    fi_store_init(&store, plan, req->options, req->out, fi_kernels_active(), channels, scratch);
    while (cinfo->output_scanline < end) {
        uint32_t rows = end - cinfo->output_scanline;
        if (rows > strip_rows) rows = strip_rows;
        for (uint32_t got = 0; got < rows;) {
            JSAMPROW pointers[4];
            const uint32_t n = rows - got < 4 ? rows - got : 4; /* libjpeg gives at most a row group, 4 rows */
            for (uint32_t i = 0; i < n; i++) pointers[i] = strip + (got + i) * stride;
            got += jpeg_read_scanlines(cinfo, pointers, n);
        }
        uint8_t *window = strip + (size_t)plan->left * in;
        if (four) convert_four_channels(window, stride, rows, plan->width, luma);
        fi_store_rows(&store, window, stride, rows);
    }
}

void fi_exact_convert(fi_session *session, const uint8_t *const ycc[3]) {
    fi_conversion *conversion = &session->conversion;
    const fi_plan *plan = conversion->store->plan;
    const uint8_t *const window[3] = {ycc[0] + plan->left, ycc[1] + plan->left, ycc[2] + plan->left};
    uint8_t *rgb[3];

    if (conversion->row++ < plan->top || !conversion->store->place.data) return;
    fi_store_next_row(conversion->store, rgb);
    conversion->store->kernels->ycc8_to_rgb(window, rgb, plan->width);
    fi_store_row_done(conversion->store);
}

/* `row` is as long as libjpeg's rows, and `scratch` as fi_store_init() wants it. */
static void read_converted(fi_session *session, const fi_request *req, uint8_t *row, uint8_t *scratch) {
    const j_decompress_ptr cinfo = &session->cinfo;
    const uint32_t end = req->plan->top + req->plan->height;
    JSAMPROW rows[16];
    fi_store store;

    fi_store_init(&store, req->plan, req->options, req->out, fi_kernels_active(), 3, scratch);
    session->conversion = (fi_conversion){.store = &store};
    fi_session_convert(session);
    for (size_t i = 0; i < 16; i++) rows[i] = row;
    while (cinfo->output_scanline < end) {
        const uint32_t left = end - cinfo->output_scanline;
        jpeg_read_scanlines(cinfo, rows, left < 16 ? left : 16);
    }
}

void fi_exact_read(fi_session *session, const fi_request *req) {
    const j_decompress_ptr cinfo = &session->cinfo;
    const size_t row_nbytes = (size_t)cinfo->output_width * (size_t)cinfo->output_components;
    uint32_t rows = (uint32_t)(STRIP_NBYTES / row_nbytes);

    if (rows < 1) rows = 1;
    if (rows > STRIP_MOST_ROWS) rows = STRIP_MOST_ROWS;
    const size_t stride = (row_nbytes + STREAMED_ALIGNMENT - 1) / STREAMED_ALIGNMENT * STREAMED_ALIGNMENT;
    const size_t strip_nbytes = stride * rows + STREAMED_ALIGNMENT;
    if (!fi_buffer_reserve(req->scratch, strip_nbytes + fi_store_nbytes(req->plan), 0)) {
        fi_session_escape(session, FI_E_NOMEM);
    }
    uint8_t *scratch = req->scratch->data + strip_nbytes, *strip = req->scratch->data;
    strip += (STREAMED_ALIGNMENT / 2 - (uintptr_t)strip) % STREAMED_ALIGNMENT;
    if (is_ours_to_convert(session, req)) {
        read_converted(session, req, strip, scratch);
        return;
    }
    drop_rows(cinfo, strip, req->plan->top);
    if (rows_are_output(cinfo, req)) read_into_output(cinfo, req);
    else read_through_store(cinfo, req, strip, rows, stride, scratch);
}
