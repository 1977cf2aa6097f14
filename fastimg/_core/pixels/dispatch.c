/* SPDX-License-Identifier: BSD-3-Clause */
#include "pixels/kernels.h"

/* Written by fi_init() at import, and only read after that. */
static fi_pixel_kernels pixel_kernels;
static fi_resample_kernels resample_kernels;
static fi_idct_kernels idct_kernels;

void fi_kernels_init(unsigned cpu_features) {
    fi_pixel_kernels_choose(&pixel_kernels, cpu_features);
    fi_resample_kernels_choose(&resample_kernels, cpu_features);
    fi_idct_kernels_choose(&idct_kernels, cpu_features);
}

const fi_pixel_kernels *fi_pixel_kernels_active(void) {
    return &pixel_kernels;
}

const fi_resample_kernels *fi_resample_kernels_active(void) {
    return &resample_kernels;
}

const fi_idct_kernels *fi_idct_kernels_active(void) {
    return &idct_kernels;
}
