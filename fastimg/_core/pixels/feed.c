/* SPDX-License-Identifier: BSD-3-Clause */
#include "pixels/feed.h"

#define STRIP_ROWS 8 /* at a time */

bool fi_feed_pixels(fi_sink *sink, const fi_pixels *pixels, bool resize, fi_buffer *rows) {
    const bool grey = pixels->channels == 1;
    const size_t nbytes = (size_t)pixels->width * pixels->channels, stride = nbytes + FI_ROW_SLACK;
    const uint32_t group = grey && resize ? STRIP_ROWS : 1; /* planes are resampled several rows at a time */
    const fi_format format = {
        .kind = grey ? FI_ROWS_GREY : FI_ROWS_RGB_PIXELS,
        .height = pixels->height,
        .width = pixels->width,
        .max_h_samp = 1,
        .max_v_samp = 1,
        .scale_denom = 1,
        .planes[0] = {.stride = stride, .rows_per_group = group, .h_samp = 1, .v_samp = 1, .scaled_size = 8},
    };

    if (!fi_buffer_reserve(rows, STRIP_ROWS * stride, 0) || !sink->begin(sink, &format)) return false;
    const uint8_t *const planes[3] = {rows->data, NULL, NULL};
    for (uint32_t y = 0; y < pixels->height && !sink->done(sink); y += STRIP_ROWS) {
        const uint32_t left = pixels->height - y, n = left < STRIP_ROWS ? left : STRIP_ROWS;
        /* Copied, as sinks read beyond the end of a row. */
        for (uint32_t i = 0; i < n; i++) {
            memcpy(rows->data + i * stride, pixels->data + (size_t)(y + i) * pixels->stride, nbytes);
        }
        sink->rows(sink, planes, (n + group - 1) / group);
    }
    return true;
}
