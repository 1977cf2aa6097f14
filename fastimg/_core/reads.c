/* SPDX-License-Identifier: BSD-3-Clause */
/* One source after another: what a reader thread does. */
#include "faults.h"
#include "readers.h"
#include "reading.h"

#include <stdlib.h>
#include <string.h>

/* ---- one read -------------------------------------------------------------------------------------------------- */

static void link_read(fi_readers *readers, fi_read *read, fi_batch *batch, size_t position) {
    *read = (fi_read){.batch = batch, .position = position, .older = readers->newest, .state = OPENING};
    read->wake = (fi_condition)FI_CONDITION_INIT;
    if (readers->newest) readers->newest->newer = read;
    readers->newest = read;
    if (!readers->oldest) readers->oldest = read;
    batch->reading++;
    if (batch->jobs[position].source.alone) readers->alone = true;
}

static void unlink_read(fi_readers *readers, fi_read *read) {
    *(read->older ? &read->older->newer : &readers->oldest) = read->newer;
    *(read->newer ? &read->newer->older : &readers->newest) = read->older;
    if (read->batch->jobs[read->position].source.alone) {
        readers->alone = false;
        fi_readers_wake(readers, &readers->for_readers);
    }
    fi_readers_wake_oldest(readers);
    fi_readers_wake(readers, &readers->for_decoders);
    if (--read->batch->reading == 0) fi_readers_wake(readers, &readers->for_owners);
}

static bool fits(const fi_readers *readers, uint64_t nbytes) {
    return readers->nbytes == 0 ||
           (readers->nbytes <= readers->max_nbytes && nbytes <= readers->max_nbytes - readers->nbytes);
}

/* Whether an older read goes first: one that waits for room, or may have to and belongs to an earlier batch. */
static bool is_turn(const fi_read *read) {
    for (const fi_read *other = read->older; other; other = other->older) {
        if (other->state == WAITING || (other->state == OPENING && other->batch != read->batch)) return false;
    }
    return true;
}

/* What is set aside for a source; FI_WHOLE_FILE: as much as others have taken, and half a share for the first ones. */
static uint64_t guess(const fi_readers *readers, uint64_t nbytes) {
    if (nbytes != FI_WHOLE_FILE) return nbytes;
    return readers->largest ? readers->largest : readers->max_nbytes / 2 / readers->max_threads;
}

/* Whether a source that takes `nbytes` may be read now. */
static bool has_room(const fi_readers *readers, const fi_read *read, uint64_t nbytes) {
    return is_turn(read) && fits(readers, guess(readers, nbytes));
}

/*
 * Waits for room, in the order of the claims, and takes it. While headers are read nobody waits, as nothing is decoded,
 * and there may be none; nor is there any for a job that has been dropped.
 */
static void reserve(fi_readers *readers, fi_read *read, uint64_t nbytes) {
    fi_batch *batch = read->batch;

    read->state = WAITING;
    while (!has_room(readers, read, nbytes) && !batch->headers && read->position < atomic_load(&batch->end)) {
        fi_readers_wait(readers, &read->wake, INT64_MAX);
    }
    read->has_room = read->position < atomic_load(&batch->end) && has_room(readers, read, nbytes);
    read->state = READING;
    read->reserved = read->has_room ? guess(readers, nbytes) : 0;
    readers->nbytes += read->reserved;
    fi_readers_wake_oldest(readers);
}

typedef fi_read_result result;

static result new_result(void) {
    result result = {.failure = calloc(1, sizeof *result.failure)};
    result.no_memory = !result.failure;
    return result;
}

static void succeed(result *result) {
    fi_failure_free(result->failure);
    result->failure = NULL;
}

/* The caller holds the lock. */
static void finish(fi_readers *readers, fi_read *read, result *result) {
    fi_batch *batch = read->batch;
    fi_job *job = &batch->jobs[read->position];

    readers->nbytes -= read->reserved;
    if (result->no_memory) atomic_store(&batch->out_of_memory, true);
    if (result->no_memory) fi_batch_drop(batch, 0, readers);
    if (read->position < atomic_load(&batch->end)) {
        if (result->is_whole) {
            job->bytes = result->bytes;
            job->nbytes = result->nbytes;
            job->is_read = true;
            readers->nbytes += job->nbytes;
            result->bytes = (fi_mapped){0};
        }
        job->failure = result->failure;
        result->failure = NULL;
        if (batch->headers) {
            batch->headers[read->position] = result->header;
            atomic_fetch_add(&batch->done, 1);
        } else {
            fi_batch_make_ready(batch, read->position);
        }
        const size_t end = job->failure ? fi_batch_end_after(batch, read->position) : SIZE_MAX;
        if (end != SIZE_MAX) fi_batch_drop(batch, end, readers);
    }
    fi_failure_free(result->failure);
    fi_mapped_free(&result->bytes);
    unlink_read(readers, read);
}

/* Reads from an open source: all of it, or its header; `others`: all of it also if it is no JPEG. */
static void read_open(fi_reader *reader, const fi_batch *batch, bool whole, bool others, result *result) {
    const uint64_t max_pixels = batch->options->max_pixels;
    const fi_status status = whole ? fi_read_whole(reader, max_pixels, &result->header, result->failure)
                                   : fi_read_head(reader, max_pixels, &result->header, result->failure);

    if (status == FI_OK) succeed(result);
    else if (!whole || !others || !fi_is_other(status)) return;
    /* The caller will decode it: if the rest cannot be read, that will be said then. */
    fi_failure unsaid = {0};
    if (status != FI_OK && fi_reader_fill(reader, reader->total, &unsaid) != FI_OK) return;
    result->is_whole = whole;
    result->nbytes = reader->have;
}

static void read_source(fi_readers *readers, fi_read *read) {
    fi_batch *batch = read->batch;
    const fi_source *source = &batch->jobs[read->position].source;
    result result = new_result();
    fi_timing timing = {0};
    fi_reader reader = {.file = FI_NO_FILE};

    if (!result.no_memory) {
        int64_t start = fi_now_ns();
        const bool is_open = fi_reader_open(&reader, source, &result.bytes.buffer, result.failure) == FI_OK;
        int64_t ns = fi_now_ns() - start;
        fi_readers_lock(readers);
        if (is_open && source->path && (!batch->headers || batch->keeps_bytes)) {
            reserve(readers, read, reader.total);
        } else {
            read->state = READING;
            fi_readers_wake_oldest(readers);
        }
        const bool dropped = read->position >= atomic_load(&batch->end);
        fi_readers_unlock(readers);
        start = fi_now_ns();
        /* Make room for all of it, unless its size is hard to believe. */
        if (read->has_room && reader.total <= readers->max_nbytes) {
            fi_mapped_reserve(&result.bytes, (size_t)reader.total);
        }
        const bool others = batch->has_fallback && reader.total <= readers->max_nbytes;
        if (is_open && !dropped) read_open(&reader, batch, read->has_room, others, &result);
        ns += fi_now_ns() - start;
        fi_timing_add_read(&timing, ns, reader.have);
        fi_reader_close(&reader);
    }
    fi_readers_lock(readers);
    fi_timing_add(&readers->timing, &timing);
    finish(readers, read, &result);
    fi_readers_unlock(readers);
}

void fi_readers_run_here(fi_batch *batch, size_t position) {
    fi_readers *readers = batch->readers;
    fi_read read;

    fi_readers_lock(readers);
    link_read(readers, &read, batch, position);
    fi_readers_unlock(readers);
    read_source(readers, &read);
}

/* ---- threads --------------------------------------------------------------------------------------------------- */

void fi_readers_enter(fi_readers *readers) {
    atomic_fetch_add(&readers->threads, 1);
}

void fi_readers_leave(fi_readers *readers) {
    fi_readers_lock(readers);
    atomic_fetch_sub(&readers->threads, 1);
    fi_readers_wake(readers, &readers->for_decoders);
    fi_readers_unlock(readers);
}

/* Claims the oldest source that nobody has claimed. Nothing need be read for some jobs: they are ready at once. */
static bool claim(fi_readers *readers, fi_read *read) {
    for (fi_batch *batch = readers->first; batch; batch = batch->following) {
        while (fi_readers_read_for(batch) && atomic_load(&batch->next) < fi_batch_limit(batch)) {
            /* Only this function claims jobs of a batch with sources that the caller reads. */
            if (batch->by_caller && readers->alone && batch->jobs[atomic_load(&batch->next)].source.alone) return false;
            const size_t i = atomic_fetch_add(&batch->next, 1);
            if (i >= fi_batch_limit(batch)) break;
            if (batch->jobs[i].is_listed) {
                if (i + 1 < fi_batch_limit(batch)) continue;
                /* It was the last, and the batch may be finished. */
                fi_readers_wake(readers, &readers->for_decoders);
                fi_readers_wake(readers, &readers->for_owners);
                continue;
            }
            if (!batch->headers && batch->jobs[i].source.data) {
                fi_batch_make_ready(batch, i);
                fi_readers_wake(readers, &readers->for_decoders);
                continue;
            }
            link_read(readers, read, batch, i);
            return true;
        }
    }
    return false;
}

/* Whether the caller shall read a source; if not, it has been dropped. */
static bool prepare_for_caller(fi_readers *readers, fi_read *read, uint64_t nbytes) {
    reserve(readers, read, nbytes);
    if (read->position < atomic_load(&read->batch->end)) {
        read->since = fi_now_ns();
        return true;
    }
    result nothing = {0};
    finish(readers, read, &nothing);
    return false;
}

bool fi_readers_run(fi_readers *readers, fi_read *read) {
    fi_readers_lock(readers);
    while (!readers->stopped) {
        if (!claim(readers, read)) {
            fi_readers_wait(readers, &readers->for_readers, INT64_MAX);
            continue;
        }
        const fi_source *source = &read->batch->jobs[read->position].source;
        if (source->by_caller) {
            if (!prepare_for_caller(readers, read, source->size)) continue;
            fi_readers_unlock(readers);
            return true;
        }
        fi_readers_unlock(readers);
        read_source(readers, read);
        fi_readers_lock(readers);
    }
    fi_readers_unlock(readers);
    return false;
}

void fi_read_supply(fi_read *read, const uint8_t *data, size_t nbytes) {
    const fi_batch *batch = read->batch;
    const fi_source memory = {.data = data, .size = nbytes, .may_change = true};
    result *result = &read->result;
    fi_reader reader;
    fi_buffer head = {0};

    *result = new_result();
    if (!result->failure) return;
    if (batch->headers && fi_reader_open(&reader, &memory, &head, result->failure) == FI_OK) {
        read_open(&reader, batch, false, false, result);
    }
    fi_buffer_free(&head);
    if (!batch->headers || (batch->keeps_bytes && read->has_room && !result->failure)) {
        result->is_whole = fi_mapped_reserve(&result->bytes, nbytes);
        if (result->is_whole) memcpy(result->bytes.buffer.data, data, nbytes);
        if (result->is_whole && !batch->headers) succeed(result);
        if (!result->is_whole && !batch->headers) result->failure->status = FI_E_NOMEM;
    }
    result->nbytes = nbytes;
}

void fi_read_refuse(fi_read *read, bool stop, bool unreadable) {
    read->result = new_result();
    if (!read->result.failure) return;
    read->result.failure->status = FI_E_READER;
    read->result.failure->detail[0] = stop;
    read->result.failure->detail[1] = unreadable;
}

void fi_readers_finish(fi_readers *readers, fi_read *read) {
    const size_t nbytes = read->result.nbytes;
    fi_timing timing = {0};

    fi_timing_add_read(&timing, fi_now_ns() - read->since, nbytes);
    fi_readers_lock(readers);
    readers->largest -= readers->largest / 16; /* one that was large is forgotten at some time */
    if (nbytes > readers->largest) readers->largest = nbytes;
    fi_timing_add(&readers->timing, &timing);
    finish(readers, read, &read->result);
    fi_readers_unlock(readers);
}

void fi_readers_stop(fi_readers *readers) {
    fi_readers_lock(readers);
    readers->stopped = true;
    for (fi_batch *batch = readers->first; batch; batch = batch->following) fi_batch_drop(batch, 0, readers);
    fi_readers_wake(readers, &readers->for_readers);
    fi_readers_unlock(readers);
}
