/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests and times kernels. Every version that this CPU can run must equal the C version, which must equal a definition.
 * Each topic (pixels.c, resample.c, idct.c, idct_reduced.c) says how to call its kernels and on what. From the
 * root of a checkout:
 *
 *   cc -std=c11 -O2 -Ifastimg/_core tests/kernels/[a-z]*.c fastimg/_core/pixels/[a-z]*.c fastimg/_core/cpu.c -lm
 *   ./a.out [--list | --bench] [NAME ...]
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VECTOR 32 /* bytes of the widest vectors in use */

/*
 * A test runs its kernel on many cases. begin(), then input() and output() for each buffer, describe one; what is not
 * in a buffer stays in the topic's own variables.
 */
void begin(const char *format, ...); /* the text identifies the case in messages */

/* Adds a buffer, aligned to its items and no better. input() returns where to write its contents. */
void *input(size_t nbytes, size_t item_nbytes);
void output(size_t nbytes, size_t item_nbytes);

/*
 * Runs the version under test on the case and compares its outputs with the reference's. Buffers lie between guard
 * pages, at the start and at the end of what is accessible, shifted by 0 to offsets - 1 items: inputs, outputs, and
 * both.
 */
void check(size_t offsets);

/* Reports what went wrong in which case, and exits. */
void fail(const char *format, ...);

typedef struct kernel {
    const char *name;
    size_t member; /* offset of its pointer in the topic's table */
    void (*test)(void);
    /*
     * Begins the i-th case to time. Returns how many results a call makes, or 0 if there is no such case. NULL if the
     * kernel is not in the table: test() does everything then.
     */
    size_t (*bench)(unsigned i);
} kernel;

typedef struct topic {
    const kernel *kernels; /* ends with a nameless one */
    const void *definition; /* a table like those of choose() */
    void (*choose)(void *table, unsigned cpu_features);
    void (*call)(const void *table, void *const *in, void *const *out);
} topic;

extern const topic pixels, resample, idct, idct_reduced;
extern size_t which; /* index of the kernel under test, for test(), bench() and call() */

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
