/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/sorted_blocks.h"

#include "clear.h"
#include "pixels/fixed_point.h"

#include <string.h>

#define EACH_BYTE(value) ((uint64_t)0x0101010101010101 * (value))

/* All samples are equal. */
static void fill_dc(const fi_block *block) {
    const uint32_t dc = (uint32_t)fi_dequantise(block->coefficients, block->quantisation, 0);
    const uint8_t sample = fi_clamp8((((int16_t)(uint16_t)(dc << 2) + 16) >> 5) + 128);
    uint8_t *const *const rows = block->rows;
    const size_t column = block->column;

    for (int y = 0; y < 8; y++) memset(rows[y] + column, sample, 8);
}

/* Sets bit i if kinds[i] is more than `kind`: eight bytes become eight bits by a multiplication. */
static uint64_t find_above(const uint8_t kinds[FI_MAX_SORTED], fi_block_kind kind) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    const uint64_t gather = 0x8040201008040201;
#else
    const uint64_t gather = 0x0102040810204080;
#endif
    uint64_t found = 0;

    for (unsigned i = 0; i < FI_MAX_SORTED; i += 8) {
        uint64_t eight;
        memcpy(&eight, kinds + i, 8);
        const uint64_t above = (eight + EACH_BYTE(127 - (unsigned)kind)) >> 7 & EACH_BYTE(1);
        found |= (above * gather >> 56) << i;
    }
    return found;
}

static unsigned take_first(uint64_t *places) {
    const unsigned first = (unsigned)__builtin_ctzll(*places);
    *places &= *places - 1;
    return first;
}

static inline void transform(const fi_block *blocks, uint64_t places, bool low, bool clears) {
    const fi_idct_kernels *kernels = fi_idct_kernels_active();

    while (places) {
        const fi_block *first = &blocks[take_first(&places)];
        const fi_block *second = places ? &blocks[take_first(&places)] : first;
        kernels->idct_8(first, second, low);
        if (!clears) continue;
        fi_clear(first->coefficients, low ? 32 : 64);
        fi_clear(second->coefficients, low ? 32 : 64);
    }
}

void fi_sorted_blocks_transform(fi_sorted_blocks *sorted, bool clears) {
    if (sorted->count == 0) return;
    const uint64_t all = UINT64_MAX >> (FI_MAX_SORTED - sorted->count);
    const uint64_t any = find_above(sorted->kinds, FI_NO_BLOCK) & all;
    const uint64_t low = find_above(sorted->kinds, FI_DC_ONLY) & all;
    const uint64_t full = find_above(sorted->kinds, FI_LOW_4X4) & all;

    for (uint64_t flat = any & ~low; flat;) {
        const fi_block *block = &sorted->blocks[take_first(&flat)];
        fill_dc(block);
        if (clears) block->coefficients[0] = 0;
    }
    transform(sorted->blocks, low & ~full, true, clears);
    transform(sorted->blocks, full, false, clears);
    sorted->count = 0;
}
