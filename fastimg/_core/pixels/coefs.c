/* SPDX-License-Identifier: BSD-3-Clause */
#include "pixels/coefs.h"

#include "exact.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846

/*
 * An image size needs four sets: two axes, luma and chroma. One image needs six at most. Of photos of many sizes, this
 * finds 43 % of them again (16 sets: 32 %), in some 12 kB each for a result of 256 x 256.
 */
#define MAX_COEFS 32

/* Larger sets are freed when the decoder is put aside. */
#define KEEP_NBYTES ((size_t)1 << 18)

typedef struct {
    fi_axis axis;
    fi_coefs coefs;
    fi_buffer memory;
    fi_buffer quads;
    uint64_t last_use; /* 0 if empty */
} entry;

struct fi_coef_cache {
    entry entries[MAX_COEFS];
    fi_buffer scratch; /* one result's weights before rounding */
    fi_buffer supports; /* of the set that is being computed */
    uint64_t clock;
};

/* ---- filters --------------------------------------------------------------------------------------------------- */

/* The same functions as Pillow's (Resample.c), so that results can be compared. x is in units of the result. */

static double box_filter(double x) {
    return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double bilinear_filter(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double hamming_filter(double x) {
    x = fabs(x);
    if (x == 0) return 1;
    if (x >= 1) return 0;
    return sin(PI * x) / (PI * x) * (0.54 + 0.46 * cos(PI * x));
}

/* R. G. Keys, Cubic Convolution Interpolation for Digital Image Processing (1981), with a = -0.5 */
static double bicubic_filter(double x) {
    x = fabs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
    return 0;
}

/* sinc(x) sinc(x / 3), with one sine: sin 3a = 3 sin a - 4 sin^3 a. */
static double lanczos_filter(double x) {
    if (x == 0) return 1;
    if (x < -3 || x >= 3) return 0;
    const double a = PI * x / 3, s = sin(a);
    return (3 * s - 4 * s * s * s) * s / (3 * a * a);
}

static const struct {
    double (*weight)(double x);
    double support;
} filters[] = {
    [FI_BILINEAR] = {bilinear_filter, 1}, [FI_BOX] = {box_filter, 0.5},       [FI_HAMMING] = {hamming_filter, 1},
    [FI_BICUBIC] = {bicubic_filter, 2},   [FI_LANCZOS] = {lanczos_filter, 3},
};

/* ---- one set --------------------------------------------------------------------------------------------------- */

/* What one result depends on: grid pixels low to high - 1, which are spread from samples first to last. */
typedef struct {
    double centre; /* in upright pixels, as counted by upright() */
    uint32_t low, high;
    uint32_t first, last;
} axis_support;

/* floor(v), clamped to low .. high */
static uint32_t clamp_floor(double v, uint32_t low, uint32_t high) {
    return v <= low ? low : v >= high ? high : (uint32_t)v;
}

/* The sample that a grid pixel belongs to. The ratio is usually 1, and divisions are slow. */
static uint32_t owner_of(const fi_axis *axis, uint32_t v) {
    return axis->ratio == 1 ? v : v / axis->ratio;
}

/*
 * Distances are measured along the upright image, from the edge of the visible part. So a tie between two pixels goes
 * to the same one however the file is stored and wherever it is cropped.
 */
static uint32_t upright(const fi_axis *axis, uint32_t v) {
    return axis->reversed ? axis->high - 1 - v : v - axis->low;
}

static axis_support find_support(const fi_axis *axis, uint32_t i, double step, double radius) {
    const uint32_t most = axis->samples - 1, all = axis->high - axis->low;
    const double start = axis->reversed ? axis->high - (axis->start + axis->length) : axis->start - axis->low;
    axis_support s = {.centre = start + ((axis->reversed ? axis->count - 1 - i : i) + 0.5) * step};
    uint32_t low = clamp_floor(s.centre - radius + 0.5, 0, all);
    uint32_t high = clamp_floor(s.centre + radius + 0.5, 0, all);

    if (low >= high) { /* between two pixels, or past the last whole one */
        low = clamp_floor(s.centre, 0, all - 1);
        high = low + 1;
    }
    s.low = axis->reversed ? axis->high - high : axis->low + low;
    s.high = axis->reversed ? axis->high - low : axis->low + high;
    s.first = owner_of(axis, s.low);
    s.last = owner_of(axis, s.high - 1);
    if (axis->fancy) {
        if (s.low % 2 == 0 && s.first > 0) s.first--;
        if (s.high % 2 == 0) s.last++;
    }
    if (s.first > most) s.first = most;
    if (s.last > most) s.last = most;
    return s;
}

/* Unnormalised weights of samples first to last. Returns their sum. */
static double weigh(const fi_axis *axis, const axis_support *s, double scale, double *sums) {
    double (*const weight)(double) = filters[axis->filter].weight;
    const double inverse = 1 / scale;
    const uint32_t most = s->last - s->first;
    uint32_t owner = owner_of(axis, s->low), end = (owner + 1) * axis->ratio;
    double total = 0;

    memset(sums, 0, (most + 1) * sizeof *sums);
    for (uint32_t v = s->low; v < s->high; v++) {
        const double x = (upright(axis, v) - s->centre + 0.5) * inverse;
        const double w = axis->filter == FI_BILINEAR ? bilinear_filter(x) : weight(x); /* mostly: without a call */
        if (v == end) {
            owner++;
            end += axis->ratio;
        }
        const uint32_t k = owner <= s->first ? 0 : owner - s->first;
        const uint32_t near = k < most ? k : most;
        total += w;
        if (!axis->fancy || k > most) { /* nothing to interpolate with after the last sample */
            sums[near] += w;
            continue;
        }
        uint32_t far = v % 2 ? near + 1 : near - 1;
        if (far > most) far = near; /* at an edge; catches -1, too */
        sums[near] += 0.75 * w;
        sums[far] += 0.25 * w;
    }
    return total;
}

/* floor(v), as floor() is a call where the instruction may be missing. |v| < 2^31 */
static int32_t floor_int(double v) {
    const int32_t whole = (int32_t)v;
    return whole - (v < whole);
}

/* Carries each rounding error over to the next weight, so that they sum to FI_WEIGHT_ONE. */
static void round_weights(const double *sums, double total, uint32_t n, int16_t *weights) {
    const double factor = FI_WEIGHT_ONE / total;
    double sum = 0;
    int32_t done = 0;

    for (uint32_t k = 0; k < n; k++) {
        sum += sums[k];
        const int32_t due = floor_int(sum * factor + 0.5);
        weights[k] = (int16_t)(due - done);
        done = due;
    }
}

/* Builds quads, two weights per result and step, if 16 bytes cover the samples of every quad. */
static bool make_quads(entry *e) {
    const size_t count = e->axis.count, quads = (count + 7) / 8 * 2;
    fi_coefs *coefs = &e->coefs;
    uint32_t most = 0;

    for (size_t i = 0; i < count; i++) {
        if (coefs->first[i] + coefs->used[i] - coefs->first[i / 4 * 4] > 16) return true;
        if (coefs->used[i] > most) most = coefs->used[i];
    }
    const size_t pairs = (most + 1) / 2;
    if (!fi_buffer_reserve(&e->quads, quads * (pairs * sizeof(fi_quad) + sizeof(uint32_t)), 0)) return false;
    fi_quad *quad = (fi_quad *)(void *)e->quads.data;
    uint32_t *base = (uint32_t *)(void *)(quad + quads * pairs);
    memset(quad, 0, quads * pairs * sizeof *quad);
    for (size_t q = 0; q < quads * pairs; q++) memset(quad[q].index, FI_NO_BYTE, sizeof quad[q].index);
    for (size_t q = 0; q < quads; q++) base[q] = 4 * q < count ? coefs->first[4 * q] : coefs->first[count - 1];
    for (size_t i = 0; i < count; i++) {
        const uint32_t offset = coefs->first[i] - base[i / 4];
        for (uint32_t k = 0; k < coefs->used[i]; k++) {
            fi_quad *step = &quad[i / 4 * pairs + k / 2];
            step->index[4 * (i % 4) + 2 * (k % 2)] = (uint8_t)(offset + k);
            step->weights[2 * (i % 4) + k % 2] = coefs->weights[i * coefs->taps + k];
        }
    }
    coefs->pairs = (uint32_t)pairs;
    coefs->base = base;
    coefs->quads = quad;
    return true;
}

/*
 * The kernel reads all taps of a result, zeros included. Windows that would leave the row are moved back into it, so that
 * fewer than FI_TAPS_STEP samples after the row are read, however wide the filter is.
 */
static void move_inside(const fi_axis *axis, uint32_t *first, int16_t *weights, size_t taps) {
    const uint32_t limit = axis->samples > taps ? axis->samples - (uint32_t)taps : 0;

    for (uint32_t i = 0; i < axis->count; i++, weights += taps) {
        if (first[i] <= limit) continue;
        const size_t shift = first[i] - limit;
        memmove(weights + shift, weights, (taps - shift) * sizeof *weights);
        memset(weights, 0, shift * sizeof *weights);
        first[i] = limit;
    }
}

static bool make_coefs(fi_coef_cache *cache, entry *e) {
    const fi_axis *axis = &e->axis;
    const double step = axis->length / axis->count, scale = step > 1 ? step : 1;
    const double radius = filters[axis->filter].support * scale;
    const size_t count = axis->count;
    uint32_t most = 1;

    if (!fi_buffer_reserve(&cache->supports, count * sizeof(axis_support), 0)) return false;
    axis_support *supports = (axis_support *)(void *)cache->supports.data;
    for (uint32_t i = 0; i < count; i++) {
        supports[i] = find_support(axis, i, step, radius);
        if (most < supports[i].last - supports[i].first + 1) most = supports[i].last - supports[i].first + 1;
    }
    const size_t taps = (most + FI_TAPS_STEP - 1) / FI_TAPS_STEP * FI_TAPS_STEP;
    if (!fi_buffer_reserve(&cache->scratch, taps * sizeof(double), 0) ||
        !fi_buffer_reserve(&e->memory, count * (2 * sizeof(uint32_t) + taps * sizeof(int16_t)), 0))
        return false;

    double *sums = (double *)(void *)cache->scratch.data;
    uint32_t *first = (uint32_t *)(void *)e->memory.data, *used = first + count;
    int16_t *weights = (int16_t *)(void *)(used + count);
    memset(weights, 0, count * taps * sizeof *weights);
    for (uint32_t i = 0; i < count; i++) {
        double total = weigh(axis, &supports[i], scale, sums);
        first[i] = supports[i].first;
        used[i] = supports[i].last - supports[i].first + 1;
        if (!(fabs(total) > 1e-6)) total = sums[0] = 1; /* the filter is 0 at the only sample */
        round_weights(sums, total, used[i], weights + i * taps);
    }
    e->coefs = (fi_coefs){.first = first, .used = used, .weights = weights, .taps = (uint32_t)taps};
    if (!axis->horizontal) return true;
    if (!axis->is_q6 && !make_quads(e)) return false;
    if (!e->coefs.pairs) move_inside(axis, first, weights, taps);
    return true;
}

/* ---- cache ----------------------------------------------------------------------------------------------------- */

fi_coef_cache *fi_coef_cache_new(void) {
    return calloc(1, sizeof(fi_coef_cache));
}

void fi_coef_cache_free(fi_coef_cache *cache) {
    if (!cache) return;
    for (int i = 0; i < MAX_COEFS; i++) {
        fi_buffer_free(&cache->entries[i].memory);
        fi_buffer_free(&cache->entries[i].quads);
    }
    fi_buffer_free(&cache->scratch);
    fi_buffer_free(&cache->supports);
    free(cache);
}

void fi_coef_cache_trim(fi_coef_cache *cache) {
    for (int i = 0; i < MAX_COEFS; i++) {
        if (cache->entries[i].memory.capacity <= KEEP_NBYTES) continue;
        fi_buffer_free(&cache->entries[i].memory);
        fi_buffer_free(&cache->entries[i].quads);
        cache->entries[i].last_use = 0;
    }
}

static bool is_same(const fi_axis *a, const fi_axis *b) {
    return a->start == b->start && a->length == b->length && a->low == b->low && a->high == b->high &&
           a->samples == b->samples && a->ratio == b->ratio && a->count == b->count && a->filter == b->filter &&
           a->horizontal == b->horizontal && a->is_q6 == b->is_q6 && a->reversed == b->reversed && a->fancy == b->fancy;
}

const fi_coefs *fi_coef_cache_get(fi_coef_cache *cache, const fi_axis *axis) {
    entry *oldest = cache->entries;

    cache->clock++;
    for (entry *e = cache->entries; e < cache->entries + MAX_COEFS; e++) {
        if (e->last_use && is_same(&e->axis, axis)) {
            e->last_use = cache->clock;
            return &e->coefs;
        }
        if (e->last_use < oldest->last_use) oldest = e;
    }
    oldest->axis = *axis;
    oldest->last_use = 0;
    if (!make_coefs(cache, oldest)) return NULL;
    oldest->last_use = cache->clock;
    return &oldest->coefs;
}
