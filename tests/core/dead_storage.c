/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Preloaded as a shared library, it makes files whose path contains "dead-storage" fail as those of a broken disk or of
 * a server that is gone do: with EIO when they are opened, or with ENXIO if it contains "no-device" as well.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

static int open_as(const char *name, const char *path, int flags, int mode) {
    int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);

    if (strstr(path, "dead-storage")) {
        errno = strstr(path, "no-device") ? ENXIO : EIO;
        return -1;
    }
    return next(path, flags, mode);
}

static int mode_of(int flags, va_list arguments) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, int) : 0;
}

int open(const char *path, int flags, ...);
int open64(const char *path, int flags, ...);

int open(const char *path, int flags, ...) {
    va_list arguments;

    va_start(arguments, flags);
    const int mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_as("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list arguments;

    va_start(arguments, flags);
    const int mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_as("open64", path, flags, mode);
}
