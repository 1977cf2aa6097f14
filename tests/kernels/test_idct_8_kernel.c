/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * As test_kernels.c, of the kernel that is an inverse DCT of two blocks at once. It has no C version: libjpeg does the same.
 * So all versions are compared with the definition, and this with real cosines. From the top of a checkout:
 *
 *   cc -std=c11 -O2 -I fastimg/_core tests/kernels/test_idct_8_kernel.c fastimg/_core/{kernels,cpu}.c -lm -o test
 */
#include "check.h"
#include "coefficients.h"

#include <math.h>

enum {
    SIDE = 8,
    LOW = 4, /* frequencies in each direction where the others are zero */
    MOST_COLUMN = 2 * VECTOR,
    STRIDE = 2 * MOST_COLUMN + PAD + 3, /* from row to row: odd, and with room for canaries in between */
    MOST_NBYTES = SIDE * STRIDE + VECTOR,
    ROUNDS = 40,
};

/* A kernel that is added to the table has to be tested in one of these programs; the ones before are in the others. */
_Static_assert(sizeof(fi_kernels) == offsetof(fi_kernels, idct_8) + sizeof(void (*)(void)), "a kernel is not tested");

/* ---- what it has to give ----------------------------------------------------------------------------------------- */

/*
 * The factors of Loeffler, Ligtenberg and Moschytz in 13 bits of fraction, each named after the inputs that it weighs, from
 * what they are in sums of sqrt(2) cos(k pi / 16).
 */
static struct {
    int64_t r2, r6, r26, r1, r3, r5, r7, r17, r35, r37, r15, r1357;
} factor;

static void fill_factors(void) {
    double c[SIDE];
    for (int k = 0; k < SIDE; k++) c[k] = 8192 * sqrt(2) * cos(k * PI / 16);

    factor.r2 = lround(c[2] - c[6]);
    factor.r6 = lround(c[2] + c[6]);
    factor.r26 = lround(c[6]);
    factor.r1 = lround(c[1] + c[3] - c[5] - c[7]);
    factor.r3 = lround(c[1] + c[3] + c[5] - c[7]);
    factor.r5 = lround(c[1] + c[3] - c[5] + c[7]);
    factor.r7 = lround(-c[1] + c[3] + c[5] - c[7]);
    factor.r17 = lround(c[3] - c[7]);
    factor.r35 = lround(c[1] + c[3]);
    factor.r37 = lround(c[3] + c[5]);
    factor.r15 = lround(c[3] - c[5]);
    factor.r1357 = lround(c[3]);
}

/*
 * One pass. Four sums of two inputs wrap around at 16 bits. No other sum leaves 32 bits, where it would wrap: what a result
 * has of the inputs and of those four sums, of 2^15 each, are at most 64570 / 8192 of them.
 */
static void defined_pass(const int64_t r[SIDE], int64_t scale, int64_t out[SIDE]) {
    const int64_t sum = 8192 * wrap16(r[0] + r[4]), difference = 8192 * wrap16(r[0] - r[4]);
    const int64_t t26 = factor.r26 * (r[2] + r[6]), t2 = t26 - factor.r6 * r[6], t3 = t26 + factor.r2 * r[2];
    const int64_t even[4] = {sum + t3, difference + t2, difference - t2, sum - t3};

    const int64_t r37 = wrap16(r[3] + r[7]), r15 = wrap16(r[1] + r[5]), t1357 = factor.r1357 * (r37 + r15);
    const int64_t t37 = t1357 - factor.r37 * r37, t15 = t1357 - factor.r15 * r15;
    const int64_t t17 = factor.r17 * (r[1] + r[7]), t35 = factor.r35 * (r[3] + r[5]);
    const int64_t odd[4] = {factor.r1 * r[1] - t17 + t15, factor.r3 * r[3] - t35 + t37, factor.r5 * r[5] - t35 + t15,
                            factor.r7 * r[7] - t17 + t37};

    for (int i = 0; i < 4; i++) {
        out[i] = limit(divide(even[i] + odd[i] + scale / 2, scale), INT16_MIN, INT16_MAX);
        out[7 - i] = limit(divide(even[i] - odd[i] + scale / 2, scale), INT16_MIN, INT16_MAX);
    }
}

/* Columns, with two bits of fraction left, then rows. A lone row 0 is not transformed, but shifted, and wraps around. */
static void define_block(const fi_block *block) {
    int64_t work[SIDE][SIDE], in[SIDE], out[SIDE];
    bool is_lone = true;

    for (int k = SIDE; k < BLOCK; k++) is_lone = is_lone && block->coefficients[k] == 0;
    for (int c = 0; c < SIDE; c++) {
        for (int k = c; k < BLOCK; k += SIDE) {
            in[k / SIDE] = wrap16((int64_t)block->coefficients[k] * block->quantisation[k]);
        }
        defined_pass(in, 1 << 11, out);
        for (int r = 0; r < SIDE; r++) work[r][c] = is_lone ? wrap16(4 * in[0]) : out[r];
    }
    for (int r = 0; r < SIDE; r++) {
        defined_pass(work[r], 1 << 18, out);
        for (size_t s = 0; s < SIDE; s++) block->rows[r][block->column + s] = (uint8_t)(limit(out[s], -128, 127) + 128);
    }
}

static void idct_8_defined(const fi_block *first, const fi_block *second, bool low) {
    (void)low;
    define_block(first);
    define_block(second);
}

static const fi_kernels definition = {.name = "its definition", .idct_8 = idct_8_defined};

/* ---- what is tried ----------------------------------------------------------------------------------------------- */

/* Where the two blocks' samples go. */
static const char *const arrangements[] = {"one block twice", "apart", "in the same rows"};
enum { TWICE, APART, ABREAST, ARRANGEMENTS };

/* Which rows of a fill are not set to zero; a product that vanishes is one of dequantisation that is 65536. */
static const char *const keeps[] = {"all rows", "row 0", "row 0 and a product that vanishes"};
enum { ALL_ROWS, ROW_0, VANISHING, KEEPS };

static struct {
    int16_t x[2][BLOCK];
    uint16_t q[2][BLOCK];
    unsigned fill[2], keep[2], arrangement;
    bool low;
    size_t column[2];
    size_t nbytes[2]; /* of destinations: from row 0 to the end of what is in row 7 */
} tried;

static void print_sizes(void) {
    printf("%s, %s (%s) and %s (%s), columns %zu and %zu%s;", arrangements[tried.arrangement], keeps[tried.keep[0]],
           fills[tried.fill[0]], keeps[tried.keep[1]], fills[tried.fill[1]], tried.column[0], tried.column[1],
           tried.low ? ", low" : "");
}

static void fill_tried(unsigned b) {
    int16_t *x = tried.x[b];
    uint16_t *q = tried.q[b];

    fill_block(x, q, tried.fill[b], tried.low ? LOW : SIDE);
    for (int k = 0; k < BLOCK; k++) {
        if (tried.keep[b] != ALL_ROWS && k >= SIDE) x[k] = 0;
        if (tried.low && (k / SIDE >= LOW || k % SIDE >= LOW)) x[k] = 0;
    }
    if (tried.keep[b] == VANISHING) {
        const int rows = tried.low ? LOW : SIDE, k = SIDE * (1 + random16() % (rows - 1)) + random16() % rows;
        x[k] = 256;
        q[k] = 256;
    }
}

/* The first block's fills and the arrangement in turn, all else at random. */
static void choose_tried(unsigned i) {
    const bool touching = random16() & 1, swapped = random16() & 1;

    tried.fill[0] = i % FILLS;
    tried.keep[0] = i / FILLS % KEEPS;
    tried.low = i / FILLS / KEEPS % 2;
    tried.arrangement = i / FILLS / KEEPS / 2 % ARRANGEMENTS;
    tried.fill[1] = random16() % FILLS;
    tried.keep[1] = random16() % KEEPS;
    for (unsigned b = 0; b < 2; b++) {
        fill_tried(b);
        tried.column[b] = i % 5 ? random16() % MOST_COLUMN : 0;
        tried.nbytes[b] = (SIDE - 1) * STRIDE + tried.column[b] + SIDE;
    }
    if (tried.arrangement != ABREAST) return;
    tried.column[swapped] = tried.column[!swapped] + SIDE + (touching ? 0 : random16() % MOST_COLUMN);
    tried.nbytes[0] = (SIDE - 1) * STRIDE + tried.column[swapped] + SIDE;
}

/* ---- trying ------------------------------------------------------------------------------------------------------ */

static guarded coefficients[2], quantisation[2];

static void run(const fi_kernels *by, const int16_t *const x[2], const uint16_t *const q[2], uint8_t *const dst[2]) {
    uint8_t *rows[2][SIDE];
    fi_block blocks[2];

    for (unsigned b = 0; b < 2; b++) {
        for (size_t r = 0; r < SIDE; r++) rows[b][r] = dst[tried.arrangement == APART ? b : 0] + STRIDE * r;
        blocks[b] = (fi_block){x[b], q[b], rows[b], tried.column[b]};
    }
    by->idct_8(&blocks[0], &blocks[tried.arrangement == TWICE ? 0 : 1], tried.low);
}

/* Source offsets are in items: a pointer to a number has to be aligned as C wants it. */
static void try_at(const fi_kernels *version, size_t src_offset, size_t dst_offset) {
    const unsigned dests_in_use = tried.arrangement == APART ? 2 : 1;
    const int16_t *x[2];
    const uint16_t *q[2];
    uint8_t *dst[2] = {NULL, NULL};

    now.src_offset = src_offset * sizeof(int16_t);
    now.dst_offset = dst_offset;
    for (unsigned b = 0; b < 2; b++) {
        const size_t offset = sizeof(int16_t) * (b ? dst_offset : src_offset);
        x[b] = memcpy(place(&coefficients[b], sizeof tried.x[b], offset, now.at_end), tried.x[b], sizeof tried.x[b]);
        q[b] = memcpy(place(&quantisation[b], sizeof tried.q[b], offset, now.at_end), tried.q[b], sizeof tried.q[b]);
    }
    for (unsigned d = 0; d < dests_in_use; d++) dst[d] = place_dest(d, tried.nbytes[d], d ? src_offset : dst_offset);
    run(version, x, q, dst);
    for (unsigned d = 0; d < dests_in_use; d++) compare_dest(d, dst[d], tried.nbytes[d]);
}

static void try_kernel(const fi_kernels *version) {
    const int16_t *const x[2] = {tried.x[0], tried.x[1]};
    const uint16_t *const q[2] = {tried.q[0], tried.q[1]};

    for (unsigned i = 0; i < FILLS * KEEPS * 2 * ARRANGEMENTS * ROUNDS; i++) {
        choose_tried(i);
        now.fill = fills[tried.fill[0]];
        uint8_t *const dst[2] = {new_expected(0, tried.nbytes[0]), new_expected(1, tried.nbytes[1])};
        run(&definition, x, q, dst);
        for (int at_end = 0; at_end < 2; at_end++) {
            now.at_end = at_end;
            for (size_t offset = 0; offset < VECTOR; offset++) try_at(version, offset, 13 * offset % VECTOR);
        }
    }
}

static void try_version(const fi_kernels *version) {
    now.kernel = "idct_8";
    now.version = version->name;
    now.against = definition.name;
    if (!version->idct_8) {
        printf("%-15s %-5s does not exist\n", now.kernel, now.version);
        return;
    }
    try_kernel(version);
    say_equal();
}

/* ---- accuracy of the definition ---------------------------------------------------------------------------------- */

static double basis[SIDE][SIDE]; /* frequency k at sample s of an orthonormal DCT */

static void fill_basis(void) {
    for (int k = 0; k < SIDE; k++) {
        for (int s = 0; s < SIDE; s++) basis[k][s] = sqrt((k ? 2.0 : 1.0) / 8) * cos(k * (2 * s + 1) * PI / 16);
    }
}

/* Of pixels less 128, or back. */
static void exact_dct(const double *in, bool inverse, double *out) {
    for (int o = 0; o < BLOCK; o++) {
        out[o] = 0;
        for (int i = 0; i < BLOCK; i++) {
            const int k = inverse ? i : o, s = inverse ? o : i;
            out[o] += in[i] * basis[k / SIDE][s / SIDE] * basis[k % SIDE][s % SIDE];
        }
    }
}

/* Slopes, noise of all strengths on them, and black and white. */
static void fill_pixels(double *pixels, unsigned kind) {
    const int right = random16() % 65 - 32, down = random16() % 65 - 32, middle = random16() % 256 - 128;
    const int noise = kind == 0 ? 0 : random16() % 128;

    for (int s = 0; s < BLOCK; s++) {
        const int slope = middle + right * (s % SIDE - 4) + down * (s / SIDE - 4);
        const int64_t value = slope + random16() % (2 * noise + 1) - noise;
        pixels[s] = kind == 2 ? either(-128, 127) : (double)limit(value, -128, 127);
    }
}

/*
 * Of blocks that pictures have: never more than a level away. Half of one is for the last rounding. Between the passes,
 * eight numbers are rounded, by half of their last bit; in a sample these count 7.48 times in all, which are the magnitudes
 * of eight factors, and 32 of them are a level. A factor of an input is the sum of at most four rounded ones, each up to
 * half of 2^-13 away, and at most 1.39; a coefficient meets two of them, and of their product an eighth counts.
 */
static void try_accuracy(void) {
    int16_t x[BLOCK];
    uint16_t q[BLOCK];
    uint8_t samples[SIDE][SIDE], *rows[SIDE];
    double pixels[BLOCK], frequencies[BLOCK], exact[BLOCK];

    for (int r = 0; r < SIDE; r++) rows[r] = samples[r];
    for (unsigned i = 0; i < 3 * 5000; i++) {
        const int coarsest = 1 << random16() % 9;
        double magnitude = 0;
        fill_pixels(pixels, i % 3);
        exact_dct(pixels, false, frequencies);
        for (int k = 0; k < BLOCK; k++) {
            q[k] = (uint16_t)(1 + random16() % coarsest);
            x[k] = (int16_t)lround(frequencies[k] / q[k]);
            frequencies[k] = x[k] * q[k];
            magnitude += fabs(frequencies[k]);
        }
        exact_dct(frequencies, true, exact);
        define_block(&(fi_block){x, q, rows, 0});
        const double inexact = 0.5 * 7.48 / 32 + 2 * 1.39 * (4 * 0.5 / 8192) / 8 * magnitude;
        for (int s = 0; s < BLOCK; s++) {
            const double should = fmin(fmax(exact[s] + 128, 0), 255), found = samples[s / SIDE][s % SIDE];
            if (fabs(found - should) <= fmin(0.5 + inexact, 1)) continue;
            printf("accuracy c: sample %d of block %u is %g, should be near to %g\n", s, i, found, should);
            exit(1);
        }
    }
    printf("%-15s %-5s equals its definition\n", "accuracy", "c");
}

/* ---- times ------------------------------------------------------------------------------------------------------- */

static void time_version(const fi_kernels *version, bool low) {
    enum { BLOCKS = 64, CALLS = 200, TIMES = 50 };
    static int16_t x[BLOCKS][BLOCK];
    static uint8_t samples[SIDE][SIDE * BLOCKS];
    uint8_t *rows[SIDE];
    fi_block blocks[BLOCKS];
    double best = 1e30;

    for (int r = 0; r < SIDE; r++) rows[r] = samples[r];
    for (size_t b = 0; b < BLOCKS; b++) {
        tried.low = low;
        tried.fill[0] = PICTURE;
        tried.keep[0] = ALL_ROWS;
        fill_tried(0);
        memcpy(x[b], tried.x[0], sizeof x[b]);
        blocks[b] = (fi_block){x[b], tried.q[0], rows, SIDE * b};
    }
    for (int round = 0; round < TIMES; round++) { /* the best one: nobody else was running */
        const uint64_t start = now_ns();
        for (int call = 0; call < CALLS; call++) {
            for (size_t b = 0; b < BLOCKS; b += 2) version->idct_8(&blocks[b], &blocks[b + 1], low);
        }
        const double ns = (double)(now_ns() - start) / CALLS / BLOCKS;
        if (ns < best) best = ns;
    }
    printf("%-15s %-5s %9.3f\n", low ? "idct_8, low" : "idct_8", version->name, best);
}

static void time_all(void) {
    const fi_kernels best = fi_kernels_choose(fi_cpu_features());
    printf("\nkernel          by     ns/block\n");
    for (int low = 0; best.idct_8 && low < 2; low++) time_version(&best, low);
    if (!best.idct_8) printf("%-15s %-5s does not exist\n", "idct_8", best.name);
}

int main(int argc, char **argv) {
    for (unsigned b = 0; b < 2; b++) {
        coefficients[b] = guarded_new((BLOCK + VECTOR) * sizeof(int16_t));
        quantisation[b] = guarded_new((BLOCK + VECTOR) * sizeof(uint16_t));
    }
    new_dests(MOST_NBYTES);
    catch_faults();
    fill_factors();
    fill_basis();

    for_all_versions(try_version);
    try_accuracy();
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) time_all();
    return 0;
}
