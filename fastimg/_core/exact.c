/* SPDX-License-Identifier: BSD-3-Clause */
/* The exact route: libjpeg's own pixels, a strip at a time, to the output. */
#include "session_private.h"

#include "pixels.h"

/* Bytes of a strip, more or less: what stays in the first-level cache beside libjpeg's own rows. */
#define STRIP_NBYTES 12288
#define STRIP_MOST_ROWS 16

/* Whether libjpeg's rows are the output's rows. */
static bool rows_are_output(const struct jpeg_decompress_struct *cinfo, const fi_request *req) {
    const fi_options *options = req->options;
    const fi_plan *plan = req->plan;
    return req->out->data && !fi_is_four_channel(cinfo) && options->dtype == FI_UINT8 && !plan->transpose &&
           !plan->mirror_x && plan->width == cinfo->image_width && plan->place_height == req->out->height &&
           plan->place_width == req->out->width && (options->layout == FI_HWC || options->mode == FI_MODE_L);
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
                               uint8_t *scratch) {
    const fi_plan *plan = req->plan;
    const uint32_t end = plan->top + plan->height;
    const bool four = fi_is_four_channel(cinfo), luma = req->options->mode == FI_MODE_L;
    const unsigned in = (unsigned)cinfo->output_components, channels = four ? (luma ? 1 : 3) : in;
    const size_t stride = (size_t)cinfo->output_width * in;
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

void fi_exact_read(fi_session *session, const fi_request *req) {
    const j_decompress_ptr cinfo = &session->cinfo;
    const size_t row_nbytes = (size_t)cinfo->output_width * (size_t)cinfo->output_components;
    uint32_t rows = (uint32_t)(STRIP_NBYTES / row_nbytes);

    if (rows < 1) rows = 1;
    if (rows > STRIP_MOST_ROWS) rows = STRIP_MOST_ROWS;
    const size_t strip_nbytes = row_nbytes * rows;
    if (!fi_buffer_reserve(req->scratch, strip_nbytes + fi_store_nbytes(req->plan), 0))
        fi_session_escape(session, FI_E_NOMEM);
    uint8_t *strip = req->scratch->data;
    drop_rows(cinfo, strip, req->plan->top);
    if (rows_are_output(cinfo, req)) read_into_output(cinfo, req);
    else read_through_store(cinfo, req, strip, rows, strip + strip_nbytes);
}
