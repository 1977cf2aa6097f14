/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu.h"

unsigned fi_cpu_features(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") ? FI_CPU_AVX2 : 0;
#elif defined(__aarch64__)
    return FI_CPU_NEON; /* part of every 64-bit ARM */
#else
    return 0;
#endif
}
