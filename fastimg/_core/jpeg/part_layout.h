/* SPDX-License-Identifier: BSD-3-Clause */
/* What a route tells the threads that decode an image for it. */
#ifndef FI_PART_LAYOUT_H
#define FI_PART_LAYOUT_H

#include "jpeg/compat.h"
#include "pixels/sink.h"

/* How a row of MCUs is laid out, and what becomes of it. */
typedef struct fi_part_layout {
    unsigned count; /* of planes */
    struct {
        size_t stride, margin; /* bytes from row to row; in front of the first one */
        uint32_t rows;
    } planes[3];
    JDIMENSION rows; /* of MCUs that are needed, from the top */
    uint32_t lines, lag; /* of pixels in a row of MCUs; how many of them wait for the row below */
    bool any_end; /* no more rows are needed once the sink is done */
    bool skips; /* coefficients that are not needed */
    bool in_order; /* the sink must get the rows in order; else forks of it may get them */
    const void *context;
    void (*finish)(const void *context, JSAMPARRAY const planes[3]); /* a row that is there; or NULL */
    /* Gives the lines that are whole then to a sink that has got to them; above: the planes of the row above. */
    void (*give)(const void *context, fi_sink *sink, JDIMENSION row, JSAMPARRAY const above[3],
                 JSAMPARRAY const planes[3]);
} fi_part_layout;

#endif
