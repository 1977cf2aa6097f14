/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of MCUs from Huffman codes to samples: what libjpeg's coefficient controller does for files of one scan. */
#ifndef FI_MCU_ROWS_H
#define FI_MCU_ROWS_H

#include "entropy/entropy.h"
#include "jpeg/compat.h"
#include "jpeg/sorted_blocks.h"
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

/* Where one block of every MCU of a row goes. */
typedef struct fi_destination {
    jpeg_component_info *component;
    fi_inverse_dct *method; /* NULL for the kernel idct_8 */
    JSAMPARRAY rows;
    JDIMENSION column, step; /* in the first MCU; from one MCU to the next */
    JDIMENSION end; /* the first MCU where it is padding, or not needed */
    const fi_reduced *reduced; /* NULL if it is not */
    JDIMENSION reduced_end; /* the first MCU where padding is in it */
} fi_destination;

/* One row of MCUs. */
typedef struct fi_mcu_row {
    j_decompress_ptr cinfo;
    unsigned count; /* of blocks in an MCU */
    bool sorts; /* whether any of them go to idct_8 */
    fi_destination targets[FI_MAX_MCU_BLOCKS];
} fi_mcu_row;

/*
 * How blocks become samples: by `methods`, one per component. If `islow`, those to 8 x 8 samples compute what the kernel
 * idct_8 does, which replaces them. Whole blocks of reduced components do not need a method.
 */
typedef struct fi_transforms {
    fi_inverse_dct *const *methods;
    bool islow;
    const fi_reduced *reduced; /* of components 0 to 2 */
} fi_transforms;

/* Blocks are decoded in batches small enough for the first-level cache, and then sorted. */
#define FI_MCU_BATCH FI_MAX_SORTED

typedef struct fi_mcu_rows {
    _Alignas(64) int16_t coefficients[FI_MCU_BATCH][DCTSIZE2]; /* all zeros between batches */
    uint8_t eob[FI_MCU_BATCH];
    fi_sorted_blocks sorted;
} fi_mcu_rows;

fi_mcu_rows *fi_mcu_rows_new(void); /* returns NULL if there is no memory */
void fi_mcu_rows_free(fi_mcu_rows *work);

/* Says where a row of MCUs goes: row `first` of blocks, if the scan has one component, of libjpeg's iMCU row. */
void fi_mcu_row_set(fi_mcu_row *row, j_decompress_ptr cinfo, const fi_transforms *transforms, JDIMENSION imcu_row,
                    int first, JSAMPIMAGE output);

/*
 * MCUs first to end - 1 of the row, at most a batch of them, to samples. Their blocks are zero then, and their eob
 * anything; a batch's is read.
 */
void fi_mcu_row_transform(const fi_mcu_row *row, fi_sorted_blocks *sorted, int16_t (*blocks)[DCTSIZE2], uint8_t *eob,
                          JDIMENSION first, JDIMENSION end);

/* One block of a reduced component, which may extend past the image's right or bottom edge. */
void fi_reduce_block(j_decompress_ptr cinfo, jpeg_component_info *component, const fi_reduced *reduced, JCOEFPTR block,
                     JSAMPARRAY rows, JDIMENSION column);

/* Decodes libjpeg's next iMCU row into `output`. Returns false if the entropy decoder gives up. */
bool fi_mcu_rows_decode(fi_mcu_rows *work, fi_entropy *entropy, j_decompress_ptr cinfo, const fi_transforms *transforms,
                        JSAMPIMAGE output);

#endif
