/* SPDX-License-Identifier: BSD-3-Clause */
#include "pixels/color.h"

#include "pixels/kernels.h"

/* a b / 255, rounded; a, b are 0 to 255. Exact: (t + (t >> 8)) >> 8 = round(a b / 255) for t = a b + 128 < 65408. */
static inline unsigned mul_div_255(unsigned a, unsigned b) {
    const unsigned t = a * b + 128;
    return (t + (t >> 8)) >> 8;
}

/*
 * With c, m, y, k as stored (inverted), Pillow has C = 255 - c and so on, and R = clip(255 - K - mul_div_255(C, 255 -
 * K)). 255 - K is k, and mul_div_255(C, k) <= k, so there is nothing to clip.
 */
void fi_cmyk_to_rgb(const uint8_t *src, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const unsigned c = src[4 * i], m = src[4 * i + 1], y = src[4 * i + 2], k = src[4 * i + 3];
        dst[3 * i] = (uint8_t)(k - mul_div_255(255 - c, k));
        dst[3 * i + 1] = (uint8_t)(k - mul_div_255(255 - m, k));
        dst[3 * i + 2] = (uint8_t)(k - mul_div_255(255 - y, k));
    }
}

/* 0.299 R + 0.587 G + 0.114 B in Q16; the three factors sum to 65536. */
void fi_rgb_to_luma(const uint8_t *src, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++) {
        dst[i] = (uint8_t)((19595u * src[3 * i] + 38470u * src[3 * i + 1] + 7471u * src[3 * i + 2] + 32768u) >> 16);
    }
}

void fi_split_pixels(fi_rows_kind kind, fi_mode mode, const uint8_t *src, uint8_t *const planes[3], uint8_t *scratch,
                     size_t n) {
    if (kind == FI_ROWS_CMYK_PIXELS) {
        fi_cmyk_to_rgb(src, scratch, n);
        src = scratch;
    }
    if (mode == FI_MODE_L) fi_rgb_to_luma(src, planes[0], n);
    else fi_pixel_kernels_active()->deinterleave3(src, planes[0], planes[1], planes[2], n);
}
