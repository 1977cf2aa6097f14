/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "failing_malloc.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* This thread's own. initial-exec: to reach it takes no memory. */
#define PER_THREAD static _Thread_local __attribute__((tls_model("initial-exec")))

PER_THREAD bool counting;

/* Of threads that have joined. */
static atomic_bool failing;

/* Those of all threads, if they come from these addresses. */
static atomic_bool watching;
static struct {
    uintptr_t start, end;
} watched[16];
static size_t watched_count;

static bool lasts;
static long first_failure;
static atomic_long count, live;

static void begin(long n, bool lasting) {
    count = 0;
    first_failure = n;
    lasts = lasting;
}

void failing_malloc_start(long n, bool lasting) {
    begin(n, lasting);
    counting = failing = true;
}

void failing_malloc_join(void) {
    counting = true;
}

/* Remembers the code of a library. */
static int watch(struct dl_phdr_info *library, size_t nbytes, void *words) {
    const char **word = words;

    (void)nbytes;
    if (!strstr(library->dlpi_name, word[0]) && !strstr(library->dlpi_name, word[1])) return 0;
    for (int i = 0; i < library->dlpi_phnum && watched_count < 16; i++) {
        const uintptr_t start = library->dlpi_addr + library->dlpi_phdr[i].p_vaddr;
        if (library->dlpi_phdr[i].p_type != PT_LOAD || !(library->dlpi_phdr[i].p_flags & PF_X)) continue;
        watched[watched_count].start = start;
        watched[watched_count++].end = start + library->dlpi_phdr[i].p_memsz;
    }
    return 0;
}

void failing_malloc_start_in(const char *word, const char *other, long n, bool lasting) {
    const char *words[2] = {word, other};

    watched_count = 0;
    dl_iterate_phdr(watch, words);
    begin(n, lasting);
    watching = true;
}

long failing_malloc_stop(void) {
    counting = failing = false;
    watching = false;
    return count;
}

long failing_malloc_live(void) {
    return live;
}

static bool is_watched(uintptr_t caller) {
    for (size_t i = 0; i < watched_count; i++) {
        if (caller >= watched[i].start && caller < watched[i].end) return true;
    }
    return false;
}

static bool fails(const void *caller) {
    if (!(counting && failing) && !(watching && is_watched((uintptr_t)caller))) return false;
    const long n = ++count;
    return n == first_failure || (lasts && n > first_failure);
}

#define FAILS fails(__builtin_return_address(0))

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
    return FAILS ? out_of_memory() : counted(next(nbytes));
}

void *calloc(size_t n, size_t nbytes) {
    NEXT(calloc);
    return FAILS ? out_of_memory() : counted(next(n, nbytes));
}

void *realloc(void *block, size_t nbytes) {
    NEXT(realloc);
    if (FAILS) return out_of_memory();
    void *moved = next(block, nbytes);
    return block ? moved : counted(moved);
}

void *aligned_alloc(size_t alignment, size_t nbytes) {
    NEXT(aligned_alloc);
    return FAILS ? out_of_memory() : counted(next(alignment, nbytes));
}

int posix_memalign(void **block, size_t alignment, size_t nbytes) {
    NEXT(posix_memalign);
    if (FAILS) return ENOMEM;
    const int status = next(block, alignment, nbytes);
    if (status == 0) live++;
    return status;
}

void free(void *block) {
    PER_THREAD bool is_looking;
    if (is_looking) return; /* dlsym() frees its last message: no matter */
    is_looking = true;
    NEXT(free);
    is_looking = false;
    if (block) live--;
    next(block);
}
