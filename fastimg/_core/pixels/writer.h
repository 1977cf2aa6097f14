/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The last step of every sink: rows of 8-bit planes into the plan's part of the output array. Channel order,
 * transposition, mirroring, element type, layout and strides are decided here and nowhere else.
 */
#ifndef FI_WRITER_H
#define FI_WRITER_H

#include "fi.h"
#include "pixels/element.h"
#include "pixels/kernels.h"

typedef struct fi_writer {
    const fi_plan *plan;
    const fi_options *options;
    const fi_pixel_kernels *kernels;
    const fi_conversion *conversion;
    uint8_t *dest;             /* the first element of the plan's part of the output */
    ptrdiff_t row_stride;      /* from row to row as they come in: negative if they are mirrored top-down */
    ptrdiff_t channel_stride;
    size_t pixel_stride;
    unsigned channels;         /* of the rows that come in: 1 (luma, or grey for all channels) or 3 (RGB) */
    bool is_planar;            /* a channel's elements are contiguous along a row */
    bool is_direct;            /* planar uint8 rows, not transposed or mirrored: they go straight to the output */
    bool takes_pixels;
    bool is_complete;          /* nothing is left to do once they are where fi_writer_next_row() says */
    uint8_t *first_row[3];     /* if is_direct: where the planes of row 0 go */
    uint32_t row;              /* the next one */
    uint8_t *planes[3];        /* scratch: one row per channel, or TILE of them if the output is transposed */
    uint8_t *transposed[3];    /* scratch: one transposed tile per channel, or a mirrored row */
    uint8_t *pixels;           /* scratch: one row of interleaved pixels */
} fi_writer;

/* Scratch that a writer needs, in bytes. */
size_t fi_writer_nbytes(const fi_plan *plan);

/*
 * For plan->rows rows of plan->cols pixels. `scratch` has fi_writer_nbytes(plan) bytes; plan and options are
 * borrowed.
 */
void fi_writer_init(fi_writer *writer, const fi_plan *plan, const fi_options *options, const fi_output *out,
                    unsigned channels, uint8_t *scratch);

/* Goes to a row, in a copy of a writer that does not transpose and has scratch of its own. */
void fi_writer_move(fi_writer *writer, uint32_t row, uint8_t *scratch);

/*
 * fi_writer_takes_output() returns whether rows of interleaved pixels in the output's channel order (grey ones for mode
 * "L") are the output's rows, byte for byte. If so, fi_writer_dest() returns where row i goes.
 */
bool fi_writer_takes_output(const fi_plan *plan, const fi_options *options, const fi_output *out);
uint8_t *fi_writer_dest(const fi_writer *writer, uint32_t i);

/*
 * After it was initialised for three channels: makes it take rows of pixels of 3 bytes, in the output's channel order, if
 * that is less work for it. Returns whether it does.
 */
bool fi_writer_take_pixels(fi_writer *writer);

/*
 * Where to put the next row's pixels: `channels` pointers to plan->cols bytes, perhaps the output itself. If it takes
 * pixels, to where R, G and B of the first one go.
 */
void fi_writer_next_row(const fi_writer *writer, uint8_t *planes[3]);

/* Call it when they are there: writes them to the output, perhaps only with the rows that follow. */
void fi_writer_row_done(fi_writer *writer);

#endif
