/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of MCUs to the coefficients of a whole image, and from there to samples: libjpeg's controller for several scans. */
#ifndef FI_COEF_ROWS_H
#define FI_COEF_ROWS_H

#include "jpeg/coef_arrays.h"
#include "jpeg/mcu_rows.h"
#include "jpeg/sorted_blocks.h"

/* Decodes a progressive scan's next iMCU row into the arrays. Returns false if the entropy decoder gives up. */
bool fi_coef_rows_decode(fi_coef_arrays *arrays, fi_entropy *entropy, j_decompress_ptr cinfo);

/*
 * Decodes a progressive scan's next MCU, of which mcus_left come, into FI_MAX_MCU_BLOCKS blocks of scratch, for the
 * verdict alone: libjpeg has the arrays. Returns false if the entropy decoder gives up.
 */
bool fi_coef_rows_check(const fi_coef_arrays *arrays, fi_entropy *entropy, j_decompress_ptr cinfo, size_t mcus_left,
                        int16_t (*scratch)[64]);

/* libjpeg's next iMCU row of samples, as fi_mcu_rows_decode() makes it, of arrays that are open. */
void fi_coef_rows_output(fi_sorted_blocks *work, fi_coef_arrays *arrays, j_decompress_ptr cinfo,
                         fi_inverse_dct *const methods[], bool islow, const fi_reduced reduced[3], JSAMPIMAGE output);

#endif
