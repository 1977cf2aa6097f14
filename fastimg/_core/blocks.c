/* SPDX-License-Identifier: BSD-3-Clause */
#include "blocks.h"

#include "idct.h"
#include "pixels.h"
#include "session_private.h"

#include <stdlib.h>
#include <string.h>

/* Coefficients up to here in zigzag order lie in the 4 x 4 lowest frequencies (T.81, figure A.6). */
#define LOW_END 10

/* Two blocks of a component are transformed at once: the first waits for the second. */
typedef struct {
    int16_t *coefficients; /* all zeros if it does not */
    JSAMPARRAY rows;
    size_t column;
    bool is_there;
} waiting;

struct fi_blocks {
    _Alignas(64) int16_t memory[FI_MCU_MOST_BLOCKS + 2 * MAX_COMPS_IN_SCAN][DCTSIZE2];
    int16_t *mcu[FI_MCU_MOST_BLOCKS]; /* where the next one's coefficients go, all zeros */
    waiting waiting[MAX_COMPS_IN_SCAN][2]; /* of each component, and with low frequencies alone */
};

/* Where a block of every MCU in a row goes. */
typedef struct {
    jpeg_component_info *component;
    fi_inverse_dct *method; /* NULL: the kernel */
    JSAMPARRAY rows;
    JDIMENSION column, step; /* in the first MCU; from one to the next */
    JDIMENSION end; /* from this MCU on it is padding, or nobody needs it */
    waiting *waiting;
} target;

fi_blocks *fi_blocks_new(void) {
    return aligned_alloc(_Alignof(fi_blocks), sizeof(fi_blocks));
}

void fi_blocks_free(fi_blocks *blocks) {
    free(blocks);
}

void fi_blocks_start(fi_blocks *blocks) {
    int16_t (*next)[DCTSIZE2] = blocks->memory;

    memset(blocks, 0, sizeof *blocks);
    for (int b = 0; b < FI_MCU_MOST_BLOCKS; b++) blocks->mcu[b] = *next++;
    for (int i = 0; i < MAX_COMPS_IN_SCAN; i++) {
        for (int low = 0; low < 2; low++) blocks->waiting[i][low].coefficients = *next++;
    }
}

/* ---- one block ------------------------------------------------------------------------------------------------- */

/* All samples are alike. */
static void fill_flat(int32_t dc, uint8_t *const *rows, size_t column) {
    const uint8_t sample = fi_clamp8((((int16_t)(uint16_t)((uint32_t)dc << 2) + 16) >> 5) + 128);
    for (int y = 0; y < DCTSIZE; y++) memset(rows[y] + column, sample, DCTSIZE);
}

static void transform_two(waiting *first, int16_t *coefficients, const target *target, size_t column, bool low) {
    const int16_t *const x[2] = {first->coefficients, coefficients};
    uint8_t *const *const rows[2] = {first->rows, target->rows};
    const size_t columns[2] = {first->column, column};
    const size_t nbytes = (low ? DCTSIZE2 / 2 : DCTSIZE2) * sizeof *coefficients;

    fi_kernels_active()->idct_8(x, target->component->quant_table->quantval, rows, columns, low);
    memset(first->coefficients, 0, nbytes);
    memset(coefficients, 0, nbytes);
    first->is_there = false;
}

/* From here on, or later, *coefficients become samples; what it is then points to is all zeros. */
static void transform(int16_t **coefficients, const target *target, size_t column, unsigned end) {
    const uint16_t *q = target->component->quant_table->quantval;
    waiting *waiting = &target->waiting[end <= LOW_END];

    if (end == 1) {
        fill_flat(fi_dequantise(*coefficients, q, 0), target->rows, column);
        **coefficients = 0;
    } else if (waiting->is_there) {
        transform_two(waiting, *coefficients, target, column, end <= LOW_END);
    } else {
        int16_t *const free = waiting->coefficients;
        waiting->coefficients = *coefficients;
        waiting->rows = target->rows;
        waiting->column = column;
        waiting->is_there = true;
        *coefficients = free;
    }
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

/* Block (y, x) of the i-th component's in an MCU. */
static target make_target(fi_blocks *blocks, j_decompress_ptr cinfo, int i, int y, int x, bool is_there,
                          fi_inverse_dct *method, JSAMPARRAY rows) {
    jpeg_component_info *component = cinfo->cur_comp_info[i];
    const int size = FI_DCT_SIZE(component);
    const JDIMENSION mcus = cinfo->MCUs_per_row;

    return (target){
        .component = component,
        .method = method,
        .rows = rows + y * size,
        .column = (JDIMENSION)(x * size),
        .step = (JDIMENSION)component->MCU_sample_width,
        .end = !is_there || !component->component_needed ? 0
               : x < component->last_col_width           ? mcus
                                                         : mcus - 1,
        .waiting = blocks->waiting[i],
    };
}

static void set_targets(fi_blocks *blocks, j_decompress_ptr cinfo, fi_inverse_dct *const methods[], bool islow,
                        JSAMPIMAGE output, int mcu_row, target targets[FI_MCU_MOST_BLOCKS]) {
    const bool last = cinfo->input_iMCU_row == cinfo->total_iMCU_rows - 1;

    for (int i = 0; i < cinfo->comps_in_scan; i++) {
        const jpeg_component_info *component = cinfo->cur_comp_info[i];
        const int c = component->component_index;
        const bool by_kernel = islow && FI_DCT_SIZE(component) == DCTSIZE;
        for (int y = mcu_row; y < mcu_row + component->MCU_height; y++) {
            const bool is_there = !last || y < component->last_row_height;
            for (int x = 0; x < component->MCU_width; x++) {
                *targets++ = make_target(blocks, cinfo, i, y, x, is_there, by_kernel ? NULL : methods[c], output[c]);
            }
        }
    }
}

static void finish_waiting(fi_blocks *blocks, j_decompress_ptr cinfo) {
    for (int i = 0; i < cinfo->comps_in_scan; i++) {
        for (int low = 0; low < 2; low++) {
            waiting *one = &blocks->waiting[i][low];
            const target itself = {.component = cinfo->cur_comp_info[i], .rows = one->rows};
            if (one->is_there) transform_two(one, one->coefficients, &itself, one->column, low);
        }
    }
}

static bool decode_mcus(fi_blocks *blocks, fi_entropy *entropy, j_decompress_ptr cinfo, const target *targets) {
    const uint8_t *ends = fi_entropy_ends(entropy);
    const int count = cinfo->blocks_in_MCU;

    for (JDIMENSION mcu = 0; mcu < cinfo->MCUs_per_row; mcu++) {
        if (!fi_entropy_decode_mcu(entropy, blocks->mcu, mcu == cinfo->MCUs_per_row - 1)) return false;
        for (int b = 0; b < count; b++) {
            const target *target = &targets[b];
            const JDIMENSION column = target->column + mcu * target->step;
            if (mcu < target->end && !target->method) {
                transform(&blocks->mcu[b], target, column, ends[b]);
                continue;
            }
            if (mcu < target->end) target->method(cinfo, target->component, blocks->mcu[b], target->rows, column);
            memset(blocks->mcu[b], 0, sizeof blocks->memory[0]);
        }
    }
    return true;
}

bool fi_blocks_decode_row(fi_blocks *blocks, fi_entropy *entropy, j_decompress_ptr cinfo,
                          fi_inverse_dct *const methods[], bool islow, JSAMPIMAGE output) {
    const jpeg_component_info *first = cinfo->cur_comp_info[0];
    const bool last = cinfo->input_iMCU_row == cinfo->total_iMCU_rows - 1;
    /* Of a component that is alone in its scan, every block is an MCU. */
    const int mcu_rows = cinfo->comps_in_scan > 1 ? 1 : last ? first->last_row_height : first->v_samp_factor;
    target targets[FI_MCU_MOST_BLOCKS];

    for (int mcu_row = 0; mcu_row < mcu_rows; mcu_row++) {
        set_targets(blocks, cinfo, methods, islow, output, mcu_row, targets);
        if (!decode_mcus(blocks, entropy, cinfo, targets)) return false;
    }
    finish_waiting(blocks, cinfo);
    return true;
}
