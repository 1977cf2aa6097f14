/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of the state, and the versions of the decoding loops. */
#include "entropy/state.h"

#include <stdlib.h>

/* Written by fi_init() at import, and only read after that. */
static fi_entropy_kernels kernels;

void fi_entropy_init(unsigned cpu_features) {
    fi_entropy_choose_baseline(&kernels, cpu_features);
    fi_entropy_choose_progressive(&kernels, cpu_features);
}

bool fi_entropy_decode(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *eob) {
    return kernels.decode(entropy, mcus, whole, blocks, eob);
}

bool fi_entropy_decode_progressive(fi_entropy *entropy, size_t mcus, const fi_block_row *rows) {
    return kernels.decode_progressive(entropy, mcus, rows);
}

fi_entropy *fi_entropy_new(void) {
    return calloc(1, sizeof(fi_entropy));
}

void fi_entropy_trim(fi_entropy *entropy) {
    for (int c = 0; c < 4; c++) {
        free(entropy->nonzero[c].bits);
        entropy->nonzero[c] = (fi_nonzero){0};
    }
}

void fi_entropy_free(fi_entropy *entropy) {
    if (entropy) fi_entropy_trim(entropy);
    free(entropy);
}
