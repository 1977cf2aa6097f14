/* SPDX-License-Identifier: BSD-3-Clause */
/* From rows of pixels to the caller's array: split, turn, convert, store. */
#ifndef FI_PIXELS_H
#define FI_PIXELS_H

#include "fi.h"

/*
 * Weights of four results that lie so near one another that 16 bytes hold all they need: of result j, index[4 j] and
 * [4 j + 2] say which of the bytes are meant by weights[2 j] and [2 j + 1]: 0 to 15, or FI_NO_BYTE. The indices between are
 * FI_NO_BYTE, so that a byte shuffle makes 16-bit numbers.
 */
#define FI_NO_BYTE 0xFF
typedef struct fi_quad {
    uint8_t index[16];
    int16_t weights[8];
} fi_quad;

/* A block of 64 coefficients, natural order, and where its samples go: to rows[0 .. 8)[column .. column + 8). */
typedef struct fi_block {
    const int16_t *coefficients;
    const uint16_t *quantisation;
    uint8_t *const *rows;
    size_t column;
} fi_block;

/*
 * The loops that have more than one version. The C version of each (kernels.c) defines its answer; the others equal it
 * bit for bit. (idct_8 has none: without a vector version libjpeg's own is used.) No alignment is assumed. Source and destination do not overlap.
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
    /* dst[i] = (src[i] / 255 - mean) / std in floats, a rounding a step; dst need not be aligned */
    void (*normalize32)(const uint8_t *src, float mean, float std, void *dst, size_t n);
    /* dst[i] = table[src[i]]; dst need not be aligned */
    void (*map16)(const uint8_t *src, const uint16_t *table, void *dst, size_t n);

    /*
     * Resampling. A level is a 64th of a pixel value (int16_t, -512 to 511 in pixel values); a weight is a 16384th, and
     * the magnitudes of the weights of one result sum to at most 2.
     *
     * Along two rows at once: result x of each is clamp16((sum of weights[taps x + k] src[first[x] + k] + 128) >> 8),
     * k < taps. taps is a multiple of 8, and src has bytes to read for all of them, also where weights are 0. The two
     * rows may be the same one.
     */
    void (*resample_rows)(const uint8_t *const src[2], int16_t *const dst[2], const uint32_t *first,
                          const int16_t *weights, size_t taps, size_t n);
    /*
     * The same where results are near: result x is the sum over `pairs` steps of quad x / 4, whose bytes begin at
     * base[x / 4]; src has 16 bytes to read from each of them. There are quads for n rounded up to a multiple of 8, and so
     * many results are written.
     */
    void (*resample_near)(const uint8_t *const src[2], int16_t *const dst[2], const uint32_t *base,
                          const fi_quad *quads, size_t pairs, size_t n);
    /* Across rows: dst[i] = clamp16((sum of weights[k] rows[k][i] + 8192) >> 14), k < taps; taps is even. */
    void (*resample_across)(const int16_t *const *rows, const int16_t *weights, size_t taps, int16_t *dst, size_t n);
    /* Levels to pixels: dst[i] = clamp8((src[i] + 32) >> 6) */
    void (*round_levels)(const int16_t *src, uint8_t *dst, size_t n);
    /* Levels of Y, Cb and Cr to pixels of R, G and B (kernels.c has the formula). */
    void (*ycc_to_rgb)(const int16_t *const ycc[3], uint8_t *const rgb[3], size_t n);
    /* Pixels of Y, Cb and Cr to pixels of R, G and B, as libjpeg rounds them (kernels.c has the formula). */
    void (*ycc8_to_rgb)(const uint8_t *const ycc[3], uint8_t *const rgb[3], size_t n);

    /*
     * A block's lowest 4 x 4 frequencies (idct.h; coefficients and quantisation in natural order, 8 a row) to samples at
     * rows[0 .. 4)[column .. column + 4).
     */
    void (*idct_4)(const int16_t *coefficients, const uint16_t *quantisation, uint8_t *const *rows, size_t column);
    /*
     * Two blocks to 8 x 8 samples each, as libjpeg-turbo's vector versions of JDCT_ISLOW do it; the two may be the same.
     * low: only the 4 x 4 lowest frequencies are not zero. NULL: there is none that is better than libjpeg's.
     */
    void (*idct_8)(const fi_block *first, const fi_block *second, bool low);
} fi_kernels;

extern const fi_kernels fi_kernels_c;

void fi_kernels_init(void); /* once, by fi_init(), after fi_cpu_init() */

/* Those chosen then. */
const fi_kernels *fi_kernels_active(void);

/* The best versions for these features (cpu.h). */
fi_kernels fi_kernels_choose(unsigned cpu_features);

/* n pixels of Adobe's (inverted) CMYK to RGB, by Pillow's formula. */
void fi_cmyk_to_rgb(const uint8_t *src, uint8_t *dst, size_t n);

/* n pixels of RGB to their ITU-R BT.601 luma, by libjpeg's (and Pillow's) fixed-point formula. */
void fi_rgb_to_luma(const uint8_t *src, uint8_t *dst, size_t n);

/*
 * A store takes the rows of an image, plan->rows of plan->cols pixels, top to bottom, and puts them into the plan's place.
 * They come as planes, each row written where fi_store_next_row() says, or interleaved, as libjpeg delivers them.
 */
typedef struct fi_store {
    const fi_plan *plan;
    const fi_options *options;
    const fi_kernels *kernels;
    fi_output place;
    unsigned channels;  /* of the rows that come in: 1 (luma, or grey for all planes) or 3 (RGB) */
    uint32_t row;       /* the next one */
    uint8_t *planes[3]; /* scratch: a row a channel, or if transposed TURN of them */
    uint8_t *turned[3]; /* scratch: a block of them, transposed, or a row mirrored */
    uint8_t *pixels;    /* scratch: one row of interleaved output */
} fi_store;

size_t fi_store_nbytes(const fi_plan *plan);
/* `scratch` needs fi_store_nbytes(). */
void fi_store_init(fi_store *store, const fi_plan *plan, const fi_options *options, const fi_output *out,
                   const fi_kernels *kernels, unsigned channels, uint8_t *scratch);
/* Where the next row's plan->cols pixels have to be written, `channels` pointers. It may be the output itself. */
void fi_store_next_row(const fi_store *store, uint8_t *rgb[3]);
/* They have been. */
void fi_store_row_done(fi_store *store);
/* `rows` rows of interleaved pixels, `stride` bytes apart. */
void fi_store_rows(fi_store *store, const uint8_t *src, size_t stride, uint32_t rows);

#endif
