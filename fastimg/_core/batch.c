/* SPDX-License-Identifier: BSD-3-Clause */
#include "fi_batch.h"

#include "readers.h"

#include <stdlib.h>

/* How long a thread measures before it tells the readers. */
#define LEARN_NS 2000000

/* The size of the image that the options ask for, before any crop. */
static void set_size(fi_job *job, const fi_header *header, const fi_options *options) {
    const bool turned = options->orient && header->orientation >= 5;
    job->height = turned ? header->width : header->height;
    job->width = turned ? header->height : header->width;
}

static fi_status check_size(const fi_batch *batch, fi_job *job, const fi_header *header, fi_failure *failure) {
    const uint32_t height = job->height, width = job->width;

    set_size(job, header, batch->options);
    if (!batch->checks_sizes || !height || (height == job->height && width == job->width)) return FI_OK;
    failure->detail[0] = height;
    failure->detail[1] = width;
    failure->detail[2] = job->height;
    failure->detail[3] = job->width;
    return failure->status = FI_E_SIZE;
}

static void set_geometry(const fi_batch *batch, const fi_job *job, const fi_header *header, fi_failure *failure) {
    fi_plan plan;
    if (fi_plan_make(&plan, header, batch->options, &job->crop, job->flip, failure) == FI_OK) {
        fi_plan_geometry(&plan, batch->geometry[job - batch->jobs]);
    }
}

static fi_status decode_job(fi_batch *batch, fi_job *job, fi_decoder *decoder, fi_timing *timing, fi_failure *failure) {
    const fi_options *options = batch->options;
    const fi_source memory = {.data = job->bytes.buffer.data, .size = job->nbytes};
    const int64_t start = fi_now_ns();
    fi_status status = fi_open(decoder, job->is_read ? &memory : &job->source, options->max_pixels, failure);
    const int64_t opened = fi_now_ns();

    if (!job->is_read && job->source.path) {
        fi_timing_add_read(timing, opened - start, fi_decoder_header(decoder)->nbytes);
    }
    if (status == FI_OK) status = check_size(batch, job, fi_decoder_header(decoder), failure);
    if (status != FI_OK) return status;
    if (batch->boxes) {
        fi_box_draw(batch->boxes, job->index, job->height, job->width, &job->crop, &job->flip);
    }
    status = fi_decode(decoder, options, &job->crop, job->flip, &job->out, failure);
    if (batch->geometry && status == FI_OK) set_geometry(batch, job, fi_decoder_header(decoder), failure);
    timing->decode_ns += fi_now_ns() - opened;
    timing->decodes++;
    return status;
}

/* Runs a job; *spare is a failure that may be kept. */
static void run_job(fi_batch *batch, size_t i, fi_decoder *decoder, fi_timing *timing, fi_failure **spare) {
    fi_job *job = &batch->jobs[i];
    fi_status status;

    if (batch->headers) {
        status = fi_read_header(decoder, &job->source, batch->options->max_pixels, &batch->headers[i], *spare);
    } else if (job->failure) { /* of reading */
        status = job->failure->status;
    } else {
        status = decode_job(batch, job, decoder, timing, *spare);
    }
    if (status != FI_OK) {
        if (!job->failure) {
            fi_readers_fail(batch, i, *spare);
            *spare = NULL;
        }
        if (!batch->stop_on_failure && !batch->headers) fi_output_clear(&job->out, batch->options);
    }
    if (job->is_read) fi_readers_release(batch, job);
    atomic_fetch_add(&batch->done, 1);
}

void fi_batch_begin(fi_batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        fi_failure_free(batch->jobs[i].failure);
        batch->jobs[i].failure = NULL;
        batch->jobs[i].is_listed = false;
    }
    atomic_store(&batch->next, 0);
    atomic_store(&batch->end, SIZE_MAX);
    atomic_store(&batch->done, 0);
    batch->first_ready = batch->last_ready = FI_NONE;
}

/* The next job of a thread; FI_NONE: there is none, or none yet. */
static size_t next_job(fi_batch *batch, int64_t deadline, fi_timing *timing) {
    while (!fi_readers_lead(batch)) {
        const size_t i = atomic_fetch_add(&batch->next, 1);
        if (i >= fi_batch_limit(batch)) break;
        if (!batch->jobs[i].is_listed) return i;
    }
    /* A reader may have claimed what is left. */
    return batch->readers ? fi_readers_take(batch, deadline, timing) : FI_NONE;
}

void fi_batch_run(fi_batch *batch, fi_decoder *decoder, int64_t budget_ns) {
    int64_t now = fi_now_ns(), learned = now;
    const int64_t deadline = budget_ns ? now + budget_ns : INT64_MAX;
    fi_failure *spare = NULL; /* for the next job that fails */
    fi_timing timing = {0};

    atomic_fetch_add(&batch->running, 1);
    do {
        const size_t i = next_job(batch, deadline, &timing);
        if (i == FI_NONE) {
            now = fi_now_ns();
            if (batch->headers || fi_readers_lead(batch) || atomic_load(&batch->next) >= fi_batch_limit(batch)) break;
            continue; /* the threads that led have ended */
        }
        if (batch->headers && batch->readers) {
            fi_readers_run_here(batch, i);
        } else {
            if (!spare) spare = calloc(1, sizeof *spare);
            if (!spare) {
                atomic_store(&batch->out_of_memory, true);
                fi_batch_cancel(batch);
                break;
            }
            run_job(batch, i, decoder, &timing, &spare);
        }
        now = fi_now_ns();
        if (batch->readers && now - learned >= LEARN_NS) {
            learned = now;
            if (fi_readers_learn(batch, &timing) && budget_ns) break;
        }
    } while (now < deadline);
    free(spare);
    fi_readers_left(batch);
}

void fi_batch_cancel(fi_batch *batch) {
    fi_readers_drop(batch, 0);
}

void fi_batch_free(fi_batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        fi_mapped_free(&batch->jobs[i].bytes);
        fi_failure_free(batch->jobs[i].failure);
    }
}
