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

/* The views of a job, if the batch has any. */
static fi_view *views_of(const fi_batch *batch, const fi_job *job) {
    return batch->views + (size_t)(job - batch->jobs) * batch->view_count;
}

static fi_status decode_views(const fi_batch *batch, const fi_job *job, fi_decoder *decoder, fi_failure *failure) {
    fi_view *views = views_of(batch, job);

    for (size_t v = 0; batch->boxes && v < batch->view_count; v++) {
        fi_box_draw(&batch->boxes[v], job->index, job->height, job->width, &views[v].crop, &views[v].flip);
    }
    const fi_status status = fi_decode_views(decoder, views, batch->view_count, failure);
    for (size_t v = 0; batch->geometry && status == FI_OK && v < batch->view_count; v++) {
        fi_decoder_view_geometry(decoder, v, batch->geometry[views + v - batch->views]);
    }
    return status;
}

/* Zeroes what a job that failed was to write. */
static void clear_outputs(const fi_batch *batch, const fi_job *job) {
    if (!batch->views) fi_output_clear(&job->out, batch->options);
    for (size_t v = 0; batch->views && v < batch->view_count; v++) {
        const fi_view *view = views_of(batch, job) + v;
        fi_output_clear(&view->out, view->options);
    }
}

/* Decodes what the decoder has open. */
static fi_status decode_open(fi_batch *batch, fi_job *job, fi_decoder *decoder, fi_failure *failure) {
    fi_status status = check_size(batch, job, fi_decoder_header(decoder), failure);

    if (status != FI_OK) return status;
    if (batch->views) return decode_views(batch, job, decoder, failure);
    if (batch->boxes) {
        fi_box_draw(batch->boxes, job->index, job->height, job->width, &job->crop, &job->flip);
    }
    status = fi_decode(decoder, batch->options, &job->crop, job->flip, &job->out, failure);
    if (batch->geometry && status == FI_OK) fi_decoder_geometry(decoder, batch->geometry[job - batch->jobs]);
    return status;
}

typedef struct place {
    fi_batch *batch;
    size_t position;
    fi_watch caller;
} place;

static bool is_dropped(void *context) {
    const place *place = context;

    if (atomic_load_explicit(&place->batch->end, memory_order_relaxed) <= place->position) return true;
    if (!place->caller.stop || !place->caller.stop(place->caller.context)) return false;
    fi_batch_cancel(place->batch);
    return true;
}

/* The same, until the job is dropped. */
static fi_status decode_watched(fi_batch *batch, fi_job *job, fi_decoder *decoder, fi_failure *failure) {
    place place = {.batch = batch, .position = (size_t)(job - batch->jobs)};

    place.caller = fi_decoder_watch(decoder, (fi_watch){is_dropped, &place});
    fi_decoder_join(decoder, batch->team);
    const fi_status status = decode_open(batch, job, decoder, failure);
    fi_decoder_join(decoder, NULL);
    fi_decoder_watch(decoder, place.caller);
    return status;
}

static fi_status decode_job(fi_batch *batch, fi_job *job, fi_decoder *decoder, fi_timing *timing, fi_failure *failure) {
    const fi_source memory = {.data = job->bytes.buffer.data, .size = job->nbytes};
    const int64_t start = fi_now_ns();
    const uint64_t max_pixels = batch->options->max_pixels;
    fi_status status = fi_open(decoder, job->is_read ? &memory : &job->source, max_pixels, failure);
    const int64_t opened = fi_now_ns();

    if (!job->is_read && job->source.path) {
        fi_timing_add_read(timing, opened - start, fi_decoder_header(decoder)->nbytes);
    }
    if (status != FI_OK) return status;
    status = decode_watched(batch, job, decoder, failure);
    timing->decode_ns += fi_now_ns() - opened;
    timing->decodes++;
    return status;
}

/* Ends a job; the failure of one that has none yet is kept, and *failure is NULL then. */
static void end_job(fi_batch *batch, size_t i, fi_status status, fi_failure **failure) {
    fi_job *job = &batch->jobs[i];

    if (status == FI_E_CANCELLED) {
        **failure = (fi_failure){0}; /* dropped while it was decoded: not a failure of the image */
    } else if (status != FI_OK) {
        if (!job->failure) {
            fi_readers_fail(batch, i, *failure);
            *failure = NULL;
        }
        if (!batch->stop_on_failure && !batch->headers) clear_outputs(batch, job);
    }
    if (job->is_read) fi_readers_release(batch, job);
    atomic_fetch_add(&batch->done, 1);
}

/* Runs a job; *spare is a failure that may be kept. Returns false if the caller must decode the image. */
static bool run_job(fi_batch *batch, size_t i, fi_decoder *decoder, fi_timing *timing, fi_failure **spare) {
    fi_job *job = &batch->jobs[i];
    fi_status status;

    if (batch->headers) {
        status = fi_read_header(decoder, &job->source, batch->options->max_pixels, &batch->headers[i], *spare);
    } else if (job->failure) { /* of reading */
        status = job->failure->status;
    } else {
        status = decode_job(batch, job, decoder, timing, *spare);
    }
    if (batch->has_fallback && fi_is_other(status) && !batch->headers) {
        fi_failure_free(job->failure);
        job->failure = NULL;
        return false;
    }
    end_job(batch, i, status, spare);
    return true;
}

/* A failure to fill; NULL: there is no memory for one, and the batch has been stopped. */
static fi_failure *new_failure(fi_batch *batch) {
    fi_failure *failure = calloc(1, sizeof *failure);

    if (failure) return failure;
    atomic_store(&batch->out_of_memory, true);
    fi_batch_cancel(batch);
    return NULL;
}

void fi_batch_supply(fi_batch *batch, size_t position, fi_decoder *decoder, const fi_pixels *pixels, int64_t ns) {
    fi_failure *failure = new_failure(batch);
    fi_status status = FI_E_NOMEM;
    fi_timing timing = {.decode_ns = ns, .decodes = 1};

    if (failure) status = fi_open_pixels(decoder, pixels, batch->options->max_pixels, failure);
    if (status == FI_OK) status = decode_watched(batch, &batch->jobs[position], decoder, failure);
    if (failure) end_job(batch, position, status, &failure);
    fi_failure_free(failure);
    if (batch->readers) fi_readers_learn(batch, &timing);
}

void fi_batch_refuse(fi_batch *batch, size_t position, bool stop) {
    fi_failure *failure = new_failure(batch);

    if (!failure) return;
    failure->status = FI_E_READER;
    failure->detail[0] = stop;
    end_job(batch, position, FI_E_READER, &failure);
}

void fi_batch_begin(fi_batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        fi_failure_free(batch->jobs[i].failure);
        batch->jobs[i].failure = NULL;
        batch->jobs[i].is_listed = false;
        atomic_store(&batch->jobs[i].is_unreadable, false);
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

size_t fi_batch_run(fi_batch *batch, fi_decoder *decoder, int64_t budget_ns) {
    int64_t now = fi_now_ns(), learned = now;
    const int64_t deadline = budget_ns ? now + budget_ns : INT64_MAX;
    fi_failure *spare = NULL; /* for the next job that fails */
    fi_timing timing = {0};
    size_t others = FI_NO_JOB;

    atomic_fetch_add(&batch->running, 1);
    if (batch->team) fi_team_lead(batch->team);
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
            if (!spare && !(spare = new_failure(batch))) break;
            if (!run_job(batch, i, decoder, &timing, &spare)) {
                others = i;
                break;
            }
        }
        now = fi_now_ns();
        if (batch->readers && now - learned >= LEARN_NS) {
            learned = now;
            if (fi_readers_learn(batch, &timing) && budget_ns) break;
        }
    } while (now < deadline);
    free(spare);
    if (others != FI_NO_JOB && batch->readers) fi_readers_learn(batch, &timing);
    if (batch->team) fi_team_leave(batch->team);
    if (batch->team && !batch->headers && others == FI_NO_JOB && !budget_ns) fi_decoder_follow(decoder, batch->team);
    fi_readers_left(batch);
    return others;
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
