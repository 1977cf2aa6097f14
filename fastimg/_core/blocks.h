/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of MCUs, from Huffman codes to samples: what libjpeg's coefficient controller does for files of one scan. */
#ifndef FI_BLOCKS_H
#define FI_BLOCKS_H

#include "entropy.h"

#include <stdio.h>

#include <jpeglib.h>

/* libjpeg's signature. `coefficients` are aligned to 32 bytes: its vector versions count on that. */
typedef void fi_inverse_dct(j_decompress_ptr cinfo, jpeg_component_info *component, JCOEFPTR coefficients,
                            JSAMPARRAY rows, JDIMENSION column);

typedef struct fi_blocks fi_blocks;

fi_blocks *fi_blocks_new(void); /* NULL: no memory */
void fi_blocks_free(fi_blocks *blocks);

/*
 * The next row of MCUs that belong together (libjpeg's iMCU row), by `methods`, one a component. `islow`: which does 8 x 8
 * samples as the kernel idct_8 does, and may be replaced. false: the entropy stage has given up.
 */
bool fi_blocks_decode_row(fi_blocks *blocks, fi_entropy *entropy, j_decompress_ptr cinfo,
                          fi_inverse_dct *const methods[], bool islow, JSAMPIMAGE output);

#endif
