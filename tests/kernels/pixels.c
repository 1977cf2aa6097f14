/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernels that move and convert pixels, and the colour formulas that exist only in C. */
#include "pixels/color.h"
#include "pixels/kernels.h"

#include "harness.h"

/* kernels.h in code, one byte of the destination at a time. */
static void deinterleave3_defined(const uint8_t *src, uint8_t *p0, uint8_t *p1, uint8_t *p2, size_t n) {
    for (size_t i = 0; i < 3 * n; i++) *((i % 3 == 0 ? p0 : i % 3 == 1 ? p1 : p2) + i / 3) = src[i];
}

static void interleave3_defined(const uint8_t *p0, const uint8_t *p1, const uint8_t *p2, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < 3 * n; i++) dst[i] = *((i % 3 == 0 ? p0 : i % 3 == 1 ? p1 : p2) + i / 3);
}

static void reverse_defined(const uint8_t *src, uint8_t *dst, size_t n) {
    while (n--) *dst++ = src[n];
}

static void transpose_defined(const uint8_t *src, size_t src_stride, uint8_t *dst, size_t dst_stride, size_t rows,
                              size_t cols) {
    for (size_t i = 0; i < rows * cols; i++) {
        dst[i % cols * dst_stride + i / cols] = src[i / cols * src_stride + i % cols];
    }
}

/* Computing a float sum or quotient in double and rounding it to float is the same as rounding once. */
static void normalize32_defined(const uint8_t *src, float mean, float std, void *dst, size_t n) {
    for (size_t i = 0; i < n; i++) {
        volatile float value = (float)((double)src[i] / 255);
        value = (float)((double)value - mean);
        value = (float)((double)value / std);
        for (size_t k = 0; k < 4; k++) ((uint8_t *)dst)[4 * i + k] = ((const volatile uint8_t *)&value)[k];
    }
}

static void lut16_defined(const uint8_t *src, const uint16_t *table, void *dst, size_t n) {
    for (size_t i = 0; i < 2 * n; i++) ((uint8_t *)dst)[i] = ((const uint8_t *)(table + src[i / 2]))[i % 2];
}

/*
 * A sample of Cb or Cr as libjpeg's fancy upsampling gives it: a weighted mean of the 1, 2 or 4 samples next to pixel x,
 * where exact halves, and what is a 16th from them, go up or down by the pixel's parity.
 */
static int64_t sample_defined(fi_sampling sampling, const uint8_t *near, const uint8_t *far, size_t x) {
    const ptrdiff_t i = (ptrdiff_t)(x / 2), j = x % 2 ? i + 1 : i - 1;

    if (sampling == FI_H1V1) return near[x];
    if (sampling == FI_H2V1) return divide(3 * near[i] + near[j] + (x % 2 ? 2 : 1), 4);
    return divide(9 * near[i] + 3 * near[j] + 3 * far[i] + far[j] + (x % 2 ? 7 : 8), 16);
}

/* JFIF's equations as libjpeg computes them: Q16 factors, and one rounding for everything that is added to Y. */
static void ycc_defined(fi_sampling sampling, const uint8_t *const src[5], size_t x, uint8_t *const dst[3], size_t step,
                        size_t n) {
    for (size_t i = 0; i < n; i++) {
        const int64_t cb = sample_defined(sampling, src[1], src[3], x + i) - 128;
        const int64_t cr = sample_defined(sampling, src[2], src[4], x + i) - 128;
        const int64_t chroma[3] = {91881 * cr, -22554 * cb - 46802 * cr, 116130 * cb};
        for (int c = 0; c < 3; c++) {
            dst[c][step * i] = (uint8_t)limit(src[0][x + i] + divide(chroma[c] + 32768, 65536), 0, UINT8_MAX);
        }
    }
}

#define DEFINED(name, sampling, step)                                                                                  \
    static void name##_defined(const uint8_t *const src[5], size_t x, uint8_t *const dst[3], size_t n) {               \
        ycc_defined(sampling, src, x, dst, step, n);                                                                   \
    }
DEFINED(h1v1_to_planes, FI_H1V1, 1)
DEFINED(h2v1_to_planes, FI_H2V1, 1)
DEFINED(h2v2_to_planes, FI_H2V2, 1)
DEFINED(h1v1_to_pixels, FI_H1V1, 3)
DEFINED(h2v1_to_pixels, FI_H2V1, 3)
DEFINED(h2v2_to_pixels, FI_H2V2, 3)

/* k - round((255 - c) k / 255) in integers. There are no ties, as 255 is odd. */
static void cmyk_to_rgb_defined(const uint8_t *src, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < 3 * n; i++) {
        const int c = src[4 * (i / 3) + i % 3], k = src[4 * (i / 3) + 3];
        dst[i] = (uint8_t)(k - (2 * (255 - c) * k + 255) / 510);
    }
}

/* BT.601's factors in Q16. They sum to 1, so that white stays white. */
static void rgb_to_luma_defined(const uint8_t *src, uint8_t *dst, size_t n) {
    const uint32_t red = (uint32_t)(0.299 * 65536 + 0.5), green = (uint32_t)(0.587 * 65536 + 0.5);
    const uint32_t blue = 65536 - red - green;

    for (size_t i = 0; i < n; i++, src += 3) {
        dst[i] = (uint8_t)((red * src[0] + green * src[1] + blue * src[2] + 32768) / 65536);
    }
}

typedef struct {
    fi_pixel_kernels kernels;
    void (*cmyk_to_rgb)(const uint8_t *src, uint8_t *dst, size_t n);
    void (*rgb_to_luma)(const uint8_t *src, uint8_t *dst, size_t n);
} pixel_table;

static const pixel_table definition = {
    .kernels.deinterleave3 = deinterleave3_defined,
    .kernels.interleave3 = interleave3_defined,
    .kernels.reverse = reverse_defined,
    .kernels.transpose = transpose_defined,
    .kernels.normalize32 = normalize32_defined,
    .kernels.lut16 = lut16_defined,
    .kernels.ycc_to_planes = {h1v1_to_planes_defined, h2v1_to_planes_defined, h2v2_to_planes_defined},
    .kernels.ycc_to_pixels = {h1v1_to_pixels_defined, h2v1_to_pixels_defined, h2v2_to_pixels_defined},
    .cmyk_to_rgb = cmyk_to_rgb_defined,
    .rgb_to_luma = rgb_to_luma_defined,
};

static void choose(void *table, unsigned cpu_features) {
    pixel_table *t = table;
    fi_pixel_kernels_choose(&t->kernels, cpu_features);
    t->cmyk_to_rgb = fi_cmyk_to_rgb;
    t->rgb_to_luma = fi_rgb_to_luma;
}

/* ---- cases ------------------------------------------------------------------------------------------------------- */

enum { DEINTERLEAVE3, INTERLEAVE3, REVERSE, TRANSPOSE, NORMALIZE32, LUT16, YCC_TO_PLANES };
enum { YCC_TO_PIXELS = YCC_TO_PLANES + FI_SAMPLINGS, CMYK_TO_RGB = YCC_TO_PIXELS + FI_SAMPLINGS, RGB_TO_LUMA };
_Static_assert(sizeof(fi_pixel_kernels) == sizeof(char *) + CMYK_TO_RGB * sizeof(void (*)(void)),
               "a kernel is not tested");

static struct {
    size_t n, x, rows, cols, src_stride, dst_stride;
    float mean, std;
    bool in_place, bgr;
    uint8_t *src[5];
} tried;

/* The number of sources and destinations, and the bytes per pixel in each. */
static const struct {
    unsigned sources, src_item, dests, dst_item;
} rows_of[] = {
    [DEINTERLEAVE3] = {1, 3, 3, 1}, [INTERLEAVE3] = {3, 1, 1, 3}, [REVERSE] = {1, 1, 1, 1},
    [NORMALIZE32] = {1, 1, 1, 4},   [LUT16] = {1, 1, 1, 2},       [CMYK_TO_RGB] = {1, 4, 1, 3},
    [RGB_TO_LUMA] = {1, 3, 1, 1},
};

enum { ZEROS, ONES, STRIPES, RANDOM, FILLS };
static const char *const fills[FILLS] = {"0", "255", "0 and 255", "random"};

/* Mean and std for each fill: no-ops; leading to infinity; to 0 / 0 and subnormals; ImageNet's. */
static const float statistics[FILLS][2] = {{0, 1}, {-1, 1e-39f}, {1, -3e38f}, {0.485f, 0.229f}};

static uint8_t *filled_input(size_t nbytes, size_t item, unsigned fill) {
    uint8_t *p = input(nbytes, item);
    for (size_t i = 0; i < nbytes; i++) {
        p[i] = fill == RANDOM ? (uint8_t)(random16() >> 8) : fill == ONES || (fill == STRIPES && i & 1) ? 255 : 0;
    }
    return p;
}

static void begin_row(size_t n, unsigned fill) {
    const size_t src_nbytes = n * rows_of[which].src_item, dst_nbytes = n * rows_of[which].dst_item;

    begin("%zu pixels, %s", n, fills[fill]);
    tried.n = n;
    tried.mean = statistics[fill][0];
    tried.std = statistics[fill][1];
    for (unsigned i = 0; i < rows_of[which].sources; i++) tried.src[i] = filled_input(src_nbytes, 1, fill);
    if (which == LUT16) filled_input(512, 2, RANDOM);
    for (unsigned i = 0; i < rows_of[which].dests; i++) output(tried.in_place ? src_nbytes : dst_nbytes, 1);
}

static void test_rows(void) {
    static const size_t long_rows[] = {255, 256, 257, 1023, 4096, 4099, 65535};
    const size_t short_rows = 3 * VECTOR + 2; /* 0 to 3 vectors + 1 */

    for (size_t i = 0; i < short_rows + sizeof long_rows / sizeof long_rows[0]; i++) {
        for (unsigned fill = 0; fill < FILLS; fill++) {
            begin_row(i < short_rows ? i : long_rows[i - short_rows], fill);
            check(i < short_rows ? VECTOR : 2);
        }
    }
}

static fi_sampling sampling_under_test(void) {
    return (fi_sampling)((which - YCC_TO_PLANES) % FI_SAMPLINGS);
}

/* Pixels x to x + n - 1, and the samples of chroma that they need. */
static void begin_ycc(size_t x, size_t n, bool bgr, unsigned fill) {
    const fi_sampling sampling = sampling_under_test();
    const size_t chroma = sampling == FI_H1V1 ? x + n : (x + n + 1) / 2 + 2;

    begin("pixels %zu to %zu, bgr %d, %s", x, x + n, bgr, fills[fill]);
    tried.n = n;
    tried.x = x;
    tried.bgr = bgr;
    for (unsigned i = 0; i < (sampling == FI_H2V2 ? 5u : 3u); i++) {
        tried.src[i] = filled_input(i ? chroma : x + n, 1, fill);
    }
    for (unsigned i = 0; i < (which < YCC_TO_PIXELS ? 3u : 1u); i++) output(which < YCC_TO_PIXELS ? n : 3 * n, 1);
}

/* Also every Cb and Cr, with several Y; and of two samples next to each other, every pair. */
static void test_ycc(void) {
    static const size_t long_rows[] = {255, 256, 257, 1023, 4099, 65535};
    const size_t short_rows = 3 * VECTOR + 6;

    for (size_t i = 0; i < (short_rows + sizeof long_rows / sizeof long_rows[0]) * 2 * FILLS; i++) {
        const size_t k = i / FILLS / 2;
        for (int bgr = 0; bgr < (which < YCC_TO_PIXELS ? 1 : 2); bgr++) {
            begin_ycc(i / FILLS % 2, k < short_rows ? k : long_rows[k - short_rows], bgr, i % FILLS);
            check(k % 8 == 1 ? VECTOR : 2);
        }
    }
    for (int y = 0; y < 256; y += 15) {
        begin_ycc(0, 65536, false, RANDOM);
        const size_t chroma = sampling_under_test() == FI_H1V1 ? 65536 : 65536 / 2 + 2;
        memset(tried.src[0], y, 65536);
        for (size_t i = 0; i < chroma; i++) {
            tried.src[1][i] = (uint8_t)((i + (unsigned)y * 32768) >> 8);
            tried.src[2][i] = (uint8_t)i;
        }
        check(1);
    }
}

static size_t bench_ycc(unsigned i) {
    begin_ycc(0, 4096, false, RANDOM);
    return i ? 0 : tried.n;
}

/* Also every pair of an ink and black (three inks at a time) or every color, and in place, as the decoder does it. */
static void test_color(void) {
    for (int in_place = 0; in_place < 2; in_place++) {
        tried.in_place = in_place;
        test_rows();
        for (size_t i = 0; i < (which == CMYK_TO_RGB ? 256 : 65536); i++) {
            begin_row(256, ZEROS);
            for (size_t k = 0; k < 256; k++) {
                const uint8_t cmyk[4] = {(uint8_t)k, (uint8_t)(k + 85), (uint8_t)(255 - k), (uint8_t)i};
                const uint8_t rgb[3] = {(uint8_t)(i >> 8), (uint8_t)i, (uint8_t)k};
                if (which == CMYK_TO_RGB) memcpy(tried.src[0] + 4 * k, cmyk, 4);
                else memcpy(tried.src[0] + 3 * k, rgb, 3);
            }
            check(1);
        }
    }
    tried.in_place = false;
}

static size_t bench_row(unsigned i) {
    begin_row(4096, RANDOM); /* inputs and outputs fit into the L1 cache */
    return i ? 0 : tried.n;
}

static void begin_transpose(size_t rows, size_t cols, size_t src_stride, size_t dst_stride, unsigned fill) {
    begin("%zu x %zu pixels, strides %zu and %zu, %s", rows, cols, src_stride, dst_stride, fills[fill]);
    tried.rows = rows;
    tried.cols = cols;
    tried.src_stride = src_stride;
    tried.dst_stride = dst_stride;
    filled_input(rows && cols ? (rows - 1) * src_stride + cols : 0, 1, fill); /* nothing after the last row */
    output(rows && cols ? (cols - 1) * dst_stride + rows : 0, 1);
}

static void test_transpose(void) {
    static const size_t extra[3][2] = {{0, 0}, {1, 31}, {33, 1}};

    for (size_t i = 0; i < 66 * 66 * 3 * FILLS; i++) {
        const size_t rows = i / FILLS / 3 / 66, cols = i / FILLS / 3 % 66, *more = extra[i / FILLS % 3];
        begin_transpose(rows, cols, cols + more[0], rows + more[1], i % FILLS);
        /* All offsets where a block of 16 meets a rest. Elsewhere the sizes shift the buffers enough. */
        check(rows % 16 == 1 && cols % 16 == 1 ? VECTOR : 1);
    }
}

static size_t bench_transpose(unsigned i) {
    begin_transpose(64, 64, 500, 64, RANDOM); /* the largest block it is used on */
    return i ? 0 : 64 * 64;
}

static void call_ycc(const fi_pixel_kernels *k, void *const *in, void *const *out) {
    const fi_sampling sampling = sampling_under_test();
    const size_t before = sampling == FI_H1V1 ? 0 : 1;
    const uint8_t *src[5] = {in[0]};
    uint8_t *const p = out[0], *const rgb[3] = {p, p + 1, p + 2}, *const bgr[3] = {p + 2, p + 1, p};

    for (int i = 1; i < (sampling == FI_H2V2 ? 5 : 3); i++) src[i] = (uint8_t *)in[i] + before;
    if (which < YCC_TO_PIXELS) k->ycc_to_planes[sampling](src, tried.x, (uint8_t *const *)out, tried.n);
    else k->ycc_to_pixels[sampling](src, tried.x, tried.bgr ? bgr : rgb, tried.n);
}

static void call(const void *table, void *const *in, void *const *out) {
    const pixel_table *t = table;
    const fi_pixel_kernels *k = &t->kernels;
    const size_t n = tried.n;
    void *src = in[0];

    if (tried.in_place) src = memcpy(out[0], in[0], n * rows_of[which].src_item);
    if (which == DEINTERLEAVE3) k->deinterleave3(src, out[0], out[1], out[2], n);
    else if (which == INTERLEAVE3) k->interleave3(src, in[1], in[2], out[0], n);
    else if (which == REVERSE) k->reverse(src, out[0], n);
    else if (which == TRANSPOSE) k->transpose(src, tried.src_stride, out[0], tried.dst_stride, tried.rows, tried.cols);
    else if (which == NORMALIZE32) k->normalize32(src, tried.mean, tried.std, out[0], n);
    else if (which == LUT16) k->lut16(src, in[1], out[0], n);
    else if (which >= YCC_TO_PLANES && which < CMYK_TO_RGB) call_ycc(k, in, out);
    else if (which == CMYK_TO_RGB) t->cmyk_to_rgb(src, out[0], n);
    else if (which == RGB_TO_LUMA) t->rgb_to_luma(src, out[0], n);
}

/* ---- JFIF -------------------------------------------------------------------------------------------------------- */

/*
 * ycc_to_planes and ycc_q6_to_rgb against JFIF in double precision. Both round the result once. Before that,
 * ycc_q6_to_rgb rounds two products to 64ths, and ycc_to_planes multiplies by two factors that are off by up to half of
 * their last bit.
 */
static void test_jfif(void) {
    const double tolerance[2] = {0.5 + 2 * 128 * 0.5 / 65536, 0.5 + 1.25 / 64};
    fi_pixel_kernels u8;
    fi_resample_kernels q6;

    fi_pixel_kernels_choose(&u8, 0);
    fi_resample_kernels_choose(&q6, 0);
    for (int i = 0; i < 256 * 65 * 65; i++) { /* every fourth Cb and Cr, which includes 128, and 255 */
        const int y = i % 256, cb = (int)least(i / 256 % 65 * 4, 255), cr = (int)least(i / 256 / 65 * 4, 255);
        const uint8_t ycc[3] = {(uint8_t)y, (uint8_t)cb, (uint8_t)cr};
        const int16_t ycc_q6[3] = {(int16_t)(64 * y), (int16_t)(64 * cb), (int16_t)(64 * cr)};
        const double rgb[3] = {y + 1.402 * (cr - 128), y - 0.344136286 * (cb - 128) - 0.714136286 * (cr - 128),
                               y + 1.772 * (cb - 128)};
        uint8_t found[6];

        u8.ycc_to_planes[FI_H1V1]((const uint8_t *const[5]){ycc, ycc + 1, ycc + 2}, 0,
                                  (uint8_t *const[]){found, found + 1, found + 2}, 1);
        q6.ycc_q6_to_rgb((const int16_t *const[]){ycc_q6, ycc_q6 + 1, ycc_q6 + 2},
                         (uint8_t *const[]){found + 3, found + 4, found + 5}, 1);
        for (int k = 0; k < 6; k++) {
            if (fabs(found[k] - fmin(fmax(rgb[k % 3], 0), 255)) <= tolerance[k / 3]) continue;
            fail("%s: Y %d, Cb %d, Cr %d: channel %d is %d", k / 3 ? "ycc_q6_to_rgb" : "h1v1_to_planes", y, cb, cr,
                 k % 3, found[k]);
        }
    }
}

#define MEMBER(name) offsetof(pixel_table, name)
#define YCC(name, array, first, sampling)                                                                              \
    [(first) + (sampling)] = {name, MEMBER(kernels.array[sampling]), test_ycc, bench_ycc}
static const kernel kernels[] = {
    [DEINTERLEAVE3] = {"deinterleave3", MEMBER(kernels.deinterleave3), test_rows, bench_row},
    [INTERLEAVE3] = {"interleave3", MEMBER(kernels.interleave3), test_rows, bench_row},
    [REVERSE] = {"reverse", MEMBER(kernels.reverse), test_rows, bench_row},
    [TRANSPOSE] = {"transpose", MEMBER(kernels.transpose), test_transpose, bench_transpose},
    [NORMALIZE32] = {"normalize32", MEMBER(kernels.normalize32), test_rows, bench_row},
    [LUT16] = {"lut16", MEMBER(kernels.lut16), test_rows, bench_row},
    YCC("h1v1_to_planes", ycc_to_planes, YCC_TO_PLANES, FI_H1V1),
    YCC("h2v1_to_planes", ycc_to_planes, YCC_TO_PLANES, FI_H2V1),
    YCC("h2v2_to_planes", ycc_to_planes, YCC_TO_PLANES, FI_H2V2),
    YCC("h1v1_to_pixels", ycc_to_pixels, YCC_TO_PIXELS, FI_H1V1),
    YCC("h2v1_to_pixels", ycc_to_pixels, YCC_TO_PIXELS, FI_H2V1),
    YCC("h2v2_to_pixels", ycc_to_pixels, YCC_TO_PIXELS, FI_H2V2),
    [CMYK_TO_RGB] = {"cmyk_to_rgb", MEMBER(cmyk_to_rgb), test_color, bench_row},
    [RGB_TO_LUMA] = {"rgb_to_luma", MEMBER(rgb_to_luma), test_color, bench_row},
    {"jfif", 0, test_jfif, NULL},
    {0},
};

const topic pixels = {kernels, &definition, choose, call};
