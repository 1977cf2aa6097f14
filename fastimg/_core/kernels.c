/* SPDX-License-Identifier: BSD-3-Clause */
/* The C version of every kernel, and the choice among the versions. */
#include "cpu.h"
#include "pixels.h"

#include <string.h>

static void split3_c(const uint8_t *src, uint8_t *p0, uint8_t *p1, uint8_t *p2, size_t n) {
    for (size_t i = 0; i < n; i++) {
        p0[i] = src[3 * i];
        p1[i] = src[3 * i + 1];
        p2[i] = src[3 * i + 2];
    }
}

static void merge3_c(const uint8_t *p0, const uint8_t *p1, const uint8_t *p2, uint8_t *dst, size_t n) {
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

static void map32_c(const uint8_t *src, const float *table, void *dst, size_t n) {
    /* memcpy: dst may lie at any address */
    for (size_t i = 0; i < n; i++) memcpy((uint8_t *)dst + 4 * i, table + src[i], 4);
}

static void map16_c(const uint8_t *src, const uint16_t *table, void *dst, size_t n) {
    for (size_t i = 0; i < n; i++) memcpy((uint8_t *)dst + 2 * i, table + src[i], 2);
}

const fi_kernels fi_kernels_c = {
    .name = "c",
    .split3 = split3_c,
    .merge3 = merge3_c,
    .reverse = reverse_c,
    .transpose = transpose_c,
    .map32 = map32_c,
    .map16 = map16_c,
};

#if defined(__x86_64__)
#include "x86/kernels_impl.h"
#elif defined(__aarch64__)
#include "arm/kernels_impl.h"
#endif

fi_kernels fi_kernels_choose(unsigned cpu_features) {
    fi_kernels kernels = fi_kernels_c;
#if defined(__x86_64__)
    if (!(cpu_features & FI_CPU_AVX2)) return kernels;
    kernels.name = "avx2";
    kernels.split3 = split3_avx2;
    kernels.merge3 = merge3_avx2;
    kernels.reverse = reverse_avx2;
    kernels.transpose = transpose_avx2;
#elif defined(__aarch64__)
    if (!(cpu_features & FI_CPU_NEON)) return kernels;
    kernels.name = "neon";
    kernels.split3 = split3_neon;
    kernels.merge3 = merge3_neon;
    kernels.reverse = reverse_neon;
    kernels.transpose = transpose_neon;
#else
    (void)cpu_features;
#endif
    return kernels;
}

/* Written by fi_init() at import, and only read from then on. */
static fi_kernels active;

const fi_kernels *fi_kernels_active(void) {
    return &active;
}

const char *fi_kernels_name(void) {
    return active.name;
}

void fi_init(bool plain) {
    active = fi_kernels_choose(plain ? 0 : fi_cpu_features());
}
