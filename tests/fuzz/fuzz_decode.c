/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A libFuzzer target: whatever the bytes, the core's own stages and libjpeg's end alike, what is decoded in strict mode has
 * the pixels of lenient mode, and several views of an image have the pixels of each by itself. What is no JPEG is taken
 * for the pixels of another decoder. Aborts where that is not so. scripts/fuzz.sh builds and runs it.
 */
#include "cpu.h"
#include "fi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Large enough for several MCU rows, small enough for thousands of files a second. */
#define MAX_PIXELS (1 << 16)
#define MAX_SIDE 64 /* of a result that is resized */

enum { VIEWS = 3 };

typedef struct {
    fi_failure failure;
    char notes[4096];
    long warnings;
    uint8_t *pixels;  /* allocated to the byte, for AddressSanitizer */
    size_t nbytes;
} result;

static result libjpeg, own, lenient, views[VIEWS];

/* What one image becomes. */
typedef struct {
    fi_options options;
    fi_crop crop;
    bool flip;
} job;

/* ---- what to do with the bytes --------------------------------------------------------------------------------- */

static uint64_t state;

/* A number below n: the next that follows from the bytes' length, so that one more or less makes others. */
static uint32_t pick(uint32_t n) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % n;
}

/* A size of the result, in one of the ways that there are. */
static void pick_size(fi_options *options) {
    const uint32_t way = pick(4);

    if (way == 0) {
        options->height = 1 + pick(40);
        options->width = 1 + pick(50);
        options->fit = (fi_fit)pick(3);
    } else {
        options->shorter = way == 1 ? 1 + pick(40) : 0;
        options->longer = way == 2 ? 1 + pick(MAX_SIDE) : 0;
        if (way == 3 || pick(2)) {
            options->center_height = 1 + pick(40);
            options->center_width = 1 + pick(50);
        }
    }
    options->reducing_gap = pick(3);
    options->resample = (fi_filter)pick(5);
}

static void fill_tables(fi_options *options) {
    for (unsigned c = 0; c < 3; c++) {
        options->pad[c] = (uint8_t)(100 + c);
        options->mean[c] = (float)c;
        options->std[c] = (float)(c + 1);
        for (unsigned v = 0; v < 256; v++) {
            /* different for every channel and value, so that no mix-up stays hidden */
            if (fi_element_of(options->dtype)->nbytes == 2) options->table.u16[c][v] = (uint16_t)(256 * c + v);
            else options->table.f32[c][v] = (float)(256 * c + v);
        }
    }
}

/* The whole upright image, or without its first and last few rows and columns: if it is resized, also parts of them. */
static fi_crop pick_crop(const fi_options *options, const fi_header *header) {
    const bool turned = options->orient && header->orientation >= 5;
    const double height = turned ? header->width : header->height, width = turned ? header->height : header->width;
    const bool resizes = options->height || options->shorter || options->longer;
    const double top = pick(7) + (resizes ? pick(4) / 3.0 : 0), left = pick(7) + (resizes ? pick(4) / 3.0 : 0);

    if (pick(2) || 2 * top >= height || 2 * left >= width) return (fi_crop){0};
    return (fi_crop){top, left, height - 2 * top, width - 2 * left};
}

/* Some job for an image; views of one have the mode and the orientation of the first. */
static job pick_job(const fi_header *header, size_t seed, const fi_options *first) {
    job job = {.options = {.max_scans = 20, .max_pixels = MAX_PIXELS}};
    fi_options *options = &job.options;

    state = seed * UINT64_C(0x9E3779B97F4A7C15);
    options->mode = (fi_mode)pick(3);
    options->orient = pick(2);
    if (first) {
        options->mode = first->mode;
        options->orient = first->orient;
        options->strict = first->strict;
    }
    options->layout = (fi_layout)pick(2);
    options->dtype = (fi_dtype)pick(4);
    if (pick(first ? 4 : 2)) pick_size(options);
    fill_tables(options);
    job.crop = pick_crop(options, header);
    job.flip = pick(2);
    return job;
}

/* ---- doing it -------------------------------------------------------------------------------------------------- */

/* An array for what a plan makes. Returns false if it would be large. */
static bool allocate(const fi_plan *plan, const fi_options *options, fi_output *out, result *result) {
    const size_t item = fi_element_of(options->dtype)->nbytes, channels = fi_channels(options);

    if ((uint64_t)plan->out_height * plan->out_width > MAX_PIXELS) return false;
    out->height = plan->out_height;
    out->width = plan->out_width;
    out->row_stride = (ptrdiff_t)(out->width * item * (options->layout == FI_HWC ? channels : 1));
    out->plane_stride = out->row_stride * (ptrdiff_t)out->height;
    result->nbytes = (size_t)out->plane_stride * (options->layout == FI_HWC ? 1 : channels);
    free(result->pixels);
    out->data = result->pixels = malloc(result->nbytes);
    if (!out->data) abort();
    memset(out->data, 0xA5, result->nbytes);
    return true;
}

static void decode(fi_decoder *decoder, const job *job, result *result) {
    fi_plan plan;
    fi_output out;

    memset(&result->failure, 0, sizeof result->failure);
    result->nbytes = 0;
    if (fi_plan_make(&plan, fi_decoder_header(decoder), &job->options, &job->crop, job->flip, &result->failure)) return;
    if (!allocate(&plan, &job->options, &out, result)) {
        result->failure.status = FI_E_SIDE;
        return;
    }
    fi_decode(decoder, &job->options, &job->crop, job->flip, &out, &result->failure);
    snprintf(result->notes, sizeof result->notes, "%s", fi_decoder_warnings(decoder));
    result->warnings = fi_decoder_warning_count(decoder);
}

/* ---- comparing ------------------------------------------------------------------------------------------------- */

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

/*
 * Several views against each by itself. All of them fail if one does. Where the inverse DCT reduces the image for one of
 * them, views that it would reduce further have other pixels.
 */
static void compare_views(fi_decoder *decoder, size_t seed, bool strict) {
    const fi_options shared = {.mode = (fi_mode)(seed % 3), .orient = seed / 3 % 2, .strict = strict};
    job jobs[VIEWS];
    fi_view given[VIEWS];
    fi_plan plans[VIEWS];
    uint32_t least = 8;
    fi_failure failure = {0};
    bool fails = false;

    for (size_t v = 0; v < VIEWS; v++) {
        jobs[v] = pick_job(fi_decoder_header(decoder), seed + 100000 * (v + 1), &shared);
        given[v] = (fi_view){&jobs[v].options, jobs[v].crop, jobs[v].flip, {0}};
        if (fi_plan_make(&plans[v], fi_decoder_header(decoder), given[v].options, &given[v].crop, given[v].flip,
                         &failure))
            return;
        if (!allocate(&plans[v], given[v].options, &given[v].out, &views[v])) return;
        if (plans[v].resize && plans[v].scale_denom < least) least = plans[v].scale_denom;
    }
    fi_decode_views(decoder, given, VIEWS, &failure);
    for (size_t v = 0; v < VIEWS; v++) {
        decode(decoder, &jobs[v], &own);
        if (own.failure.status != FI_OK) fails = true;
        if (failure.status != FI_OK || (plans[v].resize && plans[v].scale_denom != least)) continue;
        if (own.failure.status == FI_OK) compare_pixels("a view", &own, &views[v]);
    }
    if (fails == (failure.status != FI_OK)) return;
    fprintf(stderr, "views end %s (\"%s\"), but not so one by one\n", fi_status_name(failure.status), failure.text);
    abort();
}

/* The bytes as pixels: of each size, from one column to one row. */
static void try_pixels(fi_decoder *decoder, const uint8_t *data, size_t size) {
    fi_failure failure = {0};
    fi_pixels pixels = {.channels = size % 2 ? 1 : 3, .orientation = (uint8_t)(1 + size / 2 % 8)};
    const size_t count = size / pixels.channels;

    if (count == 0) return;
    pixels.width = (uint32_t)(1 + (data[0] * 256 + data[size - 1]) % count);
    pixels.height = (uint32_t)(count / pixels.width);
    pixels.stride = (size_t)pixels.width * pixels.channels;
    pixels.data = data + (size - pixels.stride * pixels.height); /* they end where what may be read does */
    if (fi_open_pixels(decoder, &pixels, MAX_PIXELS, &failure) != FI_OK) abort();
    for (int strict = 0; strict < 2; strict++) {
        compare_views(decoder, size, strict);
        job job = pick_job(fi_decoder_header(decoder), size, NULL);
        job.options.strict = strict;
        decode(decoder, &job, &own);
        if (own.failure.status != FI_OK && own.failure.status != FI_E_SIDE) abort();
    }
}

int LLVMFuzzerInitialize(const int *argc, char ***argv) {
    (void)argc, (void)argv;
    fi_init(fi_cpu_features());
    if (!fi_hooks_verified()) abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const fi_source source = {.data = data, .size = size};
    fi_failure failure = {0};
    /* A decoder remembers tables, so only a new one makes a finding repeatable. */
    fi_decoder *decoder = fi_decoder_new();

    if (!decoder) abort();
    for (int strict = 0; strict < 2 && fi_open(decoder, &source, MAX_PIXELS, &failure) == FI_OK; strict++) {
        job job = pick_job(fi_decoder_header(decoder), size, NULL);
        job.options.strict = strict;
        job.options.use_libjpeg_entropy = true;
        decode(decoder, &job, &libjpeg);
        job.options.use_libjpeg_entropy = false;
        decode(decoder, &job, &own);
        compare(strict ? "strict" : "lenient", strict);
        decode(decoder, &job, &own);
        compare(strict ? "strict, again" : "lenient, again", strict);
        if (strict) compare_with_lenient();
        else swap(&own, &lenient);
        compare_views(decoder, size, strict);
    }
    if (fi_is_other(failure.status)) try_pixels(decoder, data, size);
    fi_decoder_free(decoder);
    return 0;
}
