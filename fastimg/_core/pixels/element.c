/* SPDX-License-Identifier: BSD-3-Clause */
#include "pixels/element.h"

#include "pixels/kernels.h"

#include <string.h>

static void plane_u8(const fi_options *options, unsigned channel, const uint8_t *src, void *dst, size_t n) {
    (void)options, (void)channel;
    memcpy(dst, src, n);
}

static void plane_f32(const fi_options *options, unsigned channel, const uint8_t *src, void *dst, size_t n) {
    fi_pixel_kernels_active()->normalize32(src, options->mean[channel], options->std[channel], dst, n);
}

static void plane_u16(const fi_options *options, unsigned channel, const uint8_t *src, void *dst, size_t n) {
    fi_pixel_kernels_active()->lut16(src, options->table.u16[channel], dst, n);
}

static void pixels_f32(const fi_options *options, const uint8_t *src, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < 3; c++, src++, dst += 4) memcpy(dst, &options->table.f32[c][*src], 4);
    }
}

static void pixels_u16(const fi_options *options, const uint8_t *src, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < 3; c++, src++, dst += 2) memcpy(dst, &options->table.u16[c][*src], 2);
    }
}

/* bfloat16 has no format in the buffer protocol: its bits are exported as unsigned integers. */
static const struct {
    fi_element element;
    fi_conversion conversion;
} types[] = {
    [FI_UINT8] = {{"uint8", 'B', 1}, {plane_u8, NULL}},
    [FI_FLOAT32] = {{"float32", 'f', 4}, {plane_f32, pixels_f32}},
    [FI_FLOAT16] = {{"float16", 'e', 2}, {plane_u16, pixels_u16}},
    [FI_BFLOAT16] = {{"bfloat16", 'H', 2}, {plane_u16, pixels_u16}},
};

const fi_element *fi_element_of(fi_dtype dtype) {
    return &types[dtype].element;
}

const fi_conversion *fi_conversion_to(fi_dtype dtype) {
    return &types[dtype].conversion;
}
