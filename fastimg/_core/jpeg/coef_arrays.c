/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/coef_arrays.h"

/* Enough for a megapixel in 4:2:0, or half as many pixels in 4:4:4. */
#define KEEP_NBYTES ((size_t)4 << 20)

#define ALIGNMENT 64

/* Fresh memory of the system's is zeros that take no room before they are used. */
static bool reserve(fi_buffer *buffer, uint64_t nbytes, bool is_zero) {
    if (nbytes > PTRDIFF_MAX) return false;
    if (nbytes > buffer->capacity) {
        fi_buffer_free(buffer); /* before there is more */
        uint8_t *data = is_zero ? calloc(1, (size_t)nbytes) : malloc((size_t)nbytes);
        if (!data) return false;
        *buffer = (fi_buffer){.data = data, .capacity = (size_t)nbytes};
    } else if (is_zero) {
        memset(buffer->data, 0, (size_t)nbytes);
    }
    return true;
}

/* Blocks first, for their alignment. */
bool fi_coef_arrays_allocate(fi_coef_arrays *arrays, bool is_progressive) {
    uint64_t blocks = 0, rows = 0;

    for (unsigned c = 0; c < arrays->count; c++) {
        blocks += (uint64_t)arrays->of[c].width * arrays->of[c].height;
        rows += arrays->of[c].height;
    }
    const uint64_t nbytes = ALIGNMENT + blocks * sizeof(JBLOCK) + rows * sizeof(JBLOCKROW);
    if (!reserve(&arrays->blocks, nbytes, !is_progressive)) return false;
    if (is_progressive && !reserve(&arrays->states, blocks * sizeof(fi_block_state), true)) return false;
    uint8_t *const start = arrays->blocks.data + (-(uintptr_t)arrays->blocks.data & (ALIGNMENT - 1));
    JBLOCKROW block = (JBLOCKROW)(void *)start;
    JBLOCKARRAY row = (JBLOCKARRAY)(void *)(block + blocks);
    fi_block_state *state = (fi_block_state *)(void *)arrays->states.data;
    for (unsigned c = 0; c < arrays->count; c++) {
        fi_coef_array *array = &arrays->of[c];
        array->rows = row;
        for (JDIMENSION y = 0; y < array->height; y++, block += array->width) *row++ = block;
        if (!is_progressive) continue;
        array->states = state;
        state += (size_t)array->width * array->height;
    }
    arrays->is_open = is_progressive;
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
    if (arrays->blocks.capacity + arrays->states.capacity > KEEP_NBYTES) fi_coef_arrays_free(arrays);
}

void fi_coef_arrays_free(fi_coef_arrays *arrays) {
    fi_buffer_free(&arrays->blocks);
    fi_buffer_free(&arrays->states);
}
