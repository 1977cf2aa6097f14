/* SPDX-License-Identifier: BSD-3-Clause */
#include "readers.h"

#include "faults.h"

#include <stdlib.h>

/*
 * A source is slow if it takes longer than a file in the page cache can: this long and, per byte, as if it came with
 * 1 GB/s; and if decoding would wait for it more than a sixteenth of the time.
 */
#define QUICK_NS 250e3
#define QUICK_NS_PER_BYTE 1.0
#define SLOW_SHARE (1.0 / 16)

/* One such read may have been interrupted by another process, so two are asked for, or one of this length. */
#define VERY_SLOW_NS 10000000

/* The number of sources after which old ones begin to count less. */
#define MEMORY 64

/* Not measured yet: reads of the caller's begin with this many threads. */
#define FIRST_THREADS 2

/* ---- life ------------------------------------------------------------------------------------------------------ */

fi_readers *fi_readers_new(uint64_t max_nbytes, unsigned max_threads, bool adapts) {
    fi_readers *readers = calloc(1, sizeof *readers);

    if (!readers) return NULL;
    readers->max_nbytes = max_nbytes;
    readers->max_threads = max_threads;
    readers->wanted = adapts ? 0 : max_threads;
    readers->adapts = adapts;
    readers->process_id = fi_process_id();
    if (fi_mutex_init(&readers->lock)) {
        if (fi_condition_init(&readers->for_readers) && fi_condition_init(&readers->for_decoders) &&
            fi_condition_init(&readers->for_owners)) {
            return readers;
        }
        fi_mutex_destroy(&readers->lock);
    }
    free(readers);
    return NULL;
}

void fi_readers_free(fi_readers *readers) {
    if (!readers) return;
    if (readers->process_id == fi_process_id()) {
        fi_condition_destroy(&readers->for_owners);
        fi_condition_destroy(&readers->for_decoders);
        fi_condition_destroy(&readers->for_readers);
        fi_mutex_destroy(&readers->lock);
    }
    free(readers);
}

/* ---- the lock -------------------------------------------------------------------------------------------------- */

void fi_readers_lock(fi_readers *readers) {
    if (readers->process_id != fi_process_id()) readers->is_orphaned = true;
    else fi_mutex_lock(&readers->lock);
}

void fi_readers_unlock(fi_readers *readers) {
    if (!readers->is_orphaned) fi_mutex_unlock(&readers->lock);
}

void fi_readers_wake(fi_readers *readers, fi_condition *condition) {
    if (!readers->is_orphaned) fi_condition_broadcast(condition);
}

bool fi_readers_wait(fi_readers *readers, fi_condition *condition, int64_t deadline) {
    if (!readers->is_orphaned) fi_condition_wait(condition, &readers->lock, deadline);
    return !readers->is_orphaned;
}

/* ---- how many threads ------------------------------------------------------------------------------------------ */

void fi_timing_add_read(fi_timing *timing, int64_t ns, uint64_t nbytes) {
    timing->reads++;
    timing->read_ns += ns;
    timing->nbytes += nbytes;
    if ((double)ns >= QUICK_NS + QUICK_NS_PER_BYTE * (double)nbytes) timing->slow += ns < VERY_SLOW_NS ? 1 : 2;
}

void fi_timing_add(fi_timing *sum, const fi_timing *more) {
    sum->read_ns += more->read_ns;
    sum->decode_ns += more->decode_ns;
    sum->nbytes += more->nbytes;
    sum->reads += more->reads;
    sum->decodes += more->decodes;
    sum->slow += more->slow;
    if (sum->reads > MEMORY) {
        sum->slow /= 2;
        sum->read_ns /= 2;
        sum->nbytes /= 2;
        sum->reads /= 2;
    }
    if (sum->decodes > MEMORY) {
        sum->decode_ns /= 2;
        sum->decodes /= 2;
    }
}

/* How many threads read as fast as `decoders` decode, and half as many more; 0 if decoders do so well by themselves. */
static unsigned choose_threads(const fi_timing *timing, size_t decoders) {
    if (timing->slow < 2 || timing->slow * 8 < timing->reads) return 0;
    const double read_ns = (double)timing->read_ns / timing->reads;
    const double nbytes = (double)timing->nbytes / timing->reads;
    const double decode_ns = timing->decodes ? (double)timing->decode_ns / timing->decodes + 1 : 1;
    if (read_ns < QUICK_NS + QUICK_NS_PER_BYTE * nbytes || read_ns < SLOW_SHARE * decode_ns) return 0;
    const double threads = 1.5 * (double)decoders * read_ns / decode_ns + 2;
    return threads < 1e6 ? (unsigned)threads : 1000000;
}

/* Decoding waits, or would go faster if it did not read: are more threads wanted? */
static void consider(fi_readers *readers, const fi_batch *batch) {
    const unsigned threads = atomic_load(&readers->threads);
    const size_t decoders = batch->headers ? readers->max_threads : batch->decoders;
    const bool measured = readers->timing.reads && (batch->headers || readers->timing.decodes);
    unsigned wanted = measured ? choose_threads(&readers->timing, decoders) : 0;

    if (!readers->adapts || !wanted || readers->wanted > threads) return;
    if (threads && wanted <= threads) {
        /* They are not enough all the same. Give the last ones the time for two reads. */
        const int64_t since = fi_now_ns() - readers->grown;
        if (since > 2 * (readers->timing.read_ns / readers->timing.reads)) wanted = threads + threads / 4 + 1;
    }
    if (wanted > readers->max_threads) wanted = readers->max_threads;
    if (wanted <= readers->wanted) return;
    readers->wanted = wanted;
    readers->grown = fi_now_ns();
    fi_readers_wake(readers, &readers->for_owners);
}

bool fi_readers_learn(fi_batch *batch, fi_timing *timing) {
    fi_readers *readers = batch->readers;

    fi_readers_lock(readers);
    fi_timing_add(&readers->timing, timing);
    *timing = (fi_timing){0};
    if (atomic_load(&readers->threads) == 0) consider(readers, batch);
    const bool more = readers->wanted > atomic_load(&readers->threads);
    fi_readers_unlock(readers);
    return more;
}

static size_t count_unclaimed(const fi_readers *readers) {
    size_t count = 0;
    for (fi_batch *batch = readers->first; batch; batch = batch->following) {
        const size_t next = atomic_load(&batch->next);
        if (!fi_readers_read_for(batch) || next >= fi_batch_limit(batch)) continue;
        count += batch->jobs[next].source.alone ? 1 : fi_batch_limit(batch) - next;
    }
    return count;
}

unsigned fi_readers_wanted(fi_readers *readers) {
    fi_readers_lock(readers);
    const unsigned threads = atomic_load(&readers->threads);
    const size_t most = threads + count_unclaimed(readers);
    if (readers->wanted > most) readers->wanted = (unsigned)most;
    const unsigned wanted = readers->is_orphaned ? 0 : readers->wanted;
    fi_readers_unlock(readers);
    return wanted;
}

void fi_readers_limit(fi_readers *readers) {
    fi_readers_lock(readers);
    readers->max_threads = readers->wanted = atomic_load(&readers->threads);
    fi_readers_wake(readers, &readers->for_decoders);
    fi_readers_unlock(readers);
}

/* ---- batches --------------------------------------------------------------------------------------------------- */

void fi_readers_wake_oldest(fi_readers *readers) {
    fi_read *read = readers->oldest;
    while (read && read->state != WAITING) read = read->newer;
    if (read) fi_readers_wake(readers, &read->wake);
}

static void free_bytes(fi_readers *readers, fi_job *job) {
    if (!job->is_read) return;
    readers->nbytes -= job->nbytes;
    fi_mapped_free(&job->bytes);
    job->nbytes = 0;
    job->is_read = false;
    fi_readers_wake_oldest(readers);
}

void fi_readers_release(fi_batch *batch, fi_job *job) {
    fi_readers *readers = batch->readers;

    fi_mapped_free(&job->bytes); /* without the lock: it goes back to the system */
    if (readers) fi_readers_lock(readers);
    if (readers) free_bytes(readers, job);
    if (readers) fi_readers_unlock(readers);
    job->is_read = false;
}

void fi_batch_make_ready(fi_batch *batch, size_t position) {
    batch->jobs[position].following = FI_NONE;
    *(batch->last_ready == FI_NONE ? &batch->first_ready : &batch->jobs[batch->last_ready].following) = position;
    batch->last_ready = position;
}

void fi_readers_add(fi_readers *readers, fi_batch *batch) {
    fi_readers_lock(readers);
    fi_batch **last = &readers->first;
    while (*last) last = &(*last)->following;
    *last = batch;
    batch->following = NULL;
    batch->readers = readers;
    batch->has_files = false;
    for (size_t i = 0; i < batch->count; i++) {
        batch->has_files |= batch->jobs[i].source.path != NULL;
        if (!batch->jobs[i].is_read) continue;
        /* Kept with its header. Otherwise it would keep room from claims that come before its own. */
        readers->nbytes += batch->jobs[i].nbytes;
        batch->jobs[i].is_listed = !batch->headers;
        if (batch->jobs[i].is_listed) fi_batch_make_ready(batch, i);
    }
    const unsigned first = batch->by_caller ? FIRST_THREADS : 0;
    const unsigned least = readers->adapts ? first : readers->max_threads;
    if (readers->wanted < least) readers->wanted = least < readers->max_threads ? least : readers->max_threads;
    fi_readers_wake(readers, &readers->for_readers);
    fi_readers_unlock(readers);
}

void fi_readers_remove(fi_readers *readers, fi_batch *batch) {
    if (batch->readers != readers) return;
    fi_readers_lock(readers);
    fi_batch **link = &readers->first;
    while (*link && *link != batch) link = &(*link)->following;
    if (*link) *link = batch->following;
    fi_batch_drop(batch, 0, readers);
    while (batch->reading && fi_readers_wait(readers, &readers->for_owners, INT64_MAX)) {}
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->keeps_bytes && batch->headers) {
            readers->nbytes -= batch->jobs[i].nbytes;
        } else {
            free_bytes(readers, &batch->jobs[i]);
        }
    }
    batch->first_ready = batch->last_ready = FI_NONE;
    batch->readers = NULL;
    fi_readers_wake_oldest(readers);
    fi_readers_unlock(readers);
}

/* Whether the batch is finished, but for threads that have not left it yet. */
static bool is_used_up(const fi_batch *batch) {
    if (atomic_load(&batch->end) == 0) return true;
    return atomic_load(&batch->next) >= fi_batch_limit(batch) && batch->reading == 0 && batch->first_ready == FI_NONE;
}

bool fi_batch_finished(fi_batch *batch) {
    fi_readers *readers = batch->readers;
    if (!readers) return atomic_load(&batch->next) >= fi_batch_limit(batch) && atomic_load(&batch->running) == 0;
    fi_readers_lock(readers);
    const bool finished = is_used_up(batch) && atomic_load(&batch->running) == 0;
    fi_readers_unlock(readers);
    return finished;
}

void fi_batch_wait(fi_batch *batch, int64_t timeout_ns) {
    fi_readers *readers = batch->readers;
    const int64_t deadline = fi_now_ns() + timeout_ns;

    fi_readers_lock(readers);
    while (!(is_used_up(batch) && atomic_load(&batch->running) == 0) &&
           readers->wanted <= atomic_load(&readers->threads) && fi_now_ns() < deadline) {
        if (!fi_readers_wait(readers, &readers->for_owners, deadline)) break;
    }
    fi_readers_unlock(readers);
}

void fi_readers_left(fi_batch *batch) {
    fi_readers *readers = batch->readers;

    if (!readers) {
        atomic_fetch_sub(&batch->running, 1);
        return;
    }
    /* Under the lock, as the owner may take the batch away as soon as the last thread has left. */
    fi_readers_lock(readers);
    atomic_fetch_sub(&batch->running, 1);
    fi_readers_wake(readers, &readers->for_decoders);
    fi_readers_wake(readers, &readers->for_owners);
    fi_readers_unlock(readers);
}

void fi_batch_drop(fi_batch *batch, size_t end, fi_readers *readers) {
    size_t old = atomic_load(&batch->end);

    while (end < old && !atomic_compare_exchange_weak(&batch->end, &old, end)) {}
    if (!readers) return;
    for (fi_read *read = readers->oldest; read; read = read->newer) {
        if (read->state == WAITING) fi_readers_wake(readers, &read->wake);
    }
    fi_readers_wake(readers, &readers->for_decoders);
    fi_readers_wake(readers, &readers->for_owners);
}

void fi_readers_drop(fi_batch *batch, size_t end) {
    fi_readers *readers = atomic_load(&batch->readers); /* once, as another thread may add the batch meanwhile */
    if (readers) fi_readers_lock(readers);
    fi_batch_drop(batch, end, readers);
    if (readers) fi_readers_unlock(readers);
}

void fi_readers_fail(fi_batch *batch, size_t position, fi_failure *failure) {
    batch->jobs[position].failure = failure;
    const size_t end = fi_batch_end_after(batch, position);
    if (end != SIZE_MAX) fi_readers_drop(batch, end);
}

/* ---- decoders' side -------------------------------------------------------------------------------------------- */

bool fi_readers_lead(const fi_batch *batch) {
    const fi_readers *readers = batch->readers;
    return readers && (batch->by_caller || (!batch->headers && batch->has_files && atomic_load(&readers->threads)));
}

/* The first job that is ready and has not been dropped. */
static size_t pop_ready(fi_batch *batch) {
    while (batch->first_ready != FI_NONE) {
        const size_t i = batch->first_ready;
        batch->first_ready = batch->jobs[i].following;
        if (batch->first_ready == FI_NONE) batch->last_ready = FI_NONE;
        if (i < atomic_load(&batch->end)) return i;
        free_bytes(batch->readers, &batch->jobs[i]);
    }
    return FI_NONE;
}

size_t fi_readers_take(fi_batch *batch, int64_t deadline, fi_timing *timing) {
    fi_readers *readers = batch->readers;
    size_t i;

    fi_readers_lock(readers);
    fi_timing_add(&readers->timing, timing);
    *timing = (fi_timing){0};
    while ((i = pop_ready(batch)) == FI_NONE && !is_used_up(batch)) {
        if (!batch->headers && !fi_readers_lead(batch) && atomic_load(&batch->next) < fi_batch_limit(batch)) break;
        consider(readers, batch);
        if (deadline != INT64_MAX) {
            if (readers->wanted > atomic_load(&readers->threads) || fi_now_ns() >= deadline) break;
        }
        if (!fi_readers_wait(readers, &readers->for_decoders, deadline)) break;
    }
    fi_readers_unlock(readers);
    return i;
}
