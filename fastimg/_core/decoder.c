/* SPDX-License-Identifier: BSD-3-Clause */
/* One image, from its source to the array. */
#include "fi.h"

#include "buffer.h"
#include "header.h"
#include "jpeg/decompressor.h"
#include "pixels/copy_sink.h"
#include "pixels/feed.h"
#include "pixels/resample_sink.h"
#include "reading.h"
#include "team.h"
#include "views.h"

#include <stdlib.h>

/* Larger buffers are freed when a decoder is put aside. */
#define KEEP_NBYTES ((size_t)1 << 20)

struct fi_decoder {
    fi_decompressor *jpeg;
    fi_coef_cache *coefs;
    fi_buffer file; /* one file's bytes */
    fi_buffer rows; /* a few rows, as libjpeg gives them */
    fi_buffer sink; /* what the sink needs */
    fi_views views;
    const uint8_t *data;
    size_t nbytes;
    fi_pixels pixels; /* data not NULL: these are open, and no JPEG */
    fi_header header;
    fi_plan plan; /* of the last decode */
};

/* ---- decoders -------------------------------------------------------------------------------------------------- */

fi_decoder *fi_decoder_new(void) {
    fi_decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder) return NULL;
    decoder->jpeg = fi_decompressor_new();
    decoder->coefs = fi_coef_cache_new();
    if (decoder->jpeg && decoder->coefs) return decoder;
    fi_decoder_free(decoder);
    return NULL;
}

void fi_decoder_free(fi_decoder *decoder) {
    if (!decoder) return;
    fi_decompressor_free(decoder->jpeg);
    fi_coef_cache_free(decoder->coefs);
    fi_buffer_free(&decoder->file);
    fi_buffer_free(&decoder->rows);
    fi_buffer_free(&decoder->sink);
    fi_views_free(&decoder->views);
    free(decoder);
}

void fi_decoder_trim(fi_decoder *decoder) {
    fi_buffer *const buffers[] = {&decoder->file, &decoder->rows, &decoder->sink};

    decoder->data = decoder->pixels.data = NULL;
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        if (buffers[i]->capacity > KEEP_NBYTES) fi_buffer_free(buffers[i]);
    }
    fi_coef_cache_trim(decoder->coefs);
    fi_views_trim(&decoder->views, KEEP_NBYTES);
    fi_decompressor_trim(decoder->jpeg);
}

const fi_header *fi_decoder_header(const fi_decoder *decoder) {
    return &decoder->header;
}

const char *fi_decoder_warnings(const fi_decoder *decoder) {
    return fi_decompressor_warnings(decoder->jpeg);
}

void fi_decoder_geometry(const fi_decoder *decoder, double matrix[2][3]) {
    fi_plan_geometry(&decoder->plan, matrix);
}

fi_watch fi_decoder_watch(fi_decoder *decoder, fi_watch watch) {
    return fi_decompressor_watch(decoder->jpeg, watch);
}

void fi_decoder_join(fi_decoder *decoder, fi_team *team) {
    fi_decompressor_join(decoder->jpeg, team);
}

void fi_decoder_follow(fi_decoder *decoder, fi_team *team) {
    fi_team_follow(team, decoder->jpeg);
}

bool fi_decoder_fell_back(const fi_decoder *decoder) {
    return fi_decompressor_fell_back(decoder->jpeg);
}

long fi_decoder_warning_count(const fi_decoder *decoder) {
    return fi_decompressor_warning_count(decoder->jpeg);
}

/* ---- one image ------------------------------------------------------------------------------------------------- */

fi_status fi_read_header(fi_decoder *decoder, const fi_source *source, uint64_t max_pixels, fi_header *header,
                         fi_failure *failure) {
    fi_reader reader;
    fi_status status = fi_reader_open(&reader, source, &decoder->file, failure);
    if (status == FI_OK) status = fi_read_head(&reader, max_pixels, header, failure);
    fi_reader_close(&reader);
    return status;
}

fi_status fi_open(fi_decoder *decoder, const fi_source *source, uint64_t max_pixels, fi_failure *failure) {
    fi_reader reader;
    fi_status status = fi_reader_open(&reader, source, &decoder->file, failure);
    if (status == FI_OK) status = fi_read_whole(&reader, max_pixels, &decoder->header, failure);
    fi_reader_close(&reader);
    decoder->data = reader.data;
    decoder->nbytes = reader.have;
    decoder->pixels.data = NULL;
    return status;
}

fi_status fi_open_pixels(fi_decoder *decoder, const fi_pixels *pixels, uint64_t max_pixels, fi_failure *failure) {
    decoder->data = NULL;
    decoder->pixels = *pixels;
    decoder->header = (fi_header){
        .nbytes = (uint64_t)pixels->stride * pixels->height,
        .height = pixels->height,
        .width = pixels->width,
        .color = FI_UNKNOWN, /* nothing that an inverse DCT could reduce */
        .components = pixels->channels,
        .precision = 8,
        .orientation = pixels->orientation,
        .h_samp = {1, 1, 1},
        .v_samp = {1, 1, 1},
    };
    const fi_status status = fi_header_check(&decoder->header, max_pixels, failure);
    if (status != FI_OK) decoder->pixels.data = NULL;
    return status;
}

/* Brings the open image's rows to the sink. */
static fi_status run(fi_decoder *decoder, const fi_route *route, const fi_request *request, fi_failure *failure) {
    if (!decoder->pixels.data) return fi_decompressor_decode(decoder->jpeg, route, request, failure);
    if (fi_feed_pixels(request->sink, &decoder->pixels, request->plan->resize, request->rows)) return FI_OK;
    return failure->status = FI_E_NOMEM;
}

static bool reaches_bottom(const fi_decoder *decoder, const fi_plan *plan) {
    return plan->box_top + plan->box_height > decoder->header.height - 0.5;
}

static fi_status decode(fi_decoder *decoder, const fi_plan *plan, const fi_options *options, const fi_output *out,
                        fi_failure *failure) {
    fi_request request = {
        .data = decoder->data,
        .nbytes = decoder->nbytes,
        .header = &decoder->header,
        .plan = plan,
        .options = options,
        .reaches_bottom = reaches_bottom(decoder, plan),
        .rows = &decoder->rows,
    };

    if (plan->resize) {
        fi_resample_sink sink;
        fi_resample_sink_init(&sink, plan, options, out, decoder->coefs, &decoder->sink);
        request.sink = &sink.base;
        return run(decoder, &fi_resample_route, &request, failure);
    }
    fi_copy_sink sink;
    fi_copy_sink_init(&sink, plan, options, out, &decoder->sink);
    request.sink = &sink.base;
    return run(decoder, &fi_copy_route, &request, failure);
}

/* The plan for an output, which must have the right size. */
static fi_status make_plan(const fi_decoder *decoder, fi_plan *plan, const fi_options *options, const fi_crop *crop,
                           bool flip, const fi_output *out, fi_failure *failure) {
    const fi_status status = fi_plan_make(plan, &decoder->header, options, crop, flip, failure);

    if (status != FI_OK || !out->data) return status;
    if (plan->out_height == out->height && plan->out_width == out->width) return FI_OK;
    failure->detail[0] = out->height;
    failure->detail[1] = out->width;
    failure->detail[2] = plan->out_height;
    failure->detail[3] = plan->out_width;
    return failure->status = FI_E_SHAPE;
}

/* What no row of the image is going to be written to. */
static void prepare_output(const fi_plan *plan, const fi_options *options, const fi_output *out) {
    if (!options->strict) fi_output_clear(out, options); /* rows that libjpeg does not get to */
    fi_output_pad(out, plan, options);
}

fi_status fi_decode(fi_decoder *decoder, const fi_options *options, const fi_crop *crop, bool flip,
                    const fi_output *out, fi_failure *failure) {
    fi_plan *plan = &decoder->plan;
    const fi_status status = make_plan(decoder, plan, options, crop, flip, out, failure);

    if (status != FI_OK) return status;
    prepare_output(plan, options, out);
    return decode(decoder, plan, options, out, failure);
}

/* ---- several views of one image -------------------------------------------------------------------------------- */

/* All views that are resampled, in one pass. */
static fi_status decode_resized(fi_decoder *decoder, const fi_view *views, size_t count, fi_failure *failure) {
    fi_request request = {
        .data = decoder->data,
        .nbytes = decoder->nbytes,
        .header = &decoder->header,
        .options = views->options, /* of those that matter here, all have the same */
        .rows = &decoder->rows,
    };

    request.sink = fi_views_sink(&decoder->views, views, count, &request.plan);
    if (!request.sink) return FI_OK;
    for (size_t i = 0; i < count; i++) {
        const fi_plan *plan = &decoder->views.states[i].plan;
        if (plan->resize && reaches_bottom(decoder, plan)) request.reaches_bottom = true;
    }
    return run(decoder, &fi_resample_route, &request, failure);
}

fi_status fi_decode_views(fi_decoder *decoder, const fi_view *views, size_t count, fi_failure *failure) {
    if (!fi_views_reserve(&decoder->views, count)) return failure->status = FI_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const fi_view *view = &views[i];
        make_plan(decoder, &decoder->views.states[i].plan, view->options, &view->crop, view->flip, &view->out, failure);
        if (failure->status != FI_OK) return failure->status;
    }
    for (size_t i = 0; i < count; i++) {
        prepare_output(&decoder->views.states[i].plan, views[i].options, &views[i].out);
    }
    decode_resized(decoder, views, count, failure);
    for (size_t i = 0; i < count && failure->status == FI_OK; i++) {
        const fi_plan *plan = &decoder->views.states[i].plan;
        if (!plan->resize) decode(decoder, plan, views[i].options, &views[i].out, failure);
    }
    return failure->status;
}

void fi_decoder_view_geometry(const fi_decoder *decoder, size_t i, double matrix[2][3]) {
    fi_plan_geometry(&decoder->views.states[i].plan, matrix);
}
