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
 * same with the Q15 factors of fixed_point.h. For G, -46802 Cr is -Cr + 18734 Cr, which fits into 16 bits.
 */
enum { G_CB16 = -22554, G_CR16 = 18734 };

static void ycc_u8_to_rgb_c(const uint8_t *const ycc[3], uint8_t *const rgb[3], size_t n) {
    for (size_t i = 0; i < n; i++) {
        const int16_t y = ycc[0][i], cb = (int16_t)(ycc[1][i] - 128), cr = (int16_t)(ycc[2][i] - 128);
        rgb[0][i] = fi_clamp8(y + cr + fi_scale16(cr, FI_R_CR));
        rgb[1][i] = fi_clamp8(y - cr + ((G_CB16 * cb + G_CR16 * cr + 32768) >> 16));
        rgb[2][i] = fi_clamp8(y + cb + fi_scale16(cb, FI_B_CB));
    }
}

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
        .ycc_u8_to_rgb = ycc_u8_to_rgb_c,
    };
#if defined(__x86_64__)
    if (!(cpu_features & FI_CPU_AVX2)) return;
    table->name = "avx2";
    table->deinterleave3 = deinterleave3_avx2;
    table->interleave3 = interleave3_avx2;
    table->reverse = reverse_avx2;
    table->transpose = transpose_avx2;
    table->normalize32 = normalize32_avx2;
    table->ycc_u8_to_rgb = ycc_u8_to_rgb_avx2;
#elif defined(__aarch64__)
    if (!(cpu_features & FI_CPU_NEON)) return;
    table->name = "neon";
    table->deinterleave3 = deinterleave3_neon;
    table->interleave3 = interleave3_neon;
    table->reverse = reverse_neon;
    table->transpose = transpose_neon;
    table->normalize32 = normalize32_neon;
    table->lut16 = lut16_neon;
    table->ycc_u8_to_rgb = ycc_u8_to_rgb_neon;
#else
    (void)cpu_features;
#endif
}
