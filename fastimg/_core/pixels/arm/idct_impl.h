/* SPDX-License-Identifier: BSD-3-Clause */
/* NEON versions of the inverse DCTs. */
#include <arm_neon.h>

/* Both passes of idct_4, on four columns and then on four rows. */
static inline void idct_4_pass_neon(const int16x4_t x[4], int16x4_t out[4], int add, int shift) {
    const int32x4_t e0 = vmlal_n_s16(vmlal_n_s16(vdupq_n_s32(add), x[0], IDCT_ONE), x[2], IDCT_ONE);
    const int32x4_t e1 = vmlsl_n_s16(vmlal_n_s16(vdupq_n_s32(add), x[0], IDCT_ONE), x[2], IDCT_ONE);
    const int32x4_t o0 = vmlal_n_s16(vmull_n_s16(x[1], IDCT_COS), x[3], IDCT_SIN);
    const int32x4_t o1 = vmlsl_n_s16(vmull_n_s16(x[1], IDCT_SIN), x[3], IDCT_COS);
    const int32x4_t sums[4] = {vaddq_s32(e0, o0), vaddq_s32(e1, o1), vsubq_s32(e1, o1), vsubq_s32(e0, o0)};

    for (int i = 0; i < 4; i++) out[i] = vqmovn_s32(vshlq_s32(sums[i], vdupq_n_s32(-shift)));
}

static inline void transpose_4_neon(int16x4_t v[4]) {
    const int16x4x2_t a = vtrn_s16(v[0], v[1]), b = vtrn_s16(v[2], v[3]);
    for (int i = 0; i < 2; i++) {
        const int32x2x2_t t = vtrn_s32(vreinterpret_s32_s16(a.val[i]), vreinterpret_s32_s16(b.val[i]));
        v[i] = vreinterpret_s16_s32(t.val[0]);
        v[i + 2] = vreinterpret_s16_s32(t.val[1]);
    }
}

static void idct_4_neon(const fi_block_run *run) {
    int16x4_t q[4], v[4];

    for (int r = 0; r < 4; r++) q[r] = vreinterpret_s16_u16(vld1_u16(run->quantisation + 8 * r));
    for (size_t i = 0; i < run->count; i++) {
        const int16_t *x = run->coefficients + i * run->pitch;
        for (int r = 0; r < 4; r++) v[r] = vmul_s16(vld1_s16(x + 8 * r), q[r]);
        idct_4_pass_neon(v, v, COLUMN_4_ADD, COLUMN_4_SHIFT);
        transpose_4_neon(v);
        idct_4_pass_neon(v, v, ROW_4_ADD, ROW_4_SHIFT);
        transpose_4_neon(v);
        for (unsigned r = 0; r < 4; r++) vst1_s16(samples_at(run, r, i), v[r]);
    }
}

/*
 * ---- 8 x 8 samples ------------------------------------------------------------------------------------------------
 *
 * Columns first, in Q13, with libjpeg-turbo's rounding, and with what its NEON version does to numbers that do not fit
 * into 16 bits: dequantised ones, sums of two and results of the columns wrap around. A register holds a row of 8.
 */

/* sum + v x, for the lower or the upper four numbers. */
static inline int32x4_t add_product_neon(int32x4_t sum, int16x8_t v, int16_t x, bool high) {
    return high ? vmlal_high_n_s16(sum, v, x) : vmlal_n_s16(sum, vget_low_s16(v), x);
}

static inline int32x4_t product_neon(int16x8_t v, int16_t x, bool high) {
    return high ? vmull_high_n_s16(v, x) : vmull_n_s16(vget_low_s16(v), x);
}

static inline int32x4_t scale_neon(int16x8_t v, bool high) {
    return high ? vshll_high_n_s16(v, IDCT_BITS) : vshll_n_s16(vget_low_s16(v), IDCT_BITS);
}

/* Half of 8 rows' sums: row i is even[i] + odd[i], row 7 - i is even[i] - odd[i]. */
typedef struct {
    int32x4_t even[4], odd[4];
} half_sums_neon;

static inline void sum_half_neon(half_sums_neon *sums, const int16x8_t r[8], bool high) {
    const int32x4_t s = scale_neon(vaddq_s16(r[0], r[4]), high), d = scale_neon(vsubq_s16(r[0], r[4]), high);
    const int32x4_t t2 = add_product_neon(product_neon(r[2], F_0_541, high), r[6], F_0_541 - F_1_847, high);
    const int32x4_t t3 = add_product_neon(product_neon(r[2], F_0_541 + F_0_765, high), r[6], F_0_541, high);

    sums->even[0] = vaddq_s32(s, t3);
    sums->even[1] = vaddq_s32(d, t2);
    sums->even[2] = vsubq_s32(d, t2);
    sums->even[3] = vsubq_s32(s, t3);

    const int16x8_t r37 = vaddq_s16(r[3], r[7]), r15 = vaddq_s16(r[1], r[5]);
    const int32x4_t z3 = add_product_neon(product_neon(r37, F_1_175 - F_1_961, high), r15, F_1_175, high);
    const int32x4_t z4 = add_product_neon(product_neon(r37, F_1_175, high), r15, F_1_175 - F_0_390, high);
    sums->odd[0] = add_product_neon(add_product_neon(z4, r[7], -F_0_899, high), r[1], F_1_501 - F_0_899, high);
    sums->odd[1] = add_product_neon(add_product_neon(z3, r[5], -F_2_562, high), r[3], F_3_072 - F_2_562, high);
    sums->odd[2] = add_product_neon(add_product_neon(z4, r[5], F_2_053 - F_2_562, high), r[3], -F_2_562, high);
    sums->odd[3] = add_product_neon(add_product_neon(z3, r[7], F_0_298 - F_0_899, high), r[1], -F_0_899, high);
}

/* The same where rows 4 to 7 are zero. */
static inline void sum_half_low_neon(half_sums_neon *sums, const int16x8_t r[4], bool high) {
    const int32x4_t s = scale_neon(r[0], high);
    const int z33 = F_1_175 - F_1_961, z44 = F_1_175 - F_0_390;

    sums->even[0] = add_product_neon(s, r[2], F_0_541 + F_0_765, high);
    sums->even[1] = add_product_neon(s, r[2], F_0_541, high);
    sums->even[2] = add_product_neon(s, r[2], -F_0_541, high);
    sums->even[3] = add_product_neon(s, r[2], -F_0_541 - F_0_765, high);
    sums->odd[0] = add_product_neon(product_neon(r[1], F_1_501 - F_0_899 + z44, high), r[3], F_1_175, high);
    sums->odd[1] = add_product_neon(product_neon(r[1], F_1_175, high), r[3], F_3_072 - F_2_562 + z33, high);
    sums->odd[2] = add_product_neon(product_neon(r[1], z44, high), r[3], F_1_175 - F_2_562, high);
    sums->odd[3] = add_product_neon(product_neon(r[1], F_1_175 - F_0_899, high), r[3], z33, high);
}

static inline void idct_columns_neon(int16x8_t r[8]) {
    half_sums_neon lo, hi;

    sum_half_neon(&lo, r, false);
    sum_half_neon(&hi, r, true);
    for (int i = 0; i < 4; i++) {
        const int16x4_t one = vrshrn_n_s32(vaddq_s32(lo.even[i], lo.odd[i]), COLUMN_SHIFT);
        const int16x4_t other = vrshrn_n_s32(vsubq_s32(lo.even[i], lo.odd[i]), COLUMN_SHIFT);
        r[i] = vrshrn_high_n_s32(one, vaddq_s32(hi.even[i], hi.odd[i]), COLUMN_SHIFT);
        r[7 - i] = vrshrn_high_n_s32(other, vsubq_s32(hi.even[i], hi.odd[i]), COLUMN_SHIFT);
    }
}

/* Three rounds; each interleaves row k with row k + 4, as transpose16 does. */
static inline void transpose8_neon(int16x8_t r[8]) {
    int16x8_t w[8];

    for (int round = 0; round < 3; round++) {
        for (int k = 0; k < 4; k++) {
            w[2 * k] = vzip1q_s16(r[k], r[k + 4]);
            w[2 * k + 1] = vzip2q_s16(r[k], r[k + 4]);
        }
        for (int k = 0; k < 8; k++) r[k] = w[k];
    }
}

/*
 * Columns and transposition if only 4 x 4 coefficients are not zero: r[0 .. 4) become columns. Registers hold rows i
 * and i + 4 of 4 columns.
 */
static inline void idct_columns_low_neon(int16x8_t r[4]) {
    half_sums_neon sums;
    int16x4_t above[4];
    int16x8_t w[4];

    sum_half_low_neon(&sums, r, false);
    for (int i = 0; i < 4; i++) above[i] = vrshrn_n_s32(vaddq_s32(sums.even[i], sums.odd[i]), COLUMN_SHIFT);
    for (int i = 0; i < 4; i++) { /* row 7 - (3 - i) is row i of the lower four */
        w[i] = vrshrn_high_n_s32(above[i], vsubq_s32(sums.even[3 - i], sums.odd[3 - i]), COLUMN_SHIFT);
    }
    for (int i = 0; i < 2; i++) {
        const int32x4_t a = vreinterpretq_s32_s16(i ? vtrn2q_s16(w[0], w[1]) : vtrn1q_s16(w[0], w[1]));
        const int32x4_t b = vreinterpretq_s32_s16(i ? vtrn2q_s16(w[2], w[3]) : vtrn1q_s16(w[2], w[3]));
        r[i] = vreinterpretq_s16_s32(vtrn1q_s32(a, b));
        r[i + 2] = vreinterpretq_s16_s32(vtrn2q_s32(a, b));
    }
}

/*
 * From columns 0 to 7, or 0 to 3 if `low`, to columns of samples less 128: c[k] holds columns k and k + 4. Shifts
 * right by 16, rounded down, and then by 2, rounded to the nearest, are one by 18, rounded to the nearest.
 */
static inline void idct_rows_neon(const int16x8_t r[8], bool low, int8x16_t c[4]) {
    half_sums_neon lo, hi;
    int8x8_t upper[4];

    if (low) {
        sum_half_low_neon(&lo, r, false);
        sum_half_low_neon(&hi, r, true);
    } else {
        sum_half_neon(&lo, r, false);
        sum_half_neon(&hi, r, true);
    }
    for (int i = 0; i < 4; i++) {
        const int16x8_t sum = vaddhn_high_s32(vaddhn_s32(lo.even[i], lo.odd[i]), hi.even[i], hi.odd[i]);
        upper[i] = vqrshrn_n_s16(sum, ROW_SHIFT - 16);
    }
    for (int i = 0; i < 4; i++) { /* column 7 - i is column 3 - i of the last four */
        const int16x8_t rest = vsubhn_high_s32(vsubhn_s32(lo.even[i], lo.odd[i]), hi.even[i], hi.odd[i]);
        c[3 - i] = vqrshrn_high_n_s16(upper[3 - i], rest, ROW_SHIFT - 16);
    }
}

/* An 8 x 8 transposition of bytes that interleaves 1, 2 and 4 of them. */
static inline void store_columns_neon(const int8x16_t c[4], const fi_block *block) {
    uint8x16_t p[4];
    uint16x8_t w[4];
    uint32x4_t pairs[4]; /* of rows */

    for (int k = 0; k < 4; k++) p[k] = veorq_u8(vreinterpretq_u8_s8(c[k]), vdupq_n_u8(128));
    w[0] = vreinterpretq_u16_u8(vzip1q_u8(p[0], p[1])); /* columns 0 and 1 */
    w[1] = vreinterpretq_u16_u8(vzip1q_u8(p[2], p[3])); /* 2 and 3 */
    w[2] = vreinterpretq_u16_u8(vzip2q_u8(p[0], p[1])); /* 4 and 5 */
    w[3] = vreinterpretq_u16_u8(vzip2q_u8(p[2], p[3])); /* 6 and 7 */
    const uint32x4_t left0 = vreinterpretq_u32_u16(vzip1q_u16(w[0], w[1]));
    const uint32x4_t left4 = vreinterpretq_u32_u16(vzip2q_u16(w[0], w[1]));
    const uint32x4_t right0 = vreinterpretq_u32_u16(vzip1q_u16(w[2], w[3]));
    const uint32x4_t right4 = vreinterpretq_u32_u16(vzip2q_u16(w[2], w[3]));
    pairs[0] = vzip1q_u32(left0, right0);
    pairs[1] = vzip2q_u32(left0, right0);
    pairs[2] = vzip1q_u32(left4, right4);
    pairs[3] = vzip2q_u32(left4, right4);
    for (int k = 0; k < 4; k++) {
        const uint8x16_t rows = vreinterpretq_u8_u32(pairs[k]);
        vst1_u8(block->rows[2 * k] + block->column, vget_low_u8(rows));
        vst1_u8(block->rows[2 * k + 1] + block->column, vget_high_u8(rows));
    }
}

static inline void idct_block_neon(const fi_block *block, bool low) {
    int16x8_t r[8];
    int8x16_t c[4];

    for (int k = 0; k < (low ? 4 : 8); k++) {
        const int16x8_t steps = vreinterpretq_s16_u16(vld1q_u16(block->quantisation + 8 * k));
        r[k] = vmulq_s16(vld1q_s16(block->coefficients + 8 * k), steps);
    }
    if (low) {
        idct_columns_low_neon(r);
    } else {
        idct_columns_neon(r);
        transpose8_neon(r);
    }
    idct_rows_neon(r, low, c);
    store_columns_neon(c, block);
}

static void idct_8_neon(const fi_block *first, const fi_block *second, bool low) {
    const fi_block *const blocks[2] = {first, second};

    for (int b = 0; b < (first == second ? 1 : 2); b++) {
        if (low) idct_block_neon(blocks[b], true);
        else idct_block_neon(blocks[b], false);
    }
}
