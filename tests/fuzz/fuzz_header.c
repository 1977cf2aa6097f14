/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A libFuzzer target: what comes before the first scan, alone. Whatever the bytes and the pieces they come in, the header
 * is the same; its orientation is that of its APP1 segments, each in memory of its own, to the byte; what is refused,
 * libjpeg refuses as well, and what both accept they read alike. What is no JPEG is taken for the payload of an APP1
 * segment. Aborts where that is not so. scripts/fuzz.sh builds and runs it.
 */
#include "fi.h"

#include "header.h"
#include "orientation.h"
#include "replay.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

enum { MAX_APP1 = 16, MAX_SEGMENT = 65533 };

typedef struct {
    fi_status status;
    fi_failure failure;
    fi_header header;
} result;

static void stop(const char *what, int64_t expected, int64_t found) {
    fprintf(stderr, "%s: %lld, not %lld\n", what, (long long)found, (long long)expected);
    abort();
}

static uint8_t *copy(const uint8_t *data, size_t nbytes) {
    uint8_t *memory = malloc(nbytes ? nbytes : 1);
    if (!memory) abort();
    memcpy(memory, data, nbytes);
    return memory;
}

/* ---- in pieces --------------------------------------------------------------------------------------------------- */

/* The header, from the first bytes and then from as many as it asks for, but `least`; each piece has its own memory. */
static result parse(const uint8_t *data, size_t size, size_t have, size_t least) {
    result result = {0};
    uint64_t need;

    for (;;) {
        uint8_t *piece = copy(data, have);
        result.status = fi_header_parse(&result.header, piece, have, size, &need, &result.failure);
        free(piece);
        if (result.status != result.failure.status) stop("status", result.status, result.failure.status);
        if (need == 0) return result;
        if (result.status != FI_OK) stop("status that asks for more", FI_OK, result.status);
        if (need <= have || have == size) stop("more bytes", (int64_t)have + 1, (int64_t)need);
        if (need < have + least) need = have + least;
        have = need < size ? (size_t)need : size;
    }
}

static void compare_pieces(const result *whole, const uint8_t *data, size_t size) {
    /* Where it looks for a marker it asks for one byte after the other. */
    const size_t least = size < 64 ? 1 : size / 8;

    for (size_t have = 0; have < size; have += 1 + size / 2) {
        const result found = parse(data, size, have, least);
        /* A refusal comes as soon as the bytes say so, and names no more of them than there are. */
        if (found.status != whole->status) stop("status in pieces", whole->status, found.status);
        if (memcmp(&found.header, &whole->header, sizeof found.header)) stop("header in pieces", 0, (int64_t)have);
    }
}

/* ---- orientation ------------------------------------------------------------------------------------------------- */

/* The APP1 segments before the first scan, by a walk that knows nothing else. */
static uint8_t orientation_of(const uint8_t *data, size_t size) {
    fi_orientation orientation = {0};
    uint8_t *copies[MAX_APP1];
    size_t count = 0, at = 2;

    while (at < size && count < MAX_APP1) {
        if (data[at] != 0xFF || at + 1 == size || data[at + 1] == 0xFF || data[at + 1] == 0) { /* stray, or fill */
            at++;
            continue;
        }
        const unsigned marker = data[at + 1];
        at += 2;
        if (marker == 0xDA || at + 2 > size) break;
        if (marker == 1 || (marker >= 0xD0 && marker <= 0xD7)) continue;
        const size_t length = data[at] * 256u + data[at + 1], nbytes = length < 2 ? 0 : length - 2;
        at += 2;
        if (nbytes > size - at) break;
        if (marker == 0xE1) {
            copies[count] = copy(data + at, nbytes);
            fi_orientation_add(&orientation, copies[count++], nbytes);
        }
        at += nbytes;
    }
    const uint8_t found = count < MAX_APP1 ? fi_orientation_find(&orientation) : 0;
    while (count > 0) free(copies[--count]);
    return found; /* 0: too many to say */
}

static void compare_orientation(const result *whole, const uint8_t *data, size_t size) {
    const uint8_t found = orientation_of(data, size), expected = whole->header.orientation;

    if (expected < 1 || expected > 8) stop("orientation", 1, expected);
    if (found && found != expected) stop("orientation of the segments", expected, found);
}

/* ---- libjpeg ----------------------------------------------------------------------------------------------------- */

static struct jpeg_decompress_struct libjpeg;
static jmp_buf refused;

static void refuse(j_common_ptr cinfo) {
    (void)cinfo;
    longjmp(refused, 1);
}

static void ignore(j_common_ptr cinfo, int level) {
    (void)cinfo, (void)level;
}

static bool read_by_libjpeg(const uint8_t *data, size_t size) {
    static struct jpeg_error_mgr errors;

    libjpeg.err = jpeg_std_error(&errors);
    errors.error_exit = refuse;
    errors.emit_message = ignore;
    if (setjmp(refused)) return false;
    jpeg_create_decompress(&libjpeg);
    jpeg_mem_src(&libjpeg, data, (unsigned long)size);
    jpeg_read_header(&libjpeg, TRUE);
    return true;
}

static int64_t tables_of_libjpeg(void) {
    int64_t tables = 0;

    for (int i = 0; i < NUM_HUFF_TBLS; i++) {
        tables |= (libjpeg.dc_huff_tbl_ptrs[i] ? 1 : 0) << i;
        tables |= (libjpeg.ac_huff_tbl_ptrs[i] ? 1 : 0) << (4 + i);
        tables |= (libjpeg.quant_tbl_ptrs[i] ? 1 : 0) << (8 + i);
    }
    return tables;
}

static void compare_header(const fi_header *header) {
    static const fi_color colors[] = {
        [JCS_UNKNOWN] = FI_UNKNOWN, [JCS_GRAYSCALE] = FI_GRAYSCALE, [JCS_RGB] = FI_RGB,
        [JCS_YCbCr] = FI_YCBCR,     [JCS_CMYK] = FI_CMYK,           [JCS_YCCK] = FI_YCCK,
    };

    if (libjpeg.image_width != header->width) stop("width", libjpeg.image_width, header->width);
    if (libjpeg.image_height != header->height) stop("height", libjpeg.image_height, header->height);
    if (libjpeg.num_components != header->components) stop("components", libjpeg.num_components, header->components);
    if (libjpeg.data_precision != header->precision) stop("precision", libjpeg.data_precision, header->precision);
    if (colors[libjpeg.jpeg_color_space] != header->color) stop("color", libjpeg.jpeg_color_space, header->color);
    if (tables_of_libjpeg() != header->tables) stop("tables", tables_of_libjpeg(), header->tables);
    if (libjpeg.restart_interval != header->restart_interval)
        stop("restart interval", libjpeg.restart_interval, header->restart_interval);
    if (libjpeg.progressive_mode != (header->sof == 2 || header->sof == 10)) stop("SOF", header->sof, -1);
    for (int c = 0; c < 4 && c < libjpeg.num_components; c++) {
        if (libjpeg.comp_info[c].h_samp_factor != header->h_samp[c]) stop("sampling factor", c, header->h_samp[c]);
        if (libjpeg.comp_info[c].v_samp_factor != header->v_samp[c]) stop("sampling factor", c, header->v_samp[c]);
    }
}

/* Where a file ends early libjpeg makes up an end, which may be taken for the rest of a segment. */
static void compare_with_libjpeg(const result *whole, const uint8_t *data, size_t size) {
    const bool is_read = size > 0 && read_by_libjpeg(data, size);
    fi_failure failure = {0};

    if (is_read && whole->status == FI_OK) {
        /* Which of the kinds that are not decoded libjpeg knows depends on its version. */
        if (fi_header_check(&whole->header, UINT64_MAX, &failure) == FI_OK) compare_header(&whole->header);
    } else if (is_read && whole->status != FI_E_CUT_HEADER) {
        stop(fi_status_name(whole->status), FI_OK, whole->status);
    }
    if (size > 0) jpeg_destroy_decompress(&libjpeg);
}

/* ---- an input ---------------------------------------------------------------------------------------------------- */

/* The payload by itself, and as the only APP1 segment of a file. */
static void try_app1(const uint8_t *payload, size_t nbytes) {
    static const uint8_t rest[] = {0xFF, 0xC0, 0,    11, 8, 0, 1, 0, 1, 1,  1, 0x11,
                                   0,    0xFF, 0xDA, 0,  8, 1, 1, 0, 0, 63, 0};
    static uint8_t file[2 + 4 + MAX_SEGMENT + sizeof rest] = {0xFF, 0xD8, 0xFF, 0xE1};
    fi_orientation orientation = {0};

    if (nbytes > MAX_SEGMENT) return;
    fi_orientation_add(&orientation, payload, nbytes);
    const uint8_t expected = fi_orientation_find(&orientation);
    if (expected < 1 || expected > 8) stop("orientation", 1, expected);
    file[4] = (uint8_t)((nbytes + 2) >> 8);
    file[5] = (uint8_t)(nbytes + 2);
    if (nbytes) memcpy(file + 6, payload, nbytes);
    memcpy(file + 6 + nbytes, rest, sizeof rest);
    const result whole = parse(file, nbytes + 6 + sizeof rest, nbytes + 6 + sizeof rest, 1);
    if (whole.status != FI_OK) stop("status", FI_OK, whole.status);
    if (whole.header.orientation != expected) stop("orientation in a file", expected, whole.header.orientation);
}

static result last;

int LLVMFuzzerInitialize(const int *argc, char ***argv) {
    (void)argc, (void)argv;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    last = parse(data, size, size, 1);
    if (size == 0 || last.status == FI_E_NOT_JPEG) try_app1(data, size);
    compare_pieces(&last, data, size);
    if (last.status == FI_OK) compare_orientation(&last, data, size);
    compare_with_libjpeg(&last, data, size);
    return 0;
}

void print_result(void) {
    const fi_header *header = &last.header;
    printf("%s %u %u %u\n", fi_status_name(last.status), header->height, header->width, header->orientation);
}

void free_kept(void) {
}
