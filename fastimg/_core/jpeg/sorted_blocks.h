/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks on their way to the kernel idct_8, sorted by what is in them: in file order, branches between kinds of block are
 * as unpredictable as the picture.
 */
#ifndef FI_SORTED_BLOCKS_H
#define FI_SORTED_BLOCKS_H

#include "pixels/kernels.h"

#define FI_MAX_SORTED 64

/* So many coefficients, the first in zigzag order, are within the 4 x 4 lowest frequencies (T.81, figure A.6). */
#define FI_LOW_4X4_END 10

typedef enum fi_block_kind { FI_NO_BLOCK, FI_DC_ONLY, FI_LOW_4X4, FI_FULL } fi_block_kind;

/* All zeros is empty. LOW_4X4: no coefficient is set but those of the 4 x 4 lowest frequencies. */
typedef struct fi_sorted_blocks {
    fi_block blocks[FI_MAX_SORTED];
    uint8_t kinds[FI_MAX_SORTED];
    size_t count;
} fi_sorted_blocks;

/* At most FI_MAX_SORTED of them. */
static inline void fi_sorted_blocks_add(fi_sorted_blocks *sorted, fi_block_kind kind, fi_block block) {
    sorted->blocks[sorted->count] = block;
    sorted->kinds[sorted->count++] = (uint8_t)kind;
}

/* All that were added to samples; none are left, but their descriptions stay. clears: their coefficients become zero. */
void fi_sorted_blocks_transform(fi_sorted_blocks *sorted, bool clears);

#endif
