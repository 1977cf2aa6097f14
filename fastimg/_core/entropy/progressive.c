/* SPDX-License-Identifier: BSD-3-Clause */
/* Progressive scans (T.81, G.1.2). */
#include "cpu.h"
#include "entropy/bits.h"

#include <stdlib.h>

/* The bits start with a component's first AC scan. Returns false if there is no memory. */
static bool begin_nonzero(fi_entropy *entropy, const fi_scan *scan) {
    fi_nonzero *nonzero = &entropy->nonzero[scan->component_index & 3];

    if (nonzero->capacity < scan->mcus) {
        free(nonzero->bits);
        *nonzero = (fi_nonzero){.bits = malloc(scan->mcus * sizeof *nonzero->bits)};
        if (!nonzero->bits) return false;
        nonzero->capacity = scan->mcus;
    }
    if (!nonzero->has_begun) memset(nonzero->bits, 0, scan->mcus * sizeof *nonzero->bits);
    nonzero->has_begun = true;
    entropy->next_nonzero = nonzero->bits;
    return true;
}

void fi_entropy_begin_progressive(fi_entropy *entropy) {
    for (int c = 0; c < 4; c++) entropy->nonzero[c].has_begun = false;
}

bool fi_entropy_start_progressive(fi_entropy *entropy, const fi_scan *scan) {
    const bool is_dc = scan->ss == 0, has_codes = !is_dc || scan->ah == 0;

    entropy->scan++;
    fi_entropy_begin(entropy, scan);
    entropy->is_progressive = true;
    for (unsigned b = 0; b < scan->blocks && has_codes; b++) {
        const table **to = is_dc ? &entropy->block[b].dc_table : &entropy->block[b].ac_table;
        *to = fi_entropy_find_table(entropy, is_dc ? &scan->dc[b] : &scan->ac[b], is_dc ? DC_TABLE : PROGRESSIVE_TABLE);
        if (!*to) return fi_entropy_fail(entropy, FI_FAULT_TABLES, 0);
    }
    if (!is_dc && !begin_nonzero(entropy, scan)) return fi_entropy_fail(entropy, FI_FAULT_MEMORY, 0);
    entropy->ss = scan->ss;
    entropy->se = scan->se;
    entropy->al = scan->al;
    entropy->is_refinement = scan->ah > 0;
    return true;
}

/* ---- DC -------------------------------------------------------------------------------------------------------- */

FI_INLINE fi_fault_kind first_dc(fi_entropy *entropy, reader *r, int16_t *const blocks[]) {
    for (unsigned b = 0; b < entropy->blocks; b++) {
        const block_kind *kind = &entropy->block[b];
        int32_t diff;
        if (!decode_dc(r, kind->dc_table, &diff)) return FI_FAULT_CODE;
        if (!add_dc(kind->dc, diff)) return FI_FAULT_RANGE;
        blocks[b][0] = (int16_t)((uint32_t)kind->dc->last << entropy->al);
    }
    return FI_FAULT_NONE;
}

FI_INLINE void refine_dc(const fi_entropy *entropy, reader *r, int16_t *const blocks[]) {
    refill(r);
    for (unsigned b = 0; b < entropy->blocks; b++) {
        if (r->bits >> 63) blocks[b][0] |= (int16_t)(1 << entropy->al);
        consume(r, 1);
    }
}

/* ---- AC -------------------------------------------------------------------------------------------------------- */

/* The number of blocks that an EOBn symbol ends, n = run < 15; takes at most 14 more bits. */
FI_INLINE uint32_t read_eobrun(reader *r, unsigned run) {
    const uint32_t more = (uint32_t)(r->bits >> 1 >> (63 - run));
    consume(r, run);
    return (1u << run) + more;
}

/* Sets the coefficient before index k, which is at most 79. */
FI_INLINE void put(int16_t *block, uint64_t *nonzero, unsigned k, int16_t coefficient) {
    const unsigned place = k <= 64 ? k - 1 : 63;
    block[natural_order[k]] = coefficient;
    *nonzero = (*nonzero & ~((uint64_t)1 << place)) | (uint64_t)(coefficient != 0) << place;
}

FI_INLINE fi_fault_kind first_ac(fi_entropy *entropy, reader *r, int16_t *block, uint64_t *nonzero) {
    const table *t = entropy->block[0].ac_table;
    const limits *l = &entropy->limits[0];
    const unsigned se = entropy->se, al = entropy->al;
    unsigned k = entropy->ss;

    while (k <= se) {
        refill(r);
        for (int i = 0; i < SYMBOLS_PER_REFILL && k <= se; i++) {
            const uint64_t entry = look_up(r, t);
            int32_t value;
            if (entry & SLOW) {
                refill(r);
                const int symbol = read_symbol(r, t, entry);
                if (symbol < 0) return FI_FAULT_CODE;
                const unsigned size = (unsigned)symbol & 15, run = (unsigned)symbol >> 4;
                if (size == 0 && run < 15) {
                    entropy->eobrun = read_eobrun(r, run) - 1;
                    return FI_FAULT_NONE;
                }
                value = size ? read_value(r, size) : 0;
                k += run + 1;
                if (size + al >= l->large[k] && !fi_limits_allow_ac(l, natural_order[k], value * (1 << al))) {
                    return FI_FAULT_RANGE;
                }
                i = SYMBOLS_PER_REFILL;
            } else {
                consume(r, entry);
                value = (int16_t)(entry >> 16);
                k += (uint8_t)(entry >> 8);
            }
            if (value) put(block, nonzero, k, (int16_t)((uint32_t)value << al));
        }
    }
    return k > se + 1 && k < END ? FI_FAULT_BLOCK_END : FI_FAULT_NONE;
}

/* The bits of coefficients first to end - 1. */
FI_INLINE uint64_t band(unsigned first, unsigned end) {
    const uint64_t below = end < 64 ? ((uint64_t)1 << end) - 1 : ~(uint64_t)0;
    return below >> first << first;
}

/* Reads a correction bit for each of these nonzero coefficients. A set bit adds to the magnitude. */
FI_INLINE void correct(reader *r, int16_t *block, uint64_t which, int32_t one) {
    for (; which; which &= which - 1) {
        int16_t *coefficient = &block[natural_order[__builtin_ctzll(which) + 1]];
        if ((r->count & 63) == 0) refill(r);
        const int32_t value = *coefficient, sign = value >> 15;
        const int32_t is_set = (int32_t)(r->bits >> 63) & ((value & one) == 0);
        consume(r, 1);
        *coefficient = (int16_t)(value + (((one ^ sign) - sign) & -is_set));
    }
}

/* Reads a symbol: how many zeros to pass over, and the value after them. Returns false if it is nonsense. */
FI_INLINE bool read_refinement(fi_entropy *entropy, reader *r, unsigned *run, int32_t *value) {
    const table *t = entropy->block[0].ac_table;

    refill(r);
    const uint64_t entry = look_up(r, t);
    if (entry & SLOW) {
        const int symbol = read_symbol(r, t, entry);
        if (symbol < 0) return false;
        const unsigned size = (unsigned)symbol & 15;
        *run = (unsigned)symbol >> 4;
        if (size == 0 && *run < 15) entropy->eobrun = read_eobrun(r, *run);
        *value = size ? read_value(r, size) : 0;
        return size <= 1;
    }
    consume(r, entry);
    *run = (uint8_t)(entry >> 8) - 1u;
    *value = (int16_t)(entry >> 16);
    if (*run >= END - 1) entropy->eobrun = 1;
    return *value >= -1 && *value <= 1;
}

FI_INLINE fi_fault_kind refine_ac(fi_entropy *entropy, reader *r, int16_t *block, uint64_t *nonzero) {
    const unsigned end = entropy->se + 1u;
    const int32_t one = 1 << entropy->al;
    unsigned k = entropy->ss, run;
    int32_t value;

    while (k < end && !entropy->eobrun) {
        if (!read_refinement(entropy, r, &run, &value)) return FI_FAULT_CODE;
        if (entropy->eobrun) break;
        uint64_t zeros = ~*nonzero & band(k, end);
        for (; run; run--) zeros &= zeros - 1; /* 0 & anything stays 0 */
        if (!zeros) return FI_FAULT_BLOCK_END;
        const unsigned stop = (unsigned)__builtin_ctzll(zeros);
        correct(r, block, *nonzero & band(k, stop), one);
        k = stop + 1;
        if (value) put(block, nonzero, k, (int16_t)(value * one));
    }
    if (!entropy->eobrun) return FI_FAULT_NONE;
    if (k < end) correct(r, block, *nonzero & band(k, end), one);
    entropy->eobrun--;
    return FI_FAULT_NONE;
}

/* ---- both ------------------------------------------------------------------------------------------------------ */

FI_INLINE fi_fault_kind decode_mcu(fi_entropy *entropy, reader *r, int16_t *const blocks[]) {
    if (entropy->ss == 0) {
        if (!entropy->is_refinement) return first_dc(entropy, r, blocks);
        refine_dc(entropy, r, blocks);
        return FI_FAULT_NONE;
    }
    uint64_t *nonzero = entropy->next_nonzero++;
    if (entropy->is_refinement) return refine_ac(entropy, r, blocks[0], nonzero);
    if (!entropy->eobrun) return first_ac(entropy, r, blocks[0], nonzero);
    entropy->eobrun--;
    return FI_FAULT_NONE;
}

FI_INLINE bool decode_progressive(fi_entropy *entropy, int16_t *const blocks[]) {
    reader r = {entropy->next, entropy->bits, entropy->count};

    if (!prepare_mcu(entropy, &r, 0)) return false;
    const fi_fault_kind kind = decode_mcu(entropy, &r, blocks);
    if (!in_bounds(entropy, &r)) return fi_entropy_fail_short(entropy, 0);
    if (kind != FI_FAULT_NONE) return fi_entropy_fail(entropy, kind, 0);
    entropy->mcu++;
    put_back(entropy, &r);
    return true;
}

static bool decode_c(fi_entropy *entropy, int16_t *const blocks[]) {
    return decode_progressive(entropy, blocks);
}

#if defined(__x86_64__)
__attribute__((target("bmi2"))) static bool decode_bmi2(fi_entropy *entropy, int16_t *const blocks[]) {
    return decode_progressive(entropy, blocks);
}
#endif

void fi_entropy_choose_progressive(fi_entropy_kernels *kernels, unsigned cpu_features) {
    kernels->decode_progressive = decode_c;
#if defined(__x86_64__)
    if (cpu_features & FI_CPU_BMI2) kernels->decode_progressive = decode_bmi2;
#else
    (void)cpu_features;
#endif
}
