/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of the state, and the versions of the decoding loops. */
#include "entropy/state.h"

#include <stdlib.h>

/* Written by fi_init() at import, and only read after that. */
static fi_entropy_kernels kernels;

void fi_entropy_init(unsigned cpu_features) {
    fi_entropy_choose_baseline(&kernels, cpu_features);
    fi_entropy_choose_progressive(&kernels, cpu_features);
    fi_entropy_choose_corrections(&kernels, cpu_features);
}

bool fi_entropy_decode(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *eob) {
    return kernels.decode(entropy, mcus, whole, blocks, eob);
}

void fi_entropy_complete_block(fi_block_state *state, uint64_t needed, int16_t *block) {
    const uint64_t twos = state->corrections[1] & needed, ones = state->corrections[0] & needed;

    if (!state->nonzero) fi_clear(block, 64);
    block[0] = state->dc;
    if (twos | ones) kernels.correct_block(block, twos, ones);
    memset(state->corrections, 0, sizeof state->corrections);
}

bool fi_entropy_decode_progressive(fi_entropy *entropy, size_t mcus, const fi_block_row *rows) {
    for (size_t i = 0; entropy->comes_again && i < mcus; i++) { /* corrections are of the values so far */
        fi_entropy_complete_block(&rows->states[i], ~(uint64_t)0, rows->blocks[i]);
    }
    return kernels.decode_progressive(entropy, mcus, rows);
}

fi_entropy *fi_entropy_new(void) {
    return calloc(1, sizeof(fi_entropy));
}

void fi_entropy_free(fi_entropy *entropy) {
    free(entropy);
}
