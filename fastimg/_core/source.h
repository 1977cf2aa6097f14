/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a source from the front, as far as it is asked to. */
#ifndef FI_SOURCE_H
#define FI_SOURCE_H

#include "buffer.h"
#include "fi.h"
#include "os/system.h"

/*
 * data[0 .. have) are the bytes read so far, of `total`. Files are read, never mapped: a file that another process
 * truncates meanwhile ends early (`total` shrinks), where a mapping would raise SIGBUS. Memory that
 * may change is copied: what has been checked is what is decoded.
 */
typedef struct fi_reader {
    const uint8_t *data;
    size_t have;
    uint64_t total;
    uint64_t offset; /* of the source in the file */
    fi_file file;    /* FI_NO_FILE: memory, or closed */
    const uint8_t *memory; /* what is copied in place of reading the file, or NULL */
    fi_buffer *buffer;
} fi_reader;

/* Opens a source without reading from it. The buffer must outlive the reader. Close the reader even if this fails. */
fi_status fi_reader_open(fi_reader *reader, const fi_source *source, fi_buffer *buffer, fi_failure *failure);
/* Reads until have >= min(want, total). */
fi_status fi_reader_fill(fi_reader *reader, uint64_t want, fi_failure *failure);
void fi_reader_close(fi_reader *reader);

#endif
