/* SPDX-License-Identifier: BSD-3-Clause */
#include "pixels/idct.h"

#include "pixels/fixed_point.h"

#include <string.h>

/*
 * With X the dequantised coefficients (an orthonormal 8 x 8 DCT of pixel values less 128) and D the orthonormal DCT
 * of m points, the m x m samples are D' X D m / 8 of the m x m lowest frequencies alone: the output of an ideal
 * low-pass filter. libjpeg's reduced transforms average pixels instead, which is 1 to 4 dB worse under an
 * antialiasing filter.
 */

static void idct_1(const fi_block_run *run) {
    const size_t pitch = run->pitch, step = run->step;
    const int16_t *x = run->coefficients;
    int16_t *sample = (int16_t *)(void *)run->rows[0] + run->column;

    for (size_t i = run->count; i > 0; i--, x += pitch, sample += step) {
        *sample = fi_dc_to_q6(fi_dequantise(x, run->quantisation, 0));
    }
}

void fi_idct_reduce_pixels(uint8_t pixels[8][8], unsigned size, unsigned height, unsigned width, uint8_t *const *rows,
                           size_t column) {
    for (unsigned y = 0; y < height; y++) memset(&pixels[y][width], pixels[y][width - 1], 8 - width);
    for (unsigned y = height; y < 8; y++) memcpy(pixels[y], pixels[height - 1], 8);
    fi_idct_kernels_active()->reduce_pixels((const uint8_t (*)[8])pixels, size, rows, column);
}

unsigned fi_idct_last(unsigned size) {
    return size == 1 ? 0 : size == 2 ? 4 : size == 4 ? 24 : 63; /* T.81, figure A.6: the places of (1, 1) and (3, 3) */
}

fi_idct *fi_idct_choose(unsigned size) {
    const fi_idct_kernels *kernels = fi_idct_kernels_active();
    return size == 1 ? idct_1 : size == 2 ? kernels->idct_2 : kernels->idct_4;
}
