/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/coef_arrays.h"

/* Enough for a megapixel in 4:2:0, or half as many pixels in 4:4:4. */
#define KEEP_NBYTES ((size_t)4 << 20)

#define ALIGNMENT 64

/* Blocks first, for their alignment. */
bool fi_coef_arrays_allocate(fi_coef_arrays *arrays) {
    uint64_t blocks = 0, rows = 0;

    for (unsigned c = 0; c < arrays->count; c++) {
        blocks += (uint64_t)arrays->of[c].width * arrays->of[c].height;
        rows += arrays->of[c].height;
    }
    const uint64_t nbytes = ALIGNMENT + blocks * (sizeof(JBLOCK) + sizeof(fi_block_state)) + rows * sizeof(JBLOCKROW);
    if (nbytes > PTRDIFF_MAX) return false;
    if (nbytes > arrays->memory.capacity) {
        fi_buffer_free(&arrays->memory); /* before there is more */
        if (!fi_buffer_reserve(&arrays->memory, (size_t)nbytes, 0)) return false;
    }
    uint8_t *const start = arrays->memory.data + (-(uintptr_t)arrays->memory.data & (ALIGNMENT - 1));
    JBLOCKROW block = (JBLOCKROW)(void *)start;
    fi_block_state *state = (fi_block_state *)(void *)(block + blocks);
    JBLOCKARRAY row = (JBLOCKARRAY)(void *)(state + blocks);
    memset(state, 0, (size_t)blocks * sizeof *state);
    for (unsigned c = 0; c < arrays->count; c++) {
        fi_coef_array *array = &arrays->of[c];
        array->states = state;
        array->rows = row;
        state += (size_t)array->width * array->height;
        for (JDIMENSION y = 0; y < array->height; y++, block += array->width) *row++ = block;
    }
    arrays->is_open = true;
    return true;
}

void fi_coef_arrays_complete(fi_coef_arrays *arrays) {
    for (unsigned c = 0; c < arrays->count && arrays->is_open; c++) {
        const fi_coef_array *array = &arrays->of[c];
        const size_t blocks = (size_t)array->width * array->height;
        for (size_t i = 0; i < blocks; i++) {
            fi_entropy_complete_block(&array->states[i], ~(uint64_t)0, array->rows[0][i]);
        }
    }
    arrays->is_open = false;
}

void fi_coef_arrays_trim(fi_coef_arrays *arrays) {
    if (arrays->memory.capacity > KEEP_NBYTES) fi_buffer_free(&arrays->memory);
}

void fi_coef_arrays_free(fi_coef_arrays *arrays) {
    fi_buffer_free(&arrays->memory);
}
