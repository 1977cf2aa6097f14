/* SPDX-License-Identifier: BSD-3-Clause */
#include "blocks.h"

#include "idct.h"
#include "pixels.h"
#include "session_private.h"

#include <stdlib.h>
#include <string.h>

/*
 * Blocks are decoded by the batch, small enough to stay in the first-level cache, and then sorted by what is in them: in
 * their own order the branches between them would be as unpredictable as the picture.
 */
#define BATCH 64

/* Coefficients up to here in zigzag order lie in the 4 x 4 lowest frequencies (T.81, figure A.6). */
#define LOW_END 10

enum { FLAT, LOW, FULL, KINDS };

struct fi_blocks {
    _Alignas(64) int16_t coefficients[BATCH][DCTSIZE2]; /* all zeros between batches */
    uint8_t ends[BATCH];
    fi_block sorted[KINDS][BATCH];
    size_t counts[KINDS];
};

/* Where a block of every MCU in a row goes. */
typedef struct {
    jpeg_component_info *component;
    fi_inverse_dct *method; /* NULL: the kernel */
    JSAMPARRAY rows;
    JDIMENSION column, step; /* in the first MCU; from one to the next */
    JDIMENSION end; /* from this MCU on it is padding, or nobody needs it */
} destination;

/* A row of them. */
typedef struct {
    fi_blocks *blocks;
    j_decompress_ptr cinfo;
    unsigned count; /* blocks in an MCU */
    destination targets[FI_MCU_MOST_BLOCKS];
} mcu_row;

fi_blocks *fi_blocks_new(void) {
    fi_blocks *blocks = aligned_alloc(_Alignof(fi_blocks), sizeof *blocks);
    if (blocks) memset(blocks, 0, sizeof *blocks);
    return blocks;
}

void fi_blocks_free(fi_blocks *blocks) {
    free(blocks);
}

/* ---- inverse DCTs ---------------------------------------------------------------------------------------------- */

/* All samples are alike. */
static void fill_flat(const fi_block *block) {
    const uint32_t dc = (uint32_t)fi_dequantise(block->coefficients, block->quantisation, 0);
    const uint8_t sample = fi_clamp8((((int16_t)(uint16_t)(dc << 2) + 16) >> 5) + 128);
    for (int y = 0; y < DCTSIZE; y++) memset(block->rows[y] + block->column, sample, DCTSIZE);
}

static void transform_sorted(fi_blocks *blocks) {
    const fi_kernels *kernels = fi_kernels_active();

    for (size_t i = 0; i < blocks->counts[FLAT]; i++) fill_flat(&blocks->sorted[FLAT][i]);
    for (int kind = LOW; kind <= FULL; kind++) {
        const fi_block *next = blocks->sorted[kind];
        size_t left = blocks->counts[kind];
        for (; left >= 2; left -= 2, next += 2) kernels->idct_8(&next[0], &next[1], kind == LOW);
        if (left) kernels->idct_8(next, next, kind == LOW);
    }
    memset(blocks->counts, 0, sizeof blocks->counts);
}

static void sort_block(fi_blocks *blocks, unsigned i, const destination *target, JDIMENSION column) {
    const unsigned kind = (blocks->ends[i] > 1) + (blocks->ends[i] > LOW_END);

    blocks->sorted[kind][blocks->counts[kind]++] = (fi_block){
        .coefficients = blocks->coefficients[i],
        .quantisation = target->component->quant_table->quantval,
        .rows = target->rows,
        .column = column,
    };
}

/* MCUs first to end of the row, which are what the batch holds. */
static void transform_batch(const mcu_row *row, JDIMENSION first, JDIMENSION end) {
    fi_blocks *blocks = row->blocks;

    for (unsigned b = 0; b < row->count; b++) {
        const destination *target = &row->targets[b];
        const JDIMENSION last = target->end < end ? target->end : end;
        unsigned i = b;
        for (JDIMENSION mcu = first; mcu < last; mcu++, i += row->count) {
            const JDIMENSION column = target->column + mcu * target->step;
            if (target->method) {
                target->method(row->cinfo, target->component, blocks->coefficients[i], target->rows, column);
            } else {
                sort_block(blocks, i, target, column);
            }
        }
    }
    transform_sorted(blocks);
    memset(blocks->coefficients, 0, (end - first) * row->count * sizeof blocks->coefficients[0]);
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

static void set_targets(mcu_row *row, fi_inverse_dct *const methods[], bool islow, JSAMPIMAGE output, int first) {
    const j_decompress_ptr cinfo = row->cinfo;
    const bool last_row = cinfo->input_iMCU_row == cinfo->total_iMCU_rows - 1;

    row->count = 0;
    for (int i = 0; i < cinfo->comps_in_scan; i++) {
        jpeg_component_info *component = cinfo->cur_comp_info[i];
        const int c = component->component_index, size = FI_DCT_SIZE(component);
        const bool needed = component->component_needed;
        for (int y = first; y < first + component->MCU_height; y++) {
            const bool is_there = needed && (!last_row || y < component->last_row_height);
            for (int x = 0; x < component->MCU_width; x++) {
                row->targets[row->count++] = (destination){
                    .component = component,
                    .method = islow && size == DCTSIZE ? NULL : methods[c],
                    .rows = output[c] + y * size,
                    .column = (JDIMENSION)(x * size),
                    .step = (JDIMENSION)component->MCU_sample_width,
                    .end = !is_there ? 0 : cinfo->MCUs_per_row - (x >= component->last_col_width),
                };
            }
        }
    }
}

bool fi_blocks_decode_row(fi_blocks *blocks, fi_entropy *entropy, j_decompress_ptr cinfo,
                          fi_inverse_dct *const methods[], bool islow, JSAMPIMAGE output) {
    const jpeg_component_info *only = cinfo->cur_comp_info[0];
    const bool last = cinfo->input_iMCU_row == cinfo->total_iMCU_rows - 1;
    /* Of a component that is alone in its scan, every block is an MCU. */
    const int rows = cinfo->comps_in_scan > 1 ? 1 : last ? only->last_row_height : only->v_samp_factor;
    const JDIMENSION mcus = cinfo->MCUs_per_row, most = BATCH / (JDIMENSION)cinfo->blocks_in_MCU;
    mcu_row row = {.blocks = blocks, .cinfo = cinfo};

    for (int y = 0; y < rows; y++) {
        set_targets(&row, methods, islow, output, y);
        for (JDIMENSION first = 0; first < mcus; first += most) {
            const JDIMENSION end = mcus - first < most ? mcus : first + most;
            if (!fi_entropy_decode(entropy, end - first, end == mcus, blocks->coefficients, blocks->ends)) {
                memset(blocks->coefficients, 0, sizeof blocks->coefficients);
                return false;
            }
            transform_batch(&row, first, end);
        }
    }
    return true;
}
