/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu.h"
#include "entropy_private.h"

#include <stdlib.h>

/* Scans shorter than this do not pay for building tables, unless the next image has the same ones. */
#define SMALL_SCAN_NBYTES 4096

/* The same for tables to skip by, which take longer: some 20 us. */
#define SHORT_SCAN_NBYTES 32768

/* ---- bytes ----------------------------------------------------------------------------------------------------- */

/* Drops what is read, and unstuffs until the chunk is full, or a marker or the end of the data is reached. */
void fi_entropy_fill_chunk(fi_entropy *entropy) {
    uint8_t *end = entropy->chunk + (entropy->end - entropy->next);
    uint8_t *const full = entropy->chunk + CHUNK_NBYTES;

    memmove(entropy->chunk, entropy->next, (size_t)(entropy->end - entropy->next));
    while (!entropy->at_end && end < full) {
        const size_t room = (size_t)(full - end), left = (size_t)(entropy->in_end - entropy->in);
        const size_t most = left < room ? left : room;
        const uint8_t *ff = most ? memchr(entropy->in, 0xFF, most) : NULL;
        const size_t plain = ff ? (size_t)(ff - entropy->in) : most;
        memcpy(end, entropy->in, plain);
        end += plain;
        entropy->in += plain;
        if (ff && (size_t)(entropy->in_end - ff) >= 2 && ff[1] == 0) {
            *end++ = 0xFF;
            entropy->in += 2;
        } else if (ff || entropy->in == entropy->in_end) {
            entropy->at_end = true;
        }
    }
    if (entropy->at_end) memset(end, 0, MCU_MOST_NBYTES);
    entropy->next = entropy->chunk;
    entropy->end = end;
}

/* The marker that stands behind what is decoded, but for the bits that fill its last byte. 0: something else does. */
static unsigned find_marker(fi_entropy *entropy) {
    if (!entropy->at_end) fi_entropy_fill_chunk(entropy);
    if (!entropy->at_end || (entropy->end - entropy->next) * 8 + (int)entropy->count >= 8) return 0;
    /* Of several 0xFF followed by 0 libjpeg makes a byte of 0xFF. */
    return entropy->in_end - entropy->in < 2 || entropy->in[1] == 0xFF ? 0 : entropy->in[1];
}

const uint8_t *fi_entropy_finish(fi_entropy *entropy) {
    return find_marker(entropy) ? entropy->in : NULL;
}

/* At the start of a scan, and behind every restart marker. */
static void begin_interval(fi_entropy *entropy) {
    entropy->restarts_to_go = entropy->restart_interval;
    entropy->next = entropy->end = entropy->chunk;
    entropy->bits = 0;
    entropy->count = 0;
    entropy->at_end = false;
    entropy->end_run = 0;
    memset(entropy->last_dc, 0, sizeof entropy->last_dc);
}

bool fi_entropy_restart(fi_entropy *entropy) {
    if (find_marker(entropy) != 0xD0 + entropy->next_restart) return false;
    entropy->in += 2;
    entropy->next_restart = (entropy->next_restart + 1) & 7;
    begin_interval(entropy);
    return true;
}

/* ---- decoding -------------------------------------------------------------------------------------------------- */

/* How many codes there are of each length tells tables apart well enough to guess by. */
static uint64_t hash_counts(uint64_t hash, const fi_huffman *huffman) {
    uint64_t words[2];
    memcpy(words, huffman->counts + 1, sizeof words);
    return ((hash ^ words[0]) * 0x9E3779B97F4A7C15u ^ words[1]) * 0x9E3779B97F4A7C15u;
}

/* Whether building the scan's tables will pay: for itself, or as the one before had the same and others may follow. */
static bool may_build_tables(fi_entropy *entropy, const fi_scan *scan) {
    uint64_t hash = 0;

    if (scan->nbytes >= SMALL_SCAN_NBYTES) return true;
    for (unsigned b = 0; b < scan->blocks; b++) hash = hash_counts(hash_counts(hash, &scan->dc[b]), &scan->ac[b]);
    const bool again = hash == entropy->missed;
    entropy->missed = hash;
    return again;
}

void fi_entropy_begin(fi_entropy *entropy, const fi_scan *scan) {
    entropy->blocks = scan->blocks;
    memcpy(entropy->component, scan->component, sizeof entropy->component);
    entropy->in = scan->data;
    entropy->in_end = scan->data + scan->nbytes;
    entropy->restart_interval = scan->restart_interval;
    entropy->next_restart = 0;
    begin_interval(entropy);
}

bool fi_entropy_start(fi_entropy *entropy, const fi_scan *scan) {
    const bool may_build = may_build_tables(entropy, scan);

    entropy->scan++;
    for (unsigned b = 0; b < scan->blocks; b++) {
        entropy->last[b] = 63;
        /* Most blocks use what the one before them uses. */
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
        if (last < 63 && !t->can_skip && entropy->in_end - entropy->in >= SHORT_SCAN_NBYTES) fi_entropy_build_skip(t);
        entropy->last[b] = (uint8_t)(last < 63 && t->can_skip ? last : 63);
    }
}

/* A rare entry of index k; the index behind it, 0: a bad code. */
FI_INLINE unsigned decode_rare(reader *r, const table *t, uint64_t entry, unsigned k, int16_t *block) {
    refill(r);
    const int symbol = read_symbol(r, t, entry);
    if (symbol < 0) return 0;
    const unsigned size = (unsigned)symbol & 15, run = (unsigned)symbol >> 4;
    if (size == 0) return run == 15 ? k + 16 : k + END;
    k += run + 1;
    block[behind[k]] = (int16_t)read_value(r, size);
    return k;
}

/*
 * The block from index k on, whose values nobody needs. A refill is enough for two entries, 11 + 15 bits each; or for one
 * symbol of 31.
 */
FI_INLINE bool skip_ac(reader *r, const table *t, unsigned k) {
    int16_t unwanted[64];

    while (k < 64) {
        refill(r);
        unsigned several = t->skip[r->bits >> (64 - SKIP_BITS)], next = k + (several >> SKIP_ADVANCE);
        if (next < 64) {
            skip(r, several);
            k = next;
            several = t->skip[r->bits >> (64 - SKIP_BITS)];
            next = k + (several >> SKIP_ADVANCE);
        }
        if (next <= 64 || (next >= SKIP_END && next < SKIP_END + 64)) {
            skip(r, several);
            k = next;
            continue;
        }
        const uint64_t entry = look_up(r, t);
        if (entry & RARE) {
            k = decode_rare(r, t, entry, k, unwanted);
            if (!k) return false;
        } else {
            skip(r, entry);
            k += (uint8_t)(entry >> 8);
        }
    }
    return true;
}

/* Returns the index behind the last coefficient, and END more if an end of block stood there. 0: a bad code. */
FI_INLINE unsigned decode_ac(reader *r, const table *t, int16_t *block, unsigned last) {
    unsigned k = 1;

    while (k <= last) {
        refill(r);
        for (int i = 0; i < SYMBOLS_A_REFILL; i++) {
            const uint64_t entry = look_up(r, t);
            if (entry & RARE) {
                k = decode_rare(r, t, entry, k, block);
                if (!k) return 0;
                break;
            }
            skip(r, entry);
            k += (uint8_t)(entry >> 8);
            block[behind[k]] = (int16_t)(entry >> 16);
            if (k > last) break;
        }
    }
    return last == 63 || skip_ac(r, t, k) ? k : 0;
}

FI_INLINE bool decode_mcu(fi_entropy *entropy, reader *r, bool whole, int16_t (*blocks)[64], uint8_t *ends) {
    for (unsigned b = 0; b < entropy->blocks; b++) {
        int32_t diff, *last_dc = &entropy->last_dc[entropy->component[b]];
        if (!decode_dc(r, entropy->dc[b], &diff) || !add_dc(last_dc, diff)) return false;
        blocks[b][0] = (int16_t)*last_dc;
        const unsigned k = decode_ac(r, entropy->ac[b], blocks[b], whole ? 63 : entropy->last[b]);
        if (!k) return false;
        ends[b] = (uint8_t)(k > END ? k - END : 64);
    }
    return true;
}

FI_INLINE bool decode_mcus(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *ends) {
    const unsigned count = entropy->blocks;
    reader r = {entropy->next, entropy->bits, entropy->count};

    for (unsigned i = 0; i < mcus; i++, blocks += count, ends += count) {
        if (!prepare_mcu(entropy, &r)) return false;
        if (!decode_mcu(entropy, &r, whole && i == mcus - 1, blocks, ends)) return false;
        if (!had_all(entropy, &r)) return false;
    }
    put_back(entropy, &r);
    return true;
}

static bool decode_any(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *ends) {
    return decode_mcus(entropy, mcus, whole, blocks, ends);
}

#if defined(__x86_64__)
/* A shift by a number in any register, and in one cycle instead of two: every symbol waits for one. */
__attribute__((target("bmi2"))) static bool decode_bmi2(fi_entropy *entropy, unsigned mcus, bool whole,
                                                        int16_t (*blocks)[64], uint8_t *ends) {
    return decode_mcus(entropy, mcus, whole, blocks, ends);
}
#endif

fi_entropy *fi_entropy_new(void) {
    fi_entropy *entropy = calloc(1, sizeof(fi_entropy));
    if (!entropy) return NULL;
    entropy->decode = decode_any;
#if defined(__x86_64__)
    if (fi_cpu_used() & FI_CPU_BMI2) entropy->decode = decode_bmi2;
#endif
    fi_entropy_choose_progressive(entropy);
    return entropy;
}

void fi_entropy_trim(fi_entropy *entropy) {
    for (int c = 0; c < 4; c++) {
        free(entropy->nonzero[c].bits);
        entropy->nonzero[c] = (fi_nonzero){0};
    }
}

void fi_entropy_free(fi_entropy *entropy) {
    if (entropy) fi_entropy_trim(entropy);
    free(entropy);
}

bool fi_entropy_decode(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *ends) {
    return entropy->decode(entropy, mcus, whole, blocks, ends);
}
