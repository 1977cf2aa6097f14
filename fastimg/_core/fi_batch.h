/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fi_batch.h - the second part of the core's manual: many images, read and decoded in threads. The rules of fi.h hold.
 */
#ifndef FI_BATCH_H
#define FI_BATCH_H

#include "fi.h"
#include "mapped.h"
#include "os/system.h"
#include "team.h"

#include <stdatomic.h>

/* ---- random boxes ---------------------------------------------------------------------------------------------- */

/* Inception's random resized crop, without the resizing; fastimg.random_crops() is its manual. */
typedef struct fi_random_boxes {
    double scale[2]; /* least and largest part of the image's area */
    double ratio[2]; /* least and largest width / height */
    double flip;     /* the probability that an image is mirrored */
    uint64_t key;    /* of an epoch's numbers */
} fi_random_boxes;

#define FI_BOX_ATTEMPTS 10 /* how often torchvision draws before it takes the centre of the image */

/*
 * fi_box_fit() makes a box of four numbers from [0, 1), for area, ratio, top and left. It returns false if the box does
 * not fit into an image of height x width pixels.
 */
bool fi_box_fit(const fi_random_boxes *boxes, int64_t height, int64_t width, const double draws[4], fi_crop *box);

/* fi_box_central() returns the largest central box whose width / height is permitted, as far as whole pixels allow. */
fi_crop fi_box_central(const fi_random_boxes *boxes, int64_t height, int64_t width);

/*
 * fi_box_draw() draws a box, and whether it is mirrored, from numbers that depend on the key and the index alone: those
 * of a SplitMix64 generator for each sample.
 */
void fi_box_draw(const fi_random_boxes *boxes, uint64_t index, int64_t height, int64_t width, fi_crop *box, bool *flip);

/* ---- many images ----------------------------------------------------------------------------------------------- */

#define FI_NO_JOB SIZE_MAX

/* So many sources in a row that cannot be read are no bad images: the storage or the caller's reader is at fault. */
#define FI_MAX_UNREADABLE 32

typedef struct fi_readers fi_readers;

typedef struct fi_job {
    fi_source source;
    fi_output out;
    fi_crop crop;
    bool flip;
    bool is_read;    /* `bytes` hold what the source does */
    bool is_listed;  /* ready from the beginning, and not to be claimed */
    atomic_bool is_unreadable; /* it failed because the source could not be read */
    uint64_t index;  /* of the sample, for random boxes */
    uint32_t height; /* of the image before cropping, upright if the options say so; 0: not known */
    uint32_t width;
    fi_mapped bytes;     /* what has been read ahead; freed when it has been decoded */
    size_t nbytes;       /* of the source, in `bytes` */
    size_t following;    /* in the list of jobs that are ready */
    fi_failure *failure; /* NULL: none, or not run; else owned by the batch's owner */
} fi_job;

typedef struct fi_batch {
    const fi_options *options;
    const fi_random_boxes *boxes; /* not NULL: they take the place of each job's crop and flip; one for each view */
    fi_job *jobs;
    fi_view *views; /* not NULL: view_count for each job, in place of its out, crop and flip */
    size_t view_count;
    fi_header *headers; /* not NULL: only read headers, one per job, into here */
    double (*geometry)[2][3]; /* not NULL: fi_plan_geometry() of each job that succeeds, into here */
    size_t count;
    bool stop_on_failure; /* true: a failure stops the batch; false: it zeroes the image */
    bool keeps_bytes;     /* with headers: read whole sources, and keep them for decoding as far as there is room */
    bool checks_sizes;    /* a job's height and width have been set, and the image must have them */
    bool by_caller;       /* some sources are */
    bool has_fallback;    /* the caller decodes what fi_is_other() */
    unsigned decoders;    /* how many threads are going to decode, for the choice of reader threads */
    fi_team *team;        /* not NULL: threads that find no job help with the large images of others */
    void *owner;          /* for the caller */
    atomic_size_t next;   /* the job to claim; count or more: none is left */
    atomic_size_t end;    /* jobs from here on are dropped even if they have been claimed */
    atomic_size_t done;
    atomic_size_t running; /* threads in fi_batch_run() */
    atomic_bool out_of_memory; /* stopped because there was no memory for a fi_failure */
    /* What follows belongs to the readers. */
    _Atomic(fi_readers *) readers; /* NULL: none */
    struct fi_batch *following;
    bool has_files; /* and is no batch of memory alone */
    size_t reading; /* jobs that reader threads have claimed and not finished */
    size_t first_ready, last_ready;
} fi_batch;

/*
 * fi_batch_begin() makes the batch ready to run, from its first job on, after its fields have been set. No thread may
 * be at work on it.
 */
void fi_batch_begin(fi_batch *batch);

/*
 * fi_batch_run() claims and runs jobs until none is left, or until budget_ns nanoseconds have passed, but at least one
 * (a budget of 0 has no limit); with a budget it also returns when more reader threads are wanted. May be called from
 * any number of threads at once, each with a decoder of its own. A job's failure is stored in it, and either stops the
 * batch or clears the job's output; lack of memory or of file descriptors always stops the batch, and so do
 * FI_MAX_UNREADABLE sources in a row that cannot be read. Jobs are claimed in order, and when one has failed those
 * before it are still run: the lowest failed index does not depend on the number of threads.
 *
 * It returns FI_NO_JOB, but with has_fallback perhaps a job that the caller must decode: call fi_batch_supply() or
 * fi_batch_refuse(), in this thread, and then this function again.
 *
 * Without reader threads, each thread reads its source and then decodes it. With them, it decodes what has been read,
 * in the order in which that became ready. With a team and no limit, a thread that finds no job left goes on with the
 * images of others, and returns when none of them runs jobs any more.
 */
size_t fi_batch_run(fi_batch *batch, fi_decoder *decoder, int64_t budget_ns);

/*
 * fi_batch_supply() goes on with a job, from pixels that the caller has decoded in `ns` nanoseconds: the choice of reader
 * threads goes by that.
 */
void fi_batch_supply(fi_batch *batch, size_t position, fi_decoder *decoder, const fi_pixels *pixels, int64_t ns);

/* fi_batch_refuse() makes a job fail with FI_E_READER; `stop`: it stops the batch in any case. */
void fi_batch_refuse(fi_batch *batch, size_t position, bool stop);

/* fi_batch_cancel() drops all jobs; those that are being decoded end at the next row of MCUs. For any thread to call. */
void fi_batch_cancel(fi_batch *batch);

/* fi_batch_finished() returns whether all jobs have been run or dropped, and no thread is in fi_batch_run(). */
bool fi_batch_finished(fi_batch *batch);

/*
 * fi_batch_wait() waits until the batch is finished, more reader threads are wanted, or timeout_ns nanoseconds have
 * passed.
 */
void fi_batch_wait(fi_batch *batch, int64_t timeout_ns);

/* fi_batch_free() frees the bytes and failures of all jobs; the arrays are the caller's. */
void fi_batch_free(fi_batch *batch);

/* ---- readers --------------------------------------------------------------------------------------------------- */

/*
 * Threads that read the sources of batches before they are decoded. The threads are the caller's: it starts them when
 * fi_readers_wanted() asks for more, and each lives in fi_readers_run().
 *
 * Sources are claimed in order, those of the batch that was added first first. What has been read and not yet been
 * decoded never takes more than max_nbytes, except for one source that is larger by itself. A reader that finds no room
 * waits, but never for a batch that comes after its own: so the batches may be decoded one after another.
 */

/*
 * fi_readers_new() allocates readers, or returns NULL if there is no memory. If `adapts`, they begin with no thread,
 * and ask for up to max_threads of them while decoding waits for files; else they ask for max_threads at once.
 */
fi_readers *fi_readers_new(uint64_t max_nbytes, unsigned max_threads, bool adapts);

/* fi_readers_free() frees readers whose threads have ended and whose batches have been removed. NULL is allowed. */
void fi_readers_free(fi_readers *readers);

/* fi_readers_add() adds a batch that has begun: its sources are read after those of the batches before it. */
void fi_readers_add(fi_readers *readers, fi_batch *batch);

/*
 * fi_readers_remove() takes a batch away, waiting for those of its sources that are being read. Bytes that were kept
 * while headers were read stay with their jobs; all others are freed. May be called for a batch that was not added.
 */
void fi_readers_remove(fi_readers *readers, fi_batch *batch);

/* fi_readers_wanted() returns how many threads there should be: no more than there are sources to read. */
unsigned fi_readers_wanted(fi_readers *readers);

/* fi_readers_limit() says that there can be no more threads than there are. */
void fi_readers_limit(fi_readers *readers);

/* What has come of a read. Bytes and failure are owned. */
typedef struct fi_read_result {
    fi_mapped bytes;
    fi_failure *failure; /* NULL: none */
    fi_header header;
    size_t nbytes; /* of the source, in `bytes` */
    bool is_whole; /* `bytes` hold the source */
    bool no_memory;
} fi_read_result;

/* One source that a thread reads. */
typedef struct fi_read {
    fi_batch *batch;
    size_t position; /* of the job */
    /* What follows belongs to the readers. */
    struct fi_read *older, *newer;
    uint64_t reserved;
    int64_t since;
    int state;
    bool has_room;
    fi_condition wake;
    fi_read_result result;
} fi_read;

/*
 * fi_readers_enter() counts a thread that is about to be started, and fi_readers_leave() one that has not been started
 * or that ends.
 */
void fi_readers_enter(fi_readers *readers);
void fi_readers_leave(fi_readers *readers);

/*
 * fi_readers_run() reads sources, and returns true when it has claimed one that the caller must read; call
 * fi_read_supply() or fi_read_refuse(), then fi_readers_finish(), and then this function again. Other threads use *read
 * meanwhile. It returns false when the thread should end.
 */
bool fi_readers_run(fi_readers *readers, fi_read *read);

/* fi_read_supply() makes a copy of what the caller has read, which may be freed then. */
void fi_read_supply(fi_read *read, const uint8_t *data, size_t nbytes);

/*
 * fi_read_refuse() makes the job fail with FI_E_READER; `stop`: it stops the batch in any case; `unreadable`: it does if
 * it is one of FI_MAX_UNREADABLE in a row.
 */
void fi_read_refuse(fi_read *read, bool stop, bool unreadable);

/* fi_readers_finish() lets the job be decoded. */
void fi_readers_finish(fi_readers *readers, fi_read *read);

/* fi_readers_stop() makes all reader threads end, after what they are reading. For any thread to call. */
void fi_readers_stop(fi_readers *readers);

#endif
