/* SPDX-License-Identifier: BSD-3-Clause */
/* Progressive scans (T.81, G.1.2). */
#include "cpu.h"
#include "entropy/bits.h"

/* The bits of coefficients first to end - 1, of which there is at least one. */
FI_INLINE uint64_t band(unsigned first, unsigned end) {
    return ~(uint64_t)0 << first & ~(uint64_t)0 >> (64 - end);
}

void fi_entropy_begin_progressive(fi_entropy *entropy) {
    memset(entropy->come, 0, sizeof entropy->come);
}

/* As in the tables of baseline scans. */
static void set_stop(fi_entropy *entropy, unsigned se, unsigned al) {
    const uint8_t *large = entropy->limits[0].large;
    memset(entropy->stop, 0, sizeof entropy->stop);
    for (unsigned k = 1; k <= se; k++) entropy->stop[k] = (uint8_t)(large[k] > al ? large[k] - al : 1);
}

bool fi_entropy_start_progressive(fi_entropy *entropy, const fi_scan *scan) {
    const bool is_dc = scan->ss == 0, has_codes = !is_dc || scan->ah == 0;

    entropy->scan++;
    fi_entropy_begin(entropy, scan);
    entropy->is_progressive = true;
    for (unsigned b = 0; b < scan->blocks && has_codes; b++) {
        const table **to = is_dc ? &entropy->block[b].dc_table : &entropy->block[b].ac_table;
        *to = fi_entropy_find_table(entropy, is_dc ? &scan->dc[b] : &scan->ac[b],
                                    is_dc      ? DC_TABLE
                                    : scan->ah ? REFINEMENT_TABLE
                                               : FIRST_TABLE);
        if (!*to) return fi_entropy_fail(entropy, FI_FAULT_TABLES, 0);
    }
    set_stop(entropy, scan->se, scan->al);
    entropy->ss = scan->ss;
    entropy->se = scan->se;
    entropy->al = scan->al;
    entropy->is_refinement = scan->ah > 0;
    entropy->comes_again = false;
    if (!is_dc && !entropy->is_refinement) {
        uint64_t *come = &entropy->come[scan->component_index & 3];
        const uint64_t comes = band(scan->ss, scan->se + 1u);
        entropy->comes_again = *come & comes;
        *come |= comes;
    }
    return true;
}

/* ---- DC -------------------------------------------------------------------------------------------------------- */

FI_INLINE int16_t *dc_of(const fi_block_row *row, size_t mcu) {
    return &row->states[mcu * row->step].dc;
}

FI_INLINE fi_fault_kind first_dc(fi_entropy *entropy, reader *r, const fi_block_row *rows, size_t mcu) {
    for (unsigned b = 0; b < entropy->blocks; b++) {
        const block_kind *kind = &entropy->block[b];
        int32_t diff;
        if (!decode_dc(r, kind->dc_table, &diff)) return FI_FAULT_CODE;
        if (!add_dc(kind->dc, diff)) return FI_FAULT_RANGE;
        *dc_of(&rows[b], mcu) = (int16_t)((uint32_t)kind->dc->last << entropy->al);
    }
    return FI_FAULT_NONE;
}

FI_INLINE fi_fault_kind refine_dc(const fi_entropy *entropy, reader *r, const fi_block_row *rows, size_t mcu) {
    refill(r);
    for (unsigned b = 0; b < entropy->blocks; b++) {
        *dc_of(&rows[b], mcu) |= (int16_t)(r->bits >> 63 << entropy->al);
        consume(r, 1);
    }
    return FI_FAULT_NONE;
}

/* ---- AC -------------------------------------------------------------------------------------------------------- */

/* The number of blocks that an EOBn symbol ends, n = run < 15; takes at most 14 more bits. */
FI_INLINE uint32_t read_eobrun(reader *r, unsigned run) {
    const uint32_t more = (uint32_t)(r->bits >> 1 >> (63 - run));
    consume(r, run);
    return (1u << run) + more;
}

/* Stores the value of the coefficient before index k. Past the last one, which is a fault, any place will do. */
FI_INLINE void store_first(int16_t *block, size_t k, int16_t coefficient, uint64_t *found) {
    const unsigned bit = (unsigned)(k - 1) & 63;
    block[natural_order[k]] = coefficient;
    *found = (*found & ~((uint64_t)1 << bit)) | (uint64_t)(coefficient != 0) << bit;
}

/* Decodes the symbol of a SLOW entry at index k. Returns the next index, or 0 at a fault. *size is as in other entries. */
FI_INLINE size_t first_slow(reader *r, const table *t, const entry *e, size_t k, int32_t *value, uint8_t *size,
                            uint32_t *eobrun) {
    refill(r);
    const int symbol = read_slow_symbol(r, t, e);
    if (symbol < 0) return 0;
    const unsigned run = (unsigned)symbol >> 4;
    *size = symbol & 15;
    if (*size == 0 && run < 15) *eobrun = read_eobrun(r, run);
    *value = *size ? read_value(r, *size) : 0;
    if (e->shift && e->shift + *size <= UNCHECKED_NBITS) *size = 0;
    return k + run + 1;
}

/* Looks entries up as decode_ac() in baseline.c does. */
FI_INLINE fi_fault_kind first_ac(fi_entropy *entropy, reader *r, int16_t *block, uint64_t *nonzero) {
    const table *t = entropy->block[0].ac_table;
    const limits *l = &entropy->limits[0];
    const uint8_t *stop = entropy->stop;
    const unsigned se = entropy->se, al = entropy->al;
    uint32_t eobrun = 0;
    int32_t value = 0;
    uint8_t size = 0;
    size_t k = entropy->ss;

    refill(r);
    const entry *e = find_entry(r, t);
    uint64_t nbits = e->nbits, found = *nonzero;
    if (!found) fi_clear(block, 64);
    do {
        refill(r);
#pragma GCC unroll 3
        for (int i = 0; i < ENTRIES_PER_REFILL; i++) {
            if (nbits >= ENDS) {
                if (__builtin_expect(nbits < SLOW, 1)) {
                    eobrun = (uint16_t)entry_value(r, e);
                    consume(r, nbits);
                    goto ended;
                }
                k = first_slow(r, t, e, k, &value, &size, &eobrun);
                if (!k) return FI_FAULT_CODE;
                if (eobrun) goto ended;
                if (value) store_first(block, k, (int16_t)((uint32_t)value << al), &found);
                e = find_entry(r, t);
                nbits = e->nbits;
                break;
            }
            value = entry_value(r, e);
            k += e->advance;
            consume(r, nbits);
            size = e->size;
            e = find_entry(r, t);
            nbits = e->nbits;
            OPAQUE(e);
            store_first(block, k, (int16_t)((uint32_t)value << al), &found);
            if (__builtin_expect(size >= stop[k], 0)) break;
        }
        if (size && size + al >= l->large[k] && !fi_limits_allow_ac(l, natural_order[k], value * (1 << al))) {
            return FI_FAULT_RANGE;
        }
    } while (k <= se);
    *nonzero = found;
    return k > se + 1 ? FI_FAULT_BLOCK_END : FI_FAULT_NONE;
ended:
    entropy->eobrun = eobrun - 1;
    *nonzero = found;
    return FI_FAULT_NONE;
}

FI_INLINE unsigned count_bits(uint64_t bits, bool has_pdep) {
    if (has_pdep) return (unsigned)__builtin_popcountll(bits);
    bits -= bits >> 1 & 0x5555555555555555;
    bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
    return (unsigned)(((bits + (bits >> 4)) & 0x0F0F0F0F0F0F0F0F) * 0x0101010101010101 >> 56);
}

/* The low bits of `bits`, in order, where bits are set in `places`: by pdep, and never called without it. */
FI_INLINE uint64_t deposit(uint64_t bits, uint64_t places) {
    uint64_t deposited = bits & places;
#if defined(__x86_64__)
    __asm__("pdep %2, %1, %0" : "=r"(deposited) : "r"(bits), "r"(places));
#endif
    return deposited;
}

/* The lowest bit that is set in `places`, after n others are passed over; 0 if there are not so many. */
FI_INLINE uint64_t select_bit(uint64_t places, unsigned n, bool has_pdep) {
    if (has_pdep) return deposit((uint64_t)1 << n, places);
    for (; n; n--) places &= places - 1; /* 0 & anything stays 0 */
    return places & -places;
}

FI_INLINE uint64_t reverse_bits(uint64_t bits) {
    bits = (bits >> 1 & 0x5555555555555555) | (bits & 0x5555555555555555) << 1;
    bits = (bits >> 2 & 0x3333333333333333) | (bits & 0x3333333333333333) << 2;
    bits = (bits >> 4 & 0x0F0F0F0F0F0F0F0F) | (bits & 0x0F0F0F0F0F0F0F0F) << 4;
    return __builtin_bswap64(bits);
}

/* Appends n more bits, of which the reader has 32, or n if those are fewer. If they are more, it has 25 after them. */
FI_INLINE uint64_t append_bits(reader *r, uint64_t to, unsigned n) {
    if (__builtin_expect(n > 32, 0)) {
        to = to << 32 | r->bits >> 32;
        consume(r, 32);
        refill(r);
        n -= 32;
    }
    to = to << n | r->bits >> 1 >> (63 - n);
    consume(r, n);
    return to;
}

/* The first of these bits, from the highest on, at `places`, of which the lowest comes first. */
FI_INLINE uint64_t deal_out(uint64_t bits, uint64_t places, bool has_pdep) {
    uint64_t dealt = 0;
    if (has_pdep) return deposit(reverse_bits(bits), places);
    for (; places; places &= places - 1, bits <<= 1) dealt |= places & -places & -(bits >> 63);
    return dealt;
}

FI_INLINE void correct_block(int16_t *block, uint64_t which, int32_t one) {
    for (; which; which &= which - 1) {
        int16_t *coefficient = &block[natural_order[__builtin_ctzll(which) + 1]];
        *coefficient = correct(*coefficient, one, 1);
    }
}

/*
 * Reads the symbol of a SLOW entry: how many zeros to pass over, and the value after them; or a run of blocks that end
 * here. Returns false if it is nonsense.
 */
FI_INLINE bool refine_slow(reader *r, const table *t, const entry *e, unsigned *run, int16_t *value, uint32_t *eobrun) {
    const int symbol = read_slow_symbol(r, t, e);
    if (symbol < 0) return false;
    const unsigned size = (unsigned)symbol & 15;
    *run = (unsigned)symbol >> 4;
    if (size == 0 && *run < 15) *eobrun = read_eobrun(r, *run);
    *value = (int16_t)(size ? read_value(r, size) : 0);
    refill(r);
    return size <= 1;
}

/*
 * The bits that correct a block's nonzero coefficients come in the order of these, between the symbols for new ones:
 * they are put one after the other, at most 63, and dealt out in the end. An entry and its value are read before the
 * refill: of the 64 bits that the last one's load filled, 15 of an entry and 32 of these bits have left 17, or more than
 * that where one came in between.
 */
FI_INLINE fi_fault_kind refine_ac(fi_entropy *entropy, reader *r, int16_t *block, fi_block_state *state,
                                  bool has_pdep) {
    const table *t = entropy->block[0].ac_table;
    const int32_t one = 1 << entropy->al;
    uint64_t left = band(entropy->ss, entropy->se + 1u), added = 0, bits = 0; /* left: of the band */
    const uint64_t before = state->nonzero & left;
    uint32_t eobrun = entropy->eobrun;

    if (!state->nonzero && !eobrun) fi_clear(block, 64);
    refill(r);
    const entry *e = find_entry(r, t);
    while (left && !eobrun) {
        const uint64_t nbits = e->nbits;
        unsigned run = e->advance - 1u;
        int16_t value = entry_value(r, e);
        refill(r);
        if (nbits < ENDS) {
            consume(r, nbits);
        } else if (__builtin_expect(nbits < SLOW, 1)) {
            eobrun = (uint16_t)value;
            consume(r, nbits);
            break;
        } else {
            if (!refine_slow(r, t, e, &run, &value, &eobrun)) return FI_FAULT_CODE;
            if (eobrun) break;
        }
        const uint64_t place = select_bit(left & ~before, run, has_pdep);
        if (!place) return FI_FAULT_BLOCK_END;
        bits = append_bits(r, bits, count_bits(left & before & (place - 1), has_pdep));
        e = find_entry(r, t);
        left &= -place << 1;
        if (value) {
            block[natural_order[__builtin_ctzll(place) + 1]] = (int16_t)(value * one);
            added |= place;
        }
    }
    if (eobrun) {
        refill(r);
        bits = append_bits(r, bits, count_bits(left & before, has_pdep));
        entropy->eobrun = eobrun - 1;
    }
    if (before) {
        bits = deal_out(bits << (64 - count_bits(before, has_pdep)), before, has_pdep);
        if (entropy->al < FI_CORRECTIONS) state->corrections[entropy->al] |= bits;
        else correct_block(block, bits, one);
    }
    state->nonzero |= added;
    return FI_FAULT_NONE;
}

/* In a first scan, after the first block of a run of empty ones: passes over those that follow, at most `more`. */
FI_INLINE size_t pass_over_empty(fi_entropy *entropy, size_t more) {
    size_t blocks = entropy->eobrun - 1;

    if (blocks > more) blocks = more;
    if (entropy->restart_interval) {
        if (blocks > entropy->restarts_to_go) blocks = entropy->restarts_to_go;
        entropy->restarts_to_go -= (unsigned)blocks;
    }
    entropy->eobrun -= (uint32_t)blocks + 1;
    return blocks;
}

/* ---- both ------------------------------------------------------------------------------------------------------ */

typedef enum { FIRST_DC, REFINE_DC, FIRST_AC, REFINE_AC } scan_kind;

FI_INLINE bool decode_mcus(fi_entropy *entropy, size_t mcus, const fi_block_row *rows, scan_kind scan, bool has_pdep) {
    reader r = {entropy->next, entropy->bits, entropy->count};

    for (size_t i = 0; i < mcus; i++) {
        fi_fault_kind kind;
        if (!prepare_mcu(entropy, &r, i)) return false;
        if (scan == FIRST_AC && entropy->eobrun) {
            i += pass_over_empty(entropy, mcus - 1 - i);
            continue;
        }
        if (scan == FIRST_DC) kind = first_dc(entropy, &r, rows, i);
        else if (scan == REFINE_DC) kind = refine_dc(entropy, &r, rows, i);
        else if (scan == FIRST_AC) kind = first_ac(entropy, &r, rows->blocks[i], &rows->states[i].nonzero);
        else kind = refine_ac(entropy, &r, rows->blocks[i], &rows->states[i], has_pdep);
        if (!in_bounds(entropy, &r)) return fi_entropy_fail_short(entropy, i);
        if (kind != FI_FAULT_NONE) return fi_entropy_fail(entropy, kind, i);
    }
    entropy->mcu += mcus;
    put_back(entropy, &r);
    return true;
}

FI_INLINE bool decode_progressive(fi_entropy *entropy, size_t mcus, const fi_block_row *rows, bool has_pdep) {
    if (entropy->ss > 0 && entropy->is_refinement) return decode_mcus(entropy, mcus, rows, REFINE_AC, has_pdep);
    if (entropy->ss > 0) return decode_mcus(entropy, mcus, rows, FIRST_AC, has_pdep);
    return decode_mcus(entropy, mcus, rows, entropy->is_refinement ? REFINE_DC : FIRST_DC, has_pdep);
}

static bool decode_c(fi_entropy *entropy, size_t mcus, const fi_block_row *rows) {
    return decode_progressive(entropy, mcus, rows, false);
}

#if defined(__x86_64__)
__attribute__((target("bmi2"))) static bool decode_bmi2(fi_entropy *entropy, size_t mcus, const fi_block_row *rows) {
    return decode_progressive(entropy, mcus, rows, false);
}

__attribute__((target("bmi2,lzcnt,popcnt"))) static bool decode_pdep(fi_entropy *entropy, size_t mcus,
                                                                     const fi_block_row *rows) {
    return decode_progressive(entropy, mcus, rows, true);
}
#endif

void fi_entropy_choose_progressive(fi_entropy_kernels *kernels, unsigned cpu_features) {
    kernels->decode_progressive = decode_c;
#if defined(__x86_64__)
    if (cpu_features & FI_CPU_BMI2) kernels->decode_progressive = decode_bmi2;
    if ((cpu_features & FI_CPU_BMI2) && (cpu_features & FI_CPU_FAST_PDEP)) kernels->decode_progressive = decode_pdep;
#else
    (void)cpu_features;
#endif
}
