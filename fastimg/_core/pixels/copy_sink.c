/* SPDX-License-Identifier: BSD-3-Clause */
#include "pixels/copy_sink.h"

#include "pixels/color.h"

#include <string.h>

/* `base` is the first member of every sink. */
static const fi_copy_sink *const_self(const fi_sink *base) {
    return (const fi_copy_sink *)base;
}

static bool takes(const fi_sink *base, fi_rows_kind kind) {
    const fi_copy_sink *sink = const_self(base);

    if (kind == FI_ROWS_OUTPUT) return fi_writer_takes_output(sink->plan, sink->options, sink->out);
    return sink->options->mode != FI_MODE_L || (kind != FI_ROWS_YCC && kind != FI_ROWS_RGB);
}

static void choose_conversion(fi_copy_sink *sink) {
    const fi_format *format = &sink->format;
    const fi_pixel_kernels *kernels = sink->writer.kernels;
    fi_sampling sampling = FI_H1V1;

    if (format->planes[1].h_samp < format->max_h_samp) {
        sampling = format->planes[1].v_samp < format->max_v_samp ? FI_H2V2 : FI_H2V1;
        sink->left = sink->plan->left & ~(size_t)1;
        sink->chroma_left = sink->plan->left / 2;
        if (sampling == FI_H2V2) sink->plane_count = 5;
    }
    sink->convert =
        fi_writer_take_pixels(&sink->writer) ? kernels->ycc_to_pixels[sampling] : kernels->ycc_to_planes[sampling];
}

/* Sinks differ in what they write to meanwhile. */
static fi_sink *fork_sink(const fi_sink *base, uint32_t y, fi_buffer *memory) {
    const fi_plan *plan = const_self(base)->plan;
    const size_t head = (sizeof(fi_copy_sink) + 63) & ~(size_t)63, row_nbytes = 3 * (size_t)plan->cols;

    if (!fi_buffer_reserve(memory, head + row_nbytes + fi_writer_nbytes(plan), 0)) return NULL;
    fi_copy_sink *sink = (fi_copy_sink *)(void *)memory->data;
    *sink = *const_self(base);
    sink->pixels = memory->data + head;
    sink->row = y;
    fi_writer_move(&sink->writer, y > plan->top ? y - plan->top : 0, sink->pixels + row_nbytes);
    return &sink->base;
}

static bool begin(fi_sink *base, const fi_format *format) {
    fi_copy_sink *sink = (fi_copy_sink *)base;
    const fi_plan *plan = sink->plan;
    const size_t row_nbytes = 3 * (size_t)plan->cols;
    const fi_rows_kind kind = format->kind;

    if (!fi_buffer_reserve(sink->memory, row_nbytes + fi_writer_nbytes(plan), 0)) return false;
    sink->pixels = sink->memory->data;
    sink->base.fork = plan->transpose ? NULL : fork_sink;
    sink->format = *format;
    sink->plane_count = kind == FI_ROWS_YCC || kind == FI_ROWS_RGB ? 3 : 1;
    sink->left = sink->chroma_left = plan->left * (size_t)(kind == FI_ROWS_RGB_PIXELS    ? 3
                                                           : kind == FI_ROWS_CMYK_PIXELS ? 4
                                                                                         : 1);
    sink->row = 0;
    sink->end = plan->top + plan->height;
    fi_writer_init(&sink->writer, plan, sink->options, sink->out, fi_rows_channels(kind, sink->options->mode),
                   sink->pixels + row_nbytes);
    if (kind == FI_ROWS_YCC) choose_conversion(sink);
    return true;
}

static bool needs_row(const fi_copy_sink *sink, uint32_t y) {
    return y >= sink->plan->top && y < sink->end && sink->out->data;
}

static bool needs(const fi_sink *base, unsigned p) {
    (void)p;
    return needs_row(const_self(base), const_self(base)->row);
}

static uint8_t *dest(const fi_sink *base, uint32_t y) {
    const fi_copy_sink *sink = const_self(base);
    return needs_row(sink, y) ? fi_writer_dest(&sink->writer, y - sink->plan->top) : NULL;
}

/* One row, beginning with the window's first column, or the pair of columns that it is in. */
static void take_row(fi_copy_sink *sink, const uint8_t *const src[5]) {
    const size_t n = sink->plan->cols;
    uint8_t *planes[3];

    fi_writer_next_row(&sink->writer, planes);
    switch (sink->format.kind) {
        case FI_ROWS_YCC:
            sink->convert(src, sink->plan->left - sink->left, planes, n);
            break;
        case FI_ROWS_GREY:
        case FI_ROWS_RGB:
            for (unsigned c = 0; c < sink->writer.channels; c++) memcpy(planes[c], src[c], n);
            break;
        default:
            fi_split_pixels(sink->format.kind, sink->options->mode, src[0], planes, sink->pixels, n);
    }
    fi_writer_row_done(&sink->writer);
}

static void rows(fi_sink *base, const uint8_t *const planes[], uint32_t groups) {
    fi_copy_sink *sink = (fi_copy_sink *)base;

    for (uint32_t i = 0; i < groups; i++, sink->row++) {
        const uint8_t *src[5] = {NULL};
        if (!needs_row(sink, sink->row) || sink->format.kind == FI_ROWS_OUTPUT) continue;
        for (unsigned p = 0; p < sink->plane_count; p++) {
            const size_t below = p < 3 ? i * sink->format.planes[p].stride : 0;
            const uint8_t *plane = planes[p];
            FI_OPAQUE(plane);
            src[p] = plane + below + (p == 0 ? sink->left : sink->chroma_left);
        }
        take_row(sink, src);
    }
}

static bool done(const fi_sink *base) {
    return const_self(base)->row >= const_self(base)->end;
}

void fi_copy_sink_init(fi_copy_sink *sink, const fi_plan *plan, const fi_options *options, const fi_output *out,
                       fi_buffer *memory) {
    *sink = (fi_copy_sink){
        .base = {.takes = takes, .begin = begin, .needs = needs, .dest = dest, .rows = rows, .done = done},
        .plan = plan,
        .options = options,
        .out = out,
        .memory = memory,
    };
}
