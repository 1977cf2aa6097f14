/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu.h"

unsigned fi_cpu_features(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return (__builtin_cpu_supports("avx2") ? FI_CPU_AVX2 : 0u) | (__builtin_cpu_supports("bmi2") ? FI_CPU_BMI2 : 0u);
#elif defined(__aarch64__)
    return FI_CPU_NEON; /* part of every 64-bit ARM */
#else
    return 0;
#endif
}

/* Written by fi_init() at import, and only read from then on. */
static unsigned used;

void fi_cpu_init(bool plain) {
    used = plain ? 0 : fi_cpu_features();
}

unsigned fi_cpu_used(void) {
    return used;
}
