/* SPDX-License-Identifier: BSD-3-Clause */
#include "source.h"

#include <string.h>

static fi_status os_failure(fi_failure *failure, int os_errno) {
    failure->os_errno = os_errno;
    return failure->status = FI_E_OS;
}

/* What is to be read of a regular file. */
static fi_status set_range(fi_reader *reader, const fi_source *source, uint64_t file_nbytes, fi_failure *failure) {
    if (source->size == FI_WHOLE_FILE) {
        reader->total = file_nbytes;
        return FI_OK;
    }
    if (source->offset > file_nbytes || source->size > file_nbytes - source->offset) {
        failure->detail[0] = (int64_t)source->offset;
        failure->detail[1] = (int64_t)source->size;
        failure->detail[2] = (int64_t)file_nbytes;
        return failure->status = FI_E_RANGE;
    }
    reader->offset = source->offset;
    reader->total = source->size;
    return FI_OK;
}

fi_status fi_reader_open(fi_reader *reader, const fi_source *source, fi_buffer *buffer, fi_failure *failure) {
    *reader = (fi_reader){.file = FI_NO_FILE, .buffer = buffer};
    if (!source->path) {
        reader->total = source->size;
        if (source->may_change) {
            reader->memory = source->data;
        } else {
            reader->data = source->data;
            reader->have = (size_t)source->size;
        }
        return FI_OK;
    }
    fi_file_info info = {0};
    const int os_errno = fi_file_open(&reader->file, source->path, &info);
    if (os_errno) return os_failure(failure, os_errno);
    if (!info.is_regular) {
        failure->detail[0] = (int64_t)info.mode;
        return failure->status = FI_E_NOT_FILE;
    }
    return set_range(reader, source, info.nbytes, failure);
}

fi_status fi_reader_fill(fi_reader *reader, uint64_t want, fi_failure *failure) {
    if (want > reader->total) want = reader->total;
    if (want <= reader->have) return FI_OK;
    if (want > SIZE_MAX || !fi_buffer_reserve(reader->buffer, (size_t)want, reader->have)) {
        return failure->status = FI_E_NOMEM;
    }
    reader->data = reader->buffer->data;
    if (reader->memory) {
        memcpy(reader->buffer->data + reader->have, reader->memory + reader->have, (size_t)want - reader->have);
        reader->have = (size_t)want;
    }
    while (reader->have < want) {
        size_t got;
        const int os_errno = fi_file_read(reader->file, reader->buffer->data + reader->have,
                                          (size_t)want - reader->have, reader->offset + reader->have, &got);
        if (os_errno) return os_failure(failure, os_errno);
        if (got == 0) {
            reader->total = reader->have; /* shorter than it was when it was opened */
            break;
        }
        reader->have += got;
    }
    return FI_OK;
}

void fi_reader_close(fi_reader *reader) {
    fi_file_close(reader->file);
    reader->file = FI_NO_FILE;
}
