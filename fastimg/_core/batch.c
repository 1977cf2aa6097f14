/* SPDX-License-Identifier: BSD-3-Clause */
#if !defined(_POSIX_C_SOURCE) && !defined(__APPLE__)
#define _POSIX_C_SOURCE 200809L
#endif

#include "fi.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static fi_status run_job(fi_batch *batch, size_t i, fi_decoder *decoder, fi_failure *failure) {
    const fi_options *options = batch->options;
    fi_job *job = &batch->jobs[i];

    if (batch->headers) {
        return fi_read_header(decoder, &job->source, options->max_pixels, &batch->headers[i], failure);
    }
    const fi_status status = fi_open(decoder, &job->source, options->max_pixels, failure);
    if (status != FI_OK) return status;
    return fi_decode(decoder, options, &job->crop, job->flip, &job->out, failure);
}

/* Errors of the machine, which the next images would meet as well. */
static bool machine_fault(const fi_failure *failure) {
    const int code = failure->os_errno;
    return failure->status == FI_E_NOMEM ||
           (failure->status == FI_E_OS && (code == ENOMEM || code == EMFILE || code == ENFILE));
}

static void fail_job(fi_batch *batch, fi_job *job, fi_failure *failure) {
    job->failure = failure;
    if (batch->stop_on_failure || machine_fault(failure)) fi_batch_cancel(batch);
    if (!batch->stop_on_failure && !batch->headers) fi_output_clear(&job->out, batch->options);
}

void fi_batch_run(fi_batch *batch, fi_decoder *decoder, int64_t budget_ns) {
    const int64_t deadline = budget_ns ? now_ns() + budget_ns : INT64_MAX;
    fi_failure *failure = NULL; /* for the next job that fails */

    do {
        const size_t i = atomic_fetch_add(&batch->next, 1);
        if (i >= batch->count) break;
        if (!failure) failure = calloc(1, sizeof *failure);
        if (!failure) {
            atomic_store(&batch->next, batch->count);
            atomic_store(&batch->out_of_memory, true);
            break;
        }
        if (run_job(batch, i, decoder, failure) != FI_OK) {
            fail_job(batch, &batch->jobs[i], failure);
            failure = NULL;
        }
        atomic_fetch_add(&batch->done, 1);
    } while (budget_ns == 0 || now_ns() < deadline);
    free(failure);
}

void fi_batch_cancel(fi_batch *batch) {
    atomic_store(&batch->next, batch->count);
}
