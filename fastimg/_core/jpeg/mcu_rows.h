/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of MCUs from Huffman codes to samples: what libjpeg's coefficient controller does for files of one scan. */
#ifndef FI_MCU_ROWS_H
#define FI_MCU_ROWS_H

#include "entropy/entropy.h"
#include "jpeg/compat.h"
#include "pixels/idct.h"

/* A component that the inverse DCT reduces. Rows of its samples are int16_t (fi_block_run), whatever libjpeg says. */
typedef struct fi_reduced {
    uint32_t height, width; /* in samples, before it is reduced */
    uint32_t whole_rows, whole_columns; /* those of its samples that no padding is in */
    JSAMPARRAY rows; /* where its samples go */
    uint32_t first; /* which of its rows rows[0] is */
    fi_idct *idct; /* NULL if the component is not reduced */
    const uint16_t *quantisation;
    fi_inverse_dct *full_size; /* libjpeg's own */
} fi_reduced;

typedef struct fi_mcu_rows fi_mcu_rows;

fi_mcu_rows *fi_mcu_rows_new(void); /* returns NULL if there is no memory */
void fi_mcu_rows_free(fi_mcu_rows *work);

/*
 * Decodes libjpeg's next iMCU row into `output` by `methods`, one per component. If `islow`, those to 8 x 8 samples
 * compute what the kernel idct_8 does, which replaces them. Whole blocks of reduced components do not need a method.
 * Returns false if the entropy decoder gives up.
 */
bool fi_mcu_rows_decode(fi_mcu_rows *work, fi_entropy *entropy, j_decompress_ptr cinfo, fi_inverse_dct *const methods[],
                        bool islow, const fi_reduced reduced[3], JSAMPIMAGE output);

#endif
