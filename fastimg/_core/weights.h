/* SPDX-License-Identifier: BSD-3-Clause */
/* From a filter and a geometry to the weights of the resampling kernels (pixels.h), kept from image to image. */
#ifndef FI_WEIGHTS_H
#define FI_WEIGHTS_H

#include "buffer.h"
#include "pixels.h"

#define FI_TAPS_STEP 8      /* weights of one result come in multiples of it */
#define FI_ROW_SLACK 16     /* bytes that the kernels may read behind a row */
#define FI_WEIGHT_ONE 16384 /* the weights of one result sum to this, exactly */

/*
 * One axis of one component. The grid is that of the image's pixels (of the reduced image's, if the inverse DCT reduces). A
 * component whose samples are wider than that, `ratio` grid pixels each, is first spread to the grid and then filtered, all
 * in one set of weights.
 */
typedef struct fi_axis {
    double start, length; /* the box, on the grid */
    uint32_t low, high;   /* grid pixels that may be seen: low to high - 1 */
    uint32_t samples;     /* of the component */
    uint32_t ratio;
    uint32_t count; /* of results */
    fi_filter filter;
    bool along; /* of rows, not across them: fi_bank.quads are wanted */
    bool reversed; /* runs against the axis of the upright image, in whose direction ties are decided */
    bool smooth; /* ratio 2: spread by 3/4 and 1/4, as libjpeg's "fancy" upsampling does; else repeated */
} fi_axis;

typedef struct fi_bank {
    const uint32_t *first;  /* `count` of these: the first sample that has a weight */
    const uint32_t *used;   /* and how many have */
    const int16_t *weights; /* count x taps; zeros behind those used */
    uint32_t taps;
    uint32_t pairs;       /* 0: the results are not near enough for quads */
    const uint32_t *base; /* the same weights for fi_kernels.resample_near */
    const fi_quad *quads;
} fi_bank;

typedef struct fi_banks fi_banks;

fi_banks *fi_banks_new(void); /* NULL: no memory */
void fi_banks_free(fi_banks *banks);
void fi_banks_trim(fi_banks *banks); /* gives back what is larger than most images need */

/* The weights of an axis; valid until as many others have been asked for as an image has. NULL: no memory. */
const fi_bank *fi_banks_get(fi_banks *banks, const fi_axis *axis);

#endif
