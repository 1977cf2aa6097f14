/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu.h"

#include <string.h>

#if defined(__x86_64__)

#include <cpuid.h>

/*
 * pdep is part of BMI2, but microcode before Zen 3 (family 25), with a cycle or more per bit. Kernels that use it count
 * bits, too: POPCNT and LZCNT are older.
 */
static bool has_fast_pdep(void) {
    unsigned a, b, c, d, family;

    if (!__get_cpuid(0, &a, &b, &c, &d)) return false;
    const bool is_intel = b == signature_INTEL_ebx, is_amd = b == signature_AMD_ebx;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_POPCNT)) return false;
    family = (a >> 8 & 15) + (a >> 20 & 255);
    if (!__get_cpuid(0x80000001, &a, &b, &c, &d) || !(c & bit_LZCNT)) return false;
    return is_intel || (is_amd && family >= 25);
}

/* Not __builtin_cpu_supports(): with clang-cl its data is in a library that nothing links to. */
unsigned fi_cpu_features(void) {
    unsigned a, b, c, d, features = 0, states = 0;

    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    if (c & bit_SSSE3) features |= FI_CPU_SSSE3;
    /* AVX registers are of use only if the system keeps them, with those of SSE, when it switches threads. */
    if (c & bit_OSXSAVE) __asm__("xgetbv" : "=a"(states), "=d"(d) : "c"(0));
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return features;
    if ((b & bit_AVX2) && (states & 6) == 6) features |= FI_CPU_AVX2;
    if (b & bit_BMI2) features |= has_fast_pdep() ? FI_CPU_BMI2 | FI_CPU_FAST_PDEP : FI_CPU_BMI2;
    return features;
}

#else

unsigned fi_cpu_features(void) {
#if defined(__aarch64__) && !defined(__AARCH64EB__)
    return FI_CPU_NEON; /* part of every 64-bit ARM, but the kernels take the first byte for the lowest */
#else
    return 0;
#endif
}

#endif

/* A word, what "-word" takes away, and what stays as a ceiling. AVX2 and BMI2 came together, with x86-64-v3. */
enum { X86_64_V3 = FI_CPU_SSSE3 | FI_CPU_AVX2 | FI_CPU_BMI2 | FI_CPU_FAST_PDEP };
static const struct {
    const char *name;
    unsigned own, ceiling;
} words_known[] = {
    {"c", 0, 0},
    {"ssse3", FI_CPU_SSSE3, FI_CPU_SSSE3},
    {"avx2", FI_CPU_AVX2, X86_64_V3},
    {"bmi2", FI_CPU_BMI2, X86_64_V3},
    {"pdep", FI_CPU_FAST_PDEP, X86_64_V3},
    {"neon", FI_CPU_NEON, FI_CPU_NEON},
};

const char *fi_cpu_words(void) {
    return "c, ssse3, avx2, bmi2, pdep, neon";
}

static bool apply(const char *word, size_t nbytes, unsigned *features) {
    const bool minus = nbytes && word[0] == '-';
    const unsigned here = fi_cpu_features();

    if (nbytes == 0) return true;
    word += minus;
    nbytes -= minus;
    for (size_t i = 0; i < sizeof words_known / sizeof words_known[0]; i++) {
        const char *name = words_known[i].name;
        if (strlen(name) != nbytes || memcmp(name, word, nbytes) != 0) continue;
        if (minus) *features &= ~words_known[i].own;
        else if ((words_known[i].own & ~here) == 0) *features &= words_known[i].ceiling;
        return true;
    }
    return false;
}

bool fi_cpu_parse(const char *words, unsigned *cpu_features, const char **unknown, size_t *nbytes) {
    *cpu_features = fi_cpu_features();
    for (;; words += *nbytes + 1) {
        *nbytes = strcspn(words, ",");
        *unknown = words;
        if (!apply(words, *nbytes, cpu_features)) return false;
        if (words[*nbytes] == '\0') return true;
    }
}
