/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Batches under way in many threads at once, for ThreadSanitizer: threads that decode, threads that read, fallback jobs,
 * views, failures that stop a batch, and others that cancel. Whatever was not dropped has the pixels that one thread
 * gives. The arguments are the number of rounds, and files.
 */
#define _POSIX_C_SOURCE 200809L

#include "cpu.h"
#include "fi_batch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_FILES = 16, COPIES = 6, MAX_JOBS = MAX_FILES * COPIES, SIDE = 24, NBYTES = 3 * SIDE * SIDE };
enum { DECODERS = 5, READERS = 3, BATCHES = 2, VIEWS = 2, MAX_PIXELS = 1 << 20 };
enum { HEIGHT = 40, WIDTH = 50 };

typedef struct {
    const char *path;
    uint8_t *data;
    size_t nbytes;
    fi_status status;
    uint8_t pixels[NBYTES];
} file;

/* One batch, where its pixels go, and the readers that read for it. */
typedef struct {
    fi_batch core;
    fi_job jobs[MAX_JOBS];
    fi_view views[MAX_JOBS * VIEWS];
    uint8_t found[MAX_JOBS][VIEWS][NBYTES];
    atomic_bool cancelled;
} work;

static file files[MAX_FILES];
static size_t file_count;
static fi_options options;
static uint8_t other[HEIGHT][3 * WIDTH];
static const fi_pixels other_pixels = {other[0], sizeof other[0], HEIGHT, WIDTH, 3, 1};
static work works[BATCHES];
static fi_readers *readers;

static void fail(const char *path, const char *why) {
    fprintf(stderr, "%s: %s\n", path, why);
    exit(1);
}

static fi_output output_of(uint8_t *data) {
    return (fi_output){data, SIDE * SIDE, SIDE, SIDE, SIDE};
}

static void read_file(file *f) {
    FILE *stream = fopen(f->path, "rb");

    f->data = malloc(MAX_PIXELS);
    if (!stream || !f->data) fail(f->path, "cannot be opened");
    f->nbytes = fread(f->data, 1, MAX_PIXELS, stream);
    fclose(stream);
}

/* What each file becomes: in one thread, from memory. What is no JPEG becomes `other`. */
static void learn(file *f) {
    const fi_source source = {.data = f->data, .size = f->nbytes};
    const fi_crop whole = {0};
    const fi_output out = output_of(f->pixels);
    fi_failure failure = {0};
    fi_decoder *decoder = fi_decoder_new();

    if (!decoder) fail(f->path, "no decoder");
    f->status = fi_open(decoder, &source, MAX_PIXELS, &failure);
    if (fi_is_other(f->status)) f->status = fi_open_pixels(decoder, &other_pixels, MAX_PIXELS, &failure);
    if (f->status == FI_OK) f->status = fi_decode(decoder, &options, &whole, false, &out, &failure);
    fi_decoder_free(decoder);
}

/* ---- threads --------------------------------------------------------------------------------------------------- */

/* Decodes the batches one after another, as the loops of a batch iterator do. */
static void *decode_all(void *unused) {
    fi_decoder *decoder = fi_decoder_new();
    size_t position;

    (void)unused;
    if (!decoder) fail("-", "no decoder");
    for (int b = 0; b < BATCHES; b++) {
        fi_batch *batch = &works[b].core;
        while (!fi_batch_finished(batch)) {
            position = fi_batch_run(batch, decoder, 2000000);
            if (position == FI_NO_JOB) continue;
            if (position % 7 == 3) fi_batch_refuse(batch, position, false);
            else fi_batch_supply(batch, position, decoder, &other_pixels, 1000);
        }
    }
    fi_decoder_free(decoder);
    return NULL;
}

static void *read_all(void *unused) {
    fi_read read;

    (void)unused;
    while (fi_readers_run(readers, &read)) {
        const fi_job *job = &read.batch->jobs[read.position];
        const file *f = &files[job->index % file_count];
        if (job->index % 11 == 5) fi_read_refuse(&read, false, true);
        else fi_read_supply(&read, f->data, f->nbytes);
        fi_readers_finish(readers, &read);
    }
    fi_readers_leave(readers);
    return NULL;
}

/* Cancels one batch while it is under way. */
static void *cancel_one(void *batch) {
    const struct timespec pause = {.tv_nsec = 300000};
    work *w = batch;

    nanosleep(&pause, NULL);
    atomic_store(&w->cancelled, true);
    fi_batch_cancel(&w->core);
    return NULL;
}

/* ---- one round ------------------------------------------------------------------------------------------------- */

static void set_work(work *w, bool in_views, bool stops) {
    w->core = (fi_batch){.options = &options,
                         .jobs = w->jobs,
                         .count = file_count * COPIES,
                         .views = in_views ? w->views : NULL,
                         .view_count = in_views ? VIEWS : 0,
                         .stop_on_failure = stops,
                         .has_fallback = true,
                         .by_caller = true,
                         .has_files = true,
                         .decoders = DECODERS};
    atomic_store(&w->cancelled, false);
    memset(w->found, 0xA5, sizeof w->found);
    for (size_t i = 0; i < w->core.count; i++) {
        const file *f = &files[i % file_count];
        fi_source sources[] = {{.path = f->path, .size = FI_WHOLE_FILE},
                               {.data = f->data, .size = f->nbytes},
                               {.by_caller = true, .alone = i % 2}};
        w->jobs[i] = (fi_job){.source = sources[i / file_count % 3], .out = output_of(w->found[i][0]), .index = i};
        for (int v = 0; v < VIEWS; v++) {
            w->views[VIEWS * i + v] = (fi_view){.options = &options, .out = output_of(w->found[i][v])};
        }
    }
    fi_batch_begin(&w->core);
}

static void check(const work *w, size_t i) {
    const file *f = &files[i % file_count];
    const fi_failure *failure = w->jobs[i].failure;
    const bool refused = failure && failure->status == FI_E_READER;

    if (refused || (failure && w->core.stop_on_failure)) return;
    if (failure && failure->status != f->status) fail(f->path, fi_status_name(failure->status));
    if (failure) return;
    for (size_t v = 0; v < (w->core.views ? VIEWS : 1); v++) {
        if (memcmp(w->found[i][v], f->pixels, NBYTES) != 0) fail(f->path, "wrong pixels");
    }
}

static void check_work(work *w) {
    const bool whole = !atomic_load(&w->cancelled) && !w->core.stop_on_failure;

    if (!fi_batch_finished(&w->core)) fail("a batch", "not finished");
    if (whole && atomic_load(&w->core.done) != w->core.count) fail("a batch", "jobs left");
    for (size_t i = 0; whole && i < w->core.count; i++) check(w, i);
    fi_batch_free(&w->core);
}

static bool stop(void *asked) {
    ++*(int *)asked;
    return true;
}

/* Where the watch of a thread's decoder ends an image, the batch is cancelled: the image is not taken for done. */
static void try_watch(void) {
    fi_batch *batch = &works[0].core;
    fi_decoder *decoder = fi_decoder_new();
    int asked = 0;

    if (!decoder) fail("-", "no decoder");
    set_work(&works[0], false, false);
    batch->by_caller = batch->has_fallback = false;
    fi_decoder_watch(decoder, (fi_watch){stop, &asked});
    fi_batch_run(batch, decoder, 0);
    if (asked != 1 || atomic_load(&batch->end) != 0) fail("a batch", "not cancelled");
    fi_batch_free(batch);
    fi_decoder_free(decoder);
}

static void start(pthread_t *thread, void *(*function)(void *), void *argument) {
    if (pthread_create(thread, NULL, function, argument) != 0) fail("a thread", "not started");
}

static void run_round(unsigned n) {
    pthread_t decoders[DECODERS], reading[READERS], canceller;
    unsigned threads = 0;

    readers = fi_readers_new(n % 5 ? 20000 : 1, READERS, n % 2);
    if (!readers) fail("readers", "no memory");
    for (int b = 0; b < BATCHES; b++) {
        set_work(&works[b], (n + (unsigned)b) % 3 == 0, n % 4 == 3);
        fi_readers_add(readers, &works[b].core);
    }
    for (int t = 0; t < DECODERS; t++) start(&decoders[t], decode_all, NULL);
    if (n % 2) start(&canceller, cancel_one, &works[n / 2 % BATCHES]);
    for (int b = 0; b < BATCHES; b++) {
        while (!fi_batch_finished(&works[b].core)) {
            while (threads < fi_readers_wanted(readers) && threads < READERS) {
                fi_readers_enter(readers);
                start(&reading[threads++], read_all, NULL);
            }
            fi_batch_wait(&works[b].core, 5000000);
        }
    }
    for (int t = 0; t < DECODERS; t++) pthread_join(decoders[t], NULL);
    if (n % 2) pthread_join(canceller, NULL);
    for (int b = 0; b < BATCHES; b++) fi_readers_remove(readers, &works[b].core);
    fi_readers_stop(readers);
    while (threads) pthread_join(reading[--threads], NULL);
    fi_readers_free(readers);
    for (int b = 0; b < BATCHES; b++) check_work(&works[b]);
}

int main(int argc, char **argv) {
    const unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 0;

    fi_init(fi_cpu_features());
    options = (fi_options){.height = SIDE,
                           .width = SIDE,
                           .orient = true,
                           .strict = true,
                           .max_scans = 100,
                           .max_pixels = MAX_PIXELS,
                           .reducing_gap = 2};
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < 3 * WIDTH; x++) other[y][x] = (uint8_t)(y * y + 7 * x);
    }
    for (int i = 2; i < argc && file_count < MAX_FILES; i++) {
        file *f = &files[file_count++];
        f->path = argv[i];
        read_file(f);
        learn(f);
    }
    try_watch();
    for (unsigned n = 0; n < rounds; n++) run_round(n);
    for (size_t i = 0; i < file_count; i++) free(files[i].data);
    puts("ok");
    return 0;
}
