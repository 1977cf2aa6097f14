/* SPDX-License-Identifier: BSD-3-Clause */
/* Baseline scans (T.81, F.2). */
#include "cpu.h"
#include "entropy/bits.h"

/* Scans shorter than this do not pay for building tables, unless the next image has the same ones. */
#define SMALL_SCAN_NBYTES 4096

/* The same for run tables, which take longer to build: about 20 us. */
#define SHORT_SCAN_NBYTES 32768

/* ---- tables ---------------------------------------------------------------------------------------------------- */

/* The numbers of codes of each length tell tables apart well enough for a guess. */
static uint64_t hash_counts(uint64_t hash, const fi_huffman *huffman) {
    uint64_t words[2];
    memcpy(words, huffman->counts + 1, sizeof words);
    return ((hash ^ words[0]) * 0x9E3779B97F4A7C15u ^ words[1]) * 0x9E3779B97F4A7C15u;
}

/* Whether the tables pay for themselves, or the previous scan had the same ones, so that more may follow. */
static bool may_build_tables(fi_entropy *entropy, const fi_scan *scan) {
    uint64_t hash = 0;

    if (scan->nbytes >= SMALL_SCAN_NBYTES) return true;
    for (unsigned b = 0; b < scan->blocks; b++) hash = hash_counts(hash_counts(hash, &scan->dc[b]), &scan->ac[b]);
    const bool again = hash == entropy->missed;
    entropy->missed = hash;
    return again;
}

bool fi_entropy_start(fi_entropy *entropy, const fi_scan *scan) {
    const bool may_build = may_build_tables(entropy, scan);

    entropy->scan++;
    for (unsigned b = 0; b < scan->blocks; b++) {
        entropy->last_needed[b] = 63;
        /* Most blocks use the same tables as the one before. */
        const bool same =
            b > 0 && scan->dc[b].counts == scan->dc[b - 1].counts && scan->ac[b].counts == scan->ac[b - 1].counts;
        entropy->dc[b] = same ? entropy->dc[b - 1] : fi_entropy_find_table(entropy, &scan->dc[b], DC_TABLE, may_build);
        entropy->ac[b] = same ? entropy->ac[b - 1] : fi_entropy_find_table(entropy, &scan->ac[b], AC_TABLE, may_build);
        if (!entropy->dc[b] || !entropy->ac[b]) return false;
    }
    fi_entropy_begin(entropy, scan);
    return true;
}

void fi_entropy_need(fi_entropy *entropy, uint8_t component, unsigned last) {
    for (unsigned b = 0; b < entropy->blocks; b++) {
        if (entropy->component[b] != component) continue;
        table *t = &entropy->tables[entropy->ac[b] - entropy->tables];
        if (last < 63 && !t->has_run_table && entropy->in_end - entropy->in >= SHORT_SCAN_NBYTES)
            fi_entropy_build_run_table(t);
        entropy->last_needed[b] = (uint8_t)(last < 63 && t->has_run_table ? last : 63);
    }
}

/* ---- blocks ---------------------------------------------------------------------------------------------------- */

/* Decodes a SLOW entry at index k. Returns the next index, or 0 if the code is bad. */
FI_INLINE unsigned decode_slow(reader *r, const table *t, uint64_t entry, unsigned k, int16_t *block) {
    refill(r);
    const int symbol = read_symbol(r, t, entry);
    if (symbol < 0) return 0;
    const unsigned size = (unsigned)symbol & 15, run = (unsigned)symbol >> 4;
    if (size == 0) return run == 15 ? k + 16 : k + END;
    k += run + 1;
    block[natural_order[k]] = (int16_t)read_value(r, size);
    return k;
}

/*
 * Skips the block from index k on. A refill is enough for two entries of 11 + 15 bits each, or for one symbol of 31.
 */
FI_INLINE bool skip_ac(reader *r, const table *t, unsigned k) {
    int16_t unwanted[64];

    while (k < 64) {
        refill(r);
        unsigned several = t->run_table[r->bits >> (64 - RUN_BITS)], next = k + (several >> RUN_ADVANCE);
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
        const uint64_t entry = look_up(r, t);
        if (entry & SLOW) {
            k = decode_slow(r, t, entry, k, unwanted);
            if (!k) return false;
        } else {
            consume(r, entry);
            k += (uint8_t)(entry >> 8);
        }
    }
    return true;
}

/* Returns the index after the last coefficient, plus END if an end of block came there, or 0 if a code is bad. */
FI_INLINE unsigned decode_ac(reader *r, const table *t, int16_t *block, unsigned last) {
    unsigned k = 1;

    while (k <= last) {
        refill(r);
        for (int i = 0; i < SYMBOLS_PER_REFILL; i++) {
            const uint64_t entry = look_up(r, t);
            if (entry & SLOW) {
                k = decode_slow(r, t, entry, k, block);
                if (!k) return 0;
                break;
            }
            consume(r, entry);
            k += (uint8_t)(entry >> 8);
            block[natural_order[k]] = (int16_t)(entry >> 16);
            if (k > last) break;
        }
    }
    return last == 63 || skip_ac(r, t, k) ? k : 0;
}

FI_INLINE bool decode_mcu(fi_entropy *entropy, reader *r, bool whole, int16_t (*blocks)[64], uint8_t *eob) {
    for (unsigned b = 0; b < entropy->blocks; b++) {
        int32_t diff, *last_dc = &entropy->last_dc[entropy->component[b]];
        if (!decode_dc(r, entropy->dc[b], &diff) || !add_dc(last_dc, diff)) return false;
        blocks[b][0] = (int16_t)*last_dc;
        const unsigned k = decode_ac(r, entropy->ac[b], blocks[b], whole ? 63 : entropy->last_needed[b]);
        if (!k) return false;
        eob[b] = (uint8_t)(k > END ? k - END : 64);
    }
    return true;
}

FI_INLINE bool decode_mcus(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *eob) {
    const unsigned count = entropy->blocks;
    reader r = {entropy->next, entropy->bits, entropy->count};

    for (unsigned i = 0; i < mcus; i++, blocks += count, eob += count) {
        if (!prepare_mcu(entropy, &r)) return false;
        if (!decode_mcu(entropy, &r, whole && i == mcus - 1, blocks, eob)) return false;
        if (!in_bounds(entropy, &r)) return false;
    }
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
