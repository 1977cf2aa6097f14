/* SPDX-License-Identifier: BSD-3-Clause */
/* Bits that refinement scans have left for later (T.81, G.1.2.3). */
#include "cpu.h"
#include "entropy/zigzag.h"

static void correct_c(int16_t *block, uint64_t twos, uint64_t ones) {
    for (uint64_t which = twos | ones; which; which &= which - 1) {
        const unsigned k = (unsigned)__builtin_ctzll(which);
        int16_t *coefficient = &block[natural_order[k + 1]];
        *coefficient = correct(correct(*coefficient, 2, twos >> k & 1), 1, ones >> k & 1);
    }
}

#if defined(__x86_64__) || defined(__aarch64__)

/* clang-format off */
/* Per coefficient in natural order, its index in zigzag order. */
#define ZIGZAG(F) \
    F(0), F(1), F(5), F(6), F(14), F(15), F(27), F(28), \
    F(2), F(4), F(7), F(13), F(16), F(26), F(29), F(42), \
    F(3), F(8), F(12), F(17), F(25), F(30), F(41), F(43), \
    F(9), F(11), F(18), F(24), F(31), F(40), F(44), F(53), \
    F(10), F(19), F(23), F(32), F(39), F(45), F(52), F(54), \
    F(20), F(22), F(33), F(38), F(46), F(51), F(55), F(60), \
    F(21), F(34), F(37), F(47), F(50), F(56), F(59), F(61), \
    F(35), F(36), F(48), F(49), F(57), F(58), F(62), F(63),
/* clang-format on */

/* Where its bit is among the 8 bytes of a set: a byte shuffle brings it, and zeros as the upper half. */
#define BYTE(k) 0x8000 | (k) / 8
#define BIT(k) 1 << (k) % 8
static const _Alignas(32) uint16_t bytes[64] = {ZIGZAG(BYTE)}, bits[64] = {ZIGZAG(BIT)};

#endif

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx2")))

/* As correct(). Those whose bit is set are not 0. */
TARGET static inline __m256i correct_16(__m256i x, __m256i set, __m256i byte, __m256i bit, int16_t one) {
    const __m256i ones = _mm256_set1_epi16(one);
    const __m256i is_due = _mm256_cmpeq_epi16(_mm256_and_si256(_mm256_shuffle_epi8(set, byte), bit), bit);
    const __m256i has_it = _mm256_cmpeq_epi16(_mm256_and_si256(x, ones), ones);
    const __m256i is_added = _mm256_andnot_si256(has_it, is_due);
    return _mm256_add_epi16(x, _mm256_and_si256(_mm256_sign_epi16(ones, x), is_added));
}

TARGET static void correct_avx2(int16_t *block, uint64_t twos, uint64_t ones) {
    const __m256i two_set = _mm256_set1_epi64x((int64_t)twos), one_set = _mm256_set1_epi64x((int64_t)ones);

    for (int i = 0; i < 64; i += 16) {
        __m256i *at = (__m256i *)(void *)(block + i);
        const __m256i byte = _mm256_load_si256((const __m256i *)(const void *)(bytes + i));
        const __m256i bit = _mm256_load_si256((const __m256i *)(const void *)(bits + i));
        const __m256i x = correct_16(_mm256_loadu_si256(at), two_set, byte, bit, 2);
        _mm256_storeu_si256(at, correct_16(x, one_set, byte, bit, 1));
    }
}
#elif defined(__aarch64__)
#include <arm_neon.h>

static inline int16x8_t correct_8(int16x8_t x, uint8x16_t set, uint8x16_t byte, uint16x8_t bit, int16_t one) {
    const int16x8_t ones = vdupq_n_s16(one), sign = vshrq_n_s16(x, 15);
    const uint16x8_t is_due = vtstq_u16(vreinterpretq_u16_u8(vqtbl1q_u8(set, byte)), bit);
    const uint16x8_t is_added = vbicq_u16(is_due, vtstq_s16(x, ones));
    return vaddq_s16(x, vandq_s16(vsubq_s16(veorq_s16(ones, sign), sign), vreinterpretq_s16_u16(is_added)));
}

static void correct_neon(int16_t *block, uint64_t twos, uint64_t ones) {
    const uint8x16_t two_set = vreinterpretq_u8_u64(vdupq_n_u64(twos));
    const uint8x16_t one_set = vreinterpretq_u8_u64(vdupq_n_u64(ones));

    for (int i = 0; i < 64; i += 8) {
        const uint16x8_t bit = vld1q_u16(bits + i);
        const uint8x16_t byte = vreinterpretq_u8_u16(vld1q_u16(bytes + i));
        const int16x8_t x = correct_8(vld1q_s16(block + i), two_set, byte, bit, 2);
        vst1q_s16(block + i, correct_8(x, one_set, byte, bit, 1));
    }
}
#endif

void fi_entropy_choose_corrections(fi_entropy_kernels *kernels, unsigned cpu_features) {
    kernels->correct_block = correct_c;
#if defined(__x86_64__)
    if (cpu_features & FI_CPU_AVX2) kernels->correct_block = correct_avx2;
#elif defined(__aarch64__)
    if (cpu_features & FI_CPU_NEON) kernels->correct_block = correct_neon;
#else
    (void)cpu_features;
#endif
}
