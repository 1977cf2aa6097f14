/* SPDX-License-Identifier: BSD-3-Clause */
/* What threads that decode one image share. All that is not atomic is changed with the team's lock held. */
#ifndef FI_PART_STATE_H
#define FI_PART_STATE_H

#include "jpeg/part_memory.h"
#include "jpeg/state.h"
#include "team.h"

#include <stdatomic.h>
#include <string.h>

#define FI_MIN_PART_NBYTES 4096

/* Where codes are not in step within this, they hardly ever will be. */
#define FI_STEP_NBITS (2048 * 8)

/* A row of MCUs, while it is between the first that is missing and the last that has begun. */
typedef struct fi_part_row {
    fi_part_buffer *buffer; /* NULL: not begun */
    atomic_uint mcus; /* that are there */
    bool is_complete, is_taken, is_given;
    fi_suspects suspects;
} fi_part_row;

typedef enum fi_part_state {
    FI_PART_FREE,
    FI_PART_GUESSED, /* a thread decodes it */
    FI_PART_STOPPED, /* it has, as far as it could */
    FI_PART_READY,   /* and the coefficients are the image's */
    FI_PART_FLUSHED, /* a thread makes samples of them */
} fi_part_state;

typedef enum fi_part_verdict { FI_PART_OPEN, FI_PART_CONFIRMED, FI_PART_ABANDONED } fi_part_verdict;

/* A part of a scan without restart intervals. */
typedef struct fi_part_bytes {
    size_t index;
    const uint8_t *begin, *end;
    bool is_last;
} fi_part_bytes;

/* One that a thread guesses: without the lock, that thread alone changes the store, and where it ends, until it stops. */
typedef struct fi_part_guess {
    fi_part_state state;
    atomic_int verdict;
    fi_part_bytes bytes;
    uint64_t end_bit; /* of the part. Bits are counted from its beginning, MCUs and DC values, too */
    fi_part_store *store;
    atomic_size_t mcus; /* that other threads may look at */
    fi_place end; /* where the thread has stopped */
    /* What is known once it is confirmed. */
    size_t from; /* the first MCU in the store that is the image's */
    size_t mcu;    /* its number */
    int32_t shift[4]; /* of DC values */
} fi_part_guess;

/* Where all is known up to: the next thread goes on from there. */
typedef struct fi_part_front {
    fi_place place; /* its bits are counted from the beginning of the part */
    fi_part_bytes bytes;
    uint64_t end_bit; /* of the part: where another thread may have begun */
} fi_part_front;

typedef struct fi_part_worker fi_part_worker;

typedef struct fi_parts {
    fi_team_task task;
    fi_team *team;
    fi_decompressor *jpeg; /* its libjpeg state does not change meanwhile */
    const fi_part_layout *layout;
    fi_scan scan;
    fi_transforms transforms;
    size_t threads; /* that are of use */
    size_t mcus_per_row, mcus; /* that are needed */
    size_t part_nbytes, part_mcus, store_mcus;
    bool is_skipping; /* coefficients that are not needed */
    atomic_bool is_over; /* whatever the reason */
    bool is_orphaned; /* set by the thread that leads, which is alone then: see team.h */
    fi_status status;
    bool gave_up;
    /* The scan. */
    fi_place next; /* with restart intervals: where the next part begins that nobody has claimed */
    size_t next_index, next_offset; /* without: its index, and where */
    bool are_claimed; /* all parts that can be the image's */
    bool has_front;
    fi_part_front front;
    fi_place last; /* after the last MCU that is needed */
    atomic_bool has_last;
    size_t guess_count;
    fi_part_guess *guesses; /* that of part i: i % guess_count */
    /* The rows. */
    size_t row_count, given, freed; /* rows; those that have been given to the sink, and that are done with */
    fi_suspects suspects; /* in rows that have been given */
    bool is_giving;
    fi_part_row *rows; /* row r: r % row_count */
    fi_part_memory memory; /* that is free */
    bool (*assist)(fi_part_worker *worker); /* fi_part_assist(), which calls what calls it */
} fi_parts;

/* A thread. */
struct fi_part_worker {
    fi_parts *parts;
    fi_decompressor *scratch; /* of which it uses what only itself needs */
    bool leads;
    unsigned looks; /* whether it is to stop: how often it has come there */
    bool needs_all; /* coefficients are decoded */
    size_t row; /* that mcu_row is; SIZE_MAX: none */
    fi_mcu_row mcu_row;
    fi_transforms transforms;
    fi_reduced reduced[3];
    bool is_decoding; /* from a place where all is known */
    bool is_assisting;
    size_t wanted; /* the row that it waits for room for: it assists only with what comes before, or none would end */
};

/* All that a guess has kept becomes zeros again. */
static inline void fi_part_clear(const fi_parts *parts, const fi_part_guess *guess) {
    if (guess->store)
        memset(guess->store->blocks, 0, guess->end.mcu * parts->scan.blocks * sizeof guess->store->blocks[0]);
}

static inline void fi_parts_lock(fi_parts *parts) {
    if (!parts->is_orphaned) fi_mutex_lock(&parts->team->lock);
}

static inline void fi_parts_unlock(fi_parts *parts) {
    if (!parts->is_orphaned) fi_mutex_unlock(&parts->team->lock);
}

static inline bool fi_parts_are_over(const fi_parts *parts) {
    return atomic_load_explicit(&parts->is_over, memory_order_relaxed);
}

/* ---- with the lock held ---------------------------------------------------------------------------------------- */

/* Something has changed that threads may wait for. */
static inline void fi_parts_change(fi_parts *parts) {
    if (!parts->is_orphaned) fi_condition_broadcast(&parts->team->changed);
}

/* Ends the work of all threads. */
static inline void fi_parts_end(fi_parts *parts, fi_status status) {
    if (fi_parts_are_over(parts)) return;
    parts->status = status;
    parts->task.is_over = true;
    atomic_store(&parts->is_over, true);
    fi_parts_change(parts);
}

/* The same in favour of one thread. All rows may be there: what comes after them is odd. */
static inline void fi_parts_give_up(fi_parts *parts) {
    parts->gave_up = true;
    fi_parts_end(parts, FI_OK);
}

/* Waits for a change. The thread that leads looks after 20 ms whether it is to stop. */
void fi_part_wait(fi_part_worker *worker);

/* ---- without it ------------------------------------------------------------------------------------------------- */

/* Whether the work is over. Asks for the thread that leads whether it is to be. */
bool fi_part_is_over(fi_part_worker *worker);

/* ---- part_rows.c ----------------------------------------------------------------------------------------------- */

/* Makes mcu_row that of a row, and waits until there is room for it. Returns false if the work is over. */
bool fi_part_rows_open(fi_part_worker *worker, size_t row);

/* So many more MCUs of it are there. */
void fi_part_rows_add(fi_part_worker *worker, size_t row, unsigned mcus);

/* So many blocks in it are suspect. Wants the lock. */
void fi_part_rows_suspect(fi_parts *parts, size_t row, fi_suspects suspects);

#endif
