/* SPDX-License-Identifier: BSD-3-Clause */
/* One libjpeg-turbo decompressor, reused for every image of a decoder. */
#ifndef FI_DECOMPRESSOR_H
#define FI_DECOMPRESSOR_H

#include "buffer.h"
#include "fi.h"
#include "pixels/sink.h"
#include "team.h"

typedef struct fi_decompressor fi_decompressor;

/* As fi_decoder_new(), _free() and _trim() in fi.h. */
fi_decompressor *fi_decompressor_new(void);
void fi_decompressor_free(fi_decompressor *jpeg);
void fi_decompressor_trim(fi_decompressor *jpeg);

/* What to decode. All of it is borrowed, and constant where setjmp could spoil it. */
typedef struct fi_request {
    const uint8_t *data;
    size_t nbytes;
    const fi_header *header; /* of the same bytes */
    const fi_plan *plan; /* several views: of one of them, all of which have its scale_denom */
    const fi_options *options;
    fi_sink *sink;
    bool reaches_bottom; /* the image's last row matters for what is resampled */
    fi_buffer *rows; /* for the route's rows */
} fi_request;

/*
 * Which rows a decompressor makes. choose() sets libjpeg's parameters after it has read the header; read() takes the
 * rows to the sink after jpeg_start_decompress().
 */
typedef struct fi_route {
    void (*choose)(fi_decompressor *jpeg, const fi_request *request);
    void (*read)(fi_decompressor *jpeg, const fi_request *request);
} fi_route;

/* To a copy sink, and to a resample sink. */
extern const fi_route fi_copy_route, fi_resample_route;

/*
 * Decodes an image along a route into the request's sink. If the core's own stages give up, it decodes again without
 * them, and the sink begins again.
 */
fi_status fi_decompressor_decode(fi_decompressor *jpeg, const fi_route *route, const fi_request *request,
                                 fi_failure *failure);

/* See fi_decoder_join(). */
void fi_decompressor_join(fi_decompressor *jpeg, fi_team *team);

/* See fi_decoder_watch(). */
fi_watch fi_decompressor_watch(fi_decompressor *jpeg, fi_watch watch);

/* What fi.h has of the last decode under the same names. */
const char *fi_decompressor_warnings(const fi_decompressor *jpeg);
long fi_decompressor_warning_count(const fi_decompressor *jpeg);
bool fi_decompressor_fell_back(const fi_decompressor *jpeg);

#endif
