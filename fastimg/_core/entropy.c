/* SPDX-License-Identifier: BSD-3-Clause */
#include "entropy.h"

#include "cpu.h"

#include <stdlib.h>
#include <string.h>

/*
 * Why no input can make this read or write outside of its buffers:
 *
 * - A symbol takes at most 16 bits of code and 15 of value, a block has at most 64 symbols, as each advances by one
 *   coefficient at least, and an MCU has at most 10 blocks: 10 * 64 * 31 bits are 2480 bytes. Before every MCU the chunk
 *   holds that many bytes behind the read position, and 8 more for the last load; where the data ends, they are zeros.
 * - A coefficient's index is at most 63 when an entry is looked up, and advances by END at most: `behind` has entries for
 *   all of these. Those behind the last coefficient become it, as in libjpeg.
 * - A table is looked up by exactly LOOK_BITS bits, and a longer code's index is checked.
 */
#define MCU_MOST_NBYTES (FI_MCU_MOST_BLOCKS * 64 * 31 / 8 + 16)
#define CHUNK_NBYTES 16384

#define LOOK_BITS 10
#define SYMBOLS_A_REFILL 5 /* of at most LOOK_BITS bits, if none is rare; a refill brings 56 at least */
#define SKIP_BITS 12
#define CACHED_TABLES 8

/* Scans shorter than this do not pay for building tables, unless the next image has the same ones. */
#define SMALL_SCAN_NBYTES 4096

/* The same for tables to skip by, which take longer: some 20 us. */
#define SHORT_SCAN_NBYTES 32768

/*
 * An entry for the next LOOK_BITS bits, from the low end:
 *   bits 0 to 5    how many of them it takes, the code's and the value's
 *   bit 7          RARE: the code, or its value, is longer than LOOK_BITS
 *   bits 8 to 15   by how much the coefficient's index advances: run + 1, or END. The value is then the one of the
 *                  coefficient before; where there is none, 0 is written over a 0
 *   bits 16 to 31  the value
 *
 * Of a rare one, bits 8 to 15 are the symbol, and bits 16 to 31 how many bits its code takes; 0: more than LOOK_BITS.
 */
typedef struct {
    uint32_t look[1 << LOOK_BITS];
    int32_t
        max_code[18]; /* of each length, left-aligned in 16 bits, plus one; nothing shorter than the first code fits */
    int32_t offset[17]; /* symbols[offset[l] + code] for a code of l bits */
    uint8_t counts[17], symbols[256];
    bool is_dc, can_skip;
    uint64_t last_scan; /* that used it; 0: none */
    uint16_t skip[1 << SKIP_BITS];
} table;

enum { RARE = 1 << 7, END = 128 };

/*
 * Where values do not matter, an entry of `skip` stands for as many symbols as have their codes in the next SKIP_BITS bits:
 *   bits 0 to 5    how many bits they take, the values' too: at most SKIP_BITS - 1 before the last one's value, and 15
 *   bits 6 to 14   by how much the coefficient's index advances, at most 64; if they end with an end of block, by SKIP_END
 *                  more
 * If it stands for no symbol, as the first code is longer, the index (which is 1 or more) is taken past 64. Whatever goes
 * past 64 without an end of block is to be read symbol by symbol.
 */
enum { SKIP_ADVANCE = 6, SKIP_END = 128 };

struct fi_entropy {
    const uint8_t *in, *in_end; /* what is still stuffed */
    const uint8_t *next, *end; /* in chunk: the next byte to load; behind the last */
    uint64_t bits; /* left-aligned */
    unsigned count; /* how many of bits are valid */
    bool at_end; /* `in` stands at a marker, or at the end of the data */
    unsigned restart_interval, restarts_to_go, next_restart;
    unsigned blocks;
    uint8_t component[FI_MCU_MOST_BLOCKS];
    const table *dc[FI_MCU_MOST_BLOCKS], *ac[FI_MCU_MOST_BLOCKS];
    bool (*decode)(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *ends);
    uint8_t last[FI_MCU_MOST_BLOCKS]; /* coefficient that is needed, in zigzag order */
    int32_t last_dc[4];
    uint64_t scan;
    uint64_t missed; /* a hash of the tables that were not built for the last small scan */
    table tables[CACHED_TABLES];
    uint8_t chunk[CHUNK_NBYTES + MCU_MOST_NBYTES];
};

/* Zigzag to natural order (T.81, figure A.6), of the place before: behind[k] is where coefficient k - 1 is. */
static const uint8_t behind[1 + 64 + END] = {
    0,  0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,
    6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
    63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
    63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
    63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
    63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
};

/* ---- tables ---------------------------------------------------------------------------------------------------- */

/* T.81, F.2.2.1: `size` bits to a value; one that begins with 0 is negative. No branch: it would be a coin's throw. */
static inline int32_t extend(uint32_t value, unsigned size) {
    return (int32_t)value + (((int32_t)(value >> (size - 1)) - 1) & (1 - (1 << size)));
}

static uint32_t make_entry(uint32_t look, unsigned length, unsigned symbol, bool is_dc) {
    const unsigned size = symbol & 15, run = symbol >> 4;

    if (length + size > LOOK_BITS) return length << 16 | symbol << 8 | RARE;
    const unsigned advance = is_dc ? 0 : size == 0 && run < 15 ? END : run + 1;
    const uint32_t value = look >> (LOOK_BITS - length - size) & ((1u << size) - 1);
    return (size ? (uint32_t)extend(value, size) << 16 : 0) | advance << 8 | (length + size);
}

/* What libjpeg demands of a table: no code is all ones (T.81, C.2), and a DC symbol is a number of bits. */
static bool is_sound(const fi_huffman *huffman, bool is_dc) {
    unsigned code = 0, symbols = 0;
    for (unsigned length = 1; length <= 16; length++, code <<= 1) {
        code += huffman->counts[length];
        symbols += huffman->counts[length];
        if (code >= 1u << length || symbols > 256) return false;
    }
    for (unsigned i = 0; is_dc && i < symbols; i++) {
        if (huffman->symbols[i] > 15) return false;
    }
    return true;
}

static void build(table *t, const fi_huffman *huffman, bool is_dc) {
    unsigned code = 0, index = 0;

    for (uint32_t look = 0; look < 1 << LOOK_BITS; look++) t->look[look] = RARE;
    memcpy(t->counts, huffman->counts, sizeof t->counts);
    memcpy(t->symbols, huffman->symbols, sizeof t->symbols);
    t->is_dc = is_dc;
    t->can_skip = false;
    for (unsigned length = 1; length <= 16; length++) {
        t->offset[length] = (int32_t)index - (int32_t)code;
        for (unsigned i = 0; i < t->counts[length]; i++, code++, index++) {
            if (length > LOOK_BITS) continue;
            const unsigned spread = LOOK_BITS - length;
            for (uint32_t look = code << spread; look < (code + 1) << spread; look++) {
                t->look[look] = make_entry(look, length, t->symbols[index], is_dc);
            }
        }
        t->max_code[length] = (int32_t)(code << (16 - length));
        code <<= 1;
    }
    t->max_code[17] = INT32_MAX;
}

/*
 * Of windows of 0 to SKIP_BITS bits: what stands in one is its first symbol, and what stands in the window behind that. The
 * windows of n bits lie from 1 << n on.
 */
static void build_skip(table *t) {
    uint16_t windows[2 << SKIP_BITS] = {0};

    for (unsigned n = 1; n <= SKIP_BITS; n++) {
        uint16_t *window = windows + (1 << n);
        for (unsigned length = 1, index = 0; length <= n; length++) {
            for (unsigned i = 0; i < t->counts[length]; i++, index++) {
                const unsigned size = t->symbols[index & 255] & 15, run = t->symbols[index & 255] >> 4;
                const bool ends = size == 0 && run < 15;
                const unsigned advance = ends ? SKIP_END : run + 1, nbits = length + size;
                const unsigned left = ends || nbits > n ? 0 : n - nbits;
                const uint16_t *behind = windows + (1 << left);
                for (unsigned k = 0; k < 1u << (n - length); k++) {
                    const unsigned more = behind[k & ((1u << left) - 1)], far = more >> SKIP_ADVANCE & (SKIP_END - 1);
                    const unsigned first = nbits | advance << SKIP_ADVANCE;
                    *window++ = (uint16_t)(far + advance > 64 ? first : first + more);
                }
            }
        }
    }
    for (unsigned look = 0; look < 1 << SKIP_BITS; look++) {
        const uint16_t entry = windows[(1 << SKIP_BITS) + look];
        t->skip[look] = entry ? entry : 64 << SKIP_ADVANCE;
    }
    t->can_skip = true;
}

static bool is_same(const table *t, const fi_huffman *huffman, bool is_dc) {
    size_t symbols = 0;
    if (!t->last_scan || t->is_dc != is_dc || memcmp(t->counts + 1, huffman->counts + 1, 16) != 0) return false;
    for (size_t i = 1; i <= 16; i++) symbols += t->counts[i];
    return memcmp(t->symbols, huffman->symbols, symbols < 256 ? symbols : 256) == 0;
}

/*
 * Most files carry one of a few tables. The one that was not used for longest makes room: never one of this scan, which
 * has eight at most. NULL: it would have to be built, and may not or cannot be.
 */
static const table *find_table(fi_entropy *entropy, const fi_huffman *huffman, bool is_dc, bool may_build) {
    table *oldest = &entropy->tables[0], *found = NULL;

    for (size_t i = 0; i < CACHED_TABLES && !found; i++) {
        table *t = &entropy->tables[i];
        if (is_same(t, huffman, is_dc)) found = t;
        if (t->last_scan < oldest->last_scan) oldest = t;
    }
    if (!found && may_build && is_sound(huffman, is_dc)) build(found = oldest, huffman, is_dc);
    if (found) found->last_scan = entropy->scan;
    return found;
}

/* ---- bytes ----------------------------------------------------------------------------------------------------- */

/* Drops what is read, and unstuffs until the chunk is full, or a marker or the end of the data is reached. */
static void fill_chunk(fi_entropy *entropy) {
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
    if (!entropy->at_end) fill_chunk(entropy);
    if (!entropy->at_end || (entropy->end - entropy->next) * 8 + (int)entropy->count >= 8) return 0;
    /* Of several 0xFF followed by 0 libjpeg makes a byte of 0xFF. */
    return entropy->in_end - entropy->in < 2 || entropy->in[1] == 0xFF ? 0 : entropy->in[1];
}

const uint8_t *fi_entropy_finish(fi_entropy *entropy) {
    return find_marker(entropy) ? entropy->in : NULL;
}

static bool restart(fi_entropy *entropy) {
    if (find_marker(entropy) != 0xD0 + entropy->next_restart) return false;
    entropy->in += 2;
    entropy->next_restart = (entropy->next_restart + 1) & 7;
    entropy->restarts_to_go = entropy->restart_interval;
    entropy->bits = 0;
    entropy->count = 0;
    entropy->at_end = false;
    entropy->next = entropy->end;
    memset(entropy->last_dc, 0, sizeof entropy->last_dc);
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

bool fi_entropy_start(fi_entropy *entropy, const fi_scan *scan) {
    const bool may_build = may_build_tables(entropy, scan);

    entropy->scan++;
    for (unsigned b = 0; b < scan->blocks; b++) {
        entropy->component[b] = scan->component[b];
        entropy->last[b] = 63;
        /* Most blocks use what the one before them uses. */
        const bool same =
            b > 0 && scan->dc[b].counts == scan->dc[b - 1].counts && scan->ac[b].counts == scan->ac[b - 1].counts;
        entropy->dc[b] = same ? entropy->dc[b - 1] : find_table(entropy, &scan->dc[b], true, may_build);
        entropy->ac[b] = same ? entropy->ac[b - 1] : find_table(entropy, &scan->ac[b], false, may_build);
        if (!entropy->dc[b] || !entropy->ac[b]) return false;
    }
    entropy->blocks = scan->blocks;
    entropy->in = scan->data;
    entropy->in_end = scan->data + scan->nbytes;
    entropy->next = entropy->end = entropy->chunk;
    entropy->bits = 0;
    entropy->count = 0;
    entropy->at_end = false;
    entropy->restart_interval = entropy->restarts_to_go = scan->restart_interval;
    entropy->next_restart = 0;
    memset(entropy->last_dc, 0, sizeof entropy->last_dc);
    return true;
}

void fi_entropy_need(fi_entropy *entropy, uint8_t component, unsigned last) {
    for (unsigned b = 0; b < entropy->blocks; b++) {
        if (entropy->component[b] != component) continue;
        table *t = &entropy->tables[entropy->ac[b] - entropy->tables];
        if (last < 63 && !t->can_skip && entropy->in_end - entropy->in >= SHORT_SCAN_NBYTES) build_skip(t);
        entropy->last[b] = (uint8_t)(last < 63 && t->can_skip ? last : 63);
    }
}

static inline uint64_t load_be64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/* Everything below is inlined into one function, for its state to stay in registers. */
#define FI_INLINE static inline __attribute__((always_inline))

typedef struct {
    const uint8_t *next;
    uint64_t bits;
    uint64_t count; /* its low 6 bits count: an entry is subtracted as it is */
} reader;

/*
 * At least 56 valid bits. The load brings more than are counted; the same bits come again with the next one. Only whole
 * bytes are counted: (63 - count) / 8 of them, after which count has its three low bits as before, and is 56 to 63.
 */
FI_INLINE void refill(reader *r) {
    r->bits |= load_be64(r->next) >> (r->count & 63);
    r->next += ~r->count >> 3 & 7;
    r->count |= 56;
}

/* Only the low 6 bits of `nbits` count. */
FI_INLINE void skip(reader *r, uint64_t nbits) {
    r->bits <<= nbits & 63;
    r->count -= nbits;
}

/* The symbol of a rare entry's code, which is skipped. -1: there is no such code. */
FI_INLINE int read_symbol(reader *r, const table *t, uint64_t entry) {
    unsigned length = (unsigned)(entry >> 16);

    if (length) {
        skip(r, length);
        return (uint8_t)(entry >> 8);
    }
    const int32_t look = (int32_t)(r->bits >> 48);
    for (length = LOOK_BITS + 1; look >= t->max_code[length]; length++) continue;
    if (length > 16) return -1;
    skip(r, length);
    return t->symbols[(t->offset[length] + (look >> (16 - length))) & 255];
}

FI_INLINE int32_t read_value(reader *r, unsigned size) {
    const int32_t value = extend((uint32_t)(r->bits >> (64 - size)), size);
    skip(r, size);
    return value;
}

FI_INLINE uint64_t look_up(const reader *r, const table *t) {
    return t->look[r->bits >> (64 - LOOK_BITS)];
}

FI_INLINE bool decode_dc(reader *r, const table *t, int32_t *diff) {
    refill(r);
    const uint64_t entry = look_up(r, t);
    if (!(entry & RARE)) {
        skip(r, entry);
        *diff = (int32_t)entry >> 16;
        return true;
    }
    const int symbol = read_symbol(r, t, entry);
    if (symbol < 0) return false;
    *diff = symbol & 15 ? read_value(r, (unsigned)symbol & 15) : 0;
    return true;
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

/* Before an MCU: whether it can be decoded, which may need another marker or more bytes. */
FI_INLINE bool prepare_mcu(fi_entropy *entropy, reader *r) {
    if (entropy->restart_interval || entropy->end - r->next < MCU_MOST_NBYTES) {
        entropy->next = r->next;
        entropy->bits = r->bits;
        entropy->count = r->count & 63;
        if (entropy->restart_interval) {
            if (entropy->restarts_to_go == 0 && !restart(entropy)) return false;
            entropy->restarts_to_go--;
        }
        if (entropy->end - entropy->next < MCU_MOST_NBYTES && !entropy->at_end) fill_chunk(entropy);
        *r = (reader){entropy->next, entropy->bits, entropy->count};
    }
    return true;
}

FI_INLINE bool decode_mcu(fi_entropy *entropy, reader *r, bool whole, int16_t (*blocks)[64], uint8_t *ends) {
    for (unsigned b = 0; b < entropy->blocks; b++) {
        int32_t diff, *last_dc = &entropy->last_dc[entropy->component[b]];
        if (!decode_dc(r, entropy->dc[b], &diff)) return false;
        *last_dc += diff;
        if (*last_dc > 1 << 30 || *last_dc < -(1 << 30)) return false; /* only nonsense gets there, and it ends here */
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
        /* Bits that are not there have been taken for zeros. */
        if (entropy->at_end && (entropy->end - r.next) * 8 + (int)(r.count & 63) < 0) return false;
    }
    entropy->next = r.next;
    entropy->bits = r.bits;
    entropy->count = r.count & 63;
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
    return entropy;
}

void fi_entropy_free(fi_entropy *entropy) {
    free(entropy);
}

bool fi_entropy_decode(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *ends) {
    return entropy->decode(entropy, mcus, whole, blocks, ends);
}
