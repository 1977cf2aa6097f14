/* SPDX-License-Identifier: BSD-3-Clause */
/* Baseline scans (T.81, F.2). */
#include "cpu.h"
#include "entropy/bits.h"

/* Run tables take about 20 us to build: scans shorter than this do not pay for them. */
#define SHORT_SCAN_NBYTES 32768

/* Where more coefficients are needed, few are left to skip, and to decode them takes less time than to change over. */
#define MAX_LAST_BEFORE_SKIP 15

static table *ac_table(fi_entropy *entropy, unsigned b) {
    return &entropy->tables[entropy->block[b].ac_table - entropy->tables];
}

/* Components that use the same table mostly have the same steps, too. */
static void set_large_sizes(fi_entropy *entropy) {
    for (unsigned b = 0; b < entropy->blocks; b++) {
        table *t = ac_table(entropy, b);
        const uint8_t *sizes = entropy->limits[entropy->block[b].component].large;
        if (b > 0 && entropy->block[b].component == entropy->block[b - 1].component) continue;
        if (t->large_scan != entropy->scan) memcpy(t->large, sizes, sizeof t->large);
        t->large_scan = entropy->scan;
        for (unsigned k = 0; k < sizeof t->large; k++) t->large[k] = sizes[k] < t->large[k] ? sizes[k] : t->large[k];
        memcpy(t->stop, t->large, 64);
        memset(t->stop + 64, 0, sizeof t->stop - 64);
    }
}

bool fi_entropy_start(fi_entropy *entropy, const fi_scan *scan) {
    entropy->scan++;
    entropy->may_skip = scan->nbytes >= SHORT_SCAN_NBYTES;
    fi_entropy_begin(entropy, scan);
    entropy->is_progressive = false;
    for (unsigned b = 0; b < scan->blocks; b++) {
        block_kind *kind = &entropy->block[b];
        /* Most blocks use the same tables as the one before. */
        const bool same =
            b > 0 && scan->dc[b].counts == scan->dc[b - 1].counts && scan->ac[b].counts == scan->ac[b - 1].counts;
        kind->dc_table = same ? kind[-1].dc_table : fi_entropy_find_table(entropy, &scan->dc[b], DC_TABLE);
        kind->ac_table = same ? kind[-1].ac_table : fi_entropy_find_table(entropy, &scan->ac[b], AC_TABLE);
        if (!kind->dc_table || !kind->ac_table) return fi_entropy_fail(entropy, FI_FAULT_TABLES, 0);
    }
    set_large_sizes(entropy);
    return true;
}

void fi_entropy_need(fi_entropy *entropy, uint8_t component, unsigned last) {
    for (unsigned b = 0; b < entropy->blocks; b++) {
        if (entropy->block[b].component != component) continue;
        table *t = ac_table(entropy, b);
        const bool skips = last <= MAX_LAST_BEFORE_SKIP && entropy->may_skip;
        if (skips && !t->has_run_table) fi_entropy_build_run_table(t);
        entropy->block[b].last_needed = (uint8_t)(skips ? last : 63);
    }
}

/* ---- blocks ---------------------------------------------------------------------------------------------------- */

/*
 * What the index of the next coefficient becomes where a block ends: 64 after the last one, or END more than it was at
 * an end of block. At a large value, LARGE comes on top. Other numbers are errors.
 */
enum { LARGE = 256, BAD_CODE = 512 };

/* Decodes the symbol of a SLOW entry at index k. Returns the next index, and *size is as in an entry that is not SLOW. */
FI_INLINE size_t decode_slow(reader *r, const table *t, const entry *e, size_t k, int16_t *block, uint8_t *size) {
    refill(r);
    const int symbol = read_slow_symbol(r, t, e);
    if (symbol < 0) return BAD_CODE;
    const unsigned run = (unsigned)symbol >> 4;
    *size = symbol & 15;
    if (*size == 0) return run == 15 ? k + 16 : k + END;
    k += run + 1;
    block[natural_order[k]] = (int16_t)read_value(r, *size);
    if (e->shift && e->shift + *size <= UNCHECKED_NBITS) *size = 0;
    return k;
}

/*
 * Skips the block from index k on. A refill is enough for two entries of 11 + 15 bits each, or for one symbol of 31.
 */
FI_INLINE size_t skip_ac(reader *r, const table *t, size_t k) {
    int16_t unwanted[64];

    while (k < 64) {
        refill(r);
        size_t several = t->run_table[r->bits >> (64 - RUN_BITS)], next = k + (several >> RUN_ADVANCE);
        if (next < 64) {
            consume(r, several);
            k = next;
            several = t->run_table[r->bits >> (64 - RUN_BITS)];
            next = k + (several >> RUN_ADVANCE);
        }
        if (next <= 64 || (next >= RUN_END && next < RUN_END + 64)) {
            consume(r, several);
            k = next;
            continue;
        }
        const entry *e = find_entry(r, t);
        uint8_t size = e->size;
        if (e->nbits & SLOW) {
            k = decode_slow(r, t, e, k, unwanted, &size);
        } else {
            consume(r, e->nbits);
            k += e->nbits & ENDS ? END : e->advance;
        }
        if (k < END && size >= t->large[k]) return k + LARGE;
    }
    return k;
}

/* Whether these four coefficients are equal, and not 0. */
FI_INLINE bool are_equal(const int16_t *four) {
    uint64_t all;
    memcpy(&all, four, sizeof all);
    return all != 0 && all == (all & 0xFFFF) * 0x0001000100010001;
}

/*
 * Decodes the block from index k on, and past index `last` by some. The next entry is looked up as soon as there are
 * bits, before its predecessor's value is stored and before a refill. OPAQUE makes nbits, which the look-up after it
 * waits for, a load from the table and not from *e, whose address takes a step more; and keeps two tables in registers.
 */
FI_INLINE size_t decode_ac(reader *r, const table *t, size_t k, int16_t *block, size_t last) {
    const entry *e = find_entry(r, t);
    const uint8_t *stop = t->stop, *order = natural_order;
    uint64_t nbits = e->nbits;
    uint8_t size = 0;

    OPAQUE(stop);
    OPAQUE(order);
    do {
        refill(r);
#pragma GCC unroll 3
        for (int i = 0; i < ENTRIES_PER_REFILL; i++) {
            if (nbits >= ENDS) {
                if (__builtin_expect(nbits < SLOW, 1)) {
                    consume(r, nbits);
                    return k + END;
                }
                k = decode_slow(r, t, e, k, block, &size);
                if (k >= END) return k;
                e = find_entry(r, t);
                nbits = e->nbits;
                if (size >= stop[k]) goto stopped;
                break;
            }
            const int16_t value = entry_value(r, e);
            k += e->advance;
            consume(r, nbits);
            size = e->size;
            e = find_entry(r, t);
            nbits = e->nbits;
            OPAQUE(e);
            block[order[k]] = value;
            if (__builtin_expect(size >= stop[k], 0)) goto stopped;
        }
    } while (k <= last);
    return k;
stopped:
    return size >= t->large[k] ? k + LARGE : k;
}

/*
 * Whether what was skipped from index k to 63 may be one value, again and again: of codes with their values, all as long.
 */
static __attribute__((noinline)) bool may_be_equal(reader start, const uint8_t *next, unsigned count, size_t k) {
    const uint32_t nbits = (uint32_t)((next - start.next) * 8) + (start.count & 63) - (count & 63);
    return nbits % (uint32_t)(64 - k) == 0;
}

/* Skips the rest of a block. If it turns out to be suspect, it has not been skipped, and k is returned. */
FI_INLINE size_t skip_rest(reader *r, const table *t, size_t k) {
    const reader start = *r;
    const size_t end = skip_ac(r, t, k);
    if (__builtin_expect(end - END - 1 <= 62, 1)) return end;
    if (end == 64 ? !may_be_equal(start, r->next, r->count, k) : !(end & LARGE)) return end;
    *r = start;
    return k;
}

/*
 * Goes on where a block has not come to an ordinary end: it is suspect, and looked at whole, or bad. Returns its eob, or 0
 * at a fault.
 */
static __attribute__((noinline)) size_t end_block(fi_entropy *entropy, const block_kind *kind, size_t k, int16_t *block,
                                                  size_t ahead) {
    reader r = {entropy->next, entropy->bits, entropy->count};
    fi_fault_kind fault = FI_FAULT_NONE;
    bool has_large = false;

    for (;;) {
        has_large |= (k & LARGE) != 0;
        k &= ~(size_t)LARGE;
        if (k >= 64) break;
        k = decode_ac(&r, kind->ac_table, k, block, 63);
    }
    put_back(entropy, &r);
    if (k == BAD_CODE) fault = FI_FAULT_CODE;
    else if (k > 64 && k < END) fault = FI_FAULT_BLOCK_END;
    else if (!fi_limits_allow(entropy, kind->component, block, has_large && !entropy->guesses, ahead))
        fault = FI_FAULT_RANGE;
    entropy->fault.kind = fault;
    if (fault != FI_FAULT_NONE) return 0;
    return (k > END ? k - END : 64) + (has_large && entropy->guesses ? FI_UNJUDGED : 0);
}

/* `all` is 63 if all coefficients are needed, else 0. */
FI_INLINE fi_fault_kind decode_mcu(fi_entropy *entropy, reader *r, size_t ahead, unsigned all, int16_t (*blocks)[64],
                                   uint8_t *eob) {
    const block_kind *const past = entropy->block + entropy->blocks;

    for (const block_kind *kind = entropy->block; kind < past; kind++, blocks++, eob++) {
        int32_t diff;
        if (!decode_dc(r, kind->dc_table, &diff)) return FI_FAULT_CODE;
        if (!add_dc(kind->dc, diff)) return FI_FAULT_RANGE;
        (*blocks)[0] = (int16_t)kind->dc->last;
        const unsigned last = kind->last_needed | all;
        size_t k = last ? decode_ac(r, kind->ac_table, 1, *blocks, last) : 1;
        if (k < 64) k = skip_rest(r, kind->ac_table, k);
        size_t end = k - END;
        if (__builtin_expect(end - 1 > 62, 0)) {
            const bool is_ordinary = k == 64 ? !are_equal(*blocks + 60) : k - END - 1 <= 62;
            end = k == 64 ? 64 : k - END;
            if (!is_ordinary) {
                put_back(entropy, r);
                end = end_block(entropy, kind, k, *blocks, ahead);
                *r = (reader){entropy->next, entropy->bits, entropy->count};
                if (!end) return entropy->fault.kind;
            }
        }
        *eob = (uint8_t)end;
    }
    return FI_FAULT_NONE;
}

FI_INLINE bool decode_mcus(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *eob) {
    const unsigned count = entropy->blocks;
    reader r = {entropy->next, entropy->bits, entropy->count};

    for (unsigned i = 0; i < mcus; i++, blocks += count, eob += count) {
        if (!prepare_mcu(entropy, &r, i)) return false;
        const fi_fault_kind kind = decode_mcu(entropy, &r, i, whole && i == mcus - 1 ? 63 : 0, blocks, eob);
        if (!in_bounds(entropy, &r)) return fi_entropy_fail_short(entropy, i);
        if (kind != FI_FAULT_NONE) return fi_entropy_fail(entropy, kind, i);
    }
    entropy->mcu += mcus;
    put_back(entropy, &r);
    return true;
}

static bool decode_c(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *eob) {
    return decode_mcus(entropy, mcus, whole, blocks, eob);
}

#if defined(__x86_64__)
/* BMI2 shifts by any register in one cycle instead of two, and every symbol waits for a shift. */
__attribute__((target("bmi2"))) static bool decode_bmi2(fi_entropy *entropy, unsigned mcus, bool whole,
                                                        int16_t (*blocks)[64], uint8_t *eob) {
    return decode_mcus(entropy, mcus, whole, blocks, eob);
}
#endif

void fi_entropy_choose_baseline(fi_entropy_kernels *kernels, unsigned cpu_features) {
    kernels->decode = decode_c;
#if defined(__x86_64__)
    if (cpu_features & FI_CPU_BMI2) kernels->decode = decode_bmi2;
#else
    (void)cpu_features;
#endif
}
