/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NEON versions of the resampling kernels. Sums of products are exact, so their order does not matter. Narrowing
 * instructions round, shift and saturate at once: vqrshrn_n_s32(v, s) is fi_clamp16((v + (1 << (s - 1))) >> s), and
 * vqrshrun_n_s16(v, 6) is clamp8((v + 32) >> 6), neither of which overflows on the way.
 */
#include <arm_neon.h>

/* sum += 8 products of bytes and weights */
static inline int32x4_t dot8_neon(int32x4_t sum, const uint8_t *src, int16x8_t weights) {
    const int16x8_t v = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(src)));
    return vmlal_high_s16(vmlal_s16(sum, vget_low_s16(v), vget_low_s16(weights)), v, weights);
}

/* Sums of 4 vectors each, as a vector. */
static inline int32x4_t sum4_neon(const int32x4_t v[4]) {
    return vpaddq_s32(vpaddq_s32(v[0], v[1]), vpaddq_s32(v[2], v[3]));
}

static inline void resample_h_taps_neon(const uint8_t *const src[2], int16_t *const dst[2], const uint32_t *first,
                                        const int16_t *weights, size_t taps, size_t n) {
    size_t x = 0;

    for (; x + 4 <= n; x += 4, weights += 4 * taps) {
        int32x4_t sum0[4], sum1[4]; /* four partial sums per result, for each row */
        for (size_t i = 0; i < 4; i++) {
            const uint8_t *const s0 = src[0] + first[x + i], *const s1 = src[1] + first[x + i];
            sum0[i] = sum1[i] = vdupq_n_s32(0);
            for (size_t k = 0; k < taps; k += 8) {
                const int16x8_t w = vld1q_s16(weights + i * taps + k);
                sum0[i] = dot8_neon(sum0[i], s0 + k, w);
                sum1[i] = dot8_neon(sum1[i], s1 + k, w);
            }
        }
        vst1_s16(dst[0] + x, vqrshrn_n_s32(sum4_neon(sum0), 8));
        vst1_s16(dst[1] + x, vqrshrn_n_s32(sum4_neon(sum1), 8));
    }
    int16_t *const rest[2] = {dst[0] + x, dst[1] + x};
    resample_h_c(src, rest, first + x, weights, taps, n - x);
}

static void resample_h_q6_neon(const int16_t *const src[2], int16_t *const dst[2], const uint32_t *first,
                               const int16_t *weights, size_t taps, size_t n) {
    size_t x = 0;

    for (; x + 4 <= n; x += 4, weights += 4 * taps) {
        for (int r = 0; r < 2; r++) {
            int32x4_t sums[4]; /* four partial sums per result */
            for (size_t i = 0; i < 4; i++) {
                const int16_t *const s = src[r] + first[x + i], *const w = weights + i * taps;
                sums[i] = vdupq_n_s32(0);
                for (size_t k = 0; k < taps; k += 8) {
                    const int16x8_t samples = vld1q_s16(s + k), factors = vld1q_s16(w + k);
                    sums[i] = vmlal_s16(sums[i], vget_low_s16(samples), vget_low_s16(factors));
                    sums[i] = vmlal_high_s16(sums[i], samples, factors);
                }
            }
            vst1_s16(dst[r] + x, vqrshrn_n_s32(sum4_neon(sums), 14));
        }
    }
    int16_t *const rest[2] = {dst[0] + x, dst[1] + x};
    resample_h_q6_c(src, rest, first + x, weights, taps, n - x);
}

/* Separate loops for 8 and 16 taps, as with AVX2. */
static void resample_h_neon(const uint8_t *const src[2], int16_t *const dst[2], const uint32_t *first,
                            const int16_t *weights, size_t taps, size_t n) {
    if (taps == 8) resample_h_taps_neon(src, dst, first, weights, 8, n);
    else if (taps == 16) resample_h_taps_neon(src, dst, first, weights, 16, n);
    else resample_h_taps_neon(src, dst, first, weights, taps, n);
}

/* A quad's four sums: the look-up gathers and widens, an index from 16 on gives 0. */
static inline int16x4_t sum_quad_neon(const uint8_t *src, const fi_quad *steps, size_t pairs) {
    const uint8x16_t bytes = vld1q_u8(src);
    int32x4_t lo = vdupq_n_s32(0), hi = lo; /* results 0 0 1 1 and 2 2 3 3, two taps each */
    for (size_t p = 0; p < pairs; p++) {
        const int16x8_t v = vreinterpretq_s16_u8(vqtbl1q_u8(bytes, vld1q_u8(steps[p].index)));
        const int16x8_t w = vld1q_s16(steps[p].weights);
        lo = vmlal_s16(lo, vget_low_s16(v), vget_low_s16(w));
        hi = vmlal_high_s16(hi, v, w);
    }
    return vqrshrn_n_s32(vpaddq_s32(lo, hi), 8);
}

static void resample_h_shuffle_neon(const uint8_t *const src[FI_SHUFFLE_ROWS], int16_t *const dst[FI_SHUFFLE_ROWS],
                                    const uint32_t *base, const fi_quad *quads, size_t pairs, size_t n) {
    const size_t padded = (n + 7) & ~(size_t)7;
    for (size_t x = 0; x < padded; x += 4, base++, quads += pairs) {
        for (int r = 0; r < FI_SHUFFLE_ROWS; r++) {
            vst1_s16(dst[r] + x, sum_quad_neon(src[r] + *base, quads, pairs));
        }
    }
}

/* 16 results at a time: four independent sums hide the latency of multiplication. */
static void resample_v_neon(const int16_t *const *rows, const int16_t *weights, size_t taps, int16_t *dst, size_t n) {
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        int32x4_t a = vdupq_n_s32(0), b = a, c = a, d = a;
        for (size_t k = 0; k < taps; k++) {
            const int16x8_t w = vld1q_dup_s16(weights + k);
            const int16x8_t v0 = vld1q_s16(rows[k] + i), v1 = vld1q_s16(rows[k] + i + 8);
            a = vmlal_s16(a, vget_low_s16(v0), vget_low_s16(w));
            b = vmlal_high_s16(b, v0, w);
            c = vmlal_s16(c, vget_low_s16(v1), vget_low_s16(w));
            d = vmlal_high_s16(d, v1, w);
        }
        vst1q_s16(dst + i, vqrshrn_high_n_s32(vqrshrn_n_s32(a, 14), b, 14));
        vst1q_s16(dst + i + 8, vqrshrn_high_n_s32(vqrshrn_n_s32(c, 14), d, 14));
    }
    for (; i < n; i++) {
        int32_t sum = 8192;
        for (size_t k = 0; k < taps; k++) sum += weights[k] * rows[k][i];
        dst[i] = fi_clamp16(sum >> 14);
    }
}

static void round_q6_neon(const int16_t *src, uint8_t *dst, size_t n) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const uint8x8_t lo = vqrshrun_n_s16(vld1q_s16(src + i), 6);
        vst1q_u8(dst + i, vqrshrun_high_n_s16(lo, vld1q_s16(src + i + 8), 6));
    }
    round_q6_c(src + i, dst + i, n - i);
}

/* vqrdmulh(a, b) is fi_scale16(a, b), as it doubles the product: (2 a b + 32768) >> 16. */
static void ycc_q6_to_rgb_neon(const int16_t *const ycc[3], uint8_t *const rgb[3], size_t n) {
    const int16x8_t zero = vdupq_n_s16(CHROMA_ZERO);
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        const int16x8_t y = vld1q_s16(ycc[0] + i);
        const int16x8_t cb = vqsubq_s16(vld1q_s16(ycc[1] + i), zero), cr = vqsubq_s16(vld1q_s16(ycc[2] + i), zero);
        const int16x8_t r = vqaddq_s16(cr, vqrdmulhq_n_s16(cr, FI_R_CR));
        const int16x8_t g = vqaddq_s16(vqrdmulhq_n_s16(cb, FI_G_CB), vqrdmulhq_n_s16(cr, FI_G_CR));
        const int16x8_t b = vqaddq_s16(cb, vqrdmulhq_n_s16(cb, FI_B_CB));
        vst1_u8(rgb[0] + i, vqrshrun_n_s16(vqaddq_s16(y, r), 6));
        vst1_u8(rgb[1] + i, vqrshrun_n_s16(vqsubq_s16(y, g), 6));
        vst1_u8(rgb[2] + i, vqrshrun_n_s16(vqaddq_s16(y, b), 6));
    }
    const int16_t *const rest[3] = {ycc[0] + i, ycc[1] + i, ycc[2] + i};
    uint8_t *const to[3] = {rgb[0] + i, rgb[1] + i, rgb[2] + i};
    ycc_q6_to_rgb_c(rest, to, n - i);
}
