/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu.h"
#include "pixels/fixed_point.h"
#include "pixels/kernels.h"

#include <string.h>

/* sqrt(2) cos(pi / 8) and sqrt(2) sin(pi / 8) in Q13. Each pass scales by sqrt(8) over the definition in idct.c. */
enum { IDCT_BITS = 13, IDCT_ONE = 1 << IDCT_BITS, IDCT_COS = 10703, IDCT_SIN = 4433 };

/* |x| <= 2^15, so |even| <= 2^29 and |odd| < 2^29. */
static inline void idct_4_pass(const int32_t x[4], unsigned shift, int32_t out[4]) {
    const int32_t half = 1 << (shift - 1);
    const int32_t e0 = (x[0] + x[2]) * IDCT_ONE + half, e1 = (x[0] - x[2]) * IDCT_ONE + half;
    const int32_t o0 = x[1] * IDCT_COS + x[3] * IDCT_SIN, o1 = x[1] * IDCT_SIN - x[3] * IDCT_COS;

    out[0] = fi_clamp16((e0 + o0) >> shift);
    out[1] = fi_clamp16((e1 + o1) >> shift);
    out[2] = fi_clamp16((e1 - o1) >> shift);
    out[3] = fi_clamp16((e0 - o0) >> shift);
}

/* Two bits of fraction are kept between the passes. */
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
    };
#if defined(__x86_64__)
    if (!(cpu_features & FI_CPU_AVX2)) return;
    table->idct_4 = idct_4_avx2;
    table->idct_8 = idct_8_avx2;
#elif defined(__aarch64__)
    if (!(cpu_features & FI_CPU_NEON)) return;
    table->idct_4 = idct_4_neon;
    table->idct_8 = idct_8_neon;
#else
    (void)cpu_features;
#endif
}
