/* SPDX-License-Identifier: BSD-3-Clause */
/* What the targets of the entropy stage share: versions of the stage, and a program that takes files. */
#include "plain_entropy.h"

#include "cpu.h"

#include <stdio.h>

/* One version of the stage. */
typedef struct {
    const char *name;
    fi_entropy *entropy;
    unsigned cpu_features;
    bool is_limited; /* of baseline scans: needs some coefficients only */
    bool fell_back;
    uint64_t decoded;
} runner;

/*
 * A new stage takes longer than all the rest: it has its tables to build. Inputs therefore share one of each version; one
 * length in 32 gets new ones. What goes wrong is tried again with new ones: where that goes well, only the inputs in their
 * order bring it back, which are the same for the same seeds and the same -seed.
 */
static runner kept[2] = {{.name = "plain"}, {.name = "native"}};
static plain_jpeg input;

/* Bits to pick from: one byte more or less is enough to try the next choice. */
static uint32_t scatter(size_t size) {
    return (uint32_t)size * 0x9E3779B1u;
}

static void *allocate(size_t nbytes) {
    void *memory = malloc(nbytes ? nbytes : 1);
    if (!memory) abort();
    return memory;
}

static fi_entropy *new_entropy(void) {
    fi_entropy *entropy = fi_entropy_new();
    if (!entropy) abort();
    return entropy;
}

/* A runner's stage, with its version switched on: the versions share one table of functions. */
static fi_entropy *stage_of(const runner *r) {
    fi_entropy_init(r->cpu_features);
    return r->entropy;
}

int LLVMFuzzerInitialize(const int *argc, char ***argv) {
    (void)argc, (void)argv;
    plain_init();
    kept[1].cpu_features = fi_cpu_features();
    for (unsigned i = 0; i < 2; i++) kept[i].entropy = new_entropy();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The kept ones, or as many with new stages, until they are given back. */
static void take_runners(runner runners[2], bool is_new) {
    for (unsigned i = 0; i < 2; i++) {
        runners[i] = kept[i];
        runners[i].decoded = 0;
        if (is_new) runners[i].entropy = new_entropy();
    }
}

static void give_back_runners(const runner runners[2], bool is_new) {
    for (unsigned i = 0; i < 2; i++) {
        if (is_new) fi_entropy_free(runners[i].entropy);
        kept[i].decoded = runners[i].decoded;
    }
}

static bool try_finish(const runner *r, const plain_reader *plain) {
    if (r->fell_back) return true;
    const uint8_t *found = fi_entropy_finish(stage_of(r)), *expected = plain_marker(plain);
    if (found == expected) return true;
    fprintf(stderr, "%s: the scan ends at %td, not %td (-1: nowhere), of %td bytes\n", r->name,
            found ? found - plain->start : -1, expected ? expected - plain->start : -1, plain->end - plain->start);
    return false;
}

/* ---- without libFuzzer ------------------------------------------------------------------------------------------- */

#if defined(FASTIMG_FUZZ_MAIN)
/* Each target's own: takes no bounds for what is too much to do thousands of times a second; prints what was done. */
static void prepare_replay(void);
static void print_result(void);

static void replay(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    const size_t size = (size_t)ftell(file);
    uint8_t *data = allocate(size);
    rewind(file);
    if (fread(data, 1, size, file) != size) {
        perror(path);
        exit(2);
    }
    fclose(file);
    printf("%s: ", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    print_result();
}

int main(int argc, char **argv) {
    prepare_replay();
    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) replay(argv[i]);
    for (int i = 0; i < 2; i++) fi_entropy_free(kept[i].entropy);
    return 0;
}
#endif
