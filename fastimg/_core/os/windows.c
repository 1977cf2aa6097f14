/* SPDX-License-Identifier: BSD-3-Clause */
#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0601
#endif

#include "os/system.h"

#include "fi_library.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

/* Where drivers refuse more: far below what a DWORD holds. */
#define MAX_READ_NBYTES ((size_t)1 << 30)

/* st_mode as Python's stat module knows it. */
enum { MODE_FIFO = 0x1000, MODE_CHARACTER_DEVICE = 0x2000, MODE_REGULAR = 0x8000 };

/* ---- paths ----------------------------------------------------------------------------------------------------- */

/*
 * UTF-8 to UTF-16. Half of a surrogate pair may stand alone, as in a file's name and in what os.fsencode() makes of it,
 * which MultiByteToWideChar() refuses. There is room for one unit per byte: no character needs more. Returns false for
 * what is not UTF-8: an overlong NUL or separator must not name another file.
 */
static bool decode_path(const char *path, wchar_t *wide) {
    static const uint32_t least[4] = {0, 0x80, 0x800, 0x10000};
    const uint8_t *p = (const uint8_t *)path;

    while (*p) {
        const unsigned more = *p < 0x80 ? 0 : *p >= 0xF0 ? 3 : *p >= 0xE0 ? 2 : 1;
        uint32_t code = more ? *p & (0x3Fu >> more) : *p;
        if ((*p >= 0x80 && *p < 0xC0) || *p >= 0xF8) return false;
        p++;
        for (unsigned i = 0; i < more; i++, p++) {
            if ((*p & 0xC0) != 0x80) return false;
            code = code << 6 | (*p & 0x3F);
        }
        if (code < least[more] || code > 0x10FFFF) return false;
        if (code >= 0x10000) {
            *wide++ = (wchar_t)(0xD800 + ((code - 0x10000) >> 10));
            *wide++ = (wchar_t)(0xDC00 + (code & 0x3FF));
        } else {
            *wide++ = (wchar_t)code;
        }
    }
    *wide = 0;
    return true;
}

/*
 * A path's full form, or NULL without memory. From MAX_PATH characters on it has the prefix that Windows wants then, and
 * not before: with it NUL and "a." would name files, as in no other program.
 */
static wchar_t *full_path(const wchar_t *path) {
    static const wchar_t plain[] = L"\\\\?\\", share[] = L"\\\\?\\UNC\\";
    const DWORD length = GetFullPathNameW(path, 0, NULL, NULL); /* with the NUL */

    /* Without one, such as "", a path names no file, and opening it will say so. */
    if (length == 0 || wcsncmp(path, plain, 4) == 0) return _wcsdup(path);
    wchar_t *const full = malloc((length + 8) * sizeof *full);
    if (!full) return NULL;
    wchar_t *const start = full + 8;
    const DWORD given = GetFullPathNameW(path, length, start, NULL);
    if (given == 0 || given >= length) start[0] = 0; /* the current folder has changed */
    const size_t count = wcslen(start) + 1;
    const bool is_share = wcsncmp(start, L"\\\\", 2) == 0, is_device = wcsncmp(start, L"\\\\.\\", 4) == 0;
    if (count <= MAX_PATH || is_device) {
        memmove(full, start, count * sizeof *full);
    } else if (is_share) {
        memcpy(full, share, 8 * sizeof *full);
        memmove(full + 8, start + 2, (count - 2) * sizeof *full);
    } else {
        memcpy(full, plain, 4 * sizeof *full);
        memmove(full + 4, start, count * sizeof *full);
    }
    return full;
}

/* What CreateFileW() is to open, which the caller frees. Returns 0 or an error's number. */
static int system_path(const char *path, wchar_t **full) {
    wchar_t *const wide = malloc((strlen(path) + 1) * sizeof *wide);

    if (!wide) return ENOMEM;
    const bool is_utf8 = decode_path(path, wide);
    *full = is_utf8 ? full_path(wide) : NULL;
    free(wide);
    if (!is_utf8) return EILSEQ;
    return *full ? 0 : ENOMEM;
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

/* A server that is gone is ERROR_BAD_NETPATH: EIO, as any error of storage, and not a file that is missing. */
int fi_errno_of(uint32_t error) {
    switch (error) {
        case ERROR_FILE_NOT_FOUND:
        case ERROR_PATH_NOT_FOUND:
        case ERROR_INVALID_NAME: /* with a character that no name has */
        case ERROR_BAD_PATHNAME:
        case ERROR_INVALID_DRIVE:
        case ERROR_BAD_NET_NAME:
            return ENOENT;
        case ERROR_DIRECTORY:
            return ENOTDIR;
        case ERROR_FILENAME_EXCED_RANGE:
            return ENAMETOOLONG;
        case ERROR_ACCESS_DENIED:
        case ERROR_SHARING_VIOLATION:
        case ERROR_LOCK_VIOLATION:
        case ERROR_CANT_ACCESS_FILE:
            return EACCES;
        case ERROR_INVALID_FUNCTION: /* of a volume */
        case ERROR_INVALID_PARAMETER:
        case ERROR_CANT_RESOLVE_FILENAME: /* links that lead in a circle */
            return EINVAL;
        case ERROR_TOO_MANY_OPEN_FILES:
            return EMFILE;
        case ERROR_NOT_ENOUGH_MEMORY:
        case ERROR_OUTOFMEMORY:
        case ERROR_NO_SYSTEM_RESOURCES:
        case ERROR_WORKING_SET_QUOTA:
        case ERROR_COMMITMENT_LIMIT:
            return ENOMEM;
        default:
            return EIO;
    }
}

static bool is_folder(const wchar_t *path) {
    const DWORD attributes = GetFileAttributesW(path);
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY);
}

int fi_file_open(fi_file *file, const char *path, fi_file_info *info) {
    const DWORD sharing = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    LARGE_INTEGER size;
    wchar_t *full;

    *file = FI_NO_FILE;
    const int path_errno = system_path(path, &full);
    if (path_errno) return path_errno;
    const HANDLE handle = CreateFileW(full, GENERIC_READ, sharing, NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    if (handle == INVALID_HANDLE_VALUE) {
        const DWORD error = GetLastError();
        /* A folder is ERROR_ACCESS_DENIED, or ERROR_PATH_NOT_FOUND if a separator ends its name. */
        const bool may_be_folder = error == ERROR_ACCESS_DENIED || error == ERROR_PATH_NOT_FOUND;
        const int os_errno = may_be_folder && is_folder(full) ? EISDIR : fi_errno_of(error);
        free(full);
        return os_errno;
    }
    free(full);
    *file = (fi_file)handle;
    const DWORD type = GetFileType(handle);
    if (type != FILE_TYPE_DISK) {
        *info = (fi_file_info){.mode = type == FILE_TYPE_PIPE ? MODE_FIFO : MODE_CHARACTER_DEVICE};
        return 0;
    }
    if (!GetFileSizeEx(handle, &size)) return fi_errno_of(GetLastError());
    *info = (fi_file_info){true, MODE_REGULAR, (uint64_t)size.QuadPart};
    return 0;
}

int fi_file_read(fi_file file, uint8_t *data, size_t nbytes, uint64_t offset, size_t *got) {
    OVERLAPPED place = {0};
    DWORD count = 0;

    if (nbytes > MAX_READ_NBYTES) nbytes = MAX_READ_NBYTES;
    place.Offset = (DWORD)offset;
    place.OffsetHigh = (DWORD)(offset >> 32);
    const bool done = ReadFile((HANDLE)file, data, (DWORD)nbytes, &count, &place);
    *got = done ? count : 0;
    if (done || GetLastError() == ERROR_HANDLE_EOF) return 0;
    return fi_errno_of(GetLastError());
}

void fi_file_close(fi_file file) {
    if (file != FI_NO_FILE) CloseHandle((HANDLE)file);
}

bool fi_is_storage_failure(int os_errno) {
    return os_errno == EIO;
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

void *fi_map(size_t nbytes) {
    return VirtualAlloc(NULL, nbytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void fi_unmap(void *data, size_t nbytes) {
    (void)nbytes;
    VirtualFree(data, 0, MEM_RELEASE);
}

void *fi_aligned_new(size_t alignment, size_t nbytes) {
    return _aligned_malloc(nbytes, alignment);
}

void fi_aligned_free(void *data) {
    _aligned_free(data);
}

/* ---- time and threads ------------------------------------------------------------------------------------------ */

int64_t fi_now_ns(void) {
    LARGE_INTEGER frequency, count;

    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&count);
    /* In two parts: the product would overflow after fifteen minutes at 10 MHz. */
    return count.QuadPart / frequency.QuadPart * 1000000000 +
           count.QuadPart % frequency.QuadPart * 1000000000 / frequency.QuadPart;
}

int64_t fi_process_id(void) {
    return GetCurrentProcessId();
}

_Static_assert(sizeof(fi_mutex) == sizeof(SRWLOCK), "a lock is a word");
_Static_assert(sizeof(fi_condition) == sizeof(CONDITION_VARIABLE), "a condition variable is a word");

bool fi_mutex_init(fi_mutex *mutex) {
    InitializeSRWLock((SRWLOCK *)mutex);
    return true;
}

bool fi_condition_init(fi_condition *condition) {
    InitializeConditionVariable((CONDITION_VARIABLE *)condition);
    return true;
}

void fi_mutex_destroy(fi_mutex *mutex) {
    (void)mutex;
}

void fi_condition_destroy(fi_condition *condition) {
    (void)condition;
}

void fi_mutex_lock(fi_mutex *mutex) {
    AcquireSRWLockExclusive((SRWLOCK *)mutex);
}

void fi_mutex_unlock(fi_mutex *mutex) {
    ReleaseSRWLockExclusive((SRWLOCK *)mutex);
}

void fi_condition_wait(fi_condition *condition, fi_mutex *mutex, int64_t deadline) {
    DWORD milliseconds = INFINITE;

    if (deadline != INT64_MAX) {
        const int64_t left = deadline - fi_now_ns();
        if (left <= 0) return;
        /* Rounded up, so that nobody asks again and again until the deadline has come. */
        milliseconds = left < INT64_C(3600000000000) ? (DWORD)((left + 999999) / 1000000) : 3600000;
    }
    SleepConditionVariableSRW((CONDITION_VARIABLE *)condition, (SRWLOCK *)mutex, milliseconds, 0);
}

void fi_condition_broadcast(fi_condition *condition) {
    WakeAllConditionVariable((CONDITION_VARIABLE *)condition);
}

#endif
