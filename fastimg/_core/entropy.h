/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Huffman stage of baseline and progressive files, in place of libjpeg's. It decodes whole and undamaged scans only:
 * whatever is unusual about one, it gives up, and the image is decoded again by libjpeg's own stage, whose pixels and
 * warnings are the ones that count.
 */
#ifndef FI_ENTROPY_H
#define FI_ENTROPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FI_MCU_MOST_BLOCKS 10 /* T.81, B.2.3 */

typedef struct fi_entropy fi_entropy;

/* A Huffman table as a DHT segment has it: counts[i] codes of i bits, i from 1 to 16, and their symbols in order. */
typedef struct fi_huffman {
    const uint8_t *counts, *symbols;
} fi_huffman;

/* One scan. What an MCU's blocks use is given for each of them. */
typedef struct fi_scan {
    const uint8_t *data; /* from the first byte behind the SOS segment on */
    size_t nbytes;       /* all there is, up to the end of the file */
    unsigned restart_interval;
    unsigned blocks; /* in an MCU */
    uint8_t component[FI_MCU_MOST_BLOCKS];
    fi_huffman dc[FI_MCU_MOST_BLOCKS], ac[FI_MCU_MOST_BLOCKS];
    /* Of progressive scans (T.81, B.2.3: Ss, Se, Ah, Al). They have one component, or else are DC scans. */
    uint8_t first, last, high, low;
    uint8_t component_index; /* of the frame's: 0 to 3 */
    size_t mcus;
} fi_scan;

fi_entropy *fi_entropy_new(void); /* NULL: no memory */
void fi_entropy_free(fi_entropy *entropy);
void fi_entropy_trim(fi_entropy *entropy); /* gives back what large images need, between images */

/* false: not for this scan: its tables are unsound, or building them would take longer than they save. */
bool fi_entropy_start(fi_entropy *entropy, const fi_scan *scan);

/* Before the first scan of a progressive file. */
void fi_entropy_begin_progressive(fi_entropy *entropy);

/*
 * As fi_entropy_start(), for a scan of a progressive file, of which only those tables are looked at that it uses. All AC
 * scans of a component have to be decoded here, or none; mcus is how many calls of fi_entropy_decode_progressive() follow.
 */
bool fi_entropy_start_progressive(fi_entropy *entropy, const fi_scan *scan);

/*
 * From the next MCU on, blocks of a component need their coefficients up to this place of the zigzag order alone: what is
 * behind it may be left out. At the start of a scan all 64 are needed (63).
 */
void fi_entropy_need(fi_entropy *entropy, uint8_t component, unsigned last);

/*
 * The coefficients of the next MCUs, in natural order, into as many times scan.blocks blocks of 64 zeros. ends[i] is the place in
 * zigzag order from which on block i has zeros alone, if all its coefficients are needed. `whole`: so they are of the last
 * MCU. false: given up.
 */
bool fi_entropy_decode(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *ends);

/* What a progressive scan has for the next MCU's blocks is added to what they hold. false: given up. */
bool fi_entropy_decode_progressive(fi_entropy *entropy, int16_t *const blocks[]);

/*
 * Once all MCUs are decoded: where the next marker stands. NULL: given up, as something else does, of which libjpeg's stage
 * warns or does not, by how far it has read ahead.
 */
const uint8_t *fi_entropy_finish(fi_entropy *entropy);

#endif
