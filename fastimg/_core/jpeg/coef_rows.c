/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/coef_rows.h"

/* Reduced blocks are completed in batches small enough for the first-level cache. */
#define BATCH 64

static const uint64_t all = ~(uint64_t)0;

bool fi_coef_rows_decode(fi_coef_arrays *arrays, fi_entropy *entropy, j_decompress_ptr cinfo) {
    const jpeg_component_info *only = cinfo->cur_comp_info[0];
    const bool last = cinfo->input_iMCU_row == cinfo->total_iMCU_rows - 1;
    /* If a component is alone in its scan, each block is an MCU, and there are none of padding. */
    const int rows = cinfo->comps_in_scan > 1 ? 1 : last ? only->last_row_height : only->v_samp_factor;
    fi_block_row places[FI_MAX_MCU_BLOCKS];

    for (int y = 0; y < rows; y++) {
        fi_block_row *place = places;
        for (int i = 0; i < cinfo->comps_in_scan; i++) {
            const jpeg_component_info *component = cinfo->cur_comp_info[i];
            const fi_coef_array *array = &arrays->of[component->component_index];
            const JDIMENSION first = cinfo->input_iMCU_row * (JDIMENSION)component->v_samp_factor;
            for (JDIMENSION v = first + y; v < first + y + component->MCU_height; v++) {
                for (int h = 0; h < component->MCU_width; h++) {
                    *place++ = (fi_block_row){
                        .blocks = array->rows[v] + h,
                        .states = array->states + (size_t)v * array->width + h,
                        .step = (size_t)component->MCU_width,
                    };
                }
            }
        }
        if (!fi_entropy_decode_progressive(entropy, cinfo->MCUs_per_row, places)) return false;
    }
    return true;
}

/* AC scans need to know which coefficients are not zero; all else is thrown away. */
bool fi_coef_rows_check(const fi_coef_arrays *arrays, fi_entropy *entropy, j_decompress_ptr cinfo, size_t mcus_left,
                        int16_t (*scratch)[64]) {
    const fi_coef_array *array = &arrays->of[cinfo->cur_comp_info[0]->component_index];
    const size_t across = cinfo->MCUs_per_row, mcu = across * cinfo->MCU_rows_in_scan - mcus_left;
    fi_block_state states[FI_MAX_MCU_BLOCKS] = {{0}};
    fi_block_row places[FI_MAX_MCU_BLOCKS];

    for (int b = 0; b < FI_MAX_MCU_BLOCKS; b++) places[b] = (fi_block_row){&scratch[b], &states[b], 1};
    if (cinfo->Ss > 0) places[0].states = &array->states[mcu / across * array->width + mcu % across];
    return fi_entropy_decode_progressive(entropy, 1, places);
}

static fi_block_kind kind_of(uint64_t nonzero) {
    return nonzero >> FI_LOW_4X4_END ? FI_FULL : nonzero ? FI_LOW_4X4 : FI_DC_ONLY;
}

/* A row of blocks of a component, and where their samples go. */
typedef struct {
    const jpeg_component_info *component;
    const uint16_t *quantisation;
    JBLOCKROW blocks;
    fi_block_state *states;
    JSAMPARRAY rows;
} block_row;

static void transform_row(fi_sorted_blocks *work, const block_row *row) {
    const JDIMENSION n = row->component->width_in_blocks;

    for (JDIMENSION i = 0, sorted = 0; i < n; i++) {
        const fi_block_kind kind = kind_of(row->states[i].nonzero);
        fi_block block = {&row->states[i].dc, row->quantisation, row->rows, (size_t)i * DCTSIZE};
        if (kind != FI_DC_ONLY) {
            fi_entropy_complete_block(&row->states[i], all, row->blocks[i]);
            block.coefficients = row->blocks[i];
        }
        fi_sorted_blocks_add(work, kind, block);
        if (++sorted < FI_MAX_SORTED && i + 1 < n) continue;
        fi_sorted_blocks_transform(work, false);
        sorted = 0;
    }
}

/* Reduces the blocks of a row in which no padding is. Returns how many these are. */
static JDIMENSION reduce_row(const block_row *row, const fi_reduced *reduced) {
    const uint32_t size = (uint32_t)FI_DCT_SIZE(row->component), line = (uint32_t)(row->rows - reduced->rows);
    const JDIMENSION whole = reduced->whole_columns / size, n = row->component->width_in_blocks;
    const JDIMENSION end = reduced->first + line >= reduced->whole_rows ? 0 : whole < n ? whole : n;
    const uint64_t needed = all >> (63 - fi_idct_last(size));
    fi_block_run run = {.quantisation = reduced->quantisation, .rows = row->rows, .step = size};

    for (JDIMENSION i = 0; i < end; i += BATCH, run.column += run.step * BATCH) {
        run.count = end - i < BATCH ? end - i : BATCH;
        run.coefficients = size == 1 ? &row->states[i].dc : row->blocks[i];
        run.pitch = size == 1 ? sizeof *row->states / sizeof row->states->dc : DCTSIZE2;
        for (size_t j = i; j < i + run.count && size > 1; j++) {
            fi_entropy_complete_block(&row->states[j], needed, row->blocks[j]);
        }
        reduced->idct(&run);
    }
    return end;
}

void fi_coef_rows_output(fi_sorted_blocks *work, fi_coef_arrays *arrays, j_decompress_ptr cinfo,
                         fi_inverse_dct *const methods[], bool islow, const fi_reduced reduced[3], JSAMPIMAGE output) {
    static const uint16_t nothing[DCTSIZE2];

    for (int c = 0; c < cinfo->num_components; c++) {
        jpeg_component_info *component = &cinfo->comp_info[c];
        const fi_coef_array *array = &arrays->of[c];
        const JDIMENSION size = (JDIMENSION)FI_DCT_SIZE(component), height = (JDIMENSION)component->v_samp_factor;
        const JDIMENSION first = cinfo->output_iMCU_row * height, left = component->height_in_blocks - first;
        for (JDIMENSION y = 0; component->component_needed && y < height && y < left; y++) {
            const block_row row = {
                .component = component,
                /* No scan has had a component that has none. */
                .quantisation = component->quant_table ? component->quant_table->quantval : nothing,
                .blocks = array->rows[first + y],
                .states = array->states + (size_t)(first + y) * array->width,
                .rows = output[c] + y * size,
            };
            if (islow && size == DCTSIZE) {
                transform_row(work, &row);
                continue;
            }
            for (JDIMENSION i = c < 3 && reduced[c].idct ? reduce_row(&row, &reduced[c]) : 0;
                 i < component->width_in_blocks; i++) {
                fi_entropy_complete_block(&row.states[i], all, row.blocks[i]);
                methods[c](cinfo, component, row.blocks[i], row.rows, i * size);
            }
        }
    }
}
