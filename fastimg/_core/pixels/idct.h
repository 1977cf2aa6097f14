/* SPDX-License-Identifier: BSD-3-Clause */
/* Inverse DCTs to fewer samples than a block has coefficients: 1 x 1, 2 x 2 or 4 x 4. */
#ifndef FI_IDCT_H
#define FI_IDCT_H

#include "pixels/kernels.h"

/* Blocks to Q6 samples. */
typedef void fi_idct(const fi_block_run *run);

/* For a size of 1, 2 or 4. */
fi_idct *fi_idct_choose(unsigned size);

/* The last coefficient in zigzag order that it needs; 63 for a size of 8. */
unsigned fi_idct_last(unsigned size);

/*
 * The same result from a block's 8 x 8 pixels, of which height x width (1 to 8) belong to the image: the others are
 * overwritten by the nearest one that does. size is 2 or 4.
 */
void fi_idct_reduce_pixels(uint8_t pixels[8][8], unsigned size, unsigned height, unsigned width, uint8_t *const *rows,
                           size_t column);

#endif
