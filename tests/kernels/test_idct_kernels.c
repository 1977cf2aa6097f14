/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * As test_kernels.c, of the kernel that is an inverse DCT; and that all inverse DCTs of idct.h are low-pass filters.
 * From the top of a checkout:
 *
 *   cc -std=c11 -O2 -I fastimg/_core tests/kernels/test_idct_kernels.c fastimg/_core/{kernels,cpu,idct}.c -lm -o test
 */
#include "check.h"
#include "coefficients.h"

#include "idct.h"

#include <math.h>

enum {
    SIDE = 4,
    READ = 8 * (SIDE - 1) + SIDE, /* coefficients up to the last one that may be read */
    MOST_COLUMN = 2 * VECTOR,
    ROUNDS = 300,
};

/* The next one is tested in test_idct_8_kernel.c. */
_Static_assert(offsetof(fi_kernels, idct_8) == offsetof(fi_kernels, idct_4) + sizeof(void (*)(void)),
               "a kernel is not tested");

/* ---- what it has to give ----------------------------------------------------------------------------------------- */

/* sqrt(2) cos(k (2 s + 1) pi / 8), where k > 0, in 13 bits of fraction: what frequency k has in sample s */
static int64_t cosine(int k, int s) {
    return k == 0 ? 8192 : lround(8192 * sqrt(2) * cos(k * (2 * s + 1) * PI / 8));
}

/* Columns, with two bits of fraction left, then rows, in 64 bits. Products of dequantisation wrap around at 16. */
static void idct_4_defined(const int16_t *coefficients, const uint16_t *quantisation, uint8_t *const *rows,
                           size_t column) {
    int64_t work[SIDE][SIDE];

    for (int s = 0; s < SIDE; s++) {
        for (int c = 0; c < SIDE; c++) {
            int64_t sum = 1 << 10;
            for (int k = 0; k < SIDE; k++) {
                sum += cosine(k, s) * wrap16((int64_t)coefficients[8 * k + c] * quantisation[8 * k + c]);
            }
            work[s][c] = limit(divide(sum, 1 << 11), INT16_MIN, INT16_MAX);
        }
    }
    for (int r = 0; r < SIDE; r++) {
        for (int s = 0; s < SIDE; s++) {
            int64_t sum = 1 << 17;
            for (int k = 0; k < SIDE; k++) sum += cosine(k, s) * work[r][k];
            rows[r][column + (size_t)s] = (uint8_t)limit(divide(sum, 1 << 18) + 128, 0, UINT8_MAX);
        }
    }
}

static const fi_kernels definition = {.name = "its definition", .idct_4 = idct_4_defined};

/* ---- trying ------------------------------------------------------------------------------------------------------ */

static guarded coefficients, quantisation;
static size_t tried_column;

static void print_sizes(void) {
    printf("column %zu;", tried_column);
}

/* Rows are as long as they have to be. What lies between the coefficients that count is another in each call. */
static void try_at(const fi_kernels *version, const int16_t *x, const uint16_t *q, size_t src_offset,
                   size_t dst_offset) {
    const size_t nbytes = READ * sizeof(int16_t), row_nbytes = tried_column + SIDE;
    int16_t *const to_x = (int16_t *)place(&coefficients, nbytes, src_offset * sizeof *x, now.at_end);
    uint16_t *const to_q = (uint16_t *)place(&quantisation, nbytes, dst_offset * sizeof *q, now.at_end);
    uint8_t *rows[SIDE];

    now.src_offset = src_offset * sizeof *x;
    now.dst_offset = dst_offset;
    for (int k = 0; k < READ; k++) {
        to_x[k] = k % 8 < SIDE ? x[k] : (int16_t)random16();
        to_q[k] = k % 8 < SIDE ? q[k] : random16();
    }
    for (unsigned r = 0; r < SIDE; r++) rows[r] = place_dest(r, row_nbytes, dst_offset);
    version->idct_4(to_x, to_q, rows, tried_column);
    for (unsigned r = 0; r < SIDE; r++) compare_dest(r, rows[r], row_nbytes);
}

static void try_kernel(const fi_kernels *version, const fi_kernels *judge) {
    int16_t x[BLOCK];
    uint16_t q[BLOCK];
    uint8_t *rows[SIDE];

    for (unsigned i = 0; i < FILLS * ROUNDS; i++) {
        now.fill = fills[i % FILLS];
        tried_column = i % 5 ? random16() % MOST_COLUMN : 0;
        fill_block(x, q, i % FILLS, SIDE);
        for (unsigned r = 0; r < SIDE; r++) rows[r] = new_expected(r, tried_column + SIDE);
        judge->idct_4(x, q, rows, tried_column);
        for (int at_end = 0; at_end < 2; at_end++) {
            now.at_end = at_end;
            for (size_t offset = 0; offset < VECTOR; offset++) try_at(version, x, q, offset, 13 * offset % VECTOR);
        }
    }
}

static void try_version(const fi_kernels *version) {
    const fi_kernels *judge = judge_of("idct_4", offsetof(fi_kernels, idct_4), version, &definition);
    if (!judge) return;
    try_kernel(version, judge);
    say_equal();
}

/* ---- low-pass filters -------------------------------------------------------------------------------------------- */

/* Frequency k at sample s of n: of an orthonormal DCT, times sqrt(n / 8). */
static double basis[9][8][8]; /* [n][k][s] */
/* What pixel i of 8 has in sample s of n. */
static double weight[5][4][8]; /* [n][s][i] */

static void fill_tables(void) {
    for (unsigned n = 8; n; n /= 2) {
        for (unsigned k = 0; k < n; k++) {
            for (unsigned s = 0; s < n; s++) {
                basis[n][k][s] = sqrt((k ? 2.0 : 1.0) / 8) * cos(k * (2 * s + 1) * PI / (2 * n));
                for (unsigned i = 0; i < 8 && n < 8; i++) weight[n][s][i] += basis[n][k][s] * basis[8][k][i];
            }
        }
    }
}

static void compare_sample(const char *name, unsigned size, double found, double exact, double away_most) {
    if (fabs(found - fmin(fmax(exact, 0), 255)) <= away_most) return;
    printf("%s c: a sample of %u x %u is %g, should be near to %g\n", name, size, size, found, exact);
    exit(1);
}

/*
 * Of coefficients that pictures have. All that is done to 2 x 2 samples or one is to round them, by half a level at most.
 * Before that, between the passes of 4 x 4, four numbers are rounded to quarters, by an eighth, and count 1, 1.31, 1 and
 * 0.54 times in 8 times a sample; and of the cosines in 13 bits the worse one, 0.5412, is 1.1e-4 of itself away, a product
 * of two of them twice as much.
 */
static void try_low_pass(void) {
    int16_t x[BLOCK];
    uint16_t q[BLOCK];
    uint8_t samples[SIDE][SIDE];
    uint8_t *const rows[SIDE] = {samples[0], samples[1], samples[2], samples[3]};

    for (size_t i = 0; i < 3 * 20000; i++) {
        const unsigned size = 1u << i % 3;
        fill_block(x, q, i % 2 ? SPARSE : PICTURE, SIDE);
        fi_idct_choose(size)(x, q, rows, 0);
        for (unsigned s = 0; s < size * size; s++) {
            double exact = 128, magnitude = 0;
            for (unsigned k = 0; k < size * size; k++) {
                const unsigned at = 8 * (k / size) + k % size;
                const double part = x[at] * q[at] * basis[size][k / size][s / size] * basis[size][k % size][s % size];
                exact += part;
                magnitude += fabs(part);
            }
            const double inexact = size == 4 ? 0.125 * 3.85 / 8 + 2.2e-4 * magnitude : 0;
            compare_sample("low_pass", size, samples[s / size][s % size], exact, 0.5 + inexact + 1e-9);
        }
    }
    printf("%-15s %-5s equals its definition\n", "low_pass", "c");
}

/*
 * Of pixels, however many of them belong to the image. Sixteen weights are rounded to 14 bits, up to half of the last one
 * away, and each is met by the weights along the other axis, whose magnitudes sum to 1.2, and by pixels less 128, as all
 * sum to one; 6 bits of fraction are between the passes, of which half of the last one counts 1.2 times.
 */
static void try_edges(void) {
    const double away_most = 0.5 + 16 * (0.5 / 16384) * 1.2 * 128 + 1.2 / 128;
    uint8_t samples[SIDE][SIDE];
    uint8_t *const rows[SIDE] = {samples[0], samples[1], samples[2], samples[3]};

    for (unsigned i = 0; i < 2 * 64 * 40; i++) {
        const unsigned size = i % 2 ? 2 : 4, height = 1 + i / 2 % 8, width = 1 + i / 16 % 8;
        uint8_t pixels[8][8], repeated[8][8];
        for (unsigned k = 0; k < 64; k++) {
            pixels[k / 8][k % 8] = i % 3 ? random_byte() : random16() & 1 ? UINT8_MAX : 0;
        }
        for (unsigned k = 0; k < 64; k++) {
            repeated[k / 8][k % 8] = pixels[least(k / 8, height - 1)][least(k % 8, width - 1)];
        }
        fi_idct_reduce_pixels(pixels, size, height, width, rows, 0);
        for (unsigned s = 0; s < size * size; s++) {
            double exact = 0;
            for (unsigned k = 0; k < 64; k++) {
                exact += weight[size][s / size][k / 8] * weight[size][s % size][k % 8] * repeated[k / 8][k % 8];
            }
            compare_sample("edges", size, samples[s / size][s % size], exact, away_most);
        }
    }
    printf("%-15s %-5s equals its definition\n", "edges", "c");
}

/* ---- times ------------------------------------------------------------------------------------------------------- */

static void time_version(const fi_kernels *version) {
    enum { BLOCKS = 64, CALLS = 200, TIMES = 50 };
    static int16_t x[BLOCKS][BLOCK];
    static uint16_t q[BLOCK];
    static uint8_t samples[SIDE][SIDE * BLOCKS];
    uint8_t *const rows[SIDE] = {samples[0], samples[1], samples[2], samples[3]};
    double best = 1e30;

    for (int b = 0; b < BLOCKS; b++) fill_block(x[b], q, PICTURE, SIDE);
    for (int round = 0; round < TIMES; round++) { /* the best one: nobody else was running */
        const uint64_t start = now_ns();
        for (int call = 0; call < CALLS; call++) {
            for (size_t b = 0; b < BLOCKS; b++) version->idct_4(x[b], q, rows, SIDE * b);
        }
        const double ns = (double)(now_ns() - start) / CALLS / BLOCKS;
        if (ns < best) best = ns;
    }
    printf("%-15s %-5s %9.3f\n", "idct_4", version->name, best);
}

static void time_all(void) {
    const fi_kernels best = fi_kernels_choose(fi_cpu_features());
    printf("\nkernel          by     ns/block\n");
    time_version(&fi_kernels_c);
    if (best.idct_4 != fi_kernels_c.idct_4) time_version(&best);
}

int main(int argc, char **argv) {
    coefficients = guarded_new((READ + VECTOR) * sizeof(int16_t));
    quantisation = guarded_new((READ + VECTOR) * sizeof(uint16_t));
    new_dests(MOST_COLUMN + SIDE + VECTOR);
    catch_faults();
    fi_cpu_init(true);
    fi_kernels_init();
    fill_tables();

    for_all_versions(try_version);
    try_low_pass();
    try_edges();
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) time_all();
    return 0;
}
