/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX2 versions of the resampling kernels. Sums of products are exact, so their order does not matter. */
#include "pixels/x86/avx2.h"

/* Two rows of samples of `item` bytes: pixels, or Q6. */
typedef struct {
    const uint8_t *rows[2];
    size_t item;
} two_rows;

/* 8 samples of each row, from sample i on, as 16-bit numbers, one row per lane. */
FI_AVX2_INLINE __m256i load_two(const two_rows *src, size_t i) {
    const void *a = src->rows[0] + i * src->item, *b = src->rows[1] + i * src->item;
    if (src->item == 2) return load_lanes(a, b);
    return _mm256_cvtepu8_epi16(_mm_unpacklo_epi64(_mm_loadl_epi64(a), _mm_loadl_epi64(b)));
}

/* One result's products in both rows: four partial sums per lane. */
FI_AVX2_INLINE __m256i dot_two(const two_rows *src, size_t first, const int16_t *weights, size_t taps) {
    __m256i sum = _mm256_madd_epi16(load_two(src, first), both_lanes(weights));
    for (size_t k = 8; k < taps; k += 8) {
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(load_two(src, first + k), both_lanes(weights + k)));
    }
    return sum;
}

/* Four results in both rows as 32-bit sums, one row per lane. */
FI_AVX2_INLINE __m256i dot_two_x4(const two_rows *src, const uint32_t *first, const int16_t *weights, size_t taps) {
    __m256i s[4];
    for (size_t i = 0; i < 4; i++) s[i] = dot_two(src, first[i], weights + i * taps, taps);
    return _mm256_hadd_epi32(_mm256_hadd_epi32(s[0], s[1]), _mm256_hadd_epi32(s[2], s[3]));
}

/* Returns how many results it has made: a multiple of 8. */
FI_AVX2_INLINE size_t resample_h_taps(const two_rows *src, int16_t *const dst[2], const uint32_t *first,
                                      const int16_t *weights, size_t taps, size_t n) {
    const int shift = src->item == 2 ? 14 : 8;
    const __m256i half = _mm256_set1_epi32(1 << (shift - 1));
    size_t x = 0;

    for (; x + 8 <= n; x += 8, weights += 8 * taps) {
        __m256i lo = dot_two_x4(src, first + x, weights, taps);
        __m256i hi = dot_two_x4(src, first + x + 4, weights + 4 * taps, taps);
        lo = _mm256_srai_epi32(_mm256_add_epi32(lo, half), shift);
        hi = _mm256_srai_epi32(_mm256_add_epi32(hi, half), shift);
        const __m256i q6 = _mm256_packs_epi32(lo, hi); /* 8 results of row 0 | of row 1 */
        _mm_storeu_si128((__m128i *)(dst[0] + x), _mm256_castsi256_si128(q6));
        _mm_storeu_si128((__m128i *)(dst[1] + x), _mm256_extracti128_si256(q6, 1));
    }
    return x;
}

/* Separate loops for 8 and 16 taps, which is enough for most images. */
FI_AVX2_INLINE size_t resample_h_any(const two_rows *src, int16_t *const dst[2], const uint32_t *first,
                                     const int16_t *weights, size_t taps, size_t n) {
    if (taps == 8) return resample_h_taps(src, dst, first, weights, 8, n);
    if (taps == 16) return resample_h_taps(src, dst, first, weights, 16, n);
    return resample_h_taps(src, dst, first, weights, taps, n);
}

FI_AVX2 static void resample_h_avx2(const uint8_t *const src[2], int16_t *const dst[2], const uint32_t *first,
                                    const int16_t *weights, size_t taps, size_t n) {
    const two_rows rows = {{src[0], src[1]}, 1};
    const size_t x = resample_h_any(&rows, dst, first, weights, taps, n);
    int16_t *const rest[2] = {dst[0] + x, dst[1] + x};
    resample_h_c(src, rest, first + x, weights + x * taps, taps, n - x);
}

FI_AVX2 static void resample_h_q6_avx2(const int16_t *const src[2], int16_t *const dst[2], const uint32_t *first,
                                       const int16_t *weights, size_t taps, size_t n) {
    const two_rows rows = {{(const uint8_t *)src[0], (const uint8_t *)src[1]}, 2};
    const size_t x = resample_h_any(&rows, dst, first, weights, taps, n);
    int16_t *const rest[2] = {dst[0] + x, dst[1] + x};
    resample_h_q6_c(src, rest, first + x, weights + x * taps, taps, n - x);
}

/* A quad's four sums in all rows, one row per lane. The shuffle gathers and widens, and no sum crosses a lane. */
FI_AVX2_INLINE void sum_quad(const uint8_t *const src[FI_SHUFFLE_ROWS], uint32_t base, const fi_quad *steps,
                             size_t pairs, __m256i sums[2]) {
    const __m256i upper = load_lanes(src[0] + base, src[1] + base), lower = load_lanes(src[2] + base, src[3] + base);
    __m256i a = _mm256_set1_epi32(128), b = a;

    for (size_t p = 0; p < pairs; p++) {
        const __m256i index = both_lanes(steps[p].index), weights = both_lanes(steps[p].weights);
        a = _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_shuffle_epi8(upper, index), weights));
        b = _mm256_add_epi32(b, _mm256_madd_epi16(_mm256_shuffle_epi8(lower, index), weights));
    }
    sums[0] = _mm256_srai_epi32(a, 8);
    sums[1] = _mm256_srai_epi32(b, 8);
}

FI_AVX2_INLINE void resample_h_shuffle_pairs(const uint8_t *const src[FI_SHUFFLE_ROWS],
                                             int16_t *const dst[FI_SHUFFLE_ROWS], const uint32_t *base,
                                             const fi_quad *quads, size_t pairs, size_t n) {
    for (size_t x = 0; x < n; x += 8, base += 2, quads += 2 * pairs) {
        __m256i lo[2], hi[2];
        sum_quad(src, base[0], quads, pairs, lo);
        sum_quad(src, base[1], quads + pairs, pairs, hi);
        for (int k = 0; k < 2; k++) {
            const __m256i q6 = _mm256_packs_epi32(lo[k], hi[k]); /* 8 results of one row | of the next */
            _mm_storeu_si128((__m128i *)(dst[2 * k] + x), _mm256_castsi256_si128(q6));
            _mm_storeu_si128((__m128i *)(dst[2 * k + 1] + x), _mm256_extracti128_si256(q6, 1));
        }
    }
}

/* Separate loops for up to four pairs: enlarging, and reductions up to about 3. */
FI_AVX2 static void resample_h_shuffle_avx2(const uint8_t *const src[FI_SHUFFLE_ROWS],
                                            int16_t *const dst[FI_SHUFFLE_ROWS], const uint32_t *base,
                                            const fi_quad *quads, size_t pairs, size_t n) {
    switch (pairs) {
        case 1:
            resample_h_shuffle_pairs(src, dst, base, quads, 1, n);
            break;
        case 2:
            resample_h_shuffle_pairs(src, dst, base, quads, 2, n);
            break;
        case 3:
            resample_h_shuffle_pairs(src, dst, base, quads, 3, n);
            break;
        case 4:
            resample_h_shuffle_pairs(src, dst, base, quads, 4, n);
            break;
        default:
            resample_h_shuffle_pairs(src, dst, base, quads, pairs, n);
    }
}

/* Two weights, again and again. */
FI_AVX2_INLINE __m256i spread_pair(const int16_t *weights) {
    int32_t pair;
    memcpy(&pair, weights, sizeof pair);
    return _mm256_set1_epi32(pair);
}

#define MAX_FIXED_TAPS 6

/* Returns how many results it has made: a multiple of 16. Rows and weights of a few taps stay in registers. */
FI_AVX2_INLINE size_t resample_v_taps(const int16_t *const *rows, const int16_t *weights, size_t taps, int16_t *dst,
                                      size_t n) {
    const __m256i half = _mm256_set1_epi32(8192);
    const bool fixed = taps <= MAX_FIXED_TAPS;
    const int16_t *row[MAX_FIXED_TAPS];
    __m256i pair[MAX_FIXED_TAPS / 2];
    size_t i = 0;

    for (size_t k = 0; fixed && k < taps; k++) row[k] = rows[k];
    for (size_t k = 0; fixed && k < taps; k += 2) pair[k / 2] = spread_pair(weights + k);
    for (; i + 16 <= n; i += 16) {
        __m256i lo = half, hi = half;
        for (size_t k = 0; k < taps; k += 2) {
            const __m256i w = fixed ? pair[k / 2] : spread_pair(weights + k);
            const __m256i a = _mm256_loadu_si256((const __m256i *)((fixed ? row : rows)[k] + i));
            const __m256i b = _mm256_loadu_si256((const __m256i *)((fixed ? row : rows)[k + 1] + i));
            lo = _mm256_add_epi32(lo, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), w));
            hi = _mm256_add_epi32(hi, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), w));
        }
        /* Packing undoes what unpacking did to the order, lane by lane. */
        _mm256_storeu_si256((__m256i *)(dst + i),
                            _mm256_packs_epi32(_mm256_srai_epi32(lo, 14), _mm256_srai_epi32(hi, 14)));
    }
    return i;
}

FI_AVX2 static void resample_v_avx2(const int16_t *const *rows, const int16_t *weights, size_t taps, int16_t *dst,
                                    size_t n) {
    size_t i = taps == 2   ? resample_v_taps(rows, weights, 2, dst, n)
               : taps == 4 ? resample_v_taps(rows, weights, 4, dst, n)
               : taps == 6 ? resample_v_taps(rows, weights, 6, dst, n)
                           : resample_v_taps(rows, weights, taps, dst, n);

    for (; i < n; i++) {
        int32_t sum = 8192;
        for (size_t k = 0; k < taps; k++) sum += weights[k] * rows[k][i];
        dst[i] = fi_clamp16(sum >> 14);
    }
}

/* 2 x 16 Q6 values to 32 pixels. */
FI_AVX2 static inline __m256i round_q6_x32(__m256i a, __m256i b) {
    const __m256i half = _mm256_set1_epi16(32);
    a = _mm256_srai_epi16(_mm256_adds_epi16(a, half), 6);
    b = _mm256_srai_epi16(_mm256_adds_epi16(b, half), 6);
    return _mm256_permute4x64_epi64(_mm256_packus_epi16(a, b), 0xD8);
}

FI_AVX2 static void round_q6_avx2(const int16_t *src, uint8_t *dst, size_t n) {
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const __m256i a = _mm256_loadu_si256((const __m256i *)(src + i));
        const __m256i b = _mm256_loadu_si256((const __m256i *)(src + i + 16));
        _mm256_storeu_si256((__m256i *)(dst + i), round_q6_x32(a, b));
    }
    round_q6_c(src + i, dst + i, n - i);
}

FI_AVX2 static void ycc_q6_to_rgb_avx2(const int16_t *const ycc[3], uint8_t *const rgb[3], size_t n) {
    const __m256i zero = _mm256_set1_epi16(CHROMA_ZERO);
    const __m256i r_cr = _mm256_set1_epi16(FI_R_CR), g_cb = _mm256_set1_epi16(FI_G_CB);
    const __m256i g_cr = _mm256_set1_epi16(FI_G_CR), b_cb = _mm256_set1_epi16(FI_B_CB);
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        __m256i r[2], g[2], b[2];
        for (int h = 0; h < 2; h++) {
            const size_t at = i + 16 * (size_t)h;
            const __m256i y = _mm256_loadu_si256((const __m256i *)(ycc[0] + at));
            const __m256i cb = _mm256_subs_epi16(_mm256_loadu_si256((const __m256i *)(ycc[1] + at)), zero);
            const __m256i cr = _mm256_subs_epi16(_mm256_loadu_si256((const __m256i *)(ycc[2] + at)), zero);
            r[h] = _mm256_adds_epi16(y, _mm256_adds_epi16(cr, _mm256_mulhrs_epi16(cr, r_cr)));
            g[h] =
                _mm256_subs_epi16(y, _mm256_adds_epi16(_mm256_mulhrs_epi16(cb, g_cb), _mm256_mulhrs_epi16(cr, g_cr)));
            b[h] = _mm256_adds_epi16(y, _mm256_adds_epi16(cb, _mm256_mulhrs_epi16(cb, b_cb)));
        }
        _mm256_storeu_si256((__m256i *)(rgb[0] + i), round_q6_x32(r[0], r[1]));
        _mm256_storeu_si256((__m256i *)(rgb[1] + i), round_q6_x32(g[0], g[1]));
        _mm256_storeu_si256((__m256i *)(rgb[2] + i), round_q6_x32(b[0], b[1]));
    }
    const int16_t *const rest[3] = {ycc[0] + i, ycc[1] + i, ycc[2] + i};
    uint8_t *const to[3] = {rgb[0] + i, rgb[1] + i, rgb[2] + i};
    ycc_q6_to_rgb_c(rest, to, n - i);
}
