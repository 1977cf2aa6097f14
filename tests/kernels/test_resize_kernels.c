/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * As test_kernels.c, of the kernels that resample: every version against the C version, this against its definition.
 * From the top of a checkout:
 *
 *   cc -std=c11 -O2 -I fastimg/_core tests/kernels/test_resize_kernels.c fastimg/_core/{kernels,cpu}.c -lm -o test
 */
#include "check.h"

#include <math.h>

enum { MOST_TAPS = 40, LONG_ROW = 65536, MOST_BUFFER_NBYTES = 2 * LONG_ROW + 1024 };

/* ---- what a kernel is told --------------------------------------------------------------------------------------- */

/* The inputs of a kernel, each in a buffer of its own. */
enum {
    FIRST,   /* of resample_rows; the base of resample_near */
    ROWS,    /* of resample_across: pointers to its rows */
    WEIGHTS, /* of all three; the quads of resample_near */
    PIXELS,  /* rows of bytes or of levels, from here on */
    INPUTS = PIXELS + MOST_TAPS,
};

enum { QUAD_ITEMS = sizeof(fi_quad) / sizeof(int16_t), QUAD_BYTES = 16 /* of pixels */ };

typedef struct {
    size_t n, taps; /* resample_near: two taps a pair */
    size_t reach;   /* how many bytes the sources of resample_rows and resample_near have */
} sizes;

typedef struct {
    void *in[INPUTS];
    void *dst[DESTS];
} buffers;

enum { RESAMPLE_ROWS, RESAMPLE_NEAR, RESAMPLE_ACROSS, ROUND_LEVELS, YCC_TO_RGB, KERNELS };

typedef struct {
    const char *name;
    size_t member;  /* where in fi_kernels its pointer is */
    unsigned rows;  /* of pixels or levels that it reads; 0: as many as there are taps */
    unsigned dests;
    unsigned src_item, dst_item; /* bytes of a pixel or level in each of them */
} kernel;

static const kernel all_kernels[KERNELS] = {
    [RESAMPLE_ROWS] = {"resample_rows", offsetof(fi_kernels, resample_rows), 2, 2, 1, 2},
    [RESAMPLE_NEAR] = {"resample_near", offsetof(fi_kernels, resample_near), 2, 2, 1, 2},
    [RESAMPLE_ACROSS] = {"resample_across", offsetof(fi_kernels, resample_across), 0, 1, 2, 2},
    [ROUND_LEVELS] = {"round_levels", offsetof(fi_kernels, round_levels), 1, 1, 2, 1},
    [YCC_TO_RGB] = {"ycc_to_rgb", offsetof(fi_kernels, ycc_to_rgb), 3, 3, 2, 1},
};

/* Those before are tested in test_kernels.c, and so is the next one. */
_Static_assert(offsetof(fi_kernels, ycc8_to_rgb) ==
                   offsetof(fi_kernels, resample_rows) + KERNELS * sizeof(void (*)(void)),
               "a kernel is not tested");

static size_t results_of(const kernel *k, const sizes *s) {
    return k == &all_kernels[RESAMPLE_NEAR] ? (s->n + 7) / 8 * 8 : s->n;
}

static unsigned inputs_of(const kernel *k, const sizes *s) {
    return PIXELS + (k->rows ? k->rows : (unsigned)s->taps);
}

static size_t input_item(const kernel *k, unsigned i) {
    return i == FIRST ? sizeof(uint32_t) : i == ROWS ? sizeof(void *) : i == WEIGHTS ? sizeof(int16_t) : k->src_item;
}

static size_t input_nbytes(const kernel *k, const sizes *s, unsigned i) {
    const long which = k - all_kernels;
    const size_t quads = results_of(k, s) / 4;
    size_t count = 0;

    if (i >= PIXELS) count = which <= RESAMPLE_NEAR ? s->reach : s->n;
    else if (which == RESAMPLE_ROWS) count = i == FIRST ? s->n : i == WEIGHTS ? s->n * s->taps : 0;
    else if (which == RESAMPLE_NEAR) count = i == FIRST ? quads : i == WEIGHTS ? quads * s->taps * QUAD_ITEMS / 2 : 0;
    else if (which == RESAMPLE_ACROSS) count = i == FIRST ? 0 : s->taps;
    return count * input_item(k, i);
}

static void run(const kernel *k, const fi_kernels *by, const sizes *s, const buffers *b) {
    const long which = k - all_kernels;
    const void *const *pixels = (const void *const *)b->in + PIXELS;

    if (which <= RESAMPLE_NEAR) {
        const uint8_t *const src[2] = {pixels[0], pixels[1]};
        int16_t *const dst[2] = {b->dst[0], b->dst[1]};
        if (which == RESAMPLE_ROWS) by->resample_rows(src, dst, b->in[FIRST], b->in[WEIGHTS], s->taps, s->n);
        else by->resample_near(src, dst, b->in[FIRST], b->in[WEIGHTS], s->taps / 2, s->n);
    } else if (which == RESAMPLE_ACROSS) {
        memcpy(b->in[ROWS], pixels, s->taps * sizeof(void *));
        by->resample_across(b->in[ROWS], b->in[WEIGHTS], s->taps, b->dst[0], s->n);
    } else if (which == ROUND_LEVELS) {
        by->round_levels(pixels[0], b->dst[0], s->n);
    } else if (which == YCC_TO_RGB) {
        const int16_t *const ycc[3] = {pixels[0], pixels[1], pixels[2]};
        uint8_t *const rgb[3] = {b->dst[0], b->dst[1], b->dst[2]};
        by->ycc_to_rgb(ycc, rgb, s->n);
    }
}

/* ---- definitions ------------------------------------------------------------------------------------------------- */

/* What pixels.h says, in 64 bits, with a division for each shift: the judge of the C reference. */

static void resample_rows_defined(const uint8_t *const src[2], int16_t *const dst[2], const uint32_t *first,
                                  const int16_t *weights, size_t taps, size_t n) {
    for (size_t i = 0; i < 2 * n; i++) {
        int64_t sum = 0;
        for (size_t k = 0; k < taps; k++) sum += (int64_t)weights[taps * (i / 2) + k] * src[i % 2][first[i / 2] + k];
        dst[i % 2][i / 2] = (int16_t)limit(divide(sum + 128, 256), INT16_MIN, INT16_MAX);
    }
}

static void resample_near_defined(const uint8_t *const src[2], int16_t *const dst[2], const uint32_t *base,
                                  const fi_quad *quads, size_t pairs, size_t n) {
    for (size_t x = 0; x < (n + 7) / 8 * 8; x++) {
        int64_t sum[2] = {0, 0};
        for (size_t k = 0; k < 2 * pairs; k++) {
            const fi_quad *quad = &quads[x / 4 * pairs + k / 2];
            const uint8_t index = quad->index[4 * (x % 4) + 2 * (k % 2)];
            if (index == FI_NO_BYTE) continue;
            for (int r = 0; r < 2; r++) sum[r] += quad->weights[2 * (x % 4) + k % 2] * src[r][base[x / 4] + index];
        }
        for (int r = 0; r < 2; r++) dst[r][x] = (int16_t)limit(divide(sum[r] + 128, 256), INT16_MIN, INT16_MAX);
    }
}

static void resample_across_defined(const int16_t *const *rows, const int16_t *weights, size_t taps, int16_t *dst,
                                    size_t n) {
    for (size_t i = 0; i < n; i++) {
        int64_t sum = 0;
        for (size_t k = 0; k < taps; k++) sum += (int64_t)weights[k] * rows[k][i];
        dst[i] = (int16_t)limit(divide(sum + 8192, 16384), INT16_MIN, INT16_MAX);
    }
}

static void round_levels_defined(const int16_t *src, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = (uint8_t)limit(divide((int64_t)src[i] + 32, 64), 0, UINT8_MAX);
}

/* Chroma less 128 and what it adds to Y are limited, products are rounded to levels; all the rest is exact. */
static void ycc_to_rgb_defined(const int16_t *const ycc[3], uint8_t *const rgb[3], size_t n) {
    const int64_t r_cr = lround(0.402 * 32768), g_cb = lround(0.344136 * 32768), g_cr = lround(0.714136 * 32768);
    const int64_t b_cb = lround(0.772 * 32768);

    for (size_t i = 0; i < n; i++) {
        const int64_t cb = limit((int64_t)ycc[1][i] - 128 * 64, INT16_MIN, INT16_MAX);
        const int64_t cr = limit((int64_t)ycc[2][i] - 128 * 64, INT16_MIN, INT16_MAX);
        const int64_t chroma[3] = {
            cr + divide(cr * r_cr + 16384, 32768),
            divide(cb * g_cb + 16384, 32768) + divide(cr * g_cr + 16384, 32768), /* to be subtracted */
            cb + divide(cb * b_cb + 16384, 32768),
        };
        for (int c = 0; c < 3; c++) {
            const int64_t level = ycc[0][i] + (c == 1 ? -1 : 1) * limit(chroma[c], INT16_MIN, INT16_MAX);
            rgb[c][i] = (uint8_t)limit(divide(level + 32, 64), 0, UINT8_MAX);
        }
    }
}

static const fi_kernels definition = {
    .name = "its definition",
    .resample_rows = resample_rows_defined,
    .resample_near = resample_near_defined,
    .resample_across = resample_across_defined,
    .round_levels = round_levels_defined,
    .ycc_to_rgb = ycc_to_rgb_defined,
};

/* ---- fills ------------------------------------------------------------------------------------------------------- */

static const char *const weight_fills[] = {"largest", "least", "alternating", "single", "random", "random positive"};
static const char *const pixel_fills[] = {"largest", "least", "alternating", "random", "in order"};
#define WEIGHT_FILLS (sizeof weight_fills / sizeof weight_fills[0])
#define PIXEL_FILLS (sizeof pixel_fills / sizeof pixel_fills[0])

/* The weights of one result. Magnitudes sum to 2 if an int16_t allows it. */
static void fill_weights(int16_t *w, size_t taps, size_t fill) {
    const int most = 32768 / (int)taps, rest = 32768 - most * (int)taps;

    for (size_t k = 0; k < taps; k++) {
        const int sign = fill == 1 || (fill == 2 && k & 1) ? -1 : 1;
        if (fill < 3) w[k] = (int16_t)(sign * (k ? most : most + rest));
        else if (fill == 3) w[k] = 0;
        else if (fill == 4) w[k] = (int16_t)(random16() % (2 * most + 1) - most);
        else w[k] = (int16_t)(random16() % (most + 1));
    }
    if (fill == 3) w[random16() % taps] = random16() & 1 ? INT16_MIN : INT16_MAX;
}

/* A quad's: of any bytes, one in eight of them none. */
static void fill_quad(fi_quad *steps, size_t taps, size_t fill) {
    for (size_t j = 0; j < 4; j++) {
        int16_t w[MOST_TAPS];
        fill_weights(w, taps, fill);
        for (size_t k = 0; k < taps; k++) {
            fi_quad *step = &steps[k / 2];
            const size_t at = 2 * j + k % 2;
            step->weights[at] = w[k];
            step->index[2 * at] = random16() % 8 ? random16() % QUAD_BYTES : FI_NO_BYTE;
            step->index[2 * at + 1] = FI_NO_BYTE;
        }
    }
}

/* Row r of pixels or levels; what alternates does so in both directions: results of either sign. */
static void fill_pixels(void *p, size_t item, size_t count, size_t r, size_t fill) {
    for (size_t i = 0; i < count; i++) {
        const bool high = fill == 0 || (fill == 2 && (i ^ r) & 1);
        const uint16_t other = fill == 3 ? random16() : (uint16_t)(i * (2 * r + 1));
        if (item == 1) ((uint8_t *)p)[i] = fill < 3 ? (high ? UINT8_MAX : 0) : (uint8_t)other;
        else ((int16_t *)p)[i] = fill < 3 ? (high ? INT16_MAX : INT16_MIN) : (int16_t)other;
    }
}

/* In order if so asked, up to `most`, which is where the last one is: its taps end where the sources end. */
static void fill_first(uint32_t *first, size_t count, size_t most, bool in_order) {
    for (size_t x = 0; x < count; x++) {
        first[x] = (uint32_t)(x == count - 1 ? most : in_order ? most * x / (count - 1) : random16() % (most + 1));
    }
}

/* ---- trying ------------------------------------------------------------------------------------------------------ */

static guarded sources[INPUTS];
static void *data[INPUTS]; /* what the sources are filled with */
static sizes tried;

static void print_sizes(void) {
    printf("n %zu, taps %zu, %zu bytes of source rows;", tried.n, tried.taps, tried.reach);
}

static void fill_inputs(const kernel *k, const sizes *s, size_t weight_fill, size_t pixel_fill) {
    static char name[64];
    snprintf(name, sizeof name, "%s weights, %s pixels", weight_fills[weight_fill], pixel_fills[pixel_fill]);
    now.fill = name;
    const bool is_near = k == &all_kernels[RESAMPLE_NEAR];
    fill_first(data[FIRST], input_nbytes(k, s, FIRST) / sizeof(uint32_t), s->reach - (is_near ? QUAD_BYTES : s->taps),
               weight_fill != 4);
    for (size_t q = 0; is_near && q < results_of(k, s) / 4; q++) {
        fill_quad((fi_quad *)data[WEIGHTS] + q * (s->taps / 2), s->taps, weight_fill);
    }
    for (size_t x = 0; !is_near && x < input_nbytes(k, s, WEIGHTS) / sizeof(int16_t); x += s->taps) {
        fill_weights((int16_t *)data[WEIGHTS] + x, s->taps, weight_fill);
    }
    for (unsigned i = PIXELS; i < inputs_of(k, s); i++) {
        fill_pixels(data[i], k->src_item, input_nbytes(k, s, i) / k->src_item, i - PIXELS, pixel_fill);
    }
}

/* Offsets are in items: a pointer to a number has to be aligned as C wants it. */
static void try_at(const kernel *k, const fi_kernels *version, const sizes *s, size_t src_offset, size_t dst_offset) {
    const size_t dst_nbytes = results_of(k, s) * k->dst_item;
    buffers b;

    now.src_offset = src_offset;
    now.dst_offset = dst_offset * k->dst_item;
    for (unsigned i = 0; i < inputs_of(k, s); i++) {
        const size_t nbytes = input_nbytes(k, s, i), offset = src_offset ? (src_offset + i) % VECTOR : 0;
        b.in[i] = place(&sources[i], nbytes, offset * input_item(k, i), now.at_end);
        memcpy(b.in[i], data[i], nbytes);
    }
    for (unsigned d = 0; d < k->dests; d++) b.dst[d] = place_dest(d, dst_nbytes, dst_offset * k->dst_item);
    if (k->rows == 2) { /* one row twice, as at the bottom of an odd number of rows */
        const buffers twice = {
            .in = {[FIRST] = b.in[FIRST], [WEIGHTS] = b.in[WEIGHTS], [PIXELS] = b.in[PIXELS], b.in[PIXELS]},
            .dst = {b.dst[0], b.dst[0]},
        };
        run(k, version, s, &twice);
        compare_dest(0, b.dst[0], dst_nbytes);
        place_dest(0, dst_nbytes, dst_offset * k->dst_item);
    }
    run(k, version, s, &b);
    for (unsigned d = 0; d < k->dests; d++) compare_dest(d, b.dst[d], dst_nbytes);
}

/* One shape, with all fills, at both ends of the buffers, at offsets up to (without) most_offset. */
static void try_sizes(const kernel *k, const fi_kernels *version, const fi_kernels *judge, sizes s,
                      size_t most_offset) {
    buffers b;

    tried = s;
    memcpy(b.in, data, sizeof data);
    for (size_t fill = 0; fill < PIXEL_FILLS * (s.taps ? WEIGHT_FILLS : 1); fill++) {
        fill_inputs(k, &s, fill / PIXEL_FILLS, fill % PIXEL_FILLS);
        for (unsigned d = 0; d < DESTS; d++) b.dst[d] = new_expected(d, results_of(k, &s) * k->dst_item);
        run(k, judge, &s, &b);
        for (int at_end = 0; at_end < 2; at_end++) {
            now.at_end = at_end;
            try_at(k, version, &s, 0, 0);
            for (size_t offset = 1; offset < most_offset; offset++) {
                try_at(k, version, &s, offset, 13 * offset % VECTOR);
                if (!s.taps) try_at(k, version, &s, 0, offset);
            }
        }
    }
}

static void try_kernel(const kernel *k, const fi_kernels *version, const fi_kernels *judge) {
    const long which = k - all_kernels;
    const size_t short_rows = 3 * VECTOR / k->dst_item + 2; /* 0 to 3 vectors + 1 */
    const size_t step = which == RESAMPLE_ROWS ? 8 : 2, most_taps = which == RESAMPLE_NEAR ? 16 : MOST_TAPS;

    for (size_t n = 0; n < short_rows; n++) {
        /* Enlarging, all results from the same pixels, reducing. */
        const size_t span = n % 3 == 0 ? n / 2 : n % 3 == 1 ? 0 : 3 * n;
        if (which >= ROUND_LEVELS) try_sizes(k, version, judge, (sizes){.n = n}, VECTOR);
        else
            for (size_t taps = step; taps <= most_taps; taps += step) {
                const size_t reach[] = {span + taps, span + QUAD_BYTES, 0};
                try_sizes(k, version, judge, (sizes){n, taps, reach[which]}, 2);
            }
    }
    if (which == RESAMPLE_ROWS) try_sizes(k, version, judge, (sizes){255, 200, 2000}, 2);
    if (which <= RESAMPLE_NEAR) try_sizes(k, version, judge, (sizes){1023, 8, 3000}, 2);
    else if (which == RESAMPLE_ACROSS) try_sizes(k, version, judge, (sizes){4099, 4, 0}, 2);
    else try_sizes(k, version, judge, (sizes){.n = LONG_ROW}, 2); /* in order: all levels there are */
}

static void try_version(const fi_kernels *version) {
    for (const kernel *k = all_kernels; k < all_kernels + KERNELS; k++) {
        const fi_kernels *judge = judge_of(k->name, k->member, version, &definition);
        if (!judge) continue;
        try_kernel(k, version, judge);
        say_equal();
    }
}

/* ---- times ------------------------------------------------------------------------------------------------------- */

/* As in the middle of reducing an image: 256 results of a row or column each, from twice as many pixels. */
static void time_version(const kernel *k, const fi_kernels *version, size_t taps) {
    enum { RESULTS = 256, CALLS = 200, ROUNDS = 50 };
    const sizes s = {RESULTS, taps, 2 * RESULTS + taps};
    buffers b;
    double best = 1e30;

    fill_inputs(k, &s, 5, 3);
    memcpy(b.in, data, sizeof data);
    for (unsigned d = 0; d < DESTS; d++) b.dst[d] = dests[d].start;
    for (int round = 0; round < ROUNDS; round++) { /* the best one: nobody else was running */
        const uint64_t start = now_ns();
        for (int call = 0; call < CALLS; call++) run(k, version, &s, &b);
        const double ns = (double)(now_ns() - start) / CALLS / RESULTS / k->dests;
        if (ns < best) best = ns;
    }
    printf("%-15s %-5s %4zu %9.3f\n", k->name, version->name, taps, best);
}

static void time_all(void) {
    const fi_kernels best = fi_kernels_choose(fi_cpu_features());
    printf("\nkernel          by    taps ns/result\n");
    for (const kernel *k = all_kernels; k < all_kernels + KERNELS; k++) {
        const bool has_taps = k < all_kernels + ROUND_LEVELS;
        for (size_t taps = 8; taps <= (has_taps ? 24 : 8); taps += 8) {
            time_version(k, &fi_kernels_c, taps);
            if (!is_same_function(k->member, &best, &fi_kernels_c)) time_version(k, &best, taps);
        }
    }
}

int main(int argc, char **argv) {
    for (int i = 0; i < INPUTS; i++) {
        sources[i] = guarded_new(MOST_BUFFER_NBYTES);
        data[i] = malloc(MOST_BUFFER_NBYTES);
    }
    new_dests(MOST_BUFFER_NBYTES);
    catch_faults();

    for_all_versions(try_version);
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) time_all();
    return 0;
}
