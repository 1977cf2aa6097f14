/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several views of one image: each has the pixels of fi_decode() alone, at the scale at which all of them are decoded. The
 * arguments are files, which are decoded leniently.
 */
#include "cpu.h"
#include "fi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VIEWS = 7, MAX_NBYTES = 1 << 16 };

static fi_options options[VIEWS];
static fi_view views[VIEWS];
static uint8_t found[VIEWS][MAX_NBYTES], wanted[MAX_NBYTES];
static int least_reduced, more_reduced; /* views decoded at their own scale, if that is not 1, and at a finer one */

static void fail(const char *path, int view, const char *why) {
    fprintf(stderr, "%s, view %d: %s\n", path, view, why);
    exit(1);
}

static fi_output output_of(const fi_options *given, const fi_plan *plan, uint8_t *data) {
    const ptrdiff_t row = (ptrdiff_t)plan->out_width * (given->layout == FI_HWC ? fi_channels(given) : 1);
    if (row * plan->out_height * 3 > MAX_NBYTES) exit(2);
    return (fi_output){data, row * plan->out_height, row, plan->out_height, plan->out_width};
}

static fi_plan plan_of(const fi_header *header, int v) {
    fi_failure failure = {0};
    fi_plan plan;
    if (fi_plan_make(&plan, header, &options[v], &views[v].crop, views[v].flip, &failure) != FI_OK) exit(2);
    return plan;
}

/* Crops of an upright image of at least 64 x 64 pixels. */
static void set_views(const fi_header *header, fi_mode mode, bool strict, double reducing_gap) {
    static const struct {
        fi_crop crop;
        uint32_t height, width;
    } geometry[VIEWS] = {
        {{8, 4, 50, 44}, 20, 24}, {{0, 0, 0, 0}, 9, 9},     {{3, 5, 40, 33}, 0, 0},    {{30, 1, 16, 24}, 16, 24},
        {{0, 0, 0, 0}, 31, 12},   {{20, 20, 44, 44}, 3, 3}, {{40, 0, 24, 64}, 40, 80},
    };

    for (int v = 0; v < VIEWS; v++) {
        options[v] = (fi_options){.mode = mode,
                                  .height = geometry[v].height,
                                  .width = geometry[v].width,
                                  .layout = (fi_layout)(v % 2),
                                  .resample = (fi_filter)(v % 5),
                                  .fit = (fi_fit)(v % 3),
                                  .pad = {1, 2, 3},
                                  .orient = true,
                                  .strict = strict,
                                  .reducing_gap = reducing_gap,
                                  .max_scans = 100,
                                  .max_pixels = 1 << 20};
        views[v] = (fi_view){.options = &options[v], .crop = geometry[v].crop, .flip = v % 4 == 1};
        const fi_plan plan = plan_of(header, v);
        views[v].out = output_of(&options[v], &plan, found[v]);
    }
    memset(found, 0xA5, sizeof found);
}

/* Gives view v a reducing_gap with which it is decoded at this scale by itself. */
static void decode_at(const fi_header *header, int v, uint32_t scale_denom) {
    while (plan_of(header, v).scale_denom > scale_denom) options[v].reducing_gap *= 1.05;
}

static void check(const char *path, fi_decoder *decoder, size_t count) {
    const fi_header *header = fi_decoder_header(decoder);
    uint32_t scale_denom = 8;

    for (size_t v = 0; v < count; v++) {
        const fi_plan plan = plan_of(header, (int)v);
        if (plan.resize && plan.scale_denom < scale_denom) scale_denom = plan.scale_denom;
    }
    for (size_t v = 0; v < count; v++) {
        const fi_plan plan = plan_of(header, (int)v);
        const fi_output out = output_of(&options[v], &plan, wanted);
        fi_failure failure = {0};
        if (plan.resize && plan.scale_denom > scale_denom) {
            more_reduced++;
            decode_at(header, (int)v, scale_denom);
            if (plan_of(header, (int)v).scale_denom != scale_denom) exit(2);
        } else if (plan.resize && scale_denom > 1) {
            least_reduced++;
        }
        memset(wanted, 0xA5, sizeof wanted);
        fi_decode(decoder, &options[v], &views[v].crop, views[v].flip, &out, &failure);
        if (failure.status != FI_OK) fail(path, (int)v, "fails alone");
        if (memcmp(found[v], wanted, sizeof wanted) != 0) fail(path, (int)v, "not what it is alone");
    }
    for (size_t v = count; v < VIEWS; v++) {
        for (size_t i = 0; i < MAX_NBYTES; i++) {
            if (found[v][i] != 0xA5) fail(path, (int)v, "written to");
        }
    }
}

static void open_file(fi_decoder *decoder, const char *path) {
    const fi_source source = {.path = path, .size = FI_WHOLE_FILE};
    fi_failure failure = {0};
    if (fi_open(decoder, &source, 1 << 20, &failure) != FI_OK) fail(path, -1, "cannot be opened");
}

static void try_views(fi_decoder *decoder, const char *path, fi_mode mode, double gap) {
    static const size_t counts[] = {VIEWS, 1, 2};

    for (size_t i = 0; i < 3; i++) {
        fi_failure failure = {0};
        open_file(decoder, path);
        set_views(fi_decoder_header(decoder), mode, false, gap);
        if (fi_decode_views(decoder, views, counts[i], &failure) != FI_OK) fail(path, -1, "views fail");
        check(path, decoder, counts[i]);
        if (i == 0) fi_decoder_trim(decoder);
    }
    /* Those in the middle of the list that are not the whole image: all are reduced. */
    open_file(decoder, path);
    set_views(fi_decoder_header(decoder), mode, false, gap);
    views[0] = views[1], views[1] = views[5];
    options[0] = options[1], options[1] = options[5];
    views[0].options = &options[0], views[1].options = &options[1];
    views[0].out.data = found[0], views[1].out.data = found[1];
    fi_failure failure = {0};
    if (fi_decode_views(decoder, views, 2, &failure) != FI_OK) fail(path, -1, "views fail");
    check(path, decoder, 2);
}

/* A view that cannot be made: nothing has been written to the others. */
static void try_refusals(fi_decoder *decoder, const char *path) {
    for (int wrong = 0; wrong < 2; wrong++) {
        fi_failure failure = {0};
        open_file(decoder, path);
        set_views(fi_decoder_header(decoder), FI_MODE_RGB, false, 2);
        if (wrong) views[VIEWS - 1].out.height++;
        else views[VIEWS - 1].crop.top = 1 << 20;
        const fi_status status = fi_decode_views(decoder, views, VIEWS, &failure);
        if (status != failure.status || status != (wrong ? FI_E_SHAPE : FI_E_CROP)) fail(path, wrong, "not refused");
        for (int v = 0; v < VIEWS; v++) {
            for (size_t i = 0; i < MAX_NBYTES; i++) {
                if (found[v][i] != 0xA5) fail(path, v, "written to although another view is wrong");
            }
        }
    }
}

int main(int argc, char **argv) {
    fi_decoder *decoder;

    fi_init(fi_cpu_features());
    decoder = fi_decoder_new();
    if (!decoder) exit(2);
    for (int i = 1; i < argc; i++) {
        for (int mode = FI_MODE_RGB; mode <= FI_MODE_L; mode++) {
            try_views(decoder, argv[i], (fi_mode)mode, 0);
            try_views(decoder, argv[i], (fi_mode)mode, 1);
        }
        try_refusals(decoder, argv[i]);
    }
    if (least_reduced < 10 || more_reduced < 10) fail("all files", -1, "hardly any view was reduced");
    fi_decoder_free(decoder);
    puts("ok");
    return 0;
}
