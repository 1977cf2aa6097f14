/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A libFuzzer target: whatever the bytes, the core's own stages and libjpeg's end alike, and what is decoded in strict mode
 * has the pixels of lenient mode. Aborts where that is not so. scripts/fuzz.sh builds and runs it.
 */
#include "cpu.h"
#include "fi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Large enough for several MCU rows, small enough for thousands of files a second. */
#define MAX_PIXELS (1 << 16)

typedef struct {
    fi_failure failure;
    char notes[4096];
    long warnings;
    uint8_t *pixels;  /* allocated to the byte, for AddressSanitizer */
    size_t nbytes;
} result;

static result libjpeg, own, lenient;

/* The length picks the options, so that one byte more or less is enough to try the next. */
static fi_options options_for(size_t size) {
    fi_options options = {
        .mode = (fi_mode)(size % 3),
        .layout = (fi_layout)(size / 3 % 2),
        .dtype = (fi_dtype)(size / 6 % 4),
        .orient = size / 30 % 2 == 0,
        .max_scans = 20,
        .max_pixels = MAX_PIXELS,
    };
    if (size / 120 % 3 == 0) {
        options.height = 1 + (uint32_t)(size / 360 % 40);
        options.width = 1 + (uint32_t)(size / 11 % 50);
        options.reducing_gap = (double)(size % 3);
        options.resample = (fi_filter)(size / 4 % 5);
    }
    for (unsigned c = 0; c < 3; c++) {
        options.mean[c] = (float)c;
        options.std[c] = (float)(c + 1);
        for (unsigned v = 0; v < 256; v++) {
            /* different for every channel and value, so that no mix-up stays hidden */
            if (fi_element_of(options.dtype)->nbytes == 2) options.table.u16[c][v] = (uint16_t)(256 * c + v);
            else options.table.f32[c][v] = (float)(256 * c + v);
        }
    }
    return options;
}

/* The whole upright image, or without its first and last few rows and columns. */
static fi_crop crop_for(size_t size, uint32_t height, uint32_t width) {
    const fi_crop whole = {.height = height, .width = width};
    const int64_t margin = (int64_t)(size % 7);
    if (size / 60 % 2 == 0 || 2 * margin >= height || 2 * margin >= width) return whole;
    return (fi_crop){margin, margin, height - 2 * margin, width - 2 * margin};
}

static void decode(fi_decoder *decoder, const fi_options *options, size_t size, result *result) {
    const fi_header *header = fi_decoder_header(decoder);
    const bool turned = options->orient && header->orientation >= 5;
    const uint32_t height = turned ? header->width : header->height, width = turned ? header->height : header->width;
    const fi_crop crop = crop_for(size, height, width);
    const size_t item = fi_element_of(options->dtype)->nbytes;
    fi_output out = {.height = (uint32_t)crop.height, .width = (uint32_t)crop.width};

    if (options->height) {
        out.height = options->height;
        out.width = options->width;
    }
    out.row_stride = (ptrdiff_t)(out.width * item * (options->layout == FI_HWC ? fi_channels(options) : 1));
    out.plane_stride = out.row_stride * (ptrdiff_t)out.height;
    memset(&result->failure, 0, sizeof result->failure);
    result->nbytes = (size_t)out.plane_stride * (options->layout == FI_HWC ? 1 : fi_channels(options));
    free(result->pixels);
    out.data = result->pixels = malloc(result->nbytes);
    if (!out.data) abort();
    memset(out.data, 0xA5, result->nbytes);
    fi_decode(decoder, options, &crop, size % 5 == 0, &out, &result->failure);
    snprintf(result->notes, sizeof result->notes, "%s", fi_decoder_warnings(decoder));
    result->warnings = fi_decoder_warning_count(decoder);
}

/* Bytes that are skipped are told of by the core if strict, else by libjpeg alone. */
static bool are_alike(bool is_strict) {
    if (is_strict) return strcmp(libjpeg.notes, own.notes) == 0;
    if (strstr(libjpeg.notes, "extraneous bytes") || strstr(own.notes, "extraneous bytes")) return true;
    return strcmp(libjpeg.notes, own.notes) == 0 && libjpeg.warnings == own.warnings;
}

static void compare_pixels(const char *what, const result *expected, const result *found) {
    size_t at = 0;

    if (expected->nbytes == found->nbytes && memcmp(expected->pixels, found->pixels, found->nbytes) == 0) return;
    while (expected->pixels[at] == found->pixels[at]) at++;
    fprintf(stderr, "%s: byte %zu of the pixels is %d, not %d\n", what, at, found->pixels[at], expected->pixels[at]);
    abort();
}

/* What comes of an image does not depend on the stage. */
static void compare(const char *what, bool is_strict) {
    const fi_failure *a = &libjpeg.failure, *b = &own.failure;

    if (a->status != b->status || memcmp(a->detail, b->detail, sizeof a->detail) || strcmp(a->text, b->text)) {
        fprintf(stderr, "%s: libjpeg ends %s (\"%s\"), own %s (\"%s\")\n", what, fi_status_name(a->status), a->text,
                fi_status_name(b->status), b->text);
        abort();
    }
    if (a->status != FI_OK) return; /* then the array holds anything */
    if (!are_alike(is_strict)) {
        fprintf(stderr, "%s: libjpeg warns %ld times, own %ld, with notes \"%s\" and \"%s\"\n", what, libjpeg.warnings,
                own.warnings, libjpeg.notes, own.notes);
        abort();
    }
    compare_pixels(what, &libjpeg, &own);
}

static void swap(result *a, result *b) {
    const result before = *a;
    *a = *b;
    *b = before;
}

static void compare_with_lenient(void) {
    if (own.failure.status != FI_OK) return;
    if (lenient.failure.status != FI_OK) {
        fprintf(stderr, "decoded if strict, else it ends %s (\"%s\")\n", fi_status_name(lenient.failure.status),
                lenient.failure.text);
        abort();
    }
    compare_pixels("strict beside lenient", &lenient, &own);
}

int LLVMFuzzerInitialize(const int *argc, char ***argv) {
    (void)argc, (void)argv;
    fi_init(fi_cpu_features());
    if (!fi_hooks_verified()) abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const fi_source source = {.data = data, .size = size};
    fi_options options = options_for(size);
    fi_failure failure = {0};
    /* A decoder remembers tables, so only a new one makes a finding repeatable. */
    fi_decoder *decoder = fi_decoder_new();

    if (!decoder) abort();
    for (int strict = 0; strict < 2 && fi_open(decoder, &source, MAX_PIXELS, &failure) == FI_OK; strict++) {
        options.strict = strict;
        options.use_libjpeg_entropy = true;
        decode(decoder, &options, size, &libjpeg);
        options.use_libjpeg_entropy = false;
        decode(decoder, &options, size, &own);
        compare(strict ? "strict" : "lenient", strict);
        decode(decoder, &options, size, &own);
        compare(strict ? "strict, again" : "lenient, again", strict);
        if (strict) compare_with_lenient();
        else swap(&own, &lenient);
    }
    fi_decoder_free(decoder);
    return 0;
}
