/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every version of every pixel kernel that this processor can run, against the C reference; the C reference, and the
 * colour formulas of pixels.c, against their definitions. One line for each that is right; at the first difference,
 * what differed, and exit status 1. With --bench a table of times follows. From the top of a checkout:
 *
 *   cc -std=c11 -O2 -I fastimg/_core tests/kernels/test_kernels.c fastimg/_core/{kernels,cpu,pixels}.c -lm -o test
 */
#include "check.h"

#include <math.h>

#define MOST_BUFFER_NBYTES (320u * 1024) /* 4 bytes for each of the pixels of the longest row, and room for offsets */

/* ---- what a kernel is told --------------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *src[3];
    uint8_t *dst[3];
    const void *table;
    float mean, std;
    size_t n, rows, cols, src_stride, dst_stride;
    size_t src_nbytes, dst_nbytes; /* of each source and destination */
} args;

enum { SPLIT3, MERGE3, REVERSE, TRANSPOSE, NORMALIZE32, MAP16, YCC8_TO_RGB, KERNELS };

typedef struct {
    const char *name;
    size_t member; /* where in fi_kernels its pointer is */
    unsigned sources, dests;
    unsigned src_item, dst_item; /* bytes of a pixel in each of them; 0: a transpose */
} kernel;

static const kernel all_kernels[KERNELS] = {
    [SPLIT3] = {"split3", offsetof(fi_kernels, split3), 1, 3, 3, 1},
    [MERGE3] = {"merge3", offsetof(fi_kernels, merge3), 3, 1, 1, 3},
    [REVERSE] = {"reverse", offsetof(fi_kernels, reverse), 1, 1, 1, 1},
    [TRANSPOSE] = {"transpose", offsetof(fi_kernels, transpose), 1, 1, 0, 0},
    [NORMALIZE32] = {"normalize32", offsetof(fi_kernels, normalize32), 1, 1, 1, 4},
    [MAP16] = {"map16", offsetof(fi_kernels, map16), 1, 1, 1, 2},
    [YCC8_TO_RGB] = {"ycc8_to_rgb", offsetof(fi_kernels, ycc8_to_rgb), 3, 3, 1, 1},
};

static void run(const kernel *k, const fi_kernels *by, const args *a) {
    const long which = k - all_kernels;
    if (which == SPLIT3) by->split3(a->src[0], a->dst[0], a->dst[1], a->dst[2], a->n);
    else if (which == MERGE3) by->merge3(a->src[0], a->src[1], a->src[2], a->dst[0], a->n);
    else if (which == REVERSE) by->reverse(a->src[0], a->dst[0], a->n);
    else if (which == TRANSPOSE) by->transpose(a->src[0], a->src_stride, a->dst[0], a->dst_stride, a->rows, a->cols);
    else if (which == NORMALIZE32) by->normalize32(a->src[0], a->mean, a->std, a->dst[0], a->n);
    else if (which == MAP16) by->map16(a->src[0], a->table, a->dst[0], a->n);
    else if (which == YCC8_TO_RGB) by->ycc8_to_rgb(a->src, a->dst, a->n);
}

/*
 * A kernel that is added to the table has to be added here: all of fi_kernels but its name are pointers to functions.
 * Those from resample_rows on are tested in test_resize_kernels.c, but for ycc8_to_rgb; behind that is idct_4, which has
 * a program of its own.
 */
_Static_assert(offsetof(fi_kernels, resample_rows) == sizeof(char *) + YCC8_TO_RGB * sizeof(void (*)(void)) &&
                   offsetof(fi_kernels, idct_4) == offsetof(fi_kernels, ycc8_to_rgb) + sizeof(void (*)(void)),
               "a kernel is not tested");

/* What the comments in pixels.h say, a byte of the destination at a time: the judge of the C reference. */
static void split3_defined(const uint8_t *src, uint8_t *p0, uint8_t *p1, uint8_t *p2, size_t n) {
    for (size_t i = 0; i < 3 * n; i++) *((i % 3 == 0 ? p0 : i % 3 == 1 ? p1 : p2) + i / 3) = src[i];
}

static void merge3_defined(const uint8_t *p0, const uint8_t *p1, const uint8_t *p2, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < 3 * n; i++) dst[i] = *((i % 3 == 0 ? p0 : i % 3 == 1 ? p1 : p2) + i / 3);
}

static void reverse_defined(const uint8_t *src, uint8_t *dst, size_t n) {
    while (n--) *dst++ = src[n];
}

static void transpose_defined(const uint8_t *src, size_t src_stride, uint8_t *dst, size_t dst_stride, size_t rows,
                              size_t cols) {
    for (size_t i = 0; i < rows * cols; i++) {
        const size_t row = i / cols, col = i % cols;
        dst[col * dst_stride + row] = src[row * src_stride + col];
    }
}

/* A sum or quotient of two floats that is computed in double is rounded to float as if there had been but one rounding. */
static void normalize32_defined(const uint8_t *src, float mean, float std, void *dst, size_t n) {
    for (size_t i = 0; i < n; i++) {
        volatile float value = (float)((double)src[i] / 255);
        value = (float)((double)value - mean);
        value = (float)((double)value / std);
        for (size_t k = 0; k < 4; k++) ((uint8_t *)dst)[4 * i + k] = ((const volatile uint8_t *)&value)[k];
    }
}

static void map16_defined(const uint8_t *src, const uint16_t *table, void *dst, size_t n) {
    for (size_t i = 0; i < 2 * n; i++) ((uint8_t *)dst)[i] = ((const uint8_t *)(table + src[i / 2]))[i % 2];
}

/* JFIF's equations as libjpeg computes them: factors in 16 bits of fraction, one rounding for all that is added to Y. */
static void ycc8_to_rgb_defined(const uint8_t *const ycc[3], uint8_t *const rgb[3], size_t n) {
    for (size_t i = 0; i < n; i++) {
        const int64_t cb = (int64_t)ycc[1][i] - 128, cr = (int64_t)ycc[2][i] - 128;
        const int64_t chroma[3] = {91881 * cr, -22554 * cb - 46802 * cr, 116130 * cb};
        for (int c = 0; c < 3; c++) {
            rgb[c][i] = (uint8_t)limit(ycc[0][i] + divide(chroma[c] + 32768, 65536), 0, UINT8_MAX);
        }
    }
}

static const fi_kernels definition = {
    .name = "its definition",
    .split3 = split3_defined,
    .merge3 = merge3_defined,
    .reverse = reverse_defined,
    .transpose = transpose_defined,
    .normalize32 = normalize32_defined,
    .map16 = map16_defined,
    .ycc8_to_rgb = ycc8_to_rgb_defined,
};

/* ---- trying ------------------------------------------------------------------------------------------------------ */

static guarded sources[3], tables;
static uint8_t *data[3]; /* what the sources are filled with */
static args tried;

static void print_sizes(void) {
    printf("n %zu, rows %zu, cols %zu, strides %zu and %zu;", tried.n, tried.rows, tried.cols, tried.src_stride,
           tried.dst_stride);
}

static const char *const fills[] = {"0", "255", "0 and 255", "random"};
#define FILLS (sizeof fills / sizeof fills[0])

/* Mean and std to each fill: none, to infinity, to 0 / 0 and to what has no full precision, ImageNet's. */
static const float statistics[FILLS][2] = {{0, 1}, {-1, 1e-39f}, {1, -3e38f}, {0.485f, 0.229f}};

static void fill_source(uint8_t *p, size_t nbytes, size_t fill) {
    for (size_t i = 0; i < nbytes; i++) {
        p[i] = fill == 0 ? 0 : fill == 1 ? 255 : fill == 2 ? (i & 1 ? 255 : 0) : random_byte();
    }
}

static void try_at(const kernel *k, const fi_kernels *version, args a, size_t src_offset, size_t dst_offset) {
    now.src_offset = src_offset;
    now.dst_offset = dst_offset;
    tried = a;
    for (unsigned s = 0; s < k->sources; s++) {
        uint8_t *src = place(&sources[s], a.src_nbytes, src_offset, now.at_end);
        memcpy(src, data[s], a.src_nbytes);
        a.src[s] = src;
    }
    for (unsigned d = 0; d < k->dests; d++) a.dst[d] = place_dest(d, a.dst_nbytes, dst_offset);
    run(k, version, &a);
    for (unsigned d = 0; d < k->dests; d++) compare_dest(d, a.dst[d], a.dst_nbytes);
}

/* One shape, with all fills, at both ends of the buffers, at offsets up to (without) most_offset. */
static void try_shape(const kernel *k, const fi_kernels *version, const fi_kernels *judge, args a, size_t most_offset) {
    for (size_t fill = 0; fill < FILLS; fill++) {
        now.fill = fills[fill];
        a.mean = statistics[fill][0];
        a.std = statistics[fill][1];
        for (unsigned i = 0; i < 3; i++) {
            fill_source(data[i], a.src_nbytes, fill);
            a.src[i] = data[i];
            a.dst[i] = new_expected(i, a.dst_nbytes);
        }
        for (int at_end = 0; at_end < 2; at_end++) {
            now.at_end = at_end;
            a.table = place(&tables, 256 * (k->dst_item ? k->dst_item : 1), 0, at_end);
            run(k, judge, &a); /* again for this end's table */
            for (size_t offset = 0; offset < most_offset; offset++) {
                try_at(k, version, a, offset, 13 * offset % VECTOR);
                if (offset) try_at(k, version, a, offset, 0);
                if (offset) try_at(k, version, a, 0, offset);
            }
        }
    }
}

static void try_transposes(const kernel *k, const fi_kernels *version, const fi_kernels *judge) {
    static const size_t extra[][2] = {{0, 0}, {1, 31}, {33, 1}};

    for (size_t rows = 0; rows <= 65; rows++) {
        for (size_t cols = 0; cols <= 65; cols++) {
            for (size_t e = 0; e < sizeof extra / sizeof extra[0]; e++) {
                args a = {
                    .rows = rows, .cols = cols, .src_stride = cols + extra[e][0], .dst_stride = rows + extra[e][1]};
                /* Behind the last row there need be nothing. */
                a.src_nbytes = rows && cols ? (rows - 1) * a.src_stride + cols : 0;
                a.dst_nbytes = rows && cols ? (cols - 1) * a.dst_stride + rows : 0;
                /* All offsets where a block of 16 and a rest meet; alone elsewhere, sizes shift the buffers enough. */
                try_shape(k, version, judge, a, rows % 16 == 1 && cols % 16 == 1 ? VECTOR : 1);
            }
        }
    }
}

static void try_rows(const kernel *k, const fi_kernels *version, const fi_kernels *judge) {
    static const size_t long_rows[] = {255, 256, 257, 1023, 4096, 4099, 65535};
    const size_t short_rows = 3 * VECTOR + 2; /* 0 to 3 vectors + 1 */

    for (size_t i = 0; i < short_rows + sizeof long_rows / sizeof long_rows[0]; i++) {
        const size_t n = i < short_rows ? i : long_rows[i - short_rows];
        const args a = {.n = n, .src_nbytes = n * k->src_item, .dst_nbytes = n * k->dst_item};
        try_shape(k, version, judge, a, i < short_rows ? VECTOR : 2);
    }
}

/* All chroma there is, with several Y. */
static void try_chroma(const kernel *k, const fi_kernels *version, const fi_kernels *judge) {
    const size_t n = 65536;
    args a = {.n = n, .src_nbytes = n, .dst_nbytes = n};
    char name[32];

    for (int y = 0; y < 256; y += 15) {
        snprintf(name, sizeof name, "all chroma with Y %d", y);
        now.fill = name;
        memset(data[0], y, n);
        for (size_t i = 0; i < n; i++) {
            data[1][i] = (uint8_t)(i >> 8);
            data[2][i] = (uint8_t)i;
        }
        for (unsigned i = 0; i < 3; i++) {
            a.src[i] = data[i];
            a.dst[i] = new_expected(i, n);
        }
        run(k, judge, &a);
        try_at(k, version, a, 0, 0);
    }
}

static void try_version(const fi_kernels *version) {
    for (const kernel *k = all_kernels; k < all_kernels + KERNELS; k++) {
        const fi_kernels *judge = judge_of(k->name, k->member, version, &definition);
        if (!judge) continue;
        if (k->src_item) try_rows(k, version, judge);
        else try_transposes(k, version, judge);
        if (k == &all_kernels[YCC8_TO_RGB]) try_chroma(k, version, judge);
        say_equal();
    }
}

/* ---- colours ----------------------------------------------------------------------------------------------------- */

/* What is right stands in expected[0]; `again` is what came of the same in place, as the decoder calls it. */
static void compare_color(const char *name, const uint8_t *dst, const uint8_t *again, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (dst[i] == expected[0][i] && again[i] == expected[0][i]) continue;
        printf("%s c: byte %zu is %d, in place %d, not %d\n", name, i, dst[i], again[i], expected[0][i]);
        exit(1);
    }
}

/*
 * All pairs of an ink and black, three inks at a time: k - round((255 - c) k / 255), in whole numbers. No tie can be, as
 * 255 is odd.
 */
static void try_cmyk(void) {
    const size_t n = 256;
    for (int k = 0; k < 256; k++) {
        uint8_t *src = place(&sources[0], 4 * n, 0, k & 1), *dst = place(&dests[0], 3 * n, 0, k & 1);
        for (size_t c = 0; c < n; c++) {
            const uint8_t pixel[4] = {(uint8_t)c, (uint8_t)(c + 85), (uint8_t)(255 - c), (uint8_t)k};
            memcpy(src + 4 * c, pixel, 4);
        }
        for (size_t i = 0; i < 3 * n; i++) {
            expected[0][i] = (uint8_t)(k - (2 * (255 - src[4 * (i / 3) + i % 3]) * k + 255) / 510);
        }
        fi_cmyk_to_rgb(src, dst, n);
        fi_cmyk_to_rgb(src, src, n);
        compare_color("cmyk", dst, src, 3 * n);
    }
    printf("%-15s %-5s equals its definition\n", "cmyk", "c");
}

/* All colours there are. The factors are BT.601's, in 16 bits of fraction; their sum must make white of white. */
static void try_luma(void) {
    const uint32_t red = (uint32_t)(0.299 * 65536 + 0.5), green = (uint32_t)(0.587 * 65536 + 0.5);
    const uint32_t blue = 65536 - red - green;

    for (uint32_t rg = 0; rg < 65536; rg++) {
        uint8_t *src = place(&sources[0], 3 * 256, 0, rg & 1), *dst = place(&dests[0], 256, 0, rg & 1);
        for (uint32_t b = 0; b < 256; b++) {
            const uint8_t pixel[3] = {(uint8_t)(rg >> 8), (uint8_t)rg, (uint8_t)b};
            memcpy(src + 3 * b, pixel, 3);
            expected[0][b] = (uint8_t)((red * pixel[0] + green * pixel[1] + blue * b + 32768) / 65536);
        }
        fi_rgb_to_luma(src, dst, 256);
        fi_rgb_to_luma(src, src, 256);
        compare_color("luma", dst, src, 256);
    }
    printf("%-15s %-5s equals its definition\n", "luma", "c");
}

static void compare_jfif(const char *name, uint8_t rgb[3][256], int cb, int cr, double away_most) {
    const double chroma[3] = {1.402 * (cr - 128), -0.344136286 * (cb - 128) - 0.714136286 * (cr - 128),
                              1.772 * (cb - 128)};
    for (int i = 0; i < 3 * 256; i++) {
        const int y = i / 3, channel = i % 3, found = rgb[channel][y];
        if (fabs(found - fmin(fmax(y + chroma[channel], 0), 255)) <= away_most) continue;
        printf("%s c: Y %d, Cb %d, Cr %d: channel %d is %d\n", name, y, cb, cr, channel, found);
        exit(1);
    }
}

/*
 * That the formulas of ycc8_to_rgb, and of ycc_to_rgb, which test_resize_kernels.c has in whole numbers, are JFIF's. Both
 * round once; but before, ycc_to_rgb rounds two products to levels, and two factors of ycc8_to_rgb are up to half of their
 * last bit away, as often as chroma says.
 */
static void try_jfif(void) {
    const double away_most = 0.5 + 1.25 / 64, away_most8 = 0.5 + 2 * 128 * 0.5 / 65536;
    static int16_t ycc[3][256];
    static uint8_t ycc8[3][256], rgb[3][256];

    for (int c = 0; c < 65 * 65; c++) { /* every fourth Cb and Cr, so also 128, and 255 */
        const int cb = (int)least(4 * (size_t)(c / 65), 255), cr = (int)least(4 * (size_t)(c % 65), 255);
        for (int i = 0; i < 3 * 256; i++) {
            const int plane = i / 256, y = i % 256;
            ycc8[plane][y] = (uint8_t)(plane == 0 ? y : plane == 1 ? cb : cr);
            ycc[plane][y] = (int16_t)(64 * ycc8[plane][y]);
        }
        uint8_t *const to[3] = {rgb[0], rgb[1], rgb[2]};
        fi_kernels_c.ycc_to_rgb((const int16_t *const[]){ycc[0], ycc[1], ycc[2]}, to, 256);
        compare_jfif("ycc_to_rgb", rgb, cb, cr, away_most);
        fi_kernels_c.ycc8_to_rgb((const uint8_t *const[]){ycc8[0], ycc8[1], ycc8[2]}, to, 256);
        compare_jfif("ycc8_to_rgb", rgb, cb, cr, away_most8);
    }
    printf("%-15s %-5s equals its definition\n", "jfif", "c");
}

/* ---- times ------------------------------------------------------------------------------------------------------- */

/* 64 x 64 pixels, which first-level caches hold with all of their copies: a transpose is used on no larger block. */
static void time_version(const kernel *k, const fi_kernels *version) {
    enum { SIDE = 64, PIXELS = SIDE * SIDE, CALLS = 200, ROUNDS = 50 };
    args a = {.table = tables.start,
              .std = 1,
              .n = PIXELS,
              .rows = SIDE,
              .cols = SIDE,
              .src_stride = 500,
              .dst_stride = SIDE};
    double best = 1e30;

    for (unsigned i = 0; i < 3; i++) {
        a.src[i] = sources[i].start;
        a.dst[i] = dests[i].start;
    }
    for (int round = 0; round < ROUNDS; round++) { /* the best one: nobody else was running */
        const uint64_t start = now_ns();
        for (int call = 0; call < CALLS; call++) run(k, version, &a);
        const double ns = (double)(now_ns() - start) / CALLS / PIXELS;
        if (ns < best) best = ns;
    }
    printf("%-15s %-5s %9.3f\n", k->name, version->name, best);
}

static void time_all(void) {
    const fi_kernels best = fi_kernels_choose(fi_cpu_features());
    printf("\nkernel          by     ns/pixel\n");
    for (const kernel *k = all_kernels; k < all_kernels + KERNELS; k++) {
        time_version(k, &fi_kernels_c);
        if (!is_same_function(k->member, &best, &fi_kernels_c)) time_version(k, &best);
    }
}

int main(int argc, char **argv) {
    for (int i = 0; i < 3; i++) {
        sources[i] = guarded_new(MOST_BUFFER_NBYTES);
        data[i] = malloc(MOST_BUFFER_NBYTES);
    }
    new_dests(MOST_BUFFER_NBYTES);
    tables = guarded_new(256 * sizeof(float));
    fill_source(tables.start, (size_t)(tables.end - tables.start), 3);
    catch_faults();

    for_all_versions(try_version);
    try_cmyk();
    try_luma();
    try_jfif();
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) time_all();
    return 0;
}
