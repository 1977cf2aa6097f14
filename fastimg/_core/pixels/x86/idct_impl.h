/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AVX2 versions of the inverse DCTs. The one to 8 x 8 samples does columns first, in Q13, with libjpeg-turbo's rounding,
 * and with what its SIMD versions for x86 do to numbers that do not fit into 16 bits: dequantised ones and sums of two
 * wrap around, results of the columns are clamped. A register holds a row of 8 numbers of two blocks, one block per
 * lane.
 */
#include "pixels/x86/avx2.h"

/* ---- fewer samples ---------------------------------------------------------------------------------------------- */

/*
 * Both passes of idct_4, on four columns or four rows per lane: 32-bit sums of exact products, from pairs (x0, x2) and
 * (x1, x3).
 */
FI_AVX2 static inline void idct_4_pass_avx2(__m256i x02, __m256i x13, int add, int shift, __m256i *out01,
                                            __m256i *out23) {
    const __m256i even0 = _mm256_set1_epi32(IDCT_ONE << 16 | IDCT_ONE),
                  even1 = _mm256_set1_epi32(-IDCT_ONE * 65536 + IDCT_ONE);
    const __m256i odd0 = _mm256_set1_epi32(IDCT_SIN << 16 | IDCT_COS),
                  odd1 = _mm256_set1_epi32(-IDCT_COS * 65536 + IDCT_SIN);
    const __m256i e0 = _mm256_add_epi32(_mm256_madd_epi16(x02, even0), _mm256_set1_epi32(add));
    const __m256i e1 = _mm256_add_epi32(_mm256_madd_epi16(x02, even1), _mm256_set1_epi32(add));
    const __m256i o0 = _mm256_madd_epi16(x13, odd0), o1 = _mm256_madd_epi16(x13, odd1);

    *out01 = _mm256_packs_epi32(_mm256_srai_epi32(_mm256_add_epi32(e0, o0), shift),
                                _mm256_srai_epi32(_mm256_add_epi32(e1, o1), shift));
    *out23 = _mm256_packs_epi32(_mm256_srai_epi32(_mm256_sub_epi32(e1, o1), shift),
                                _mm256_srai_epi32(_mm256_sub_epi32(e0, o0), shift));
}

/* Two blocks, one per lane, to rows 0 and 1 and rows 2 and 3. q: the first four rows, in both lanes. */
FI_AVX2 static inline void idct_4_two(const int16_t *first, const int16_t *second, const __m256i q[4], __m256i *rows01,
                                      __m256i *rows23) {
    /* 00 01 02 03 10 11 12 13 to 00 02 10 12 01 03 11 13 */
    const __m256i pairs =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
    __m256i x[4], v01, v23;

    for (int r = 0; r < 4; r++) x[r] = _mm256_mullo_epi16(load_lanes(first + 8 * r, second + 8 * r), q[r]);
    idct_4_pass_avx2(_mm256_unpacklo_epi16(x[0], x[2]), _mm256_unpacklo_epi16(x[1], x[3]), COLUMN_4_ADD, COLUMN_4_SHIFT,
                     &v01, &v23);
    v01 = _mm256_shuffle_epi8(v01, pairs);
    v23 = _mm256_shuffle_epi8(v23, pairs);
    idct_4_pass_avx2(_mm256_unpacklo_epi64(v01, v23), _mm256_unpackhi_epi64(v01, v23), ROW_4_ADD, ROW_4_SHIFT, &v01,
                     &v23);
    /* v01: column 0, then column 1; v23: columns 2 and 3 */
    const __m256i even = _mm256_unpacklo_epi16(v01, v23), odd = _mm256_unpackhi_epi16(v01, v23); /* 00 02 10 12 .. */
    *rows01 = _mm256_unpacklo_epi16(even, odd);
    *rows23 = _mm256_unpackhi_epi16(even, odd);
}

FI_AVX2 static inline void store_halves(void *low, void *high, __m128i v) {
    _mm_storel_epi64(low, v);
    _mm_storeh_pi(high, _mm_castsi128_ps(v));
}

FI_AVX2 static void idct_4_avx2(const fi_block_run *run) {
    int16_t *const rows[4] = {samples_at(run, 0, 0), samples_at(run, 1, 0), samples_at(run, 2, 0),
                              samples_at(run, 3, 0)};
    const int16_t *x = run->coefficients;
    __m256i q[4], rows01, rows23;

    for (int r = 0; r < 4; r++) q[r] = both_lanes(run->quantisation + 8 * r);
    for (size_t i = 0; i < run->count; i += 2, x += 2 * run->pitch) {
        /* The last one of an odd number is done twice. */
        const bool two = i + 1 < run->count;
        const size_t a = i * run->step, b = two ? a + run->step : a;
        idct_4_two(x, two ? x + run->pitch : x, q, &rows01, &rows23);
        store_halves(rows[0] + a, rows[1] + a, _mm256_castsi256_si128(rows01));
        store_halves(rows[2] + a, rows[3] + a, _mm256_castsi256_si128(rows23));
        store_halves(rows[0] + b, rows[1] + b, _mm256_extracti128_si256(rows01, 1));
        store_halves(rows[2] + b, rows[3] + b, _mm256_extracti128_si256(rows23, 1));
    }
}

/* Coefficients 0, 1, 8 and 9 of two blocks. */
FI_AVX2 static inline __m128i load_2x2_two(const int16_t *x, size_t pitch) {
    const __m128i a = _mm_unpacklo_epi32(_mm_loadu_si128((const void *)x), _mm_loadu_si128((const void *)(x + 8)));
    x += pitch;
    const __m128i b = _mm_unpacklo_epi32(_mm_loadu_si128((const void *)x), _mm_loadu_si128((const void *)(x + 8)));
    return _mm_unpacklo_epi64(a, b);
}

FI_AVX2 static inline void store_four(int16_t *const rows[2], size_t step, __m128i v) {
    const int32_t four[4] = {_mm_cvtsi128_si32(v), _mm_extract_epi32(v, 1), _mm_extract_epi32(v, 2),
                             _mm_extract_epi32(v, 3)};
    memcpy(rows[0], &four[0], 4);
    memcpy(rows[0] + step, &four[1], 4);
    memcpy(rows[1], &four[2], 4);
    memcpy(rows[1] + step, &four[3], 4);
}

/* Four blocks at a time: a, b | c, d. */
FI_AVX2 static void idct_2_avx2(const fi_block_run *run) {
    const size_t pitch = run->pitch, step = run->step;
    const __m256i sum = _mm256_set1_epi16(1), difference = _mm256_set1_epi32(-1 * 65536 + 1);
    const __m256i middle = _mm256_set1_epi32(128 << 6);
    const __m256i q = _mm256_broadcastsi128_si256(load_2x2_two((const int16_t *)run->quantisation, 0));
    const int16_t *x = run->coefficients;
    size_t i = 0;

    for (; i + 4 <= run->count; i += 4, x += 4 * pitch) {
        const __m256i v = _mm256_mullo_epi16(_mm256_inserti128_si256(_mm256_castsi128_si256(load_2x2_two(x, pitch)),
                                                                     load_2x2_two(x + 2 * pitch, pitch), 1),
                                             q);
        /* Each row's sum and difference: of a's rows, then of b's. */
        const __m256i s = _mm256_madd_epi16(v, sum), d = _mm256_madd_epi16(v, difference);
        const __m256i sd_a = _mm256_unpacklo_epi32(s, d), sd_b = _mm256_unpackhi_epi32(s, d);
        const __m256i row0 = _mm256_unpacklo_epi64(sd_a, sd_b), row1 = _mm256_unpackhi_epi64(sd_a, sd_b);
        const __m256i top = _mm256_slli_epi32(_mm256_add_epi32(row0, row1), 3);
        const __m256i bottom = _mm256_slli_epi32(_mm256_sub_epi32(row0, row1), 3);
        const __m256i q6 = _mm256_packs_epi32(_mm256_add_epi32(top, middle), _mm256_add_epi32(bottom, middle));
        int16_t *const ab[2] = {samples_at(run, 0, i), samples_at(run, 1, i)};
        int16_t *const cd[2] = {ab[0] + 2 * step, ab[1] + 2 * step};
        store_four(ab, step, _mm256_castsi256_si128(q6));
        store_four(cd, step, _mm256_extracti128_si256(q6, 1));
    }
    idct_2_from(run, i);
}

/* Two rows of 8 pixels as pairs of 16-bit numbers, one per column. */
FI_AVX2 static inline __m256i pair_rows(const uint8_t *upper, const uint8_t *lower) {
    return _mm256_cvtepu8_epi16(
        _mm_unpacklo_epi8(_mm_loadl_epi64((const void *)upper), _mm_loadl_epi64((const void *)lower)));
}

/* Row r of the weights times 8 rows of pixels: 8 Q6 samples, as 32-bit numbers. */
FI_AVX2 static inline __m256i weigh_columns(const __m256i pairs[4], const int16_t weights[8]) {
    __m256i total = _mm256_set1_epi32(128);
    for (int k = 0; k < 4; k++) {
        int32_t pair;
        memcpy(&pair, weights + 2 * k, sizeof pair);
        total = _mm256_add_epi32(total, _mm256_madd_epi16(pairs[k], _mm256_set1_epi32(pair)));
    }
    return _mm256_srai_epi32(total, 8);
}

/* Two rows of Q6 samples, one per lane, to sums of `size` samples each: four 32-bit numbers per lane. */
FI_AVX2 static inline __m256i weigh_two_rows(__m256i rows, const int16_t (*weights)[8], unsigned size) {
    const __m256i half = _mm256_set1_epi32(1 << 13);
    const __m256i a = _mm256_hadd_epi32(_mm256_madd_epi16(rows, both_lanes(weights[0])),
                                        _mm256_madd_epi16(rows, both_lanes(weights[1])));
    const __m256i b = size == 2 ? a
                                : _mm256_hadd_epi32(_mm256_madd_epi16(rows, both_lanes(weights[2])),
                                                    _mm256_madd_epi16(rows, both_lanes(weights[3])));
    return _mm256_srai_epi32(_mm256_add_epi32(_mm256_hadd_epi32(a, b), half), 14);
}

FI_AVX2 static inline __m256i reduce_two_rows(const __m256i pairs[4], const int16_t (*weights)[8], unsigned size,
                                              unsigned r) {
    const __m256i packed = _mm256_packs_epi32(weigh_columns(pairs, weights[r]), weigh_columns(pairs, weights[r + 1]));
    /* r: 0 to 3, r + 1: 0 to 3 | r: 4 to 7, r + 1: 4 to 7 */
    return weigh_two_rows(_mm256_permute4x64_epi64(packed, 0xD8), weights, size);
}

FI_AVX2 static void reduce_pixels_avx2(const uint8_t pixels[8][8], unsigned size, uint8_t *const *rows, size_t column) {
    __m256i pairs[4];

    for (int k = 0; k < 4; k++) pairs[k] = pair_rows(pixels[2 * k], pixels[2 * k + 1]);
    if (size == 2) {
        const __m256i q6 = reduce_two_rows(pairs, weights_2, 2, 0), packed = _mm256_packs_epi32(q6, q6);
        const int32_t top = _mm256_cvtsi256_si32(packed), bottom = _mm256_extract_epi32(packed, 4);
        memcpy((int16_t *)(void *)rows[0] + column, &top, 4);
        memcpy((int16_t *)(void *)rows[1] + column, &bottom, 4);
        return;
    }
    /* Rows 0 and 2 | 1 and 3. */
    const __m256i packed =
        _mm256_packs_epi32(reduce_two_rows(pairs, weights_4, 4, 0), reduce_two_rows(pairs, weights_4, 4, 2));
    store_halves((int16_t *)(void *)rows[0] + column, (int16_t *)(void *)rows[2] + column,
                 _mm256_castsi256_si128(packed));
    store_halves((int16_t *)(void *)rows[1] + column, (int16_t *)(void *)rows[3] + column,
                 _mm256_extracti128_si256(packed, 1));
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

/* Half of 8 rows' sums, rounded: row i is even[i] + odd[i], row 7 - i is even[i] - odd[i]. */
typedef struct {
    __m256i even[4], odd[4];
} half_sums;

/*
 * Numbers 0 to 7 of four columns, or of four rows, are pairs: (0, 4), whose sum and difference are in Q13 and rounded;
 * (2, 6), (7, 1) and (3, 5).
 */
FI_AVX2 static inline void sum_half(half_sums *sums, __m256i sum, __m256i difference, __m256i x26, __m256i x71,
                                    __m256i x35) {
    const __m256i t2 = weigh(x26, F_0_541, F_0_541 - F_1_847), t3 = weigh(x26, F_0_541 + F_0_765, F_0_541);

    sums->even[0] = _mm256_add_epi32(sum, t3);
    sums->even[1] = _mm256_add_epi32(difference, t2);
    sums->even[2] = _mm256_sub_epi32(difference, t2);
    sums->even[3] = _mm256_sub_epi32(sum, t3);

    const __m256i z = _mm256_add_epi16(x71, x35);
    const __m256i z3 = weigh(z, F_1_175 - F_1_961, F_1_175), z4 = weigh(z, F_1_175, F_1_175 - F_0_390);
    sums->odd[0] = _mm256_add_epi32(weigh(x71, -F_0_899, F_1_501 - F_0_899), z4);
    sums->odd[1] = _mm256_add_epi32(weigh(x35, F_3_072 - F_2_562, -F_2_562), z3);
    sums->odd[2] = _mm256_add_epi32(weigh(x35, -F_2_562, F_2_053 - F_2_562), z4);
    sums->odd[3] = _mm256_add_epi32(weigh(x71, F_0_298 - F_0_899, -F_0_899), z3);
}

/* The same where numbers 4 to 7 are zero. */
FI_AVX2 static inline void sum_half_low(half_sums *sums, __m256i x02, __m256i x13, int rounding) {
    const __m256i half = _mm256_set1_epi32(rounding);
    const int one = 1 << 13, z33 = F_1_175 - F_1_961, z44 = F_1_175 - F_0_390;

    sums->even[0] = _mm256_add_epi32(weigh(x02, one, F_0_541 + F_0_765), half);
    sums->even[1] = _mm256_add_epi32(weigh(x02, one, F_0_541), half);
    sums->even[2] = _mm256_add_epi32(weigh(x02, one, -F_0_541), half);
    sums->even[3] = _mm256_add_epi32(weigh(x02, one, -F_0_541 - F_0_765), half);
    sums->odd[0] = weigh(x13, F_1_501 - F_0_899 + z44, F_1_175);
    sums->odd[1] = weigh(x13, F_1_175, F_3_072 - F_2_562 + z33);
    sums->odd[2] = weigh(x13, z44, F_1_175 - F_2_562);
    sums->odd[3] = weigh(x13, F_1_175 - F_0_899, z33);
}

/* a x + b y + rounding, a and b being 0 or 1, in Q13. By a multiplication, as there are fewer units that shift. */
FI_AVX2 static inline __m256i to_q13(__m256i pairs, int a, int b, int rounding) {
    return _mm256_add_epi32(weigh(pairs, a * (1 << 13), b * (1 << 13)), _mm256_set1_epi32(rounding));
}

/* ---- its columns ---- */

enum { COLUMN_ADD = 1 << (COLUMN_SHIFT - 1) };

/* The lower or the upper four columns. both: sum and difference of rows 0 and 4. */
FI_AVX2 static inline void sum_columns(half_sums *sums, const __m256i r[8], __m256i both, bool high) {
    sum_half(sums, to_q13(both, 1, 0, COLUMN_ADD), to_q13(both, 0, 1, COLUMN_ADD), interleave(r[2], r[6], high),
             interleave(r[7], r[1], high), interleave(r[3], r[5], high));
}

FI_AVX2 static inline __m256i shift_columns(__m256i low, __m256i high) {
    return _mm256_packs_epi32(_mm256_srai_epi32(low, COLUMN_SHIFT), _mm256_srai_epi32(high, COLUMN_SHIFT));
}

/* 4 x 4 pairs. */
FI_AVX2 static inline void transpose4(const __m256i r[4], __m256i c[4]) {
    const __m256i low01 = _mm256_unpacklo_epi32(r[0], r[1]), low23 = _mm256_unpacklo_epi32(r[2], r[3]);
    const __m256i high01 = _mm256_unpackhi_epi32(r[0], r[1]), high23 = _mm256_unpackhi_epi32(r[2], r[3]);
    c[0] = _mm256_unpacklo_epi64(low01, low23);
    c[1] = _mm256_unpackhi_epi64(low01, low23);
    c[2] = _mm256_unpacklo_epi64(high01, high23);
    c[3] = _mm256_unpackhi_epi64(high01, high23);
}

/* Eight columns to pairs (0, 4), (2, 6), (7, 1), (3, 5) of rows 0 to 3, then of rows 4 to 7. */
FI_AVX2 static inline void transform_columns(const __m256i r[8], __m256i pairs[8]) {
    static const int8_t order[16] = {0, 1, 8, 9, 4, 5, 12, 13, 14, 15, 2, 3, 6, 7, 10, 11};
    const __m256i sum = _mm256_add_epi16(r[0], r[4]), difference = _mm256_sub_epi16(r[0], r[4]);
    half_sums low, high;
    __m256i w[8];

    sum_columns(&low, r, interleave(sum, difference, false), false);
    sum_columns(&high, r, interleave(sum, difference, true), true);
    for (int i = 0; i < 4; i++) {
        w[i] = shift_columns(_mm256_add_epi32(low.even[i], low.odd[i]), _mm256_add_epi32(high.even[i], high.odd[i]));
        w[7 - i] =
            shift_columns(_mm256_sub_epi32(low.even[i], low.odd[i]), _mm256_sub_epi32(high.even[i], high.odd[i]));
    }
    for (int i = 0; i < 8; i++) w[i] = _mm256_shuffle_epi8(w[i], both_lanes(order));
    transpose4(w, pairs);
    transpose4(w + 4, pairs + 4);
}

/* Four columns to pairs (0, 2), (1, 3) of rows 0 to 3, then of rows 4 to 7. */
FI_AVX2 static inline void transform_columns_low(const __m256i r[4], __m256i pairs[4]) {
    enum { ORDER = 0xD8 }; /* columns 0, 2, 1, 3 */
    half_sums sums;
    __m256i w[4], v[4];

    sum_half_low(&sums, _mm256_shuffle_epi32(interleave(r[0], r[2], false), ORDER),
                 _mm256_shuffle_epi32(interleave(r[1], r[3], false), ORDER), COLUMN_ADD);
    for (int i = 0; i < 4; i++) {
        w[i] = _mm256_srai_epi32(_mm256_add_epi32(sums.even[i], sums.odd[i]), COLUMN_SHIFT);
        /* Row 7 - i is row 3 - i of the lower four. */
        v[3 - i] = _mm256_srai_epi32(_mm256_sub_epi32(sums.even[i], sums.odd[i]), COLUMN_SHIFT);
    }
    for (int i = 0; i < 4; i++) w[i] = _mm256_packs_epi32(w[i], v[i]);
    transpose4(w, pairs);
}

/* ---- its rows ---- */

enum { ROW_ADD = 1 << (ROW_SHIFT - 1) };

FI_AVX2 static inline void sum_rows_of_pairs(half_sums *sums, const __m256i pairs[4]) {
    static const int8_t swap[16] = {2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13};
    const __m256i x40 = _mm256_shuffle_epi8(pairs[0], both_lanes(swap));
    const __m256i sum = _mm256_add_epi16(pairs[0], x40), difference = _mm256_sub_epi16(pairs[0], x40);

    sum_half(sums, to_q13(sum, 1, 0, ROW_ADD), to_q13(difference, 1, 0, ROW_ADD), pairs[1], pairs[2], pairs[3]);
}

/* Samples of two columns beside each other, in 16 bits. The upper halves of sums are enough. */
FI_AVX2 static inline __m256i shift_rows(__m256i left, __m256i right) {
    return _mm256_srai_epi16(_mm256_blend_epi16(_mm256_srli_epi32(left, 16), right, 0xAA), ROW_SHIFT - 16);
}

/* Rows `first` to first + 3 of both blocks. */
FI_AVX2 static inline void store_four_rows(const half_sums *sums, uint8_t *const *const rows[2],
                                           const size_t columns[2], int first) {
    const __m256i middle = _mm256_set1_epi8(-128);
    __m256i s[8], p[4];

    for (int i = 0; i < 4; i++) {
        s[i] = _mm256_add_epi32(sums->even[i], sums->odd[i]);
        s[7 - i] = _mm256_sub_epi32(sums->even[i], sums->odd[i]);
    }
    for (int i = 0; i < 4; i++) p[i] = shift_rows(s[2 * i], s[2 * i + 1]);
    const __m256i even = _mm256_xor_si256(_mm256_packs_epi16(p[0], p[2]), middle);
    const __m256i odd = _mm256_xor_si256(_mm256_packs_epi16(p[1], p[3]), middle);
    const __m256i left = _mm256_unpacklo_epi16(even, odd), right = _mm256_unpackhi_epi16(even, odd);
    const __m256i v[2] = {_mm256_unpacklo_epi32(left, right), _mm256_unpackhi_epi32(left, right)};
    for (int k = 0, y = first; k < 2; k++, y += 2) {
        store_halves(rows[0][y] + columns[0], rows[0][y + 1] + columns[0], _mm256_castsi256_si128(v[k]));
        store_halves(rows[1][y] + columns[1], rows[1][y + 1] + columns[1], _mm256_extracti128_si256(v[k], 1));
    }
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

FI_AVX2 static inline void load_rows(__m256i *r, int rows, const fi_block *first, const fi_block *second) {
    for (int k = 0; k < rows; k++) {
        r[k] = _mm256_mullo_epi16(load_lanes(first->coefficients + 8 * k, second->coefficients + 8 * k),
                                  load_lanes(first->quantisation + 8 * k, second->quantisation + 8 * k));
    }
    r[0] = wrap_lone_row(r, rows, first->coefficients, second->coefficients);
}

FI_AVX2 static void idct_8_avx2(const fi_block *first, const fi_block *second, bool low) {
    /* Compilers cannot know that no sample is stored over these. */
    uint8_t *const *const rows[2] = {first->rows, second->rows};
    const size_t columns[2] = {first->column, second->column};
    half_sums upper, lower;
    __m256i r[8], pairs[8];

    if (low) {
        load_rows(r, 4, first, second);
        transform_columns_low(r, pairs);
        sum_half_low(&upper, pairs[0], pairs[1], ROW_ADD);
        sum_half_low(&lower, pairs[2], pairs[3], ROW_ADD);
    } else {
        load_rows(r, 8, first, second);
        transform_columns(r, pairs);
        sum_rows_of_pairs(&upper, pairs);
        sum_rows_of_pairs(&lower, pairs + 4);
    }
    store_four_rows(&upper, rows, columns, 0);
    store_four_rows(&lower, rows, columns, 4);
}
