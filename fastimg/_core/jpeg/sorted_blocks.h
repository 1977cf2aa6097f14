/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks on their way to the kernel idct_8, sorted by what is in them: in file order, branches between kinds of block are
 * as unpredictable as the picture.
 */
#ifndef FI_SORTED_BLOCKS_H
#define FI_SORTED_BLOCKS_H

#include "pixels/kernels.h"

#define FI_MAX_SORTED 64

typedef enum fi_block_kind { FI_DC_ONLY, FI_LOW_4X4, FI_FULL, FI_BLOCK_KINDS } fi_block_kind;

/* All zeros is empty. */
typedef struct fi_sorted_blocks {
    fi_block blocks[FI_BLOCK_KINDS][FI_MAX_SORTED];
    size_t counts[FI_BLOCK_KINDS];
} fi_sorted_blocks;

/* At most FI_MAX_SORTED of them. LOW_4X4: no coefficient is set but those of the 4 x 4 lowest frequencies. */
static inline void fi_sorted_blocks_add(fi_sorted_blocks *sorted, fi_block_kind kind, fi_block block) {
    sorted->blocks[kind][sorted->counts[kind]++] = block;
}

/* All that were added to samples; none are left. */
void fi_sorted_blocks_transform(fi_sorted_blocks *sorted);

#endif
