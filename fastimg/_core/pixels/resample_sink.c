/* SPDX-License-Identifier: BSD-3-Clause */
#include "pixels/resample_sink.h"

#include "pixels/axes.h"
#include "pixels/color.h"

#include <string.h>

#define SPLIT_ROWS 8 /* rows of interleaved pixels that are split at a time */

/* `base` is the first member of every sink. */
static const fi_resample_sink *const_self(const fi_sink *base) {
    return (const fi_resample_sink *)base;
}

static size_t align(size_t nbytes) {
    return (nbytes + 63) & ~(size_t)63;
}

/* ---- set-up ---------------------------------------------------------------------------------------------------- */

/* Colours must be linear in the planes: RGB that becomes luma is not, as its planes are rounded separately. */
static bool takes(const fi_sink *base, fi_rows_kind kind) {
    if (kind == FI_ROWS_OUTPUT) return false;
    return const_self(base)->options->mode != FI_MODE_L || (kind != FI_ROWS_YCC && kind != FI_ROWS_RGB);
}

static uint32_t end_of(const fi_coefs *coefs, uint32_t i) {
    return coefs->first[i] + coefs->used[i];
}

/*
 * How many rows the rings must hold. Result y is made once the group has come that brings the last row it needs of any
 * plane; until then all rows from its first one on are kept.
 */
static void size_rings(fi_resample_sink *sink) {
    for (uint32_t y = 0; y < sink->plan->rows; y++) {
        uint32_t groups = 0;
        for (unsigned p = 0; p < sink->count; p++) {
            const fi_plane_state *plane = &sink->planes[p];
            const uint32_t n = (end_of(plane->y, y) + plane->rows_per_group - 1) / plane->rows_per_group;
            if (n > groups) groups = n;
        }
        for (unsigned p = 0; p < sink->count; p++) {
            fi_plane_state *plane = &sink->planes[p];
            const uint64_t come = (uint64_t)groups * plane->rows_per_group;
            const uint32_t held = (uint32_t)(come < plane->end ? come : plane->end) - plane->y->first[y];
            if (held > plane->ring_rows) plane->ring_rows = held;
        }
    }
}

static bool find_coefs(fi_resample_sink *sink) {
    const bool are_pixels = fi_rows_are_pixels(sink->format.kind);

    sink->max_taps = 0;
    for (unsigned p = 0; p < sink->count; p++) {
        fi_plane_state *plane = &sink->planes[p];
        fi_axis x, y;

        /* All planes that pixels are split into have the pixels' format. */
        fi_axes_make(&x, &y, sink->plan, sink->options->resample, &sink->format, are_pixels ? 0 : p);
        *plane = (fi_plane_state){
            .x = fi_coef_cache_get(sink->cache, &x),
            .y = fi_coef_cache_get(sink->cache, &y),
            .rows_per_group = are_pixels ? SPLIT_ROWS : sink->format.planes[p].rows_per_group,
            .is_q6 = !are_pixels && sink->format.planes[p].is_q6,
        };
        if (!plane->x || !plane->y) return false;
        plane->begin = plane->y->first[0];
        plane->end = end_of(plane->y, sink->plan->rows - 1);
        if (sink->max_taps < plane->y->taps) sink->max_taps = plane->y->taps;
    }
    return true;
}

/* The next nbytes of memory that begins at base; with base NULL they are only counted. */
static void *take(uint8_t *base, size_t *used, size_t nbytes) {
    void *taken = base ? base + *used : NULL;
    *used += align(nbytes);
    return taken;
}

static size_t split_stride(const fi_resample_sink *sink) {
    return align(sink->format.width + FI_ROW_SLACK);
}

/* Lays the sink's memory out from base on, the writer's last. Returns how much that is. */
static size_t lay_out(fi_resample_sink *sink, uint8_t *base) {
    const size_t row = align(sink->plan->cols * sizeof(int16_t));
    size_t used = 0;

    sink->taps = take(base, &used, (sink->max_taps + 1) * sizeof *sink->taps);
    for (unsigned p = 0; p < sink->count; p++) {
        sink->planes[p].ring = take(base, &used, row * sink->planes[p].ring_rows);
        sink->q6[p] = take(base, &used, row);
        if (!fi_rows_are_pixels(sink->format.kind)) continue;
        sink->split[p] = take(base, &used, split_stride(sink) * SPLIT_ROWS);
    }
    sink->pixels = take(base, &used, fi_rows_are_pixels(sink->format.kind) ? 3 * (size_t)sink->format.width : 0);
    uint8_t *writer = take(base, &used, fi_writer_nbytes(sink->plan));
    if (base) fi_writer_init(&sink->writer, sink->plan, sink->options, sink->out, sink->count, writer);
    return used;
}

/* Kernels read a little past the end of a row. What they find has no weight, and is the same each time. */
static void clear_slack(const fi_resample_sink *sink) {
    for (unsigned p = 0; p < sink->count && fi_rows_are_pixels(sink->format.kind); p++) {
        for (uint32_t i = 0; i < SPLIT_ROWS; i++) {
            memset(sink->split[p] + i * split_stride(sink) + sink->format.width, 0, FI_ROW_SLACK);
        }
    }
}

static bool begin(fi_sink *base, const fi_format *format) {
    fi_resample_sink *sink = (fi_resample_sink *)base;

    sink->format = *format;
    sink->count = fi_rows_channels(format->kind, sink->options->mode);
    sink->row = 0;
    sink->kernels = fi_resample_kernels_active();
    if (!find_coefs(sink)) return false;
    size_rings(sink);
    if (!fi_buffer_reserve(sink->memory, lay_out(sink, NULL), 0)) return false;
    lay_out(sink, sink->memory->data);
    clear_slack(sink);
    return true;
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

static int16_t *ring_row(const fi_resample_sink *sink, const fi_plane_state *plane, uint32_t row) {
    return plane->ring + align(sink->plan->cols * sizeof(int16_t)) / sizeof(int16_t) * (row % plane->ring_rows);
}

static bool needs(const fi_sink *base, unsigned p) {
    const fi_plane_state *plane = &const_self(base)->planes[p];
    return const_self(base)->out->data && plane->next < plane->end &&
           plane->next + plane->rows_per_group > plane->begin;
}

/* Resamples `count` rows of a plane horizontally, those that any result needs. */
static void push(fi_resample_sink *sink, fi_plane_state *plane, const uint8_t *src, size_t stride, uint32_t count) {
    const fi_resample_kernels *kernels = sink->kernels;
    const fi_coefs *x = plane->x;
    const uint32_t start = plane->next, end = start + count < plane->end ? start + count : plane->end;
    const uint32_t at_once = x->pairs ? FI_SHUFFLE_ROWS : 2;
    const uint8_t *from[FI_SHUFFLE_ROWS];
    int16_t *to[FI_SHUFFLE_ROWS];

    plane->next = start + count;
    for (uint32_t y = start < plane->begin ? plane->begin : start; y < end; y += at_once) {
        for (uint32_t i = 0; i < at_once; i++) {
            const uint32_t row = y + i < end ? y + i : end - 1; /* where there are fewer, the last one again */
            from[i] = src + (row - start) * stride;
            to[i] = ring_row(sink, plane, row);
        }
        if (plane->is_q6) {
            const int16_t *const q6[2] = {(const void *)from[0], (const void *)from[1]};
            kernels->resample_h_q6(q6, to, x->first, x->weights, x->taps, sink->plan->cols);
        } else if (x->pairs) kernels->resample_h_shuffle(from, to, x->base, x->quads, x->pairs, sink->plan->cols);
        else kernels->resample_h(from, to, x->first, x->weights, x->taps, sink->plan->cols);
    }
}

/* Plane p of the next result row. */
static void resample_row(const fi_resample_sink *sink, unsigned p) {
    const fi_plane_state *plane = &sink->planes[p];
    const fi_coefs *y = plane->y;
    const uint32_t first = y->first[sink->row], used = y->used[sink->row];

    for (uint32_t k = 0; k < used; k++) sink->taps[k] = ring_row(sink, plane, first + k);
    sink->taps[used] = sink->taps[0]; /* if it is read, its weight is 0 */
    sink->kernels->resample_v(sink->taps, y->weights + (size_t)sink->row * y->taps, used + used % 2, sink->q6[p],
                              sink->plan->cols);
}

static void write_row(fi_resample_sink *sink) {
    const int16_t *const q6[3] = {sink->q6[0], sink->q6[1], sink->q6[2]};
    uint8_t *planes[3];

    for (unsigned p = 0; p < sink->count; p++) resample_row(sink, p);
    fi_writer_next_row(&sink->writer, planes);
    if (sink->format.kind == FI_ROWS_YCC) {
        sink->kernels->ycc_q6_to_rgb(q6, planes, sink->plan->cols);
    } else {
        for (unsigned p = 0; p < sink->count; p++) sink->kernels->round_q6(q6[p], planes[p], sink->plan->cols);
    }
    fi_writer_row_done(&sink->writer);
}

/* Writes the results whose rows have all come. */
static void emit(fi_resample_sink *sink) {
    for (; sink->row < sink->plan->rows; sink->row++) {
        for (unsigned p = 0; p < sink->count; p++) {
            if (sink->planes[p].next < end_of(sink->planes[p].y, sink->row)) return;
        }
        if (sink->out->data) write_row(sink);
    }
}

/* `count` rows of plane p, of which the result may need some. */
static void take_rows(fi_resample_sink *sink, unsigned p, const uint8_t *src, size_t stride, uint32_t count) {
    if (sink->out->data) push(sink, &sink->planes[p], src, stride, count);
    else sink->planes[p].next += count;
}

static void take_planes(fi_resample_sink *sink, const uint8_t *const planes[], uint32_t groups) {
    for (uint32_t i = 0; i < groups; i++) {
        for (unsigned p = 0; p < sink->count; p++) {
            const uint32_t count = sink->planes[p].rows_per_group;
            const size_t stride = sink->format.planes[p].stride;
            take_rows(sink, p, planes[p] + i * count * stride, stride, count);
        }
        emit(sink);
    }
}

static void take_pixels(fi_resample_sink *sink, const uint8_t *src, uint32_t count) {
    const size_t stride = split_stride(sink);

    while (count) {
        /* The rings are made for groups that end at multiples of SPLIT_ROWS. */
        const uint32_t room = SPLIT_ROWS - sink->planes[0].next % SPLIT_ROWS, n = count < room ? count : room;
        const bool needed = needs(&sink->base, 0); /* all planes are of the same rows */
        for (uint32_t i = 0; i < n; i++, src += sink->format.planes[0].stride) {
            if (!needed) continue;
            uint8_t *to[3] = {NULL};
            for (unsigned p = 0; p < sink->count; p++) to[p] = sink->split[p] + i * stride;
            fi_split_pixels(sink->format.kind, sink->options->mode, src, to, sink->pixels, sink->format.width);
        }
        for (unsigned p = 0; p < sink->count; p++) take_rows(sink, p, sink->split[p], stride, n);
        emit(sink);
        count -= n;
    }
}

static void rows(fi_sink *base, const uint8_t *const planes[], uint32_t groups) {
    fi_resample_sink *sink = (fi_resample_sink *)base;

    if (fi_rows_are_pixels(sink->format.kind)) take_pixels(sink, planes[0], groups);
    else take_planes(sink, planes, groups);
}

static bool done(const fi_sink *base) {
    return const_self(base)->row == const_self(base)->plan->rows;
}

void fi_resample_sink_init(fi_resample_sink *sink, const fi_plan *plan, const fi_options *options, const fi_output *out,
                           fi_coef_cache *cache, fi_buffer *memory) {
    *sink = (fi_resample_sink){
        .base = {.takes = takes, .begin = begin, .needs = needs, .rows = rows, .done = done},
        .plan = plan,
        .options = options,
        .out = out,
        .cache = cache,
        .memory = memory,
    };
}
