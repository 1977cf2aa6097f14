/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AVX2 versions of the inverse DCTs. That to 8 x 8 samples does columns first, in Q13, with libjpeg-turbo's rounding,
 * and with what its SIMD versions for x86 do to numbers that do not fit into 16 bits: dequantised ones and sums of two
 * wrap around, results of the columns are clamped. A register holds a row of 8 numbers of two blocks, one block per
 * lane.
 */
#include "pixels/x86/avx2.h"

/* Both passes of idct_4, on four columns and then on four rows: 32-bit sums of exact products. */
FI_AVX2 static inline void idct_4_pass_avx2(__m128i x01, __m128i x23, int shift, __m128i *out01, __m128i *out23) {
    /* weights for pairs (x0, x2) and (x1, x3) */
    const __m128i even0 = _mm_set1_epi32(IDCT_ONE << 16 | IDCT_ONE),
                  even1 = _mm_set1_epi32(-IDCT_ONE * 65536 + IDCT_ONE);
    const __m128i odd0 = _mm_set1_epi32(IDCT_SIN << 16 | IDCT_COS), odd1 = _mm_set1_epi32(-IDCT_COS * 65536 + IDCT_SIN);
    const __m128i x02 = _mm_unpacklo_epi16(x01, x23), x13 = _mm_unpackhi_epi16(x01, x23);
    const __m128i half = _mm_set1_epi32(1 << (shift - 1));
    const __m128i e0 = _mm_add_epi32(_mm_madd_epi16(x02, even0), half);
    const __m128i e1 = _mm_add_epi32(_mm_madd_epi16(x02, even1), half);
    const __m128i o0 = _mm_madd_epi16(x13, odd0), o1 = _mm_madd_epi16(x13, odd1);

    *out01 =
        _mm_packs_epi32(_mm_srai_epi32(_mm_add_epi32(e0, o0), shift), _mm_srai_epi32(_mm_add_epi32(e1, o1), shift));
    *out23 =
        _mm_packs_epi32(_mm_srai_epi32(_mm_sub_epi32(e1, o1), shift), _mm_srai_epi32(_mm_sub_epi32(e0, o0), shift));
}

/* Rows 2 r and 2 r + 1 of four dequantised coefficients each. */
FI_AVX2 static inline __m128i dequantise_two(const int16_t *x, const uint16_t *q) {
    const __m128i xs =
        _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)x), _mm_loadl_epi64((const __m128i *)(x + 8)));
    const __m128i qs =
        _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)q), _mm_loadl_epi64((const __m128i *)(q + 8)));
    return _mm_mullo_epi16(xs, qs);
}

FI_AVX2 static void idct_4_avx2(const int16_t *x, const uint16_t *q, uint8_t *const *rows, size_t column) {
    const __m128i transpose_bytes = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m128i v01, v23;

    idct_4_pass_avx2(dequantise_two(x, q), dequantise_two(x + 16, q + 16), IDCT_BITS - 2, &v01, &v23);
    /* v01: 00 01 02 03 10 11 12 13, v23: 20 21 ... 33, to columns 0 and 1, 2 and 3 */
    const __m128i even = _mm_unpacklo_epi16(v01, v23),
                  odd = _mm_unpackhi_epi16(v01, v23); /* 00 20 01 21 .., 10 30 .. */
    v01 = _mm_unpacklo_epi16(even, odd);
    v23 = _mm_unpackhi_epi16(even, odd);
    idct_4_pass_avx2(v01, v23, IDCT_BITS + 5, &v01, &v23);
    const __m128i zero = _mm_set1_epi16(128);
    __m128i bytes = _mm_packus_epi16(_mm_adds_epi16(v01, zero), _mm_adds_epi16(v23, zero)); /* by columns */
    bytes = _mm_shuffle_epi8(bytes, transpose_bytes);
    for (int r = 0; r < 4; r++, bytes = _mm_srli_si128(bytes, 4)) {
        const int32_t four = _mm_cvtsi128_si32(bytes);
        memcpy(rows[r] + column, &four, 4);
    }
}

/*
 * ---- 8 x 8 samples ------------------------------------------------------------------------------------------------
 */

/* a x + b y for interleaved pairs (x, y). */
FI_AVX2 static inline __m256i weigh(__m256i pairs, int a, int b) {
    return _mm256_madd_epi16(pairs, _mm256_set1_epi32((int)((unsigned)b << 16 | ((unsigned)a & 0xFFFF))));
}

FI_AVX2 static inline __m256i interleave(__m256i a, __m256i b, bool high) {
    return high ? _mm256_unpackhi_epi16(a, b) : _mm256_unpacklo_epi16(a, b);
}

/* Half of 8 rows' sums before rounding: row i is even[i] + odd[i], row 7 - i is even[i] - odd[i]. */
typedef struct {
    __m256i even[4], odd[4];
} half_sums;

FI_AVX2 static inline void sum_half(half_sums *sums, const __m256i r[8], __m256i rounding, bool high) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i s = interleave(zero, _mm256_add_epi16(r[0], r[4]), high);
    const __m256i d = interleave(zero, _mm256_sub_epi16(r[0], r[4]), high);
    const __m256i s13 = _mm256_add_epi32(_mm256_srai_epi32(s, 3), rounding);
    const __m256i d13 = _mm256_add_epi32(_mm256_srai_epi32(d, 3), rounding);
    const __m256i r26 = interleave(r[2], r[6], high);
    const __m256i t2 = weigh(r26, F_0_541, F_0_541 - F_1_847), t3 = weigh(r26, F_0_541 + F_0_765, F_0_541);

    sums->even[0] = _mm256_add_epi32(s13, t3);
    sums->even[1] = _mm256_add_epi32(d13, t2);
    sums->even[2] = _mm256_sub_epi32(d13, t2);
    sums->even[3] = _mm256_sub_epi32(s13, t3);

    const __m256i z = interleave(_mm256_add_epi16(r[3], r[7]), _mm256_add_epi16(r[1], r[5]), high);
    const __m256i z3 = weigh(z, F_1_175 - F_1_961, F_1_175), z4 = weigh(z, F_1_175, F_1_175 - F_0_390);
    const __m256i r71 = interleave(r[7], r[1], high), r53 = interleave(r[5], r[3], high);
    sums->odd[0] = _mm256_add_epi32(weigh(r71, -F_0_899, F_1_501 - F_0_899), z4);
    sums->odd[1] = _mm256_add_epi32(weigh(r53, -F_2_562, F_3_072 - F_2_562), z3);
    sums->odd[2] = _mm256_add_epi32(weigh(r53, F_2_053 - F_2_562, -F_2_562), z4);
    sums->odd[3] = _mm256_add_epi32(weigh(r71, F_0_298 - F_0_899, -F_0_899), z3);
}

/* The same where rows 4 to 7 are zero. */
FI_AVX2 static inline void sum_half_low(half_sums *sums, const __m256i r[4], __m256i rounding, bool high) {
    const __m256i r02 = interleave(r[0], r[2], high), r13 = interleave(r[1], r[3], high);
    const int one = 1 << 13, z33 = F_1_175 - F_1_961, z44 = F_1_175 - F_0_390;

    sums->even[0] = _mm256_add_epi32(weigh(r02, one, F_0_541 + F_0_765), rounding);
    sums->even[1] = _mm256_add_epi32(weigh(r02, one, F_0_541), rounding);
    sums->even[2] = _mm256_add_epi32(weigh(r02, one, -F_0_541), rounding);
    sums->even[3] = _mm256_add_epi32(weigh(r02, one, -F_0_541 - F_0_765), rounding);
    sums->odd[0] = weigh(r13, F_1_501 - F_0_899 + z44, F_1_175);
    sums->odd[1] = weigh(r13, F_1_175, F_3_072 - F_2_562 + z33);
    sums->odd[2] = weigh(r13, z44, F_1_175 - F_2_562);
    sums->odd[3] = weigh(r13, F_1_175 - F_0_899, z33);
}

/* Eight columns in place; or eight rows, if they were transposed. low: r[4] to r[7] are zero. */
FI_AVX2 static inline void idct_pass(__m256i r[8], int shift, bool low) {
    const __m256i rounding = _mm256_set1_epi32(1 << (shift - 1));
    half_sums lo, hi;

    if (low) {
        sum_half_low(&lo, r, rounding, false);
        sum_half_low(&hi, r, rounding, true);
    } else {
        sum_half(&lo, r, rounding, false);
        sum_half(&hi, r, rounding, true);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_packs_epi32(_mm256_srai_epi32(_mm256_add_epi32(lo.even[i], lo.odd[i]), shift),
                                  _mm256_srai_epi32(_mm256_add_epi32(hi.even[i], hi.odd[i]), shift));
        r[7 - i] = _mm256_packs_epi32(_mm256_srai_epi32(_mm256_sub_epi32(lo.even[i], lo.odd[i]), shift),
                                      _mm256_srai_epi32(_mm256_sub_epi32(hi.even[i], hi.odd[i]), shift));
    }
}

/* Three rounds; each interleaves row k with row k + 4, as transpose16 does. */
FI_AVX2 static inline void transpose8(__m256i r[8]) {
    __m256i w[8];

    for (int round = 0; round < 3; round++) {
        for (int k = 0; k < 4; k++) {
            w[2 * k] = _mm256_unpacklo_epi16(r[k], r[k + 4]);
            w[2 * k + 1] = _mm256_unpackhi_epi16(r[k], r[k + 4]);
        }
        for (int k = 0; k < 8; k++) r[k] = w[k];
    }
}

/*
 * Columns and transposition if only 4 x 4 coefficients are not zero: r[0 .. 4) become columns. Registers hold rows i
 * and i + 4 of 4 columns; two rounds of interleaving put four rows side by side, and a third joins the fours.
 */
FI_AVX2 static inline void idct_columns_low(__m256i r[4]) {
    half_sums sums;
    __m256i w[4], v[4];

    sum_half_low(&sums, r, _mm256_set1_epi32(1 << (COLUMN_SHIFT - 1)), false);
    for (int i = 0; i < 4; i++) {
        w[i] = _mm256_srai_epi32(_mm256_add_epi32(sums.even[i], sums.odd[i]), COLUMN_SHIFT);
        /* Row 7 - i is row 3 - i of the lower four. */
        v[3 - i] = _mm256_srai_epi32(_mm256_sub_epi32(sums.even[i], sums.odd[i]), COLUMN_SHIFT);
    }
    for (int i = 0; i < 4; i++) w[i] = _mm256_packs_epi32(w[i], v[i]);
    const __m256i a = _mm256_unpacklo_epi16(w[0], w[1]), b = _mm256_unpacklo_epi16(w[2], w[3]);
    const __m256i c = _mm256_unpackhi_epi16(w[0], w[1]), d = _mm256_unpackhi_epi16(w[2], w[3]);
    const __m256i ab01 = _mm256_unpacklo_epi32(a, b), ab23 = _mm256_unpackhi_epi32(a, b);
    const __m256i cd01 = _mm256_unpacklo_epi32(c, d), cd23 = _mm256_unpackhi_epi32(c, d);
    r[0] = _mm256_unpacklo_epi64(ab01, cd01);
    r[1] = _mm256_unpackhi_epi64(ab01, cd01);
    r[2] = _mm256_unpacklo_epi64(ab23, cd23);
    r[3] = _mm256_unpackhi_epi64(ab23, cd23);
}

/*
 * libjpeg takes a shortcut if rows 1 to 7 of a block are zero: row 0 is shifted, and wraps around instead of being
 * clamped. Wrapping it beforehand changes nothing for numbers that fit.
 */
FI_AVX2 static inline __m256i wrap_lone_row(const __m256i *r, int rows, const int16_t *x0, const int16_t *x1) {
    const __m256i wrapped = _mm256_srai_epi16(_mm256_slli_epi16(r[0], 2), 2);
    int16_t rest[2] = {0};

    if (_mm256_movemask_epi8(_mm256_cmpeq_epi16(wrapped, r[0])) == -1) return r[0];
    for (int k = 8; k < 8 * rows; k++) {
        rest[0] |= x0[k];
        rest[1] |= x1[k];
    }
    return _mm256_blend_epi32(rest[0] ? r[0] : wrapped, rest[1] ? r[0] : wrapped, 0xF0);
}

/* Columns of samples less 128 to rows of bytes: an 8 x 8 transposition that interleaves 1, 2 and 4 bytes. */
FI_AVX2 static inline void store_columns(const __m256i r[8], const fi_block *first, const fi_block *second) {
    const __m256i middle = _mm256_set1_epi8(-128);
    __m256i p[4], w[4];

    for (int k = 0; k < 4; k++) p[k] = _mm256_xor_si256(_mm256_packs_epi16(r[k], r[k + 4]), middle);
    w[0] = _mm256_unpacklo_epi8(p[0], p[1]); /* columns 0 and 1 */
    w[1] = _mm256_unpacklo_epi8(p[2], p[3]); /* 2 and 3 */
    w[2] = _mm256_unpackhi_epi8(p[0], p[1]); /* 4 and 5 */
    w[3] = _mm256_unpackhi_epi8(p[2], p[3]); /* 6 and 7 */
    p[0] = _mm256_unpacklo_epi16(w[0], w[1]);
    p[1] = _mm256_unpackhi_epi16(w[0], w[1]);
    p[2] = _mm256_unpacklo_epi16(w[2], w[3]);
    p[3] = _mm256_unpackhi_epi16(w[2], w[3]);
    w[0] = _mm256_unpacklo_epi32(p[0], p[2]); /* rows 0 and 1 */
    w[1] = _mm256_unpackhi_epi32(p[0], p[2]);
    w[2] = _mm256_unpacklo_epi32(p[1], p[3]);
    w[3] = _mm256_unpackhi_epi32(p[1], p[3]);
    for (int k = 0; k < 4; k++) {
        const __m128i one = _mm256_castsi256_si128(w[k]), other = _mm256_extracti128_si256(w[k], 1);
        _mm_storel_epi64((__m128i *)(void *)(first->rows[2 * k] + first->column), one);
        _mm_storeh_pi((__m64 *)(void *)(first->rows[2 * k + 1] + first->column), _mm_castsi128_ps(one));
        _mm_storel_epi64((__m128i *)(void *)(second->rows[2 * k] + second->column), other);
        _mm_storeh_pi((__m64 *)(void *)(second->rows[2 * k + 1] + second->column), _mm_castsi128_ps(other));
    }
}

FI_AVX2 static inline __m256i load_lanes(const void *first, const void *second) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(first)), _mm_loadu_si128(second), 1);
}

FI_AVX2 static inline void load_rows(__m256i *r, int rows, const fi_block *first, const fi_block *second) {
    for (int k = 0; k < rows; k++) {
        r[k] = _mm256_mullo_epi16(load_lanes(first->coefficients + 8 * k, second->coefficients + 8 * k),
                                  load_lanes(first->quantisation + 8 * k, second->quantisation + 8 * k));
    }
    r[0] = wrap_lone_row(r, rows, first->coefficients, second->coefficients);
}

FI_AVX2 static void idct_8_avx2(const fi_block *first, const fi_block *second, bool low) {
    __m256i r[8];

    if (low) {
        load_rows(r, 4, first, second);
        idct_columns_low(r);
    } else {
        load_rows(r, 8, first, second);
        idct_pass(r, COLUMN_SHIFT, false);
        transpose8(r);
    }
    idct_pass(r, ROW_SHIFT, low);
    store_columns(r, first, second);
}
