/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_parts_cancel FILE...: several threads that decode an image end soon after they are asked to. What is counted is not
 * the time but what they decode until then. part_work.c calls the functions below in place of the core's.
 */
#include "jpeg/part_work.h"
#include "together.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool counted_rows_open(fi_part_worker *worker, size_t row);
fi_part_guess *counted_claim_guess(fi_part_worker *worker);
bool counted_decode(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *eob);
fi_part_guess *fi_part_claim_guess(fi_part_worker *worker);

#define MAX_BATCHES 17 /* of the thread that leads, which looks after 16 whether it is to stop */
#define MAX_SECONDS 60 /* for a file */

static atomic_size_t decoded, after_end; /* MCUs */
static size_t least, batches; /* when it is to stop; of the thread that leads, since then */
static _Thread_local const fi_part_worker *now;

bool counted_rows_open(fi_part_worker *worker, size_t row) {
    now = worker;
    return fi_part_rows_open(worker, row);
}

fi_part_guess *counted_claim_guess(fi_part_worker *worker) {
    now = worker;
    return fi_part_claim_guess(worker);
}

bool counted_decode(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *eob) {
    if (now->leads && decoded >= least) batches++;
    if (fi_parts_are_over(now->parts)) after_end += mcus;
    decoded += mcus;
    return fi_entropy_decode(entropy, mcus, whole, blocks, eob);
}

static bool is_to_stop(void *context) {
    (void)context;
    return decoded >= least;
}

/* Returns how often the image was not decoded to its end; -1: threads went on. */
static int check(fi_decoder *decoder, const char *path, const fi_options *options, size_t threads) {
    const fi_source source = {.path = path, .size = FI_WHOLE_FILE};
    uint8_t *pixels = calloc(1, MAX_NBYTES);
    size_t all = 0;
    int ended = 0;

    alarm(MAX_SECONDS);
    for (size_t i = 9; i > 0 && ended >= 0; i--) {
        fi_failure failure = {0};
        least = i == 9 ? SIZE_MAX : all * (i - 1) / 16;
        decoded = after_end = batches = 0;
        decode_together(decoder, &source, options, threads, 0, pixels, &failure);
        if (i == 9) all = decoded;
        ended += failure.status == FI_E_CANCELLED;
        if (batches <= MAX_BATCHES && after_end <= threads * FI_MCU_BATCH) continue;
        printf("%s: %zu threads, of %zu MCUs from %zu on: %zu batches, %zu MCUs after the end\n", path, threads, all,
               least, batches, (size_t)after_end);
        ended = -1;
    }
    free(pixels);
    return ended;
}

int main(int count, char **paths) {
    static const size_t threads[] = {1, 2, 3, 8};
    const fi_options options = {.strict = true, .orient = true, .max_scans = 100, .max_pixels = MAX_NBYTES / 3};

    fi_init(~0u);
    fi_decoder *decoder = fi_decoder_new();
    fi_decoder_watch(decoder, (fi_watch){is_to_stop, NULL});
    for (int i = 1; i < count; i++) {
        for (size_t t = 0; t < 4; t++) {
            const int ended = check(decoder, paths[i], &options, threads[t]);
            if (ended < 0) return 1;
            printf("%d\n", ended);
        }
    }
    fi_decoder_free(decoder);
    return 0;
}
