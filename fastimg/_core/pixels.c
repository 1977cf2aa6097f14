/* SPDX-License-Identifier: BSD-3-Clause */
#include "pixels.h"

#include <string.h>

/* Bytes of a strip, more or less: what stays in the first-level cache beside libjpeg's own rows. */
#define STRIP_NBYTES 12288
#define STRIP_MOST_ROWS 16

/* A transposed strip becomes columns of the output: 64 rows of it are one cache line of uint8, so no line is visited twice. */
#define TURN 64

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* ---- colours --------------------------------------------------------------------------------------------------- */

/* a b / 255, rounded; a, b in 0 to 255. Exact, as (t + (t >> 8)) >> 8 = round(a b / 255) for t = a b + 128 < 65408. */
static inline unsigned mul_div_255(unsigned a, unsigned b) {
    const unsigned t = a * b + 128;
    return (t + (t >> 8)) >> 8;
}

/*
 * With c, m, y, k as stored (inverted) Pillow has C = 255 - c and so on, and R = clip(255 - K - mul_div_255(C, 255 - K)).
 * 255 - K is k, and mul_div_255(C, k) <= k, so that there is nothing to clip.
 */
void fi_cmyk_to_rgb(const uint8_t *src, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const unsigned c = src[4 * i], m = src[4 * i + 1], y = src[4 * i + 2], k = src[4 * i + 3];
        dst[3 * i] = (uint8_t)(k - mul_div_255(255 - c, k));
        dst[3 * i + 1] = (uint8_t)(k - mul_div_255(255 - m, k));
        dst[3 * i + 2] = (uint8_t)(k - mul_div_255(255 - y, k));
    }
}

/* 0.299 R + 0.587 G + 0.114 B in 16 bits of fraction; the three factors sum to 65536. */
void fi_rgb_to_luma(const uint8_t *src, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++) {
        dst[i] = (uint8_t)((19595u * src[3 * i] + 38470u * src[3 * i + 1] + 7471u * src[3 * i + 2] + 32768u) >> 16);
    }
}

/* ---- the store ------------------------------------------------------------------------------------------------- */

uint32_t fi_strip_rows(const fi_plan *plan) {
    if (plan->transpose) return TURN;
    const size_t rows = STRIP_NBYTES / ((size_t)plan->width * 3);
    return (uint32_t)(rows < 1 ? 1 : least(rows, STRIP_MOST_ROWS));
}

/* Three planes of a strip, three of a block or a row that was turned, one interleaved row. */
size_t fi_store_nbytes(const fi_plan *plan) {
    const size_t width = plan->width, segment = width > TURN ? width : TURN;
    return 3 * width * (plan->transpose ? TURN : 1) + 3 * (plan->transpose ? TURN * TURN : width) + 3 * segment;
}

void fi_store_init(fi_store *store, const fi_plan *plan, const fi_options *options, const fi_output *out,
                   const fi_kernels *kernels, unsigned channels, uint8_t *scratch) {
    const size_t plane = (size_t)plan->width * (plan->transpose ? TURN : 1);
    const size_t turned = plan->transpose ? TURN * TURN : plan->width;

    *store = (fi_store){
        .plan = plan,
        .options = options,
        .out = out,
        .kernels = kernels,
        .channels = channels,
        .pixels = scratch + 3 * plane + 3 * turned,
    };
    for (size_t c = 0; c < 3; c++) {
        store->planes[c] = scratch + c * plane;
        store->turned[c] = scratch + 3 * plane + c * turned;
    }
}

static uint8_t *output_at(const fi_store *store, unsigned channel, size_t y, size_t x) {
    const fi_output *out = store->out;
    const size_t item = fi_item_nbytes(store->options);
    uint8_t *row = out->data + (ptrdiff_t)y * out->row_stride;
    if (store->options->layout == FI_CHW) return row + (ptrdiff_t)channel * out->plane_stride + x * item;
    return row + (x * fi_channels(store->options) + channel) * item;
}

/* One channel of n pixels, converted, to contiguous items. */
static void write_plane(const fi_store *store, unsigned channel, const uint8_t *src, uint8_t *dst, size_t n) {
    const fi_options *options = store->options;
    switch (options->dtype) {
        case FI_UINT8:
            memcpy(dst, src, n);
            break;
        case FI_FLOAT32:
            store->kernels->map32(src, options->table.f32[channel], dst, n);
            break;
        case FI_FLOAT16:
            store->kernels->map16(src, options->table.f16[channel], dst, n);
            break;
    }
}

/* Three channels of n pixels, converted, to interleaved items. */
static void write_interleaved(const fi_store *store, const uint8_t *const src[3], uint8_t *dst, size_t n) {
    const fi_options *options = store->options;
    uint8_t *pixels = options->dtype == FI_UINT8 ? dst : store->pixels;

    store->kernels->merge3(src[0], src[1], src[2], pixels, n);
    if (options->dtype == FI_UINT8) return;
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < 3; c++) {
            const uint8_t v = pixels[3 * i + c];
            if (options->dtype == FI_FLOAT32) memcpy(dst + 4 * (3 * i + c), &options->table.f32[c][v], 4);
            else memcpy(dst + 2 * (3 * i + c), &options->table.f16[c][v], 2);
        }
    }
}

/* n pixels, a pointer a channel (R, G, B, or the same one thrice), to output row y, column x and on. */
static void write_segment(const fi_store *store, const uint8_t *const rgb[3], size_t y, size_t x, size_t n) {
    const bool bgr = store->options->mode == FI_MODE_BGR;
    const uint8_t *const src[3] = {rgb[bgr ? 2 : 0], rgb[1], rgb[bgr ? 0 : 2]};
    const unsigned channels = fi_channels(store->options);

    if (store->options->layout == FI_HWC && channels == 3) {
        write_interleaved(store, src, output_at(store, 0, y, x), n);
        return;
    }
    for (unsigned c = 0; c < channels; c++) write_plane(store, c, src[c], output_at(store, c, y, x), n);
}

static void store_row(const fi_store *store, const uint8_t *row, size_t y) {
    const fi_kernels *kernels = store->kernels;
    const fi_options *options = store->options;
    const size_t width = store->plan->width;
    const bool mirror = store->plan->mirror_x, bgr = options->mode == FI_MODE_BGR;
    const uint8_t *rgb[3] = {row, row, row};

    if (store->channels == 3) {
        if (options->dtype == FI_UINT8 && !mirror) {
            if (options->layout == FI_CHW) {
                uint8_t *const first = output_at(store, bgr ? 2 : 0, y, 0), *const last =
                                                                                output_at(store, bgr ? 0 : 2, y, 0);
                kernels->split3(row, first, output_at(store, 1, y, 0), last, width);
                return;
            }
            if (!bgr) {
                memcpy(output_at(store, 0, y, 0), row, 3 * width);
                return;
            }
        }
        kernels->split3(row, store->planes[0], store->planes[1], store->planes[2], width);
        for (size_t c = 0; c < 3; c++) rgb[c] = store->planes[c];
    }
    if (mirror) {
        for (size_t c = 0; c < store->channels; c++) kernels->reverse(rgb[c], store->turned[c], width);
        for (size_t c = 0; c < 3; c++) rgb[c] = store->turned[store->channels == 3 ? c : 0];
    }
    write_segment(store, rgb, y, 0, width);
}

/* rows <= TURN rows become as many columns of the output. */
static void store_turned(const fi_store *store, const uint8_t *src, size_t stride, size_t rows) {
    const fi_plan *plan = store->plan;
    const fi_kernels *kernels = store->kernels;
    const size_t width = plan->width;
    const size_t x0 = plan->mirror_x ? plan->out_width - store->row - rows : store->row;
    const uint8_t *rgb[3];

    for (size_t i = 0; i < rows; i++) {
        /* To be mirrored left-right afterwards, the strip is stacked bottom-up. */
        const size_t at = (plan->mirror_x ? rows - 1 - i : i) * width;
        uint8_t *const *planes = store->planes;
        if (store->channels == 3)
            kernels->split3(src + i * stride, planes[0] + at, planes[1] + at, planes[2] + at, width);
        else memcpy(planes[0] + at, src + i * stride, width);
    }
    for (size_t x = 0; x < width; x += TURN) {
        const size_t cols = least(TURN, width - x);
        for (size_t c = 0; c < store->channels; c++) {
            kernels->transpose(store->planes[c] + x, width, store->turned[c], TURN, rows, cols);
        }
        for (size_t i = 0; i < cols; i++) {
            const size_t y = plan->mirror_y ? plan->out_height - 1 - (x + i) : x + i;
            for (size_t c = 0; c < 3; c++) rgb[c] = store->turned[store->channels == 3 ? c : 0] + i * TURN;
            write_segment(store, rgb, y, x0, rows);
        }
    }
}

void fi_store_rows(fi_store *store, const uint8_t *src, size_t stride, uint32_t rows) {
    const fi_plan *plan = store->plan;

    if (!store->out->data) {
        store->row += rows;
    } else if (plan->transpose) {
        store_turned(store, src, stride, rows);
        store->row += rows;
    } else {
        for (uint32_t i = 0; i < rows; i++, store->row++) {
            store_row(store, src + i * stride, plan->mirror_y ? plan->out_height - 1 - store->row : store->row);
        }
    }
}

void fi_output_clear(const fi_output *out, const fi_options *options) {
    const bool planar = options->layout == FI_CHW;
    const size_t planes = planar ? fi_channels(options) : 1;
    const size_t row_nbytes = (size_t)out->width * fi_item_nbytes(options) * (planar ? 1 : fi_channels(options));

    if (!out->data) return;
    for (size_t c = 0; c < planes; c++) {
        for (size_t y = 0; y < out->height; y++) {
            memset(out->data + (ptrdiff_t)c * (planar ? out->plane_stride : 0) + (ptrdiff_t)y * out->row_stride, 0,
                   row_nbytes);
        }
    }
}
