/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the targets that decode share: an input is PREFIX_NBYTES bytes, which pick what is done, and then a file. Decoding
 * it is a job, and gives a result.
 */
#include "cpu.h"
#include "fi.h"
#include "replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Large enough for several MCU rows, small enough for thousands of files a second. */
#define MAX_PIXELS (1 << 14)
#define MAX_SIDE 64 /* of a result that is resized */

enum { PREFIX_NBYTES = 24 };

typedef struct {
    fi_failure failure;
    char notes[4096];
    long warnings;
    uint8_t *pixels;  /* allocated to the byte, for AddressSanitizer */
    size_t nbytes;
    uint8_t fill; /* another one for each, so that results differ where nothing was written */
} result;

/* What one image becomes. */
typedef struct {
    fi_options options;
    fi_crop crop;
    bool flip;
} job;

static fi_decoder *new_decoder(void) {
    fi_decoder *decoder = fi_decoder_new();
    if (!decoder) abort();
    return decoder;
}

static fi_decoder *kept; /* for all inputs: a new one takes longer than the image */
static fi_status opened; /* what the last input was */
static unsigned compared; /* results of it that had pixels */

static void start_core(void) {
    fi_init(fi_cpu_features());
    if (!fi_hooks_verified()) abort();
    kept = new_decoder();
}

/* ---- what to do with the bytes --------------------------------------------------------------------------------- */

static struct {
    const uint8_t *next, *end;
    uint64_t state;
} choices;

static void start_choices(const uint8_t *prefix) {
    choices.next = prefix;
    choices.end = prefix + PREFIX_NBYTES;
    choices.state = 0;
}

/* Begins with an input. Returns false if it has no file. */
static bool take_input(const uint8_t *data, size_t size, fi_source *source) {
    compared = 0;
    if (size <= PREFIX_NBYTES) return false;
    start_choices(data);
    *source = (fi_source){.data = data + PREFIX_NBYTES, .size = size - PREFIX_NBYTES};
    return true;
}

/* A number below n, at most 256: from the next byte of the prefix, or from all of them when none is left. */
static uint32_t pick(uint32_t n) {
    const uint8_t byte = choices.next == choices.end ? 0 : *choices.next++;

    choices.state = (choices.state + byte) * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (choices.next == choices.end ? (uint32_t)(choices.state >> 33) : byte) % n;
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

/* Some job for an image. What all views of one share is in `shared`, or NULL. */
static job pick_job(const fi_header *header, const fi_options *shared) {
    job job = {.options = {.max_scans = 20, .max_pixels = MAX_PIXELS}};
    fi_options *options = &job.options;

    options->mode = shared ? shared->mode : (fi_mode)pick(3);
    options->orient = shared ? shared->orient : pick(2);
    options->strict = shared ? shared->strict : pick(2);
    options->layout = (fi_layout)pick(2);
    options->dtype = (fi_dtype)pick(4);
    if (pick(shared ? 4 : 2)) pick_size(options);
    fill_tables(options);
    job.crop = pick_crop(options, header);
    job.flip = pick(2);
    return job;
}

/* ---- doing it -------------------------------------------------------------------------------------------------- */

/* An array for what a plan makes. Returns false if it would be large. */
static bool allocate(const fi_plan *plan, const fi_options *options, fi_output *out, result *result) {
    const size_t item = fi_element_of(options->dtype)->nbytes, channels = fi_channels(options);

    if ((uint64_t)plan->out_height * plan->out_width > options->max_pixels) return false;
    out->height = plan->out_height;
    out->width = plan->out_width;
    out->row_stride = (ptrdiff_t)(out->width * item * (options->layout == FI_HWC ? channels : 1));
    out->plane_stride = out->row_stride * (ptrdiff_t)out->height;
    result->nbytes = (size_t)out->plane_stride * (options->layout == FI_HWC ? 1 : channels);
    free(result->pixels);
    out->data = result->pixels = malloc(result->nbytes);
    if (!out->data) abort();
    memset(out->data, result->fill, result->nbytes);
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

static void compare_pixels(const char *what, const result *expected, const result *found) {
    size_t at = 0;

    compared++;
    if (expected->nbytes == found->nbytes && memcmp(expected->pixels, found->pixels, found->nbytes) == 0) return;
    while (expected->pixels[at] == found->pixels[at]) at++;
    fprintf(stderr, "%s: byte %zu of the pixels is %d, not %d\n", what, at, found->pixels[at], expected->pixels[at]);
    abort();
}
