/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What reads sources, on every system alike: an open file may be renamed, removed and shortened, and what is no file
 * says so. The argument is an empty folder.
 */
#define _FILE_OFFSET_BITS 64
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* fseeko(), which -std=c11 hides */
#endif

#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NBYTES = 300000, HEAD = 1000, MAX_PATH_NBYTES = 1000, CHARACTER_DEVICE = 0x2000, KIND = 0xF000 };

static const char *folder;
static uint8_t expected[NBYTES];
static fi_buffer buffer;
static fi_failure failure;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) fail(__LINE__, #condition);                                                                  \
    } while (0)

static void fail(int line, const char *condition) {
    fprintf(stderr, "line %d: not %s (status %s, error %d)\n", line, condition, fi_status_name(failure.status),
            failure.os_errno);
    exit(1);
}

static const char *inside(const char *name) {
    static char paths[2][MAX_PATH_NBYTES];
    static int turn;
    turn = !turn;
    snprintf(paths[turn], MAX_PATH_NBYTES, "%s/%s", folder, name);
    return paths[turn];
}

static void write_file(const char *name, size_t nbytes) {
    FILE *file = fopen(inside(name), "wb");
    CHECK(file && fwrite(expected, 1, nbytes, file) == nbytes);
    CHECK(fclose(file) == 0);
}

static fi_status open_path(fi_reader *reader, const char *path, uint64_t offset, uint64_t size) {
    const fi_source source = {.path = path, .offset = offset, .size = size};
    failure = (fi_failure){0};
    return fi_reader_open(reader, &source, &buffer, &failure);
}

static void try_moving(void) {
    fi_reader reader;

    write_file("old", NBYTES);
    CHECK(open_path(&reader, inside("old"), 0, FI_WHOLE_FILE) == FI_OK);
    CHECK(reader.total == NBYTES && reader.have == 0);
    CHECK(fi_reader_fill(&reader, HEAD, &failure) == FI_OK);
    CHECK(rename(inside("old"), inside("new")) == 0);
    CHECK(fi_reader_fill(&reader, NBYTES / 2, &failure) == FI_OK);
    CHECK(remove(inside("new")) == 0);
    CHECK(fi_reader_fill(&reader, NBYTES, &failure) == FI_OK);
    CHECK(reader.have == NBYTES && memcmp(reader.data, expected, NBYTES) == 0);
    fi_reader_close(&reader);
    CHECK(open_path(&reader, inside("new"), 0, FI_WHOLE_FILE) == FI_E_OS && failure.os_errno == ENOENT);
    fi_reader_close(&reader);
}

/* Another program makes the file shorter while it is read, and longer. */
static void try_shortening(void) {
    fi_reader reader;

    write_file("file", NBYTES);
    CHECK(open_path(&reader, inside("file"), 0, FI_WHOLE_FILE) == FI_OK);
    CHECK(fi_reader_fill(&reader, HEAD, &failure) == FI_OK);
    write_file("file", 2 * HEAD);
    CHECK(fi_reader_fill(&reader, NBYTES, &failure) == FI_OK);
    CHECK(reader.have == 2 * HEAD && reader.total == 2 * HEAD);
    write_file("file", NBYTES);
    CHECK(fi_reader_fill(&reader, NBYTES, &failure) == FI_OK && reader.have == 2 * HEAD);
    fi_reader_close(&reader);
    CHECK(remove(inside("file")) == 0);
}

static void try_ranges(void) {
    fi_reader reader;

    write_file("file", NBYTES);
    CHECK(open_path(&reader, inside("file"), NBYTES - HEAD, HEAD) == FI_OK);
    CHECK(fi_reader_fill(&reader, NBYTES, &failure) == FI_OK && reader.have == HEAD);
    CHECK(memcmp(reader.data, expected + NBYTES - HEAD, HEAD) == 0);
    fi_reader_close(&reader);
    CHECK(open_path(&reader, inside("file"), NBYTES - HEAD, HEAD + 1) == FI_E_RANGE && failure.detail[2] == NBYTES);
    fi_reader_close(&reader);
    CHECK(open_path(&reader, inside("file"), NBYTES, 0) == FI_OK && reader.total == 0);
    fi_reader_close(&reader);
    CHECK(remove(inside("file")) == 0);
}

/* Beyond 4 GiB, in a file that is a hole up to there; not tried where it cannot be made. */
static void try_far(void) {
    const uint64_t far = (uint64_t)5 << 30;
    FILE *file = fopen(inside("far"), "wb");
    fi_reader reader;

#ifdef _WIN32
    bool done = file && _fseeki64(file, (int64_t)far, SEEK_SET) == 0;
#else
    bool done = file && fseeko(file, (off_t)far, SEEK_SET) == 0;
#endif
    done = done && fwrite(expected, 1, HEAD, file) == HEAD;
    done = file && fclose(file) == 0 && done;
    if (done) {
        CHECK(open_path(&reader, inside("far"), far + 10, HEAD - 10) == FI_OK && reader.total == HEAD - 10);
        CHECK(fi_reader_fill(&reader, HEAD, &failure) == FI_OK && reader.have == HEAD - 10);
        CHECK(memcmp(reader.data, expected + 10, HEAD - 10) == 0);
        fi_reader_close(&reader);
        CHECK(open_path(&reader, inside("far"), far, HEAD + 1) == FI_E_RANGE);
        CHECK(failure.detail[2] == (int64_t)far + HEAD);
        fi_reader_close(&reader);
    }
    CHECK(remove(inside("far")) == 0);
    printf("far: %s\n", done ? "read" : "no room");
}

static void try_others(void) {
#ifdef _WIN32
    static const char *const devices[] = {"NUL", "nul", "\\\\.\\NUL"};
#else
    static const char *const devices[] = {"/dev/null", "/dev/zero", "//dev/null"};
#endif
    fi_reader reader;

    for (int i = 0; i < 3; i++) {
        CHECK(open_path(&reader, devices[i], 0, FI_WHOLE_FILE) == FI_E_NOT_FILE);
        CHECK((failure.detail[0] & KIND) == CHARACTER_DEVICE);
        fi_reader_close(&reader);
    }
    CHECK(open_path(&reader, folder, 0, FI_WHOLE_FILE) == FI_E_OS && failure.os_errno == EISDIR);
    fi_reader_close(&reader);
    CHECK(open_path(&reader, inside(""), 0, FI_WHOLE_FILE) == FI_E_OS && failure.os_errno == EISDIR);
    fi_reader_close(&reader);
    CHECK(open_path(&reader, inside("no/file"), 0, FI_WHOLE_FILE) == FI_E_OS && failure.os_errno == ENOENT);
    fi_reader_close(&reader);
    CHECK(open_path(&reader, "", 0, FI_WHOLE_FILE) == FI_E_OS && failure.os_errno == ENOENT);
    fi_reader_close(&reader);
}

/* On Windows names are UTF-8: what is not must not be taken for another name, such as one with a NUL or a separator. */
static void try_wrong_names(void) {
#ifdef _WIN32
    static const char *const names[] = {
        "\xC0\x80",  "\xC1\xA1",     "\xE0\x81\xA1", "\xF0\x80\x81\xA1",     "\x80",
        "\xE2\x82.", "\xE2\x82\xC0", "\xFF",         "\xF8\x88\x80\x80\x80", "\xF4\x90\x80\x80"};
    char name[16];
    fi_reader reader;

    write_file("a", HEAD);
    write_file("aa", HEAD);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(name, sizeof name, "a%s", names[i]);
        CHECK(open_path(&reader, inside(name), 0, FI_WHOLE_FILE) == FI_E_OS && failure.os_errno == EILSEQ);
        fi_reader_close(&reader);
    }
    CHECK(remove(inside("aa")) == 0 && remove(inside("a")) == 0);
#endif
}

/* Errors of Windows that no test can bring about, by the names of its header. */
static void try_numbers(void) {
#ifdef _WIN32
    enum { FILE_NOT_FOUND = 2, TOO_MANY_OPEN_FILES = 4, NOT_READY = 21, BAD_NETPATH = 53, NETNAME_DELETED = 64 };
    enum { BAD_NET_NAME = 67, SEM_TIMEOUT = 121, NO_SYSTEM_RESOURCES = 1450, CANT_RESOLVE_FILENAME = 1921 };
    static const uint32_t storage[] = {NOT_READY, BAD_NETPATH, NETNAME_DELETED, SEM_TIMEOUT};

    for (int i = 0; i < 4; i++) CHECK(fi_is_storage_failure(fi_errno_of(storage[i])));
    CHECK(fi_errno_of(FILE_NOT_FOUND) == ENOENT && fi_errno_of(BAD_NET_NAME) == ENOENT);
    CHECK(fi_errno_of(TOO_MANY_OPEN_FILES) == EMFILE && fi_errno_of(NO_SYSTEM_RESOURCES) == ENOMEM);
    CHECK(!fi_is_storage_failure(fi_errno_of(CANT_RESOLVE_FILENAME)));
#endif
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    folder = argv[1];
    for (size_t i = 0; i < NBYTES; i++) expected[i] = (uint8_t)(i * i >> 3);
    try_moving();
    try_shortening();
    try_ranges();
    try_far();
    try_others();
    try_wrong_names();
    try_numbers();
    fi_buffer_free(&buffer);
    puts("ok");
    return 0;
}
