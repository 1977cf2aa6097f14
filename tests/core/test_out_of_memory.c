/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every allocation of the decode path fails in turn, alone or with all that follow, those of libjpeg-turbo included. A
 * call then fails for lack of memory or ends as it does otherwise, nothing is leaked, and the calls after it are right.
 * The arguments are files; each is decoded after each.
 *
 * Valgrind needs --soname-synonyms=somalloc=nouserintercepts to leave failing_malloc.c in place.
 */
#include "cpu.h"
#include "failing_malloc.h"
#include "fi_batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 16, MAX_NBYTES = 1 << 16, MAX_PIXELS = 1 << 16, VARIANTS = 5 };

/* How a file's decoding ends if no allocation fails. */
typedef struct {
    const char *path;
    fi_status status[VARIANTS];
    uint8_t *pixels[VARIANTS];
    fi_output out[VARIANTS];
} file;

static file files[MAX_FILES];
static size_t file_count;
static fi_options variants[VARIANTS];
static uint8_t found[2 * MAX_FILES][MAX_NBYTES];

static struct {
    const char *what, *before, *path;
    int variant;
    long n;
    bool lasting;
} now;

static void fail(const char *why, fi_status status) {
    fprintf(stderr, "%s of %s after %s, options %d, allocation %ld%s: %s (status %s)\n", now.what,
            now.path ? now.path : "-", now.before ? now.before : "-", now.variant, now.n, now.lasting ? " and on" : "",
            why, fi_status_name(status));
    exit(1);
}

/* Copied and resized, strict and lenient, with the core's own stages and without. */
static void set_variants(void) {
    for (int v = 0; v < VARIANTS; v++) {
        variants[v] = (fi_options){
            .orient = true, .strict = v % 2 == 0, .max_scans = 100, .max_pixels = MAX_PIXELS, .reducing_gap = 2};
    }
    variants[1].mode = FI_MODE_L;
    variants[2].height = 9;
    variants[2].width = 17;
    variants[3] = variants[2];
    variants[3].strict = false;
    variants[3].layout = FI_HWC;
    variants[3].resample = FI_LANCZOS;
    variants[3].fit = FI_CONTAIN;
    variants[4].layout = FI_HWC;
    variants[4].use_libjpeg_entropy = true;
}

static size_t nbytes_of(const fi_output *out, int v) {
    const bool planar = variants[v].layout == FI_CHW;
    return (size_t)out->row_stride * out->height * (planar ? fi_channels(&variants[v]) : 1);
}

static fi_source source_of(const file *f) {
    return (fi_source){.path = f->path, .size = FI_WHOLE_FILE};
}

static fi_status decode(fi_decoder *decoder, const file *f, int v, uint8_t *pixels) {
    const fi_source source = source_of(f);
    const fi_crop whole = {0};
    fi_output out = f->out[v];
    fi_failure failure = {0};

    out.data = pixels;
    if (fi_open(decoder, &source, MAX_PIXELS, &failure) != FI_OK) return failure.status;
    return fi_decode(decoder, &variants[v], &whole, false, &out, &failure);
}

/* An image of f is right, or failed as it should: `or_no_memory` for lack of memory, too. */
static void check(const file *f, int v, fi_status status, const uint8_t *pixels, bool or_no_memory) {
    if (or_no_memory && status == FI_E_NOMEM) return;
    if (status != f->status[v]) fail("another status than expected", status);
    if (status == FI_OK && memcmp(pixels, f->pixels[v], nbytes_of(&f->out[v], v)) != 0) fail("wrong pixels", status);
}

static void decode_and_check(fi_decoder *decoder, const file *f, int v) {
    memset(found[0], 0xA5, sizeof found[0]);
    check(f, v, decode(decoder, f, v, found[0]), found[0], false);
}

static void learn(file *f, int v) {
    const fi_source source = source_of(f);
    const fi_crop whole = {0};
    fi_failure failure = {0};
    fi_plan plan;
    fi_decoder *decoder = fi_decoder_new();

    if (!decoder || fi_open(decoder, &source, MAX_PIXELS, &failure) != FI_OK ||
        fi_plan_make(&plan, fi_decoder_header(decoder), &variants[v], &whole, false, &failure) != FI_OK)
        fail("cannot be opened", failure.status);
    const ptrdiff_t row = (ptrdiff_t)plan.out_width * (variants[v].layout == FI_HWC ? 3 : 1);
    f->out[v] = (fi_output){NULL, row * plan.out_height, row, plan.out_height, plan.out_width};
    f->pixels[v] = calloc(1, MAX_NBYTES);
    if (!f->pixels[v] || nbytes_of(&f->out[v], v) > MAX_NBYTES) fail("too large", FI_OK);
    f->status[v] = decode(decoder, f, v, f->pixels[v]);
    fi_decoder_free(decoder);
}

/* ---- what fails ------------------------------------------------------------------------------------------------ */

/* Each returns whether allocation now.n was reached. */

static bool try_new(void) {
    failing_malloc_start(now.n, now.lasting);
    fi_decoder *decoder = fi_decoder_new();
    const bool reached = failing_malloc_stop() >= now.n;

    if (!decoder && !reached) fail("no decoder", FI_OK);
    if (decoder) decode_and_check(decoder, &files[0], 0);
    fi_decoder_free(decoder);
    return reached;
}

static bool try_decode(const file *before, const file *f, int v) {
    fi_decoder *decoder = fi_decoder_new();

    if (!decoder) fail("no decoder", FI_OK);
    decode_and_check(decoder, before, v);
    memset(found[0], 0xA5, sizeof found[0]);
    failing_malloc_start(now.n, now.lasting);
    for (int i = 0; i < 2; i++) { /* a decoder that failed is used again while there is still no memory */
        const fi_status status = decode(decoder, f, v, found[0]);
        check(f, v, status, found[0], true);
    }
    const bool reached = failing_malloc_stop() >= now.n;
    fi_decoder_trim(decoder);
    decode_and_check(decoder, before, v);
    decode_and_check(decoder, f, v);
    fi_decoder_free(decoder);
    return reached;
}

/* As try_decode(), for three views that are alike. */
static bool try_views(const file *f, int v) {
    const fi_source source = source_of(f);
    fi_view views[3];
    fi_decoder *decoder = fi_decoder_new();
    bool reached = false;

    if (!decoder) fail("no decoder", FI_OK);
    for (int i = 0; i < 3; i++) {
        views[i] = (fi_view){.options = &variants[v], .out = f->out[v]};
        views[i].out.data = found[i];
    }
    for (int with_memory = 0; with_memory < 2; with_memory++) {
        fi_failure failure = {0};
        memset(found, 0xA5, sizeof found);
        if (!with_memory) failing_malloc_start(now.n, now.lasting);
        fi_status status = fi_open(decoder, &source, MAX_PIXELS, &failure);
        if (status == FI_OK) status = fi_decode_views(decoder, views, 3, &failure);
        if (!with_memory) reached = failing_malloc_stop() >= now.n;
        for (int i = 0; i < 3; i++) check(f, v, status, found[i], !with_memory);
        fi_decoder_trim(decoder);
    }
    fi_decoder_free(decoder);
    return reached;
}

static void run_batch(fi_batch *batch, fi_decoder *decoder, int v, bool may_fail) {
    fi_job *jobs = batch->jobs;

    for (size_t i = 0; i < batch->count; i++) {
        const file *f = &files[i % file_count];
        jobs[i] = (fi_job){.source = source_of(f), .out = f->out[v]};
        jobs[i].out.data = found[i];
    }
    memset(found, 0xA5, sizeof found);
    batch->out_of_memory = false;
    fi_batch_begin(batch);
    fi_batch_run(batch, decoder, 0);
    if (batch->out_of_memory && !may_fail) fail("no memory", FI_OK);
    const size_t done = batch->done;
    const bool stopped = done && jobs[done - 1].failure && jobs[done - 1].failure->status == FI_E_NOMEM;
    if (done < batch->count && !batch->out_of_memory && !stopped) fail("jobs left", FI_OK);
    for (size_t i = 0; i < done; i++) {
        const fi_status status = jobs[i].failure ? jobs[i].failure->status : FI_OK;
        if (status == FI_E_NOMEM && i + 1 < done) fail("went on without memory", status);
        now.path = jobs[i].source.path;
        check(&files[i % file_count], v, status, found[i], may_fail);
        for (size_t k = 0; status != FI_OK && k < nbytes_of(&jobs[i].out, v); k++) {
            if (found[i][k]) fail("a failed image is not zeroed", status);
        }
    }
}

static bool try_batch(int v) {
    static fi_job jobs[2 * MAX_FILES];
    fi_batch batch = {.options = &variants[v], .jobs = jobs, .count = 2 * file_count};
    fi_decoder *decoder = fi_decoder_new();

    if (!decoder) fail("no decoder", FI_OK);
    failing_malloc_start(now.n, now.lasting);
    run_batch(&batch, decoder, v, true);
    const bool reached = failing_malloc_stop() >= now.n;
    for (size_t i = 0; i < batch.count; i++) fi_failure_free(jobs[i].failure);
    run_batch(&batch, decoder, v, false);
    for (size_t i = 0; i < batch.count; i++) fi_failure_free(jobs[i].failure);
    fi_decoder_free(decoder);
    return reached;
}

/* ---- pixels that another library has decoded --------------------------------------------------------------------- */

enum { JOBS = 3, PER_JOB = 2, HEIGHT = 40, WIDTH = 50, REFUSED = 1 };

/* A batch of what is no JPEG, in two views each: one is refused, and the others' pixels are supplied. */
static void run_fallback(fi_batch *batch, fi_decoder *decoder, const fi_pixels *pixels) {
    size_t position;

    batch->out_of_memory = false;
    memset(found, 0xA5, sizeof found);
    fi_batch_begin(batch);
    while ((position = fi_batch_run(batch, decoder, 0)) != FI_NO_JOB) {
        if (position == REFUSED) fi_batch_refuse(batch, position, false);
        else fi_batch_supply(batch, position, decoder, pixels, 1);
    }
}

static void check_fallback(const fi_batch *batch, const uint8_t *wanted, size_t nbytes, bool may_fail) {
    if (batch->done < JOBS && !may_fail) fail("jobs left", FI_OK);
    for (size_t i = 0; i < JOBS; i++) {
        const fi_status status = batch->jobs[i].failure ? batch->jobs[i].failure->status : FI_OK;
        const fi_status expected = i == REFUSED ? FI_E_READER : FI_OK;
        if (status == FI_OK && batch->done < JOBS) continue; /* perhaps it was dropped */
        if (status != expected && !(may_fail && status == FI_E_NOMEM)) fail("another status than expected", status);
        for (size_t v = 0; v < PER_JOB; v++) {
            for (size_t k = 0; k < nbytes; k++) {
                const uint8_t *view = found[PER_JOB * i + v];
                if (view[k] != (status == FI_OK ? wanted[k] : 0)) fail("wrong pixels", status);
            }
        }
    }
}

static bool try_fallback(int v) {
    static uint8_t data[HEIGHT][3 * WIDTH], wanted[MAX_NBYTES];
    static const uint8_t no_jpeg[8] = {1, 2, 3};
    const fi_options *options = &variants[v];
    const uint8_t channels = v % 2 ? 1 : 3;
    const fi_pixels pixels = {data[0], sizeof data[0], HEIGHT, WIDTH, channels, 6};
    fi_output out = {.height = options->height ? options->height : WIDTH,
                     .width = options->width ? options->width : HEIGHT};
    fi_job jobs[JOBS] = {0};
    fi_view views[JOBS * PER_JOB];
    fi_batch batch = {
        .options = options, .jobs = jobs, .count = JOBS, .views = views, .view_count = PER_JOB, .has_fallback = true};
    fi_decoder *decoder = fi_decoder_new();

    if (!decoder) fail("no decoder", FI_OK);
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < 3 * WIDTH; x++) data[y][x] = (uint8_t)(y * y + 7 * x);
    }
    out.row_stride = (ptrdiff_t)out.width * (options->layout == FI_HWC ? 3 : 1);
    out.plane_stride = out.row_stride * out.height;
    for (size_t i = 0; i < JOBS * PER_JOB; i++) {
        jobs[i / PER_JOB].source = (fi_source){.data = no_jpeg, .size = sizeof no_jpeg};
        out.data = found[i];
        views[i] = (fi_view){.options = options, .out = out};
    }
    fi_failure failure = {0};
    out.data = wanted;
    if (fi_open_pixels(decoder, &pixels, MAX_PIXELS, &failure) != FI_OK ||
        fi_decode(decoder, options, &views[0].crop, false, &out, &failure) != FI_OK)
        fail("pixels are not taken", failure.status);
    fi_decoder_free(decoder);
    decoder = fi_decoder_new();
    if (!decoder) fail("no decoder", FI_OK);
    failing_malloc_start(now.n, now.lasting);
    run_fallback(&batch, decoder, &pixels);
    const bool reached = failing_malloc_stop() >= now.n;
    check_fallback(&batch, wanted, nbytes_of(&out, v), true);
    run_fallback(&batch, decoder, &pixels);
    check_fallback(&batch, wanted, nbytes_of(&out, v), false);
    fi_batch_free(&batch);
    fi_decoder_free(decoder);
    return reached;
}

/* ---- all of them ----------------------------------------------------------------------------------------------- */

typedef enum { NEW, DECODE, VIEWS, BATCH, FALLBACK } kind;

/* Fails allocations 1, 2, 3 ... until there are no more. */
static void try_all(kind kind, const file *before, const file *f, int v) {
    static const char *const names[] = {"the making", "the decoding", "the views", "a batch", "a fallback"};

    now.what = names[kind];
    now.before = before ? before->path : NULL;
    now.variant = v;
    for (int lasting = 0; lasting < 2; lasting++) {
        bool reached = true;
        for (now.n = 1, now.lasting = lasting; reached; now.n++) {
            const long live = failing_malloc_live();
            now.path = f ? f->path : NULL;
            reached = kind == NEW      ? try_new()
                      : kind == DECODE ? try_decode(before, f, v)
                      : kind == VIEWS  ? try_views(f, v)
                      : kind == BATCH  ? try_batch(v)
                                       : try_fallback(v);
            if (failing_malloc_live() != live) fail("memory leaked", FI_OK);
        }
        if (now.n < 4) fail("almost nothing is allocated", FI_OK);
    }
}

/* Short of memory, fi_init() does not trust libjpeg; called again, it does. */
static void try_init(void) {
    bool reached = true;

    now.what = "fi_init()";
    for (now.n = 1; reached; now.n++) {
        failing_malloc_start(now.n, now.n % 2);
        fi_init(fi_cpu_features());
        reached = failing_malloc_stop() >= now.n;
    }
    fi_init(fi_cpu_features());
    if (!fi_hooks_verified()) fail("libjpeg is not what it should be", FI_OK);
}

int main(int argc, char **argv) {
    try_init();
    set_variants();
    for (int i = 1; i < argc && file_count < MAX_FILES; i++) {
        file *f = &files[file_count++];
        f->path = now.path = argv[i];
        for (int v = 0; v < VARIANTS; v++) learn(f, v);
    }
    try_all(NEW, NULL, NULL, 0);
    for (int v = 0; v < VARIANTS; v++) {
        for (size_t a = 0; a < file_count; a++) {
            for (size_t b = 0; b < file_count; b++) try_all(DECODE, &files[a], &files[b], v);
            try_all(VIEWS, NULL, &files[a], v);
        }
        try_all(BATCH, NULL, NULL, v);
        try_all(FALLBACK, NULL, NULL, v);
    }
    for (size_t i = 0; i < file_count; i++) {
        for (int v = 0; v < VARIANTS; v++) free(files[i].pixels[v]);
    }
    puts("ok");
    return 0;
}
