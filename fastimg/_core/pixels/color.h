/* SPDX-License-Identifier: BSD-3-Clause */
/* From rows as decoders make them to planes of R, G and B, or of luma. */
#ifndef FI_COLOR_H
#define FI_COLOR_H

#include "pixels/sink.h"

/* n pixels of Adobe's (inverted) CMYK to RGB by Pillow's formula. dst may be src. */
void fi_cmyk_to_rgb(const uint8_t *src, uint8_t *dst, size_t n);

/* n pixels of RGB to ITU-R BT.601 luma by libjpeg's (and Pillow's) fixed-point formula. dst may be src. */
void fi_rgb_to_luma(const uint8_t *src, uint8_t *dst, size_t n);

/* How many planes such rows become: 1 or 3. */
static inline unsigned fi_rows_channels(fi_rows_kind kind, fi_mode mode) {
    return kind == FI_ROWS_GREY || mode == FI_MODE_L ? 1 : 3;
}

/*
 * One row of n interleaved pixels (FI_ROWS_RGB_PIXELS or FI_ROWS_CMYK_PIXELS) to its planes; scratch needs 3 n bytes.
 */
void fi_split_pixels(fi_rows_kind kind, fi_mode mode, const uint8_t *src, uint8_t *const planes[3], uint8_t *scratch,
                     size_t n);

#endif
