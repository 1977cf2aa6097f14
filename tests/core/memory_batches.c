/* SPDX-License-Identifier: BSD-3-Clause */
/* Batches of three that run out of memory: see test_out_of_memory.c. */
#include "memory_cases.h"

#include <string.h>

enum { JOBS = 3, VIEWS = 2 };

static const file *file_at(size_t first, size_t i) {
    return &files[(first + i) % file_count];
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

/* Runs jobs whose sources have been set; with views, each image has VIEWS of them that are alike. */
static void run_jobs(fi_batch *batch, fi_decoder *decoder, size_t first, int v) {
    const size_t per_job = batch->views ? VIEWS : 1;

    for (size_t i = 0; i < JOBS * per_job; i++) {
        const file *f = file_at(first, i / per_job);
        fi_output *out = batch->views ? &batch->views[i].out : &batch->jobs[i].out;
        *out = f->out[v];
        out->data = found[i];
        unset(found[i], out, v);
        if (batch->views) batch->views[i].options = &variants[v];
    }
    batch->out_of_memory = false;
    fi_batch_begin(batch);
    fi_batch_run(batch, decoder, 0);
}

static void check_jobs(const fi_batch *batch, size_t first, int v, bool may_fail) {
    const size_t done = batch->done, per_job = batch->views ? VIEWS : 1;
    const fi_job *jobs = batch->jobs;
    const bool stopped = done && jobs[done - 1].failure && jobs[done - 1].failure->status == FI_E_NOMEM;

    if (batch->out_of_memory && !may_fail) fail("no memory", FI_OK);
    if (done < JOBS && !batch->out_of_memory && !stopped) fail("jobs left", FI_OK);
    for (size_t i = 0; i < done; i++) {
        const file *f = file_at(first, i);
        const fi_status status = jobs[i].failure ? jobs[i].failure->status : FI_OK;
        if (status == FI_E_NOMEM && i + 1 < done) fail("went on without memory", status);
        now.path = f->path;
        for (size_t k = i * per_job; k < (i + 1) * per_job; k++) {
            check(f, v, status, found[k], may_fail);
            if (status != FI_OK && !is_cleared(found[k], &f->out[v], v)) fail("a failed image is not zeroed", status);
        }
    }
}

static void set_sources(fi_job *jobs, size_t first) {
    for (size_t i = 0; i < JOBS; i++) jobs[i] = (fi_job){.source = source_of(file_at(first, i))};
}

static bool try_jobs(fi_batch *batch, size_t first, int v, bool warm) {
    fi_decoder *decoder = new_decoder();

    set_sources(batch->jobs, first);
    for (size_t i = 0; i < JOBS && warm; i++) decode_and_check(decoder, file_at(first, i), v);
    failing_malloc_start(now.n, now.lasting);
    run_jobs(batch, decoder, first, v);
    const bool reached = failing_malloc_stop() >= now.n;
    check_jobs(batch, first, v, true);
    run_jobs(batch, decoder, first, v);
    check_jobs(batch, first, v, false);
    fi_batch_free(batch);
    fi_decoder_free(decoder);
    return reached;
}

bool try_batch(size_t first, int v, bool warm) {
    fi_job jobs[JOBS];
    fi_batch batch = {.options = &variants[v], .jobs = jobs, .count = JOBS};
    return try_jobs(&batch, first, v, warm);
}

bool try_view_batch(size_t first, int v) {
    fi_job jobs[JOBS];
    fi_view views[JOBS * VIEWS] = {0};
    fi_batch batch = {.options = &variants[v], .jobs = jobs, .count = JOBS, .views = views, .view_count = VIEWS};
    return try_jobs(&batch, first, v, false);
}

/* ---- headers first, by readers that keep what they have read --------------------------------------------------- */

/* Returns whether all headers were read. */
static bool read_headers(fi_batch *batch, fi_readers *readers, fi_decoder *decoder, bool may_fail) {
    fi_batch_begin(batch);
    fi_readers_add(readers, batch);
    fi_batch_run(batch, decoder, 0);
    fi_readers_remove(readers, batch);
    bool all = batch->done == JOBS && !batch->out_of_memory;
    for (size_t i = 0; i < JOBS; i++) {
        if (!batch->jobs[i].failure) continue;
        all = false;
        if (batch->jobs[i].failure->status != FI_E_NOMEM) fail("a wrong failure", batch->jobs[i].failure->status);
    }
    if (!all && !may_fail) fail("headers left", FI_OK);
    return all;
}

static void run_headers(size_t first, int v, fi_decoder *decoder, bool may_fail) {
    fi_job jobs[JOBS];
    fi_header headers[JOBS] = {0};
    fi_batch batch = {
        .options = &variants[v], .jobs = jobs, .count = JOBS, .headers = headers, .keeps_bytes = true, .decoders = 1};
    fi_readers *readers = fi_readers_new(MAX_NBYTES, 1, true);

    if (!readers && !may_fail) fail("no readers", FI_OK);
    if (!readers) return;
    set_sources(jobs, first);
    if (read_headers(&batch, readers, decoder, may_fail)) {
        batch.headers = NULL;
        run_jobs(&batch, decoder, first, v);
        check_jobs(&batch, first, v, may_fail);
    }
    fi_batch_free(&batch);
    fi_readers_free(readers);
}

bool try_headers(size_t first, int v) {
    fi_decoder *decoder = new_decoder();

    failing_malloc_start(now.n, now.lasting);
    run_headers(first, v, decoder, true);
    const bool reached = failing_malloc_stop() >= now.n;
    run_headers(first, v, decoder, false);
    fi_decoder_free(decoder);
    return reached;
}

/* ---- pixels that another library has decoded --------------------------------------------------------------------- */

enum { HEIGHT = 40, WIDTH = 50, REFUSED = 1 };

/* A batch of what is no JPEG, in two views each: one is refused, and the others' pixels are supplied. */
static void run_fallback(fi_batch *batch, fi_decoder *decoder, const fi_pixels *pixels, int v) {
    size_t position;

    batch->out_of_memory = false;
    for (size_t i = 0; i < JOBS * VIEWS; i++) unset(found[i], &batch->views[i].out, v);
    fi_batch_begin(batch);
    while ((position = fi_batch_run(batch, decoder, 0)) != FI_NO_JOB) {
        if (position == REFUSED) fi_batch_refuse(batch, position, false);
        else fi_batch_supply(batch, position, decoder, pixels, 1);
    }
}

static void check_fallback(const fi_batch *batch, const uint8_t *wanted, int v, bool may_fail) {
    const fi_output *out = &batch->views[0].out;

    if (batch->done < JOBS && !may_fail) fail("jobs left", FI_OK);
    for (size_t i = 0; i < JOBS; i++) {
        const fi_status status = batch->jobs[i].failure ? batch->jobs[i].failure->status : FI_OK;
        const fi_status expected = i == REFUSED ? FI_E_READER : FI_OK;
        if (status == FI_OK && batch->done < JOBS) continue; /* perhaps it was dropped */
        if (status != expected && !(may_fail && status == FI_E_NOMEM)) fail("another status than expected", status);
        for (size_t k = VIEWS * i; k < VIEWS * (i + 1); k++) {
            if (status == FI_OK ? memcmp(found[k], wanted, nbytes_of(out, v)) != 0 : !is_cleared(found[k], out, v))
                fail("wrong pixels", status);
        }
    }
}

static void learn_fallback(const fi_pixels *pixels, int v, const fi_output *out) {
    const fi_crop whole = {0};
    fi_failure failure = {0};
    fi_decoder *decoder = new_decoder();

    unset(out->data, out, v);
    if (fi_open_pixels(decoder, pixels, MAX_PIXELS, &failure) != FI_OK ||
        fi_decode(decoder, &variants[v], &whole, false, out, &failure) != FI_OK)
        fail("pixels are not taken", failure.status);
    fi_decoder_free(decoder);
}

bool try_fallback(int v) {
    static uint8_t data[HEIGHT][3 * WIDTH], wanted[MAX_NBYTES];
    static const uint8_t no_jpeg[8] = {1, 2, 3};
    const fi_options *options = &variants[v];
    const fi_pixels pixels = {data[0], sizeof data[0], HEIGHT, WIDTH, (uint8_t)fi_channels(options), 6};
    fi_output out = output_of(v, options->height ? options->height : WIDTH, options->width ? options->width : HEIGHT);
    fi_job jobs[JOBS] = {0};
    fi_view views[JOBS * VIEWS];
    fi_batch batch = {
        .options = options, .jobs = jobs, .count = JOBS, .views = views, .view_count = VIEWS, .has_fallback = true};

    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < 3 * WIDTH; x++) data[y][x] = (uint8_t)(y * y + 7 * x);
    }
    for (size_t i = 0; i < JOBS * VIEWS; i++) {
        jobs[i / VIEWS].source = (fi_source){.data = no_jpeg, .size = sizeof no_jpeg};
        out.data = found[i];
        views[i] = (fi_view){.options = options, .out = out};
    }
    out.data = wanted;
    learn_fallback(&pixels, v, &out);
    fi_decoder *decoder = new_decoder();
    failing_malloc_start(now.n, now.lasting);
    run_fallback(&batch, decoder, &pixels, v);
    const bool reached = failing_malloc_stop() >= now.n;
    check_fallback(&batch, wanted, v, true);
    run_fallback(&batch, decoder, &pixels, v);
    check_fallback(&batch, wanted, v, false);
    fi_batch_free(&batch);
    fi_decoder_free(decoder);
    return reached;
}
