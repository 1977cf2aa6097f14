/* SPDX-License-Identifier: BSD-3-Clause */
#if !defined(_DEFAULT_SOURCE) && !defined(__APPLE__)
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#endif

#include "mapped.h"

#include <sys/mman.h>

#define LEAST_NBYTES ((size_t)1 << 20)

bool fi_mapped_reserve(fi_mapped *mapped, size_t nbytes) {
    if (nbytes < LEAST_NBYTES) return fi_buffer_reserve(&mapped->buffer, nbytes ? nbytes : 1, 0);
    void *data = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) return false;
    *mapped = (fi_mapped){.buffer = {.data = data, .capacity = nbytes}, .is_mapped = true};
    return true;
}

void fi_mapped_free(fi_mapped *mapped) {
    if (mapped->is_mapped) munmap(mapped->buffer.data, mapped->buffer.capacity);
    if (!mapped->is_mapped) fi_buffer_free(&mapped->buffer);
    *mapped = (fi_mapped){0};
}
