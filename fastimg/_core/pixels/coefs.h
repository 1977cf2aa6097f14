/* SPDX-License-Identifier: BSD-3-Clause */
/* From a filter and a geometry to the coefficients of the resampling kernels (kernels.h), cached between images. */
#ifndef FI_COEFS_H
#define FI_COEFS_H

#include "buffer.h"
#include "fi.h"
#include "pixels/kernels.h"

#define FI_TAPS_STEP 8      /* weights per result are padded to a multiple of this */
#define FI_WEIGHT_ONE 16384 /* what the weights of one result sum to, exactly */

/*
 * One axis of one component. The grid is that of the image's pixels (of the reduced image's, if the inverse DCT
 * reduces). A component whose samples are wider, `ratio` grid pixels each, is first spread to the grid and then
 * filtered, in one set of weights.
 */
typedef struct fi_axis {
    double start, length; /* the box, on the grid */
    uint32_t low, high;   /* the visible grid pixels: low to high - 1 */
    uint32_t samples;     /* of the component */
    uint32_t ratio;
    uint32_t count; /* of results */
    fi_filter filter;
    bool horizontal; /* keep windows in the row, and build fi_coefs.quads, too */
    bool is_q6; /* samples are 16 bits wide: no quads */
    bool reversed;   /* runs against the upright image's axis, along which ties are decided */
    bool fancy;      /* ratio 2: spread by 3/4 and 1/4, as libjpeg's fancy upsampling does; else repeated */
} fi_axis;

typedef struct fi_coefs {
    const uint32_t *first;  /* of each of `count` results: the sample that its weights begin with */
    const uint32_t *used;   /* of each of `count` results: how many samples have a weight */
    const int16_t *weights; /* count x taps, zeros where no sample has one */
    uint32_t taps;
    uint32_t pairs;       /* of resample_h_shuffle; 0 if the results are too far apart for it */
    const uint32_t *base; /* the same weights for that kernel */
    const fi_quad *quads;
} fi_coefs;

typedef struct fi_coef_cache fi_coef_cache;

fi_coef_cache *fi_coef_cache_new(void); /* returns NULL if there is no memory */
void fi_coef_cache_free(fi_coef_cache *cache);
void fi_coef_cache_trim(fi_coef_cache *cache); /* frees sets that are larger than most images need */

/*
 * Returns the coefficients of an axis, or NULL if there is no memory. They stay valid while those of the same image's
 * other axes are asked for, and no longer.
 */
const fi_coefs *fi_coef_cache_get(fi_coef_cache *cache, const fi_axis *axis);

#endif
