/* SPDX-License-Identifier: BSD-3-Clause */
#include "weights.h"

#include <math.h>

#define PI 3.14159265358979323846

/* Two axes of two kinds of component make four banks an image size; six is what one image can need at most. */
#define MOST_BANKS 16

/* A bank above this is given back when its worker is put aside. */
#define KEEP_NBYTES ((size_t)1 << 18)

typedef struct {
    fi_axis axis;
    fi_bank bank;
    fi_buffer memory;
    fi_buffer quads;
    uint64_t last_use; /* 0: empty */
} entry;

struct fi_banks {
    entry entries[MOST_BANKS];
    fi_buffer scratch; /* one result's weights, before they are rounded */
    fi_buffer sights; /* of the bank that is being made */
    uint64_t clock;
};

/* ---- filters --------------------------------------------------------------------------------------------------- */

/* Each is what Pillow's is (Imaging, Resample.c), so that the results can be compared. x is in units of the result. */

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

/* sinc(x) sinc(x / 3); as sin 3a = 3 sin a - 4 sin^3 a, one sine does. */
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

/* ---- one bank -------------------------------------------------------------------------------------------------- */

/* What one result sees: grid pixels low to high - 1, spread from samples first to last. */
typedef struct {
    double centre; /* in upright pixels, as `upright` counts them */
    uint32_t low, high;
    uint32_t first, last;
} sight;

/* floor(v), or the nearest of low to high */
static uint32_t clamp_floor(double v, uint32_t low, uint32_t high) {
    return v <= low ? low : v >= high ? high : (uint32_t)v;
}

/* The sample that a pixel of the grid belongs to. Most often they are the same, and a division takes long. */
static uint32_t owner_of(const fi_axis *axis, uint32_t v) {
    return axis->ratio == 1 ? v : v / axis->ratio;
}

/*
 * Distances are taken along the upright image, from the edge of what may be seen: so a tie between two pixels goes to the
 * same one whichever way the file is stored, and wherever it is cropped.
 */
static uint32_t upright(const fi_axis *axis, uint32_t v) {
    return axis->reversed ? axis->high - 1 - v : v - axis->low;
}

static sight see(const fi_axis *axis, uint32_t i, double step, double support) {
    const uint32_t most = axis->samples - 1, all = axis->high - axis->low;
    const double start = axis->reversed ? axis->high - (axis->start + axis->length) : axis->start - axis->low;
    sight s = {.centre = start + ((axis->reversed ? axis->count - 1 - i : i) + 0.5) * step};
    uint32_t low = clamp_floor(s.centre - support + 0.5, 0, all);
    uint32_t high = clamp_floor(s.centre + support + 0.5, 0, all);

    if (low >= high) { /* between two, or beyond the last one that is whole */
        low = clamp_floor(s.centre, 0, all - 1);
        high = low + 1;
    }
    s.low = axis->reversed ? axis->high - high : axis->low + low;
    s.high = axis->reversed ? axis->high - low : axis->low + high;
    s.first = owner_of(axis, s.low);
    s.last = owner_of(axis, s.high - 1);
    if (axis->smooth) {
        if (s.low % 2 == 0 && s.first > 0) s.first--;
        if (s.high % 2 == 0) s.last++;
    }
    if (s.first > most) s.first = most;
    if (s.last > most) s.last = most;
    return s;
}

/* The weights of what is seen, for samples first to last, not normalised. Returns their sum. */
static double weigh(const fi_axis *axis, const sight *s, double scale, double *sums) {
    double (*const weight)(double) = filters[axis->filter].weight;
    const uint32_t most = s->last - s->first;
    double total = 0;

    memset(sums, 0, (most + 1) * sizeof *sums);
    for (uint32_t v = s->low; v < s->high; v++) {
        const double w = weight((upright(axis, v) - s->centre + 0.5) / scale);
        const uint32_t owner = owner_of(axis, v), k = owner <= s->first ? 0 : owner - s->first;
        const uint32_t near = k < most ? k : most;
        total += w;
        if (!axis->smooth || k > most) { /* behind the last sample there is none to interpolate with */
            sums[near] += w;
            continue;
        }
        uint32_t far = v % 2 ? near + 1 : near - 1;
        if (far > most) far = near; /* at an edge; also below 0 */
        sums[near] += 0.75 * w;
        sums[far] += 0.25 * w;
    }
    return total;
}

/* Rounded so that what was rounded away is made up for by the next one: they sum to FI_WEIGHT_ONE. */
static void round_weights(const double *sums, double total, uint32_t n, int16_t *weights) {
    double sum = 0;
    int32_t given = 0;

    for (uint32_t k = 0; k < n; k++) {
        sum += sums[k];
        const int32_t due = (int32_t)floor(sum / total * FI_WEIGHT_ONE + 0.5);
        weights[k] = (int16_t)(due - given);
        given = due;
    }
}

/* Quads of results, in steps of two weights a result, if 16 bytes hold all that each quad needs. */
static bool make_quads(entry *e) {
    const size_t count = e->axis.count, quads = (count + 7) / 8 * 2;
    fi_bank *bank = &e->bank;
    uint32_t most = 0;

    for (size_t i = 0; i < count; i++) {
        if (bank->first[i] + bank->used[i] - bank->first[i / 4 * 4] > 16) return true;
        if (bank->used[i] > most) most = bank->used[i];
    }
    const size_t pairs = (most + 1) / 2;
    if (!fi_buffer_reserve(&e->quads, quads * (pairs * sizeof(fi_quad) + sizeof(uint32_t)), 0)) return false;
    fi_quad *quad = (fi_quad *)(void *)e->quads.data;
    uint32_t *base = (uint32_t *)(void *)(quad + quads * pairs);
    memset(quad, 0, quads * pairs * sizeof *quad);
    for (size_t q = 0; q < quads * pairs; q++) memset(quad[q].index, FI_NO_BYTE, sizeof quad[q].index);
    for (size_t q = 0; q < quads; q++) base[q] = 4 * q < count ? bank->first[4 * q] : bank->first[count - 1];
    for (size_t i = 0; i < count; i++) {
        const uint32_t offset = bank->first[i] - base[i / 4];
        for (uint32_t k = 0; k < bank->used[i]; k++) {
            fi_quad *step = &quad[i / 4 * pairs + k / 2];
            step->index[4 * (i % 4) + 2 * (k % 2)] = (uint8_t)(offset + k);
            step->weights[2 * (i % 4) + k % 2] = bank->weights[i * bank->taps + k];
        }
    }
    bank->pairs = (uint32_t)pairs;
    bank->base = base;
    bank->quads = quad;
    return true;
}

static bool make_bank(fi_banks *banks, entry *e) {
    const fi_axis *axis = &e->axis;
    const double step = axis->length / axis->count, scale = step > 1 ? step : 1;
    const double support = filters[axis->filter].support * scale;
    const size_t count = axis->count;
    uint32_t most = 1;

    if (!fi_buffer_reserve(&banks->sights, count * sizeof(sight), 0)) return false;
    sight *sights = (sight *)(void *)banks->sights.data;
    for (uint32_t i = 0; i < count; i++) {
        sights[i] = see(axis, i, step, support);
        if (most < sights[i].last - sights[i].first + 1) most = sights[i].last - sights[i].first + 1;
    }
    const size_t taps = (most + FI_TAPS_STEP - 1) / FI_TAPS_STEP * FI_TAPS_STEP;
    if (!fi_buffer_reserve(&banks->scratch, taps * sizeof(double), 0) ||
        !fi_buffer_reserve(&e->memory, count * (2 * sizeof(uint32_t) + taps * sizeof(int16_t)), 0))
        return false;

    double *sums = (double *)(void *)banks->scratch.data;
    uint32_t *first = (uint32_t *)(void *)e->memory.data, *used = first + count;
    int16_t *weights = (int16_t *)(void *)(used + count);
    memset(weights, 0, count * taps * sizeof *weights);
    for (uint32_t i = 0; i < count; i++) {
        double total = weigh(axis, &sights[i], scale, sums);
        first[i] = sights[i].first;
        used[i] = sights[i].last - sights[i].first + 1;
        if (!(fabs(total) > 1e-6)) total = sums[0] = 1; /* a filter that is 0 at the only sample there is */
        round_weights(sums, total, used[i], weights + i * taps);
    }
    e->bank = (fi_bank){.first = first, .used = used, .weights = weights, .taps = (uint32_t)taps};
    return axis->along ? make_quads(e) : true;
}

/* ---- all of them ----------------------------------------------------------------------------------------------- */

fi_banks *fi_banks_new(void) {
    return calloc(1, sizeof(fi_banks));
}

void fi_banks_free(fi_banks *banks) {
    if (!banks) return;
    for (int i = 0; i < MOST_BANKS; i++) {
        fi_buffer_free(&banks->entries[i].memory);
        fi_buffer_free(&banks->entries[i].quads);
    }
    fi_buffer_free(&banks->scratch);
    fi_buffer_free(&banks->sights);
    free(banks);
}

void fi_banks_trim(fi_banks *banks) {
    for (int i = 0; i < MOST_BANKS; i++) {
        if (banks->entries[i].memory.capacity <= KEEP_NBYTES) continue;
        fi_buffer_free(&banks->entries[i].memory);
        fi_buffer_free(&banks->entries[i].quads);
        banks->entries[i].last_use = 0;
    }
}

static bool is_same(const fi_axis *a, const fi_axis *b) {
    return a->start == b->start && a->length == b->length && a->low == b->low && a->high == b->high &&
           a->samples == b->samples && a->ratio == b->ratio && a->count == b->count && a->filter == b->filter &&
           a->along == b->along && a->reversed == b->reversed && a->smooth == b->smooth;
}

const fi_bank *fi_banks_get(fi_banks *banks, const fi_axis *axis) {
    entry *oldest = banks->entries;

    banks->clock++;
    for (entry *e = banks->entries; e < banks->entries + MOST_BANKS; e++) {
        if (e->last_use && is_same(&e->axis, axis)) {
            e->last_use = banks->clock;
            return &e->bank;
        }
        if (e->last_use < oldest->last_use) oldest = e;
    }
    oldest->axis = *axis;
    oldest->last_use = 0;
    if (!make_bank(banks, oldest)) return NULL;
    oldest->last_use = banks->clock;
    return &oldest->bank;
}
