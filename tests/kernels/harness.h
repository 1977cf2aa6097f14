/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests and times kernels: every version that this CPU can run against the C version, and the C version against a definition.
 * A topic (pixels.c, resample.c, idct.c) says how to call its kernels and on what. From the root of a checkout:
 *
 *   cc -std=c11 -O2 -Ifastimg/_core tests/kernels/[a-z]*.c fastimg/_core/pixels/[a-z]*.c fastimg/_core/cpu.c -lm -o kernels
 *   ./kernels [--list | --bench] [NAME ...]
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VECTOR 32 /* bytes of the widest vectors in use */

/* A kernel is tried on one case after another. A case is its buffers, in this order, and what the topic keeps of it. */
void begin(const char *format, ...); /* with a description for messages */
/* Adds an array of items, which are aligned as C wants them and no better, and returns where to write what is in it. */
void *input(size_t nbytes, size_t item);
void output(size_t nbytes, size_t item);
/*
 * Compares the version with its reference, at both ends of memory between guard pages, with sources, destinations and both
 * up to (without) `offsets` items away from these.
 */
void check(size_t offsets);
/* Says what is wrong, and what is tried, and ends the program. */
void fail(const char *format, ...);

typedef struct kernel {
    const char *name;
    size_t member; /* where in the topic's tables its pointer is */
    void (*test)(void);
    size_t (*bench)(
        unsigned i); /* begins case i, returns its results; 0: there is none. NULL: `test` needs no tables */
} kernel;

typedef struct topic {
    const kernel *kernels; /* behind the last one is one without a name */
    const void *definition; /* a table like those that `choose` fills */
    void (*choose)(void *table, unsigned cpu_features);
    void (*call)(const void *table, void *const *in, void *const *out);
} topic;

extern const topic pixels, resample, idct;
extern size_t which; /* of its topic's kernels is tried */

uint16_t random16(void);

static inline size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline int64_t limit(int64_t v, int64_t low, int64_t high) {
    return v < low ? low : v > high ? high : v;
}

/* floor(v / by) */
static inline int64_t divide(int64_t v, int64_t by) {
    return v >= 0 ? v / by : -((-v + by - 1) / by);
}

#endif
