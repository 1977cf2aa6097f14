/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/part_scan.h"

#include <string.h>

/* ---- claims ---------------------------------------------------------------------------------------------------- */

fi_place fi_part_claim(fi_parts *parts, fi_part *part) {
    const fi_place begin = parts->next;

    *part = fi_entropy_find_part(&parts->scan, begin.data, parts->part_nbytes, begin.next_restart);
    parts->next.data = part->end;
    parts->next.bit = parts->next.data_bit = begin.bit + (uint64_t)part->nbytes * 8;
    parts->next.mcu += part->restarts * parts->scan.restart_interval;
    parts->next.next_restart = (begin.next_restart + (unsigned)(part->restarts & 7)) & 7;
    parts->next_index++;
    if (parts->scan.restart_interval) {
        parts->next.bit = parts->next.data_bit = 0;
        part->is_last |= parts->next.mcu >= parts->mcus;
    }
    parts->are_claimed = part->is_last;
    return begin;
}

static fi_part_guess *guess_of(fi_parts *parts, size_t index) {
    return &parts->guesses[index % parts->guess_count];
}

fi_part_guess *fi_part_claim_guess(fi_part_worker *worker) {
    fi_parts *parts = worker->parts;
    fi_part_guess *guess = guess_of(parts, parts->next_index);
    fi_part part;

    if (parts->are_claimed || atomic_load(&parts->has_last) || guess->state != FI_PART_FREE) return NULL;
    guess->index = parts->next_index;
    guess->begin = fi_part_claim(parts, &part);
    guess->begin.mcu = 0;
    guess->end = guess->begin;
    guess->end_bit = part.is_last ? UINT64_MAX : parts->next.bit;
    guess->state = FI_PART_GUESSED;
    atomic_store(&guess->record_count, 0);
    atomic_store(&guess->verdict, FI_PART_OPEN);
    guess->store = worker->stores;
    if (guess->store) worker->stores = guess->store->following;
    return guess;
}

void fi_part_release(fi_part_worker *worker, fi_part_guess *guess) {
    if (guess->store) {
        guess->store->following = worker->stores;
        worker->stores = guess->store;
        guess->store = NULL;
    }
    guess->state = FI_PART_FREE;
    fi_condition_broadcast(&worker->parts->team->changed);
}

void fi_part_leave(fi_part_worker *worker) {
    while (worker->stores) {
        fi_part_store *store = worker->stores;
        worker->stores = store->following;
        store->following = worker->parts->stores;
        worker->parts->stores = store;
    }
}

fi_part_guess *fi_part_find_ready(fi_parts *parts) {
    fi_part_guess *first = NULL;

    for (size_t i = 0; i < parts->guess_count; i++) {
        fi_part_guess *guess = &parts->guesses[i];
        if (guess->state == FI_PART_READY && (!first || guess->index < first->index)) first = guess;
    }
    return first;
}

/* ---- what is known --------------------------------------------------------------------------------------------- */

void fi_part_set_last(fi_parts *parts, const fi_place *place) {
    parts->last = *place;
    atomic_store(&parts->has_last, true);
    fi_condition_broadcast(&parts->team->changed);
}

/* The guess of the part after the front's; NULL: nobody has claimed it. */
static fi_part_guess *next_guess(fi_parts *parts, const fi_part_front *front) {
    return front->index + 1 < parts->next_index ? guess_of(parts, front->index + 1) : NULL;
}

/* The record of this bit, or the count of records; those of later bits begin at *after. */
static unsigned find_record(const fi_part_guess *guess, uint64_t bit, unsigned *count) {
    unsigned i = 0;

    *count = atomic_load_explicit(&guess->record_count, memory_order_acquire);
    while (i < *count && guess->records[i].bit < bit) i++;
    return i < *count && guess->records[i].bit == bit ? i : *count;
}

static bool is_past(const fi_part_guess *guess, uint64_t bit) {
    unsigned count;
    find_record(guess, bit, &count);
    return count == 0 || guess->records[count - 1].bit < bit;
}

/* A guess that has stopped is right: all is known up to where it stopped. Returns false if nothing is left to decode. */
static bool settle(fi_parts *parts, fi_part_guess *guess, fi_part_front *front) {
    const fi_suspects before = guess->records[guess->from].suspects;
    fi_place end = guess->end;

    guess->state = FI_PART_READY;
    end.mcu = guess->mcu + (end.mcu - guess->from);
    for (int c = 0; c < 4; c++) end.dc[c] += guess->shift[c];
    parts->suspects.near += guess->suspects.near - before.near;
    parts->suspects.far += guess->suspects.far - before.far;
    *front = (fi_part_front){end, guess->index, guess->end_bit};
    if (end.mcu < parts->mcus) return true;
    /* Padding may have been taken for another MCU. */
    if (end.mcu > parts->mcus && parts->mcus == parts->scan.mcus) fi_parts_give_up(parts);
    fi_part_set_last(parts, &end);
    return false;
}

void fi_part_pass_on(fi_parts *parts, fi_part_front front) {
    for (;;) {
        fi_part_guess *guess = next_guess(parts, &front);
        unsigned count = 0;
        const unsigned i =
            guess && front.place.bit >= front.end_bit ? find_record(guess, front.place.bit, &count) : count;
        if (i == count) {
            parts->front = front;
            parts->has_front = true;
            break;
        }
        guess->from = i;
        guess->mcu = front.place.mcu;
        for (int c = 0; c < 4; c++) guess->shift[c] = front.place.dc[c] - guess->records[i].dc[c];
        atomic_store(&guess->verdict, FI_PART_CONFIRMED);
        if (guess->state != FI_PART_STOPPED || !settle(parts, guess, &front)) break;
    }
    fi_condition_broadcast(&parts->team->changed);
}

/* Clears the coefficients, and frees it. */
static void drop(fi_part_worker *worker, fi_part_guess *guess) {
    if (guess->store)
        memset(guess->store->blocks, 0, guess->end.mcu * worker->parts->scan.blocks * sizeof guess->store->blocks[0]);
    fi_part_release(worker, guess);
}

void fi_part_stop(fi_part_worker *worker, fi_part_guess *guess) {
    fi_parts *parts = worker->parts;
    const int verdict = atomic_load(&guess->verdict);
    fi_part_front front;

    guess->state = FI_PART_STOPPED;
    if (verdict == FI_PART_ABANDONED) drop(worker, guess);
    else if (verdict == FI_PART_CONFIRMED && settle(parts, guess, &front)) fi_part_pass_on(parts, front);
    fi_condition_broadcast(&parts->team->changed);
}

bool fi_part_meet(fi_part_worker *worker, fi_part_front *front) {
    fi_parts *parts = worker->parts;
    const uint64_t bit = front->place.bit;

    while (bit >= front->end_bit) {
        fi_part_guess *guess = next_guess(parts, front);
        fi_part part;
        unsigned count;
        if (!guess) {
            if (!parts->are_claimed) fi_part_claim(parts, &part);
            else part.is_last = true;
            front->index = parts->next_index - 1;
            front->end_bit = part.is_last ? UINT64_MAX : parts->next.bit;
            continue;
        }
        if (find_record(guess, bit, &count) < count) {
            fi_part_pass_on(parts, *front);
            return true;
        }
        if (!is_past(guess, bit)) return false;
        atomic_store(&guess->verdict, FI_PART_ABANDONED);
        front->index++;
        front->end_bit = guess->end_bit;
        if (guess->state == FI_PART_STOPPED) drop(worker, guess);
    }
    return false;
}

bool fi_part_guess_meets(const fi_parts *parts, const fi_part_guess *guess, uint64_t bit) {
    unsigned count;

    if (guess->index + 1 >= parts->next_index) return true;
    const fi_part_guess *next = &parts->guesses[(guess->index + 1) % parts->guess_count];
    if (next->index != guess->index + 1 || next->state == FI_PART_FREE) return true;
    return find_record(next, bit, &count) < count || is_past(next, bit);
}
