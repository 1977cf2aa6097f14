/* SPDX-License-Identifier: BSD-3-Clause */
/* The element types of output arrays: the core's half of fi.h's table. */
#ifndef FI_ELEMENT_H
#define FI_ELEMENT_H

#include "fi.h"

/* How 8-bit pixels become elements of one type. */
typedef struct fi_conversion {
    /* n pixels of one channel to contiguous elements. */
    void (*plane)(const fi_options *options, unsigned channel, const uint8_t *src, void *dst, size_t n);

    /* n pixels of three interleaved channels likewise; NULL if pixels are elements already. */
    void (*pixels)(const fi_options *options, const uint8_t *src, uint8_t *dst, size_t n);
} fi_conversion;

const fi_conversion *fi_conversion_to(fi_dtype dtype);

#endif
