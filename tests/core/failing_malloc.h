/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The C library's allocation functions, made to fail on demand. Linked into a program, or preloaded as a shared
 * library, they are what every library calls, libjpeg-turbo too. Needs a dynamic linker with flat names: Linux, BSD.
 */
#ifndef FAILING_MALLOC_H
#define FAILING_MALLOC_H

#include <stdbool.h>

/*
 * Counts this thread's allocations from here on, and fails the n-th, and with `lasting` all that follow. Other threads
 * are spared: glibc ends the process if there is no memory for a new thread's thread-local data.
 */
void failing_malloc_start(long n, bool lasting);

/* This thread's allocations count, too, from the next start on, until it ends. */
void failing_malloc_join(void);

/*
 * The same for all threads, but only for what the shared libraries whose paths contain one of two words allocate by
 * themselves.
 */
void failing_malloc_start_in(const char *word, const char *other, long n, bool lasting);

/* No allocation fails any more. Returns how many were asked for since the start. */
long failing_malloc_stop(void);

/* How many blocks are allocated. */
long failing_malloc_live(void);

#endif
