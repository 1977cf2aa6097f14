/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_parts_memory FILE...: as test_out_of_memory.c, for one image in several threads, and for one thread that would
 * share it. The allocations of all threads fail in turn, in whatever order they come. Threads begin before that.
 */
#include "cpu.h"
#include "memory_cases.h"
#include "team.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HELPERS = 2, PART_NBYTES = 150, QUIET = 3 };

typedef struct {
    fi_team *team;
    fi_decoder *decoder;
    pthread_t thread;
} helper;

static long cases, together;

static void *help(void *context) {
    const helper *self = context;
    failing_malloc_join();
    fi_decoder_follow(self->decoder, self->team);
    return NULL;
}

/* As try_decode() there; the decoders of all threads are good afterwards. */
static bool try_together(const file *f, int v, size_t count) {
    const fi_team_options how = {.threads = count + 1, .part_nbytes = PART_NBYTES};
    helper helpers[MAX_HELPERS];
    fi_decoder *decoder = new_decoder();
    fi_team *team = fi_team_new(&how);

    if (!team) fail("no team", FI_OK);
    fi_team_lead(team);
    fi_decoder_join(decoder, team);
    for (size_t i = 0; i < count; i++) {
        helpers[i] = (helper){.team = team, .decoder = new_decoder()};
        if (pthread_create(&helpers[i].thread, NULL, help, &helpers[i]) != 0) fail("no thread", FI_OK);
    }
    unset(found[0], &f->out[v], v);
    failing_malloc_start(now.n, now.lasting);
    for (int i = 0; i < 2; i++) {
        const fi_status status = decode(decoder, f, v, found[0]);
        check(f, v, status, found[0], true);
    }
    const bool reached = failing_malloc_stop() >= now.n;
    decode_and_check(decoder, f, v);
    fi_decoder_join(decoder, NULL);
    decode_and_check(decoder, f, v);
    fi_team_leave(team);
    for (size_t i = 0; i < count; i++) {
        pthread_join(helpers[i].thread, NULL);
        decode_and_check(helpers[i].decoder, f, v);
        fi_decoder_free(helpers[i].decoder);
    }
    together += (long)fi_team_image_count(team);
    fi_decoder_free(decoder);
    fi_team_free(team);
    return reached;
}

static void try_all(const file *f, int v, size_t count) {
    now.path = f->path;
    now.variant = v;
    for (int lasting = 0; lasting < 2; lasting++) {
        now.lasting = lasting;
        now.n = 1;
        for (int quiet = 0; quiet < QUIET; now.n++) {
            const long live = failing_malloc_live();
            const bool reached = try_together(f, v, count);
            quiet = reached ? 0 : quiet + 1;
            cases += reached;
            if (failing_malloc_live() != live) fail("memory leaked", FI_OK);
        }
    }
}

static void *use_memory(void *context) {
    for (int i = 0; i < 100000; i++) free(memset(malloc(1), 0, 1));
    return context;
}

/* Whether the counting of blocks can be relied on below. */
static void try_counting(void) {
    pthread_t threads[MAX_HELPERS];
    const long live = failing_malloc_live();

    for (int i = 0; i < MAX_HELPERS; i++) {
        if (pthread_create(&threads[i], NULL, use_memory, NULL) != 0) fail("no thread", FI_OK);
    }
    for (int i = 0; i < MAX_HELPERS; i++) pthread_join(threads[i], NULL);
    if (failing_malloc_live() != live) fail("blocks are not counted", FI_OK);
}

static void try_new_team(void) {
    const fi_team_options how = {.threads = 2};

    failing_malloc_start(1, true);
    if (fi_team_new(&how)) fail("a team without memory", FI_OK);
    failing_malloc_stop();
}

int main(int argc, char **argv) {
    now.what = "the decoding";
    fi_init(fi_cpu_features());
    set_variants();
    for (int i = 1; i < argc && file_count < MAX_FILES; i++) {
        file *f = &files[file_count++];
        f->path = now.path = argv[i];
        for (int v = 0; v < VARIANTS; v++) learn(f, v);
    }
    try_new_team();
    now.n = 1L << 30;
    try_together(&files[0], 0, MAX_HELPERS); /* what the system keeps of threads for the next ones */
    try_counting();
    for (size_t i = 0; i < file_count; i++) {
        for (int v = 0; v < VARIANTS; v++) {
            for (size_t count = 0; count <= MAX_HELPERS; count++) try_all(&files[i], v, count);
        }
    }
    for (size_t i = 0; i < file_count; i++) {
        for (int v = 0; v < VARIANTS; v++) free(files[i].pixels[v]);
    }
    printf("%ld cases, %ld images\n", cases, together);
    return 0;
}
