/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the entropy stage share: entropy_tables.c (Huffman tables), entropy.c (bytes, restart markers, baseline
 * scans), entropy_progressive.c (the scans of progressive files).
 */
#ifndef FI_ENTROPY_PRIVATE_H
#define FI_ENTROPY_PRIVATE_H

#include "entropy.h"

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
 * - In a progressive scan the same bound holds, as a coefficient takes a bit of correction or a symbol of at most 31; and
 *   libjpeg asks for no more MCUs than the scan has, which is how many `nonzero` are there.
 */
#define MCU_MOST_NBYTES (FI_MCU_MOST_BLOCKS * 64 * 31 / 8 + 16)
#define CHUNK_NBYTES 16384

#define LOOK_BITS 10
#define SYMBOLS_A_REFILL 5 /* of at most LOOK_BITS bits, if none is rare; a refill brings 56 at least */
#define SKIP_BITS 12
#define CACHED_TABLES 8

/* What a table's symbols mean. Those of progressive scans may end more than one block, and then are rare. */
typedef enum { DC_TABLE, AC_TABLE, PROGRESSIVE_TABLE } table_kind;

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
    /* Of each length, left-aligned in 16 bits, plus one; nothing shorter than the first code fits. */
    int32_t max_code[18];
    int32_t offset[17]; /* symbols[offset[l] + code] for a code of l bits */
    uint8_t counts[17], symbols[256];
    table_kind kind;
    bool can_skip;
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

/* Of each block, a bit for every coefficient that is not zero, in zigzag order: refinements need not look for them. */
typedef struct {
    uint64_t *bits;
    size_t room;
    bool has_begun; /* in this image */
} fi_nonzero;

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
    bool (*decode_progressive)(fi_entropy *entropy, int16_t *const blocks[]);
    uint8_t first_k, last_k, low; /* of a progressive scan: its band, and the bit that it brings */
    bool is_refinement;
    uint32_t end_run; /* blocks that are still to be passed over as empty */
    fi_nonzero nonzero[4]; /* of each component of the frame */
    uint64_t *next_nonzero; /* the next block's */
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

/* ---- entropy_tables.c ------------------------------------------------------------------------------------------- */

/* NULL: it would have to be built, and may not or cannot be. */
const table *fi_entropy_find_table(fi_entropy *entropy, const fi_huffman *huffman, table_kind kind, bool may_build);
void fi_entropy_build_skip(table *t);

/* ---- entropy.c -------------------------------------------------------------------------------------------------- */

/* At the start of a scan of any kind, its tables apart. */
void fi_entropy_begin(fi_entropy *entropy, const fi_scan *scan);
void fi_entropy_fill_chunk(fi_entropy *entropy);
bool fi_entropy_restart(fi_entropy *entropy);

/* ---- entropy_progressive.c -------------------------------------------------------------------------------------- */

void fi_entropy_choose_progressive(fi_entropy *entropy);

/* ---- bits ------------------------------------------------------------------------------------------------------- */

/* T.81, F.2.2.1: `size` bits to a value; one that begins with 0 is negative. No branch: it would be a coin's throw. */
static inline int32_t extend(uint32_t value, unsigned size) {
    return (int32_t)value + (((int32_t)(value >> (size - 1)) - 1) & (1 - (1 << size)));
}

static inline uint64_t load_be64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/* What follows is inlined into one function, for its state to stay in registers. */
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

/* Only nonsense makes sums as large as that; libjpeg refuses it. */
FI_INLINE bool add_dc(int32_t *last_dc, int32_t diff) {
    *last_dc += diff;
    return *last_dc <= 1 << 30 && *last_dc >= -(1 << 30);
}

FI_INLINE void put_back(fi_entropy *entropy, const reader *r) {
    entropy->next = r->next;
    entropy->bits = r->bits;
    entropy->count = r->count & 63;
}

/* Before an MCU: whether it can be decoded, which may need another marker or more bytes. */
FI_INLINE bool prepare_mcu(fi_entropy *entropy, reader *r) {
    if (entropy->restart_interval || entropy->end - r->next < MCU_MOST_NBYTES) {
        put_back(entropy, r);
        if (entropy->restart_interval) {
            if (entropy->restarts_to_go == 0 && !fi_entropy_restart(entropy)) return false;
            entropy->restarts_to_go--;
        }
        if (entropy->end - entropy->next < MCU_MOST_NBYTES && !entropy->at_end) fi_entropy_fill_chunk(entropy);
        *r = (reader){entropy->next, entropy->bits, entropy->count};
    }
    return true;
}

/* Bits that are not there have been taken for zeros: whether there were none. */
FI_INLINE bool had_all(const fi_entropy *entropy, const reader *r) {
    return !entropy->at_end || (entropy->end - r->next) * 8 + (int)(r->count & 63) >= 0;
}

#endif
