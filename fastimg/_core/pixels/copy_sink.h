/* SPDX-License-Identifier: BSD-3-Clause */
/* The sink of the exact route: the plan's window of an image as it is. */
#ifndef FI_COPY_SINK_H
#define FI_COPY_SINK_H

#include "buffer.h"
#include "pixels/sink.h"
#include "pixels/writer.h"

typedef struct fi_copy_sink {
    fi_sink base;
    const fi_plan *plan;
    const fi_options *options;
    const fi_output *out;
    fi_buffer *memory; /* one row of RGB pixels, and the writer's scratch */
    uint8_t *pixels; /* in there: the row */
    fi_format format;
    fi_writer writer;
    unsigned plane_count;  /* of the rows that come: 1 or 3 */
    fi_ycc_kernel *convert; /* if they are Y, Cb and Cr */
    size_t left, chroma_left; /* bytes before the window's first column, or its pair of columns; of Cb and Cr */
    uint32_t row, end;     /* of the image: the next row to come; the one after the window's last */
} fi_copy_sink;

/* All that is passed in is borrowed, and must outlive the sink. */
void fi_copy_sink_init(fi_copy_sink *sink, const fi_plan *plan, const fi_options *options, const fi_output *out,
                       fi_buffer *memory);

#endif
