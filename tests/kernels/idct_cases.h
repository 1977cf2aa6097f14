/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of inverse DCTs share: coefficients to try, and real cosines. */
#ifndef IDCT_CASES_H
#define IDCT_CASES_H

#include "pixels/kernels.h"

#include "harness.h"

#define PI 3.14159265358979323846
#define BLOCK 64 /* coefficients */
#define MAX_COLUMN (2 * VECTOR)
#define BENCH_TIMES 64

int16_t either(int16_t a, int16_t b); /* one of them */

enum { RANDOM, EXTREME, SPARSE, SINGLE, PICTURE, ONE_SIGN, FILLS };
extern const char *const fills[FILLS];

/* A lone coefficient is among the lowest side x side. */
void fill_block(int16_t *x, uint16_t *q, unsigned fill, int side);

/* v as an int16_t that wraps around. */
int64_t wrap16(int64_t v);

/* A coefficient. Wraps around at 16 bits, like libjpeg-turbo's SIMD versions. */
int64_t dequantised(const int16_t *x, const uint16_t *q, int k);

/* Frequency k at sample s of n: an orthonormal DCT, scaled by sqrt(n / 8). */
extern double basis[9][8][8];
void fill_basis(void);

/* Sample s of size x size, and the sum of the magnitudes of its terms. */
double exact_sample(const int16_t *x, const uint16_t *q, unsigned size, unsigned s, double *magnitude);

/* Fails if they are further apart. */
void compare_sample(unsigned size, double found, double exact, double tolerance);

#endif
