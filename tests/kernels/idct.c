/* SPDX-License-Identifier: BSD-3-Clause */
/* The inverse DCT kernels, and how close all inverse DCTs of the core are to real cosines. */
#include "pixels/idct.h"
#include "pixels/kernels.h"

#include "harness.h"

#include <stdlib.h>

#define PI 3.14159265358979323846
#define BLOCK 64 /* coefficients */

/* v as an int16_t that wraps around. */
static int64_t wrap16(int64_t v) {
    return v - 65536 * divide(v + 32768, 65536);
}

/* ---- definitions ------------------------------------------------------------------------------------------------- */

/* Wraps around at 16 bits, like libjpeg-turbo's SIMD versions. */
static int64_t dequantised(const int16_t *x, const uint16_t *q, int k) {
    return wrap16((int64_t)x[k] * q[k]);
}

static uint8_t sample_of(int64_t v) {
    return (uint8_t)limit(v + 128, 0, UINT8_MAX);
}

/* sqrt(2) cos(k (2 s + 1) pi / 8), or 1 if k is 0, in Q13: the weight of frequency k in sample s. */
static int64_t cosine(int k, int s) {
    return k == 0 ? 8192 : lround(8192 * sqrt(2) * cos(k * (2 * s + 1) * PI / 8));
}

/* Columns, which keep two bits of fraction, then rows. */
static void idct_4_defined(const int16_t *x, const uint16_t *q, uint8_t *const *rows, size_t column) {
    int64_t work[4][4];

    for (int i = 0; i < 16; i++) {
        int64_t sum = 1 << 10;
        for (int k = 0; k < 4; k++) sum += cosine(k, i / 4) * dequantised(x, q, 8 * k + i % 4);
        work[i / 4][i % 4] = limit(divide(sum, 1 << 11), INT16_MIN, INT16_MAX);
    }
    for (int i = 0; i < 16; i++) {
        int64_t sum = 1 << 17;
        for (int k = 0; k < 4; k++) sum += cosine(k, i % 4) * work[i / 4][k];
        rows[i / 4][column + (size_t)(i % 4)] = sample_of(divide(sum, 1 << 18));
    }
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

static const fi_idct_kernels definition = {idct_4_defined, idct_8_defined};

static void choose(void *table, unsigned cpu_features) {
    fi_idct_kernels_choose(table, cpu_features);
}

/* ---- cases ------------------------------------------------------------------------------------------------------- */

enum { IDCT_4, IDCT_8, KERNELS };
_Static_assert(sizeof(fi_idct_kernels) == KERNELS * sizeof(void (*)(void)), "a kernel is not tested");

static const char *const fills[] = {"random", "extreme", "sparse", "a single one", "of a picture", "just one sign"};
enum { RANDOM, EXTREME, SPARSE, SINGLE, PICTURE, ONE_SIGN, FILLS };

enum { ALL_ROWS, ROW_0, VANISHING, KEEPS };     /* rows that keep their fill; and 256 * 256, which wraps to 0 */
enum { TWICE, APART, ABREAST, ARRANGEMENTS }; /* one block twice, two at different places, two in the same rows */

/* The stride is odd, and has room for canaries between rows. */
enum { MAX_COLUMN = 2 * VECTOR, STRIDE = 2 * MAX_COLUMN + 67, BENCH_TIMES = 64 };

static struct cases {
    unsigned arrangement, times;
    bool low;
    size_t column[2];
} tried = {.times = 1};

static int16_t either(int16_t a, int16_t b) {
    return random16() & 1 ? a : b;
}

/* A quantised coefficient that 8-bit pixels can have: up to 1024 when dequantised. */
static int16_t plausible(uint16_t quantisation) {
    const int most = 1024 / quantisation, within = 1 + random16() % (most + 1);
    return (int16_t)(random16() % (2 * within + 1) - within);
}

/* A lone coefficient is among the lowest side x side. */
static void fill_block(int16_t *x, uint16_t *q, unsigned fill, int side) {
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

static void begin_blocks(const unsigned fill[2], const unsigned keep[2]) {
    const int side = which == IDCT_4 || tried.low ? 4 : 8;
    const size_t nbytes = sizeof(int16_t) * (which == IDCT_4 ? 8 * 3 + 4 : BLOCK); /* as far as may be read */
    const size_t right = tried.column[tried.arrangement == ABREAST && tried.column[1] > tried.column[0]];

    begin("coefficients %s (%u) and %s (%u), arrangement %u, columns %zu and %zu%s", fills[fill[0]], keep[0],
          fills[fill[1]], keep[1], tried.arrangement, tried.column[0], tried.column[1], tried.low ? ", low" : "");
    for (size_t b = 0; b <= which; b++) {
        int16_t *const x = input(nbytes, sizeof *x);
        uint16_t *const q = input(nbytes, sizeof *q);
        fill_block(x, q, fill[b], side);
        for (int k = 0; k < BLOCK; k++) {
            const bool counts = k / 8 < side && k % 8 < side;
            if (which == IDCT_8 && (!counts || (keep[b] != ALL_ROWS && k >= 8))) x[k] = 0;
            if (which == IDCT_4 && !counts) x[k] = (int16_t)(q[k] = random16());
        }
        if (which == IDCT_4 || keep[b] != VANISHING) continue;
        const int k = 8 * (1 + random16() % (side - 1)) + random16() % side;
        x[k] = (int16_t)(q[k] = 256);
    }
    for (int r = 0; which == IDCT_4 && r < 4; r++) output(tried.column[0] + 4, 1);
    if (which == IDCT_8) output(7 * STRIDE + right + 8, 1); /* from row 0 to the last sample of row 7 */
    if (which == IDCT_8 && tried.arrangement == APART) output(7 * STRIDE + tried.column[1] + 8, 1);
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
    return i <= which ? BENCH_TIMES * (1 + which) : 0;
}

static void call(const void *table, void *const *in, void *const *out) {
    const fi_idct_kernels *k = table;
    uint8_t *rows[2][8];
    fi_block blocks[2];

    for (unsigned b = 0; b < 2; b++) {
        uint8_t *const dst = out[tried.arrangement == APART ? b : 0];
        for (size_t r = 0; r < 8; r++) rows[b][r] = which == IDCT_4 ? out[r % 4] : dst + STRIDE * r;
        blocks[b] = (fi_block){in[2 * b], in[2 * b + 1], rows[b], tried.column[b]};
    }
    for (unsigned i = 0; i < tried.times; i++) {
        if (which == IDCT_4) k->idct_4(in[0], in[1], rows[0], tried.column[0]);
        else k->idct_8(&blocks[0], &blocks[tried.arrangement == TWICE ? 0 : 1], tried.low);
    }
}

/* ---- accuracy ---------------------------------------------------------------------------------------------------- */

/* Frequency k at sample s of n: an orthonormal DCT, scaled by sqrt(n / 8). */
static double basis[9][8][8];

static void fill_basis(void) {
    for (int n = 1; n <= 8; n *= 2) {
        for (int k = 0; k < n; k++) {
            for (int s = 0; s < n; s++)
                basis[n][k][s] = sqrt((k ? 2.0 : 1.0) / 8) * cos(k * (2 * s + 1) * PI / (2 * n));
        }
    }
}

/* Sample s of size x size, and the sum of the magnitudes of its terms. */
static double exact_sample(const int16_t *x, const uint16_t *q, unsigned size, unsigned s, double *magnitude) {
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

static void compare_sample(unsigned size, double found, double exact, double tolerance) {
    exact = fmin(fmax(exact, 0), 255);
    if (fabs(found - exact) <= tolerance) return;
    fail("a sample of %u x %u is %g, should be near to %g", size, size, found, exact);
}

/*
 * Inverse DCTs to 1, 2 and 4 samples of coefficients that pictures have. 1 x 1 and 2 x 2 only round the result, by up
 * to half a level. 4 x 4 also rounds four numbers to quarters between the passes, by up to an eighth. They count 1,
 * 1.31, 1 and 0.54 times in 8 times a sample. And the worse of its Q13 cosines, 0.5412, is off by 1.1e-4 of itself, a
 * product of two by twice that.
 */
static void test_low_pass(void) {
    int16_t x[BLOCK];
    uint16_t q[BLOCK];
    uint8_t samples[4][4];
    uint8_t *const rows[4] = {samples[0], samples[1], samples[2], samples[3]};

    fill_basis();
    fi_kernels_init(0);
    for (unsigned i = 0; i < 3 * 20000; i++) {
        const unsigned size = 1u << i % 3;
        double magnitude;
        fill_block(x, q, i % 2 ? SPARSE : PICTURE, 4);
        fi_idct_choose(size)(x, q, rows, 0);
        for (unsigned s = 0; s < size * size; s++) {
            const double exact = exact_sample(x, q, size, s, &magnitude);
            const double inexact = size == 4 ? 0.125 * 3.85 / 8 + 2.2e-4 * magnitude : 0;
            compare_sample(size, samples[s / size][s % size], exact, 0.5 + inexact + 1e-9);
        }
    }
}

/* The weight of pixel i of 8 in sample s of n. */
static double weight(unsigned n, unsigned s, unsigned i) {
    double sum = 0;
    for (unsigned k = 0; k < n; k++) sum += basis[n][k][s] * basis[8][k][i];
    return sum;
}

/*
 * Reducing the pixels of blocks at the edge of an image. Sixteen weights are rounded to Q14. The error of each meets
 * pixels minus 128 (as weights sum to one), and the other axis's weights, whose magnitudes sum to 1.2. Between the
 * passes samples are Q6, and half of their last bit counts 1.2 times.
 */
static void test_edges(void) {
    const double tolerance = 0.5 + 16 * (0.5 / 16384) * 1.2 * 128 + 1.2 / 128;
    uint8_t samples[4][4], pixels[8][8], repeated[8][8];
    uint8_t *const rows[4] = {samples[0], samples[1], samples[2], samples[3]};

    fill_basis();
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
            compare_sample(size, samples[s / size][s % size], exact, tolerance);
        }
    }
}

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
            compare_sample(8, samples[s / 8][s % 8], exact_sample(x, q, 8, s, &ignored), fmin(0.5 + inexact, 1));
        }
    }
}

static const kernel kernels[] = {
    [IDCT_4] = {"idct_4", offsetof(fi_idct_kernels, idct_4), test, bench},
    [IDCT_8] = {"idct_8", offsetof(fi_idct_kernels, idct_8), test, bench},
    {"low_pass", 0, test_low_pass, NULL},
    {"edges", 0, test_edges, NULL},
    {"accuracy", 0, test_accuracy, NULL},
    {0},
};

const topic idct = {kernels, &definition, choose, call};
