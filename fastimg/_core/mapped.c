/* SPDX-License-Identifier: BSD-3-Clause */
#include "mapped.h"

#include "os/system.h"

#define LEAST_NBYTES ((size_t)1 << 20)

bool fi_mapped_reserve(fi_mapped *mapped, size_t nbytes) {
    if (nbytes < LEAST_NBYTES) return fi_buffer_reserve(&mapped->buffer, nbytes ? nbytes : 1, 0);
    void *data = fi_map(nbytes);
    if (!data) return false;
    *mapped = (fi_mapped){.buffer = {.data = data, .capacity = nbytes}, .is_mapped = true};
    return true;
}

void fi_mapped_free(fi_mapped *mapped) {
    if (mapped->is_mapped) fi_unmap(mapped->buffer.data, mapped->buffer.capacity);
    if (!mapped->is_mapped) fi_buffer_free(&mapped->buffer);
    *mapped = (fi_mapped){0};
}
