/* SPDX-License-Identifier: BSD-3-Clause */
#include "resize.h"

static size_t align(size_t nbytes) {
    return (nbytes + 63) & ~(size_t)63;
}

static uint32_t end_of(const fi_bank *bank, uint32_t i) {
    return bank->first[i] + bank->used[i];
}

/*
 * How many rows a ring must hold. Result y is made when the batch has come that brings the last row that it needs of any
 * plane; until then all rows from its first one on are kept.
 */
static void size_rings(fi_resizer *resizer, const fi_plane *planes) {
    for (uint32_t y = 0; y < resizer->rows; y++) {
        uint32_t batches = 0;
        for (unsigned c = 0; c < resizer->planes; c++) {
            const uint32_t n = (end_of(resizer->tracks[c].y, y) + planes[c].batch - 1) / planes[c].batch;
            if (n > batches) batches = n;
        }
        for (unsigned c = 0; c < resizer->planes; c++) {
            fi_track *t = &resizer->tracks[c];
            const uint64_t come = (uint64_t)batches * planes[c].batch;
            const uint32_t held = (uint32_t)(come < t->end ? come : t->end) - t->y->first[y];
            if (held > t->ring_rows) t->ring_rows = held;
        }
    }
}

bool fi_resizer_init(fi_resizer *resizer, const fi_plane *planes, unsigned count, fi_banks *banks) {
    *resizer = (fi_resizer){.planes = count, .rows = planes[0].y.count, .cols = planes[0].x.count};
    for (unsigned c = 0; c < count; c++) {
        fi_track *t = &resizer->tracks[c];
        t->x = fi_banks_get(banks, &planes[c].x);
        t->y = fi_banks_get(banks, &planes[c].y);
        if (!t->x || !t->y) return false;
        t->begin = t->y->first[0];
        t->end = end_of(t->y, resizer->rows - 1);
        if (resizer->most_taps < t->y->taps) resizer->most_taps = t->y->taps;
    }
    size_rings(resizer, planes);
    return true;
}

/* The next nbytes of memory that begins at base; with base NULL they are only counted. */
static void *take(uint8_t *base, size_t *used, size_t nbytes) {
    void *taken = base ? base + *used : NULL;
    *used += align(nbytes);
    return taken;
}

static size_t lay_out(fi_resizer *resizer, uint8_t *base) {
    const size_t row = align(resizer->cols * sizeof(int16_t));
    size_t used = 0;

    resizer->taps = take(base, &used, (resizer->most_taps + 1) * sizeof *resizer->taps);
    for (unsigned c = 0; c < resizer->planes; c++) {
        resizer->tracks[c].ring = take(base, &used, row * resizer->tracks[c].ring_rows);
        resizer->levels[c] = take(base, &used, row);
    }
    return used;
}

size_t fi_resizer_nbytes(const fi_resizer *resizer) {
    fi_resizer copy = *resizer;
    return lay_out(&copy, NULL);
}

void fi_resizer_start(fi_resizer *resizer, bool is_ycc, fi_store *store, const fi_kernels *kernels, uint8_t *scratch) {
    lay_out(resizer, scratch);
    resizer->is_ycc = is_ycc;
    resizer->store = store;
    resizer->kernels = kernels;
}

static int16_t *ring_row(const fi_resizer *resizer, const fi_track *t, uint32_t row) {
    return t->ring + align(resizer->cols * sizeof(int16_t)) / sizeof(int16_t) * (row % t->ring_rows);
}

bool fi_resizer_needs(const fi_resizer *resizer, unsigned c, uint32_t rows) {
    const fi_track *t = &resizer->tracks[c];
    return resizer->store && t->next < t->end && t->next + rows > t->begin;
}

void fi_resizer_push(fi_resizer *resizer, unsigned c, const uint8_t *src, size_t stride, uint32_t rows) {
    const fi_kernels *kernels = resizer->kernels;
    fi_track *t = &resizer->tracks[c];
    const uint32_t start = t->next, last = t->end - 1;
    uint32_t y = start < t->begin ? t->begin : start;

    t->next = start + rows;
    if (!resizer->store) return;
    for (; y < start + rows && y <= last; y += 2) {
        /* Two at a time; a last one on its own is done twice over. */
        const uint32_t other = y + 1 < start + rows && y < last ? y + 1 : y;
        const uint8_t *const from[2] = {src + (y - start) * stride, src + (other - start) * stride};
        int16_t *const to[2] = {ring_row(resizer, t, y), ring_row(resizer, t, other)};
        if (t->x->pairs) kernels->resample_near(from, to, t->x->base, t->x->quads, t->x->pairs, resizer->cols);
        else kernels->resample_rows(from, to, t->x->first, t->x->weights, t->x->taps, resizer->cols);
    }
}

/* Result `row` of one plane, in levels. */
static void resample_row(const fi_resizer *resizer, unsigned c) {
    const fi_track *t = &resizer->tracks[c];
    const fi_bank *bank = t->y;
    const uint32_t first = bank->first[resizer->row], used = bank->used[resizer->row];

    for (uint32_t k = 0; k < used; k++) resizer->taps[k] = ring_row(resizer, t, first + k);
    resizer->taps[used] = resizer->taps[0]; /* its weight is 0, if it is used at all */
    resizer->kernels->resample_across(resizer->taps, bank->weights + (size_t)resizer->row * bank->taps, used + used % 2,
                                      resizer->levels[c], resizer->cols);
}

static void store_row(const fi_resizer *resizer) {
    const fi_kernels *kernels = resizer->kernels;
    const int16_t *const levels[3] = {resizer->levels[0], resizer->levels[1], resizer->levels[2]};
    uint8_t *rgb[3];

    fi_store_next_row(resizer->store, rgb);
    if (resizer->is_ycc) {
        kernels->ycc_to_rgb(levels, rgb, resizer->cols);
    } else {
        for (unsigned c = 0; c < resizer->planes; c++) kernels->round_levels(levels[c], rgb[c], resizer->cols);
    }
    fi_store_row_done(resizer->store);
}

bool fi_resizer_emit(fi_resizer *resizer) {
    for (; resizer->row < resizer->rows; resizer->row++) {
        for (unsigned c = 0; c < resizer->planes; c++) {
            const fi_track *t = &resizer->tracks[c];
            if (t->next < end_of(t->y, resizer->row)) return false;
        }
        if (!resizer->store) continue;
        for (unsigned c = 0; c < resizer->planes; c++) resample_row(resizer, c);
        store_row(resizer);
    }
    return true;
}
