/* SPDX-License-Identifier: BSD-3-Clause */
/* Inverse DCTs to fewer samples than a block has coefficients: size x size of them, 1, 2 or 4. */
#ifndef FI_IDCT_H
#define FI_IDCT_H

#include <stddef.h>
#include <stdint.h>

static inline uint8_t fi_clamp8(int32_t v) {
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* As libjpeg's SIMD transforms have it: 16 bits, whatever a hostile file says. */
static inline int32_t fi_dequantise(const int16_t *x, const uint16_t *q, unsigned k) {
    return (int16_t)(uint16_t)((uint32_t)(uint16_t)x[k] * q[k]);
}

/* A block of 64 coefficients in natural order to samples at rows[0 .. size)[column .. column + size). */
typedef void fi_idct(const int16_t *coefficients, const uint16_t *quantisation, uint8_t *const *rows, size_t column);

fi_idct *fi_idct_choose(unsigned size);

/* Of the zigzag order, the place of the last coefficient that it reads; 63 for a size of 8. */
unsigned fi_idct_last(unsigned size);

/*
 * The same from a block's pixels, of which height x width belong to the image (1 to 8): the others are overwritten by the
 * nearest one that does. size is 2 or 4.
 */
void fi_idct_reduce_pixels(uint8_t pixels[8][8], unsigned size, unsigned height, unsigned width, uint8_t *const *rows,
                           size_t column);

#endif
