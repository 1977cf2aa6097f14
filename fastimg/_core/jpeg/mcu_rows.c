/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/mcu_rows.h"

#include "clear.h"
#include "os/system.h"

#include <string.h>

fi_mcu_rows *fi_mcu_rows_new(void) {
    fi_mcu_rows *work = fi_aligned_new(_Alignof(fi_mcu_rows), sizeof *work);
    if (work) memset(work, 0, sizeof *work);
    return work;
}

void fi_mcu_rows_free(fi_mcu_rows *work) {
    fi_aligned_free(work);
}

/* ---- inverse DCTs ---------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) void reduce_edge(j_decompress_ptr cinfo, jpeg_component_info *component,
                                                  JCOEFPTR block, const fi_reduced *reduced, JSAMPARRAY rows,
                                                  JDIMENSION column) {
    const uint32_t size = (uint32_t)FI_DCT_SIZE(component), row = reduced->first + (uint32_t)(rows - reduced->rows);
    const uint32_t height = reduced->height - row / size * DCTSIZE, width = reduced->width - column / size * DCTSIZE;
    uint8_t pixels[DCTSIZE][DCTSIZE];
    JSAMPROW pixel_rows[DCTSIZE];

    for (int y = 0; y < DCTSIZE; y++) pixel_rows[y] = pixels[y];
    reduced->full_size(cinfo, component, block, pixel_rows, 0);
    fi_idct_reduce_pixels(pixels, size, height < DCTSIZE ? height : DCTSIZE, width < DCTSIZE ? width : DCTSIZE, rows,
                          column);
}

void fi_reduce_block(j_decompress_ptr cinfo, jpeg_component_info *component, const fi_reduced *reduced, JCOEFPTR block,
                     JSAMPARRAY rows, JDIMENSION column) {
    if (reduced->first + (uint32_t)(rows - reduced->rows) < reduced->whole_rows && column < reduced->whole_columns) {
        reduced->idct(&(fi_block_run){block, DCTSIZE2, reduced->quantisation, rows, column, 0, 1});
    } else {
        reduce_edge(cinfo, component, block, reduced, rows, column);
    }
}

/* Reduces a block of each MCU from the first one on, in which no padding is. Returns the first MCU that is left. */
static JDIMENSION reduce_whole(const fi_destination *target, const int16_t *coefficients, size_t pitch,
                               JDIMENSION first, JDIMENSION end) {
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
static JDIMENSION transform_unsorted(const fi_mcu_row *row, int16_t (*blocks)[DCTSIZE2], unsigned b, JDIMENSION first,
                                     JDIMENSION end) {
    const fi_destination *target = &row->targets[b];

    if (!target->method && !target->reduced) return end;
    for (JDIMENSION mcu = reduce_whole(target, blocks[b], row->count * DCTSIZE2, first, end); mcu < end; mcu++) {
        int16_t *const block = blocks[b + (mcu - first) * row->count];
        const JDIMENSION column = target->column + mcu * target->step;
        if (!target->reduced) target->method(row->cinfo, target->component, block, target->rows, column);
        else fi_reduce_block(row->cinfo, target->component, target->reduced, block, target->rows, column);
    }
    return first;
}

/* Those of a batch whose blocks have been described. */
static void transform(const fi_mcu_row *row, fi_sorted_blocks *sorted, int16_t (*blocks)[DCTSIZE2], uint8_t *eob,
                      JDIMENSION first, JDIMENSION end) {
    const size_t count = (size_t)(end - first) * row->count;

    for (unsigned b = 0; b < row->count; b++) {
        const JDIMENSION last = row->targets[b].end < end ? row->targets[b].end : end;
        const JDIMENSION left = last > first ? transform_unsorted(row, blocks, b, first, last) : first;
        for (JDIMENSION mcu = left; row->sorts && mcu < end; mcu++) {
            const size_t i = b + (mcu - first) * row->count;
            eob[i] = 0;
            fi_clear(blocks[i], DCTSIZE2);
        }
    }
    if (row->sorts) {
        for (size_t i = 0; i < FI_MCU_BATCH; i++) {
            sorted->kinds[i] = (uint8_t)((eob[i] > 0) + (eob[i] > 1) + (eob[i] > FI_LOW_4X4_END));
        }
        sorted->count = count;
        fi_sorted_blocks_transform(sorted, true);
    } else {
        memset(blocks, 0, count * sizeof blocks[0]);
    }
}

/* Describes the blocks of MCUs first to end - 1, whether they will be sorted or not. */
static void describe_batch(const fi_mcu_row *row, fi_sorted_blocks *sorted, int16_t (*blocks)[DCTSIZE2],
                           JDIMENSION first, JDIMENSION end) {
    fi_block *block = sorted->blocks;

    for (JDIMENSION mcu = first, i = 0; mcu < end; mcu++) {
        for (unsigned b = 0; b < row->count; b++, i++) {
            const fi_destination *target = &row->targets[b];
            *block++ = (fi_block){
                .coefficients = blocks[i],
                .quantisation = target->component->quant_table->quantval,
                .rows = target->rows,
                .column = target->column + mcu * target->step,
            };
        }
    }
}

/* Turns them into those of the next batch. */
static void describe_next(const fi_mcu_row *row, fi_sorted_blocks *sorted, JDIMENSION mcus) {
    fi_block *block = sorted->blocks;

    for (JDIMENSION mcu = 0; mcu < mcus; mcu++) {
        for (unsigned b = 0; b < row->count; b++) block++->column += mcus * row->targets[b].step;
    }
}

void fi_mcu_row_transform(const fi_mcu_row *row, fi_sorted_blocks *sorted, int16_t (*blocks)[DCTSIZE2], uint8_t *eob,
                          JDIMENSION first, JDIMENSION end) {
    if (row->sorts) describe_batch(row, sorted, blocks, first, end);
    transform(row, sorted, blocks, eob, first, end);
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

/* The first MCU whose block, at target->column there, is not reduced, or not whole. */
static JDIMENSION find_reduced_end(const fi_destination *target) {
    const fi_reduced *reduced = target->reduced;

    if (!reduced || target->column >= reduced->whole_columns ||
        reduced->first + (uint32_t)(target->rows - reduced->rows) >= reduced->whole_rows) {
        return 0;
    }
    return (reduced->whole_columns - target->column - 1) / target->step + 1;
}

void fi_mcu_row_set(fi_mcu_row *row, j_decompress_ptr cinfo, const fi_transforms *transforms, JDIMENSION imcu_row,
                    int first, JSAMPIMAGE output) {
    const bool last_row = imcu_row == cinfo->total_iMCU_rows - 1;

    row->cinfo = cinfo;
    row->count = 0;
    row->sorts = false;
    for (int i = 0; i < cinfo->comps_in_scan; i++) {
        jpeg_component_info *component = cinfo->cur_comp_info[i];
        const int c = component->component_index, size = FI_DCT_SIZE(component);
        const bool needed = component->component_needed;
        for (int y = first; y < first + component->MCU_height; y++) {
            const bool is_there = needed && (!last_row || y < component->last_row_height);
            for (int x = 0; x < component->MCU_width; x++) {
                fi_destination *target = &row->targets[row->count++];
                *target = (fi_destination){
                    .component = component,
                    .method = transforms->islow && size == DCTSIZE ? NULL : transforms->methods[c],
                    .rows = output[c] + y * size,
                    .column = (JDIMENSION)(x * size),
                    .step = (JDIMENSION)component->MCU_sample_width,
                    .end = !is_there ? 0 : cinfo->MCUs_per_row - (x >= component->last_col_width),
                    .reduced = c < 3 && transforms->reduced[c].idct ? &transforms->reduced[c] : NULL,
                };
                target->reduced_end = find_reduced_end(target);
                row->sorts |= !target->method;
            }
        }
    }
}

bool fi_mcu_rows_decode(fi_mcu_rows *work, fi_entropy *entropy, j_decompress_ptr cinfo, const fi_transforms *transforms,
                        JSAMPIMAGE output) {
    const jpeg_component_info *only = cinfo->cur_comp_info[0];
    const bool last = cinfo->input_iMCU_row == cinfo->total_iMCU_rows - 1;
    /* If a component is alone in its scan, each block is an MCU. */
    const int rows = cinfo->comps_in_scan > 1 ? 1 : last ? only->last_row_height : only->v_samp_factor;
    const JDIMENSION mcus = cinfo->MCUs_per_row, most = FI_MCU_BATCH / (JDIMENSION)cinfo->blocks_in_MCU;
    fi_mcu_row row;

    for (int y = 0; y < rows; y++) {
        fi_mcu_row_set(&row, cinfo, transforms, cinfo->input_iMCU_row, y, output);
        if (row.sorts) describe_batch(&row, &work->sorted, work->coefficients, 0, most);
        for (JDIMENSION first = 0; first < mcus; first += most) {
            const JDIMENSION end = mcus - first < most ? mcus : first + most;
            if (!fi_entropy_decode(entropy, end - first, end == mcus, work->coefficients, work->eob)) {
                memset(work->coefficients, 0, sizeof work->coefficients);
                return false;
            }
            transform(&row, &work->sorted, work->coefficients, work->eob, first, end);
            if (row.sorts) describe_next(&row, &work->sorted, most);
        }
    }
    return true;
}
