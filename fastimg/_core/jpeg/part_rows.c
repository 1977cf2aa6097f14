/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of MCUs: their samples, until the sink has had them. */
#include "jpeg/part_state.h"
#include "os/system.h"

#include <string.h>

#define LOOK_NS 20000000 /* for Ctrl-C */
#define LOOK_EVERY 16    /* batches of MCUs */

/* ---- waiting --------------------------------------------------------------------------------------------------- */

/* Looks whether the work is to end. That may run a signal's handler, which may fork. */
static void look(fi_parts *parts) {
    const fi_watch *watch = &parts->jpeg->watch;
    const bool stops = watch->stop && watch->stop(watch->context);

    if (fi_team_is_orphaned(parts->team)) parts->is_orphaned = true;
    else if (!stops) return;
    fi_parts_lock(parts);
    fi_parts_end(parts, stops ? FI_E_CANCELLED : FI_OK);
    fi_parts_unlock(parts);
}

bool fi_part_is_over(fi_part_worker *worker) {
    if (worker->leads && ++worker->looks % LOOK_EVERY == 0) look(worker->parts);
    return fi_parts_are_over(worker->parts);
}

void fi_part_wait(fi_part_worker *worker) {
    fi_parts *parts = worker->parts;

    fi_condition_wait(&parts->team->changed, &parts->team->lock, worker->leads ? fi_now_ns() + LOOK_NS : INT64_MAX);
    if (!worker->leads) return;
    fi_parts_unlock(parts);
    look(parts);
    fi_parts_lock(parts);
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

static fi_part_row *row_of(const fi_parts *parts, size_t row) {
    return &parts->rows[row % parts->row_count];
}

/* Waits until there is room for a row. Called with the lock held, and returns with it. */
static void wait_for_room(fi_part_worker *worker, size_t row) {
    fi_parts *parts = worker->parts;

    while (!fi_parts_are_over(parts) && row >= parts->freed + parts->row_count) {
        fi_parts_unlock(parts);
        if (!worker->is_assisting) worker->wanted = row;
        const bool assisted = !worker->is_assisting && parts->assist(worker);
        fi_parts_lock(parts);
        if (!assisted && !fi_parts_are_over(parts) && row >= parts->freed + parts->row_count) fi_part_wait(worker);
    }
}

/* The buffer of a row, once there is room; NULL: the work is over. */
static fi_part_buffer *find_buffer(fi_part_worker *worker, size_t row) {
    fi_parts *parts = worker->parts;
    fi_part_memory *own = &worker->scratch->part_memory;
    fi_part_buffer *buffer = NULL;

    fi_parts_lock(parts);
    wait_for_room(worker, row);
    if (!fi_parts_are_over(parts)) {
        fi_part_row *r = row_of(parts, row);
        if (!r->buffer) r->buffer = fi_part_memory_take_buffer(own, &parts->memory, parts->layout);
        if (!r->buffer) fi_parts_end(parts, FI_E_NOMEM);
        buffer = r->buffer;
    }
    fi_parts_unlock(parts);
    return buffer;
}

bool fi_part_rows_open(fi_part_worker *worker, size_t row) {
    const fi_parts *parts = worker->parts;

    if (worker->row == row) return true;
    fi_part_buffer *buffer = find_buffer(worker, row);
    if (!buffer) return false;
    worker->row = row;
    for (unsigned p = 0; p < parts->layout->count; p++) {
        worker->reduced[p].rows = buffer->pointers[p];
        worker->reduced[p].first = (uint32_t)row * parts->layout->planes[p].rows;
    }
    fi_mcu_row_set(&worker->mcu_row, &parts->jpeg->cinfo, &worker->transforms, (JDIMENSION)row, 0, buffer->planes);
    return true;
}

/* ---- the sink -------------------------------------------------------------------------------------------------- */

static void add_suspects(fi_suspects *sum, fi_suspects suspects) {
    sum->near += suspects.near;
    sum->far += suspects.far;
}

/* Frees the rows that no row to come is upsampled with. */
static void free_rows(fi_part_worker *worker) {
    fi_parts *parts = worker->parts;
    const size_t rows = parts->layout->rows, before = parts->freed, begun = before + parts->row_count;

    while (parts->given < rows && parts->given < begun && row_of(parts, parts->given)->is_given) {
        add_suspects(&parts->suspects, row_of(parts, parts->given++)->suspects);
    }
    while (parts->freed + 1 < parts->given) {
        fi_part_row *row = row_of(parts, parts->freed++);
        fi_part_memory_give_buffer(&worker->scratch->part_memory, &parts->memory, row->buffer);
        row->buffer = NULL;
        atomic_store(&row->mcus, 0);
        row->is_complete = row->is_taken = row->is_given = false;
        row->suspects = (fi_suspects){0};
    }
    if (parts->freed != before) fi_parts_change(parts);
    if (parts->given == rows) fi_parts_end(parts, FI_OK);
}

/* Gives a row, which has been taken. */
static void give_row(fi_part_worker *worker, size_t row) {
    fi_parts *parts = worker->parts;
    const fi_part_layout *layout = parts->layout;
    fi_part_row *r = row_of(parts, row);
    const fi_part_buffer *above = row ? row_of(parts, row - 1)->buffer : r->buffer;
    fi_sink *sink = parts->jpeg->sink;

    fi_parts_unlock(parts);
    if (!layout->in_order)
        sink = sink->fork(sink, row ? (uint32_t)row * layout->lines - layout->lag : 0, &worker->scratch->fork);
    if (sink) layout->give(layout->context, sink, (JDIMENSION)row, above->planes, r->buffer->planes);
    fi_parts_lock(parts);
    if (!sink) fi_parts_end(parts, FI_E_NOMEM);
    r->is_given = true;
    free_rows(worker);
}

static void give_in_order(fi_part_worker *worker) {
    fi_parts *parts = worker->parts;

    while (!parts->is_giving && !fi_parts_are_over(parts) && row_of(parts, parts->given)->is_complete) {
        parts->is_giving = true;
        give_row(worker, parts->given);
        parts->is_giving = false;
        if (parts->layout->any_end && parts->jpeg->sink->done(parts->jpeg->sink)) fi_parts_end(parts, FI_OK);
    }
}

/* Gives a row, unless another thread does, or it is not there yet, or the one above it. */
static void try_to_give(fi_part_worker *worker, size_t row) {
    fi_parts *parts = worker->parts;
    fi_part_row *r = row_of(parts, row);

    if (fi_parts_are_over(parts) || row < parts->given || row >= parts->freed + parts->row_count) return;
    if (r->is_taken || !r->is_complete) return;
    if (row > parts->freed && !row_of(parts, row - 1)->is_complete) return;
    r->is_taken = true;
    give_row(worker, row);
}

void fi_part_rows_suspect(fi_parts *parts, size_t row, fi_suspects suspects) {
    add_suspects(&row_of(parts, row)->suspects, suspects);
}

void fi_part_rows_add(fi_part_worker *worker, size_t row, unsigned mcus) {
    fi_parts *parts = worker->parts;
    fi_part_row *r = row_of(parts, row);

    if (atomic_fetch_add(&r->mcus, mcus) + mcus < parts->mcus_per_row) return;
    worker->row = SIZE_MAX;
    if (parts->layout->finish) parts->layout->finish(parts->layout->context, r->buffer->planes);
    fi_parts_lock(parts);
    r->is_complete = true;
    if (parts->layout->in_order) {
        give_in_order(worker);
    } else {
        try_to_give(worker, row);
        try_to_give(worker, row + 1);
    }
    fi_parts_unlock(parts);
}
