/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that is reused and grows. */
#ifndef FI_BUFFER_H
#define FI_BUFFER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct fi_buffer {
    uint8_t *data;
    size_t capacity;
} fi_buffer;

static inline void fi_buffer_free(fi_buffer *buffer) {
    free(buffer->data);
    *buffer = (fi_buffer){0};
}

/* Makes room for nbytes, keeping the first `keep` bytes. On failure the buffer is unchanged. */
static inline bool fi_buffer_reserve(fi_buffer *buffer, size_t nbytes, size_t keep) {
    if (nbytes <= buffer->capacity) return true;
    uint8_t *data = malloc(nbytes);
    if (!data) return false;
    if (keep) memcpy(data, buffer->data, keep);
    free(buffer->data);
    *buffer = (fi_buffer){.data = data, .capacity = nbytes};
    return true;
}

#endif
