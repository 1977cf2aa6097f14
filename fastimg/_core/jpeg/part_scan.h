/* SPDX-License-Identifier: BSD-3-Clause */
/* Who decodes which part of the scan, and up to where all is known. All functions want the lock. */
#ifndef FI_PART_SCAN_H
#define FI_PART_SCAN_H

#include "jpeg/part_state.h"

/* Claims the next part of a scan with restart intervals: returns where it begins. There must be one. */
fi_place fi_part_claim_interval(fi_parts *parts, size_t *end_mcu);

/* Claims one of another scan for a guess. NULL: there is none, or no room to keep what it gives. */
fi_part_guess *fi_part_claim_guess(fi_part_worker *worker);

/* Frees a guess, whose coefficients are all zeros again. */
void fi_part_release(fi_part_worker *worker, fi_part_guess *guess);

/* All is known up to here: finds out who goes on. */
void fi_part_pass_on(fi_parts *parts, fi_part_front front);

/* At or past the end of the front's part: what becomes of the one after it. */
typedef enum fi_part_meeting {
    FI_PART_PASSED_ON,   /* another thread goes on: its guess is in step here */
    FI_PART_NOT_IN_STEP, /* it may be later */
    FI_PART_ENTERED,     /* its bytes are the front's now */
} fi_part_meeting;

fi_part_meeting fi_part_meet(fi_part_worker *worker, fi_part_front *front);

/* Whether a guess that has passed the end of its part is in step with the next one, or is hardly going to be. */
bool fi_part_guess_meets(const fi_parts *parts, const fi_part_guess *guess);

/* A guess has come as far as it could. */
void fi_part_stop(fi_part_worker *worker, fi_part_guess *guess);

/* The place after the last MCU that is needed. */
void fi_part_set_last(fi_parts *parts, const fi_place *place);

/* The first guess that is ready; or NULL. */
fi_part_guess *fi_part_find_ready(const fi_parts *parts);

#endif
