/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of the kernels share: guard pages, comparing, saying what went wrong, going through versions. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS and clock_gettime, which -std=c11 hides; has to stand before all includes */

#include "cpu.h"
#include "pixels.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define VECTOR 32 /* bytes of the widest vector in use */
#define PAD 64 /* canaries: two vectors on either side of a destination */
#define CANARY 0xC5
#define DESTS 4 /* the most that a kernel has */

/* ---- failing ----------------------------------------------------------------------------------------------------- */

/* What is being tried: for the message, also that of a fault. */
static struct {
    const char *kernel, *version, *against, *fill;
    bool at_end;
    size_t src_offset, dst_offset;
} now;

/* Prints the sizes that the kernel was told, and a semicolon: each test has its own. */
static void print_sizes(void);

static inline void fail(const char *format, ...) {
    va_list more;
    printf("%s %s: ", now.kernel, now.version);
    va_start(more, format);
    vprintf(format, more);
    va_end(more);
    printf(" (against %s; ", now.against);
    print_sizes();
    printf(" fill %s, source %zu and destination %zu bytes %s a guard page)\n", now.fill, now.src_offset,
           now.dst_offset, now.at_end ? "before" : "behind");
    fflush(stdout);
    _exit(1);
}

/* Printing is not allowed in a signal's handler, but nothing that is interrupted here is printing. */
static inline void on_fault(int number) {
    fail("signal %d: touched what lies outside of its buffers", number);
}

static inline void catch_faults(void) {
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
}

/* ---- arithmetic of definitions ----------------------------------------------------------------------------------- */

static inline int64_t limit(int64_t v, int64_t low, int64_t high) {
    return v < low ? low : v > high ? high : v;
}

/* floor(v / by) */
static inline int64_t divide(int64_t v, int64_t by) {
    return v >= 0 ? v / by : -((-v + by - 1) / by);
}

/* What 16 bits keep of it. */
static inline int64_t wrap16(int64_t v) {
    return v - 65536 * divide(v + 32768, 65536);
}

/* ---- buffers between guard pages --------------------------------------------------------------------------------- */

typedef struct {
    uint8_t *start, *end;
} guarded;

static inline guarded guarded_new(size_t nbytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (nbytes + page - 1) / page * page;
    uint8_t *map = mmap(NULL, size + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED || mprotect(map, page, PROT_NONE) || mprotect(map + page + size, page, PROT_NONE)) {
        perror("guard pages");
        exit(2);
    }
    return (guarded){map + page, map + page + size};
}

static inline uint8_t *place(const guarded *buffer, size_t nbytes, size_t offset, bool at_end) {
    return at_end ? buffer->end - offset - nbytes : buffer->start + offset;
}

/* xorshift64*: the same numbers on every machine */
static inline uint16_t random16(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint16_t)((state * 2685821657736338717u) >> 48);
}

static inline uint8_t random_byte(void) {
    return (uint8_t)(random16() >> 8);
}

/* ---- destinations ------------------------------------------------------------------------------------------------ */

static guarded dests[DESTS];
static uint8_t *expected[DESTS]; /* PAD bytes, what a destination must hold, PAD bytes */

static inline size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline void new_dests(size_t nbytes) {
    for (unsigned d = 0; d < DESTS; d++) {
        dests[d] = guarded_new(nbytes);
        expected[d] = malloc(nbytes + 2 * PAD);
    }
}

/* For the judge to write to: behind PAD canaries and before as many. */
static inline uint8_t *new_expected(unsigned d, size_t nbytes) {
    memset(expected[d], CANARY, nbytes + 2 * PAD);
    return expected[d] + PAD;
}

/* For the version to write to: between canaries, as far as there is room for them. */
static inline uint8_t *place_dest(unsigned d, size_t nbytes, size_t offset) {
    uint8_t *dst = place(&dests[d], nbytes, offset, now.at_end);
    const size_t before = least((size_t)(dst - dests[d].start), PAD);
    const size_t behind = least((size_t)(dests[d].end - dst) - nbytes, PAD);
    memset(dst - before, CANARY, before + nbytes + behind);
    return dst;
}

static inline void compare_dest(unsigned d, const uint8_t *dst, size_t nbytes) {
    const size_t before = least((size_t)(dst - dests[d].start), PAD);
    const size_t behind = least((size_t)(dests[d].end - dst) - nbytes, PAD);

    if (memcmp(dst - before, expected[d] + PAD - before, before + nbytes + behind) == 0) return;
    for (size_t i = PAD - before; i < PAD + nbytes + behind; i++) {
        const ptrdiff_t at = (ptrdiff_t)i - PAD;
        if (dst[at] == expected[d][i]) continue;
        fail("byte %td of destination %u is %d, not %d", at, d, dst[at], expected[d][i]);
    }
}

/* ---- versions ---------------------------------------------------------------------------------------------------- */

/* `member` is where in fi_kernels a kernel's pointer is. */
static inline bool is_same_function(size_t member, const fi_kernels *a, const fi_kernels *b) {
    return memcmp((const char *)a + member, (const char *)b + member, sizeof(void (*)(void))) == 0;
}

/*
 * What a version of a kernel has to equal: the C version, and if it is that one, the definition. NULL if it is the C
 * version in another's table, which needs no second test.
 */
static inline const fi_kernels *judge_of(const char *kernel, size_t member, const fi_kernels *version,
                                         const fi_kernels *definition) {
    const bool is_c = is_same_function(member, version, &fi_kernels_c);
    const fi_kernels *judge = is_c ? definition : &fi_kernels_c;

    if (is_c && strcmp(version->name, "c") != 0) {
        printf("%-15s %-5s is the C version\n", kernel, version->name);
        return NULL;
    }
    now.kernel = kernel;
    now.version = version->name;
    now.against = judge->name;
    return judge;
}

static inline void say_equal(void) {
    printf("%-15s %-5s equals %s\n", now.kernel, now.version, now.against);
}

/* All sets of features that can be had by leaving some out, the empty one at the end. */
static inline void for_all_versions(void (*try_version)(const fi_kernels *version)) {
    const unsigned features = fi_cpu_features();
    for (unsigned mask = features;; mask = (mask - 1) & features) {
        const fi_kernels version = fi_kernels_choose(mask);
        try_version(&version);
        if (mask == 0) break;
    }
}

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
