/* SPDX-License-Identifier: BSD-3-Clause */
#include "pixels/idct.h"

#include "pixels/fixed_point.h"
#include "pixels/kernels.h"

#include <stdbool.h>
#include <string.h>

/*
 * With X the dequantised coefficients (an orthonormal 8 x 8 DCT of pixel values less 128) and D the orthonormal DCT
 * of m points, the m x m samples are D' X D m / 8 of the m x m lowest frequencies alone: the output of an ideal
 * low-pass filter. libjpeg's reduced transforms average pixels instead, which is 1 to 4 dB worse under an
 * antialiasing filter.
 */

static void idct_1(const int16_t *x, const uint16_t *q, uint8_t *const *rows, size_t column) {
    rows[0][column] = fi_clamp8(((fi_dequantise(x, q, 0) + 4) >> 3) + 128);
}

static void idct_2(const int16_t *x, const uint16_t *q, uint8_t *const *rows, size_t column) {
    const int32_t dc = fi_dequantise(x, q, 0) + (128 << 3) + 4, h = fi_dequantise(x, q, 1);
    const int32_t v = fi_dequantise(x, q, 8), d = fi_dequantise(x, q, 9);
    const int32_t out[4] = {(dc + v + (h + d)) >> 3, (dc + v - (h + d)) >> 3, (dc - v + (h - d)) >> 3,
                            (dc - v - (h - d)) >> 3};
    const bool inside = (out[0] | out[1] | out[2] | out[3]) >> 8 == 0;

    for (unsigned i = 0; i < 4; i++) rows[i / 2][column + i % 2] = inside ? (uint8_t)out[i] : fi_clamp8(out[i]);
}

/* ---- edge blocks ------------------------------------------------------------------------------------------------ */

/*
 * The same low-pass filter on pixels, along one axis: row s of D' D8 sqrt(m / 8), with D8 the m lowest rows of the
 * DCT of 8 points, holds the weights of 8 pixels in sample s, in Q14 and summing to one.
 */
static const int16_t weights_2[2][8] = {{4889, 4456, 3657, 2613, 1483, 439, -360, -793},
                                        {-793, -360, 439, 1483, 2613, 3657, 4456, 4889}};
static const int16_t weights_4[4][8] = {{9739, 5997, 1505, -761, -495, 374, 316, -291},
                                        {-2237, 2981, 7739, 7132, 2316, -1426, -1102, 981},
                                        {981, -1102, -1426, 2316, 7132, 7739, 2981, -2237},
                                        {-291, 316, 374, -495, -761, 1505, 5997, 9739}};

void fi_idct_reduce_pixels(uint8_t pixels[8][8], unsigned size, unsigned height, unsigned width, uint8_t *const *rows,
                           size_t column) {
    const int16_t (*weights)[8] = size == 2 ? weights_2 : weights_4;
    int32_t work[4][8];

    for (unsigned y = 0; y < height; y++) memset(&pixels[y][width], pixels[y][width - 1], 8 - width);
    for (unsigned y = height; y < 8; y++) memcpy(pixels[y], pixels[height - 1], 8);
    for (unsigned r = 0; r < size; r++) {
        for (unsigned i = 0; i < 8; i++) work[r][i] = 128;
        for (unsigned k = 0; k < 8; k++) {
            for (unsigned i = 0; i < 8; i++) work[r][i] += weights[r][k] * pixels[k][i];
        }
        for (unsigned i = 0; i < 8; i++) work[r][i] >>= 8; /* to Q6 */
    }
    for (unsigned r = 0; r < size; r++) {
        for (unsigned s = 0; s < size; s++) {
            int32_t sum = 1 << 19;
            for (unsigned i = 0; i < 8; i++) sum += weights[s][i] * work[r][i];
            rows[r][column + s] = fi_clamp8(sum >> 20);
        }
    }
}

/* ---- choice --------------------------------------------------------------------------------------------------- */

unsigned fi_idct_last(unsigned size) {
    return size == 1 ? 0 : size == 2 ? 4 : size == 4 ? 24 : 63; /* T.81, figure A.6: the places of (1, 1) and (3, 3) */
}

fi_idct *fi_idct_choose(unsigned size) {
    return size == 1 ? idct_1 : size == 2 ? idct_2 : fi_idct_kernels_active()->idct_4;
}
