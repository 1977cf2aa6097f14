/* SPDX-License-Identifier: BSD-3-Clause */
/* What the AVX2 kernels of several topics use. */
#ifndef FI_X86_AVX2_H
#define FI_X86_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#define FI_AVX2 __attribute__((target("avx2")))

/* For functions whose callers pass constants: each gets a loop of its own. */
#define FI_AVX2_INLINE FI_AVX2 __attribute__((always_inline)) static inline

/* 16 bytes in both lanes. */
FI_AVX2 static inline __m256i both_lanes(const void *bytes) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)bytes));
}

/* 16 bytes per lane. */
FI_AVX2 static inline __m256i load_lanes(const void *first, const void *second) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(first)), _mm_loadu_si128(second), 1);
}

#endif
