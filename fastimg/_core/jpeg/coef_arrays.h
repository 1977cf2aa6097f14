/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The coefficients of an image with several scans, one array per component. They are libjpeg's virtual arrays, too, in
 * memory that is kept from image to image.
 */
#ifndef FI_COEF_ARRAYS_H
#define FI_COEF_ARRAYS_H

#include "buffer.h"
#include "entropy/entropy.h"
#include "jpeg/compat.h"

typedef struct fi_coef_array {
    JDIMENSION width, height; /* in blocks, with those that only fill MCUs */
    JBLOCKARRAY rows;
    fi_block_state *states; /* of progressive files, row after row */
} fi_coef_array;

#define FI_COEF_ARRAY_BLOCK_NBYTES (sizeof(JBLOCK) + sizeof(fi_block_state))

/* All zeros is empty. */
typedef struct fi_coef_arrays {
    fi_coef_array of[MAX_COMPONENTS];
    unsigned count;
    bool is_open; /* the blocks are not complete without their states */
    fi_buffer blocks, states;
} fi_coef_arrays;

/*
 * Memory for `count` arrays of a width and height; those of a progressive file have states. No block has anything.
 * Returns false if there is none.
 */
bool fi_coef_arrays_allocate(fi_coef_arrays *arrays, bool is_progressive);

/* Once libjpeg works with them: all blocks become what the scans so far say. */
void fi_coef_arrays_complete(fi_coef_arrays *arrays);

void fi_coef_arrays_trim(fi_coef_arrays *arrays); /* between images: frees what only large ones need */
void fi_coef_arrays_free(fi_coef_arrays *arrays);

#endif
