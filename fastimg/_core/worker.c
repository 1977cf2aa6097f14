/* SPDX-License-Identifier: BSD-3-Clause */
/* One thread's tools, and one image's way through them. */
#include "fi.h"

#include "buffer.h"
#include "header.h"
#include "session.h"
#include "source.h"

/* What is read of a file at first: the head of nearly every JPEG, and the whole of many. */
#define HEAD_NBYTES 16384

/* A buffer above this is given back when its worker is put aside. */
#define KEEP_NBYTES ((size_t)1 << 20)

struct fi_worker {
    fi_session *session;
    fi_buffer file;    /* one file's bytes */
    fi_buffer scratch; /* a few rows */
    const uint8_t *data;
    size_t nbytes;
    fi_header header;
};

/* ---- workers --------------------------------------------------------------------------------------------------- */

fi_worker *fi_worker_new(void) {
    fi_worker *worker = calloc(1, sizeof *worker);
    if (!worker) return NULL;
    worker->session = fi_session_new();
    if (worker->session) return worker;
    fi_worker_free(worker);
    return NULL;
}

void fi_worker_free(fi_worker *worker) {
    if (!worker) return;
    fi_session_free(worker->session);
    fi_buffer_free(&worker->file);
    fi_buffer_free(&worker->scratch);
    free(worker);
}

void fi_worker_trim(fi_worker *worker) {
    worker->data = NULL;
    if (worker->file.capacity > KEEP_NBYTES) fi_buffer_free(&worker->file);
    if (worker->scratch.capacity > KEEP_NBYTES) fi_buffer_free(&worker->scratch);
    fi_session_trim(worker->session);
}

const fi_header *fi_worker_header(const fi_worker *worker) {
    return &worker->header;
}

const char *fi_worker_notes(const fi_worker *worker) {
    return fi_session_notes(worker->session);
}

bool fi_worker_gave_up(const fi_worker *worker) {
    return fi_session_gave_up(worker->session);
}

long fi_worker_warnings(const fi_worker *worker) {
    return fi_session_warnings(worker->session);
}

/* ---- one image ------------------------------------------------------------------------------------------------- */

/* Reads on until the header is parsed, at least twice as far each time: a head of any length is read in linear time. */
static fi_status read_head(fi_reader *reader, fi_header *header, fi_failure *failure) {
    uint64_t need = HEAD_NBYTES;
    fi_status status;

    do {
        if (need < 2 * (uint64_t)reader->have) need = 2 * (uint64_t)reader->have;
        status = fi_reader_fill(reader, need, failure);
        if (status == FI_OK) {
            status = fi_header_parse(header, reader->data, reader->have, reader->total, &need, failure);
        }
    } while (status == FI_OK && need);
    return status;
}

/* That a frame is too large, or not for us, matters more than that the header behind it is broken. */
static fi_status check_head(fi_status status, const fi_header *header, uint64_t max_pixels, fi_failure *failure) {
    if (status != FI_OK && ((status != FI_E_CUT_HEADER && status != FI_E_NO_IMAGE) || !header->components)) {
        return status;
    }
    const fi_failure first = *failure;
    if (fi_header_check(header, max_pixels, failure) == FI_OK) *failure = first;
    return failure->status;
}

fi_status fi_read_header(fi_worker *worker, const fi_source *source, uint64_t max_pixels, fi_header *header,
                         fi_failure *failure) {
    fi_reader reader;
    fi_status status = fi_reader_open(&reader, source, &worker->file, failure);
    if (status == FI_OK) {
        status = read_head(&reader, header, failure);
        if (max_pixels) status = check_head(status, header, max_pixels, failure);
    }
    fi_reader_close(&reader);
    return status;
}

fi_status fi_open(fi_worker *worker, const fi_source *source, uint64_t max_pixels, fi_failure *failure) {
    fi_reader reader;
    fi_status status = fi_reader_open(&reader, source, &worker->file, failure);
    if (status == FI_OK) {
        status = check_head(read_head(&reader, &worker->header, failure), &worker->header, max_pixels, failure);
    }
    if (status == FI_OK) status = fi_reader_fill(&reader, reader.total, failure);
    fi_reader_close(&reader);
    worker->data = reader.data;
    worker->nbytes = reader.have;
    return status;
}

fi_status fi_decode(fi_worker *worker, const fi_options *options, const fi_crop *crop, bool flip, const fi_output *out,
                    fi_failure *failure) {
    fi_plan plan;
    const fi_status status = fi_plan_make(&plan, &worker->header, options, crop, flip, failure);

    if (status != FI_OK) return status;
    if (out->data && (plan.out_height != out->height || plan.out_width != out->width)) {
        failure->detail[0] = out->height;
        failure->detail[1] = out->width;
        failure->detail[2] = plan.out_height;
        failure->detail[3] = plan.out_width;
        return failure->status = FI_E_SHAPE;
    }
    fi_output_pad(out, &plan, options);
    return fi_session_decode(worker->session, worker->data, worker->nbytes, &worker->header, &plan, options, out,
                             &worker->scratch, failure);
}
