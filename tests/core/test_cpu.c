/* SPDX-License-Identifier: BSD-3-Clause */
/* The exit status is 0 if features of the processor are found that the compiler's own functions find, and no others. */
#include "cpu.h"

#if defined(__AARCH64EB__)

/* NEON kernels are for little-endian processors. Few systems have a C library of the other kind, so this needs none. */
void _start(void);
void _start(void) {
    register long status __asm__("x0") = fi_cpu_features() != 0;
    register long exit_number __asm__("x8") = 93;
    __asm__ volatile("svc 0" : : "r"(status), "r"(exit_number));
    __builtin_unreachable();
}

#else

#include <stdio.h>

int main(void) {
    unsigned expected = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("ssse3")) expected |= FI_CPU_SSSE3;
    if (__builtin_cpu_supports("avx2")) expected |= FI_CPU_AVX2;
    if (__builtin_cpu_supports("bmi2")) expected |= FI_CPU_BMI2;
    const bool is_old = __builtin_cpu_is("amdfam10h") || __builtin_cpu_is("amdfam15h") || __builtin_cpu_is("amdfam17h");
    const bool is_known = __builtin_cpu_is("intel") || (__builtin_cpu_is("amd") && !is_old);
    if ((expected & FI_CPU_BMI2) && is_known) expected |= FI_CPU_FAST_PDEP;
#elif defined(__aarch64__)
    expected = FI_CPU_NEON;
#endif
    printf("%u, expected %u\n", fi_cpu_features(), expected);
    return fi_cpu_features() != expected;
}

#endif
