/* SPDX-License-Identifier: BSD-3-Clause */
#include "idct_cases.h"

#include <stdlib.h>

const char *const fills[FILLS] = {"random", "extreme", "sparse", "a single one", "of a picture", "just one sign"};
double basis[9][8][8];

int16_t either(int16_t a, int16_t b) {
    return random16() & 1 ? a : b;
}

/* A quantised coefficient that 8-bit pixels can have: up to 1024 when dequantised. */
static int16_t plausible(uint16_t quantisation) {
    const int most = 1024 / quantisation, within = 1 + random16() % (most + 1);
    return (int16_t)(random16() % (2 * within + 1) - within);
}

void fill_block(int16_t *x, uint16_t *q, unsigned fill, int side) {
    const uint16_t same = random16();
    const int single = 8 * (random16() % side) + random16() % side;

    for (int k = 0; k < BLOCK; k++) {
        q[k] = fill >= SPARSE && fill <= PICTURE ? (uint16_t)(1 + random16() % 255) : random16();
        x[k] = (int16_t)random16();
        if (fill == EXTREME || fill == ONE_SIGN) {
            q[k] = same % 3 == 0 ? UINT16_MAX : same % 3 == 1 ? 1 : (uint16_t)either(1, -1);
            x[k] = fill == ONE_SIGN ? (same & 4 ? INT16_MIN : INT16_MAX) : either(INT16_MIN, INT16_MAX);
            if (random16() % 16 == 0) x[k] = either(0, -1);
        }
        if (fill == SPARSE) x[k] = random16() % 4 ? 0 : plausible(q[k]);
        if (fill == SINGLE && k != single) x[k] = 0;
        if (fill == PICTURE) x[k] = plausible(q[k]);
    }
}

int64_t wrap16(int64_t v) {
    return v - 65536 * divide(v + 32768, 65536);
}

int64_t dequantised(const int16_t *x, const uint16_t *q, int k) {
    return wrap16((int64_t)x[k] * q[k]);
}

void fill_basis(void) {
    for (int n = 1; n <= 8; n *= 2) {
        for (int k = 0; k < n; k++) {
            for (int s = 0; s < n; s++)
                basis[n][k][s] = sqrt((k ? 2.0 : 1.0) / 8) * cos(k * (2 * s + 1) * PI / (2 * n));
        }
    }
}

double exact_sample(const int16_t *x, const uint16_t *q, unsigned size, unsigned s, double *magnitude) {
    double exact = 128;
    *magnitude = 0;
    for (unsigned k = 0; k < size * size; k++) {
        const unsigned at = 8 * (k / size) + k % size;
        const double part = x[at] * q[at] * basis[size][k / size][s / size] * basis[size][k % size][s % size];
        exact += part;
        *magnitude += fabs(part);
    }
    return exact;
}

void compare_sample(unsigned size, double found, double exact, double tolerance) {
    if (fabs(found - exact) <= tolerance) return;
    fail("a sample of %u x %u is %g, should be near to %g", size, size, found, exact);
}
