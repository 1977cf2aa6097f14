/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FI_CLEAR_H
#define FI_CLEAR_H

#include <stdint.h>
#include <string.h>

/*
 * Sets `count` coefficients to zero, a multiple of 8. Compilers turn memset() of a constant length into a string
 * instruction, which takes as long as decoding a few symbols.
 */
static inline void fi_clear(int16_t *coefficients, unsigned count) {
    typedef int16_t vector __attribute__((vector_size(16)));
    const vector zeros = {0};
    for (unsigned i = 0; i < count; i += 8) memcpy(coefficients + i, &zeros, sizeof zeros);
}

#endif
