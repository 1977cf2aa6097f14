/* SPDX-License-Identifier: BSD-3-Clause */
#include "exact.h"
#include "fi_batch.h"

#include <math.h>

#include "glibc.h"

/* SplitMix64's step: 2^64 divided by the golden ratio, made odd. */
#define STEP UINT64_C(0x9E3779B97F4A7C15)

/*
 * SplitMix64's output function, a bijection of 64 bits: Steele, Lea and Flood, "Fast splittable pseudorandom number
 * generators" (2014), with Stafford's shifts and factors ("Better bit mixing", 2011, variant 13).
 */
static uint64_t mix(uint64_t word) {
    word = (word ^ word >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    word = (word ^ word >> 27) * UINT64_C(0x94D049BB133111EB);
    return word ^ word >> 31;
}

/* The n-th number of a sample, from [0, 1), a multiple of 2^-53. */
static double uniform(uint64_t state, unsigned n) {
    return (double)(mix(state + (n + 1) * STEP) >> 11) * 0x1p-53;
}

bool fi_box_fit(const fi_random_boxes *boxes, int64_t height, int64_t width, const double draws[4], fi_crop *box) {
    const double low = boxes->scale[0], high = boxes->scale[1];
    const double log_narrow = log(boxes->ratio[0]), log_wide = log(boxes->ratio[1]);
    const double area = (double)height * ((double)width * (low + (high - low) * draws[0]));
    const double aspect = exp(log_narrow + (log_wide - log_narrow) * draws[1]);
    const double h = rint(sqrt(area / aspect)), w = rint(sqrt(area * aspect));

    if (!(h >= 1 && w >= 1 && h <= (double)height && w <= (double)width)) return false;
    box->height = h;
    box->width = w;
    /* A draw is at most 1 - 2^-53: the product stays below the factor. */
    box->top = floor(draws[2] * ((double)height - h + 1));
    box->left = floor(draws[3] * ((double)width - w + 1));
    return true;
}

/* `side` in whole pixels, from 1 to `most`. */
static double whole(double side, double most) {
    return fmin(fmax(rint(side), 1), most);
}

fi_crop fi_box_central(const fi_random_boxes *boxes, int64_t height, int64_t width) {
    const double narrow = boxes->ratio[0], wide = boxes->ratio[1];
    const double h = (double)height, w = (double)width;
    fi_crop box = {.height = h, .width = w};

    if (w < narrow * h) box.height = whole(w / narrow, h);
    if (w > wide * h) box.width = whole(h * wide, w);
    box.top = floor((h - box.height) / 2);
    box.left = floor((w - box.width) / 2);
    return box;
}

void fi_box_draw(const fi_random_boxes *boxes, uint64_t index, int64_t height, int64_t width, fi_crop *box,
                 bool *flip) {
    const uint64_t state = mix(boxes->key + index * STEP);
    bool fits = false;

    for (unsigned attempt = 0; attempt < FI_BOX_ATTEMPTS && !fits; attempt++) {
        double draws[4];
        for (unsigned k = 0; k < 4; k++) draws[k] = uniform(state, 4 * attempt + k);
        fits = fi_box_fit(boxes, height, width, draws, box);
    }
    if (!fits) *box = fi_box_central(boxes, height, width);
    *flip = uniform(state, 4 * FI_BOX_ATTEMPTS) < boxes->flip; /* the number after those of the last attempt */
}
