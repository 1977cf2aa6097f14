/* SPDX-License-Identifier: BSD-3-Clause */
/* The inverse DCT to 8 x 8 samples, and how close it is to real cosines. */
#include "idct_cases.h"

#include <stdlib.h>

/* ---- definitions ------------------------------------------------------------------------------------------------- */

static uint8_t sample_of(int64_t v) {
    return (uint8_t)limit(v + 128, 0, UINT8_MAX);
}

/* What libjpeg-turbo does to results that do not fit into 16 bits: on ARM they wrap around. */
static int64_t fit16(int64_t v) {
#if defined(__aarch64__)
    return wrap16(v);
#else
    return limit(v, INT16_MIN, INT16_MAX);
#endif
}

/*
 * One pass of Loeffler, Ligtenberg and Moschytz with Q13 factors. Four sums of two inputs wrap around at 16 bits. No
 * other sum exceeds 32 bits: inputs and those four sums are at most 2^15, and the factors of one result sum to at most
 * 64570.
 */
static void idct_8_pass(const int64_t r[8], int64_t scale, int64_t out[8]) {
    static double c[8]; /* computed once: an emulator takes long */
    for (int k = 0; k < 8 && c[7] == 0; k++) c[k] = 8192 * sqrt(2) * cos(k * PI / 16);

    const int64_t sum = 8192 * wrap16(r[0] + r[4]), difference = 8192 * wrap16(r[0] - r[4]);
    const int64_t t26 = lround(c[6]) * (r[2] + r[6]);
    const int64_t t2 = t26 - lround(c[2] + c[6]) * r[6], t3 = t26 + lround(c[2] - c[6]) * r[2];
    const int64_t even[4] = {sum + t3, difference + t2, difference - t2, sum - t3};

    const int64_t r37 = wrap16(r[3] + r[7]), r15 = wrap16(r[1] + r[5]), t1357 = lround(c[3]) * (r37 + r15);
    const int64_t t37 = t1357 - lround(c[3] + c[5]) * r37, t15 = t1357 - lround(c[3] - c[5]) * r15;
    const int64_t t17 = lround(c[3] - c[7]) * (r[1] + r[7]), t35 = lround(c[1] + c[3]) * (r[3] + r[5]);
    const int64_t odd[4] = {
        lround(c[1] + c[3] - c[5] - c[7]) * r[1] - t17 + t15,
        lround(c[1] + c[3] + c[5] - c[7]) * r[3] - t35 + t37,
        lround(c[1] + c[3] - c[5] + c[7]) * r[5] - t35 + t15,
        lround(c[3] + c[5] - c[1] - c[7]) * r[7] - t17 + t37,
    };

    for (int i = 0; i < 4; i++) {
        out[i] = fit16(divide(even[i] + odd[i] + scale / 2, scale));
        out[7 - i] = fit16(divide(even[i] - odd[i] + scale / 2, scale));
    }
}

/* Columns, which keep two bits of fraction, then rows. If all but row 0 is zero, columns are only shifted, and wrap. */
static void idct_8_block(const fi_block *block) {
    int64_t work[8][8], in[8], out[8];
    bool is_lone = true;

    for (int k = 8; k < BLOCK; k++) is_lone = is_lone && block->coefficients[k] == 0;
    for (int c = 0; c < 8; c++) {
        for (int r = 0; r < 8; r++) in[r] = dequantised(block->coefficients, block->quantisation, 8 * r + c);
        idct_8_pass(in, 1 << 11, out);
        for (int r = 0; r < 8; r++) work[r][c] = is_lone ? wrap16(4 * in[0]) : out[r];
    }
    for (int r = 0; r < 8; r++) {
        idct_8_pass(work[r], 1 << 18, out);
        for (size_t s = 0; s < 8; s++) block->rows[r][block->column + s] = sample_of(out[s]);
    }
}

static void idct_8_defined(const fi_block *first, const fi_block *second, bool low) {
    (void)low;
    idct_8_block(first);
    idct_8_block(second);
}

static const fi_idct_kernels definition = {.idct_8 = idct_8_defined};

static void choose(void *table, unsigned cpu_features) {
    fi_idct_kernels_choose(table, cpu_features);
}

/* ---- cases ------------------------------------------------------------------------------------------------------- */

enum { ALL_ROWS, ROW_0, VANISHING, KEEPS };     /* rows that keep their fill; and 256 * 256, which wraps to 0 */
enum { TWICE, APART, ABREAST, ARRANGEMENTS }; /* one block twice, two at different places, two in the same rows */

/* The stride is odd, and has room for canaries between rows. */
enum { STRIDE = 2 * MAX_COLUMN + 67 };

static struct cases {
    unsigned arrangement, times;
    bool low;
    size_t column[2];
} tried = {.times = 1};

static void begin_blocks(const unsigned fill[2], const unsigned keep[2]) {
    const int side = tried.low ? 4 : 8;
    const size_t right = tried.column[tried.arrangement == ABREAST && tried.column[1] > tried.column[0]];

    begin("coefficients %s (%u) and %s (%u), arrangement %u, columns %zu and %zu%s", fills[fill[0]], keep[0],
          fills[fill[1]], keep[1], tried.arrangement, tried.column[0], tried.column[1], tried.low ? ", low" : "");
    for (size_t b = 0; b < 2; b++) {
        int16_t *const x = input(BLOCK * sizeof *x, sizeof *x);
        uint16_t *const q = input(BLOCK * sizeof *q, sizeof *q);
        fill_block(x, q, fill[b], side);
        for (int k = 0; k < BLOCK; k++) {
            const bool counts = k / 8 < side && k % 8 < side;
            if (!counts || (keep[b] != ALL_ROWS && k >= 8)) x[k] = 0;
        }
        if (keep[b] != VANISHING) continue;
        const int k = 8 * (1 + random16() % (side - 1)) + random16() % side;
        x[k] = (int16_t)(q[k] = 256);
    }
    output(7 * STRIDE + right + 8, 1); /* from row 0 to the last sample of row 7 */
    if (tried.arrangement == APART) output(7 * STRIDE + tried.column[1] + 8, 1);
}

/* Goes through the first block's fills and the arrangements. The rest is random. */
static void test(void) {
    for (unsigned i = 0; i < FILLS * KEEPS * 2 * ARRANGEMENTS * 40; i++) {
        const unsigned fill[2] = {i % FILLS, random16() % FILLS}, keep[2] = {i / FILLS % KEEPS, random16() % KEEPS};
        const bool touching = random16() & 1, right = random16() & 1;

        tried.low = i / FILLS / KEEPS % 2;
        tried.arrangement = i / FILLS / KEEPS / 2 % ARRANGEMENTS;
        for (int b = 0; b < 2; b++) tried.column[b] = i % 5 ? random16() % MAX_COLUMN : 0;
        if (tried.arrangement == ABREAST) {
            tried.column[right] = tried.column[!right] + 8 + (touching ? 0 : random16() % MAX_COLUMN);
        }
        begin_blocks(fill, keep);
        check(VECTOR);
    }
}

static size_t bench(unsigned i) {
    tried = (struct cases){ABREAST, BENCH_TIMES, i == 1, {0, 8}};
    begin_blocks((const unsigned[]){PICTURE, PICTURE}, (const unsigned[]){ALL_ROWS, ALL_ROWS});
    return i < 2 ? 2 * BENCH_TIMES : 0;
}

static void call(const void *table, void *const *in, void *const *out) {
    const fi_idct_kernels *k = table;
    uint8_t *rows[2][8];
    fi_block blocks[2];

    for (unsigned b = 0; b < 2; b++) {
        uint8_t *const dst = out[tried.arrangement == APART ? b : 0];
        for (size_t r = 0; r < 8; r++) rows[b][r] = dst + STRIDE * r;
        blocks[b] = (fi_block){in[2 * b], in[2 * b + 1], rows[b], tried.column[b]};
    }
    for (unsigned i = 0; i < tried.times; i++) {
        k->idct_8(&blocks[0], &blocks[tried.arrangement == TWICE ? 0 : 1], tried.low);
    }
}

/* ---- accuracy ---------------------------------------------------------------------------------------------------- */

/* The frequencies of slopes, of slopes with noise of any strength, or of random black and white, minus 128. */
static void make_frequencies(double *frequencies, unsigned kind) {
    const int right = random16() % 65 - 32, down = random16() % 65 - 32, middle = random16() % 256 - 128;
    const int noise = kind == 0 ? 0 : random16() % 128;

    memset(frequencies, 0, BLOCK * sizeof *frequencies);
    for (int s = 0; s < BLOCK; s++) {
        const int slope = middle + right * (s % 8 - 4) + down * (s / 8 - 4);
        const int64_t noisy = limit(slope + random16() % (2 * noise + 1) - noise, -128, 127);
        const double pixel = kind == 2 ? either(-128, 127) : (double)noisy;
        for (int k = 0; k < BLOCK; k++) frequencies[k] += pixel * basis[8][k / 8][s / 8] * basis[8][k % 8][s % 8];
    }
}

/*
 * The definition of idct_8 on blocks that pictures have is never off by more than a level. The last rounding takes half
 * of one. Between the passes, eight numbers are rounded by up to half of their last bit, of which 32 are a level. They
 * count 7.48 times in a sample, the magnitudes of eight factors. An input's factor is at most 1.39 and the sum of at
 * most four rounded ones, each off by up to 2^-14. A coefficient meets two such factors, and an eighth of their product
 * counts.
 */
static void test_accuracy(void) {
    int16_t x[BLOCK];
    uint16_t q[BLOCK];
    uint8_t samples[8][8], *rows[8];
    double frequencies[BLOCK], ignored;

    fill_basis();
    for (int r = 0; r < 8; r++) rows[r] = samples[r];
    for (unsigned i = 0; i < 3 * 5000; i++) {
        const int coarsest = 1 << random16() % 9;
        double magnitude = 0;
        make_frequencies(frequencies, i % 3);
        for (int k = 0; k < BLOCK; k++) {
            q[k] = (uint16_t)(1 + random16() % coarsest);
            x[k] = (int16_t)lround(frequencies[k] / q[k]);
            magnitude += abs(x[k] * q[k]);
        }
        idct_8_block(&(fi_block){x, q, rows, 0});
        const double inexact = 0.5 * 7.48 / 32 + 2 * 1.39 * (4 * 0.5 / 8192) / 8 * magnitude;
        for (unsigned s = 0; s < BLOCK; s++) {
            const double exact = fmin(fmax(exact_sample(x, q, 8, s, &ignored), 0), 255);
            compare_sample(8, samples[s / 8][s % 8], exact, fmin(0.5 + inexact, 1));
        }
    }
}

static const kernel kernels[] = {
    {"idct_8", offsetof(fi_idct_kernels, idct_8), test, bench},
    {"accuracy", 0, test_accuracy, NULL},
    {0},
};

const topic idct = {kernels, &definition, choose, call};
