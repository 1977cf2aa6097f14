/* SPDX-License-Identifier: BSD-3-Clause */
/* What the core needs of the operating system, in posix.c or windows.c: files, memory, time, and what threads share. */
#ifndef FI_SYSTEM_H
#define FI_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- files ----------------------------------------------------------------------------------------------------- */

/* A descriptor, or on Windows a HANDLE. */
typedef intptr_t fi_file;

#define FI_NO_FILE ((fi_file) - 1)

typedef struct fi_file_info {
    bool is_regular;
    uint32_t mode; /* st_mode */
    uint64_t nbytes;
} fi_file_info;

/*
 * Opens a file for reading, and says what it is. Returns 0 or an error's number, which is EISDIR for a directory. *file
 * is open unless it is FI_NO_FILE, whatever is returned. FIFOs and devices are not waited for and need not be open. The
 * path is what os.fsencode() gives: on Windows it is UTF-8, and may be longer than 260 characters. There, too, an open
 * file can be renamed and removed.
 */
int fi_file_open(fi_file *file, const char *path, fi_file_info *info);

/* Reads at an offset. *got is less than nbytes at the file's end, perhaps before. Returns 0 or an error's number. */
int fi_file_read(fi_file file, uint8_t *data, size_t nbytes, uint64_t offset, size_t *got);

/* Closes it, if it is open. */
void fi_file_close(fi_file file);

/* Whether an error's number says that the storage has failed, and not the file. */
bool fi_is_storage_failure(int os_errno);

#ifdef _WIN32
/* What open() or read() would say elsewhere in place of an error of Windows. */
int fi_errno_of(uint32_t error);
#endif

/* ---- memory ---------------------------------------------------------------------------------------------------- */

/* Zeros from the system, which goes back to it at once. Returns NULL if there is no memory. */
void *fi_map(size_t nbytes);
void fi_unmap(void *data, size_t nbytes);

/* As aligned_alloc(), whose memory free() cannot free on Windows. */
void *fi_aligned_new(size_t alignment, size_t nbytes);
void fi_aligned_free(void *data);

/* ---- threads --------------------------------------------------------------------------------------------------- */

#ifdef _WIN32
/* SRWLOCK and CONDITION_VARIABLE: windows.h defines too many names to be included here. */
typedef struct fi_mutex {
    void *word;
} fi_mutex;
typedef struct fi_condition {
    void *word;
} fi_condition;
#define FI_CONDITION_INIT {0}
#else
#include <pthread.h>
typedef pthread_mutex_t fi_mutex;
typedef pthread_cond_t fi_condition;
#define FI_CONDITION_INIT PTHREAD_COND_INITIALIZER /* for waits without a deadline */
#endif

/* The first two return false, and leave nothing to destroy, if the system has no room. */
bool fi_mutex_init(fi_mutex *mutex);
bool fi_condition_init(fi_condition *condition);
void fi_mutex_destroy(fi_mutex *mutex);
void fi_condition_destroy(fi_condition *condition);

void fi_mutex_lock(fi_mutex *mutex);
void fi_mutex_unlock(fi_mutex *mutex);

/* Waits for a change, perhaps in vain, but not beyond the deadline: of fi_now_ns(), INT64_MAX for none. */
void fi_condition_wait(fi_condition *condition, fi_mutex *mutex, int64_t deadline);
void fi_condition_broadcast(fi_condition *condition);

/* The number of this process: after a fork it is another's. */
int64_t fi_process_id(void);

#endif
