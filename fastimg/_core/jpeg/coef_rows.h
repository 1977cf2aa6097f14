/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of MCUs to the coefficients of a whole image, and from there to samples: libjpeg's controller for several scans. */
#ifndef FI_COEF_ROWS_H
#define FI_COEF_ROWS_H

#include "entropy/entropy.h"
#include "jpeg/compat.h"
#include "jpeg/sorted_blocks.h"

/*
 * Decodes a progressive scan's next iMCU row into libjpeg's arrays, one per component. Returns false if the entropy
 * decoder gives up.
 */
bool fi_coef_rows_decode(fi_entropy *entropy, j_decompress_ptr cinfo, const jvirt_barray_ptr arrays[]);

/*
 * libjpeg's next iMCU row of samples, as fi_mcu_rows_decode() makes it; all AC scans have been decoded by
 * fi_coef_rows_decode().
 */
void fi_coef_rows_output(fi_sorted_blocks *work, const fi_entropy *entropy, j_decompress_ptr cinfo,
                         const jvirt_barray_ptr arrays[], fi_inverse_dct *const methods[], bool islow,
                         JSAMPIMAGE output);

#endif
