/* SPDX-License-Identifier: BSD-3-Clause */
/* Inverse DCTs to fewer samples than a block has coefficients. */
#ifndef FI_IDCT_H
#define FI_IDCT_H

#include <stddef.h>
#include <stdint.h>

void fi_idct_init(void); /* once, by fi_init() */

/* Of the zigzag order, the place of the last coefficient that a block of size x size samples is made of; 63 for 8. */
unsigned fi_idct_last(unsigned size);

/*
 * A block of 64 coefficients, natural order, to size x size samples (1, 2 or 4) at rows[0 .. size)[column ..]. Of the
 * block's 8 x 8 pixels, height x width belong to the image (1 to 8): the others are taken to repeat the last one that does.
 * (A single sample is their mean whatever they are: for it libjpeg's own entropy stage reads no more than that.)
 */
void fi_idct_reduced(const int16_t *coefficients, const uint16_t *quantisation, unsigned size, unsigned height,
                     unsigned width, uint8_t *const *rows, size_t column);

#endif
