/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Storage that is slow, for benchmarks and tests. Preloaded into a process (LD_PRELOAD, Linux), it delays and counts
 * opens and reads of the files below one folder.
 *
 *   SLOW_FILES_ROOT   the folder, as an absolute path. Names are compared as text: links are not resolved.
 *   SLOW_FILES_STATE  a file that holds a `struct state`. The processes that map it share its settings, its counters
 *                     and its bandwidth.
 *
 * Only calls from other libraries into the C library are seen: not those that it makes itself (opendir, getc, fgets),
 * and not mmap, stat or io_uring. A descriptor from dup is not slow. An open of a folder is not counted.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "open and open64 are the same function here, and so are pread and pread64");

enum { MAX_FDS = 1 << 16 }; /* descriptors beyond are never slow */

/* _slow_files.py knows the order. */
struct state {
    _Atomic int64_t open_ns;          /* each open takes that much longer, */
    _Atomic int64_t read_ns;          /* and each read that returns data */
    _Atomic int64_t bytes_per_second; /* of all reads together; 0: no limit */
    _Atomic int64_t opens, reads, nbytes;
    _Atomic int64_t opens_now, most_opens; /* under way at once */
    _Atomic int64_t reads_now, most_reads;
    _Atomic int64_t busy_until; /* when the bytes read so far have been transferred, by the monotonic clock */
};

static struct state *state;
static char root[PATH_MAX];
static size_t root_length; /* 0 until the state is there: nothing is slow */
static _Atomic bool slow[MAX_FDS];

/* The function of that name in the libraries after this one, looked up once. */
static void *next_function(const char *name, void *_Atomic *cache) {
    void *found = atomic_load_explicit(cache, memory_order_relaxed);
    if (!found) {
        found = dlsym(RTLD_NEXT, name);
        if (!found) abort();
        atomic_store_explicit(cache, found, memory_order_relaxed);
    }
    return found;
}

/* A function may be called before the constructor of this library has run, so each looks for the next one itself. */
#define NEXT(name)                                                                                                     \
    static void *_Atomic cache;                                                                                        \
    __typeof__(&(name)) next = (__typeof__(&(name)))next_function(#name, &cache)

static int next_open(int folder, const char *path, int flags, mode_t mode) {
    NEXT(openat);
    return next(folder, path, flags, mode);
}

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("SLOW_FILES_ROOT"), *shared = getenv("SLOW_FILES_STATE");
    if (!folder || !shared) return;
    const int fd = next_open(AT_FDCWD, shared, O_RDWR | O_CLOEXEC, 0);
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED || strlen(folder) >= sizeof root) {
        fprintf(stderr, "slow_files: %s: %s\n", shared, strerror(errno));
        abort(); /* fast files in the place of slow ones would go unnoticed */
    }
    close(fd);
    state = mapped;
    strcpy(root, folder);
    root_length = strlen(folder);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Signals do not cut the wait short: they do not make a server answer either. */
static void sleep_until(int64_t ns) {
    const struct timespec until = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) continue;
}

static void enter(_Atomic int64_t *now, _Atomic int64_t *most) {
    const int64_t count = atomic_fetch_add(now, 1) + 1;
    int64_t seen = atomic_load(most);
    while (seen < count && !atomic_compare_exchange_weak(most, &seen, count)) continue;
}

/* Whether a file is below the root. `folder` is where relative paths begin, as for openat. */
static bool below_root(int folder, const char *path) {
    if (!root_length || !path) return false;
    char name[2 * PATH_MAX];
    if (path[0] == '/') return !strncmp(path, root, root_length) && path[root_length] == '/';
    if (folder == AT_FDCWD) {
        if (!getcwd(name, PATH_MAX)) return false;
    } else {
        char link[32];
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        const ssize_t length = readlink(link, name, PATH_MAX - 1);
        if (length < 0) return false;
        name[length] = 0;
    }
    const size_t length = strlen(name);
    snprintf(name + length, sizeof name - length, "/%s", path);
    return !strncmp(name, root, root_length) && name[root_length] == '/';
}

static void mark(int fd, bool is_slow) {
    if (fd >= 0 && fd < MAX_FDS) atomic_store_explicit(&slow[fd], is_slow, memory_order_relaxed);
}

static bool is_slow(int fd) {
    return fd >= 0 && fd < MAX_FDS && atomic_load_explicit(&slow[fd], memory_order_relaxed);
}

static void begin_open(void) {
    const int64_t start = now_ns();
    atomic_fetch_add(&state->opens, 1);
    enter(&state->opens_now, &state->most_opens);
    const int64_t ns = atomic_load(&state->open_ns);
    if (ns > 0) sleep_until(start + ns);
}

static void end_open(int fd) {
    mark(fd, true);
    atomic_fetch_sub(&state->opens_now, 1);
}

/* Returns when the transfer of so many bytes ends that queue up after all bytes asked for before. */
static int64_t reserve_bandwidth(int64_t nbytes, int64_t bytes_per_second) {
    const int64_t now = now_ns(), takes = (int64_t)(1e9 * (double)nbytes / (double)bytes_per_second);
    int64_t busy_until = atomic_load(&state->busy_until), end;
    do {
        end = (busy_until > now ? busy_until : now) + takes;
    } while (!atomic_compare_exchange_weak(&state->busy_until, &busy_until, end));
    return end;
}

/* A read that returns no data is free: a client knows the size of a file that it has opened. */
static ssize_t after_read(int fd, ssize_t nbytes) {
    if (nbytes <= 0 || !is_slow(fd)) return nbytes;
    const int saved = errno;
    atomic_fetch_add(&state->reads, 1);
    atomic_fetch_add(&state->nbytes, nbytes);
    enter(&state->reads_now, &state->most_reads);
    const int64_t ns = atomic_load(&state->read_ns), rate = atomic_load(&state->bytes_per_second);
    if (ns > 0) sleep_until(now_ns() + ns);
    if (rate > 0) sleep_until(reserve_bandwidth(nbytes, rate));
    atomic_fetch_sub(&state->reads_now, 1);
    errno = saved;
    return nbytes;
}

static int open_file(int folder, const char *path, int flags, mode_t mode) {
    if ((flags & O_DIRECTORY) == O_DIRECTORY || !below_root(folder, path)) {
        const int fd = next_open(folder, path, flags, mode);
        mark(fd, false);
        return fd;
    }
    begin_open();
    const int fd = next_open(folder, path, flags, mode);
    end_open(fd);
    return fd;
}

static bool takes_mode(int flags) {
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

/* Sets `mode` to the argument after `flags`, if there is one. */
#define GET_MODE(mode)                                                                                                 \
    mode_t mode = 0;                                                                                                   \
    if (takes_mode(flags)) {                                                                                           \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        mode = va_arg(arguments, mode_t);                                                                              \
        va_end(arguments);                                                                                             \
    }

int open(const char *path, int flags, ...) {
    GET_MODE(mode)
    return open_file(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    GET_MODE(mode)
    return open_file(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    GET_MODE(mode)
    return open_file(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    GET_MODE(mode)
    return open_file(folder, path, flags, mode);
}

/* What a program calls that was compiled with _FORTIFY_SOURCE, of which libraries' headers know nothing. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int folder, const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);
ssize_t __read_chk(int fd, void *to, size_t nbytes, size_t room);
ssize_t __pread_chk(int fd, void *to, size_t nbytes, off_t offset, size_t room);
ssize_t __pread64_chk(int fd, void *to, size_t nbytes, off_t offset, size_t room);
size_t __fread_chk(void *to, size_t room, size_t size, size_t count, FILE *stream);

int __open_2(const char *path, int flags) {
    return open_file(AT_FDCWD, path, flags, 0);
}
int __open64_2(const char *path, int flags) {
    return open_file(AT_FDCWD, path, flags, 0);
}
int __openat_2(int folder, const char *path, int flags) {
    return open_file(folder, path, flags, 0);
}
int __openat64_2(int folder, const char *path, int flags) {
    return open_file(folder, path, flags, 0);
}

FILE *fopen(const char *path, const char *mode) {
    NEXT(fopen);
    if (!below_root(AT_FDCWD, path)) {
        FILE *stream = next(path, mode);
        if (stream) mark(fileno(stream), false);
        return stream;
    }
    begin_open();
    FILE *stream = next(path, mode);
    const int saved = errno;
    end_open(stream ? fileno(stream) : -1);
    errno = saved;
    return stream;
}

FILE *fopen64(const char *path, const char *mode) {
    return fopen(path, mode);
}

ssize_t read(int fd, void *to, size_t nbytes) {
    NEXT(read);
    return after_read(fd, next(fd, to, nbytes));
}

ssize_t pread(int fd, void *to, size_t nbytes, off_t offset) {
    NEXT(pread);
    return after_read(fd, next(fd, to, nbytes, offset));
}

ssize_t pread64(int fd, void *to, size_t nbytes, off_t offset) {
    return pread(fd, to, nbytes, offset);
}

ssize_t readv(int fd, const struct iovec *parts, int count) {
    NEXT(readv);
    return after_read(fd, next(fd, parts, count));
}

ssize_t preadv(int fd, const struct iovec *parts, int count, off_t offset) {
    NEXT(preadv);
    return after_read(fd, next(fd, parts, count, offset));
}

ssize_t preadv64(int fd, const struct iovec *parts, int count, off_t offset) {
    return preadv(fd, parts, count, offset);
}

ssize_t preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    NEXT(preadv2);
    return after_read(fd, next(fd, parts, count, offset, flags));
}

ssize_t preadv64v2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    return preadv2(fd, parts, count, offset, flags);
}

size_t fread(void *to, size_t size, size_t count, FILE *stream) {
    NEXT(fread);
    const size_t items = next(to, size, count, stream);
    after_read(fileno(stream), (ssize_t)(items * size));
    return items;
}

ssize_t __read_chk(int fd, void *to, size_t nbytes, size_t room) {
    if (nbytes > room) abort();
    return read(fd, to, nbytes);
}

ssize_t __pread_chk(int fd, void *to, size_t nbytes, off_t offset, size_t room) {
    if (nbytes > room) abort();
    return pread(fd, to, nbytes, offset);
}

ssize_t __pread64_chk(int fd, void *to, size_t nbytes, off_t offset, size_t room) {
    return __pread_chk(fd, to, nbytes, offset, room);
}

size_t __fread_chk(void *to, size_t room, size_t size, size_t count, FILE *stream) {
    if (size && count > room / size) abort();
    return fread(to, size, count, stream);
}

/* A number that is free again may come back as a pipe's. */
int close(int fd) {
    NEXT(close);
    mark(fd, false);
    return next(fd);
}

int fclose(FILE *stream) {
    NEXT(fclose);
    mark(fileno(stream), false);
    return next(stream);
}
