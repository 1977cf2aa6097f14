/* SPDX-License-Identifier: BSD-3-Clause */
/* Everything but Windows. */
#ifndef _WIN32

#define _FILE_OFFSET_BITS 64
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MAP_ANONYMOUS, PTHREAD_MUTEX_ADAPTIVE_NP, and all of POSIX */
#endif

#include "os/system.h"

#include "fi_library.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "glibc.h"

#ifdef FI_STAT_BY_SYSCALL
#include <sys/syscall.h>
#endif

/* Linux cuts a read(2) of more than 2 GiB short, and macOS refuses it. */
#define MAX_READ_NBYTES ((size_t)1 << 30)

/* ---- files ----------------------------------------------------------------------------------------------------- */

/* What an open file is, or if path is not NULL the one with that name. */
static int examine(int fd, const char *path, fi_file_info *info) {
    struct stat st;
#ifdef FI_STAT_BY_SYSCALL
    const long result = path ? syscall(SYS_newfstatat, AT_FDCWD, path, &st, 0) : syscall(SYS_fstat, fd, &st);
#else
    const int result = path ? stat(path, &st) : fstat(fd, &st);
#endif
    if (result != 0) return errno;
    *info = (fi_file_info){S_ISREG(st.st_mode), (uint32_t)st.st_mode, (uint64_t)st.st_size};
    return S_ISDIR(st.st_mode) ? EISDIR : 0;
}

int fi_file_open(fi_file *file, const char *path, fi_file_info *info) {
    int fd;

    /* O_NONBLOCK keeps open() from waiting for a FIFO's writer. It has no effect on regular files. */
    do {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    } while (fd < 0 && errno == EINTR);
    *file = fd;
    if (fd >= 0) return examine(fd, NULL, info);
    const int os_errno = errno;
    /* ENXIO, for a socket or a device without a driver, would not tell the user what is wrong. */
    return os_errno == ENXIO && examine(-1, path, info) == 0 && !info->is_regular ? 0 : os_errno;
}

int fi_file_read(fi_file file, uint8_t *data, size_t nbytes, uint64_t offset, size_t *got) {
    ssize_t result;

    if (nbytes > MAX_READ_NBYTES) nbytes = MAX_READ_NBYTES;
    do {
        result = pread((int)file, data, nbytes, (off_t)offset);
    } while (result < 0 && errno == EINTR);
    *got = result < 0 ? 0 : (size_t)result;
    return result < 0 ? errno : 0;
}

void fi_file_close(fi_file file) {
    /* Not repeated after EINTR: on Linux the descriptor is closed by then, and may be another thread's already. */
    if (file != FI_NO_FILE) close((int)file);
}

bool fi_is_storage_failure(int os_errno) {
    return os_errno == EIO || os_errno == ENOTCONN || os_errno == ESTALE || os_errno == ETIMEDOUT;
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

void *fi_map(size_t nbytes) {
    void *data = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return data == MAP_FAILED ? NULL : data;
}

void fi_unmap(void *data, size_t nbytes) {
    munmap(data, nbytes);
}

void *fi_aligned_new(size_t alignment, size_t nbytes) {
    return aligned_alloc(alignment, nbytes);
}

void fi_aligned_free(void *data) {
    free(data);
}

/* ---- time and threads ------------------------------------------------------------------------------------------ */

int64_t fi_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t fi_process_id(void) {
    return getpid();
}

/* Held for some hundred nanoseconds at a time: to spin for that long is cheaper than to sleep, and to be woken. */
bool fi_mutex_init(fi_mutex *mutex) {
#ifdef __GLIBC__
    pthread_mutexattr_t attributes;
    if (pthread_mutexattr_init(&attributes) != 0) return false;
    bool done = pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP) == 0;
    done = done && pthread_mutex_init(mutex, &attributes) == 0;
    pthread_mutexattr_destroy(&attributes);
    return done;
#else
    return pthread_mutex_init(mutex, NULL) == 0;
#endif
}

bool fi_condition_init(fi_condition *condition) {
#ifdef __APPLE__
    return pthread_cond_init(condition, NULL) == 0;
#else
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) return false;
    bool done = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0;
    done = done && pthread_cond_init(condition, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return done;
#endif
}

void fi_mutex_destroy(fi_mutex *mutex) {
    pthread_mutex_destroy(mutex);
}

void fi_condition_destroy(fi_condition *condition) {
    pthread_cond_destroy(condition);
}

void fi_mutex_lock(fi_mutex *mutex) {
    pthread_mutex_lock(mutex);
}

void fi_mutex_unlock(fi_mutex *mutex) {
    pthread_mutex_unlock(mutex);
}

void fi_condition_wait(fi_condition *condition, fi_mutex *mutex, int64_t deadline) {
    if (deadline == INT64_MAX) {
        pthread_cond_wait(condition, mutex);
        return;
    }
#ifdef __APPLE__
    const int64_t left = deadline - fi_now_ns();
    const struct timespec time = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    if (left > 0) pthread_cond_timedwait_relative_np(condition, mutex, &time);
#else
    const struct timespec time = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    pthread_cond_timedwait(condition, mutex, &time);
#endif
}

void fi_condition_broadcast(fi_condition *condition) {
    pthread_cond_broadcast(condition);
}

#endif
