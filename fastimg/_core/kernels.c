/* SPDX-License-Identifier: BSD-3-Clause */
/* The C version of every kernel, and the choice among the versions. */
#include "cpu.h"
#include "idct.h"
#include "pixels.h"

#include <string.h>

static void split3_c(const uint8_t *src, uint8_t *p0, uint8_t *p1, uint8_t *p2, size_t n) {
    for (size_t i = 0; i < n; i++) {
        p0[i] = src[3 * i];
        p1[i] = src[3 * i + 1];
        p2[i] = src[3 * i + 2];
    }
}

static void merge3_c(const uint8_t *p0, const uint8_t *p1, const uint8_t *p2, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++) {
        dst[3 * i] = p0[i];
        dst[3 * i + 1] = p1[i];
        dst[3 * i + 2] = p2[i];
    }
}

static void reverse_c(const uint8_t *src, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = src[n - 1 - i];
}

static void transpose_c(const uint8_t *src, size_t src_stride, uint8_t *dst, size_t dst_stride, size_t rows,
                        size_t cols) {
    for (size_t x = 0; x < cols; x++) {
        for (size_t y = 0; y < rows; y++) dst[x * dst_stride + y] = src[y * src_stride + x];
    }
}

static void normalize32_c(const uint8_t *src, float mean, float std, void *dst, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const float scaled = (float)src[i] / 255.0f, centred = scaled - mean, value = centred / std;
        memcpy((uint8_t *)dst + 4 * i, &value, 4); /* dst may lie at any address */
    }
}

static void map16_c(const uint8_t *src, const uint16_t *table, void *dst, size_t n) {
    for (size_t i = 0; i < n; i++) memcpy((uint8_t *)dst + 2 * i, table + src[i], 2);
}

/* ---- resampling ------------------------------------------------------------------------------------------------ */

static inline int16_t clamp16(int32_t v) {
    return (int16_t)(v < INT16_MIN ? INT16_MIN : v > INT16_MAX ? INT16_MAX : v);
}

/* |sum| <= 2 * 16384 * 255 < 2^23 */
static void resample_rows_c(const uint8_t *const src[2], int16_t *const dst[2], const uint32_t *first,
                            const int16_t *weights, size_t taps, size_t n) {
    for (size_t x = 0; x < n; x++, weights += taps) {
        for (int r = 0; r < 2; r++) {
            const uint8_t *s = src[r] + first[x];
            int32_t sum = 128;
            for (size_t k = 0; k < taps; k++) sum += weights[k] * s[k];
            dst[r][x] = clamp16(sum >> 8);
        }
    }
}

static void resample_near_c(const uint8_t *const src[2], int16_t *const dst[2], const uint32_t *base,
                            const fi_quad *quads, size_t pairs, size_t n) {
    const size_t padded = (n + 7) & ~(size_t)7;
    for (size_t x = 0; x < padded; x++) {
        const fi_quad *steps = quads + x / 4 * pairs;
        const size_t j = x % 4;
        for (int r = 0; r < 2; r++) {
            const uint8_t *s = src[r] + base[x / 4];
            int32_t sum = 128;
            for (size_t p = 0; p < pairs; p++) {
                const uint8_t a = steps[p].index[4 * j], b = steps[p].index[4 * j + 2];
                if (a < 16) sum += steps[p].weights[2 * j] * s[a];
                if (b < 16) sum += steps[p].weights[2 * j + 1] * s[b];
            }
            dst[r][x] = clamp16(sum >> 8);
        }
    }
}

/* |sum| <= 2 * 16384 * 32768 = 2^30 */
static void resample_across_c(const int16_t *const *rows, const int16_t *weights, size_t taps, int16_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int32_t sum = 8192;
        for (size_t k = 0; k < taps; k++) sum += weights[k] * rows[k][i];
        dst[i] = clamp16(sum >> 14);
    }
}

static inline uint8_t round_level(int16_t level) {
    return fi_clamp8(clamp16(level + 32) >> 6);
}

static void round_levels_c(const int16_t *src, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = round_level(src[i]);
}

/* a b / 32768, rounded: a times a fraction */
static inline int16_t scale16(int16_t a, int16_t b) {
    return (int16_t)((a * b + 16384) >> 15);
}

/*
 * JFIF 1.02, page 3, with Cb and Cr less 128 (8192 levels):
 *
 *   R = Y + 1.402 Cr     G = Y - 0.344136 Cb - 0.714136 Cr     B = Y + 1.772 Cb
 *
 * As factors are fractions of 32768, 1.402 Cr is Cr + 0.402 Cr. Sums saturate: far outside of what a pixel can show.
 */
enum { R_CR = 13173, G_CB = 11277, G_CR = 23401, B_CB = 25297, CHROMA_ZERO = 8192 };

static void ycc_to_rgb_c(const int16_t *const ycc[3], uint8_t *const rgb[3], size_t n) {
    for (size_t i = 0; i < n; i++) {
        const int16_t y = ycc[0][i], cb = clamp16(ycc[1][i] - CHROMA_ZERO), cr = clamp16(ycc[2][i] - CHROMA_ZERO);
        rgb[0][i] = round_level(clamp16(y + clamp16(cr + scale16(cr, R_CR))));
        rgb[1][i] = round_level(clamp16(y - clamp16(scale16(cb, G_CB) + scale16(cr, G_CR))));
        rgb[2][i] = round_level(clamp16(y + clamp16(cb + scale16(cb, B_CB))));
    }
}

/*
 * The same of pixels, with libjpeg's factors in 16 bits of fraction, and one rounding a result. Less 128, chroma is so small
 * that R and B come out the same with the factors above. -46802 Cr is -Cr + 18734 Cr, which fits into 16 bits.
 */
enum { G_CB16 = -22554, G_CR16 = 18734 };

static void ycc8_to_rgb_c(const uint8_t *const ycc[3], uint8_t *const rgb[3], size_t n) {
    for (size_t i = 0; i < n; i++) {
        const int16_t y = ycc[0][i], cb = (int16_t)(ycc[1][i] - 128), cr = (int16_t)(ycc[2][i] - 128);
        rgb[0][i] = fi_clamp8(y + cr + scale16(cr, R_CR));
        rgb[1][i] = fi_clamp8(y - cr + ((G_CB16 * cb + G_CR16 * cr + 32768) >> 16));
        rgb[2][i] = fi_clamp8(y + cb + scale16(cb, B_CB));
    }
}

/* ---- inverse DCT ------------------------------------------------------------------------------------------------ */

/* sqrt(2) cos(pi / 8) and sqrt(2) sin(pi / 8), in 13 bits of fraction: a pass gives sqrt(8) times what idct.c has for it. */
enum { IDCT_BITS = 13, IDCT_ONE = 1 << IDCT_BITS, IDCT_COS = 10703, IDCT_SIN = 4433 };

/* |x| <= 2^15, so |even| <= 2^29 and |odd| < 2^29. */
static inline void idct_4_pass(const int32_t x[4], unsigned shift, int32_t out[4]) {
    const int32_t half = 1 << (shift - 1);
    const int32_t e0 = (x[0] + x[2]) * IDCT_ONE + half, e1 = (x[0] - x[2]) * IDCT_ONE + half;
    const int32_t o0 = x[1] * IDCT_COS + x[3] * IDCT_SIN, o1 = x[1] * IDCT_SIN - x[3] * IDCT_COS;

    out[0] = clamp16((e0 + o0) >> shift);
    out[1] = clamp16((e1 + o1) >> shift);
    out[2] = clamp16((e1 - o1) >> shift);
    out[3] = clamp16((e0 - o0) >> shift);
}

/* Between the passes there are two bits of fraction. */
static void idct_4_c(const int16_t *x, const uint16_t *q, uint8_t *const *rows, size_t column) {
    int32_t in[4], work[4][4], out[4];

    for (unsigned c = 0; c < 4; c++) {
        for (unsigned r = 0; r < 4; r++) in[r] = fi_dequantise(x, q, 8 * r + c);
        idct_4_pass(in, IDCT_BITS - 2, work[c]);
    }
    for (unsigned r = 0; r < 4; r++) {
        for (unsigned c = 0; c < 4; c++) in[c] = work[c][r];
        idct_4_pass(in, IDCT_BITS + 5, out);
        for (unsigned c = 0; c < 4; c++) rows[r][column + c] = fi_clamp8(out[c] + 128);
    }
}

const fi_kernels fi_kernels_c = {
    .name = "c",
    .split3 = split3_c,
    .merge3 = merge3_c,
    .reverse = reverse_c,
    .transpose = transpose_c,
    .normalize32 = normalize32_c,
    .map16 = map16_c,
    .resample_rows = resample_rows_c,
    .resample_near = resample_near_c,
    .resample_across = resample_across_c,
    .round_levels = round_levels_c,
    .ycc_to_rgb = ycc_to_rgb_c,
    .ycc8_to_rgb = ycc8_to_rgb_c,
    .idct_4 = idct_4_c,
};

#if defined(__x86_64__)
#include "x86/kernels_impl.h"

#include "x86/idct_impl.h"
#include "x86/resize_impl.h"
#elif defined(__aarch64__)
#include "arm/kernels_impl.h"
#include "arm/resize_impl.h"
#endif

fi_kernels fi_kernels_choose(unsigned cpu_features) {
    fi_kernels kernels = fi_kernels_c;
#if defined(__x86_64__)
    if (!(cpu_features & FI_CPU_AVX2)) return kernels;
    kernels.name = "avx2";
    kernels.split3 = split3_avx2;
    kernels.merge3 = merge3_avx2;
    kernels.reverse = reverse_avx2;
    kernels.transpose = transpose_avx2;
    kernels.normalize32 = normalize32_avx2;
    kernels.resample_rows = resample_rows_avx2;
    kernels.resample_near = resample_near_avx2;
    kernels.resample_across = resample_across_avx2;
    kernels.round_levels = round_levels_avx2;
    kernels.ycc_to_rgb = ycc_to_rgb_avx2;
    kernels.ycc8_to_rgb = ycc8_to_rgb_avx2;
    kernels.idct_4 = idct_4_avx2;
    kernels.idct_8 = idct_8_avx2;
#elif defined(__aarch64__)
    if (!(cpu_features & FI_CPU_NEON)) return kernels;
    kernels.name = "neon";
    kernels.split3 = split3_neon;
    kernels.merge3 = merge3_neon;
    kernels.reverse = reverse_neon;
    kernels.transpose = transpose_neon;
    kernels.normalize32 = normalize32_neon;
    kernels.resample_rows = resample_rows_neon;
    kernels.resample_near = resample_near_neon;
    kernels.resample_across = resample_across_neon;
    kernels.round_levels = round_levels_neon;
    kernels.ycc_to_rgb = ycc_to_rgb_neon;
    kernels.ycc8_to_rgb = ycc8_to_rgb_neon;
    kernels.idct_4 = idct_4_neon;
#else
    (void)cpu_features;
#endif
    return kernels;
}

/* Written by fi_init() at import, and only read from then on. */
static fi_kernels active;

const fi_kernels *fi_kernels_active(void) {
    return &active;
}

const char *fi_kernels_name(void) {
    return active.name;
}

void fi_kernels_init(void) {
    active = fi_kernels_choose(fi_cpu_used());
}
