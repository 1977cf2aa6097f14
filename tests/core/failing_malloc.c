/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "failing_malloc.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

/* This thread's. initial-exec: to reach it takes no memory. */
static _Thread_local __attribute__((tls_model("initial-exec"))) bool counting;

static bool lasts;
static long count, first_failure;
static atomic_long live;

void failing_malloc_start(long n, bool lasting) {
    count = 0;
    first_failure = n;
    lasts = lasting;
    counting = true;
}

long failing_malloc_stop(void) {
    counting = false;
    return count;
}

long failing_malloc_live(void) {
    return live;
}

static bool fails(void) {
    if (!counting) return false;
    const long n = ++count;
    return n == first_failure || (lasts && n > first_failure);
}

/* The next definition of a function: the C library's, or that of a checker such as AddressSanitizer. */
#define NEXT(name)                                                                                                     \
    static __typeof__(name) *next;                                                                                     \
    if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static void *counted(void *block) {
    if (block) live++;
    return block;
}

static void *out_of_memory(void) {
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t nbytes) {
    NEXT(malloc);
    return fails() ? out_of_memory() : counted(next(nbytes));
}

void *calloc(size_t n, size_t nbytes) {
    NEXT(calloc);
    return fails() ? out_of_memory() : counted(next(n, nbytes));
}

void *realloc(void *block, size_t nbytes) {
    NEXT(realloc);
    if (fails()) return out_of_memory();
    void *moved = next(block, nbytes);
    return block ? moved : counted(moved);
}

void *aligned_alloc(size_t alignment, size_t nbytes) {
    NEXT(aligned_alloc);
    return fails() ? out_of_memory() : counted(next(alignment, nbytes));
}

int posix_memalign(void **block, size_t alignment, size_t nbytes) {
    NEXT(posix_memalign);
    if (fails()) return ENOMEM;
    const int status = next(block, alignment, nbytes);
    if (status == 0) live++;
    return status;
}

void free(void *block) {
    static bool is_looking;
    if (is_looking) return; /* dlsym() frees its last message: no matter */
    is_looking = true;
    NEXT(free);
    is_looking = false;
    if (block) live--;
    next(block);
}
