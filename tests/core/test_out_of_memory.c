/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every allocation of the decode path fails in turn, alone or with all that follow, those of libjpeg-turbo included. A
 * call then fails for lack of memory or ends as it does otherwise, no memory and no descriptor is leaked, and the calls
 * after it are right.
 *
 *     test_out_of_memory [--all] FILE...
 *
 * Each file is decoded by a decoder that is new and by one that has decoded another: the next one, or each with --all.
 * Batches of three begin with one file for each of the options, or with each file.
 *
 * Valgrind needs --soname-synonyms=somalloc=nouserintercepts to leave failing_malloc.c in place.
 */
#include "cpu.h"
#include "fi_library.h"
#include "memory_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long cases;

/* ---- what fails ------------------------------------------------------------------------------------------------ */

static bool try_new(void) {
    failing_malloc_start(now.n, now.lasting);
    fi_decoder *decoder = fi_decoder_new();
    const bool reached = failing_malloc_stop() >= now.n;

    if (!decoder && !reached) fail("no decoder", FI_OK);
    if (decoder) decode_and_check(decoder, &files[0], 0);
    fi_decoder_free(decoder);
    return reached;
}

/* `before`: what the decoder has decoded before; NULL: nothing. */
static bool try_decode(const file *before, const file *f, int v) {
    fi_decoder *decoder = new_decoder();

    if (before) decode_and_check(decoder, before, v);
    unset(found[0], &f->out[v], v);
    failing_malloc_start(now.n, now.lasting);
    for (int i = 0; i < 2; i++) { /* a decoder that failed is used again while there is still no memory */
        const fi_status status = decode(decoder, f, v, found[0]);
        check(f, v, status, found[0], true);
    }
    const bool reached = failing_malloc_stop() >= now.n;
    fi_decoder_trim(decoder);
    if (before) decode_and_check(decoder, before, v);
    decode_and_check(decoder, f, v);
    fi_decoder_free(decoder);
    return reached;
}

/* As try_decode(), for three views that are alike. */
static bool try_views(const file *f, int v) {
    const fi_source source = source_of(f);
    fi_view views[3];
    fi_decoder *decoder = new_decoder();
    bool reached = false;

    for (int i = 0; i < 3; i++) {
        views[i] = (fi_view){.options = &variants[v], .out = f->out[v]};
        views[i].out.data = found[i];
    }
    for (int with_memory = 0; with_memory < 2; with_memory++) {
        fi_failure failure = {0};
        for (int i = 0; i < 3; i++) unset(found[i], &f->out[v], v);
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

/* ---- all of them ----------------------------------------------------------------------------------------------- */

typedef enum { NEW, DECODE, DECODE_VIEWS, BATCH, WARM_BATCH, VIEW_BATCH, HEADERS, FALLBACK } kind;

static bool try_one(kind kind, const file *before, size_t at, int v) {
    switch (kind) {
        case NEW:
            return try_new();
        case DECODE:
            return try_decode(before, &files[at], v);
        case DECODE_VIEWS:
            return try_views(&files[at], v);
        case BATCH:
            return try_batch(at, v, false);
        case WARM_BATCH:
            return try_batch(at, v, true);
        case VIEW_BATCH:
            return try_view_batch(at, v);
        case HEADERS:
            return try_headers(at, v);
        default:
            return try_fallback(v);
    }
}

/* The lowest number that is not in use. */
static int next_descriptor(void) {
    const int fd = dup(STDOUT_FILENO);
    close(fd);
    return fd;
}

/* Fails allocations 1, 2, 3 ... until there are no more. */
static void try_all(kind kind, const file *before, size_t at, int v) {
    static const char *const names[] = {"the making",   "the decoding",     "the views",   "a batch",
                                        "a warm batch", "a batch of views", "the headers", "a fallback"};

    now.what = names[kind];
    now.before = before ? before->path : NULL;
    now.variant = v;
    for (int lasting = 0; lasting < 2; lasting++) {
        bool reached = true;
        for (now.n = 1, now.lasting = lasting; reached; now.n++) {
            const long live = failing_malloc_live();
            const int fd = next_descriptor();
            now.path = files[at].path;
            reached = try_one(kind, before, at, v);
            cases += reached;
            if (failing_malloc_live() != live) fail("memory leaked", FI_OK);
            if (next_descriptor() != fd) fail("a descriptor leaked", FI_OK);
        }
        if (now.n < 4 && !before) fail("almost nothing is allocated", FI_OK);
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
        cases += reached;
    }
    fi_init(fi_cpu_features());
    if (!fi_hooks_verified()) fail("libjpeg is not what it should be", FI_OK);
}

static void try_file(size_t at, int v, bool all) {
    try_all(DECODE, NULL, at, v);
    for (size_t i = 1; i <= (all ? file_count : 1); i++) try_all(DECODE, &files[(at + i) % file_count], at, v);
    try_all(DECODE_VIEWS, NULL, at, v);
    for (kind kind = BATCH; kind <= HEADERS && (all || at == v % file_count); kind++) try_all(kind, NULL, at, v);
}

int main(int argc, char **argv) {
    const bool all = argc > 1 && strcmp(argv[1], "--all") == 0;

    try_init();
    set_variants();
    for (int i = 1 + all; i < argc && file_count < MAX_FILES; i++) {
        file *f = &files[file_count++];
        f->path = now.path = argv[i];
        for (int v = 0; v < VARIANTS; v++) learn(f, v);
    }
    try_all(NEW, NULL, 0, 0);
    for (int v = 0; v < VARIANTS; v++) {
        for (size_t at = 0; at < file_count; at++) try_file(at, v, all);
        try_all(FALLBACK, NULL, 0, v);
    }
    for (size_t i = 0; i < file_count; i++) {
        for (int v = 0; v < VARIANTS; v++) free(files[i].pixels[v]);
    }
    printf("%ld cases\n", cases);
    return 0;
}
