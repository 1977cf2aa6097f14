/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The judge of the entropy stage: scans a bit at a time, by the words of T.81 and entropy.h alone, and whether they are
 * damaged. Nothing here is meant to be fast, or is shared with what it judges. plain_file.h reads the segments before
 * them; plain_baseline.h and plain_progressive.h decode blocks.
 */
#include "plain_file.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("address", "undefined", "coverage"))), apply_to = function)
#endif

/* ---- a scan ---------------------------------------------------------------------------------------------------- */

/*
 * Whether values are those of 8-bit samples: yes; perhaps not; not, which may go unseen where some are skipped; not, and
 * so far that nobody can miss it.
 */
typedef enum { PLAIN_IN_RANGE, PLAIN_DOUBTFUL, PLAIN_OUT } plain_range;

/* The verdict on an MCU, or on what comes after the last one. */
typedef struct {
    fi_fault_kind kind; /* FI_FAULT_NONE: sound */
    unsigned marker;    /* found, if the kind has to do with one */
    size_t nbytes;      /* left over */
    bool in_code;       /* the data ends inside of a code. With the wrong bits after it, there is none */
    plain_range range;
} plain_verdict;

typedef struct {
    const uint8_t *start, *next, *end;
    unsigned byte, left; /* bits of it */
    unsigned to_go, restarts, eobrun; /* blocks that are still to end, of a progressive scan */
    int64_t dc[4];
    size_t stray_nbytes; /* passed over, in front of markers */
    unsigned stray_marker; /* the first of these */
    bool is_progressive;
    /* Blocks that overshoot, for certain or perhaps: plain_judge_samples(). */
    size_t mcus, near_or_far, are_far, may_be_far, first_far, last_far;
    plain_verdict verdict;
} plain_reader;

static bool plain_at_marker(const plain_reader *r) {
    return r->next == r->end || plain_is_marker(r->next, r->end);
}

/* The code of the marker that the reader is at; 0: there is none */
static unsigned plain_marker(const plain_reader *r) {
    const uint8_t *code = plain_after_ff(r->next, r->end);
    return code == r->end ? 0 : *code;
}

static bool plain_fail(plain_reader *r, fi_fault_kind kind) {
    r->verdict.kind = kind;
    return false;
}

static bool plain_fail_at_end(plain_reader *r) {
    const bool is_end = plain_after_ff(r->next, r->end) == r->end;
    r->verdict.marker = plain_marker(r);
    return plain_fail(r, is_end ? FI_FAULT_END : FI_FAULT_MARKER);
}

/* -1: there is none left */
static inline int plain_bit(plain_reader *r) {
    if (r->left == 0) {
        if (plain_at_marker(r)) {
            plain_fail_at_end(r);
            return -1;
        }
        r->byte = *r->next;
        r->next = plain_after_byte(r->next);
        r->left = 8;
    }
    return r->byte >> --r->left & 1;
}

/* T.81, F.2.2.3; -1: no code, or not all of it */
static int plain_symbol(plain_reader *r, const plain_huffman *h) {
    int code = 0;

    for (int length = 1; length <= 16; length++) {
        const int bit = plain_bit(r);
        r->verdict.in_code = bit < 0;
        if (bit < 0) return -1;
        code = 2 * code + bit;
        if (code < h->first[length] + h->counts[length]) return h->symbols[h->index[length] + code - h->first[length]];
    }
    plain_fail(r, FI_FAULT_CODE);
    return -1;
}

/* T.81, F.2.2.1: RECEIVE and EXTEND */
static bool plain_value(plain_reader *r, int size, int *value) {
    *value = 0;
    for (int i = 0; i < size; i++) {
        const int bit = plain_bit(r);
        if (bit < 0) return false;
        *value = 2 * *value + bit;
    }
    if (size && *value < 1 << (size - 1)) *value += 1 - (1 << size);
    return true;
}

/* A table has one code too few to use up all: none is made of ones only. A difference has 15 bits at most. */
static bool plain_is_sound(const plain_huffman *h, bool is_dc) {
    unsigned used = 0, symbols = 0;

    for (int length = 1; length <= 16; length++) {
        used += (unsigned)h->counts[length] << (16 - length);
        for (unsigned i = h->counts[length]; i > 0; i--) {
            if (h->symbols[symbols++] > 15 && is_dc) return false;
        }
    }
    return used < 1 << 16;
}

static bool plain_are_sound(const plain_jpeg *jpeg, int kind) {
    for (unsigned i = 0; i < jpeg->scan_count; i++) {
        const plain_component *c = jpeg->in_scan[i];
        if (!plain_is_sound(&jpeg->tables[kind][kind ? c->ac : c->dc], kind == 0)) return false;
    }
    return true;
}

static void plain_begin(plain_reader *r, const fi_scan *scan) {
    memset(r, 0, sizeof *r);
    r->start = r->next = scan->data;
    r->end = r->start + scan->nbytes;
    r->to_go = scan->restart_interval;
}

/* T.81, B.2: after a scan come tables, another scan, a number of lines, or the end. */
static bool plain_belongs(unsigned marker) {
    static const uint8_t markers[] = {0xC4, 0xCC, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD};
    return (marker & ~7u) == 0xD0 || (marker && memchr(markers, (int)marker, sizeof markers));
}

/*
 * To the next marker. What is left of a byte is filled up, mostly with ones. A few bytes may follow before a marker of
 * the scan's own, after zeros only more of them, and in progressive files one after anything; before any other marker,
 * whatever comes.
 */
static bool plain_pass_over(plain_reader *r) {
    const unsigned ones = (1u << r->left) - 1, padding = r->byte & ones;
    bool is_zero = padding == 0;
    size_t nbytes = 0;

    for (; !plain_at_marker(r); r->next = plain_after_byte(r->next), nbytes++) is_zero &= *r->next == 0;
    const unsigned marker = r->verdict.marker = plain_marker(r);
    r->left = 0;
    if (nbytes == 0) return true;
    r->verdict.nbytes = nbytes;
    const bool is_padded = padding == ones || is_zero || (nbytes == 1 && r->is_progressive);
    if (plain_belongs(marker) && (nbytes > FI_MAX_STRAY_NBYTES || !is_padded)) {
        return plain_fail(r, FI_FAULT_LEFT_OVER);
    }
    if (!r->stray_nbytes) r->stray_marker = marker;
    r->stray_nbytes += nbytes;
    return true;
}

static bool plain_restart(plain_reader *r) {
    if (!plain_pass_over(r)) return false;
    if (r->verdict.marker == 0) return plain_fail_at_end(r);
    if (r->verdict.marker != 0xD0 + r->restarts % 8) {
        return plain_fail(r, (r->verdict.marker & ~7u) == 0xD0 ? FI_FAULT_RESTART : FI_FAULT_MARKER);
    }
    r->next = plain_after_ff(r->next, r->end) + 1;
    r->restarts++;
    r->eobrun = 0;
    memset(r->dc, 0, sizeof r->dc);
    return true;
}

/* false: at a fault, as all that follow */
static bool plain_begin_mcu(plain_reader *r, const fi_scan *scan) {
    memset(&r->verdict, 0, sizeof r->verdict);
    r->mcus++;
    if (scan->restart_interval) {
        if (r->to_go == 0 && !plain_restart(r)) return false;
        if (r->to_go == 0) r->to_go = scan->restart_interval;
        r->to_go--;
    }
    return true;
}

/* After the last MCU. Restart markers go on in order, if at all. */
static bool plain_finish(plain_reader *r, const fi_scan *scan) {
    memset(&r->verdict, 0, sizeof r->verdict);
    if (!plain_pass_over(r)) return false;
    const unsigned marker = r->verdict.marker;
    const bool is_wrong = (marker & ~7u) == 0xD0 && marker != 0xD0 + r->restarts % 8;
    return !(scan->restart_interval && is_wrong) || plain_fail(r, FI_FAULT_RESTART);
}

static bool plain_is_same(const int16_t *a, const int16_t *b) {
    int different = 0;
    for (unsigned i = 0; i < 64; i++) different |= a[i] ^ b[i];
    return different == 0;
}

/* ---- values of 8-bit samples -------------------------------------------------------------------------------------- */

/* The stage need not look at AC values of fewer bits. (With short codes, it does not.) */
#define PLAIN_GIANT 1024

static void plain_doubt(plain_verdict *verdict, plain_range range) {
    if (range > verdict->range) verdict->range = range;
}

static unsigned plain_abs(int value) {
    return (unsigned)(value < 0 ? -value : value);
}

/*
 * Eight times -128 to 128 and a step more, in multiples of the step. In a first progressive scan the value's bits below
 * `al` are still to come.
 */
static bool plain_is_dc(const uint16_t *steps, unsigned al, int64_t value) {
    const int64_t most = steps && steps[0] ? 1024 / steps[0] + 1 : 1 << 30;
    const int64_t least = value * (1 << al), largest = least + (1 << al) - 1;
    return least <= most && largest >= -most;
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
