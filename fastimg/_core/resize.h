/* SPDX-License-Identifier: BSD-3-Clause */
/* From rows of a source's planes, each at its own resolution, to the rows of a smaller or larger image. */
#ifndef FI_RESIZE_H
#define FI_RESIZE_H

#include "pixels.h"
#include "weights.h"

/* One plane of the source. Its rows come from the top, `batch` of them at a time. */
typedef struct fi_plane {
    fi_axis x, y;
    uint32_t batch;
} fi_plane;

/* A resizer's view of one plane: weights, and a ring of rows that are resampled along x only. */
typedef struct fi_track {
    const fi_bank *x, *y;
    int16_t *ring;
    uint32_t ring_rows;
    uint32_t begin, end; /* the rows that any result needs: begin to end - 1 */
    uint32_t next;       /* those before it have come */
} fi_track;

/*
 * Rows are resampled along x as they come, into a ring that holds as many as the filter along y needs; a result row is
 * made, converted and stored as soon as its last row is there. The banks that the axes ask for must outlive the resizer.
 */
typedef struct fi_resizer {
    fi_track tracks[3];
    unsigned planes; /* 1 or 3 */
    bool is_ycc;     /* Y, Cb, Cr to be stored as R, G, B; else planes are stored as they are */
    uint32_t rows, cols, row; /* of the results; the next one */
    size_t most_taps;
    fi_store *store;
    const fi_kernels *kernels;
    const int16_t **taps; /* scratch: the ring rows of one result */
    int16_t *levels[3];   /* scratch: one result row a plane */
} fi_resizer;

/* false: no memory. */
bool fi_resizer_init(fi_resizer *resizer, const fi_plane *planes, unsigned count, fi_banks *banks);
size_t fi_resizer_nbytes(const fi_resizer *resizer);
/* `scratch` needs fi_resizer_nbytes(), at an address that suits every type. store NULL: nothing is made of the rows. */
void fi_resizer_start(fi_resizer *resizer, bool is_ycc, fi_store *store, const fi_kernels *kernels, uint8_t *scratch);

/* Whether any result needs one of the next `rows` rows of plane c. */
bool fi_resizer_needs(const fi_resizer *resizer, unsigned c, uint32_t rows);

/*
 * The next batch of rows of plane c, `stride` bytes apart; those that no result needs may hold anything. Bytes behind a row
 * must be readable, FI_ROW_SLACK of them.
 */
void fi_resizer_push(fi_resizer *resizer, unsigned c, const uint8_t *src, size_t stride, uint32_t rows);
/* Makes and stores what can be made of the rows so far. true: that was all. */
bool fi_resizer_emit(fi_resizer *resizer);

#endif
