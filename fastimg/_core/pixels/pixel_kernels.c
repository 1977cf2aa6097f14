/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu.h"
#include "pixels/fixed_point.h"
#include "pixels/kernels.h"

#include <string.h>

static void deinterleave3_c(const uint8_t *src, uint8_t *p0, uint8_t *p1, uint8_t *p2, size_t n) {
    for (size_t i = 0; i < n; i++) {
        p0[i] = src[3 * i];
        p1[i] = src[3 * i + 1];
        p2[i] = src[3 * i + 2];
    }
}

static void interleave3_c(const uint8_t *p0, const uint8_t *p1, const uint8_t *p2, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++) {
        dst[3 * i] = p0[i];
        dst[3 * i + 1] = p1[i];
        dst[3 * i + 2] = p2[i];
    }
}

static void reverse_c(const uint8_t *src, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = src[n - 1 - i];
}

static void transpose_c(const uint8_t *src, size_t src_stride, uint8_t *dst, size_t dst_stride, size_t rows,
                        size_t cols) {
    for (size_t x = 0; x < cols; x++) {
        for (size_t y = 0; y < rows; y++) dst[x * dst_stride + y] = src[y * src_stride + x];
    }
}

static void normalize32_c(const uint8_t *src, float mean, float std, void *dst, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const float scaled = (float)src[i] / 255.0f, centred = scaled - mean, value = centred / std;
        memcpy((uint8_t *)dst + 4 * i, &value, 4); /* dst may be unaligned */
    }
}

static void lut16_c(const uint8_t *src, const uint16_t *table, void *dst, size_t n) {
    for (size_t i = 0; i < n; i++) memcpy((uint8_t *)dst + 2 * i, table + src[i], 2);
}

/*
 * libjpeg's factors are Q16, and each result is rounded once. Chroma less 128 is so small that R and B come out the
 * same with the Q15 factors of fixed_point.h; for G these are libjpeg's, halved.
 */
static void convert_c(const uint8_t *const ycc[3], uint8_t *const dst[3], size_t step, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const int16_t y = ycc[0][i], cb = (int16_t)(ycc[1][i] - 128), cr = (int16_t)(ycc[2][i] - 128);
        dst[0][step * i] = fi_clamp8(y + cr + fi_scale16(cr, FI_R_CR));
        dst[1][step * i] = fi_clamp8(y + ((16384 - FI_G_CB * cb - FI_G_CR * cr) >> 15));
        dst[2][step * i] = fi_clamp8(y + cb + fi_scale16(cb, FI_B_CB));
    }
}

/*
 * libjpeg's "fancy" upsampling: of the two samples next to a pixel, the nearer one counts three times as much, in each
 * direction. Halves are rounded up and down alternately. Beyond the edges the last sample is repeated, by the caller.
 */
static void upsample_c(fi_sampling sampling, const uint8_t *near, const uint8_t *far, uint8_t *dst, size_t pairs) {
    for (size_t i = 0; i < pairs; i++, near++, far++) {
        if (sampling == FI_H2V1) {
            dst[2 * i] = (uint8_t)((3 * near[0] + near[-1] + 1) >> 2);
            dst[2 * i + 1] = (uint8_t)((3 * near[0] + near[1] + 2) >> 2);
        } else {
            const int sum = 3 * near[0] + far[0];
            dst[2 * i] = (uint8_t)((3 * sum + 3 * near[-1] + far[-1] + 8) >> 4);
            dst[2 * i + 1] = (uint8_t)((3 * sum + 3 * near[1] + far[1] + 7) >> 4);
        }
    }
}

/* Any x. */
static inline void ycc_c(fi_sampling sampling, const uint8_t *const src[5], size_t x, uint8_t *const dst[3],
                         size_t step, size_t n) {
    enum { PIXELS = 64 };
    uint8_t chroma[2][PIXELS];

    for (size_t end = x + n, i = x, count; i < end; i += count) {
        const size_t odd = sampling == FI_H1V1 ? 0 : i % 2, first = i / 2;
        count = end - i < PIXELS - odd ? end - i : PIXELS - odd;
        uint8_t *const to[3] = {dst[0] + step * (i - x), dst[1] + step * (i - x), dst[2] + step * (i - x)};
        if (sampling == FI_H1V1) {
            convert_c((const uint8_t *const[]){src[0] + i, src[1] + i, src[2] + i}, to, step, count);
            continue;
        }
        for (int c = 0; c < 2; c++) {
            const uint8_t *near = src[1 + c] + first;
            upsample_c(sampling, near, sampling == FI_H2V2 ? src[3 + c] + first : near, chroma[c],
                       (odd + count + 1) / 2);
        }
        convert_c((const uint8_t *const[]){src[0] + i, chroma[0] + odd, chroma[1] + odd}, to, step, count);
    }
}

/* The six versions of a function like ycc_c(). */
#define YCC_VERSION(function, sampling, target, name, step)                                                            \
    target static void name(const uint8_t *const src[5], size_t x, uint8_t *const dst[3], size_t n) {                  \
        function(sampling, src, x, dst, step, n);                                                                      \
    }
#define YCC_VERSIONS(function, target)                                                                                 \
    YCC_VERSION(function, FI_H1V1, target, function##_h1v1_planes, 1)                                                  \
    YCC_VERSION(function, FI_H2V1, target, function##_h2v1_planes, 1)                                                  \
    YCC_VERSION(function, FI_H2V2, target, function##_h2v2_planes, 1)                                                  \
    YCC_VERSION(function, FI_H1V1, target, function##_h1v1_pixels, 3)                                                  \
    YCC_VERSION(function, FI_H2V1, target, function##_h2v1_pixels, 3)                                                  \
    YCC_VERSION(function, FI_H2V2, target, function##_h2v2_pixels, 3)                                                  \
    _Static_assert(FI_SAMPLINGS == 3, "a version is missing")

/* Names them in a table. */
#define SET_YCC(table, function)                                                                                       \
    (table)->ycc_to_planes[FI_H1V1] = function##_h1v1_planes;                                                          \
    (table)->ycc_to_planes[FI_H2V1] = function##_h2v1_planes;                                                          \
    (table)->ycc_to_planes[FI_H2V2] = function##_h2v2_planes;                                                          \
    (table)->ycc_to_pixels[FI_H1V1] = function##_h1v1_pixels;                                                          \
    (table)->ycc_to_pixels[FI_H2V1] = function##_h2v1_pixels;                                                          \
    (table)->ycc_to_pixels[FI_H2V2] = function##_h2v2_pixels

YCC_VERSIONS(ycc_c, );

#if defined(__x86_64__)
#include "pixels/x86/pixel_impl.h"
#elif defined(__aarch64__)
#include "pixels/arm/pixel_impl.h"
#endif

void fi_pixel_kernels_choose(fi_pixel_kernels *table, unsigned cpu_features) {
    *table = (fi_pixel_kernels){
        .name = "c",
        .deinterleave3 = deinterleave3_c,
        .interleave3 = interleave3_c,
        .reverse = reverse_c,
        .transpose = transpose_c,
        .normalize32 = normalize32_c,
        .lut16 = lut16_c,
    };
    SET_YCC(table, ycc_c);
#if defined(__x86_64__)
    if (!(cpu_features & FI_CPU_AVX2)) return;
    table->name = "avx2";
    table->deinterleave3 = deinterleave3_avx2;
    table->interleave3 = interleave3_avx2;
    table->reverse = reverse_avx2;
    table->transpose = transpose_avx2;
    table->normalize32 = normalize32_avx2;
    SET_YCC(table, ycc_avx2);
#elif defined(__aarch64__)
    if (!(cpu_features & FI_CPU_NEON)) return;
    table->name = "neon";
    table->deinterleave3 = deinterleave3_neon;
    table->interleave3 = interleave3_neon;
    table->reverse = reverse_neon;
    table->transpose = transpose_neon;
    table->normalize32 = normalize32_neon;
    table->lut16 = lut16_neon;
    SET_YCC(table, ycc_neon);
#else
    (void)cpu_features;
#endif
}
