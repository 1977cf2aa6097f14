/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that one thread allocates and another frees. */
#ifndef FI_MAPPED_H
#define FI_MAPPED_H

#include "buffer.h"

/*
 * From 1 MiB on it comes from the system and goes back to it at once: malloc() keeps what many threads have freed, and
 * so more than was ever in use.
 */
typedef struct fi_mapped {
    fi_buffer buffer;
    bool is_mapped;
} fi_mapped;

/* Gives an empty one this capacity. */
bool fi_mapped_reserve(fi_mapped *mapped, size_t nbytes);
void fi_mapped_free(fi_mapped *mapped);

#endif
