/* SPDX-License-Identifier: BSD-3-Clause */
#include "pixels/copy_sink.h"

#include "pixels/color.h"

/* `base` is the first member of every sink. */
static const fi_copy_sink *const_self(const fi_sink *base) {
    return (const fi_copy_sink *)base;
}

static bool takes(const fi_sink *base, fi_rows_kind kind) {
    const fi_copy_sink *sink = const_self(base);

    if (kind == FI_ROWS_OUTPUT) return fi_writer_takes_output(sink->plan, sink->options, sink->out);
    return sink->options->mode != FI_MODE_L || (kind != FI_ROWS_YCC && kind != FI_ROWS_RGB);
}

static bool begin(fi_sink *base, const fi_format *format) {
    fi_copy_sink *sink = (fi_copy_sink *)base;
    const size_t row_nbytes = 3 * (size_t)sink->plan->cols;

    if (!fi_buffer_reserve(sink->memory, row_nbytes + fi_writer_nbytes(sink->plan), 0)) return false;
    sink->format = *format;
    sink->row = 0;
    sink->scratch = sink->memory->data;
    fi_writer_init(&sink->writer, sink->plan, sink->options, sink->out,
                   fi_rows_channels(format->kind, sink->options->mode), sink->memory->data + row_nbytes);
    return true;
}

static uint32_t end_row(const fi_copy_sink *sink) {
    return sink->plan->top + sink->plan->height;
}

static bool needs_row(const fi_copy_sink *sink, uint32_t y) {
    return sink->out->data && y >= sink->plan->top && y < end_row(sink);
}

static bool needs(const fi_sink *base, unsigned p) {
    (void)p;
    return needs_row(const_self(base), const_self(base)->row);
}

static uint8_t *dest(const fi_sink *base, uint32_t y) {
    const fi_copy_sink *sink = const_self(base);
    return needs_row(sink, y) ? fi_writer_dest(&sink->writer, y - sink->plan->top) : NULL;
}

/* One row, beginning with the window's first column. */
static void take_row(fi_copy_sink *sink, const uint8_t *const src[3]) {
    const size_t n = sink->plan->cols;
    uint8_t *planes[3];

    fi_writer_next_row(&sink->writer, planes);
    switch (sink->format.kind) {
        case FI_ROWS_YCC:
            sink->writer.kernels->ycc_u8_to_rgb(src, planes, n);
            break;
        case FI_ROWS_GREY:
        case FI_ROWS_RGB:
            for (unsigned c = 0; c < sink->writer.channels; c++) memcpy(planes[c], src[c], n);
            break;
        default:
            fi_split_pixels(sink->format.kind, sink->options->mode, src[0], planes, sink->scratch, n);
    }
    fi_writer_row_done(&sink->writer);
}

static void rows(fi_sink *base, const uint8_t *const planes[], uint32_t groups) {
    fi_copy_sink *sink = (fi_copy_sink *)base;
    const fi_rows_kind kind = sink->format.kind;
    const size_t pixel_nbytes = kind == FI_ROWS_RGB_PIXELS ? 3 : kind == FI_ROWS_CMYK_PIXELS ? 4 : 1;
    const size_t left = sink->plan->left * pixel_nbytes;
    const unsigned count = kind == FI_ROWS_YCC || kind == FI_ROWS_RGB ? 3 : 1;

    for (uint32_t i = 0; i < groups; i++, sink->row++) {
        const uint8_t *src[3] = {NULL};
        if (kind == FI_ROWS_OUTPUT || !needs_row(sink, sink->row)) continue;
        for (unsigned p = 0; p < count; p++) src[p] = planes[p] + i * sink->format.planes[p].stride + left;
        take_row(sink, src);
    }
}

static bool done(const fi_sink *base) {
    return const_self(base)->row >= end_row(const_self(base));
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
