/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/part_work.h"

#include "jpeg/part_scan.h"
#include "os/system.h"

#include <string.h>

/* ---- where all is known ---------------------------------------------------------------------------------------- */

/* Says which coefficients are needed: all of those at the bottom, as padding must be told from pixels there. */
static void set_needs(fi_part_worker *worker, bool all) {
    const struct jpeg_decompress_struct *cinfo = &worker->parts->jpeg->cinfo;

    if (!worker->parts->is_skipping || worker->needs_all == all) return;
    worker->needs_all = all;
    for (int i = 0; i < cinfo->comps_in_scan; i++) {
        const jpeg_component_info *component = cinfo->cur_comp_info[i];
        const unsigned size = (unsigned)FI_DCT_SIZE(component);
        const unsigned last = !component->component_needed ? 0 : all && size > 1 ? 63 : fi_idct_last(size);
        fi_entropy_need(worker->own->entropy, (uint8_t)i, last);
    }
}

static void give_up(fi_part_worker *worker) {
    fi_parts_lock(worker->parts);
    fi_parts_give_up(worker->parts);
    fi_parts_unlock(worker->parts);
}

/* Before the last row is there. */
static void count_suspects(fi_part_worker *worker) {
    fi_parts *parts = worker->parts;
    const fi_suspects suspects = fi_entropy_suspects(worker->own->entropy);

    if (suspects.near == 0 && suspects.far == 0) return;
    fi_parts_lock(parts);
    parts->suspects.near += suspects.near;
    parts->suspects.far += suspects.far;
    fi_parts_unlock(parts);
    fi_entropy_set_suspects(worker->own->entropy, (fi_suspects){0});
}

/* Decodes up to n MCUs from number `mcu` on to samples. Returns how many; 0: the work is over. */
static unsigned decode_mcus(fi_part_worker *worker, size_t mcu, unsigned n) {
    fi_parts *parts = worker->parts;
    fi_mcu_rows *work = worker->own->mcu_rows;
    const size_t row = mcu / parts->mcus_per_row, first = mcu % parts->mcus_per_row;
    const size_t left = parts->mcus_per_row - first, most = FI_MCU_BATCH / parts->scan.blocks;

    if (n > left) n = (unsigned)left;
    if (n > most) n = (unsigned)most;
    if (fi_part_is_over(worker) || !fi_part_rows_open(worker, row)) return 0;
    set_needs(worker, row == parts->jpeg->cinfo.total_iMCU_rows - 1);
    if (!fi_entropy_decode(worker->own->entropy, n, n == left, work->coefficients, work->eob)) {
        memset(work->coefficients, 0, sizeof work->coefficients);
        give_up(worker);
        return 0;
    }
    count_suspects(worker);
    if (mcu + n == parts->mcus) {
        const fi_place place = fi_entropy_place(worker->own->entropy);
        fi_parts_lock(parts);
        fi_part_set_last(parts, &place);
        fi_parts_unlock(parts);
    }
    fi_mcu_row_transform(&worker->mcu_row, &work->sorted, work->coefficients, work->eob, (JDIMENSION)first,
                         (JDIMENSION)(first + n));
    fi_part_rows_add(worker, row, n);
    return n;
}

/* How many MCUs may come before a bit. */
static unsigned mcus_before(uint64_t bit, uint64_t end_bit, size_t mcu) {
    if (bit >= end_bit || mcu == 0) return 1;
    const uint64_t nbits = bit / mcu + 1, n = (end_bit - bit) / nbits;
    return n < 1 ? 1 : n > FI_MCU_BATCH ? FI_MCU_BATCH : (unsigned)n;
}

/* Goes on from the front to where a guess is in step, or to the end. */
static void run_front(fi_part_worker *worker, fi_part_front front) {
    fi_parts *parts = worker->parts;
    fi_entropy *entropy = worker->own->entropy;

    if (!fi_entropy_go_to(entropy, &front.place)) give_up(worker);
    fi_entropy_set_suspects(entropy, (fi_suspects){0});
    for (size_t mcu = front.place.mcu; mcu < parts->mcus;) {
        const uint64_t bit = fi_entropy_bit(entropy);
        if (bit >= front.end_bit) {
            front.place = fi_entropy_place(entropy);
            fi_parts_lock(parts);
            const bool passed = fi_part_meet(worker, &front);
            fi_parts_unlock(parts);
            if (passed) return;
        }
        const size_t left = parts->mcus - mcu;
        unsigned n = mcus_before(bit, front.end_bit, mcu);
        if (n > left) n = (unsigned)left;
        n = decode_mcus(worker, mcu, n);
        if (n == 0) return;
        mcu += n;
    }
}

/* A part after a restart marker. */
static void run_interval(fi_part_worker *worker, const fi_place *begin, size_t end) {
    fi_parts *parts = worker->parts;
    fi_entropy *entropy = worker->own->entropy;

    if (end > parts->mcus) end = parts->mcus;
    if (!fi_entropy_go_to(entropy, begin)) give_up(worker);
    fi_entropy_set_suspects(entropy, (fi_suspects){0});
    for (size_t mcu = begin->mcu; mcu < end;) {
        const size_t left = end - mcu;
        const unsigned n = decode_mcus(worker, mcu, left < FI_MCU_BATCH ? (unsigned)left : FI_MCU_BATCH);
        if (n == 0) return;
        mcu += n;
    }
    unsigned marker;
    const bool is_last = end == parts->mcus; /* stray bytes after it are the judge's */
    if (is_last ? fi_entropy_stray_nbytes(entropy, &marker) > 0 : !fi_entropy_pass_restart(entropy)) give_up(worker);
}

/* ---- guesses --------------------------------------------------------------------------------------------------- */

static fi_part_store *new_store(const fi_parts *parts) {
    const size_t blocks = parts->store_mcus * parts->scan.blocks;
    const size_t head = (sizeof(fi_part_store) + 63) & ~(size_t)63, bits = parts->store_mcus * sizeof(uint64_t);
    const size_t nbytes = head + blocks * (sizeof(int16_t[DCTSIZE2]) + 1) + FI_MCU_BATCH + bits;
    fi_part_store *store = fi_aligned_new(64, (nbytes + 63) & ~(size_t)63);

    if (!store) return NULL;
    memset(store, 0, nbytes);
    store->blocks = (void *)((uint8_t *)store + head);
    store->bits = (void *)(store->blocks + blocks);
    store->eob = (uint8_t *)(store->bits + parts->store_mcus);
    return store;
}

/* The guess was not in step with the codes: it begins again a few bytes on. */
static bool guess_again(fi_part_worker *worker, fi_part_guess *guess) {
    fi_parts *parts = worker->parts;
    fi_place place = guess->begin;

    place.bit = (guess->end.bit + 32) & ~(uint64_t)7;
    if (place.bit >= guess->begin.bit + FI_RECORD_NBITS || place.bit >= guess->end_bit) return false;
    fi_parts_lock(parts);
    const bool is_open = atomic_load(&guess->verdict) == FI_PART_OPEN;
    if (is_open) {
        memset(guess->store->blocks, 0, guess->end.mcu * parts->scan.blocks * sizeof guess->store->blocks[0]);
        atomic_store(&guess->record_count, 0);
        guess->end = place;
    }
    fi_parts_unlock(parts);
    return is_open && fi_entropy_guess(worker->own->entropy, &place);
}

static void record(fi_part_guess *guess, const fi_entropy *entropy) {
    const unsigned count = atomic_load_explicit(&guess->record_count, memory_order_relaxed);
    fi_part_record *record = &guess->records[count];

    record->bit = guess->end.bit;
    memcpy(record->dc, guess->end.dc, sizeof record->dc);
    record->suspects = fi_entropy_suspects(entropy);
    atomic_store_explicit(&guess->record_count, count + 1, memory_order_release);
}

/* Whether the guess has come as far as it is to. */
static bool is_done(fi_part_worker *worker, const fi_part_guess *guess) {
    fi_parts *parts = worker->parts;
    bool met = false;

    if (atomic_load_explicit(&guess->verdict, memory_order_relaxed) != FI_PART_OPEN) return true;
    if (fi_part_is_over(worker) || atomic_load_explicit(&parts->has_last, memory_order_relaxed)) return true;
    if (guess->end.mcu == parts->store_mcus) return true;
    if (guess->end.bit < guess->end_bit) return false;
    fi_parts_lock(parts);
    met = fi_part_guess_meets(parts, guess, guess->end.bit);
    fi_parts_unlock(parts);
    return met;
}

static void decode_guess(fi_part_worker *worker, fi_part_guess *guess) {
    const fi_parts *parts = worker->parts;
    fi_entropy *entropy = worker->own->entropy;
    fi_part_store *store = guess->store;
    const size_t blocks = parts->scan.blocks;

    set_needs(worker, false);
    if (!fi_entropy_guess(entropy, &guess->begin)) return;
    fi_entropy_set_suspects(entropy, (fi_suspects){0});
    while (!is_done(worker, guess)) {
        const size_t at = guess->end.mcu, left = parts->store_mcus - at, most = FI_MCU_BATCH / blocks;
        const uint64_t nbits = guess->end.bit - guess->begin.bit;
        const bool recording = nbits < FI_RECORD_NBITS && at < FI_MAX_RECORDS;
        unsigned n = recording ? 1 : mcus_before(nbits, guess->end_bit - guess->begin.bit, at);
        if (n > left) n = (unsigned)left;
        if (n > most) n = (unsigned)most;
        if (recording) record(guess, entropy);
        if (!fi_entropy_decode(entropy, n, false, store->blocks + at * blocks, store->eob + at * blocks)) {
            memset(store->blocks + at * blocks, 0, n * blocks * sizeof store->blocks[0]);
            if (recording && guess_again(worker, guess)) continue;
            break;
        }
        for (unsigned i = 0; i < n; i++) store->bits[at + i] = guess->end.bit;
        const fi_place place = fi_entropy_place(entropy);
        guess->end.bit = place.bit;
        guess->end.mcu += n;
        memcpy(guess->end.dc, place.dc, sizeof place.dc);
        guess->suspects = fi_entropy_suspects(entropy);
    }
}

/* Guesses a part. Returns false if there is no memory for it. */
static bool run_guess(fi_part_worker *worker, fi_part_guess *guess) {
    fi_parts *parts = worker->parts;

    if (!guess->store) guess->store = new_store(parts);
    const bool has_store = guess->store;
    guess->suspects = (fi_suspects){0};
    if (has_store) decode_guess(worker, guess);
    fi_parts_lock(parts);
    fi_part_stop(worker, guess);
    fi_parts_unlock(parts);
    return has_store;
}

/* Decodes an MCU of a guess again, with all its coefficients. */
static bool complete_mcu(fi_part_worker *worker, const fi_part_guess *guess, unsigned mcu) {
    fi_mcu_rows *work = worker->own->mcu_rows;
    fi_entropy *entropy = worker->own->entropy;
    const size_t blocks = worker->parts->scan.blocks;
    const fi_part_store *store = guess->store;
    fi_place place = guess->begin;
    unsigned first = mcu;

    while (first > 0 && store->bits[first - 1] == store->bits[mcu]) first--;
    place.bit = store->bits[mcu];
    set_needs(worker, false);
    bool done = fi_entropy_guess(entropy, &place);
    done = done && (first == mcu || fi_entropy_decode(entropy, mcu - first, false, work->coefficients, work->eob));
    memset(work->coefficients, 0, sizeof work->coefficients);
    done = done && fi_entropy_decode(entropy, 1, true, work->coefficients, store->eob + mcu * blocks);
    for (size_t b = 0; b < blocks; b++) {
        int16_t *block = store->blocks[mcu * blocks + b];
        work->coefficients[b][0] = block[0];
        memcpy(block, work->coefficients[b], sizeof work->coefficients[b]);
    }
    memset(work->coefficients, 0, sizeof work->coefficients);
    return done;
}

/* Those at the image's right and bottom edges. */
static bool complete_edges(fi_part_worker *worker, const fi_part_guess *guess, unsigned first, unsigned n, size_t mcu) {
    const fi_parts *parts = worker->parts;
    const bool is_bottom = mcu / parts->mcus_per_row == parts->jpeg->cinfo.total_iMCU_rows - 1;

    for (unsigned i = 0; i < n && parts->is_skipping; i++) {
        const bool is_right = (mcu + i + 1) % parts->mcus_per_row == 0;
        if ((is_right || is_bottom) && !complete_mcu(worker, guess, first + i)) return false;
    }
    return true;
}

/* Samples of what a guess has kept. */
static void flush(fi_part_worker *worker, fi_part_guess *guess) {
    fi_parts *parts = worker->parts;
    const size_t blocks = parts->scan.blocks, most = FI_MCU_BATCH / blocks, end = guess->end.mcu;
    int16_t (*const kept)[DCTSIZE2] = guess->store->blocks;
    size_t i = guess->from, mcu = guess->mcu;

    memset(kept, 0, i * blocks * sizeof kept[0]);
    while (i < end && mcu < parts->mcus) {
        const size_t row = mcu / parts->mcus_per_row, first = mcu % parts->mcus_per_row;
        size_t n = parts->mcus_per_row - first;
        if (n > most) n = most;
        if (n > end - i) n = end - i;
        if (fi_part_is_over(worker) || !fi_part_rows_open(worker, row)) break;
        if (!fi_entropy_shift_dc(worker->own->entropy, guess->shift, (unsigned)n, kept + i * blocks) ||
            !complete_edges(worker, guess, (unsigned)i, (unsigned)n, mcu)) {
            give_up(worker);
            break;
        }
        fi_mcu_row_transform(&worker->mcu_row, &worker->own->mcu_rows->sorted, kept + i * blocks,
                             guess->store->eob + i * blocks, (JDIMENSION)first, (JDIMENSION)(first + n));
        fi_part_rows_add(worker, row, (unsigned)n);
        i += n;
        mcu += n;
    }
    memset(kept + i * blocks, 0, (end - i) * blocks * sizeof kept[0]);
    fi_parts_lock(parts);
    fi_part_release(worker, guess);
    fi_parts_unlock(parts);
}

/* ---- all of it ------------------------------------------------------------------------------------------------- */

bool fi_part_assist(fi_part_worker *worker) {
    fi_parts *parts = worker->parts;

    fi_parts_lock(parts);
    fi_part_guess *guess = fi_part_find_ready(parts);
    if (guess && guess->mcu / parts->mcus_per_row >= worker->wanted) guess = NULL;
    if (guess) guess->state = FI_PART_FLUSHED;
    fi_parts_unlock(parts);
    if (!guess) return false;
    const fi_place place = fi_entropy_place(worker->own->entropy);
    const bool needs_all = worker->needs_all;
    worker->is_assisting = true;
    flush(worker, guess);
    worker->is_assisting = false;
    if (!parts->is_skipping || !worker->is_decoding) return true;
    set_needs(worker, needs_all);
    if (!fi_entropy_go_to(worker->own->entropy, &place)) give_up(worker);
    fi_entropy_set_suspects(worker->own->entropy, (fi_suspects){0});
    return true;
}

/* Finds something to do, and does it. Called with the lock held, and returns with it. */
static void work_once(fi_part_worker *worker, fi_part_guess **own, bool *guesses) {
    fi_parts *parts = worker->parts;
    fi_part_guess *guess = *own && (*own)->state == FI_PART_READY ? *own : NULL;
    const fi_part_front front = parts->front;
    fi_part part;

    *own = NULL;
    if (!guess && parts->has_front) {
        parts->has_front = false;
        fi_parts_unlock(parts);
        worker->is_decoding = true;
        run_front(worker, front);
        worker->is_decoding = false;
    } else if (guess || (guess = fi_part_find_ready(parts))) {
        guess->state = FI_PART_FLUSHED;
        fi_parts_unlock(parts);
        flush(worker, guess);
    } else if (parts->scan.restart_interval && !parts->are_claimed) {
        const fi_place begin = fi_part_claim(parts, &part);
        const size_t end = part.is_last ? parts->mcus : parts->next.mcu;
        fi_parts_unlock(parts);
        worker->is_decoding = true;
        run_interval(worker, &begin, end);
        worker->is_decoding = false;
    } else if (*guesses && !parts->scan.restart_interval && (guess = fi_part_claim_guess(worker))) {
        *own = guess;
        fi_parts_unlock(parts);
        *guesses = run_guess(worker, guess);
    } else {
        fi_part_wait(worker);
        return;
    }
    fi_parts_lock(parts);
}

void fi_part_work(fi_parts *parts, fi_decompressor *own, bool leads) {
    fi_part_worker worker = {.parts = parts, .own = own, .leads = leads, .row = SIZE_MAX, .needs_all = true};
    fi_part_guess *last = NULL;
    bool guesses = true;

    memcpy(worker.reduced, parts->transforms.reduced, sizeof worker.reduced);
    worker.transforms = parts->transforms;
    worker.transforms.reduced = worker.reduced;
    if (!fi_entropy_start(own->entropy, &parts->scan)) {
        give_up(&worker);
        return;
    }
    fi_parts_lock(parts);
    while (!fi_parts_are_over(parts)) work_once(&worker, &last, &guesses);
    fi_part_rows_leave(&worker);
    fi_part_leave(&worker);
    fi_parts_unlock(parts);
}
