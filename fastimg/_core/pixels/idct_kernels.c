/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu.h"
#include "pixels/fixed_point.h"
#include "pixels/kernels.h"

#include <string.h>

/* sqrt(2) cos(pi / 8) and sqrt(2) sin(pi / 8) in Q13. Each pass scales by sqrt(8) over the definition in idct.c. */
enum { IDCT_BITS = 13, IDCT_ONE = 1 << IDCT_BITS, IDCT_COS = 10703, IDCT_SIN = 4433 };

/*
 * The passes of idct_4: columns, which keep two bits of fraction, then rows, which keep six and add 128. What they add
 * before shifting rounds, too.
 */
enum { COLUMN_4_SHIFT = IDCT_BITS - 2, ROW_4_SHIFT = IDCT_BITS + 2 + 3 - 6 };
enum { COLUMN_4_ADD = 1 << (COLUMN_4_SHIFT - 1), ROW_4_ADD = (1 << (ROW_4_SHIFT - 1)) + (128 << (6 + ROW_4_SHIFT)) };

/* |x| <= 2^15, so |even| <= 2^29 + add, |odd| < 2^29, and add < 2^26. */
static inline void idct_4_pass(const int32_t x[4], int32_t add, unsigned shift, int16_t out[4]) {
    const int32_t e0 = (x[0] + x[2]) * IDCT_ONE + add, e1 = (x[0] - x[2]) * IDCT_ONE + add;
    const int32_t o0 = x[1] * IDCT_COS + x[3] * IDCT_SIN, o1 = x[1] * IDCT_SIN - x[3] * IDCT_COS;

    out[0] = fi_clamp16((e0 + o0) >> shift);
    out[1] = fi_clamp16((e1 + o1) >> shift);
    out[2] = fi_clamp16((e1 - o1) >> shift);
    out[3] = fi_clamp16((e0 - o0) >> shift);
}

static inline int16_t *samples_at(const fi_block_run *run, unsigned row, size_t block) {
    return (int16_t *)(void *)run->rows[row] + run->column + block * run->step;
}

static void idct_4_c(const fi_block_run *run) {
    for (size_t i = 0; i < run->count; i++) {
        const int16_t *x = run->coefficients + i * run->pitch;
        int32_t in[4];
        int16_t work[4][4];

        for (unsigned c = 0; c < 4; c++) {
            for (unsigned r = 0; r < 4; r++) in[r] = fi_dequantise(x, run->quantisation, 8 * r + c);
            idct_4_pass(in, COLUMN_4_ADD, COLUMN_4_SHIFT, work[c]);
        }
        for (unsigned r = 0; r < 4; r++) {
            for (unsigned c = 0; c < 4; c++) in[c] = work[c][r];
            idct_4_pass(in, ROW_4_ADD, ROW_4_SHIFT, samples_at(run, r, i));
        }
    }
}

/* Blocks from `first` on. */
static inline void idct_2_from(const fi_block_run *run, size_t first) {
    const uint16_t *q = run->quantisation;

    for (size_t i = first; i < run->count; i++) {
        const int16_t *x = run->coefficients + i * run->pitch;
        const int32_t dc = fi_dequantise(x, q, 0), h = fi_dequantise(x, q, 1);
        const int32_t v = fi_dequantise(x, q, 8), d = fi_dequantise(x, q, 9);
        int16_t *const top = samples_at(run, 0, i), *const bottom = samples_at(run, 1, i);

        top[0] = fi_dc_to_q6(dc + h + (v + d));
        top[1] = fi_dc_to_q6(dc - h + (v - d));
        bottom[0] = fi_dc_to_q6(dc + h - (v + d));
        bottom[1] = fi_dc_to_q6(dc - h - (v - d));
    }
}

static void idct_2_c(const fi_block_run *run) {
    idct_2_from(run, 0);
}

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

/* Magnitudes of a sample's weights sum to less than 2^15, so columns are less than 2^15 in Q6, and sums than 2^30. */
static void reduce_pixels_c(const uint8_t pixels[8][8], unsigned size, uint8_t *const *rows, size_t column) {
    const int16_t (*weights)[8] = size == 2 ? weights_2 : weights_4;
    int32_t work[4][8];

    for (unsigned r = 0; r < size; r++) {
        for (unsigned i = 0; i < 8; i++) work[r][i] = 128;
        for (unsigned k = 0; k < 8; k++) {
            for (unsigned i = 0; i < 8; i++) work[r][i] += weights[r][k] * pixels[k][i];
        }
        for (unsigned i = 0; i < 8; i++) work[r][i] >>= 8; /* to Q6 */
    }
    for (unsigned r = 0; r < size; r++) {
        int16_t *const samples = (int16_t *)(void *)rows[r] + column;
        for (unsigned s = 0; s < size; s++) {
            int32_t sum = 1 << 13;
            for (unsigned i = 0; i < 8; i++) sum += weights[s][i] * work[r][i];
            samples[s] = (int16_t)(sum >> 14);
        }
    }
}

/* idct_8: the shift after the columns, which keeps two bits of fraction, and the one after the rows. */
enum { COLUMN_SHIFT = 11, ROW_SHIFT = 18 };

/*
 * Loeffler, Ligtenberg and Moschytz, "Practical Fast 1-D DCT Algorithms with 11 Multiplications", 1989: their factors
 * times 2^13.
 */
enum {
    F_0_298 = 2446,
    F_0_390 = 3196,
    F_0_541 = 4433,
    F_0_765 = 6270,
    F_0_899 = 7373,
    F_1_175 = 9633,
    F_1_501 = 12299,
    F_1_847 = 15137,
    F_1_961 = 16069,
    F_2_053 = 16819,
    F_2_562 = 20995,
    F_3_072 = 25172,
};

#if defined(__x86_64__)
#include "pixels/x86/idct_impl.h"
#elif defined(__aarch64__)
#include "pixels/arm/idct_impl.h"
#endif

void fi_idct_kernels_choose(fi_idct_kernels *table, unsigned cpu_features) {
    *table = (fi_idct_kernels){
        .idct_4 = idct_4_c,
        .idct_2 = idct_2_c,
        .reduce_pixels = reduce_pixels_c,
    };
#if defined(__x86_64__)
    if (!(cpu_features & FI_CPU_AVX2)) return;
    table->idct_4 = idct_4_avx2;
    table->idct_2 = idct_2_avx2;
    table->reduce_pixels = reduce_pixels_avx2;
    table->idct_8 = idct_8_avx2;
#elif defined(__aarch64__)
    if (!(cpu_features & FI_CPU_NEON)) return;
    table->idct_4 = idct_4_neon;
    table->idct_8 = idct_8_neon;
#else
    (void)cpu_features;
#endif
}
