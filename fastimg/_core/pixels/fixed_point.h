/* SPDX-License-Identifier: BSD-3-Clause */
/* Fixed-point helpers that the C kernels, the C inverse DCTs and their tests share. */
#ifndef FI_FIXED_POINT_H
#define FI_FIXED_POINT_H

#include <stdint.h>

static inline uint8_t fi_clamp8(int32_t v) {
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static inline int16_t fi_clamp16(int32_t v) {
    return (int16_t)(v < INT16_MIN ? INT16_MIN : v > INT16_MAX ? INT16_MAX : v);
}

/* a b / 32768, rounded: a times a Q15 fraction. */
static inline int16_t fi_scale16(int16_t a, int16_t b) {
    return (int16_t)((a * b + 16384) >> 15);
}

/* Coefficient k, dequantised. Wraps at 16 bits like libjpeg-turbo's SIMD transforms, whatever a hostile file says. */
static inline int32_t fi_dequantise(const int16_t *x, const uint16_t *q, unsigned k) {
    return (int16_t)(uint16_t)((uint32_t)(uint16_t)x[k] * q[k]);
}

/* Eight times a sample less 128, to Q6. |v| <= 2^17 */
static inline int16_t fi_dc_to_q6(int32_t v) {
    return fi_clamp16(v * 8 + (128 << 6));
}

/*
 * JFIF 1.02, page 3, with 128 subtracted from Cb and Cr:
 *
 *   R = Y + 1.402 Cr     G = Y - 0.344136 Cb - 0.714136 Cr     B = Y + 1.772 Cb
 *
 * in Q15. The factors above 1 are split: 1.402 Cr is Cr + 0.402 Cr, 1.772 Cb is Cb + 0.772 Cb.
 */
enum { FI_R_CR = 13173, FI_G_CB = 11277, FI_G_CR = 23401, FI_B_CB = 25297 };

#endif
