/* SPDX-License-Identifier: BSD-3-Clause */
#include "idct.h"

#include <string.h>

/*
 * With X the dequantised coefficients (an orthonormal 8 x 8 DCT of pixel values less 128), and D the orthonormal DCT of m
 * points, the m x m samples are D' X D m / 8, of the m x m lowest frequencies alone: what an ideal low-pass filter leaves.
 * libjpeg's own reduced transforms average the pixels instead; under an antialiasing filter that is 1 to 4 dB worse.
 */

static uint8_t clamp8(int32_t v) {
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static int32_t clamp16(int32_t v) {
    return v < INT16_MIN ? INT16_MIN : v > INT16_MAX ? INT16_MAX : v;
}

/* As libjpeg's SIMD transforms have it: 16 bits, whatever a hostile file says. */
static inline int32_t dequantise(const int16_t *x, const uint16_t *q, unsigned k) {
    return (int16_t)(uint16_t)((uint32_t)(uint16_t)x[k] * q[k]);
}

static void idct_1(const int16_t *x, const uint16_t *q, uint8_t *const *rows, size_t column) {
    rows[0][column] = clamp8(((dequantise(x, q, 0) + 4) >> 3) + 128);
}

static void idct_2(const int16_t *x, const uint16_t *q, uint8_t *const *rows, size_t column) {
    const int32_t dc = dequantise(x, q, 0) + 4, h = dequantise(x, q, 1), v = dequantise(x, q, 8);
    const int32_t d = dequantise(x, q, 9);

    rows[0][column] = clamp8(((dc + h + v + d) >> 3) + 128);
    rows[0][column + 1] = clamp8(((dc - h + v - d) >> 3) + 128);
    rows[1][column] = clamp8(((dc + h - v - d) >> 3) + 128);
    rows[1][column + 1] = clamp8(((dc - h - v + d) >> 3) + 128);
}

/* sqrt(2) cos(pi / 8) and sqrt(2) sin(pi / 8), in 13 bits of fraction: a pass gives sqrt(8) times its share of D m / 8. */
enum { BITS = 13, COS = 10703, SIN = 4433 };

/*
 * |in| < 2^15, so |even| <= 2^29 and |odd| < 2^29. The columns keep two bits of fraction, and are clamped to 16 bits: far
 * outside of what pixels give.
 */
static void idct_4(const int16_t *x, const uint16_t *q, uint8_t *const *rows, size_t column) {
    int32_t work[4][4];

    for (unsigned c = 0; c < 4; c++) {
        const int32_t x0 = dequantise(x, q, c), x1 = dequantise(x, q, 8 + c);
        const int32_t x2 = dequantise(x, q, 16 + c), x3 = dequantise(x, q, 24 + c);
        const int32_t half = 1 << (BITS - 3), e0 = (x0 + x2) * (1 << BITS) + half, e1 = (x0 - x2) * (1 << BITS) + half;
        const int32_t o0 = x1 * COS + x3 * SIN, o1 = x1 * SIN - x3 * COS;
        work[0][c] = clamp16((e0 + o0) >> (BITS - 2));
        work[1][c] = clamp16((e1 + o1) >> (BITS - 2));
        work[2][c] = clamp16((e1 - o1) >> (BITS - 2));
        work[3][c] = clamp16((e0 - o0) >> (BITS - 2));
    }
    for (unsigned r = 0; r < 4; r++) {
        const int32_t *w = work[r];
        const int32_t half = 1 << (BITS + 4), e0 = (w[0] + w[2]) * (1 << BITS) + half;
        const int32_t e1 = (w[0] - w[2]) * (1 << BITS) + half;
        const int32_t o0 = w[1] * COS + w[3] * SIN, o1 = w[1] * SIN - w[3] * COS;
        uint8_t *out = rows[r] + column;
        out[0] = clamp8(((e0 + o0) >> (BITS + 5)) + 128);
        out[1] = clamp8(((e1 + o1) >> (BITS + 5)) + 128);
        out[2] = clamp8(((e1 - o1) >> (BITS + 5)) + 128);
        out[3] = clamp8(((e0 - o0) >> (BITS + 5)) + 128);
    }
}

/* ---- blocks at the edge ---------------------------------------------------------------------------------------- */

/*
 * The 8-point inverse DCT of C. Loeffler, A. Ligtenberg and G. Moschytz (1989) as libjpeg's "islow" has it, in 13 bits of
 * fraction and times sqrt(8): results 0 to 3 are even + odd, 7 to 4 even - odd. As whole numbers add up the same in any
 * order, each weight is the sum of what libjpeg multiplies one after another, and every pixel is equal to its.
 */
static const int16_t even_weights[4][4] = {
    {8192, 10703, 8192, 4433}, {8192, 4433, -8192, -10704}, {8192, -4433, -8192, 10704}, {8192, -10703, 8192, -4433}};
static const int16_t odd_weights[4][4] = {
    {11363, 9633, 6437, 2260}, {9633, -2259, -11362, -6436}, {6437, -11362, 2261, 9633}, {2260, -6436, 9633, -11363}};

static void islow_pass(const int32_t in[8], unsigned shift, int32_t out[8]) {
    for (unsigned i = 0; i < 4; i++) {
        int64_t even = (int64_t)1 << (shift - 1), odd = 0;
        for (unsigned k = 0; k < 4; k++) {
            even += (int64_t)even_weights[i][k] * in[2 * k];
            odd += (int64_t)odd_weights[i][k] * in[2 * k + 1];
        }
        out[i] = clamp16((int32_t)((even + odd) >> shift));
        out[7 - i] = clamp16((int32_t)((even - odd) >> shift));
    }
}

static void idct_8(const int16_t *x, const uint16_t *q, uint8_t pixels[8][8]) {
    int32_t work[8][8], line[8], out[8];

    for (unsigned c = 0; c < 8; c++) {
        for (unsigned k = 0; k < 8; k++) line[k] = dequantise(x, q, 8 * k + c);
        islow_pass(line, BITS - 2, out);
        for (unsigned r = 0; r < 8; r++) work[r][c] = out[r];
    }
    for (unsigned r = 0; r < 8; r++) {
        islow_pass(work[r], BITS + 5, out);
        for (unsigned c = 0; c < 8; c++) pixels[r][c] = clamp8(out[c] + 128);
    }
}

/* cos(k pi / 16) */
static const float cosines[9] = {1.0f,        0.98078528f, 0.92387953f, 0.83146961f, 0.70710678f,
                                 0.55557023f, 0.38268343f, 0.19509032f, 0.0f};

/* cos(k pi / 16) for any k */
static float cosine(unsigned k) {
    k %= 32;
    if (k > 16) k = 32 - k;
    return k <= 8 ? cosines[k] : -cosines[16 - k];
}

/* Entry (k, i) of the orthonormal DCT of n points: 8, 4, 2 or 1. */
static float basis(unsigned n, unsigned k, unsigned i) {
    static const float gains[9] = {0, 1.0f, 0.70710678f, 0, 0.5f, 0, 0, 0, 0.35355339f}; /* sqrt(1 / n) */
    return k == 0 ? gains[n] : gains[n] * 1.41421356f * cosine((2 * i + 1) * k * (8 / n));
}

/*
 * Along one axis, from 8 pixels to their 8 coefficients, and from the lowest `size` of these to samples, where the last of
 * `real` pixels stands for all behind it. filter[s][i]: the share of pixel i in sample s.
 */
static void make_filter(unsigned size, unsigned real, float (*filter)[8]) {
    const float gain = size == 2 ? 0.5f : 0.70710678f; /* sqrt(size / 8) */

    for (unsigned s = 0; s < size; s++) {
        for (unsigned i = 0; i < 8; i++) {
            float share = 0;
            for (unsigned k = 0; k < size; k++) share += basis(size, k, s) * basis(8, k, i);
            filter[s][i < real ? i : real - 1] += share * gain;
        }
    }
}

/* Of each size and number of real pixels. Written by fi_idct_init() at import, and only read from then on. */
static float filters[5][9][4][8]; /* [size][real] */

void fi_idct_init(void) {
    for (unsigned size = 2; size <= 4; size *= 2) {
        for (unsigned real = 1; real <= 8; real++) {
            memset(filters[size][real], 0, sizeof filters[size][real]);
            make_filter(size, real, filters[size][real]);
        }
    }
}

static void idct_edge(const int16_t *x, const uint16_t *q, unsigned size, unsigned height, unsigned width,
                      uint8_t *const *rows, size_t column) {
    uint8_t pixels[8][8];
    float work[4][8];

    idct_8(x, q, pixels);
    for (unsigned r = 0; r < size; r++) {
        for (unsigned i = 0; i < width; i++) {
            work[r][i] = 0;
            for (unsigned k = 0; k < height; k++) work[r][i] += filters[size][height][r][k] * pixels[k][i];
        }
    }
    for (unsigned r = 0; r < size; r++) {
        for (unsigned s = 0; s < size; s++) {
            float sum = 0.5f;
            for (unsigned i = 0; i < width; i++) sum += filters[size][width][s][i] * work[r][i];
            rows[r][column + s] = clamp8(sum > 0 ? (int32_t)sum : 0);
        }
    }
}

/* ---- which of them --------------------------------------------------------------------------------------------- */

unsigned fi_idct_last(unsigned size) {
    return size == 1 ? 0 : size == 2 ? 4 : size == 4 ? 24 : 63; /* T.81, figure A.6: the places of (1, 1) and (3, 3) */
}

void fi_idct_reduced(const int16_t *coefficients, const uint16_t *quantisation, unsigned size, unsigned height,
                     unsigned width, uint8_t *const *rows, size_t column) {
    if (size == 1) idct_1(coefficients, quantisation, rows, column);
    else if (height < 8 || width < 8) idct_edge(coefficients, quantisation, size, height, width, rows, column);
    else if (size == 2) idct_2(coefficients, quantisation, rows, column);
    else idct_4(coefficients, quantisation, rows, column);
}
