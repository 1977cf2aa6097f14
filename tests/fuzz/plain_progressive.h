/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The judge of progressive scans, a bit at a time as well: T.81, G.1.2.
 */

#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("address", "undefined", "coverage"))), apply_to = function)
#endif

/* ---- which scans ------------------------------------------------------------------------------------------------- */

/* Of each component and coefficient: the lowest bit that has come so far; -1: none. */
typedef struct {
    int8_t low[4][64];
} plain_progress;

static unsigned plain_index(const plain_jpeg *jpeg, unsigned in_scan) {
    return (unsigned)(jpeg->in_scan[in_scan] - jpeg->components);
}

/* T.81, G.1.1.1. What libjpeg refuses, or warns of, is never given to the stage. */
static bool plain_follows(plain_progress *progress, const plain_jpeg *jpeg) {
    const fi_scan *scan = &jpeg->scan;

    if (scan->ss == 0 ? scan->se != 0 : scan->se < scan->ss || scan->se > 63) return false;
    if (scan->ss > 0 && jpeg->scan_count != 1) return false;
    if (scan->al > 13 || (scan->ah > 0 && scan->al != scan->ah - 1)) return false;
    for (unsigned i = 0; i < jpeg->scan_count; i++) {
        int8_t *low = progress->low[plain_index(jpeg, i)];
        for (unsigned j = 0; j < i; j++) {
            if (jpeg->in_scan[i] == jpeg->in_scan[j]) return false;
        }
        if (scan->ss > 0 && low[0] < 0) return false;
        for (unsigned k = scan->ss; k <= scan->se; k++) {
            if (scan->ah != (low[k] < 0 ? 0 : low[k])) return false;
            low[k] = (int8_t)scan->al;
        }
    }
    return true;
}

/* false: no more scans, or none that the stage is for */
static bool plain_next_scan(plain_jpeg *jpeg, plain_progress *progress) {
    fi_scan *scan = &jpeg->scan;

    if (!plain_read_segments(jpeg) || !jpeg->is_progressive || !plain_follows(progress, jpeg)) return false;
    const bool needs_dc = scan->ss == 0 && scan->ah == 0, needs_ac = scan->ss > 0;
    if ((needs_dc && !plain_has_tables(jpeg, 0)) || (needs_ac && !plain_has_tables(jpeg, 1))) return false;
    if (!plain_lay_out(jpeg)) return false;
    for (unsigned b = 0; b < scan->blocks; b++) {
        if (!needs_dc) scan->dc[b] = (fi_huffman){NULL, NULL};
        if (!needs_ac) scan->ac[b] = (fi_huffman){NULL, NULL};
    }
    scan->component_index = (uint8_t)plain_index(jpeg, 0);
    scan->mcus = jpeg->mcus;
    return true;
}

/* ---- where their blocks are -------------------------------------------------------------------------------------- */

static unsigned plain_divide_up(unsigned a, unsigned b) {
    return (a + b - 1) / b;
}

static void plain_most_factors(const plain_jpeg *jpeg, unsigned *across, unsigned *down) {
    *across = *down = 1;
    for (unsigned c = 0; c < jpeg->count; c++) {
        if (jpeg->components[c].across > *across) *across = jpeg->components[c].across;
        if (jpeg->components[c].down > *down) *down = jpeg->components[c].down;
    }
}

/* A component's blocks, those included that only interleaved scans have (T.81, A.2.4). */
static uint64_t plain_count_blocks(const plain_jpeg *jpeg, unsigned c) {
    unsigned across, down;
    plain_most_factors(jpeg, &across, &down);
    return (uint64_t)plain_divide_up(jpeg->width, 8 * across) * jpeg->components[c].across *
           plain_divide_up(jpeg->height, 8 * down) * jpeg->components[c].down;
}

/* MCUs in a row of them. */
static unsigned plain_row(const plain_jpeg *jpeg) {
    const plain_component *c = jpeg->in_scan[0];
    unsigned across, down;

    plain_most_factors(jpeg, &across, &down);
    if (jpeg->scan_count > 1) return plain_divide_up(jpeg->width, 8 * across);
    return plain_divide_up(plain_divide_up(jpeg->width * c->across, across), 8);
}

/* The place of each block of an MCU among those of its component. */
static void plain_place(const plain_jpeg *jpeg, uint64_t mcu, uint64_t places[FI_MAX_MCU_BLOCKS]) {
    unsigned across, down, b = 0;

    plain_most_factors(jpeg, &across, &down);
    const unsigned columns = plain_divide_up(jpeg->width, 8 * across);
    if (jpeg->scan_count == 1) {
        const plain_component *c = jpeg->in_scan[0];
        const unsigned own_columns = plain_row(jpeg);
        places[0] = mcu / own_columns * columns * c->across + mcu % own_columns;
        return;
    }
    for (unsigned i = 0; i < jpeg->scan_count; i++) {
        const plain_component *c = jpeg->in_scan[i];
        for (unsigned y = 0; y < c->down; y++) {
            const uint64_t row = mcu / columns * c->down + y;
            for (unsigned x = 0; x < c->across; x++) {
                places[b++] = (row * columns + mcu % columns) * c->across + x;
            }
        }
    }
}

/* ---- their coefficients ------------------------------------------------------------------------------------------ */

static int16_t *plain_coefficient(int16_t *block, unsigned k) {
    return &block[plain_natural[k]];
}

static bool plain_decode_dc(plain_reader *r, const plain_huffman *h, const fi_scan *scan, const uint16_t *steps,
                            int64_t *last_dc, int16_t *block) {
    int value;

    if (scan->ah > 0) {
        const int bit = plain_bit(r);
        if (bit > 0) block[0] = (int16_t)(block[0] | 1 << scan->al);
        return bit >= 0;
    }
    const int size = plain_symbol(r, h);
    if (size < 0 || !plain_value(r, size, &value)) return false;
    *last_dc += value;
    if (!plain_is_dc(steps, scan->al, *last_dc)) return plain_fail(r, FI_FAULT_RANGE);
    block[0] = (int16_t)(*last_dc * (1 << scan->al));
    return true;
}

/* This block and as many more as the symbol says. */
static bool plain_read_end_run(plain_reader *r, int run) {
    r->eobrun = 1;
    for (int i = 0; i < run; i++) {
        const int bit = plain_bit(r);
        if (bit < 0) return false;
        r->eobrun = 2 * r->eobrun + (unsigned)bit;
    }
    return true;
}

/*
 * A coefficient that comes alone: up to 1152, and a step more with the bits that are to come. Past the band, it is wrong
 * whatever its value.
 */
static void plain_judge_ac(plain_verdict *verdict, const fi_scan *scan, unsigned k, int value) {
    const uint16_t *steps = scan->quantisation[0];
    if (!steps) return;
    const int64_t step = steps[plain_natural[k < 63 ? k : 63]], size = (int64_t)plain_abs(value) << scan->al;
    const bool cannot_be_missed = plain_abs(value) >= PLAIN_GIANT && k <= scan->se;
    if (size * step <= 1152 + (step << scan->al)) return;
    plain_doubt(verdict, cannot_be_missed ? PLAIN_OUT : PLAIN_DOUBTFUL);
}

static bool plain_first_ac(plain_reader *r, const plain_huffman *h, const fi_scan *scan, int16_t *block) {
    int value;

    for (unsigned k = scan->ss; k <= scan->se && !r->eobrun; k++) {
        const int symbol = plain_symbol(r, h), run = symbol >> 4, size = symbol & 15;
        if (symbol < 0) return false;
        if (size == 0 && run < 15) {
            if (!plain_read_end_run(r, run)) return false;
            break;
        }
        k += (unsigned)run;
        if (!plain_value(r, size, &value)) return false;
        plain_judge_ac(&r->verdict, scan, k, value);
        if (k > scan->se) return plain_fail(r, FI_FAULT_BLOCK_END);
        if (size) *plain_coefficient(block, k) = (int16_t)(value * (1 << scan->al));
    }
    if (r->eobrun) r->eobrun--;
    return true;
}

static bool plain_correct(plain_reader *r, int16_t *coefficient, int one) {
    const int bit = plain_bit(r);
    if (bit > 0 && !(*coefficient & one)) *coefficient = (int16_t)(*coefficient + (*coefficient < 0 ? -one : one));
    return bit >= 0;
}

/* Whether there are more zeros than those to pass over. */
static bool plain_has_zeros(const int16_t *block, unsigned k, unsigned se, int zeros) {
    for (; k <= se && zeros >= 0; k++) zeros -= block[plain_natural[k]] == 0;
    return zeros < 0;
}

static bool plain_refine_ac(plain_reader *r, const plain_huffman *h, const fi_scan *scan, int16_t *block) {
    const int one = 1 << scan->al;
    unsigned k = scan->ss;

    for (; k <= scan->se && !r->eobrun; k++) {
        const int symbol = plain_symbol(r, h), size = symbol & 15;
        int zeros = symbol >> 4, value;
        if (symbol < 0) return false;
        if (size == 0 && zeros < 15) {
            if (!plain_read_end_run(r, zeros)) return false;
            break;
        }
        if (!plain_value(r, size, &value)) return false;
        if (size > 1) return plain_fail(r, FI_FAULT_CODE);
        if (!plain_has_zeros(block, k, scan->se, zeros)) return plain_fail(r, FI_FAULT_BLOCK_END);
        for (;; k++) {
            int16_t *coefficient = plain_coefficient(block, k);
            if (*coefficient == 0 && zeros-- == 0) break;
            if (*coefficient != 0 && !plain_correct(r, coefficient, one)) return false;
        }
        if (size == 1) *plain_coefficient(block, k) = (int16_t)(value * one);
    }
    if (!r->eobrun) return true;
    r->eobrun--;
    for (; k <= scan->se; k++) {
        int16_t *coefficient = plain_coefficient(block, k);
        if (*coefficient != 0 && !plain_correct(r, coefficient, one)) return false;
    }
    return true;
}

/* false: a table that the scan uses is unsound */
static bool plain_start_progressive(plain_reader *r, const plain_jpeg *jpeg) {
    plain_begin(r, &jpeg->scan);
    r->is_progressive = true;
    return jpeg->scan.ss > 0 ? plain_are_sound(jpeg, 1) : jpeg->scan.ah > 0 || plain_are_sound(jpeg, 0);
}

static bool plain_decode_progressive(plain_reader *r, const plain_jpeg *jpeg, int16_t *const blocks[]) {
    const fi_scan *scan = &jpeg->scan;

    if (!plain_begin_mcu(r, scan)) return false;
    if (scan->ss > 0) {
        const plain_huffman *h = &jpeg->tables[1][jpeg->in_scan[0]->ac];
        return (scan->ah > 0 ? plain_refine_ac : plain_first_ac)(r, h, scan, blocks[0]);
    }
    for (unsigned b = 0; b < scan->blocks; b++) {
        const unsigned i = scan->component[b];
        const plain_huffman *h = &jpeg->tables[0][jpeg->in_scan[i]->dc];
        if (!plain_decode_dc(r, h, scan, scan->quantisation[b], &r->dc[i], blocks[b])) return false;
    }
    return true;
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
