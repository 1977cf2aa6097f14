/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Huffman decoding of baseline and progressive scans (T.81): bytes in, coefficients out. Only undamaged scans are
 * decoded. At a fault the functions return false, and fi_entropy_fault() says what it is: the verdict on a scan.
 */
#ifndef FI_ENTROPY_H
#define FI_ENTROPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FI_MAX_MCU_BLOCKS 10 /* T.81, B.2.3 */

typedef struct fi_entropy fi_entropy;

typedef enum fi_fault_kind {
    FI_FAULT_NONE,
    FI_FAULT_MEMORY,    /* none of the scan's: there is no memory */
    FI_FAULT_TABLES,    /* the Huffman tables are unsound; libjpeg does not take them either */
    FI_FAULT_CODE,      /* no Huffman code, or one that means nothing here */
    FI_FAULT_BLOCK_END, /* coefficients past the last one of the block, or of the scan's band */
    FI_FAULT_RANGE,     /* coefficients that no encoder makes of 8-bit samples */
    FI_FAULT_END,       /* the data ends */
    FI_FAULT_MARKER,    /* a marker comes too early */
    FI_FAULT_LEFT_OVER, /* bytes between the last MCU of the scan or restart interval and the marker after it */
    FI_FAULT_RESTART,   /* not the restart marker that is due */
} fi_fault_kind;

typedef struct fi_fault {
    fi_fault_kind kind;
    size_t mcu;      /* of the scan, from 0 */
    unsigned marker; /* found, if the kind has to do with one */
    size_t nbytes;   /* left over */
} fi_fault;

/* A Huffman table as in a DHT segment: counts[i] codes of i bits, i from 1 to 16, and their symbols in order. */
typedef struct fi_huffman {
    const uint8_t *counts, *symbols;
} fi_huffman;

/* One scan. Components and tables are given per block of an MCU. */
typedef struct fi_scan {
    const uint8_t *data; /* begins with the first byte after the SOS segment */
    size_t nbytes;       /* to the end of the file */
    unsigned restart_interval;
    unsigned blocks; /* per MCU */
    uint8_t component[FI_MAX_MCU_BLOCKS];
    fi_huffman dc[FI_MAX_MCU_BLOCKS], ac[FI_MAX_MCU_BLOCKS];
    /* 64 steps in natural order. NULL: coefficients may have any value. */
    const uint16_t *quantisation[FI_MAX_MCU_BLOCKS];
    size_t mcus;
    /* Progressive scans only (T.81, B.2.3). They have one component, or else are DC scans. */
    uint8_t ss, se, ah, al;
    uint8_t component_index; /* of the frame's: 0 to 3 */
} fi_scan;

/* Chooses the versions for these CPU features (cpu.h). Called once, by fi_init(). */
void fi_entropy_init(unsigned cpu_features);

fi_entropy *fi_entropy_new(void); /* returns NULL if there is no memory */
void fi_entropy_free(fi_entropy *entropy); /* NULL is allowed */

/* ---- baseline scans -------------------------------------------------------------------------------------------- */

/* Begins a scan. */
bool fi_entropy_start(fi_entropy *entropy, const fi_scan *scan);

/*
 * From the next MCU on, only coefficients up to `last` (in zigzag order) of this component's blocks are needed; those
 * after it may be left out. At the start of a scan all 64 are needed (63).
 */
void fi_entropy_need(fi_entropy *entropy, uint8_t component, unsigned last);

/*
 * Decodes the next MCUs, in natural order, into mcus x scan.blocks blocks, which must be zero. eob[i] is the index in
 * zigzag order from which on block i is zero, if all its coefficients are needed. If `whole`, all of the last MCU's
 * are.
 */
bool fi_entropy_decode(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *eob);

/* ---- parts of a baseline scan ---------------------------------------------------------------------------------- */

/*
 * For several threads, each with a state of its own: fi_entropy_start() with the same scan comes first. Bits are counted
 * without stuffing, from anywhere on.
 */

/* Where a part of a scan without restart intervals begins, at least `offset` bytes on; its data's end if that is less. */
const uint8_t *fi_entropy_find_begin(const fi_scan *scan, size_t offset);

/* How many bits there are between two such places; UINT64_MAX if a marker is. */
uint64_t fi_entropy_count_bits(const uint8_t *begin, const uint8_t *end);

/* Bytes of a scan with restart intervals: up to `end`, after a marker, where another part may begin. */
typedef struct fi_part {
    const uint8_t *end;
    size_t restarts; /* markers that have been passed */
    bool is_last;    /* no part comes after it: `end` is at the end of the data, or at another marker */
} fi_part;

/*
 * Finds a part of at least `least` bytes from `data` on; next_restart, 0 to 7, is the number of the first marker to come.
 * Those in order are passed.
 */
fi_part fi_entropy_find_part(const fi_scan *scan, const uint8_t *data, size_t least, unsigned next_restart);

/* A place between two MCUs. */
typedef struct fi_place {
    const uint8_t *data; /* a byte in front of it, in the same restart interval */
    uint64_t data_bit;   /* the number of its first bit */
    uint64_t bit;        /* the number of the bit that the next MCU begins with: not less */
    size_t mcu;
    int32_t dc[4];       /* per component of the scan, of the MCU before */
    unsigned next_restart;
} fi_place;

/* The place where the decoder is. */
fi_place fi_entropy_place(const fi_entropy *entropy);

/* The same place's bit. */
uint64_t fi_entropy_bit(const fi_entropy *entropy);

/* Goes to a place. Returns false, and is nowhere, if a marker or the end of the data comes before it. */
bool fi_entropy_go_to(fi_entropy *entropy, const fi_place *place);

/* The same, but the DC values at this place are not known: until it goes to another one, they may be any. */
bool fi_entropy_guess(fi_entropy *entropy, const fi_place *place);

/*
 * Makes what a guess has decoded the image's: adds to the DC values, and looks at blocks that could not be judged without
 * them, whose eob has FI_UNJUDGED on top until then. Returns false at what no encoder makes.
 */
#define FI_UNJUDGED 128
bool fi_entropy_confirm(fi_entropy *entropy, const int32_t shift[4], unsigned mcus, int16_t (*blocks)[64],
                        uint8_t *eob);

/* Subtracts from the numbers of all bits. */
void fi_entropy_renumber(fi_entropy *entropy, uint64_t nbits);

/* How many blocks are suspect: see fi_entropy_judge(). They are counted from the start of the scan on, by this decoder. */
typedef struct fi_suspects {
    size_t near, far;
} fi_suspects;

fi_suspects fi_entropy_suspects(const fi_entropy *entropy);
void fi_entropy_set_suspects(fi_entropy *entropy, fi_suspects suspects);

/* From the next MCU on, fi_entropy_decode() writes bits[i], where the i-th of its MCUs begins; NULL: it does not. */
void fi_entropy_mark(fi_entropy *entropy, uint64_t *bits);

/* After the last MCU of a part that a restart marker follows: passes the marker. Returns false if anything is odd. */
bool fi_entropy_pass_restart(fi_entropy *entropy);

/* ---- progressive scans ----------------------------------------------------------------------------------------- */

/* Call it before the first scan of a progressive file. */
void fi_entropy_begin_progressive(fi_entropy *entropy);

/*
 * Like fi_entropy_start(). Only tables that the scan uses are looked at. All AC scans of a component must be decoded
 * here, or none. fi_entropy_decode_progressive() may be asked for scan.mcus MCUs after it.
 */
bool fi_entropy_start_progressive(fi_entropy *entropy, const fi_scan *scan);

#define FI_CORRECTIONS 2

/*
 * What AC scans leave for later, and all of the DC value: scans that add a bit to each do not look at the blocks. All
 * zeros before the first scan.
 */
typedef struct fi_block_state {
    uint64_t nonzero; /* bit k: coefficient k, in zigzag order, is not zero; 0: the block may hold anything */
    uint64_t corrections[FI_CORRECTIONS]; /* bit k of [i]: to add to the magnitude of coefficient k, 1 << i */
    int16_t dc;
} fi_block_state;

/* The block at one place of the first MCU, in natural order, and how many blocks there are from one MCU to the next. */
typedef struct fi_block_row {
    int16_t (*blocks)[64];
    fi_block_state *states;
    size_t step;
} fi_block_row;

/* Adds what the scan has for the next MCUs to their blocks: a row for each block of an MCU. */
bool fi_entropy_decode_progressive(fi_entropy *entropy, size_t mcus, const fi_block_row *rows);

/* Makes a block what the scans so far say, but for those corrections whose bit is not set in `needed`, which are lost. */
void fi_entropy_complete_block(fi_block_state *state, uint64_t needed, int16_t *block);

/* ---- both ------------------------------------------------------------------------------------------------------ */

/*
 * Whether the blocks decoded so far, taken together, can be an image's: the last word on a scan that is not read to its
 * end. fi_entropy_finish() asks, too.
 */
bool fi_entropy_judge(fi_entropy *entropy);

/*
 * After the last MCU: returns where to look for the next marker, or NULL at a fault. Bytes before it belong to the scan
 * if the marker does, and are a fault then, unless there are at most FI_MAX_STRAY_NBYTES.
 */
const uint8_t *fi_entropy_finish(fi_entropy *entropy);

/*
 * Some webcams' frames have bytes in front of a restart or end marker: 1 to 6 were seen. In damaged files, left-over
 * bytes are seldom so few.
 */
#define FI_MAX_STRAY_NBYTES 6

/* The fault at which a function has returned false, or fi_entropy_finish() NULL. */
const fi_fault *fi_entropy_fault(const fi_entropy *entropy);

/* Bytes in front of markers of this scan that were passed over. *marker becomes the first of these markers. */
size_t fi_entropy_stray_nbytes(const fi_entropy *entropy, unsigned *marker);

#endif
