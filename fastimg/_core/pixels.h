/* SPDX-License-Identifier: BSD-3-Clause */
/* From rows of interleaved pixels to the caller's array: split, turn, convert, store. */
#ifndef FI_PIXELS_H
#define FI_PIXELS_H

#include "fi.h"

/*
 * The loops that have more than one version. The C version of each (kernels.c) defines its answer; the others equal it
 * bit for bit. No alignment is assumed. Source and destination do not overlap.
 */
typedef struct fi_kernels {
    const char *name;
    /* n pixels of 3 bytes into three planes; reads 3 n bytes, writes n to each */
    void (*split3)(const uint8_t *src, uint8_t *p0, uint8_t *p1, uint8_t *p2, size_t n);
    /* the inverse */
    void (*merge3)(const uint8_t *p0, const uint8_t *p1, const uint8_t *p2, uint8_t *dst, size_t n);
    /* dst[i] = src[n - 1 - i] */
    void (*reverse)(const uint8_t *src, uint8_t *dst, size_t n);
    /* dst (cols, rows) = transpose of src (rows, cols); strides in bytes */
    void (*transpose)(const uint8_t *src, size_t src_stride, uint8_t *dst, size_t dst_stride, size_t rows, size_t cols);
    /* dst[i] = table[src[i]]; dst need not be aligned */
    void (*map32)(const uint8_t *src, const float *table, void *dst, size_t n);
    void (*map16)(const uint8_t *src, const uint16_t *table, void *dst, size_t n);
} fi_kernels;

extern const fi_kernels fi_kernels_c;

/* Those chosen by fi_init(). */
const fi_kernels *fi_kernels_active(void);

/* The best versions for these features (cpu.h). */
fi_kernels fi_kernels_choose(unsigned cpu_features);

/* n pixels of Adobe's (inverted) CMYK to RGB, by Pillow's formula. */
void fi_cmyk_to_rgb(const uint8_t *src, uint8_t *dst, size_t n);

/* n pixels of RGB to their ITU-R BT.601 luma, by libjpeg's (and Pillow's) fixed-point formula. */
void fi_rgb_to_luma(const uint8_t *src, uint8_t *dst, size_t n);

/*
 * A store takes the rows of a plan's window, top to bottom, in strips, as libjpeg delivers them, and puts them where
 * the plan says. `scratch` needs fi_store_nbytes(); strips have at most fi_strip_rows() rows.
 */
typedef struct fi_store {
    const fi_plan *plan;
    const fi_options *options;
    const fi_output *out;
    const fi_kernels *kernels;
    unsigned channels;  /* of the rows that come in: 1 (luma, or grey for all planes) or 3 (RGB) */
    uint32_t row;       /* of the window: the next one */
    uint8_t *planes[3]; /* scratch: strip rows of window width, a plane a channel */
    uint8_t *turned[3]; /* scratch: a block of it, transposed */
    uint8_t *pixels;    /* scratch: one row of interleaved output */
} fi_store;

uint32_t fi_strip_rows(const fi_plan *plan);
size_t fi_store_nbytes(const fi_plan *plan);
void fi_store_init(fi_store *store, const fi_plan *plan, const fi_options *options, const fi_output *out,
                   const fi_kernels *kernels, unsigned channels, uint8_t *scratch);
/* `rows` rows, `stride` bytes apart, of the window's columns. */
void fi_store_rows(fi_store *store, const uint8_t *src, size_t stride, uint32_t rows);

#endif
