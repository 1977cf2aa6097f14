/* SPDX-License-Identifier: BSD-3-Clause */
/* Preloaded as a shared library, it lets the start of a thread fail as on a machine that has too many. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef int create_function(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static atomic_long count, first;
static atomic_bool lasts;

void failing_threads_start(long n, bool lasting);
long failing_threads_stop(void);

/* From now on start n fails, counted from 1, and with `lasting` all that follow. */
void failing_threads_start(long n, bool lasting) {
    count = 0;
    lasts = lasting;
    first = n;
}

/* Returns how many threads were to be started. */
long failing_threads_stop(void) {
    first = 0;
    return count;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    create_function *next = (create_function *)dlsym(RTLD_NEXT, "pthread_create");
    const long n = atomic_fetch_add(&count, 1) + 1;

    if (first && (lasts ? n >= first : n == first)) return EAGAIN;
    return next(thread, attributes, run, argument);
}
