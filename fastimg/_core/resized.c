/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The resized route: libjpeg's planes as the inverse DCT leaves them, each resampled from its own resolution, so that
 * neither a full-size image nor upsampled chroma ever exists. Files whose colours are not linear in their planes come as
 * pixels: four-channel ones, and RGB that becomes luma.
 */
#include "session_private.h"

#include "resize.h"

#define STRIP_ROWS 8 /* of a four-channel file, at a time */
#define MOST_ROWS (MAX_SAMP_FACTOR * DCTSIZE) /* of a component in one call of libjpeg */

static bool comes_as_pixels(const struct jpeg_decompress_struct *cinfo, const fi_request *req) {
    return fi_is_four_channel(cinfo) || (cinfo->jpeg_color_space == JCS_RGB && req->options->mode == FI_MODE_L);
}

void fi_resized_choose(fi_session *session, const fi_request *req) {
    const j_decompress_ptr cinfo = &session->cinfo;

    if (!comes_as_pixels(cinfo, req)) {
        cinfo->raw_data_out = TRUE;
        cinfo->scale_denom = req->plan->reduce;
    } else {
        if (req->plan->reduce != 1) fi_session_escape(session, FI_E_INTERNAL); /* header.c took it for another kind */
        cinfo->out_color_space = fi_is_four_channel(cinfo) ? JCS_CMYK : JCS_GRAYSCALE;
    }
}

/* ---- geometry -------------------------------------------------------------------------------------------------- */

/* One axis of an image, in pixels of the file. */
typedef struct {
    double box_start, box_length;
    uint32_t window_start, window_length, length, count;
    bool reversed;
} side;

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/*
 * A component has samp of every max_samp samples, and dct of every 8 are left of them; the last one may be less than
 * whole. idct.c keeps what the encoder put behind the image's edge out of it, but not out of a block's mean; there, and if
 * libjpeg reduces, only whole ones count.
 */
static bool counts_parts(uint32_t dct) {
    return dct > 1 && fi_layout_known();
}

static fi_axis make_axis(const side *s, fi_filter filter, uint32_t reduce, uint32_t samp, uint32_t max_samp,
                         uint32_t dct) {
    const uint32_t full = (uint32_t)(((uint64_t)s->length * samp + max_samp - 1) / max_samp);
    const uint32_t samples = (full * dct + (counts_parts(dct) ? DCTSIZE - 1 : 0)) / DCTSIZE;
    const uint32_t grid = (s->length + (counts_parts(DCTSIZE / reduce) ? reduce - 1 : 0)) / reduce;
    const uint32_t wide = max_samp * DCTSIZE / reduce, narrow = samp * dct;
    /* File pixels to the grid's; to the component's own, where these are no whole number of the grid's. */
    const bool whole = wide % narrow == 0;
    const double scale = whole ? 1.0 / reduce : (double)narrow / (max_samp * DCTSIZE);
    const double low = s->window_start * scale, high = ((double)s->window_start + s->window_length) * scale;
    fi_axis axis = {
        .start = s->box_start * scale,
        .length = s->box_length * scale,
        .high = whole ? grid : samples,
        .samples = samples ? samples : 1,
        .ratio = whole ? wide / narrow : 1,
        .count = s->count,
        .filter = filter,
        .reversed = s->reversed,
    };

    if (axis.high == 0) axis.high = 1;
    axis.low = least((uint32_t)low, axis.high - 1);
    if (high < axis.high) axis.high = (uint32_t)high + (high > (uint32_t)high);
    return axis;
}

static void make_plane(fi_plane *plane, const fi_request *req, uint32_t h_samp, uint32_t max_h, uint32_t v_samp,
                       uint32_t max_v, uint32_t dct) {
    const fi_plan *plan = req->plan;
    const side x = {plan->box_left,     plan->box_width, plan->left,      plan->width,
                    req->header->width, plan->cols,      plan->reversed_x};
    const side y = {plan->box_top,       plan->box_height, plan->top,       plan->height,
                    req->header->height, plan->rows,       plan->reversed_y};

    plane->x = make_axis(&x, req->options->resample, plan->reduce, h_samp, max_h, dct);
    plane->y = make_axis(&y, req->options->resample, plan->reduce, v_samp, max_v, dct);
    /* As libjpeg's upsampling chooses (jdsample.c): other ratios, and the narrowest components, are repeated. */
    const bool enough = plane->x.ratio == 1 || plane->x.samples > 2;
    plane->x.along = true;
    plane->x.smooth = plane->x.ratio == 2 && plane->y.ratio <= 2 && enough;
    plane->y.smooth = plane->y.ratio == 2 && plane->x.ratio <= 2 && enough;
}

/* ---- the two ways in ------------------------------------------------------------------------------------------- */

static uint8_t *reserve(fi_session *session, const fi_request *req, size_t nbytes) {
    if (!fi_buffer_reserve(req->scratch, nbytes, 0)) fi_session_escape(session, FI_E_NOMEM);
    return req->scratch->data;
}

static size_t align(size_t nbytes) {
    return (nbytes + 63) & ~(size_t)63;
}

/* Bytes between the rows of a plane of n samples, with what resampling reads behind them. */
static size_t plane_stride(size_t n) {
    return align(n + FI_ROW_SLACK);
}

/* Lays resizer and store out behind the planes, whose place is returned. Without an output, nothing will be stored. */
static uint8_t *start(fi_session *session, const fi_request *req, fi_resizer *resizer, fi_store *store, bool is_ycc,
                      size_t planes_nbytes) {
    const size_t resizer_nbytes = fi_resizer_nbytes(resizer);
    uint8_t *planes = reserve(session, req, planes_nbytes + resizer_nbytes + fi_store_nbytes(req->plan));

    fi_store_init(store, req->plan, req->options, req->out, fi_kernels_active(), resizer->planes,
                  planes + planes_nbytes + resizer_nbytes);
    fi_resizer_start(resizer, is_ycc, req->out->data ? store : NULL, fi_kernels_active(), planes + planes_nbytes);
    return planes;
}

/* Samples of a component before it is reduced. */
static uint32_t at_scale(uint32_t length, int samp, int max_samp) {
    return (uint32_t)(((uint64_t)length * (uint32_t)samp + (uint32_t)max_samp - 1) / (uint32_t)max_samp);
}

static void read_planes(fi_session *session, const fi_request *req) {
    const j_decompress_ptr cinfo = &session->cinfo;
    const bool luma = req->options->mode == FI_MODE_L, ycc = cinfo->jpeg_color_space == JCS_YCbCr;
    const unsigned used = luma && ycc ? 1 : (unsigned)cinfo->num_components;
    uint8_t *data[MAX_COMPONENTS];
    size_t strides[MAX_COMPONENTS], nbytes = 0;
    JSAMPROW pointers[MAX_COMPONENTS][MOST_ROWS];
    JSAMPARRAY arrays[MAX_COMPONENTS];
    fi_plane planes[3];
    fi_resizer resizer;
    fi_store store;

    for (unsigned c = 0; c < (unsigned)cinfo->num_components; c++) {
        const jpeg_component_info *component = &cinfo->comp_info[c];
        const uint32_t dct = (uint32_t)FI_DCT_SIZE(component), v_samp = (uint32_t)component->v_samp_factor;
        strides[c] = plane_stride((size_t)component->width_in_blocks * dct);
        if (c >= used) continue;
        make_plane(&planes[c], req, (uint32_t)component->h_samp_factor, (uint32_t)cinfo->max_h_samp_factor, v_samp,
                   (uint32_t)cinfo->max_v_samp_factor, dct);
        planes[c].batch = v_samp * dct;
        nbytes += strides[c] * planes[c].batch;
    }
    if (!fi_resizer_init(&resizer, planes, used, session->banks)) fi_session_escape(session, FI_E_NOMEM);
    uint8_t *at = start(session, req, &resizer, &store, ycc && !luma, nbytes);
    for (unsigned c = 0; c < (unsigned)cinfo->num_components; c++) {
        const jpeg_component_info *component = &cinfo->comp_info[c];
        data[c] = at;
        arrays[c] = pointers[c];
        if (c >= used) continue; /* nothing is ever written to it */
        for (uint32_t i = 0; i < planes[c].batch; i++) pointers[c][i] = at + i * strides[c];
        at += strides[c] * planes[c].batch;
        session->raw[c] = (fi_raw_plane){
            .rows = pointers[c],
            .height = at_scale(cinfo->image_height, component->v_samp_factor, cinfo->max_v_samp_factor),
            .width = at_scale(cinfo->image_width, component->h_samp_factor, cinfo->max_h_samp_factor),
        };
    }
    if (req->plan->reduce > 1 && fi_layout_known()) fi_session_reduce(session, used);
    for (unsigned c = 0; c < (unsigned)cinfo->num_components; c++) fi_session_need(session, (int)c, c < used, false);
    const uint32_t lines = (uint32_t)cinfo->max_v_samp_factor * DCTSIZE / req->plan->reduce;
    do {
        for (unsigned c = 0; c < used; c++) {
            const bool needed = fi_resizer_needs(&resizer, c, planes[c].batch);
            const bool at_bottom = cinfo->output_height - cinfo->output_scanline <= lines;
            if (needed != (bool)cinfo->comp_info[c].component_needed || at_bottom) {
                fi_session_need(session, (int)c, needed, at_bottom);
            }
            session->raw[c].first = resizer.tracks[c].next;
        }
        jpeg_read_raw_data(cinfo, arrays, (JDIMENSION)MOST_ROWS);
        for (unsigned c = 0; c < used; c++) fi_resizer_push(&resizer, c, data[c], strides[c], planes[c].batch);
    } while (!fi_resizer_emit(&resizer));
}

static void read_pixels(fi_session *session, const fi_request *req) {
    const j_decompress_ptr cinfo = &session->cinfo;
    const bool four = fi_is_four_channel(cinfo), luma = req->options->mode == FI_MODE_L;
    const uint32_t width = cinfo->output_width;
    const unsigned used = luma ? 1 : 3;
    const size_t row_nbytes = align((size_t)width * 4), stride = plane_stride(width), strip = STRIP_ROWS * stride;
    fi_plane plane;
    fi_resizer resizer;
    fi_store store;

    make_plane(&plane, req, 1, 1, 1, 1, DCTSIZE);
    plane.batch = STRIP_ROWS;
    const fi_plane planes[3] = {plane, plane, plane};
    if (!fi_resizer_init(&resizer, planes, used, session->banks)) fi_session_escape(session, FI_E_NOMEM);
    uint8_t *const pixels = start(session, req, &resizer, &store, false, row_nbytes + used * strip);
    uint8_t *const first = pixels + row_nbytes;
    do {
        for (size_t i = 0; i < STRIP_ROWS && cinfo->output_scanline < cinfo->output_height; i++) {
            uint8_t *at = first + i * stride;
            JSAMPROW row[1] = {four ? pixels : at};
            jpeg_read_scanlines(cinfo, row, 1);
            if (!four) continue;
            fi_cmyk_to_rgb(pixels, pixels, width);
            if (luma) fi_rgb_to_luma(pixels, at, width);
            else fi_kernels_active()->split3(pixels, at, at + strip, at + 2 * strip, width);
        }
        for (unsigned c = 0; c < used; c++) fi_resizer_push(&resizer, c, first + c * strip, stride, STRIP_ROWS);
    } while (!fi_resizer_emit(&resizer));
}

void fi_resized_read(fi_session *session, const fi_request *req) {
    if (comes_as_pixels(&session->cinfo, req)) read_pixels(session, req);
    else read_planes(session, req);
}
