/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What part_work.c calls in place of fi_part_rows_open(): threads that are to make room for others are late, so that all
 * others wait for it, as far ahead as they can come. Aborts if one of these goes on with a part that comes after its own:
 * that may have to wait for what only its own part makes, for ever.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep() */

#include "jpeg/part_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

bool delayed_rows_open(fi_part_worker *worker, size_t row);

#define LATE_NS 20000000

/* Who is still to be late: the front, while others guess; the first that flushes a guess; the front where there is no room. */
static atomic_bool begins, flushes, waits;

static bool has_room(fi_parts *parts, size_t row) {
    fi_parts_lock(parts);
    const bool has_room = row < parts->freed + parts->row_count;
    fi_parts_unlock(parts);
    return has_room;
}

static void check_order(const fi_part_worker *worker, size_t row) {
    static _Thread_local size_t own;

    if (!worker->is_assisting) own = row;
    if (row <= own) return;
    fprintf(stderr, "a thread that waits for room for row %zu goes on with row %zu\n", own, row);
    abort();
}

bool delayed_rows_open(fi_part_worker *worker, size_t row) {
    const bool is_front = worker->is_decoding && !worker->is_assisting;
    atomic_bool *due = NULL;

    check_order(worker, row);
    if (is_front && row == 0 && worker->row == SIZE_MAX) begins = flushes = waits = true;
    if (!is_front) due = &flushes;
    else if (begins) due = &begins;
    else if (!has_room(worker->parts, row)) due = &waits;
    if (due && atomic_exchange(due, false)) nanosleep(&(struct timespec){.tv_nsec = LATE_NS}, NULL);
    return fi_part_rows_open(worker, row);
}
