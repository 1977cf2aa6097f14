/* SPDX-License-Identifier: BSD-3-Clause */
/* The segments of a JPEG file, by the words of T.81 alone: see plain_entropy.h. */
#include "entropy/entropy.h"

#include <stdlib.h>
#include <string.h>

/* What judges is not on trial, and is what takes the time. (Other compilers do check it.) */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("address", "undefined", "coverage"))), apply_to = function)
#endif

/* ---- a file ------------------------------------------------------------------------------------------------------ */

typedef struct {
    uint8_t id, across, down; /* sampling factors */
    unsigned dc, ac, steps;   /* tables */
} plain_component;

/* Allocated as long as fi_huffman has it, for AddressSanitizer; the codes of each length begin with `first`. */
typedef struct {
    uint8_t *counts, *symbols;
    int first[17], index[17];
    bool is_defined;
} plain_huffman;

typedef struct {
    plain_component components[4], *in_scan[4];
    unsigned height, width, count, scan_count;
    bool is_progressive;
    bool is_bounded; /* values are to be those of 8-bit samples: set by the target */
    plain_huffman tables[2][4]; /* DC, AC */
    uint16_t steps[4][64];      /* quantisation tables, in natural order */
    bool has_steps[4];
    const uint8_t *next, *end;  /* what is still to be read */
    fi_scan scan;
    uint64_t mcus;
} plain_jpeg;

static uint8_t plain_natural[64]; /* T.81, figure A.6: up and down the diagonals */

static void plain_init(void) {
    unsigned k = 0;
    for (unsigned diagonal = 0; diagonal < 15; diagonal++) {
        for (unsigned i = 0; i <= diagonal; i++) {
            const unsigned row = diagonal % 2 ? i : diagonal - i, column = diagonal - row;
            if (row < 8 && column < 8) plain_natural[k++] = (uint8_t)(8 * row + column);
        }
    }
}

static unsigned plain_word(const uint8_t *p) {
    return (unsigned)p[0] << 8 | p[1];
}

/* The first byte that is not 0xFF. */
static const uint8_t *plain_after_ff(const uint8_t *p, const uint8_t *end) {
    while (p != end && *p == 0xFF) p++;
    return p;
}

/*
 * Of one byte or more. Inside of a scan every 0xFF that no 0 follows is a marker's, or the last of a file cut off; also if
 * more of them and then a 0 follow, which libjpeg does not always read in the same way.
 */
static bool plain_is_marker(const uint8_t *p, const uint8_t *end) {
    return p[0] == 0xFF && (end - p < 2 || p[1] != 0);
}

/* The next byte of data. */
static const uint8_t *plain_after_byte(const uint8_t *p) {
    return *p == 0xFF ? p + 2 : p + 1;
}

static bool plain_parse_frame(plain_jpeg *jpeg, const uint8_t *p, size_t nbytes) {
    if (nbytes < 6 || jpeg->count || p[0] != 8) return false;
    jpeg->height = plain_word(p + 1);
    jpeg->width = plain_word(p + 3);
    jpeg->count = p[5];
    if (!jpeg->height || !jpeg->width || jpeg->count < 1 || jpeg->count > 4) return false;
    if (nbytes != 6 + 3 * (size_t)jpeg->count) return false;
    for (unsigned i = 0; i < jpeg->count; i++) {
        const uint8_t *each = p + 6 + 3 * i;
        jpeg->components[i] =
            (plain_component){.id = each[0], .across = each[1] >> 4, .down = each[1] & 15, .steps = each[2]};
        if (each[1] >> 4 < 1 || each[1] >> 4 > 4 || (each[1] & 15) < 1 || (each[1] & 15) > 4) return false;
    }
    return true;
}

/* The codes of T.81, annex C, in order. */
static void plain_define(plain_huffman *h, const uint8_t *counts, const uint8_t *symbols, size_t nbytes) {
    int code = 0, index = 0;

    if (!h->counts) h->counts = calloc(1, 17);
    if (!h->symbols) h->symbols = calloc(1, 256);
    if (!h->counts || !h->symbols) abort();
    memcpy(h->counts + 1, counts, 16);
    memset(h->symbols, 0, 256);
    memcpy(h->symbols, symbols, nbytes);
    for (int length = 1; length <= 16; length++) {
        h->first[length] = code;
        h->index[length] = index;
        index += h->counts[length];
        code = 2 * (code + h->counts[length]);
    }
    h->is_defined = true;
}

static bool plain_parse_tables(plain_jpeg *jpeg, const uint8_t *p, size_t nbytes) {
    while (nbytes) {
        size_t symbols = 0;
        if (nbytes < 17 || p[0] >> 4 > 1 || (p[0] & 15) > 3) return false;
        for (int i = 1; i <= 16; i++) symbols += p[i];
        if (symbols > 256 || symbols > nbytes - 17) return false;
        plain_define(&jpeg->tables[p[0] >> 4][p[0] & 15], p + 1, p + 17, symbols);
        nbytes -= 17 + symbols;
        p += 17 + symbols;
    }
    return true;
}

static bool plain_parse_steps(plain_jpeg *jpeg, const uint8_t *p, size_t nbytes) {
    while (nbytes) {
        const size_t each = 1 + (p[0] >> 4);
        const unsigned to = p[0] & 15;
        if (each > 2 || to > 3 || nbytes < 1 + 64 * each) return false;
        for (unsigned k = 0; k < 64; k++) {
            jpeg->steps[to][plain_natural[k]] = (uint16_t)(each == 1 ? p[1 + k] : plain_word(p + 1 + 2 * k));
        }
        jpeg->has_steps[to] = true;
        nbytes -= 1 + 64 * each;
        p += 1 + 64 * each;
    }
    return true;
}

static bool plain_parse_scan(plain_jpeg *jpeg, const uint8_t *p, size_t nbytes) {
    const unsigned count = nbytes ? p[0] : 0;

    if (count < 1 || count > jpeg->count || nbytes != 4 + 2 * (size_t)count) return false;
    for (unsigned i = 0; i < count; i++) {
        plain_component *found = NULL;
        for (unsigned c = jpeg->count; c-- > 0;) {
            if (jpeg->components[c].id == p[1 + 2 * i]) found = &jpeg->components[c];
        }
        if (!found) return false;
        found->dc = p[2 + 2 * i] >> 4;
        found->ac = p[2 + 2 * i] & 15;
        if (found->dc > 3 || found->ac > 3) return false;
        jpeg->in_scan[i] = found;
    }
    jpeg->scan_count = count;
    p += 1 + 2 * count;
    jpeg->scan.ss = p[0];
    jpeg->scan.se = p[1];
    jpeg->scan.ah = p[2] >> 4;
    jpeg->scan.al = p[2] & 15;
    return true;
}

/* Those of a component of the scan. NULL: there are none, or values are not bounded. */
static const uint16_t *plain_steps(const plain_jpeg *jpeg, unsigned in_scan) {
    const unsigned i = jpeg->in_scan[in_scan]->steps;
    return jpeg->is_bounded && i < 4 && jpeg->has_steps[i] ? jpeg->steps[i] : NULL;
}

/* T.81, A.2: what one MCU has, and how many there are. */
static bool plain_lay_out(plain_jpeg *jpeg) {
    unsigned across = 1, down = 1, height = 8, width = 8;
    fi_scan *scan = &jpeg->scan;

    for (unsigned c = 0; c < jpeg->count; c++) {
        if (jpeg->components[c].across > across) across = jpeg->components[c].across;
        if (jpeg->components[c].down > down) down = jpeg->components[c].down;
    }
    scan->blocks = 0;
    for (unsigned i = 0; i < jpeg->scan_count; i++) {
        const plain_component *c = jpeg->in_scan[i];
        const plain_huffman *dc = &jpeg->tables[0][c->dc], *ac = &jpeg->tables[1][c->ac];
        for (unsigned n = jpeg->scan_count == 1 ? 1 : c->across * c->down; n > 0; n--) {
            if (scan->blocks == FI_MAX_MCU_BLOCKS) return false;
            scan->component[scan->blocks] = (uint8_t)i;
            scan->quantisation[scan->blocks] = plain_steps(jpeg, i);
            scan->dc[scan->blocks] = (fi_huffman){dc->counts, dc->symbols};
            scan->ac[scan->blocks++] = (fi_huffman){ac->counts, ac->symbols};
        }
    }
    if (jpeg->scan_count == 1) { /* its own blocks, in its own size */
        height = (jpeg->height * jpeg->in_scan[0]->down + down - 1) / down;
        width = (jpeg->width * jpeg->in_scan[0]->across + across - 1) / across;
        jpeg->mcus = (uint64_t)((height + 7) / 8) * ((width + 7) / 8);
    } else {
        height *= down;
        width *= across;
        jpeg->mcus = (uint64_t)((jpeg->height + height - 1) / height) * ((jpeg->width + width - 1) / width);
    }
    return true;
}

static bool plain_open(plain_jpeg *jpeg, const uint8_t *data, size_t nbytes) {
    jpeg->count = 0;
    jpeg->scan.restart_interval = 0;
    for (int i = 0; i < 8; i++) jpeg->tables[i / 4][i % 4].is_defined = false;
    memset(jpeg->has_steps, 0, sizeof jpeg->has_steps);
    if (nbytes < 2 || plain_word(data) != 0xFFD8) return false;
    jpeg->next = data + 2;
    jpeg->end = data + nbytes;
    return true;
}

/* Up to the first byte of the next scan. false: there is none, or a segment is not as T.81 has it. */
static bool plain_read_segments(plain_jpeg *jpeg) {
    const uint8_t *p = jpeg->next, *const end = jpeg->end;

    while (end - p >= 4 && p[0] == 0xFF) {
        if (p[1] == 0xFF) {
            p++;
            continue;
        }
        const unsigned marker = p[1], length = plain_word(p + 2);
        if (length < 2 || length > end - p - 2) return false;
        const uint8_t *payload = p + 4;
        const size_t left = length - 2;
        p += 2 + length;
        if (marker <= 0xC2 && marker >= 0xC0) {
            if (!plain_parse_frame(jpeg, payload, left)) return false;
            jpeg->is_progressive = marker == 0xC2;
        } else if (marker == 0xC4) {
            if (!plain_parse_tables(jpeg, payload, left)) return false;
        } else if (marker == 0xDB) {
            if (!plain_parse_steps(jpeg, payload, left)) return false;
        } else if (marker == 0xDD) {
            if (left != 2) return false;
            jpeg->scan.restart_interval = plain_word(payload);
        } else if (marker == 0xDA) {
            jpeg->scan.data = p;
            jpeg->scan.nbytes = (size_t)(end - p);
            return plain_parse_scan(jpeg, payload, left);
        } else if (marker < 0xDB) {
            return false; /* another kind of frame, or a marker that is out of place */
        }
    }
    return false;
}

static bool plain_has_tables(const plain_jpeg *jpeg, int kind) {
    for (unsigned i = 0; i < jpeg->scan_count; i++) {
        const plain_component *c = jpeg->in_scan[i];
        if (!jpeg->tables[kind][kind ? c->ac : c->dc].is_defined) return false;
    }
    return true;
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
