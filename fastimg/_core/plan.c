/* SPDX-License-Identifier: BSD-3-Clause */
#include "fi.h"

#include <math.h>

/*
 * What each EXIF orientation asks for: a transposition (bit 0), then mirroring left-right (bit 1) and top-down (bit
 * 2) in the coordinates of the result (Exif 2.32, 4.6.4 A, tag 0112H).
 */
static const uint8_t orientation_ops[9] = {0, 0, 2, 6, 4, 1, 3, 7, 5};

/* In upright source pixels, which need not be whole. */
typedef struct {
    double top, left, height, width;
} rectangle;

static uint32_t at_least_1(double v) {
    return v < 1 ? 1 : (uint32_t)v;
}

/*
 * The image's part of an output of options->height x width, and the box of the crop that becomes it. The arithmetic
 * is that of Pillow's ImageOps.fit, contain and pad, including the rounding (halves to even).
 */
static rectangle fit_box(fi_plan *plan, const fi_options *options, const fi_crop *crop) {
    const double h = (double)crop->height, w = (double)crop->width, out_h = options->height, out_w = options->width;
    const double wider = w * out_h - h * out_w; /* exact; > 0: the crop is wider in proportion */
    rectangle box = {(double)crop->top, (double)crop->left, h, w};

    plan->out_height = plan->dest_height = options->height;
    plan->out_width = plan->dest_width = options->width;
    if (options->fit == FI_COVER) {
        if (wider > 0) box.width = out_w / out_h * h;
        if (wider < 0) box.height = w / (out_w / out_h);
        box.left += (w - box.width) * 0.5;
        box.top += (h - box.height) * 0.5;
    } else if (options->fit == FI_CONTAIN) {
        if (wider > 0) plan->dest_height = at_least_1(rint(h / w * out_w));
        if (wider < 0) plan->dest_width = at_least_1(rint(w / h * out_h));
        plan->dest_top = (uint32_t)rint((plan->out_height - plan->dest_height) * 0.5);
        plan->dest_left = (uint32_t)rint((plan->out_width - plan->dest_width) * 0.5);
    }
    return box;
}

static bool is_whole(double v) {
    return v == floor(v);
}

/* Whether every component has a block without padding. */
static bool has_whole_blocks(const fi_header *header) {
    uint32_t max_h = 1, max_v = 1;

    for (unsigned c = 0; c < header->components; c++) {
        if (header->h_samp[c] > max_h) max_h = header->h_samp[c];
        if (header->v_samp[c] > max_v) max_v = header->v_samp[c];
    }
    for (unsigned c = 0; c < header->components; c++) {
        /* At least eight samples; the last may stand for fewer pixels. */
        if ((uint64_t)header->width * header->h_samp[c] <= (uint64_t)7 * max_h) return false;
        if ((uint64_t)header->height * header->v_samp[c] <= (uint64_t)7 * max_v) return false;
    }
    return true;
}

/*
 * How far the inverse DCT may reduce: by 8, 4, 2 or 1. Not at all if pixels are needed before they are resampled, and
 * not by 8 if a component's only samples would be means that include the encoder's padding.
 */
static uint32_t choose_scale_denom(const fi_plan *plan, const fi_header *header, const fi_options *options,
                                   const rectangle *box) {
    const bool planes = header->color == FI_GRAYSCALE || header->color == FI_YCBCR ||
                        (header->color == FI_RGB && options->mode != FI_MODE_L);
    const double gap = options->reducing_gap;
    uint32_t denom = !planes || gap == 0 ? 1 : has_whole_blocks(header) ? 8 : 4;
    while (denom > 1 &&
           (box->height < gap * plan->dest_height * denom || box->width < gap * plan->dest_width * denom)) {
        denom /= 2;
    }
    return denom;
}

fi_status fi_plan_make(fi_plan *plan, const fi_header *header, const fi_options *options, const fi_crop *crop,
                       bool flip, fi_failure *failure) {
    const uint8_t ops = options->orient ? orientation_ops[header->orientation] : 0;
    const bool transpose = ops & 1, mirror_x = ops & 2, mirror_y = ops & 4;
    const int64_t upright_h = transpose ? header->width : header->height;
    const int64_t upright_w = transpose ? header->height : header->width;
    fi_crop window = {0, 0, upright_h, upright_w};

    if (crop->height) {
        window = *crop;
        if (window.top < 0 || window.left < 0 || window.height < 1 || window.width < 1 ||
            window.height > upright_h - window.top || window.width > upright_w - window.left) {
            failure->detail[0] = upright_h;
            failure->detail[1] = upright_w;
            return failure->status = FI_E_CROP;
        }
    }
    *plan = (fi_plan){
        .out_height = (uint32_t)window.height,
        .out_width = (uint32_t)window.width,
        .dest_height = (uint32_t)window.height,
        .dest_width = (uint32_t)window.width,
        .transpose = transpose,
        .mirror_x = mirror_x != flip,
        .mirror_y = mirror_y,
        .scale_denom = 1,
    };
    rectangle box = {(double)window.top, (double)window.left, (double)window.height, (double)window.width};
    if (options->height) {
        box = fit_box(plan, options, &window);
        if (flip) plan->dest_left = plan->out_width - plan->dest_left - plan->dest_width;
        plan->resize = box.height != plan->dest_height || box.width != plan->dest_width || !is_whole(box.top) ||
                       !is_whole(box.left);
        if (plan->resize) plan->scale_denom = choose_scale_denom(plan, header, options, &box);
        else window = (fi_crop){(int64_t)box.top, (int64_t)box.left, plan->dest_height, plan->dest_width};
    }

    /* Back to the file's pixels: undo the mirrors, then the transposition. */
    const int64_t top = mirror_y ? upright_h - window.top - window.height : window.top;
    const int64_t left = mirror_x ? upright_w - window.left - window.width : window.left;
    const double box_top = mirror_y ? (double)upright_h - box.top - box.height : box.top;
    const double box_left = mirror_x ? (double)upright_w - box.left - box.width : box.left;
    plan->top = (uint32_t)(transpose ? left : top);
    plan->left = (uint32_t)(transpose ? top : left);
    plan->height = (uint32_t)(transpose ? window.width : window.height);
    plan->width = (uint32_t)(transpose ? window.height : window.width);
    plan->box_top = transpose ? box_left : box_top;
    plan->box_left = transpose ? box_top : box_left;
    plan->box_height = transpose ? box.width : box.height;
    plan->box_width = transpose ? box.height : box.width;
    plan->reversed_y = transpose ? mirror_x : mirror_y;
    plan->reversed_x = transpose ? mirror_y : mirror_x;
    plan->rows = transpose ? plan->dest_width : plan->dest_height;
    plan->cols = transpose ? plan->dest_height : plan->dest_width;
    return FI_OK;
}
