/* SPDX-License-Identifier: BSD-3-Clause */
#include "pixels/axes.h"

#define BLOCK_SIZE 8

/* One axis of the image, in pixels of the file. */
typedef struct {
    double box_start, box_length;
    uint32_t window_start, window_length, length, count;
    bool reversed;
} side;

/* A component has `samp` of every `max_samp` samples, and `scaled_size` of every 8 are left of them. */
static fi_axis make_axis(const side *s, const fi_format *format, uint32_t samp, uint32_t max_samp,
                         uint32_t scaled_size) {
    const uint32_t denom = format->scale_denom;
    /* The mean of a block takes in the encoder's padding: only whole blocks count where one sample is left of each. */
    const bool partial_samples = format->has_partial_samples && scaled_size > 1;
    const bool partial_pixels = format->has_partial_samples && denom < BLOCK_SIZE;
    const uint32_t full = (uint32_t)(((uint64_t)s->length * samp + max_samp - 1) / max_samp);
    const uint32_t samples = (full * scaled_size + (partial_samples ? BLOCK_SIZE - 1 : 0)) / BLOCK_SIZE;
    const uint32_t grid = (s->length + (partial_pixels ? denom - 1 : 0)) / denom;
    const uint32_t wide = max_samp * BLOCK_SIZE / denom, narrow = samp * scaled_size;
    /* Scales file pixels to the grid's; to the component's own where these are not a whole number of the grid's. */
    const bool whole = wide % narrow == 0;
    const double scale = whole ? 1.0 / denom : (double)narrow / (max_samp * BLOCK_SIZE);
    const double low = s->window_start * scale, high = ((double)s->window_start + s->window_length) * scale;
    fi_axis axis = {
        .start = s->box_start * scale,
        .length = s->box_length * scale,
        .high = whole ? grid : samples,
        .samples = samples ? samples : 1,
        .ratio = whole ? wide / narrow : 1,
        .count = s->count,
        .reversed = s->reversed,
    };

    if (axis.high == 0) axis.high = 1;
    axis.low = low < axis.high - 1 ? (uint32_t)low : axis.high - 1;
    if (high < axis.high) axis.high = (uint32_t)high + (high > (uint32_t)high);
    return axis;
}

void fi_axes_make(fi_axis *x, fi_axis *y, const fi_plan *plan, fi_filter filter, const fi_format *format, unsigned p) {
    const fi_plane_format *plane = &format->planes[p];
    const side h = {plan->box_left, plan->box_width, plan->left,      plan->width,
                    format->width,  plan->cols,      plan->reversed_x};
    const side v = {plan->box_top,  plan->box_height, plan->top,       plan->height,
                    format->height, plan->rows,       plan->reversed_y};

    *x = make_axis(&h, format, plane->h_samp, format->max_h_samp, plane->scaled_size);
    *y = make_axis(&v, format, plane->v_samp, format->max_v_samp, plane->scaled_size);
    /* As libjpeg chooses its upsampling (jdsample.c): other ratios, and the narrowest components, are repeated. */
    const bool wide_enough = x->ratio == 1 || x->samples > 2;
    x->horizontal = true;
    x->is_q6 = plane->is_q6;
    x->filter = y->filter = filter;
    x->fancy = x->ratio == 2 && y->ratio <= 2 && wide_enough;
    y->fancy = y->ratio == 2 && x->ratio <= 2 && wide_enough;
}
