/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/coef_rows.h"

/* The rows of blocks of a component in an iMCU row. */
static JBLOCKARRAY block_rows(j_decompress_ptr cinfo, const jpeg_component_info *component, jvirt_barray_ptr array,
                              JDIMENSION imcu_row, boolean writable) {
    const JDIMENSION count = (JDIMENSION)component->v_samp_factor;
    return cinfo->mem->access_virt_barray((j_common_ptr)cinfo, array, imcu_row * count, count, writable);
}

bool fi_coef_rows_decode(fi_entropy *entropy, j_decompress_ptr cinfo, const jvirt_barray_ptr arrays[]) {
    const jpeg_component_info *only = cinfo->cur_comp_info[0];
    const bool last = cinfo->input_iMCU_row == cinfo->total_iMCU_rows - 1;
    /* If a component is alone in its scan, each block is an MCU, and there are none of padding. */
    const int rows = cinfo->comps_in_scan > 1 ? 1 : last ? only->last_row_height : only->v_samp_factor;
    JBLOCKARRAY blocks[MAX_COMPS_IN_SCAN];
    fi_block_row places[FI_MAX_MCU_BLOCKS];

    for (int i = 0; i < cinfo->comps_in_scan; i++) {
        const jpeg_component_info *component = cinfo->cur_comp_info[i];
        blocks[i] = block_rows(cinfo, component, arrays[component->component_index], cinfo->input_iMCU_row, TRUE);
    }
    for (int y = 0; y < rows; y++) {
        fi_block_row *place = places;
        for (int i = 0; i < cinfo->comps_in_scan; i++) {
            const jpeg_component_info *component = cinfo->cur_comp_info[i];
            for (int v = y; v < y + component->MCU_height; v++) {
                for (int h = 0; h < component->MCU_width; h++) {
                    *place++ = (fi_block_row){blocks[i][v] + h, (size_t)component->MCU_width};
                }
            }
        }
        if (!fi_entropy_decode_progressive(entropy, cinfo->MCUs_per_row, places)) return false;
    }
    return true;
}

/* The first 10 coefficients in zigzag order are within the 4 x 4 lowest frequencies (T.81, figure A.6). */
static fi_block_kind kind_of(uint64_t nonzero) {
    return nonzero >> 10 ? FI_FULL : nonzero ? FI_LOW_4X4 : FI_DC_ONLY;
}

/* A row of n blocks of a component. `nonzero` is NULL if all have a DC coefficient only. */
static void transform_row(fi_sorted_blocks *work, const jpeg_component_info *component, JBLOCKROW blocks,
                          const uint64_t *nonzero, JSAMPARRAY rows) {
    static const uint16_t nothing[DCTSIZE2];
    const JDIMENSION n = component->width_in_blocks;
    /* No scan has had a component that has none. */
    const uint16_t *quantisation = component->quant_table ? component->quant_table->quantval : nothing;

    for (JDIMENSION i = 0, sorted = 0; i < n; i++) {
        const fi_block block = {blocks[i], quantisation, rows, (size_t)i * DCTSIZE};
        fi_sorted_blocks_add(work, kind_of(nonzero ? nonzero[i] : 0), block);
        if (++sorted < FI_MAX_SORTED && i + 1 < n) continue;
        fi_sorted_blocks_transform(work);
        sorted = 0;
    }
}

void fi_coef_rows_output(fi_sorted_blocks *work, const fi_entropy *entropy, j_decompress_ptr cinfo,
                         const jvirt_barray_ptr arrays[], fi_inverse_dct *const methods[], bool islow,
                         JSAMPIMAGE output) {
    for (int c = 0; c < cinfo->num_components; c++) {
        jpeg_component_info *component = &cinfo->comp_info[c];
        const JDIMENSION size = (JDIMENSION)FI_DCT_SIZE(component), n = component->width_in_blocks;
        const JDIMENSION height = (JDIMENSION)component->v_samp_factor, first = cinfo->output_iMCU_row * height;
        const JDIMENSION left = component->height_in_blocks - first, count = left < height ? left : height;
        const uint64_t *nonzero = fi_entropy_nonzero(entropy, (unsigned)c);
        if (!component->component_needed) continue;
        const JBLOCKARRAY blocks = block_rows(cinfo, component, arrays[c], cinfo->output_iMCU_row, FALSE);
        for (JDIMENSION y = 0; y < count; y++) {
            const JSAMPARRAY rows = output[c] + y * size;
            if (islow && size == DCTSIZE) {
                transform_row(work, component, blocks[y], nonzero ? nonzero + (size_t)(first + y) * n : NULL, rows);
                continue;
            }
            for (JDIMENSION i = 0; i < n; i++) methods[c](cinfo, component, blocks[y][i], rows, i * size);
        }
    }
}
