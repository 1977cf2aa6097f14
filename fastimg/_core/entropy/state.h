/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of a scan, and what the files of this room call of one another. */
#ifndef FI_ENTROPY_STATE_H
#define FI_ENTROPY_STATE_H

#include "clear.h"
#include "entropy/entropy.h"

#include <string.h>

/*
 * Why no input can make this read or write outside its buffers:
 *
 * - A symbol takes at most 16 bits of code and 15 of value, a block has at most 64 symbols, as each advances by one
 *   coefficient at least, and an MCU has at most 10 blocks: 10 * 64 * 31 bits are 2480 bytes. Before every MCU the
 *   chunk holds that many bytes after the read position, and 8 more for the last load. At the end of the data they
 *   are zeros.
 * - A coefficient's index is at most 63 when an entry is looked up, and advances by 16 at most, or by END where no
 *   value follows: large_sizes and natural_order have entries for these. Those past the last coefficient map to it, as
 *   in libjpeg.
 * - Tables are indexed by exactly ENTRY_BITS or RUN_BITS bits, and the index of a longer code is checked.
 * - An entry is looked up before the refill, so ENTRY_BITS = 9 bits must be left: of the 56 that a refill brings,
 *   ENTRIES_PER_REFILL = 3 entries of at most MAX_ENTRY_NBITS = 15 leave 11. A SLOW symbol or a DC difference, of at most
 *   31, comes right after a refill, and leaves 25.
 * - The same bound holds in progressive scans, where a coefficient takes a correction bit or a symbol of at most 31
 *   bits. The caller has room for the blocks and states of the MCUs that it asks for.
 */
#define MAX_MCU_NBYTES (FI_MAX_MCU_BLOCKS * 64 * 31 / 8 + 16)
#define CHUNK_NBYTES 16384

#define ENTRY_BITS 9
#define MAX_ENTRY_NBITS 15
#define ENTRIES_PER_REFILL 3
#define UNCHECKED_NBITS 10 /* shorter codes with their values are common, and seldom damage: they are not checked */

#define RUN_BITS 12
#define CACHED_TABLES 8

/*
 * What a table's symbols mean. In progressive scans, the last two, those that end a block have the number of blocks that
 * end as their value.
 */
typedef enum { DC_TABLE, AC_TABLE, FIRST_TABLE, REFINEMENT_TABLE } table_kind;

enum { ENDS = 1 << 6, SLOW = 1 << 7, END = 128 };

/* Indexed as natural_order: the sizes from which a value calls for a look at the whole block. */
typedef uint8_t large_sizes[1 + 64 + 15];

/*
 * What the next ENTRY_BITS bits of input begin with: a code, and the sign of its value. The value is the first nbits of
 * the input, as a number, plus `offset`, in 16 bits. So not all of its bits need be among those that are looked up, and
 * a table has one entry to fill per code and sign. If there is no value, it is 0, and written over a 0.
 */
typedef struct {
    uint8_t nbits; /* of the code and its value together, plus ENDS at an end of block; or SLOW */
    uint8_t shift; /* 64 - nbits; if SLOW, the length of the code, or 0 if that is more than ENTRY_BITS */
    uint16_t offset; /* if SLOW, the symbol */
    uint16_t advance; /* of the coefficient's index: run + 1. The value belongs to the one before the new index */
    uint8_t size; /* of the value, or 0 if it takes no more than UNCHECKED_NBITS with its code */
} entry;

typedef struct {
    entry entries[1 << ENTRY_BITS];
    /* Per length: the last code plus one, left-aligned in 16 bits. */
    int32_t max_code[18];
    int32_t offset[17]; /* symbols[offset[l] + code] for a code of l bits */
    uint8_t counts[17], symbols[256];
    table_kind kind;
    bool has_run_table;
    uint64_t last_scan; /* the last scan that used it, or 0 */
    large_sizes large; /* of the components that use it in this scan; of several, the least */
    large_sizes stop; /* the same, but 0 past the last coefficient: one comparison finds either */
    uint64_t large_scan;
    uint16_t run_table[1 << RUN_BITS];
} table;

/*
 * An entry of run_table skips values that are not needed. It covers all symbols whose codes are within the next
 * RUN_BITS bits:
 *   bits 0 to 5    how many bits they and their values take: at most RUN_BITS - 1, and 15 for the last one's value
 *   bits 6 to 14   how far the coefficient's index advances: at most 64, and RUN_END more if the last symbol is an end
 *                  of block
 * If even the first code is longer, or takes more than UNCHECKED_NBITS with its value, the entry takes the index, which
 * is 1 or more, past 64. Whatever goes past 64 without an end of block is decoded symbol by symbol.
 */
enum { RUN_ADVANCE = 6, RUN_END = 128 };

/* What an encoder can make of 8-bit samples with these quantisation steps. */
typedef struct {
    uint16_t steps[64]; /* in natural order */
    uint8_t al;
    bool is_set;
    large_sizes large;
} limits;

/* The DC values of a component, and what they can be. */
typedef struct {
    int32_t last, min;
    uint32_t span; /* the largest less min */
} dc_state;

/* What blocks at one place of the MCUs have in common. */
typedef struct {
    const table *dc_table, *ac_table;
    dc_state *dc;
    uint8_t component;
    uint8_t last_needed; /* coefficient, in zigzag order */
} block_kind;

struct fi_entropy {
    const uint8_t *in, *in_end; /* not yet in the chunk, with stuffing */
    const uint8_t *next, *end; /* in the chunk: the next byte to load, and its end */
    uint64_t bits; /* left-aligned */
    unsigned count; /* how many of bits are valid */
    const uint8_t *first; /* where this restart interval began, or fi_entropy_go_to() went to */
    uint64_t first_bit; /* its number */
    size_t taken; /* bytes from there on that have been in the chunk, without stuffing */
    bool at_end; /* `in` is at a marker, or at the end of the data */
    unsigned restart_interval, restarts_to_go, next_restart;
    bool may_skip; /* coefficients that are not needed */
    unsigned blocks;
    block_kind block[FI_MAX_MCU_BLOCKS]; /* of an MCU */
    dc_state dc[4]; /* per component of the scan */
    dc_state known_dc[4]; /* their limits, while a guess may have any */
    bool guesses;
    bool has_stops; /* there are marks or restart intervals: more to do in front of each MCU */
    bool is_progressive;
    uint8_t ss, se, al; /* of a progressive scan */
    bool is_refinement;
    large_sizes stop; /* of a first AC scan, as in a table */
    uint32_t eobrun; /* blocks left in the run of empty ones */
    uint64_t come[4]; /* per component of the frame: coefficients that first AC scans have had, as in `nonzero` */
    bool comes_again; /* this scan has some of them once more */
    uint64_t scan; /* counts them */
    size_t mcu; /* of the scan: how many have been decoded */
    size_t stray_nbytes; /* in front of markers, and passed over */
    unsigned stray_marker;
    size_t near_blocks, far_blocks; /* of this scan: how many are suspect (limits.c) */
    size_t far_mcu; /* of the first of far_blocks */
    fi_fault fault;
    limits limits[4]; /* per component of the scan */
    table tables[CACHED_TABLES];
    uint8_t chunk[CHUNK_NBYTES + MAX_MCU_NBYTES];
    size_t chunk_nbytes; /* that are unstuffed at a time */
    uint64_t *marks; /* where to write the places of MCUs; or NULL */
};

/*
 * T.81, F.2.2.1: `size` bits to a value, negative if they begin with 0. A branch would be mispredicted half the time.
 */
static inline int32_t extend(uint32_t value, unsigned size) {
    return (int32_t)value + (((int32_t)(value >> (size - 1)) - 1) & (1 - (1 << size)));
}

/*
 * The coefficient, with `one` added to its magnitude if is_due. If it has it already it stays as it is, as in libjpeg:
 * what has come in full may come again.
 */
static inline int16_t correct(int16_t coefficient, int32_t one, uint64_t is_due) {
    const int32_t sign = coefficient >> 15, is_added = is_due && !(coefficient & one);
    return (int16_t)(coefficient + (((one ^ sign) - sign) & -is_added));
}

/* ---- limits.c -------------------------------------------------------------------------------------------------- */

/* For a component's values that are shifted by `al`. */
void fi_limits_set(fi_entropy *entropy, unsigned component, const uint16_t *steps, unsigned al);

/*
 * Whether a block, of the MCU that is `ahead` of those decoded, can be one of 8-bit samples. Its DC value matters if
 * is_large.
 */
bool fi_limits_allow(fi_entropy *entropy, unsigned component, const int16_t *block, bool is_large, size_t ahead);

/* Whether all blocks so far can be, taken together. If not, far_mcu has the first that is suspect. */
bool fi_limits_allow_scan(const fi_entropy *entropy);

/* The same for one coefficient, of which the bits below `al` are not known yet; `place` is in natural order. */
bool fi_limits_allow_ac(const limits *l, unsigned place, int32_t coefficient);

/* ---- tables.c -------------------------------------------------------------------------------------------------- */

/* A cached table, or a new one. Returns NULL if it is unsound. */
const table *fi_entropy_find_table(fi_entropy *entropy, const fi_huffman *huffman, table_kind kind);

/* Adds the table that skips several symbols at a time. */
void fi_entropy_build_run_table(table *t);

/* ---- bytes.c --------------------------------------------------------------------------------------------------- */

/* Begins a scan of any kind, except for its tables. */
void fi_entropy_begin(fi_entropy *entropy, const fi_scan *scan);

/*
 * Drops what has been read, and unstuffs bytes until the chunk is full, or a marker or the end of the data is
 * reached.
 */
void fi_entropy_fill_chunk(fi_entropy *entropy);

/* At the start of a scan, after each restart marker, and wherever else decoding begins: at the next byte of `in`. */
void fi_entropy_begin_interval(fi_entropy *entropy);

/* Passes the next restart marker, in front of the MCU that is `ahead` of those decoded. Returns false at a fault. */
bool fi_entropy_restart(fi_entropy *entropy, size_t ahead);

/* Records a fault in the MCU that is `ahead` of those decoded. Returns false. */
bool fi_entropy_fail(fi_entropy *entropy, fi_fault_kind kind, size_t ahead);

/* The same for an MCU that the data in front of the next marker does not have. */
bool fi_entropy_fail_short(fi_entropy *entropy, size_t ahead);

/* ---- versions -------------------------------------------------------------------------------------------------- */

typedef struct fi_entropy_kernels {
    bool (*decode)(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *eob);
    bool (*decode_progressive)(fi_entropy *entropy, size_t mcus, const fi_block_row *rows);
    /* Adds corrections to a block, twos first. */
    void (*correct_block)(int16_t *block, uint64_t twos, uint64_t ones);
} fi_entropy_kernels;

/* Each file fills in its own part. */
void fi_entropy_choose_baseline(fi_entropy_kernels *kernels, unsigned cpu_features);
void fi_entropy_choose_progressive(fi_entropy_kernels *kernels, unsigned cpu_features);
void fi_entropy_choose_corrections(fi_entropy_kernels *kernels, unsigned cpu_features);

#endif
