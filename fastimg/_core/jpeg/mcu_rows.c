/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/mcu_rows.h"

#include "jpeg/sorted_blocks.h"
#include "os/system.h"

#include <string.h>

/* Blocks are decoded in batches small enough for the first-level cache, and then sorted. */
#define BATCH FI_MAX_SORTED

/* The first 10 coefficients in zigzag order are within the 4 x 4 lowest frequencies (T.81, figure A.6). */
#define LOW_4X4_END 10

struct fi_mcu_rows {
    _Alignas(64) int16_t coefficients[BATCH][DCTSIZE2]; /* all zeros between batches */
    uint8_t eob[BATCH];
    fi_sorted_blocks sorted;
};

/* Where one block of every MCU of a row goes. */
typedef struct {
    jpeg_component_info *component;
    fi_inverse_dct *method; /* NULL for the kernel idct_8 */
    JSAMPARRAY rows;
    JDIMENSION column, step; /* in the first MCU; from one MCU to the next */
    JDIMENSION end; /* the first MCU where it is padding, or not needed */
    const fi_reduced *reduced;
    JDIMENSION reduced_end; /* the first MCU where it is not reduced, or padding is in it */
} destination;

/* One row of MCUs. */
typedef struct {
    fi_mcu_rows *work;
    j_decompress_ptr cinfo;
    unsigned count; /* of blocks in an MCU */
    bool sorts; /* whether any of them go to idct_8 */
    destination targets[FI_MAX_MCU_BLOCKS];
} mcu_row;

fi_mcu_rows *fi_mcu_rows_new(void) {
    fi_mcu_rows *work = fi_aligned_new(_Alignof(fi_mcu_rows), sizeof *work);
    if (work) memset(work, 0, sizeof *work);
    return work;
}

void fi_mcu_rows_free(fi_mcu_rows *work) {
    fi_aligned_free(work);
}

/* ---- inverse DCTs ---------------------------------------------------------------------------------------------- */

/* Reduces a block of each MCU from the first one on, in which no padding is. Returns the first MCU that is left. */
static JDIMENSION reduce_whole(const destination *target, const int16_t *coefficients, size_t pitch, JDIMENSION first,
                               JDIMENSION end) {
    if (target->reduced_end < end) end = target->reduced_end;
    if (end <= first) return first;
    target->reduced->idct(&(fi_block_run){
        .coefficients = coefficients,
        .pitch = pitch,
        .quantisation = target->reduced->quantisation,
        .rows = target->rows,
        .column = target->column + first * target->step,
        .step = target->step,
        .count = end - first,
    });
    return end;
}

/* Block b of each MCU, unless it is of those that are sorted. Returns from which MCU on it is none of these. */
static JDIMENSION transform_unsorted(const mcu_row *row, unsigned b, JDIMENSION first, JDIMENSION end) {
    const destination *target = &row->targets[b];
    int16_t (*const blocks)[DCTSIZE2] = row->work->coefficients + b;

    if (!target->method) return end;
    for (JDIMENSION mcu = reduce_whole(target, blocks[0], row->count * DCTSIZE2, first, end); mcu < end; mcu++) {
        target->method(row->cinfo, target->component, blocks[(mcu - first) * row->count], target->rows,
                       target->column + mcu * target->step);
    }
    return first;
}

/* The batch, which holds MCUs first to end - 1 of the row. */
static void transform_batch(const mcu_row *row, JDIMENSION first, JDIMENSION end) {
    fi_mcu_rows *work = row->work;
    fi_sorted_blocks *sorted = &work->sorted;
    const size_t count = (size_t)(end - first) * row->count;

    for (unsigned b = 0; b < row->count; b++) {
        const JDIMENSION last = row->targets[b].end < end ? row->targets[b].end : end;
        const JDIMENSION left = last > first ? transform_unsorted(row, b, first, last) : first;
        for (JDIMENSION mcu = left; row->sorts && mcu < end; mcu++) work->eob[b + (mcu - first) * row->count] = 0;
    }
    if (row->sorts) {
        for (size_t i = 0; i < BATCH; i++) {
            sorted->kinds[i] = (uint8_t)((work->eob[i] > 0) + (work->eob[i] > 1) + (work->eob[i] > LOW_4X4_END));
        }
        sorted->count = count;
        fi_sorted_blocks_transform(sorted);
    }
    memset(work->coefficients, 0, count * sizeof work->coefficients[0]);
}

/* Describes the blocks of the row's first batch, whether they will be sorted or not. */
static void begin_batches(const mcu_row *row, JDIMENSION mcus) {
    fi_block *block = row->work->sorted.blocks;

    for (JDIMENSION mcu = 0, i = 0; mcu < mcus; mcu++) {
        for (unsigned b = 0; b < row->count; b++, i++) {
            const destination *target = &row->targets[b];
            *block++ = (fi_block){
                .coefficients = row->work->coefficients[i],
                .quantisation = target->component->quant_table->quantval,
                .rows = target->rows,
                .column = target->column + mcu * target->step,
            };
        }
    }
}

/* Turns them into those of the next one. */
static void next_batch(const mcu_row *row, JDIMENSION mcus) {
    fi_block *block = row->work->sorted.blocks;

    for (JDIMENSION mcu = 0; mcu < mcus; mcu++) {
        for (unsigned b = 0; b < row->count; b++) block++->column += mcus * row->targets[b].step;
    }
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

/* The first MCU whose block, at target->column there, is not reduced, or not whole. */
static JDIMENSION find_reduced_end(const destination *target) {
    const fi_reduced *reduced = target->reduced;

    if (!reduced->idct || target->column >= reduced->whole_columns ||
        reduced->first + (uint32_t)(target->rows - reduced->rows) >= reduced->whole_rows) {
        return 0;
    }
    return (reduced->whole_columns - target->column - 1) / target->step + 1;
}

static void set_targets(mcu_row *row, fi_inverse_dct *const methods[], bool islow, const fi_reduced reduced[3],
                        JSAMPIMAGE output, int first) {
    const j_decompress_ptr cinfo = row->cinfo;
    const bool last_row = cinfo->input_iMCU_row == cinfo->total_iMCU_rows - 1;

    row->count = 0;
    row->sorts = false;
    for (int i = 0; i < cinfo->comps_in_scan; i++) {
        jpeg_component_info *component = cinfo->cur_comp_info[i];
        const int c = component->component_index, size = FI_DCT_SIZE(component);
        const bool needed = component->component_needed;
        for (int y = first; y < first + component->MCU_height; y++) {
            const bool is_there = needed && (!last_row || y < component->last_row_height);
            for (int x = 0; x < component->MCU_width; x++) {
                destination *target = &row->targets[row->count++];
                *target = (destination){
                    .component = component,
                    .method = islow && size == DCTSIZE ? NULL : methods[c],
                    .rows = output[c] + y * size,
                    .column = (JDIMENSION)(x * size),
                    .step = (JDIMENSION)component->MCU_sample_width,
                    .end = !is_there ? 0 : cinfo->MCUs_per_row - (x >= component->last_col_width),
                    .reduced = c < 3 ? &reduced[c] : NULL,
                };
                target->reduced_end = c < 3 ? find_reduced_end(target) : 0;
                row->sorts |= !target->method;
            }
        }
    }
}

bool fi_mcu_rows_decode(fi_mcu_rows *work, fi_entropy *entropy, j_decompress_ptr cinfo, fi_inverse_dct *const methods[],
                        bool islow, const fi_reduced reduced[3], JSAMPIMAGE output) {
    const jpeg_component_info *only = cinfo->cur_comp_info[0];
    const bool last = cinfo->input_iMCU_row == cinfo->total_iMCU_rows - 1;
    /* If a component is alone in its scan, each block is an MCU. */
    const int rows = cinfo->comps_in_scan > 1 ? 1 : last ? only->last_row_height : only->v_samp_factor;
    const JDIMENSION mcus = cinfo->MCUs_per_row, most = BATCH / (JDIMENSION)cinfo->blocks_in_MCU;
    mcu_row row = {.work = work, .cinfo = cinfo};

    for (int y = 0; y < rows; y++) {
        set_targets(&row, methods, islow, reduced, output, y);
        if (row.sorts) begin_batches(&row, most);
        for (JDIMENSION first = 0; first < mcus; first += most) {
            const JDIMENSION end = mcus - first < most ? mcus : first + most;
            if (!fi_entropy_decode(entropy, end - first, end == mcus, work->coefficients, work->eob)) {
                memset(work->coefficients, 0, sizeof work->coefficients);
                return false;
            }
            transform_batch(&row, first, end);
            if (row.sorts) next_batch(&row, most);
        }
    }
    return true;
}
