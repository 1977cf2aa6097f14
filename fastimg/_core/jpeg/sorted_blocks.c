/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/sorted_blocks.h"

#include "pixels/fixed_point.h"

#include <string.h>

/* All samples are equal. */
static void fill_dc(const fi_block *block) {
    const uint32_t dc = (uint32_t)fi_dequantise(block->coefficients, block->quantisation, 0);
    const uint8_t sample = fi_clamp8((((int16_t)(uint16_t)(dc << 2) + 16) >> 5) + 128);
    for (int y = 0; y < 8; y++) memset(block->rows[y] + block->column, sample, 8);
}

void fi_sorted_blocks_transform(fi_sorted_blocks *sorted) {
    const fi_idct_kernels *kernels = fi_idct_kernels_active();

    for (size_t i = 0; i < sorted->counts[FI_DC_ONLY]; i++) fill_dc(&sorted->blocks[FI_DC_ONLY][i]);
    for (fi_block_kind kind = FI_LOW_4X4; kind <= FI_FULL; kind++) {
        const fi_block *next = sorted->blocks[kind];
        size_t left = sorted->counts[kind];
        for (; left >= 2; left -= 2, next += 2) kernels->idct_8(&next[0], &next[1], kind == FI_LOW_4X4);
        if (left) kernels->idct_8(next, next, kind == FI_LOW_4X4);
    }
    memset(sorted->counts, 0, sizeof sorted->counts);
}
