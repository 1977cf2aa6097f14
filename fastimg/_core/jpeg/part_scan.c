/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/part_scan.h"

/* ---- claims ---------------------------------------------------------------------------------------------------- */

fi_place fi_part_claim_interval(fi_parts *parts, size_t *end_mcu) {
    const fi_place begin = parts->next;
    const fi_part part = fi_entropy_find_part(&parts->scan, begin.data, parts->part_nbytes, begin.next_restart);

    parts->next.data = part.end;
    parts->next.mcu += part.restarts * parts->scan.restart_interval;
    parts->next.next_restart = (begin.next_restart + (unsigned)(part.restarts & 7)) & 7;
    parts->are_claimed = part.is_last || parts->next.mcu >= parts->mcus;
    *end_mcu = parts->are_claimed ? parts->mcus : parts->next.mcu;
    return begin;
}

static fi_part_guess *guess_of(const fi_parts *parts, size_t index) {
    return &parts->guesses[index % parts->guess_count];
}

/* Claims a part of another scan. */
static fi_part_bytes claim_bytes(fi_parts *parts) {
    fi_part_bytes bytes = {.index = parts->next_index++};

    bytes.begin = fi_entropy_find_begin(&parts->scan, parts->next_offset);
    parts->next_offset += parts->part_nbytes;
    bytes.end = fi_entropy_find_begin(&parts->scan, parts->next_offset);
    bytes.is_last = parts->next_offset >= parts->scan.nbytes;
    parts->are_claimed |= bytes.is_last;
    return bytes;
}

fi_part_guess *fi_part_claim_guess(fi_part_worker *worker) {
    fi_parts *parts = worker->parts;
    fi_part_guess *guess = guess_of(parts, parts->next_index);

    if (parts->are_claimed || atomic_load(&parts->has_last) || guess->state != FI_PART_FREE) return NULL;
    guess->bytes = claim_bytes(parts);
    guess->store = fi_part_memory_take_store(&worker->scratch->part_memory, &parts->memory);
    guess->end.mcu = 0;
    guess->state = FI_PART_GUESSED;
    atomic_store(&guess->mcus, 0);
    atomic_store(&guess->verdict, FI_PART_OPEN);
    return guess;
}

void fi_part_release(fi_part_worker *worker, fi_part_guess *guess) {
    if (guess->store) fi_part_memory_give_store(&worker->scratch->part_memory, &worker->parts->memory, guess->store);
    guess->store = NULL;
    guess->state = FI_PART_FREE;
    fi_parts_change(worker->parts);
}

fi_part_guess *fi_part_find_ready(const fi_parts *parts) {
    fi_part_guess *first = NULL;

    for (size_t i = 0; i < parts->guess_count; i++) {
        fi_part_guess *guess = &parts->guesses[i];
        if (guess->state == FI_PART_READY && (!first || guess->bytes.index < first->bytes.index)) first = guess;
    }
    return first;
}

/* ---- what is known --------------------------------------------------------------------------------------------- */

void fi_part_set_last(fi_parts *parts, const fi_place *place) {
    parts->last = *place;
    atomic_store(&parts->has_last, true);
    fi_parts_change(parts);
}

/* The guess of the part after the front's; NULL: nobody has claimed it. */
static fi_part_guess *next_guess(const fi_parts *parts, const fi_part_front *front) {
    return front->bytes.index + 1 < parts->next_index ? guess_of(parts, front->bytes.index + 1) : NULL;
}

/* The first MCU of a guess, of `count` that may be looked at, that does not begin in front of a bit. */
static size_t find_mcu(const fi_part_guess *guess, size_t count, uint64_t bit) {
    size_t first = 0;

    while (first < count) {
        const size_t middle = (first + count) / 2;
        if (guess->store->bits[middle] < bit) first = middle + 1;
        else count = middle;
    }
    return first;
}

typedef enum { AHEAD, IN_STEP, PAST } step;

/* What a bit of the part is to the guess: in front of an MCU that begins later, where MCU *mcu begins, or past all. */
static step compare(const fi_part_guess *guess, uint64_t bit, size_t *mcu) {
    const size_t count = atomic_load_explicit(&guess->mcus, memory_order_acquire);

    *mcu = find_mcu(guess, count, bit);
    return *mcu == count ? PAST : guess->store->bits[*mcu] == bit ? IN_STEP : AHEAD;
}

/* The guess's DC values in front of an MCU, as far as 16 bits hold them. */
static void find_dc(const fi_parts *parts, const fi_part_guess *guess, size_t mcu, int32_t dc[4]) {
    const unsigned blocks = parts->scan.blocks;

    for (int c = 0; c < 4; c++) dc[c] = 0;
    if (mcu == 0) return;
    for (unsigned b = 0; b < blocks; b++)
        dc[parts->scan.component[b]] = guess->store->blocks[(mcu - 1) * blocks + b][0];
}

/* Parts to come are as long as is best for the image up to here: after its scan the file may have more than before. */
static void fit_size(fi_parts *parts, const fi_place *place) {
    const uint64_t nbytes = (uint64_t)(place->data - parts->scan.data) + (place->bit - place->data_bit) / 8;
    const size_t best = (size_t)(nbytes * parts->part_mcus / (place->mcu + 1));

    if (parts->team->options.part_nbytes) return;
    parts->part_nbytes = best > FI_MIN_PART_NBYTES ? best : FI_MIN_PART_NBYTES;
}

/* A guess that has stopped is right: all is known up to where it stopped. Returns false if nothing is left to decode. */
static bool settle(fi_parts *parts, fi_part_guess *guess, fi_part_front *front) {
    fi_place end = guess->end;

    guess->state = FI_PART_READY;
    end.mcu = guess->mcu + (end.mcu - guess->from);
    /* In 16 bits: see fi_entropy_confirm(). */
    for (int c = 0; c < 4; c++) end.dc[c] = (int16_t)(uint16_t)((uint32_t)end.dc[c] + (uint32_t)guess->shift[c]);
    *front = (fi_part_front){end, guess->bytes, guess->end_bit};
    fit_size(parts, &end);
    if (end.mcu < parts->mcus) return true;
    /* Padding may have been taken for another MCU. */
    if (end.mcu > parts->mcus && parts->mcus == parts->scan.mcus) fi_parts_give_up(parts);
    fi_part_set_last(parts, &end);
    return false;
}

void fi_part_pass_on(fi_parts *parts, fi_part_front front) {
    for (;;) {
        fi_part_guess *guess = front.place.bit >= front.end_bit ? next_guess(parts, &front) : NULL;
        size_t mcu;
        int32_t dc[4];
        if (!guess || compare(guess, front.place.bit - front.end_bit, &mcu) != IN_STEP) {
            parts->front = front;
            parts->has_front = true;
            break;
        }
        find_dc(parts, guess, mcu, dc);
        guess->from = mcu;
        guess->mcu = front.place.mcu;
        for (int c = 0; c < 4; c++) guess->shift[c] = front.place.dc[c] - dc[c];
        atomic_store(&guess->verdict, FI_PART_CONFIRMED);
        if (guess->state != FI_PART_STOPPED || !settle(parts, guess, &front)) break;
    }
    fi_parts_change(parts);
}

/* Clears the coefficients, and frees it. */
static void drop(fi_part_worker *worker, fi_part_guess *guess) {
    fi_part_clear(worker->parts, guess);
    fi_part_release(worker, guess);
}

void fi_part_stop(fi_part_worker *worker, fi_part_guess *guess) {
    fi_parts *parts = worker->parts;
    const int verdict = atomic_load(&guess->verdict);
    fi_part_front front;

    guess->state = FI_PART_STOPPED;
    if (verdict == FI_PART_ABANDONED) drop(worker, guess);
    else if (verdict == FI_PART_CONFIRMED && settle(parts, guess, &front)) fi_part_pass_on(parts, front);
    fi_parts_change(parts);
}

fi_part_meeting fi_part_meet(fi_part_worker *worker, fi_part_front *front) {
    fi_parts *parts = worker->parts;
    fi_part_guess *guess = next_guess(parts, front);
    size_t mcu;

    if (!guess) {
        front->bytes = claim_bytes(parts);
        return FI_PART_ENTERED;
    }
    const step found = compare(guess, front->place.bit - front->end_bit, &mcu);
    if (found == AHEAD) return FI_PART_NOT_IN_STEP;
    if (found == IN_STEP) {
        fi_part_pass_on(parts, *front);
        return FI_PART_PASSED_ON;
    }
    front->bytes = guess->bytes;
    atomic_store(&guess->verdict, FI_PART_ABANDONED);
    if (guess->state == FI_PART_STOPPED) drop(worker, guess);
    return FI_PART_ENTERED;
}

bool fi_part_guess_meets(const fi_parts *parts, const fi_part_guess *guess) {
    const uint64_t bit = guess->end.bit - guess->end_bit;
    size_t mcu;

    if (bit >= FI_STEP_NBITS || guess->bytes.index + 1 >= parts->next_index) return true;
    const fi_part_guess *next = guess_of(parts, guess->bytes.index + 1);
    if (next->bytes.index != guess->bytes.index + 1 || next->state == FI_PART_FREE) return true;
    return compare(next, bit, &mcu) != AHEAD;
}
