/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The resized route: libjpeg's planes as the inverse DCT leaves them. Files whose colours are not linear in their
 * planes come as pixels: four-channel ones, and RGB that becomes luma.
 */
#include "jpeg/decompressor.h"
#include "jpeg/hooks.h"
#include "jpeg/parts.h"
#include "jpeg/state.h"
#include "jpeg/warnings.h"

#include <string.h>

#define STRIP_ROWS 8 /* of pixels, at a time */

static fi_rows_kind choose_kind(const struct jpeg_decompress_struct *cinfo, const fi_sink *sink) {
    if (fi_is_four_channel(cinfo)) return FI_ROWS_CMYK_PIXELS;
    if (cinfo->jpeg_color_space == JCS_RGB) return sink->takes(sink, FI_ROWS_RGB) ? FI_ROWS_RGB : FI_ROWS_RGB_PIXELS;
    if (cinfo->jpeg_color_space == JCS_GRAYSCALE) return FI_ROWS_GREY;
    return sink->takes(sink, FI_ROWS_YCC) ? FI_ROWS_YCC : FI_ROWS_GREY;
}

static void choose(fi_decompressor *jpeg, const fi_request *request) {
    const j_decompress_ptr cinfo = &jpeg->cinfo;

    jpeg->rows_kind = choose_kind(cinfo, request->sink);
    if (!fi_rows_are_pixels(jpeg->rows_kind)) {
        cinfo->raw_data_out = TRUE;
        cinfo->scale_denom = request->plan->scale_denom;
        return;
    }
    if (request->plan->scale_denom != 1) fi_fail(jpeg, FI_E_INTERNAL); /* header.c took it for another kind of file */
    cinfo->out_color_space = jpeg->rows_kind == FI_ROWS_CMYK_PIXELS ? JCS_CMYK : JCS_EXT_RGB;
}

/* Bytes between rows of n bytes, with what the sink may read after them. */
static size_t plane_stride(size_t n) {
    return (n + FI_ROW_SLACK + 63) & ~(size_t)63;
}

/* Samples of a component before it is reduced. */
static uint32_t full_length(uint32_t length, int samp, int max_samp) {
    return (uint32_t)(((uint64_t)length * (uint32_t)samp + (uint32_t)max_samp - 1) / (uint32_t)max_samp);
}

static fi_format describe(const fi_decompressor *jpeg, const fi_request *request) {
    const struct jpeg_decompress_struct *cinfo = &jpeg->cinfo;
    fi_format format = {
        .kind = jpeg->rows_kind,
        .height = cinfo->image_height,
        .width = cinfo->image_width,
        .max_h_samp = (uint32_t)cinfo->max_h_samp_factor,
        .max_v_samp = (uint32_t)cinfo->max_v_samp_factor,
        .scale_denom = request->plan->scale_denom,
        .has_partial_samples = fi_hooks_verified(), /* then fi_hooks_reduce() keeps padding out of them */
    };

    for (int c = 0; c < cinfo->num_components && c < 3; c++) {
        const jpeg_component_info *component = &cinfo->comp_info[c];
        const uint32_t size = (uint32_t)FI_DCT_SIZE(component);
        const bool is_q6 = size < DCTSIZE && fi_hooks_verified();
        format.planes[c] = (fi_plane_format){
            .stride = plane_stride((size_t)component->width_in_blocks * size * (is_q6 ? sizeof(int16_t) : 1)),
            .rows_per_group = (uint32_t)component->v_samp_factor * size,
            .h_samp = (uint32_t)component->h_samp_factor,
            .v_samp = (uint32_t)component->v_samp_factor,
            .scaled_size = size,
            .is_q6 = is_q6,
        };
    }
    return format;
}

static void begin(fi_decompressor *jpeg, const fi_request *request, const fi_format *format, size_t nbytes) {
    if (!fi_buffer_reserve(request->rows, nbytes, 0) || !jpeg->sink->begin(jpeg->sink, format)) {
        fi_fail(jpeg, FI_E_NOMEM);
    }
}

/*
 * Whether there is more to read: also, in strict mode, rows at the bottom of the image that do not matter for the result,
 * or the verdict on the scan would depend on the size.
 */
static bool has_more(const fi_decompressor *jpeg, const fi_request *request) {
    if (!jpeg->sink->done(jpeg->sink)) return true;
    return jpeg->strict && request->reaches_bottom && jpeg->cinfo.output_scanline < jpeg->cinfo.output_height;
}

static void give_part(const void *context, fi_sink *sink, JDIMENSION row, JSAMPARRAY const above[3],
                      JSAMPARRAY const rows[3]) {
    const uint8_t *planes[3] = {NULL};

    (void)row, (void)above;
    for (unsigned c = 0; c < *(const unsigned *)context; c++) planes[c] = rows[c][0];
    if (!sink->done(sink)) sink->rows(sink, planes, 1);
}

/* Several threads make the rows. Returns false if they are not to. */
static bool read_parts(fi_decompressor *jpeg, const fi_request *request, const fi_format *format, unsigned used) {
    const j_decompress_ptr cinfo = &jpeg->cinfo;
    fi_part_layout layout = {
        .count = used,
        .rows = cinfo->total_iMCU_rows,
        .lines = format->max_v_samp * DCTSIZE / format->scale_denom,
        .any_end = !jpeg->strict || !request->reaches_bottom,
        .skips = true,
        .in_order = true,
        .context = &used,
        .give = give_part,
    };

    if (!fi_parts_suit(jpeg, request)) return false;
    for (unsigned c = 0; c < used; c++) {
        layout.planes[c].stride = format->planes[c].stride;
        layout.planes[c].rows = format->planes[c].rows_per_group;
    }
    cinfo->output_scanline = fi_parts_decode(jpeg, &layout) * layout.lines;
    return true;
}

static void read_planes(fi_decompressor *jpeg, const fi_request *request) {
    const j_decompress_ptr cinfo = &jpeg->cinfo;
    const fi_format format = describe(jpeg, request);
    const unsigned used = format.kind == FI_ROWS_GREY ? 1 : 3;
    const uint32_t lines = format.max_v_samp * DCTSIZE / format.scale_denom;
    JSAMPROW pointers[MAX_COMPONENTS][FI_MAX_ROWS];
    JSAMPARRAY arrays[MAX_COMPONENTS];
    const uint8_t *planes[3] = {NULL};
    fi_sink *sink = jpeg->sink;
    size_t nbytes = 0;

    for (unsigned c = 0; c < used; c++) nbytes += format.planes[c].stride * format.planes[c].rows_per_group;
    begin(jpeg, request, &format, nbytes);
    memset(request->rows->data, 0, nbytes); /* what is read after rows has a weight of 0 */
    uint8_t *at = request->rows->data;
    for (unsigned c = 0; c < (unsigned)cinfo->num_components; c++) {
        arrays[c] = pointers[c];
        if (c >= used) continue; /* never written to */
        planes[c] = at;
        for (uint32_t i = 0; i < format.planes[c].rows_per_group; i++, at += format.planes[c].stride)
            pointers[c][i] = at;
        const jpeg_component_info *component = &cinfo->comp_info[c];
        jpeg->reduced[c] = (fi_reduced){
            .rows = pointers[c],
            .height = full_length(format.height, component->v_samp_factor, cinfo->max_v_samp_factor),
            .width = full_length(format.width, component->h_samp_factor, cinfo->max_h_samp_factor),
        };
    }
    if (format.scale_denom > 1 && fi_hooks_verified()) fi_hooks_reduce(jpeg, used);
    for (unsigned c = 0; c < (unsigned)cinfo->num_components; c++) fi_hooks_need(jpeg, (int)c, c < used, false);
    if (read_parts(jpeg, request, &format, used)) return;
    do {
        const bool at_bottom = cinfo->output_height - cinfo->output_scanline <= lines;
        for (unsigned c = 0; c < used; c++) {
            const bool needed = sink->needs(sink, c);
            if (needed != (bool)cinfo->comp_info[c].component_needed || at_bottom) {
                fi_hooks_need(jpeg, (int)c, needed, at_bottom);
            }
        }
        jpeg_read_raw_data(cinfo, arrays, (JDIMENSION)FI_MAX_ROWS);
        if (!sink->done(sink)) sink->rows(sink, planes, 1);
        for (unsigned c = 0; c < used; c++) jpeg->reduced[c].first += format.planes[c].rows_per_group;
    } while (has_more(jpeg, request));
}

static void read_pixels(fi_decompressor *jpeg, const fi_request *request) {
    const j_decompress_ptr cinfo = &jpeg->cinfo;
    const size_t stride = (size_t)cinfo->output_width * (unsigned)cinfo->output_components;
    const fi_format format = {
        .kind = jpeg->rows_kind,
        .height = cinfo->image_height,
        .width = cinfo->image_width,
        .max_h_samp = 1,
        .max_v_samp = 1,
        .scale_denom = 1,
        .has_partial_samples = fi_hooks_verified(),
        .planes[0] = {.stride = stride, .rows_per_group = 1, .h_samp = 1, .v_samp = 1, .scaled_size = DCTSIZE},
    };

    begin(jpeg, request, &format, STRIP_ROWS * stride);
    const uint8_t *const planes[3] = {request->rows->data, NULL, NULL};
    do {
        uint32_t n = 0;
        for (; n < STRIP_ROWS && cinfo->output_scanline < cinfo->output_height; n++) {
            JSAMPROW row[1] = {request->rows->data + n * stride};
            jpeg_read_scanlines(cinfo, row, 1);
        }
        if (!jpeg->sink->done(jpeg->sink)) jpeg->sink->rows(jpeg->sink, planes, n);
    } while (has_more(jpeg, request));
}

static void read_rows(fi_decompressor *jpeg, const fi_request *request) {
    if (fi_rows_are_pixels(jpeg->rows_kind)) read_pixels(jpeg, request);
    else read_planes(jpeg, request);
}

const fi_route fi_resample_route = {choose, read_rows};
