/* SPDX-License-Identifier: BSD-3-Clause */
/* What batches and their readers know of each other. The manual is fi.h. */
#ifndef FI_READERS_H
#define FI_READERS_H

#include "fi_batch.h"

#define FI_NONE FI_NO_JOB

/* How long one thread's sources took to read, and to decode. */
typedef struct fi_timing {
    int64_t read_ns, decode_ns;
    uint64_t nbytes;
    unsigned reads, decodes;
    unsigned slow; /* of the reads; very slow ones count twice */
} fi_timing;

void fi_timing_add_read(fi_timing *timing, int64_t ns, uint64_t nbytes);

/* The states of a read. */
enum { OPENING, WAITING, READING };

struct fi_readers {
    fi_mutex lock;
    fi_condition for_readers;  /* a job can be claimed */
    fi_condition for_decoders; /* a job is ready */
    fi_condition for_owners;   /* more threads are wanted, or a read or a batch has ended */
    fi_batch *first;             /* batches, oldest first */
    fi_read *oldest, *newest;    /* reads under way */
    uint64_t max_nbytes, nbytes; /* in flight */
    uint64_t largest;            /* of what the caller has read */
    unsigned max_threads, wanted;
    atomic_uint threads;
    bool adapts, stopped, alone;
    bool is_orphaned; /* see fi_readers_lock() */
    fi_timing timing;
    int64_t grown; /* when */
    int64_t process_id;
};

/* ---- for batches ----------------------------------------------------------------------------------------------- */

/* Jobs from here on are not claimed. */
static inline size_t fi_batch_limit(const fi_batch *batch) {
    const size_t end = atomic_load(&batch->end);
    return end < batch->count ? end : batch->count;
}

/* Whether reader threads are of use to the batch: not if all is in memory. */
static inline bool fi_readers_read_for(const fi_batch *batch) {
    return batch->by_caller || batch->has_files;
}

/* Whether jobs of this batch are to be taken with fi_readers_take(), and not claimed. */
bool fi_readers_lead(const fi_batch *batch);

/*
 * Waits for a job that has been read, until the deadline (INT64_MAX: none), and adds this thread's timing. FI_NONE: no
 * job is left, the time is over or, with a deadline, more reader threads are wanted.
 */
size_t fi_readers_take(fi_batch *batch, int64_t deadline, fi_timing *timing);

/* Runs a job of a batch that reads headers, in this thread. */
void fi_readers_run_here(fi_batch *batch, size_t position);

/* Frees the bytes of a job that has been decoded. */
void fi_readers_release(fi_batch *batch, fi_job *job);

/* Adds this thread's timing, and zeroes it. Returns whether more reader threads are wanted. */
bool fi_readers_learn(fi_batch *batch, fi_timing *timing);

/* Stores a failure, and drops the jobs after it if it stops the batch. */
void fi_readers_fail(fi_batch *batch, size_t position, fi_failure *failure);

/* Drops the jobs from `end` on. */
void fi_readers_drop(fi_batch *batch, size_t end);

/* A thread has left fi_batch_run(). */
void fi_readers_left(fi_batch *batch);

/*
 * In a forked process the threads are missing, and what they held at the fork is held for ever: there is nobody to keep
 * out, to wake or to wait for. fi_readers_wait() returns false then.
 */
void fi_readers_lock(fi_readers *readers);
void fi_readers_unlock(fi_readers *readers);
void fi_readers_wake(fi_readers *readers, fi_condition *condition); /* all that wait for it */
bool fi_readers_wait(fi_readers *readers, fi_condition *condition, int64_t deadline);

/* ---- for one read. The caller holds the lock ------------------------------------------------------------------- */

/* There may be room for the oldest read that waits for it. */
void fi_readers_wake_oldest(fi_readers *readers);

void fi_timing_add(fi_timing *sum, const fi_timing *more);

/* Lets a decoder take a job. */
void fi_batch_make_ready(fi_batch *batch, size_t position);

/* Drops the jobs from `end` on. Without readers, no lock is needed. */
void fi_batch_drop(fi_batch *batch, size_t end, fi_readers *readers);

#endif
