/* SPDX-License-Identifier: BSD-3-Clause */
#include "fi.h"

/*
 * EXIF orientation v: what has to be done to the stored image, a transposition first (bit 0), then mirroring left-right
 * (bit 1) and top-down (bit 2) in the coordinates of the result (Exif 2.32, 4.6.4 A, tag 0112H).
 */
static const uint8_t orientation_ops[9] = {0, 0, 2, 6, 4, 1, 3, 7, 5};

fi_status fi_plan_make(fi_plan *plan, const fi_header *header, const fi_options *options, const fi_crop *crop,
                       bool flip, fi_failure *failure) {
    const uint8_t ops = options->orient ? orientation_ops[header->orientation] : 0;
    const bool transpose = ops & 1, mirror_x = ops & 2, mirror_y = ops & 4;
    const int64_t upright_h = transpose ? header->width : header->height;
    const int64_t upright_w = transpose ? header->height : header->width;
    fi_crop box = {0, 0, upright_h, upright_w};

    if (crop->height) {
        box = *crop;
        if (box.top < 0 || box.left < 0 || box.height < 1 || box.width < 1 || box.height > upright_h - box.top ||
            box.width > upright_w - box.left) {
            failure->detail[0] = upright_h;
            failure->detail[1] = upright_w;
            return failure->status = FI_E_CROP;
        }
    }
    /* Back to the file's pixels: undo the mirrors, then the transposition. */
    const int64_t top = mirror_y ? upright_h - box.top - box.height : box.top;
    const int64_t left = mirror_x ? upright_w - box.left - box.width : box.left;
    *plan = (fi_plan){
        .out_height = (uint32_t)box.height,
        .out_width = (uint32_t)box.width,
        .top = (uint32_t)(transpose ? left : top),
        .left = (uint32_t)(transpose ? top : left),
        .height = (uint32_t)(transpose ? box.width : box.height),
        .width = (uint32_t)(transpose ? box.height : box.width),
        .transpose = transpose,
        .mirror_x = mirror_x != flip,
        .mirror_y = mirror_y,
    };
    return FI_OK;
}
