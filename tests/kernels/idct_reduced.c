/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels that make fewer samples than a block has coefficients, and how close they are to real cosines. */
#include "idct_cases.h"

#include "pixels/idct.h"

/* ---- definitions ------------------------------------------------------------------------------------------------- */

/* sqrt(2) cos(k (2 s + 1) pi / 8), or 1 if k is 0, in Q13: the weight of frequency k in sample s. */
static int64_t cosine(int k, int s) {
    return k == 0 ? 8192 : lround(8192 * sqrt(2) * cos(k * (2 * s + 1) * PI / 8));
}

static void store_q6(uint8_t *row, size_t column, int64_t v) {
    const int16_t q6 = (int16_t)limit(v + 128 * 64, INT16_MIN, INT16_MAX);
    memcpy(row + 2 * column, &q6, 2);
}

/* Columns, which keep two bits of fraction, then rows, which keep six. */
static void idct_4_block(const int16_t *x, const uint16_t *q, uint8_t *const *rows, size_t column) {
    int64_t work[4][4];

    for (int i = 0; i < 16; i++) {
        int64_t sum = 1 << 10;
        for (int k = 0; k < 4; k++) sum += cosine(k, i / 4) * dequantised(x, q, 8 * k + i % 4);
        work[i / 4][i % 4] = limit(divide(sum, 1 << 11), INT16_MIN, INT16_MAX);
    }
    for (int i = 0; i < 16; i++) {
        int64_t sum = 1 << 11;
        for (int k = 0; k < 4; k++) sum += cosine(k, i % 4) * work[i / 4][k];
        store_q6(rows[i / 4], column + (size_t)(i % 4), divide(sum, 1 << 12));
    }
}

/* Exact: the cosines are 1 and -1. */
static void idct_2_block(const int16_t *x, const uint16_t *q, uint8_t *const *rows, size_t column) {
    for (int i = 0; i < 4; i++) {
        const int right = i % 2 ? -1 : 1, down = i / 2 ? -1 : 1;
        const int64_t sum = dequantised(x, q, 0) + right * dequantised(x, q, 1) + down * dequantised(x, q, 8) +
                            right * down * dequantised(x, q, 9);
        store_q6(rows[i / 2], column + (size_t)(i % 2), 8 * sum);
    }
}

static void idct_4_defined(const fi_block_run *run) {
    for (size_t i = 0; i < run->count; i++) {
        idct_4_block(run->coefficients + i * run->pitch, run->quantisation, run->rows, run->column + i * run->step);
    }
}

static void idct_2_defined(const fi_block_run *run) {
    for (size_t i = 0; i < run->count; i++) {
        idct_2_block(run->coefficients + i * run->pitch, run->quantisation, run->rows, run->column + i * run->step);
    }
}

/* The weight of pixel i of 8 in sample s of n. */
static double weight(unsigned n, unsigned s, unsigned i) {
    double sum = 0;
    for (unsigned k = 0; k < n; k++) sum += basis[n][k][s] * basis[8][k][i];
    return sum;
}

/* The same in Q14, rounded; while a sample's weights do not sum to one, those that were rounded up most are lowered. */
static const int64_t *pixel_weights(unsigned n, unsigned s) {
    static int64_t found[5][4][8];
    int64_t *const w = found[n][s];
    int64_t sum = 0;

    if (w[0]) return w;
    fill_basis();
    for (unsigned i = 0; i < 8; i++) sum += w[i] = lround(16384 * weight(n, s, i));
    for (; sum > 16384; sum--) {
        unsigned most = 0;
        for (unsigned i = 1; i < 8; i++) {
            if ((double)w[i] - 16384 * weight(n, s, i) > (double)w[most] - 16384 * weight(n, s, most)) most = i;
        }
        w[most]--;
    }
    return w;
}

/* Columns to Q6, rounded, then rows. */
static void reduce_pixels_defined(const uint8_t pixels[8][8], unsigned size, uint8_t *const *rows, size_t column) {
    for (unsigned i = 0; i < size * size; i++) {
        int64_t sum = 1 << 13;
        for (unsigned x = 0; x < 8; x++) {
            int64_t q6 = 128;
            for (unsigned y = 0; y < 8; y++) q6 += pixel_weights(size, i / size)[y] * pixels[y][x];
            sum += pixel_weights(size, i % size)[x] * divide(q6, 256);
        }
        store_q6(rows[i / size], column + i % size, divide(sum, 1 << 14) - 128 * 64);
    }
}

static const fi_idct_kernels definition = {
    .idct_4 = idct_4_defined,
    .idct_2 = idct_2_defined,
    .reduce_pixels = reduce_pixels_defined,
};

static void choose(void *table, unsigned cpu_features) {
    fi_idct_kernels_choose(table, cpu_features);
}

/* ---- cases ------------------------------------------------------------------------------------------------------- */

enum { IDCT_4, IDCT_2, REDUCE_PIXELS, KERNELS };
_Static_assert(sizeof(fi_idct_kernels) == (KERNELS + 1) * sizeof(void (*)(void)), "a kernel is not tested: see idct.c");

static struct cases {
    fi_block_run run; /* reduce_pixels takes its column */
    unsigned size; /* of reduce_pixels */
    unsigned times;
} tried = {.times = 1};

enum { MAX_RUN = 9 }; /* blocks: two vectors and one */

static void begin_run(unsigned fill) {
    const fi_block_run *run = &tried.run;
    const size_t side = which == IDCT_4 ? 4 : 2, most = 8 * side; /* coefficients of a block that may be read */
    const size_t blocks = run->count ? run->count - 1 : 0;
    int16_t all[BLOCK];
    uint16_t q[BLOCK];

    begin("%zu blocks %zu apart, coefficients %s, column %zu and then %zu on", run->count, run->pitch, fills[fill],
          run->column, run->step);
    int16_t *const x = input((blocks * run->pitch + most) * sizeof *x, sizeof *x);
    uint16_t *const quantisation = input(most * sizeof *quantisation, sizeof *quantisation);
    fill_block(all, q, fill, (int)side);
    memcpy(quantisation, q, most * sizeof *q);
    for (size_t i = 0; i < blocks * run->pitch + most; i++) x[i] = (int16_t)random16();
    for (size_t i = 0; i < run->count; i++) {
        uint16_t other[BLOCK];
        memcpy(x + i * run->pitch, all, most * sizeof *x);
        fill_block(all, other, fill == PICTURE || fill == SPARSE ? SINGLE : fill, (int)side);
    }
    for (size_t r = 0; r < side; r++)
        output((run->column + blocks * run->step + side) * sizeof(int16_t), sizeof(int16_t));
}

static void test_run(void) {
    const size_t side = which == IDCT_4 ? 4 : 2;

    for (unsigned i = 0; i < FILLS * (MAX_RUN + 1) * 2 * 20; i++) {
        tried.run = (fi_block_run){
            .pitch = BLOCK * (1 + random16() % 3u),
            .column = i % 5 ? random16() % MAX_COLUMN : 0,
            .step = side * (1 + i / FILLS / (MAX_RUN + 1) % 2),
            .count = i / FILLS % (MAX_RUN + 1),
        };
        begin_run(i % FILLS);
        check(VECTOR);
    }
}

static void begin_pixels(unsigned fill) {
    begin("to %u samples, column %zu, fill %u", tried.size, tried.run.column, fill);
    uint8_t *const pixels = input(BLOCK, 1);
    for (int k = 0; k < BLOCK; k++)
        pixels[k] = (uint8_t)(fill == 0 ? random16() : fill == 1 ? (uint16_t)either(0, 255) : 255 * (fill - 2));
    for (unsigned r = 0; r < tried.size; r++)
        output((tried.run.column + tried.size) * sizeof(int16_t), sizeof(int16_t));
}

static void test_pixels(void) {
    for (unsigned i = 0; i < 4 * 400; i++) {
        tried.size = i % 2 ? 2 : 4;
        tried.run.column = i % 5 ? random16() % MAX_COLUMN : 0;
        begin_pixels(i / 2 % 4);
        check(VECTOR);
    }
}

static size_t bench(unsigned i) {
    tried = (struct cases){{.pitch = BLOCK, .step = 4, .count = MAX_RUN - 1}, 4, BENCH_TIMES};
    if (which == REDUCE_PIXELS) begin_pixels(0);
    else begin_run(PICTURE);
    return i ? 0 : BENCH_TIMES * (which == REDUCE_PIXELS ? 1 : tried.run.count);
}

static void call(const void *table, void *const *in, void *const *out) {
    const fi_idct_kernels *k = table;
    uint8_t *const rows[4] = {out[0], out[1], out[2], out[3]};
    fi_block_run run = tried.run;

    run.coefficients = in[0];
    run.quantisation = in[1];
    run.rows = rows;
    for (unsigned i = 0; i < tried.times; i++) {
        if (which == IDCT_4) k->idct_4(&run);
        else if (which == IDCT_2) k->idct_2(&run);
        else k->reduce_pixels((const uint8_t (*)[8])in[0], tried.size, rows, run.column);
    }
}

/* ---- accuracy ---------------------------------------------------------------------------------------------------- */

/*
 * Inverse DCTs to 1, 2 and 4 samples of coefficients that pictures have: Q6, and as far from the range of pixels as they
 * are. 1 x 1 and 2 x 2 are exact. 4 x 4 rounds the result to a 64th, and before that four numbers to quarters between
 * the passes, by up to an eighth. They count 1, 1.31, 1 and 0.54 times in 8 times a sample. And the worse of its Q13
 * cosines, 0.5412, is off by 1.1e-4 of itself, a product of two by twice that.
 */
static void test_low_pass(void) {
    int16_t x[BLOCK], samples[4][4];
    uint16_t q[BLOCK];
    uint8_t *const rows[4] = {(void *)samples[0], (void *)samples[1], (void *)samples[2], (void *)samples[3]};

    fill_basis();
    fi_kernels_init(0);
    for (unsigned i = 0; i < 3 * 20000; i++) {
        const unsigned size = 1u << i % 3;
        double magnitude;
        fill_block(x, q, i % 2 ? SPARSE : PICTURE, 4);
        fi_idct_choose(size)(&(fi_block_run){x, BLOCK, q, rows, 0, 0, 1});
        for (unsigned s = 0; s < size * size; s++) {
            const double exact = exact_sample(x, q, size, s, &magnitude);
            const double inexact = size == 4 ? 0.5 / 64 + 0.125 * 3.85 / 8 + 2.2e-4 * magnitude : 0;
            const double clamped = fmin(fmax(exact, -512), 512 - 1.0 / 64);
            compare_sample(size, samples[s / size][s % size] / 64.0, clamped, inexact + 1e-9);
        }
    }
}

/*
 * Reducing the pixels of blocks at the edge of an image. Sixteen weights are rounded to Q14. The error of each meets
 * pixels minus 128 (as weights sum to one), and the other axis's weights, whose magnitudes sum to 1.2. Between the
 * passes samples are Q6, and half of their last bit counts 1.2 times.
 */
static void test_edges(void) {
    const double tolerance = 0.5 / 64 + 16 * (0.5 / 16384) * 1.2 * 128 + 1.2 / 128;
    int16_t samples[4][4];
    uint8_t pixels[8][8], repeated[8][8];
    uint8_t *const rows[4] = {(void *)samples[0], (void *)samples[1], (void *)samples[2], (void *)samples[3]};

    fill_basis();
    fi_kernels_init(0);
    for (unsigned i = 0; i < 2 * 64 * 40; i++) {
        const unsigned size = i % 2 ? 2 : 4, height = 1 + i / 2 % 8, width = 1 + i / 16 % 8;
        for (unsigned k = 0; k < 64; k++) pixels[k / 8][k % 8] = (uint8_t)(i % 3 ? random16() : either(0, 255));
        for (unsigned k = 0; k < 64; k++) {
            repeated[k / 8][k % 8] = pixels[least(k / 8, height - 1)][least(k % 8, width - 1)];
        }
        fi_idct_reduce_pixels(pixels, size, height, width, rows, 0);
        for (unsigned s = 0; s < size * size; s++) {
            double exact = 0;
            for (unsigned k = 0; k < 64; k++) {
                exact += weight(size, s / size, k / 8) * weight(size, s % size, k % 8) * repeated[k / 8][k % 8];
            }
            compare_sample(size, samples[s / size][s % size] / 64.0, exact, tolerance);
        }
    }
}

static const kernel kernels[] = {
    [IDCT_4] = {"idct_4", offsetof(fi_idct_kernels, idct_4), test_run, bench},
    [IDCT_2] = {"idct_2", offsetof(fi_idct_kernels, idct_2), test_run, bench},
    [REDUCE_PIXELS] = {"reduce_pixels", offsetof(fi_idct_kernels, reduce_pixels), test_pixels, bench},
    {"low_pass", 0, test_low_pass, NULL},
    {"edges", 0, test_edges, NULL},
    {0},
};

const topic idct_reduced = {kernels, &definition, choose, call};
