/* SPDX-License-Identifier: BSD-3-Clause */
#define _FILE_OFFSET_BITS 64
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* statx() */
#elif !defined(_POSIX_C_SOURCE) && !defined(__APPLE__)
#define _POSIX_C_SOURCE 200809L
#endif

#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Linux cuts a read(2) of more than 2 GiB short, and macOS refuses it. */
#define MAX_READ_NBYTES ((size_t)1 << 30)

static fi_status os_failure(fi_failure *failure, int os_errno) {
    failure->os_errno = os_errno;
    return failure->status = FI_E_OS;
}

/* The kind and size of an open file, or of the one with this name. Returns 0, or the error's number. */
static int examine(int fd, const char *path, mode_t *mode, uint64_t *nbytes) {
#ifdef __GLIBC__
    /* fstat() is a symbol of its own since glibc 2.33: a library that used it would not run with an older one. */
    struct statx st;
    const unsigned wanted = STATX_TYPE | STATX_MODE | STATX_SIZE;
    if (statx(path ? AT_FDCWD : fd, path ? path : "", path ? 0 : AT_EMPTY_PATH, wanted, &st) != 0) return errno;
    *mode = st.stx_mode;
    *nbytes = st.stx_size;
#else
    struct stat st;
    if ((path ? stat(path, &st) : fstat(fd, &st)) != 0) return errno;
    *mode = st.st_mode;
    *nbytes = (uint64_t)st.st_size;
#endif
    return 0;
}

static fi_status check_file(fi_reader *reader, const fi_source *source, fi_failure *failure) {
    mode_t mode;
    uint64_t file_nbytes;
    const int os_errno = examine(reader->fd, NULL, &mode, &file_nbytes);

    if (os_errno) return os_failure(failure, os_errno);
    if (S_ISDIR(mode)) return os_failure(failure, EISDIR);
    if (!S_ISREG(mode)) {
        failure->detail[0] = (int64_t)mode;
        return failure->status = FI_E_NOT_FILE;
    }
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
    *reader = (fi_reader){.fd = -1, .buffer = buffer};
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
    /* O_NONBLOCK keeps open() from waiting for a FIFO's writer. It has no effect on regular files. */
    do {
        reader->fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    } while (reader->fd < 0 && errno == EINTR);
    /* ENXIO, for a socket or a device without a driver, would not tell the user what is wrong. */
    if (reader->fd < 0) {
        const int os_errno = errno;
        mode_t mode;
        uint64_t nbytes;
        if (os_errno == ENXIO && examine(-1, source->path, &mode, &nbytes) == 0) {
            failure->detail[0] = (int64_t)mode;
            return failure->status = FI_E_NOT_FILE;
        }
        return os_failure(failure, os_errno);
    }
    return check_file(reader, source, failure);
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
        size_t nbytes = (size_t)want - reader->have;
        if (nbytes > MAX_READ_NBYTES) nbytes = MAX_READ_NBYTES;
        const ssize_t got =
            pread(reader->fd, reader->buffer->data + reader->have, nbytes, (off_t)(reader->offset + reader->have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return os_failure(failure, errno);
        if (got == 0) {
            reader->total = reader->have; /* shorter than it was when it was opened */
            break;
        }
        reader->have += (size_t)got;
    }
    return FI_OK;
}

void fi_reader_close(fi_reader *reader) {
    /* Not repeated after EINTR: on Linux the descriptor is closed by then, and may be another thread's already. */
    if (reader->fd >= 0) close(reader->fd);
    reader->fd = -1;
}
