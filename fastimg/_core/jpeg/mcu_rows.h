/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of MCUs from Huffman codes to samples: what libjpeg's coefficient controller does for files of one scan. */
#ifndef FI_MCU_ROWS_H
#define FI_MCU_ROWS_H

#include "entropy/entropy.h"
#include "jpeg/compat.h"

typedef struct fi_mcu_rows fi_mcu_rows;

fi_mcu_rows *fi_mcu_rows_new(void); /* returns NULL if there is no memory */
void fi_mcu_rows_free(fi_mcu_rows *work);

/*
 * Decodes libjpeg's next iMCU row into `output` by `methods`, one per component. If `islow`, those to 8 x 8 samples
 * compute what the kernel idct_8 does, which replaces them. Returns false if the entropy decoder gives up.
 */
bool fi_mcu_rows_decode(fi_mcu_rows *work, fi_entropy *entropy, j_decompress_ptr cinfo, fi_inverse_dct *const methods[],
                        bool islow, JSAMPIMAGE output);

#endif
