/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu.h"
#include "pixels/fixed_point.h"
#include "pixels/kernels.h"

#include <string.h>

/* |sum| <= 2 * 16384 * 255 < 2^23 */
static void resample_h_c(const uint8_t *const src[2], int16_t *const dst[2], const uint32_t *first,
                         const int16_t *weights, size_t taps, size_t n) {
    for (size_t x = 0; x < n; x++, weights += taps) {
        for (int r = 0; r < 2; r++) {
            const uint8_t *s = src[r] + first[x];
            int32_t sum = 128;
            for (size_t k = 0; k < taps; k++) sum += weights[k] * s[k];
            dst[r][x] = fi_clamp16(sum >> 8);
        }
    }
}

/* |sum| <= 2 * 16384 * 32768 = 2^30 */
static void resample_h_q6_c(const int16_t *const src[2], int16_t *const dst[2], const uint32_t *first,
                            const int16_t *weights, size_t taps, size_t n) {
    for (size_t x = 0; x < n; x++, weights += taps) {
        for (int r = 0; r < 2; r++) {
            const int16_t *s = src[r] + first[x];
            int32_t sum = 8192;
            for (size_t k = 0; k < taps; k++) sum += weights[k] * s[k];
            dst[r][x] = fi_clamp16(sum >> 14);
        }
    }
}

static void resample_h_shuffle_c(const uint8_t *const src[FI_SHUFFLE_ROWS], int16_t *const dst[FI_SHUFFLE_ROWS],
                                 const uint32_t *base, const fi_quad *quads, size_t pairs, size_t n) {
    const size_t padded = (n + 7) & ~(size_t)7;
    for (size_t x = 0; x < padded; x++) {
        const fi_quad *steps = quads + x / 4 * pairs;
        const size_t j = x % 4;
        for (int r = 0; r < FI_SHUFFLE_ROWS; r++) {
            const uint8_t *s = src[r] + base[x / 4];
            int32_t sum = 128;
            for (size_t p = 0; p < pairs; p++) {
                const uint8_t a = steps[p].index[4 * j], b = steps[p].index[4 * j + 2];
                if (a < 16) sum += steps[p].weights[2 * j] * s[a];
                if (b < 16) sum += steps[p].weights[2 * j + 1] * s[b];
            }
            dst[r][x] = fi_clamp16(sum >> 8);
        }
    }
}

/* |sum| <= 2 * 16384 * 32768 = 2^30 */
static void resample_v_c(const int16_t *const *rows, const int16_t *weights, size_t taps, int16_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int32_t sum = 8192;
        for (size_t k = 0; k < taps; k++) sum += weights[k] * rows[k][i];
        dst[i] = fi_clamp16(sum >> 14);
    }
}

static inline uint8_t to_u8(int16_t q6) {
    return fi_clamp8(fi_clamp16(q6 + 32) >> 6);
}

static void round_q6_c(const int16_t *src, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = to_u8(src[i]);
}

/* The formula of fixed_point.h. Sums saturate, far outside what a pixel can show. */
enum { CHROMA_ZERO = 128 << 6 };

static void ycc_q6_to_rgb_c(const int16_t *const ycc[3], uint8_t *const rgb[3], size_t n) {
    for (size_t i = 0; i < n; i++) {
        const int16_t y = ycc[0][i], cb = fi_clamp16(ycc[1][i] - CHROMA_ZERO), cr = fi_clamp16(ycc[2][i] - CHROMA_ZERO);
        rgb[0][i] = to_u8(fi_clamp16(y + fi_clamp16(cr + fi_scale16(cr, FI_R_CR))));
        rgb[1][i] = to_u8(fi_clamp16(y - fi_clamp16(fi_scale16(cb, FI_G_CB) + fi_scale16(cr, FI_G_CR))));
        rgb[2][i] = to_u8(fi_clamp16(y + fi_clamp16(cb + fi_scale16(cb, FI_B_CB))));
    }
}

#if defined(__x86_64__)
#include "pixels/x86/resample_impl.h"
#elif defined(__aarch64__)
#include "pixels/arm/resample_impl.h"
#endif

void fi_resample_kernels_choose(fi_resample_kernels *table, unsigned cpu_features) {
    *table = (fi_resample_kernels){
        .resample_h = resample_h_c,
        .resample_h_q6 = resample_h_q6_c,
        .resample_h_shuffle = resample_h_shuffle_c,
        .resample_v = resample_v_c,
        .round_q6 = round_q6_c,
        .ycc_q6_to_rgb = ycc_q6_to_rgb_c,
    };
#if defined(__x86_64__)
    if (!(cpu_features & FI_CPU_AVX2)) return;
    table->resample_h = resample_h_avx2;
    table->resample_h_q6 = resample_h_q6_avx2;
    table->resample_h_shuffle = resample_h_shuffle_avx2;
    table->resample_v = resample_v_avx2;
    table->round_q6 = round_q6_avx2;
    table->ycc_q6_to_rgb = ycc_q6_to_rgb_avx2;
#elif defined(__aarch64__)
    if (!(cpu_features & FI_CPU_NEON)) return;
    table->resample_h = resample_h_neon;
    table->resample_h_q6 = resample_h_q6_neon;
    table->resample_h_shuffle = resample_h_shuffle_neon;
    table->resample_v = resample_v_neon;
    table->round_q6 = round_q6_neon;
    table->ycc_q6_to_rgb = ycc_q6_to_rgb_neon;
#else
    (void)cpu_features;
#endif
}
