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

void fi_entropy_free(fi_entropy *entropy) {
    free(entropy);
}
