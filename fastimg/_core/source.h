/* SPDX-License-Identifier: BSD-3-Clause */
/* A source's bytes, from the front on, as far as they are asked for. */
#ifndef FI_SOURCE_H
#define FI_SOURCE_H

#include "buffer.h"
#include "fi.h"

/*
 * data[0 .. have) are the bytes read so far, of `total`. Files are read, never mapped: one that another process cuts
 * short while it is read simply ends early (total shrinks to what there was), where a mapping would end in SIGBUS.
 */
typedef struct fi_reader {
    const uint8_t *data;
    size_t have;
    uint64_t total;
    uint64_t offset; /* where in the file the source begins */
    int fd;          /* -1: memory, or closed */
    fi_buffer *buffer;
} fi_reader;

/* Opens; nothing is read yet. The buffer is the worker's, and outlives the reader. Close it in any case. */
fi_status fi_reader_open(fi_reader *reader, const fi_source *source, fi_buffer *buffer, fi_failure *failure);
/* Makes have >= min(want, total). */
fi_status fi_reader_fill(fi_reader *reader, uint64_t want, fi_failure *failure);
void fi_reader_close(fi_reader *reader);

#endif
