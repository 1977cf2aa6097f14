/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness.h"

#include "cpu.h"
#include "machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_INPUTS = 44,
    MAX_OUTPUTS = 4,
    MAX_NBYTES = 320 * 1024, /* 4 bytes for each of 2^16 pixels, and room for offsets */
    MAX_VERSIONS = 8,
    PAD = 64, /* canary bytes on either side of an output: two vectors */
    CANARY = 0xC5,
};

typedef void function(void);

typedef struct any_table {
    function *room[16];
} any_table;

typedef struct buffer {
    uint8_t *start, *end; /* guard pages lie on either side */
    uint8_t *data;        /* an input's contents; an output's expected ones, with PAD canaries on either side */
    size_t nbytes, item_nbytes;
    uint8_t *at;          /* what the version gets, and how many canaries fit around it */
    size_t before, after;
} buffer;

static buffer inputs[MAX_INPUTS], outputs[MAX_OUTPUTS];
static unsigned num_inputs, num_outputs;
static void *in[MAX_INPUTS], *out[MAX_OUTPUTS];

size_t which;

/* What is running, for call() and for messages. */
static struct {
    const topic *topic;
    const void *version, *reference; /* tables */
    const char *version_name, *reference_name;
    bool at_end;
    size_t src_offset, dst_offset;
    char description[200];
} now;

void fail(const char *format, ...) {
    va_list more;
    printf("%s %s: ", now.topic->kernels[which].name, now.version_name);
    va_start(more, format);
    vprintf(format, more);
    va_end(more);
    printf(" (against %s; %s; offsets %zu and %zu from the %s)\n", now.reference_name, now.description, now.src_offset,
           now.dst_offset, now.at_end ? "end" : "start");
    fflush(stdout);
    _Exit(1);
}

/* printf() is not allowed in a signal handler, but a kernel that faults is not in the middle of one. */
static void on_fault(int number) {
    fail("signal %d: accessed memory outside its buffers", number);
}

/* xorshift64*: the same numbers on every machine. */
uint16_t random16(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint16_t)((state * 2685821657736338717u) >> 48);
}

/* ---- cases ------------------------------------------------------------------------------------------------------- */

void begin(const char *format, ...) {
    va_list more;
    va_start(more, format);
    vsnprintf(now.description, sizeof now.description, format, more);
    va_end(more);
    num_inputs = num_outputs = 0;
}

/* Memory is allocated when a buffer is first used. */
static buffer *add(buffer *b, unsigned index, unsigned max, size_t nbytes, size_t item_nbytes) {
    size_t size = MAX_NBYTES;

    if (index >= max || nbytes + VECTOR * item_nbytes > MAX_NBYTES) fail("the case is too large");
    b += index;
    if (!b->start) {
        b->start = map_guarded(&size);
        b->data = malloc(MAX_NBYTES + 2 * PAD);
        if (!b->start || !b->data) fail("no memory, or no guard pages");
        b->end = b->start + size;
    }
    b->nbytes = nbytes;
    b->item_nbytes = item_nbytes;
    return b;
}

void *input(size_t nbytes, size_t item_nbytes) {
    return add(inputs, num_inputs++, MAX_INPUTS, nbytes, item_nbytes)->data;
}

void output(size_t nbytes, size_t item_nbytes) {
    add(outputs, num_outputs++, MAX_OUTPUTS, nbytes, item_nbytes);
}

static void call(const void *table) {
    now.topic->call(table, in, out);
}

static void call_reference(void) {
    for (unsigned i = 0; i < num_inputs; i++) in[i] = inputs[i].data;
    for (unsigned i = 0; i < num_outputs; i++) {
        memset(outputs[i].data, CANARY, outputs[i].nbytes + 2 * PAD);
        out[i] = outputs[i].data + PAD;
    }
    call(now.reference);
}

/* Buffers get different offsets unless the offset is 0. */
static void *place(buffer *b, unsigned index, size_t offset) {
    if (offset) offset = (offset + index) % VECTOR * b->item_nbytes;
    b->at = now.at_end ? b->end - offset - b->nbytes : b->start + offset;
    b->before = least((size_t)(b->at - b->start), PAD);
    b->after = least((size_t)(b->end - b->at) - b->nbytes, PAD);
    return b->at;
}

static void call_version(size_t src_offset, size_t dst_offset) {
    now.src_offset = src_offset;
    now.dst_offset = dst_offset;
    for (unsigned i = 0; i < num_inputs; i++) {
        in[i] = memcpy(place(&inputs[i], i, src_offset), inputs[i].data, inputs[i].nbytes);
    }
    for (unsigned i = 0; i < num_outputs; i++) {
        out[i] = place(&outputs[i], i, dst_offset);
        memset(outputs[i].at - outputs[i].before, CANARY, outputs[i].before + outputs[i].nbytes + outputs[i].after);
    }
    call(now.version);
}

static void compare(size_t src_offset, size_t dst_offset) {
    call_version(src_offset, dst_offset);
    for (const buffer *b = outputs; b < outputs + num_outputs; b++) {
        const uint8_t *expected = b->data + PAD;
        const ptrdiff_t before = (ptrdiff_t)b->before, end = (ptrdiff_t)(b->nbytes + b->after);
        if (memcmp(b->at - before, expected - before, (size_t)(before + end)) == 0) continue;
        for (ptrdiff_t i = -before; i < end; i++) {
            if (b->at[i] == expected[i]) continue;
            fail("byte %td of output %td is %d, not %d", i, b - outputs, b->at[i], expected[i]);
        }
    }
}

void check(size_t offsets) {
    call_reference();
    for (int at_end = 0; at_end < 2; at_end++) {
        now.at_end = at_end;
        for (size_t offset = 0; offset < offsets; offset++) {
            compare(offset, 13 * offset % VECTOR);
            if (offset) compare(offset, 0);
            if (offset) compare(0, offset);
        }
    }
}

/* ---- versions ---------------------------------------------------------------------------------------------------- */

static void test(const kernel *k) {
    k->test();
    printf("%-18s %-5s equals %s\n", k->name, now.version_name, now.reference_name);
}

static void bench(const kernel *k) {
    enum { CALLS = 200, ROUNDS = 50 };
    size_t results;

    for (unsigned i = 0; (results = k->bench(i)) > 0; i++) {
        double best = INFINITY;
        call_version(0, 0);
        for (int round = 0; round < ROUNDS; round++) { /* the best round is the least disturbed one */
            const double start = now_ns();
            for (int c = 0; c < CALLS; c++) call(now.version);
            best = fmin(best, now_ns() - start);
        }
        printf("%-18s %-5s %8.3f ns per result: %s\n", k->name, now.version_name, best / CALLS / (double)results,
               now.description);
    }
}

static function *pointer_in(const any_table *table, const kernel *k) {
    function *f;
    memcpy(&f, (const char *)table + k->member, sizeof f);
    return f;
}

/* Named after the highest of the features that first select it. */
static const char *version_name(unsigned mask) {
    if (mask & FI_CPU_NEON) return "neon";
    return mask & FI_CPU_BMI2 ? "bmi2" : mask & FI_CPU_AVX2 ? "avx2" : mask & FI_CPU_SSSE3 ? "ssse3" : "c";
}

/* Visits each version once, with the smallest subset of this CPU's features that selects it. */
static void for_all_versions(const topic *t, const kernel *k, void (*visit)(const kernel *)) {
    const unsigned features = fi_cpu_features();
    any_table c, version;
    function *seen[MAX_VERSIONS];
    unsigned num_seen = 0, i;

    t->choose(&c, 0);
    for (unsigned mask = 0; mask <= features; mask++) {
        if (mask & ~features) continue;
        t->choose(&version, mask);
        function *const f = pointer_in(&version, k);
        for (i = 0; i < num_seen && seen[i] != f;) i++;
        if (!f || i < num_seen) continue;
        seen[num_seen++] = f;
        const bool against_c = mask && pointer_in(&c, k);
        now.version = &version;
        now.version_name = version_name(mask);
        now.reference = against_c ? (const void *)&c : t->definition;
        now.reference_name = against_c ? "c" : "its definition";
        visit(k);
    }
}

static void run(const topic *t, const kernel *k, bool timing) {
    now.topic = t;
    now.version_name = "c";
    now.reference_name = "its definition";
    if (k->bench) for_all_versions(t, k, timing ? bench : test);
    else if (!timing) test(k);
}

int main(int argc, char **argv) {
    const topic *const topics[] = {&pixels, &resample, &idct, &idct_reduced};
    const bool listing = argc > 1 && strcmp(argv[1], "--list") == 0;
    const bool timing = argc > 1 && strcmp(argv[1], "--bench") == 0;
    const int first_name = 1 + (listing || timing);
    int num_found = 0;

    catch_faults(on_fault);
    for (size_t t = 0; t < sizeof topics / sizeof topics[0]; t++) {
        const kernel *k = topics[t]->kernels;
        for (which = 0; k->name; which++, k++) {
            bool is_named = first_name >= argc;
            for (int i = first_name; i < argc; i++) is_named |= strcmp(argv[i], k->name) == 0;
            num_found += is_named;
            if (is_named && listing) puts(k->name);
            else if (is_named) run(topics[t], k, timing);
        }
    }
    if (num_found >= argc - first_name) return 0;
    fprintf(stderr, "no such kernel\n");
    return 2;
}
