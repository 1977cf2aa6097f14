/* SPDX-License-Identifier: BSD-3-Clause */
/* What threads that decode one image share. All that is not atomic is changed with the team's lock held. */
#ifndef FI_PART_STATE_H
#define FI_PART_STATE_H

#include "jpeg/part_layout.h"
#include "jpeg/state.h"
#include "team.h"

#include <stdatomic.h>

/* Where a part that began anywhere is looked for: places of MCUs in its first bytes. */
#define FI_MAX_RECORDS 256
#define FI_RECORD_NBITS (2048 * 8)

#define FI_MAX_PART_ROWS (MAX_SAMP_FACTOR * DCTSIZE)

/* The samples of a row of MCUs. */
typedef struct fi_part_buffer {
    struct fi_part_buffer *following;
    JSAMPROW pointers[3][FI_MAX_PART_ROWS];
    JSAMPARRAY planes[3];
} fi_part_buffer;

/* A row of MCUs, while it is between the first that is missing and the last that has begun. */
typedef struct fi_part_row {
    fi_part_buffer *buffer; /* NULL: not begun */
    atomic_uint mcus; /* that are there */
    bool is_complete, is_taken, is_given;
} fi_part_row;

/* Coefficients of MCUs whose place is not known yet. */
typedef struct fi_part_store {
    struct fi_part_store *following;
    int16_t (*blocks)[DCTSIZE2]; /* all zeros if it is free */
    uint8_t *eob;
    uint64_t *bits; /* where each MCU begins; if it has not been asked for, that of the last one before it */
} fi_part_store;

/* Where an MCU of a guess begins, and what is known there. */
typedef struct fi_part_record {
    uint64_t bit;
    int32_t dc[4];
    fi_suspects suspects;
} fi_part_record;

typedef enum fi_part_state {
    FI_PART_FREE,
    FI_PART_GUESSED, /* a thread decodes it */
    FI_PART_STOPPED, /* it has, as far as it could */
    FI_PART_READY,   /* and the coefficients are the image's */
    FI_PART_FLUSHED, /* a thread makes samples of them */
} fi_part_state;

typedef enum fi_part_verdict { FI_PART_OPEN, FI_PART_CONFIRMED, FI_PART_ABANDONED } fi_part_verdict;

/* A part that a thread guesses. */
typedef struct fi_part_guess {
    fi_part_state state;
    atomic_int verdict;
    size_t index; /* of the part */
    fi_place begin;
    uint64_t end_bit; /* of the part */
    bool is_last;
    fi_part_store *store;
    atomic_uint record_count;
    fi_part_record records[FI_MAX_RECORDS];
    fi_place end; /* where the thread has stopped; its DC values and MCU count from the beginning of the guess */
    fi_suspects suspects; /* from there to here */
    /* What is known once it is confirmed. */
    unsigned from; /* the first MCU in the store that is the image's */
    size_t mcu;    /* its number */
    int32_t shift[4]; /* of DC values */
} fi_part_guess;

/* Where all is known up to: the next thread goes on from there. */
typedef struct fi_part_front {
    fi_place place;
    size_t index; /* of the part */
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
    size_t mcus_per_row, mcus; /* that are needed */
    size_t part_nbytes, store_mcus;
    bool is_skipping; /* coefficients that are not needed */
    atomic_bool is_over; /* whatever the reason */
    fi_status status;
    bool gave_up;
    /* The scan. */
    fi_place next; /* where the next part begins that nobody has claimed */
    size_t next_index;
    bool are_claimed; /* all parts */
    bool has_front;
    fi_part_front front;
    fi_place last; /* after the last MCU that is needed */
    atomic_bool has_last;
    fi_suspects suspects;
    size_t guess_count;
    fi_part_guess *guesses; /* that of part i: i % guess_count */
    fi_part_store *stores; /* that threads have left */
    /* The rows. */
    size_t row_count, given, freed; /* rows; those that have been given to the sink, and that are done with */
    bool is_giving;
    fi_part_row *rows; /* row r: r % row_count */
    fi_part_buffer *buffers; /* that threads have left */
    /* Makes samples of what is ready; called without the lock by threads that wait for room. false: there is nothing. */
    bool (*assist)(fi_part_worker *worker);
} fi_parts;

/* A thread. */
struct fi_part_worker {
    fi_parts *parts;
    fi_decompressor *own; /* of which it uses what only itself needs */
    bool leads;
    unsigned asked;
    /* What is free, and in this thread's cache rather than in another's: it is written to again before long. */
    fi_part_store *stores;
    fi_part_buffer *buffers;
    bool needs_all; /* coefficients are decoded */
    size_t row; /* that mcu_row is; SIZE_MAX: none */
    fi_mcu_row mcu_row;
    fi_transforms transforms;
    fi_reduced reduced[3];
    bool is_decoding; /* from a place where all is known */
    bool is_assisting;
    size_t wanted; /* the row that it waits for room for: it assists only with what comes before, or none would end */
};

static inline void fi_parts_lock(fi_parts *parts) {
    fi_mutex_lock(&parts->team->lock);
}

static inline void fi_parts_unlock(fi_parts *parts) {
    fi_mutex_unlock(&parts->team->lock);
}

static inline bool fi_parts_are_over(const fi_parts *parts) {
    return atomic_load_explicit(&parts->is_over, memory_order_relaxed);
}

/* ---- with the lock held ---------------------------------------------------------------------------------------- */

/* Ends the work of all threads. */
static inline void fi_parts_end(fi_parts *parts, fi_status status) {
    if (fi_parts_are_over(parts)) return;
    parts->status = status;
    parts->task.is_over = true;
    atomic_store(&parts->is_over, true);
    fi_condition_broadcast(&parts->team->changed);
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

/* Leaves the thread's buffers to be freed. */
void fi_part_rows_leave(fi_part_worker *worker);

void fi_part_rows_free(fi_parts *parts);

#endif
