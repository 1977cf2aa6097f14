/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/part_work.h"

#include "jpeg/part_scan.h"
#include "os/system.h"

#include <string.h>

/* Blocks between two looks for a guess that is in step. */
#define STEP_BLOCKS 18

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
        fi_entropy_need(worker->scratch->entropy, (uint8_t)i, last);
    }
}

static void give_up(fi_part_worker *worker) {
    fi_parts_lock(worker->parts);
    fi_parts_give_up(worker->parts);
    fi_parts_unlock(worker->parts);
}

/* Takes note of suspect blocks of a row, which is not complete yet. */
static void count_suspects(fi_part_worker *worker, size_t row) {
    const fi_suspects suspects = fi_entropy_suspects(worker->scratch->entropy);

    if (suspects.near == 0 && suspects.far == 0) return;
    fi_parts_lock(worker->parts);
    fi_part_rows_suspect(worker->parts, row, suspects);
    fi_parts_unlock(worker->parts);
    fi_entropy_set_suspects(worker->scratch->entropy, (fi_suspects){0});
}

static unsigned max_batch(const fi_parts *parts) {
    return FI_MCU_BATCH / parts->scan.blocks;
}

/* Of n MCUs from number `first` of a row on, those that are in one batch and in the row. */
static unsigned limit_batch(const fi_parts *parts, size_t first, size_t n) {
    const size_t left = parts->mcus_per_row - first, most = max_batch(parts) < left ? max_batch(parts) : left;
    return (unsigned)(n < most ? n : most);
}

/* Decodes up to `limit` MCUs from number `mcu` on to samples. Returns how many; 0: the work is over. */
static unsigned decode_mcus(fi_part_worker *worker, size_t mcu, size_t limit) {
    fi_parts *parts = worker->parts;
    fi_mcu_rows *work = worker->scratch->mcu_rows;
    const size_t row = mcu / parts->mcus_per_row, first = mcu % parts->mcus_per_row;
    const unsigned n = limit_batch(parts, first, limit);

    if (fi_part_is_over(worker) || !fi_part_rows_open(worker, row)) return 0;
    set_needs(worker, row == parts->jpeg->cinfo.total_iMCU_rows - 1);
    if (!fi_entropy_decode(worker->scratch->entropy, n, first + n == parts->mcus_per_row, work->coefficients,
                           work->eob)) {
        memset(work->coefficients, 0, sizeof work->coefficients);
        give_up(worker);
        return 0;
    }
    count_suspects(worker, row);
    if (mcu + n == parts->mcus) {
        const fi_place place = fi_entropy_place(worker->scratch->entropy);
        fi_parts_lock(parts);
        fi_part_set_last(parts, &place);
        fi_parts_unlock(parts);
    }
    fi_mcu_row_transform(&worker->mcu_row, &work->sorted, work->coefficients, work->eob, (JDIMENSION)first,
                         (JDIMENSION)(first + n));
    fi_part_rows_add(worker, row, n);
    return n;
}

/*
 * How many MCUs to decode now, if `mcus` took `nbits` and there are `left` until another thread may be met: few where that
 * may be anywhere.
 */
static unsigned count_mcus(const fi_parts *parts, size_t mcus, uint64_t nbits, uint64_t left) {
    const unsigned few = STEP_BLOCKS / parts->scan.blocks + 1, most = max_batch(parts);
    const uint64_t mcu_nbits = (mcus ? nbits / mcus : parts->scan.nbytes * 8 / parts->scan.mcus) + 1;
    const uint64_t n = left / mcu_nbits;

    return n < few ? few : n > most ? most : (unsigned)n;
}

/* Where a part ends, in bits from its beginning; UINT64_MAX: nothing comes after it. */
static uint64_t find_end_bit(fi_parts *parts, const fi_part_bytes *bytes) {
    if (bytes->is_last) return UINT64_MAX;
    const uint64_t nbits = fi_entropy_count_bits(bytes->begin, bytes->end);
    if (nbits != UINT64_MAX) return nbits;
    fi_parts_lock(parts);
    parts->are_claimed = true;
    fi_parts_unlock(parts);
    return nbits;
}

/* Past the end of its part: returns whether another thread goes on. */
static bool pass_end(fi_part_worker *worker, fi_part_front *front) {
    fi_parts *parts = worker->parts;

    front->place = fi_entropy_place(worker->scratch->entropy);
    fi_parts_lock(parts);
    const fi_part_meeting meeting = fi_part_meet(worker, front);
    fi_parts_unlock(parts);
    if (meeting != FI_PART_ENTERED) return meeting == FI_PART_PASSED_ON;
    fi_entropy_renumber(worker->scratch->entropy, front->end_bit);
    front->end_bit = find_end_bit(parts, &front->bytes);
    return false;
}

/* Goes on from the front to where a guess is in step, or to the end. */
static void run_front(fi_part_worker *worker, fi_part_front front) {
    fi_parts *parts = worker->parts;
    fi_entropy *entropy = worker->scratch->entropy;
    const size_t begin = front.place.mcu;
    uint64_t nbits = 0;

    if (!fi_entropy_go_to(entropy, &front.place)) {
        give_up(worker);
        return;
    }
    for (size_t mcu = begin; mcu < parts->mcus;) {
        const uint64_t bit = fi_entropy_bit(entropy);
        if (bit >= front.end_bit && pass_end(worker, &front)) return;
        const uint64_t from = fi_entropy_bit(entropy), to = front.end_bit;
        const size_t left = parts->mcus - mcu;
        unsigned n = count_mcus(parts, mcu - begin, nbits, from < to ? to - from : 0);
        if (n > left) n = (unsigned)left;
        n = decode_mcus(worker, mcu, n);
        if (n == 0) return;
        nbits += fi_entropy_bit(entropy) - from;
        mcu += n;
    }
}

/* A part after a restart marker. */
static void run_interval(fi_part_worker *worker, const fi_place *begin, size_t end) {
    fi_parts *parts = worker->parts;
    fi_entropy *entropy = worker->scratch->entropy;

    if (!fi_entropy_go_to(entropy, begin)) {
        give_up(worker);
        return;
    }
    for (size_t mcu = begin->mcu; mcu < end;) {
        const unsigned n = decode_mcus(worker, mcu, end - mcu);
        if (n == 0) return;
        mcu += n;
    }
    unsigned marker;
    const bool is_last = end == parts->mcus; /* stray bytes after it are the judge's */
    if (is_last ? fi_entropy_stray_nbytes(entropy, &marker) > 0 : !fi_entropy_pass_restart(entropy)) give_up(worker);
}

/* ---- guesses --------------------------------------------------------------------------------------------------- */

/* The guess was not in step with the codes: it begins again a few bytes on. */
static bool guess_again(fi_part_worker *worker, fi_part_guess *guess, fi_place place) {
    fi_parts *parts = worker->parts;
    fi_entropy *entropy = worker->scratch->entropy;
    const size_t failed = fi_entropy_fault(entropy)->mcu;

    place.bit = (guess->store->bits[failed] + 32) & ~(uint64_t)7;
    if (place.bit >= FI_STEP_NBITS || place.bit >= guess->end_bit) return false;
    fi_parts_lock(parts);
    const bool is_open = atomic_load(&guess->verdict) == FI_PART_OPEN;
    if (is_open) {
        fi_part_clear(parts, guess);
        atomic_store(&guess->mcus, 0);
        guess->end = place;
    }
    fi_parts_unlock(parts);
    return is_open && fi_entropy_guess(entropy, &place);
}

/* Whether the guess has come as far as it is to. */
static bool is_done(fi_part_worker *worker, const fi_part_guess *guess) {
    fi_parts *parts = worker->parts;

    if (atomic_load_explicit(&guess->verdict, memory_order_relaxed) != FI_PART_OPEN) return true;
    if (fi_part_is_over(worker) || atomic_load_explicit(&parts->has_last, memory_order_relaxed)) return true;
    if (guess->end.mcu == parts->store_mcus) return true;
    if (guess->end.bit < guess->end_bit) return false;
    fi_parts_lock(parts);
    const bool meets = fi_part_guess_meets(parts, guess);
    fi_parts_unlock(parts);
    return meets;
}

static void decode_guess(fi_part_worker *worker, fi_part_guess *guess) {
    fi_parts *parts = worker->parts;
    fi_entropy *entropy = worker->scratch->entropy;
    fi_part_store *store = guess->store;
    const size_t blocks = parts->scan.blocks;
    const fi_place begin = {.data = guess->bytes.begin};

    guess->end = begin;
    guess->end_bit = find_end_bit(parts, &guess->bytes);
    set_needs(worker, false);
    if (!fi_entropy_guess(entropy, &begin)) return;
    while (!is_done(worker, guess)) {
        const size_t at = guess->end.mcu, left = parts->store_mcus - at;
        const uint64_t bit = guess->end.bit;
        unsigned n = count_mcus(parts, at, bit, bit < guess->end_bit ? guess->end_bit - bit : 0);
        if (n > left) n = (unsigned)left;
        fi_entropy_mark(entropy, store->bits + at);
        if (!fi_entropy_decode(entropy, n, false, store->blocks + at * blocks, store->eob + at * blocks)) {
            memset(store->blocks + at * blocks, 0, n * blocks * sizeof store->blocks[0]);
            if (guess_again(worker, guess, begin)) continue;
            break;
        }
        guess->end = fi_entropy_place(entropy);
        atomic_store_explicit(&guess->mcus, guess->end.mcu, memory_order_release);
    }
    fi_entropy_mark(entropy, NULL);
}

/* Guesses a part. Returns false if there is no memory for it. */
static bool run_guess(fi_part_worker *worker, fi_part_guess *guess) {
    fi_parts *parts = worker->parts;

    if (!guess->store) guess->store = fi_part_store_new();
    const bool has_store = guess->store;
    if (has_store) decode_guess(worker, guess);
    fi_parts_lock(parts);
    fi_part_stop(worker, guess);
    fi_parts_unlock(parts);
    return has_store;
}

/* Decodes an MCU of a guess again, with all its coefficients. */
static bool complete_mcu(fi_part_worker *worker, const fi_part_guess *guess, unsigned mcu) {
    fi_mcu_rows *work = worker->scratch->mcu_rows;
    fi_entropy *entropy = worker->scratch->entropy;
    const size_t blocks = worker->parts->scan.blocks;
    fi_part_store *store = guess->store;
    const fi_place place = {.data = guess->bytes.begin, .bit = store->bits[mcu]};

    set_needs(worker, false);
    bool done = fi_entropy_guess(entropy, &place);
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
    const size_t blocks = parts->scan.blocks, end = guess->end.mcu;
    int16_t (*const kept)[DCTSIZE2] = guess->store->blocks;
    uint8_t *const eob = guess->store->eob;
    size_t i = guess->from, mcu = guess->mcu;

    memset(kept, 0, i * blocks * sizeof kept[0]);
    while (i < end && mcu < parts->mcus) {
        const size_t row = mcu / parts->mcus_per_row, first = mcu % parts->mcus_per_row;
        const unsigned n = limit_batch(parts, first, end - i);
        if (fi_part_is_over(worker) || !fi_part_rows_open(worker, row)) break;
        if (!complete_edges(worker, guess, (unsigned)i, n, mcu) ||
            !fi_entropy_confirm(worker->scratch->entropy, guess->shift, n, kept + i * blocks, eob + i * blocks)) {
            give_up(worker);
            break;
        }
        count_suspects(worker, row);
        fi_mcu_row_transform(&worker->mcu_row, &worker->scratch->mcu_rows->sorted, kept + i * blocks, eob + i * blocks,
                             (JDIMENSION)first, (JDIMENSION)(first + n));
        fi_part_rows_add(worker, row, n);
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
    const fi_place place = fi_entropy_place(worker->scratch->entropy);
    const bool needs_all = worker->needs_all;
    worker->is_assisting = true;
    flush(worker, guess);
    worker->is_assisting = false;
    if (!parts->is_skipping || !worker->is_decoding) return true;
    set_needs(worker, needs_all);
    if (!fi_entropy_go_to(worker->scratch->entropy, &place)) give_up(worker);
    return true;
}

/* Finds something to do, and does it. Called with the lock held, and returns with it. */
static void work_once(fi_part_worker *worker, fi_part_guess **own, bool *guesses) {
    fi_parts *parts = worker->parts;
    fi_part_guess *guess = *own && (*own)->state == FI_PART_READY ? *own : NULL;
    const fi_part_front front = parts->front;

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
        size_t end;
        const fi_place begin = fi_part_claim_interval(parts, &end);
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

void fi_part_work(fi_parts *parts, fi_decompressor *scratch, bool leads) {
    fi_part_worker worker = {.parts = parts, .scratch = scratch, .leads = leads, .row = SIZE_MAX, .needs_all = true};
    fi_part_guess *last = NULL;
    bool guesses = true;

    memcpy(worker.reduced, parts->transforms.reduced, sizeof worker.reduced);
    worker.transforms = parts->transforms;
    worker.transforms.reduced = worker.reduced;
    if (!fi_entropy_start(scratch->entropy, &parts->scan)) {
        give_up(&worker);
        return;
    }
    fi_parts_lock(parts);
    while (!fi_parts_are_over(parts)) work_once(&worker, &last, &guesses);
    fi_parts_unlock(parts);
    fi_part_memory_trim(&scratch->part_memory, FI_PART_KEPT_NBYTES);
}
