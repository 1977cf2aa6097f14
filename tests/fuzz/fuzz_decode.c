/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A libFuzzer target: whatever the bytes, the core's own stages and libjpeg's end alike, what is decoded in strict mode has
 * the pixels of lenient mode, and several views of an image have the pixels of each by itself. What is no JPEG is taken
 * for the pixels of another decoder. Every byte of a result is written. Aborts where that is not so.
 *
 * jobs.h says what an input is. scripts/fuzz.sh builds and runs the target.
 */
#include "jobs.h"

#define IMPLAUSIBLE "coefficients that no 8-bit image has"

enum { MAX_VIEWS = 3 };

static result first = {.fill = 0xA5}, second = {.fill = 0x5A}, views[MAX_VIEWS];

/* ---- comparing ------------------------------------------------------------------------------------------------- */

/*
 * Bytes that are skipped are told of by the core if strict, else by libjpeg alone. If the last rows are not needed, libjpeg
 * alone comes as far as a missing end marker, as it reads ahead.
 */
static bool are_alike(const job *job) {
    const bool is_strict = job->options.strict, is_cut = job->crop.height != 0 || job->options.center_height != 0;

    if (!is_strict && (strstr(first.notes, "extraneous bytes") || strstr(second.notes, "extraneous bytes")))
        return true;
    if (is_cut && !strstr(first.notes, "Premature end") != !strstr(second.notes, "Premature end")) return true;
    return strcmp(first.notes, second.notes) == 0 && (is_strict || first.warnings == second.warnings);
}

/* What comes of an image does not depend on the stage, nor on what the decoder has decoded before. */
static void compare_stages(fi_decoder *decoder) {
    const fi_failure *a = &first.failure, *b = &second.failure;
    job job = pick_job(fi_decoder_header(decoder), NULL);
    const uint32_t by_libjpeg = pick(4); /* one of the two, or neither */

    job.options.use_libjpeg_entropy = by_libjpeg == 1;
    decode(decoder, &job, &first);
    job.options.use_libjpeg_entropy = by_libjpeg >= 2;
    decode(decoder, &job, &second);
    if (a->status != b->status || memcmp(a->detail, b->detail, sizeof a->detail) || strcmp(a->text, b->text)) {
        fprintf(stderr, "ends %s (\"%s\"), then %s (\"%s\"); libjpeg's: %u\n", fi_status_name(a->status), a->text,
                fi_status_name(b->status), b->text, by_libjpeg);
        abort();
    }
    if (a->status != FI_OK) return; /* then the array holds anything */
    if (!are_alike(&job)) {
        fprintf(stderr, "warns %ld times, then %ld, with notes \"%s\" and \"%s\"; libjpeg's: %u\n", first.warnings,
                second.warnings, first.notes, second.notes, by_libjpeg);
        abort();
    }
    compare_pixels("other stage", &first, &second);
}

static void compare_with_lenient(fi_decoder *decoder) {
    job job = pick_job(fi_decoder_header(decoder), NULL);

    job.options.strict = true;
    decode(decoder, &job, &first);
    if (first.failure.status != FI_OK) return;
    job.options.strict = false;
    decode(decoder, &job, &second);
    if (second.failure.status != FI_OK) {
        fprintf(stderr, "decoded if strict, else it ends %s (\"%s\")\n", fi_status_name(second.failure.status),
                second.failure.text);
        abort();
    }
    compare_pixels("lenient", &first, &second);
}

/*
 * Whether a view may fail that does not fail beside another: blocks that are far off are judged together, by all that come
 * before the last row that is needed.
 */
static bool may_be_outvoted(const fi_plan *plan, const fi_plan *others, size_t count, const fi_failure *failure) {
    const bool is_judged = failure->status == FI_E_CORRUPT && strcmp(failure->text, IMPLAUSIBLE) == 0;
    double lowest = 0;

    for (size_t v = 0; v < count; v++) {
        const double bottom = others[v].box_top + others[v].box_height;
        if (others[v].resize && bottom > lowest) lowest = bottom;
    }
    return is_judged && plan->resize && plan->box_top + plan->box_height < lowest;
}

/*
 * Several views against each by itself. All of them fail if the one that reaches furthest down does, or one that is only
 * cut out. Where the inverse DCT reduces the image for one of them, views that it would reduce further have other pixels.
 */
static void compare_views(fi_decoder *decoder) {
    const fi_options shared = {.mode = (fi_mode)pick(3), .orient = pick(2), .strict = pick(2)};
    const size_t count = 1 + pick(MAX_VIEWS);
    job jobs[MAX_VIEWS];
    fi_view given[MAX_VIEWS];
    fi_plan plans[MAX_VIEWS];
    uint32_t least = 8;
    fi_failure failure = {0};
    bool fails = false;

    for (size_t v = 0; v < count; v++) {
        jobs[v] = pick_job(fi_decoder_header(decoder), &shared);
        given[v] = (fi_view){&jobs[v].options, jobs[v].crop, jobs[v].flip, {0}};
        if (fi_plan_make(&plans[v], fi_decoder_header(decoder), given[v].options, &given[v].crop, given[v].flip,
                         &failure))
            return;
        if (!allocate(&plans[v], given[v].options, &given[v].out, &views[v])) return;
        if (plans[v].resize && plans[v].scale_denom < least) least = plans[v].scale_denom;
    }
    fi_decode_views(decoder, given, count, &failure);
    for (size_t v = 0; v < count; v++) {
        decode(decoder, &jobs[v], &first);
        if (first.failure.status != FI_OK && !may_be_outvoted(&plans[v], plans, count, &first.failure)) fails = true;
        if (failure.status != FI_OK || (plans[v].resize && plans[v].scale_denom != least)) continue;
        if (first.failure.status == FI_OK) compare_pixels("a view", &first, &views[v]);
    }
    if (fails == (failure.status != FI_OK)) return;
    fprintf(stderr, "views end %s (\"%s\"), but not so one by one\n", fi_status_name(failure.status), failure.text);
    abort();
}

/* ---- an input -------------------------------------------------------------------------------------------------- */

static void try_jpeg(fi_decoder *decoder) {
    switch (pick(4)) {
        case 0:
            compare_with_lenient(decoder);
            break;
        case 1:
            compare_views(decoder);
            break;
        default:
            compare_stages(decoder);
            break;
    }
}

/* The bytes as pixels: of each size, from one column to one row. */
static void try_pixels(fi_decoder *decoder, const uint8_t *data, size_t size) {
    fi_failure failure = {0};
    fi_pixels pixels = {.channels = pick(2) ? 1 : 3, .orientation = (uint8_t)(1 + pick(8))};
    const size_t count = size / pixels.channels;

    if (count == 0) return;
    pixels.width = (uint32_t)(1 + (data[0] * 256 + data[size - 1]) % count);
    pixels.height = (uint32_t)(count / pixels.width);
    pixels.stride = (size_t)pixels.width * pixels.channels;
    pixels.data = data + (size - pixels.stride * pixels.height); /* they end where what may be read does */
    if (fi_open_pixels(decoder, &pixels, MAX_PIXELS, &failure) != FI_OK) abort();
    if (pick(2)) {
        compare_views(decoder);
        return;
    }
    compare_stages(decoder);
    if (first.failure.status != FI_OK && first.failure.status != FI_E_SIDE) abort();
}

int LLVMFuzzerInitialize(const int *argc, char ***argv) {
    (void)argc, (void)argv;
    start_core();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fi_failure failure = {0};
    fi_source source;

    if (!take_input(data, size, &source)) return 0;
    /*
     * What a finding needs of the inputs before it, if it does not come back alone, is in their order, which is the same
     * for the same -seed.
     */
    const bool is_new = pick(32) == 31;
    fi_decoder *decoder = is_new ? new_decoder() : kept;
    opened = fi_open(decoder, &source, MAX_PIXELS, &failure);
    if (opened == FI_OK) try_jpeg(decoder);
    else if (fi_is_other(opened)) try_pixels(decoder, source.data, (size_t)source.size);
    if (is_new) fi_decoder_free(decoder);
    return 0;
}

void print_result(void) {
    printf("%s %u\n", fi_status_name(opened), compared);
}

void free_kept(void) {
    fi_decoder_free(kept);
    free(first.pixels);
    free(second.pixels);
    for (size_t v = 0; v < MAX_VIEWS; v++) free(views[v].pixels);
}
