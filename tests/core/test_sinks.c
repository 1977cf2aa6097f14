/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sinks, fed by hand: no libjpeg is linked. What a copy sink writes is compared with a plain loop over pixels for every
 * kind of rows, mode, layout, dtype, orientation and crop. A resample sink must give the same pixels however the rows are
 * grouped and whether they come as planes or interleaved, and stay close to resampling in double precision. Sinks behind
 * a fan write what each of them would alone.
 */
#include "cpu.h"
#include "pixels/color.h"
#include "pixels/copy_sink.h"
#include "pixels/fan_sink.h"
#include "pixels/kernels.h"
#include "pixels/resample_sink.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEIGHT = 84, WIDTH = 71, MAX_NBYTES = 4 * 3 * 96 * 96, SLACK = FI_ROW_SLACK };

static uint8_t planes[3][HEIGHT][WIDTH + SLACK], pixels[HEIGHT][4 * WIDTH + SLACK];
static uint8_t found[MAX_NBYTES], wanted[MAX_NBYTES];
static fi_buffer memory;
static const char *const kinds[] = {"grey", "ycc", "rgb", "rgb pixels", "cmyk pixels"};

static void fail(const char *what, fi_rows_kind kind, const fi_options *options, const char *more) {
    fprintf(stderr, "%s: rows %s, mode %d, layout %d, dtype %s: %s\n", what, kinds[kind], options->mode,
            options->layout, fi_element_of(options->dtype)->name, more);
    exit(1);
}

static unsigned next_random(void) {
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return state >> 24;
}

static unsigned pixel_nbytes(fi_rows_kind kind) {
    return kind == FI_ROWS_RGB_PIXELS ? 3 : kind == FI_ROWS_CMYK_PIXELS ? 4 : 1;
}

/* ---- what pixels should be ------------------------------------------------------------------------------------- */

static int clamp(double v) {
    return v < 0 ? 0 : v > 255 ? 255 : (int)floor(v + 0.5);
}

/* R, G and B of one pixel of the file, by the published formulas. */
static void rgb_at(fi_rows_kind kind, size_t y, size_t x, int rgb[3]) {
    const uint8_t *p = pixels[y] + x * pixel_nbytes(kind);
    const double luma = planes[0][y][x], cb = planes[1][y][x] - 128.0, cr = planes[2][y][x] - 128.0;

    for (int c = 0; c < 3; c++) {
        if (kind == FI_ROWS_GREY) rgb[c] = planes[0][y][x];
        if (kind == FI_ROWS_RGB) rgb[c] = planes[c][y][x];
        if (kind == FI_ROWS_RGB_PIXELS) rgb[c] = p[c];
        if (kind == FI_ROWS_CMYK_PIXELS) rgb[c] = p[3] - clamp((255 - p[c]) * p[3] / 255.0);
    }
    if (kind == FI_ROWS_YCC) {
        rgb[0] = clamp(luma + 91881 / 65536.0 * cr); /* JFIF's factors as libjpeg rounds them */
        rgb[1] = clamp(luma - 22554 / 65536.0 * cb - 46802 / 65536.0 * cr);
        rgb[2] = clamp(luma + 116130 / 65536.0 * cb);
    }
}

/*
 * Value v of output channel c, as the dtype has it: every table entry is different. Each step has a variable of its own,
 * as processors compute expressions with more digits (s390x, x87).
 */
static void put_element(const fi_options *options, unsigned c, int v, uint8_t *to) {
    const uint8_t byte = (uint8_t)v;
    const float scaled = byte / 255.0f, centred = scaled - options->mean[c], f = centred / options->std[c];

    if (options->dtype == FI_UINT8) *to = byte;
    else if (options->dtype == FI_FLOAT32) memcpy(to, &f, 4);
    else memcpy(to, &options->table.u16[c][v], 2);
}

static uint8_t *element_at(const fi_output *out, const fi_options *options, unsigned c, size_t y, size_t x) {
    const size_t nbytes = fi_element_of(options->dtype)->nbytes;
    uint8_t *row = out->data + (ptrdiff_t)y * out->row_stride;
    if (options->layout == FI_CHW) return row + (ptrdiff_t)c * out->plane_stride + x * nbytes;
    return row + (x * fi_channels(options) + c) * nbytes;
}

/* The stored pixel that upright pixel (y, x) shows, by EXIF's definitions. */
static void stored(unsigned orientation, size_t *y, size_t *x) {
    const size_t v = *y, u = *x;
    const bool swap = orientation >= 5;
    const size_t row = swap ? u : v, column = swap ? v : u;
    const bool flip_rows = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const bool flip_columns = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;

    *y = flip_rows ? HEIGHT - 1 - row : row;
    *x = flip_columns ? WIDTH - 1 - column : column;
}

static void copy_plainly(fi_rows_kind kind, const fi_options *options, unsigned orientation, const fi_crop *crop,
                         bool flip, const fi_output *out) {
    for (size_t i = 0; i < out->height; i++) {
        for (size_t j = 0; j < out->width; j++) {
            size_t y = (size_t)crop->top + i, x = (size_t)crop->left + (flip ? out->width - 1 - j : j);
            int rgb[3];
            stored(orientation, &y, &x);
            rgb_at(kind, y, x, rgb);
            if (options->mode == FI_MODE_L && kind != FI_ROWS_GREY) {
                rgb[0] = (19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16;
            }
            for (unsigned c = 0; c < fi_channels(options); c++) {
                const unsigned from = options->mode == FI_MODE_BGR ? 2 - c : c;
                put_element(options, c, rgb[from], element_at(out, options, c, i, j));
            }
        }
    }
}

/* ---- feeding sinks --------------------------------------------------------------------------------------------- */

static fi_format format_of(fi_rows_kind kind, uint32_t rows_per_group) {
    const bool interleaved = pixel_nbytes(kind) > 1;
    fi_format format = {.kind = kind,
                        .height = HEIGHT,
                        .width = WIDTH,
                        .max_h_samp = 1,
                        .max_v_samp = 1,
                        .scale_denom = 1,
                        .has_partial_samples = true};
    for (int p = 0; p < 3; p++) {
        format.planes[p] = (fi_plane_format){
            .stride = interleaved ? sizeof pixels[0] : sizeof planes[0][0],
            .rows_per_group = rows_per_group,
            .h_samp = 1,
            .v_samp = 1,
            .scaled_size = 8,
        };
    }
    return format;
}

/* Feeds whole images, `groups` groups at a time. */
static void feed(fi_sink *sink, fi_rows_kind kind, uint32_t rows_per_group, uint32_t groups) {
    const fi_format format = format_of(kind, rows_per_group);

    if (!sink->begin(sink, &format)) exit(2);
    for (uint32_t y = 0; !sink->done(sink); y += groups * rows_per_group) {
        const uint8_t *from[3] = {pixel_nbytes(kind) > 1 ? pixels[y] : planes[0][y], planes[1][y], planes[2][y]};
        if (y >= HEIGHT) {
            fprintf(stderr, "a sink wants more than all rows of kind %s\n", kinds[kind]);
            exit(1);
        }
        const uint32_t left = (HEIGHT - y) / rows_per_group;
        sink->rows(sink, from, groups < left ? groups : left ? left : 1);
    }
}

static fi_output output_for(const fi_options *options, const fi_plan *plan, uint8_t *data) {
    const ptrdiff_t nbytes = (ptrdiff_t)fi_element_of(options->dtype)->nbytes;
    const ptrdiff_t row = (ptrdiff_t)plan->out_width * nbytes * (options->layout == FI_HWC ? fi_channels(options) : 1);
    memset(data, 0xA5, MAX_NBYTES);
    return (fi_output){data, row * plan->out_height, row, plan->out_height, plan->out_width};
}

static fi_plan plan_for(const fi_options *options, unsigned orientation, const fi_crop *crop, bool flip) {
    const fi_header header = {.width = WIDTH, .height = HEIGHT, .orientation = (uint8_t)orientation, .color = FI_RGB};
    fi_failure failure = {0};
    fi_plan plan;
    if (fi_plan_make(&plan, &header, options, crop, flip, &failure) != FI_OK) exit(2);
    return plan;
}

/* ---- copy ------------------------------------------------------------------------------------------------------ */

static void try_copy(fi_rows_kind kind, const fi_options *options, unsigned orientation, bool flip) {
    fi_crop crop = {0, 0, orientation < 5 ? HEIGHT : WIDTH, orientation < 5 ? WIDTH : HEIGHT};
    fi_copy_sink sink;

    if (flip) crop = (fi_crop){3, 5, crop.height - 9, crop.width - 6};
    const fi_plan plan = plan_for(options, orientation, &crop, flip);
    const fi_output out = output_for(options, &plan, found), plain = output_for(options, &plan, wanted);
    fi_copy_sink_init(&sink, &plan, options, &out, &memory);
    if (!sink.base.takes(&sink.base, kind)) return;
    copy_plainly(kind, options, orientation, &crop, flip, &plain);
    for (uint32_t groups = 1; groups <= HEIGHT; groups = groups * 3 + 1) {
        feed(&sink.base, kind, 1, groups);
        if (memcmp(found, wanted, sizeof found) != 0) {
            fprintf(stderr, "orientation %u, flip %d, %u rows at a time\n", orientation, flip, groups);
            fail("copy", kind, options, "not what a plain loop gives");
        }
        memset(found, 0x5A, sizeof found); /* begun anew, it must write everything again */
        memset(wanted, 0x5A, sizeof wanted);
        copy_plainly(kind, options, orientation, &crop, flip, &plain);
    }
}

/* ---- resample -------------------------------------------------------------------------------------------------- */

/* The bilinear filter, antialiased, in double precision. */
static double weight_of(double x) {
    return fabs(x) < 1 ? 1 - fabs(x) : 0;
}

static double filtered(unsigned p, const fi_plan *plan, size_t i, size_t j) {
    const double step_y = (double)HEIGHT / plan->rows, step_x = (double)WIDTH / plan->cols;
    const double scale_y = step_y > 1 ? step_y : 1, scale_x = step_x > 1 ? step_x : 1;
    double sum = 0, total = 0;

    for (size_t y = 0; y < HEIGHT; y++) {
        const double wy = weight_of(((double)y + 0.5 - (double)i * step_y - step_y / 2) / scale_y);
        for (size_t x = 0; wy > 0 && x < WIDTH; x++) {
            const double w = wy * weight_of(((double)x + 0.5 - (double)j * step_x - step_x / 2) / scale_x);
            sum += w * planes[p][y][x];
            total += w;
        }
    }
    return sum / total;
}

/* A row of its own, with just the slack after it, for AddressSanitizer to watch. */
static void feed_tight(fi_sink *sink) {
    const fi_format format = format_of(FI_ROWS_RGB, 1);
    uint8_t *tight[3];

    if (!sink->begin(sink, &format)) exit(2);
    for (uint32_t y = 0; !sink->done(sink); y++) {
        for (int p = 0; p < 3; p++) {
            tight[p] = malloc(WIDTH + SLACK);
            if (!tight[p]) exit(2);
            memcpy(tight[p], planes[p][y], WIDTH);
            memset(tight[p] + WIDTH, 0xFF, SLACK);
        }
        sink->rows(sink, (const uint8_t *const *)tight, 1);
        for (int p = 0; p < 3; p++) free(tight[p]);
    }
}

static void try_resample(fi_filter filter, uint32_t height, uint32_t width) {
    const fi_options options = {.height = height, .width = width, .resample = filter};
    const fi_crop whole = {0};
    const fi_plan plan = plan_for(&options, 1, &whole, false);
    const fi_output out = output_for(&options, &plan, found);
    fi_coef_cache *cache = fi_coef_cache_new();
    fi_resample_sink sink;

    fi_resample_sink_init(&sink, &plan, &options, &out, cache, &memory);
    feed(&sink.base, FI_ROWS_RGB, 1, 1);
    memcpy(wanted, found, sizeof found);
    feed_tight(&sink.base);
    if (memcmp(found, wanted, sizeof found) != 0) fail("resample", FI_ROWS_RGB, &options, "reads past its rows");
    for (uint32_t p = 0; p < 3 && filter == FI_BILINEAR; p++) {
        for (size_t i = 0; i < height; i++) {
            for (size_t j = 0; j < width; j++) {
                const double off = wanted[(p * height + i) * width + j] - filtered(p, &plan, i, j);
                if (fabs(off) > 1) fail("resample", FI_ROWS_RGB, &options, "more than a level off");
            }
        }
    }
    for (uint32_t group = 1; group <= 16; group++) {
        for (int kind = FI_ROWS_RGB; kind <= FI_ROWS_RGB_PIXELS; kind++) {
            const uint32_t rows = kind == FI_ROWS_RGB && HEIGHT % group == 0 ? group : 1;
            memset(found, 0xA5, sizeof found);
            feed(&sink.base, (fi_rows_kind)kind, rows, rows == 1 ? group : 1);
            if (memcmp(found, wanted, sizeof found) != 0) {
                fail("resample", (fi_rows_kind)kind, &options, "pixels depend on how the rows come");
            }
        }
    }
    fi_coef_cache_free(cache);
}

/* ---- fan ------------------------------------------------------------------------------------------------------- */

enum { FANNED = 3 };

/* Rows that no sink needs hold other bytes: a sink that looked at them would write other pixels. */
static void feed_what_is_needed(fi_sink *sink, fi_rows_kind kind) {
    static const uint8_t other[4 * WIDTH + SLACK];
    const fi_format format = format_of(kind, 1);
    uint32_t y = 0;

    if (!sink->begin(sink, &format)) exit(2);
    for (; !sink->done(sink); y++) {
        const uint8_t *from[3] = {pixel_nbytes(kind) > 1 ? pixels[y] : planes[0][y], planes[1][y], planes[2][y]};
        for (unsigned p = 0; p < 3; p++) {
            if (!sink->needs(sink, p < fi_rows_channels(kind, FI_MODE_RGB) ? p : 0)) from[p] = other;
        }
        sink->rows(sink, from, 1);
    }
    if (y != 66) fail("fan", kind, &(fi_options){0}, "not done after the last row that is needed");
}

static void try_fan(fi_rows_kind kind) {
    static const fi_crop crops[FANNED] = {{50, 3, 16, 40}, {6, 0, 20, WIDTH}, {8, 60, 12, 11}};
    static uint8_t outputs[FANNED][MAX_NBYTES];
    static fi_buffer memories[FANNED];
    const fi_options options[FANNED] = {{.height = 9, .width = 17},
                                        {.height = 5, .width = 4, .layout = FI_HWC, .resample = FI_LANCZOS},
                                        {.height = 12, .width = 16, .resample = FI_BICUBIC}};
    fi_coef_cache *caches[FANNED];
    fi_resample_sink sinks[FANNED];
    fi_sink *bases[FANNED];
    fi_plan plans[FANNED];
    fi_output outs[FANNED];
    fi_fan_sink fan;

    for (int i = 0; i < FANNED; i++) {
        plans[i] = plan_for(&options[i], 1, &crops[i], i == 1);
        outs[i] = output_for(&options[i], &plans[i], outputs[i]);
        caches[i] = fi_coef_cache_new();
        fi_resample_sink_init(&sinks[i], &plans[i], &options[i], &outs[i], caches[i], &memories[i]);
        bases[i] = &sinks[i].base;
    }
    fi_fan_sink_init(&fan, bases, FANNED);
    if (!fan.base.takes(&fan.base, kind) || fan.base.takes(&fan.base, FI_ROWS_OUTPUT)) exit(1);
    feed_what_is_needed(&fan.base, kind);
    for (int i = 0; i < FANNED; i++) {
        fi_output alone = output_for(&options[i], &plans[i], wanted);
        fi_resample_sink_init(&sinks[i], &plans[i], &options[i], &alone, caches[i], &memory);
        feed(&sinks[i].base, kind, 1, 1);
        if (memcmp(outputs[i], wanted, sizeof wanted) != 0) fail("fan", kind, &options[i], "not what it is alone");
        fi_coef_cache_free(caches[i]);
        fi_buffer_free(&memories[i]);
    }
}

/* All of its sinks must take the rows. */
static void try_takes(void) {
    const fi_options options[2] = {{.height = 9, .width = 17}, {.height = 9, .width = 17, .mode = FI_MODE_L}};
    fi_resample_sink sinks[2];
    fi_sink *bases[2];
    fi_fan_sink fan;

    for (int i = 0; i < 2; i++) {
        fi_resample_sink_init(&sinks[i], NULL, &options[i], NULL, NULL, NULL);
        bases[i] = &sinks[i].base;
    }
    fi_fan_sink_init(&fan, bases, 2);
    if (fan.base.takes(&fan.base, FI_ROWS_YCC) || !fan.base.takes(&fan.base, FI_ROWS_RGB_PIXELS)) {
        fail("fan", FI_ROWS_YCC, &options[1], "takes what one of its sinks does not");
    }
}

/* With an argument: the C kernels alone. */
int main(int argc, char **argv) {
    (void)argv;
    fi_kernels_init(argc > 1 ? 0 : fi_cpu_features());
    for (size_t y = 0; y < HEIGHT; y++) {
        for (size_t i = 0; i < sizeof pixels[0]; i++) pixels[y][i] = (uint8_t)next_random();
        for (size_t x = 0; x < WIDTH; x++) {
            for (int p = 0; p < 3; p++) planes[p][y][x] = pixels[y][3 * x + (size_t)p];
        }
    }
    for (int kind = FI_ROWS_GREY; kind < FI_ROWS_OUTPUT; kind++) {
        for (int i = 0; i < 3 * 2 * 4; i++) {
            fi_options options = {
                .mode = (fi_mode)(i % 3), .layout = (fi_layout)(i / 3 % 2), .dtype = (fi_dtype)(i / 6), .orient = true};
            for (int c = 0; c < 3; c++) {
                options.mean[c] = 0.25f * (float)c;
                options.std[c] = 1 + (float)c;
                for (int v = 0; v < 256; v++) {
                    if (options.dtype == FI_FLOAT32)
                        put_element(&options, (unsigned)c, v, (uint8_t *)&options.table.f32[c][v]);
                    else options.table.u16[c][v] = (uint16_t)(256 * c + v); /* no two alike */
                }
            }
            for (unsigned orientation = 1; orientation <= 8; orientation++) {
                try_copy((fi_rows_kind)kind, &options, orientation, false);
                try_copy((fi_rows_kind)kind, &options, orientation, true);
            }
        }
    }
    for (int filter = FI_BILINEAR; filter <= FI_LANCZOS; filter++) {
        try_resample((fi_filter)filter, 30, 40);
        try_resample((fi_filter)filter, 84, 9);
        try_resample((fi_filter)filter, 7, 71);
        try_resample((fi_filter)filter, 96, 96);
        try_resample((fi_filter)filter, 3, 2);
    }
    for (int kind = FI_ROWS_GREY; kind < FI_ROWS_OUTPUT; kind++) try_fan((fi_rows_kind)kind);
    try_takes();
    fi_buffer_free(&memory);
    puts("ok");
    return 0;
}
