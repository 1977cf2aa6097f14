/* SPDX-License-Identifier: BSD-3-Clause */
#include "exact.h"
#include "fi.h"

#include <math.h>

/*
 * What each EXIF orientation asks for: a transposition (bit 0), then mirroring left-right (bit 1) and top-down (bit
 * 2) in the coordinates of the result (Exif 2.32, 4.6.4 A, tag 0112H).
 */
static const uint8_t orientation_ops[9] = {0, 0, 2, 6, 4, 1, 3, 7, 5};

/* How far a box may leave the image, in pixels, because its sides were computed. */
#define ROUNDING 1e-6

static uint32_t at_least_1(double v) {
    return v < 1 ? 1 : (uint32_t)v;
}

/*
 * The image's part of an output of options->height x width, and the box of the crop that becomes it. The arithmetic
 * is that of Pillow's ImageOps.fit, contain and pad, including the rounding (halves to even).
 */
static void fit_box(fi_plan *plan, const fi_options *options, fi_crop *box) {
    const double h = box->height, w = box->width, out_h = options->height, out_w = options->width;
    const double wider = w * out_h - h * out_w; /* exact for whole pixels; > 0: the crop is wider in proportion */

    plan->out_height = plan->dest_height = options->height;
    plan->out_width = plan->dest_width = options->width;
    if (options->fit == FI_COVER) {
        if (wider > 0) box->width = out_w / out_h * h;
        if (wider < 0) box->height = w / (out_w / out_h);
        box->left += (w - box->width) * 0.5;
        box->top += (h - box->height) * 0.5;
    } else if (options->fit == FI_CONTAIN) {
        if (wider > 0) plan->dest_height = at_least_1(rint(h / w * out_w));
        if (wider < 0) plan->dest_width = at_least_1(rint(w / h * out_h));
        plan->dest_top = (uint32_t)rint((plan->out_height - plan->dest_height) * 0.5);
        plan->dest_left = (uint32_t)rint((plan->out_width - plan->dest_width) * 0.5);
    }
}

/*
 * The size that an image becomes when one side is given: the other one is cut to a whole number, as in torchvision's
 * Resize (_compute_resized_output_size), but at least 1.
 */
static void resize_side(const fi_options *options, double *height, double *width) {
    const double side = options->shorter ? options->shorter : options->longer;
    double *given = (*width <= *height) == (options->shorter != 0) ? width : height;
    double *other = given == width ? height : width;

    if (side == 0) return;
    *other = floor(side * *other / *given);
    if (*other < 1) *other = 1;
    *given = side;
}

/*
 * Cuts `count` of `length` pixels from the centre, or centres the pixels among as many: torchvision's CenterCrop, with
 * its roundings. The box covers `length` pixels in the source.
 */
static void center(double length, uint32_t count, double *start, double *size, uint32_t *dest_start, uint32_t *dest) {
    if (length <= count) {
        *dest = (uint32_t)length;
        *dest_start = (count - *dest) / 2;
        return;
    }
    const double scale = *size / length;
    *start += rint((length - count) / 2) * scale;
    *size = count * scale;
    *dest_start = 0;
    *dest = count;
}

/*
 * The other way to the output: resized to one side, and the centre of that. Its size follows from the crop as it was
 * given, so that it is known without the image. Returns false if it is too large.
 */
static bool center_box(fi_plan *plan, const fi_options *options, const fi_crop *given, fi_crop *box,
                       fi_failure *failure) {
    double height = given->height, width = given->width;

    resize_side(options, &height, &width);
    plan->out_height = options->center_height;
    plan->out_width = options->center_width;
    if (!options->center_height) {
        if ((options->shorter || options->longer) && fmax(height, width) > FI_MAX_SIDE) {
            failure->detail[0] = (int64_t)height;
            failure->detail[1] = (int64_t)width;
            failure->status = FI_E_SIDE;
            return false;
        }
        plan->out_height = (uint32_t)height;
        plan->out_width = (uint32_t)width;
    }
    center(height, plan->out_height, &box->top, &box->height, &plan->dest_top, &plan->dest_height);
    center(width, plan->out_width, &box->left, &box->width, &plan->dest_left, &plan->dest_width);
    return true;
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
                                   const fi_crop *box) {
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

/* The whole pixels that a box touches. */
static fi_crop whole_pixels(const fi_crop *box) {
    const double top = floor(box->top), left = floor(box->left);
    return (fi_crop){top, left, ceil(box->top + box->height) - top, ceil(box->left + box->width) - left};
}

/* Puts one side of a box back inside the image if only rounding led it out. Returns false if it lies outside. */
static bool keep_inside(double *start, double *length, double limit) {
    const double excess = *start + *length - limit;
    if (!(*start >= 0 && *length > 0 && excess <= ROUNDING)) return false;
    if (excess > 0) *length = limit - *start;
    return *length > 0;
}

/* Back to the file's pixels: undo the mirrors, then the transposition. */
static void turn_back(fi_plan *plan, const fi_header *header, const fi_crop *window, bool mirror_x, bool mirror_y) {
    const bool transpose = plan->transpose;
    const double height = transpose ? header->width : header->height,
                 width = transpose ? header->height : header->width;
    const fi_crop *box = &plan->upright;
    const double top = mirror_y ? height - window->top - window->height : window->top;
    const double left = mirror_x ? width - window->left - window->width : window->left;
    const double box_top = mirror_y ? height - box->top - box->height : box->top;
    const double box_left = mirror_x ? width - box->left - box->width : box->left;

    plan->top = (uint32_t)(transpose ? left : top);
    plan->left = (uint32_t)(transpose ? top : left);
    plan->height = (uint32_t)(transpose ? window->width : window->height);
    plan->width = (uint32_t)(transpose ? window->height : window->width);
    plan->box_top = transpose ? box_left : box_top;
    plan->box_left = transpose ? box_top : box_left;
    plan->box_height = transpose ? box->width : box->height;
    plan->box_width = transpose ? box->height : box->width;
    plan->reversed_y = transpose ? mirror_x : mirror_y;
    plan->reversed_x = transpose ? mirror_y : mirror_x;
    plan->rows = transpose ? plan->dest_width : plan->dest_height;
    plan->cols = transpose ? plan->dest_height : plan->dest_width;
}

fi_status fi_plan_make(fi_plan *plan, const fi_header *header, const fi_options *options, const fi_crop *crop,
                       bool flip, fi_failure *failure) {
    const uint8_t ops = options->orient ? orientation_ops[header->orientation] : 0;
    const bool transpose = ops & 1, mirror_x = ops & 2, mirror_y = ops & 4;
    const bool resizes = options->height || options->shorter || options->longer;
    const double height = transpose ? header->width : header->height,
                 width = transpose ? header->height : header->width;
    const fi_crop given = crop->height == 0 ? (fi_crop){0, 0, height, width} : *crop;
    fi_crop box = given;
    const bool inside = keep_inside(&box.top, &box.height, height) && keep_inside(&box.left, &box.width, width);
    fi_crop window = whole_pixels(&box);

    if (!inside || (!resizes && (box.height != window.height || box.width != window.width))) {
        failure->detail[0] = (int64_t)height;
        failure->detail[1] = (int64_t)width;
        return failure->status = FI_E_CROP;
    }
    fi_plan made = {.transpose = transpose, .mirror_x = mirror_x != flip, .mirror_y = mirror_y, .scale_denom = 1};
    if (options->height) fit_box(&made, options, &box);
    else if (!center_box(&made, options, resizes ? &given : &box, &box, failure)) return failure->status;
    if (flip) made.dest_left = made.out_width - made.dest_left - made.dest_width;
    made.resize =
        box.height != made.dest_height || box.width != made.dest_width || !is_whole(box.top) || !is_whole(box.left);
    if (made.resize) made.scale_denom = choose_scale_denom(&made, header, options, &box);
    else window = box;
    made.upright = box;
    made.flip = flip;
    turn_back(&made, header, &window, mirror_x, mirror_y);
    *plan = made;
    return FI_OK;
}

/* Output pixel i is dest_start on; mirrored, the last one of the destination comes first. */
static void axis_geometry(double start, double length, uint32_t dest_start, uint32_t dest, bool mirrored, double *scale,
                          double *offset) {
    const double step = length / dest;
    *scale = mirrored ? -step : step;
    *offset = start - 0.5 + (mirrored ? dest_start + dest - 0.5 : 0.5 - dest_start) * step;
}

void fi_plan_geometry(const fi_plan *plan, double matrix[2][3]) {
    const fi_crop *box = &plan->upright;

    matrix[0][1] = matrix[1][0] = 0;
    axis_geometry(box->left, box->width, plan->dest_left, plan->dest_width, plan->flip, &matrix[0][0], &matrix[0][2]);
    axis_geometry(box->top, box->height, plan->dest_top, plan->dest_height, false, &matrix[1][1], &matrix[1][2]);
}
