/* SPDX-License-Identifier: BSD-3-Clause */
#include "pixels.h"

#include <string.h>

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

static uint8_t *item_at(const fi_output *out, const fi_options *options, unsigned channel, size_t y, size_t x) {
    const size_t item = fi_item_nbytes(options);
    uint8_t *row = out->data + (ptrdiff_t)y * out->row_stride;
    if (options->layout == FI_CHW) return row + (ptrdiff_t)channel * out->plane_stride + x * item;
    return row + (x * fi_channels(options) + channel) * item;
}

static uint8_t *output_at(const fi_store *store, unsigned channel, size_t y, size_t x) {
    return item_at(&store->place, store->options, channel, y, x);
}

/* Three planes, three of a block or a row that was turned, one interleaved row. */
size_t fi_store_nbytes(const fi_plan *plan) {
    const size_t width = plan->cols, segment = width > TURN ? width : TURN;
    return 3 * width * (plan->transpose ? TURN : 1) + 3 * (plan->transpose ? TURN * TURN : width) + 3 * segment;
}

void fi_store_init(fi_store *store, const fi_plan *plan, const fi_options *options, const fi_output *out,
                   const fi_kernels *kernels, unsigned channels, uint8_t *scratch) {
    const size_t plane = (size_t)plan->cols * (plan->transpose ? TURN : 1);
    const size_t turned = plan->transpose ? TURN * TURN : plan->cols;

    *store = (fi_store){
        .plan = plan,
        .options = options,
        .kernels = kernels,
        .place = *out,
        .channels = channels,
        .pixels = scratch + 3 * plane + 3 * turned,
    };
    for (size_t c = 0; c < 3; c++) {
        store->planes[c] = scratch + c * plane;
        store->turned[c] = scratch + 3 * plane + c * turned;
    }
    store->place.height = plan->place_height;
    store->place.width = plan->place_width;
    if (out->data) store->place.data = item_at(out, options, 0, plan->place_top, plan->place_left);
}

/* One channel of n pixels, converted, to contiguous items. */
static void write_plane(const fi_store *store, unsigned channel, const uint8_t *src, uint8_t *dst, size_t n) {
    const fi_options *options = store->options;
    switch (options->dtype) {
        case FI_UINT8:
            memcpy(dst, src, n);
            break;
        case FI_FLOAT32:
            store->kernels->normalize32(src, options->mean[channel], options->std[channel], dst, n);
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

/* Whether rows can be written to the output as they are. */
static bool is_direct(const fi_store *store) {
    return store->options->dtype == FI_UINT8 && !store->plan->transpose && !store->plan->mirror_x &&
           (store->options->layout == FI_CHW || fi_channels(store->options) == 1);
}

static size_t row_of_place(const fi_store *store) {
    return store->plan->mirror_y ? store->place.height - 1 - store->row : store->row;
}

/* The first row of the block that is being collected, and how many it will have. */
static uint32_t block_start(const fi_store *store) {
    return store->row - store->row % TURN;
}

static uint32_t block_rows(const fi_store *store) {
    return (uint32_t)least(TURN, store->plan->rows - block_start(store));
}

void fi_store_next_row(const fi_store *store, uint8_t *rgb[3]) {
    const bool direct = is_direct(store), bgr = store->options->mode == FI_MODE_BGR;
    size_t at = 0;

    if (store->plan->transpose) {
        /* To be mirrored left-right afterwards, the block is stacked bottom-up. */
        const uint32_t i = store->row - block_start(store);
        at = (store->plan->mirror_x ? block_rows(store) - 1 - i : i) * (size_t)store->plan->cols;
    }
    for (unsigned c = 0; c < store->channels; c++) {
        const unsigned channel = bgr && store->channels == 3 ? 2 - c : c;
        rgb[c] = direct ? output_at(store, channel, row_of_place(store), 0) : store->planes[c] + at;
    }
}

/* The block's rows become as many columns of the output. */
static void store_turned(const fi_store *store) {
    const fi_plan *plan = store->plan;
    const uint32_t start = block_start(store), rows = block_rows(store);
    const size_t x0 = plan->mirror_x ? store->place.width - start - rows : start;
    const uint8_t *rgb[3];

    for (size_t x = 0; x < plan->cols; x += TURN) {
        const size_t cols = least(TURN, plan->cols - x);
        for (size_t c = 0; c < store->channels; c++) {
            store->kernels->transpose(store->planes[c] + x, plan->cols, store->turned[c], TURN, rows, cols);
        }
        for (size_t i = 0; i < cols; i++) {
            const size_t y = plan->mirror_y ? store->place.height - 1 - (x + i) : x + i;
            for (size_t c = 0; c < 3; c++) rgb[c] = store->turned[store->channels == 3 ? c : 0] + i * TURN;
            write_segment(store, rgb, y, x0, rows);
        }
    }
}

static void store_row(const fi_store *store) {
    const size_t y = row_of_place(store), width = store->plan->cols;
    const bool grey = store->channels == 1;
    const uint8_t *rgb[3];

    if (is_direct(store)) {
        for (unsigned c = 1; grey && c < fi_channels(store->options); c++) {
            memcpy(output_at(store, c, y, 0), output_at(store, 0, y, 0), width);
        }
        return;
    }
    for (unsigned c = 0; c < 3; c++) {
        const unsigned from = grey ? 0 : c;
        if (store->plan->mirror_x && from == c) store->kernels->reverse(store->planes[c], store->turned[c], width);
        rgb[c] = store->plan->mirror_x ? store->turned[from] : store->planes[from];
    }
    write_segment(store, rgb, y, 0, width);
}

void fi_store_row_done(fi_store *store) {
    if (!store->plan->transpose) store_row(store);
    else if (store->row - block_start(store) == block_rows(store) - 1) store_turned(store);
    store->row++;
}

void fi_store_rows(fi_store *store, const uint8_t *src, size_t stride, uint32_t rows) {
    const fi_options *options = store->options;
    const fi_plan *plan = store->plan;
    const bool as_is = store->channels == 3 && options->dtype == FI_UINT8 && options->layout == FI_HWC &&
                       options->mode == FI_MODE_RGB && !plan->transpose && !plan->mirror_x;

    if (!store->place.data) return;
    for (uint32_t i = 0; i < rows; i++, src += stride) {
        uint8_t *rgb[3];
        if (as_is) {
            memcpy(output_at(store, 0, row_of_place(store), 0), src, 3 * (size_t)plan->cols);
            store->row++;
            continue;
        }
        fi_store_next_row(store, rgb);
        if (store->channels == 3) store->kernels->split3(src, rgb[0], rgb[1], rgb[2], plan->cols);
        else memcpy(rgb[0], src, plan->cols);
        fi_store_row_done(store);
    }
}

/* ---- all of an output ------------------------------------------------------------------------------------------ */

/* Pixels x to end - 1 of row y become padding. */
static void pad_pixels(const fi_output *out, const fi_options *options, size_t y, size_t x, size_t end) {
    const size_t item = fi_item_nbytes(options);

    for (unsigned c = 0; c < fi_channels(options); c++) {
        const uint8_t value = options->pad[c];
        const void *source = options->dtype == FI_UINT8     ? (const void *)&value
                             : options->dtype == FI_FLOAT32 ? (const void *)&options->table.f32[c][value]
                                                            : (const void *)&options->table.f16[c][value];
        for (size_t i = x; i < end; i++) memcpy(item_at(out, options, c, y, i), source, item);
    }
}

void fi_output_pad(const fi_output *out, const fi_plan *plan, const fi_options *options) {
    const size_t bottom = (size_t)plan->place_top + plan->place_height;
    const size_t right = (size_t)plan->place_left + plan->place_width;

    if (!out->data || (plan->place_height == out->height && plan->place_width == out->width)) return;
    for (size_t y = 0; y < out->height; y++) {
        const bool above_or_below = y < plan->place_top || y >= bottom;
        pad_pixels(out, options, y, 0, above_or_below ? out->width : plan->place_left);
        if (!above_or_below) pad_pixels(out, options, y, right, out->width);
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
