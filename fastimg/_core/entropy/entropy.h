/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Huffman decoding of baseline and progressive scans (T.81): bytes in, coefficients out. Only whole and undamaged
 * scans are decoded. At anything unusual the functions give up, and the caller decodes the image again by libjpeg's
 * own stage, whose pixels and warnings are the ones that count.
 */
#ifndef FI_ENTROPY_H
#define FI_ENTROPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FI_MAX_MCU_BLOCKS 10 /* T.81, B.2.3 */

typedef struct fi_entropy fi_entropy;

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
    /* Progressive scans only (T.81, B.2.3). They have one component, or else are DC scans. */
    uint8_t ss, se, ah, al;
    uint8_t component_index; /* of the frame's: 0 to 3 */
    size_t mcus;
} fi_scan;

/* Chooses the versions for these CPU features (cpu.h). Called once, by fi_init(). */
void fi_entropy_init(unsigned cpu_features);

fi_entropy *fi_entropy_new(void); /* returns NULL if there is no memory */
void fi_entropy_free(fi_entropy *entropy); /* NULL is allowed */
void fi_entropy_trim(fi_entropy *entropy); /* between images: frees what only large ones need */

/* ---- baseline scans -------------------------------------------------------------------------------------------- */

/* Begins a scan. Returns false if its tables are unsound, or would take longer to build than they save. */
bool fi_entropy_start(fi_entropy *entropy, const fi_scan *scan);

/*
 * From the next MCU on, only coefficients up to `last` (in zigzag order) of this component's blocks are needed; those
 * after it may be left out. At the start of a scan all 64 are needed (63).
 */
void fi_entropy_need(fi_entropy *entropy, uint8_t component, unsigned last);

/*
 * Decodes the next MCUs, in natural order, into mcus x scan.blocks blocks, which must be zero. eob[i] is the index in
 * zigzag order from which on block i is zero, if all its coefficients are needed. If `whole`, all of the last MCU's
 * are. Returns false if it gives up.
 */
bool fi_entropy_decode(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *eob);

/* ---- progressive scans ----------------------------------------------------------------------------------------- */

/* Call it before the first scan of a progressive file. */
void fi_entropy_begin_progressive(fi_entropy *entropy);

/*
 * Like fi_entropy_start(). Only tables that the scan uses are looked at. All AC scans of a component must be decoded
 * here, or none. fi_entropy_decode_progressive() may be called scan.mcus times after it.
 */
bool fi_entropy_start_progressive(fi_entropy *entropy, const fi_scan *scan);

/* Adds what the scan has for the next MCU to its blocks. Returns false if it gives up. */
bool fi_entropy_decode_progressive(fi_entropy *entropy, int16_t *const blocks[]);

/* ---- both ------------------------------------------------------------------------------------------------------ */

/*
 * After the last MCU: returns the position of the marker that follows. Returns NULL if anything else follows, of which
 * libjpeg's stage may or may not warn, depending on how far it has read ahead.
 */
const uint8_t *fi_entropy_finish(fi_entropy *entropy);

#endif
