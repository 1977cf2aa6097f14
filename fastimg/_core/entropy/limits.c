/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an encoder can make of 8-bit samples. The discrete cosine transform (T.81, A.3.3) bounds the coefficients of
 * samples from -128 to 127, and quantisation moves each by half a step. Where damaged data still has Huffman codes,
 * what they give seldom keeps to that.
 */
#include "entropy/zigzag.h"
#include "exact.h"

/*
 * 8 times -128, or 128: pure blue has 127.5 as its Cb, which not all encoders clamp to 127. A step more is allowed for
 * those that do not round to the nearest.
 */
#define MAX_DC 1024

/* Samples of 8 bits give up to 928. Some encoders ring on purpose, and some transforms are fast rather than exact. */
#define MAX_AC 1152

/*
 * How far samples leave 0 to 255, in levels beyond what rounding explains. Some encoders drop more of a block than
 * rounding does. Of text and line art they make blocks that are far off, among many more that are off by what rounding
 * can just explain; of checkerboards, very many that are far off. Damage mostly makes one, and the next wrong code ends
 * it.
 */
#define NEAR_OVERSHOOT (-40)
#define FAR_OVERSHOOT 64
#define MAX_OVERSHOOT 340
#define MAX_FAR_BLOCKS 40

/* What coefficients lose that are rounded to 0 matters only of steps that not even 8 bits have. */
#define COARSE_STEP 255

/*
 * Dequantised, coefficients of this size call for a look at the block, by index in zigzag order. Where samples are too
 * far off, one of them nearly always is larger; elsewhere, in one block of 2000.
 */
static uint32_t large_ac(unsigned k) {
    return k <= 5 ? 640 : k <= 14 ? 320 : 192;
}

/* Compilers make two of the narrower vectors of a CPU from it. */
typedef float vector __attribute__((vector_size(32)));
typedef int32_t mask __attribute__((vector_size(32)));

/* Where floats are computed with more digits (x87), compilers do not take a number for a vector by themselves. */
#define SPREAD(v) ((vector){v, v, v, v, v, v, v, v})

/* basis[u][x] is C(u) / 2 * cos((2 x + 1) u pi / 16). */
static const vector basis[8] = {
    {0.35355339f, 0.35355339f, 0.35355339f, 0.35355339f, 0.35355339f, 0.35355339f, 0.35355339f, 0.35355339f},
    {0.49039264f, 0.41573481f, 0.27778512f, 0.09754516f, -0.09754516f, -0.27778512f, -0.41573481f, -0.49039264f},
    {0.46193977f, 0.19134172f, -0.19134172f, -0.46193977f, -0.46193977f, -0.19134172f, 0.19134172f, 0.46193977f},
    {0.41573481f, -0.09754516f, -0.49039264f, -0.27778512f, 0.27778512f, 0.49039264f, 0.09754516f, -0.41573481f},
    {0.35355339f, -0.35355339f, -0.35355339f, 0.35355339f, 0.35355339f, -0.35355339f, -0.35355339f, 0.35355339f},
    {0.27778512f, -0.49039264f, 0.09754516f, 0.41573481f, -0.41573481f, -0.09754516f, 0.49039264f, -0.27778512f},
    {0.19134172f, -0.46193977f, 0.46193977f, -0.19134172f, -0.19134172f, 0.46193977f, -0.46193977f, 0.19134172f},
    {0.09754516f, -0.27778512f, 0.41573481f, -0.49039264f, 0.49039264f, -0.41573481f, 0.27778512f, -0.09754516f},
};

/* A step of 0 makes all values 0. */
static int32_t max_dc(uint32_t step) {
    return step ? (int32_t)(MAX_DC / step + 1) : 1 << 30;
}

/* The size from which a value is as large. A value has 15 bits at most. */
static unsigned large_size(unsigned k, uint32_t step) {
    unsigned size = 1;
    while (size < 16 && step << (size - 1) < large_ac(k)) size++;
    return size;
}

/* Most images have the steps of the one before. */
void fi_limits_set(fi_entropy *entropy, unsigned component, const uint16_t *steps, unsigned al) {
    static const uint16_t nothing[64];
    limits *l = &entropy->limits[component];
    const int32_t rest = (1 << al) - 1;

    if (!steps) steps = nothing;
    const int32_t most = max_dc(steps[0]);
    entropy->dc[component].min = -((most + rest) >> al);
    entropy->dc[component].span = (uint32_t)(most >> al) + (uint32_t)((most + rest) >> al);
    l->al = (uint8_t)al;
    if (l->is_set && memcmp(l->steps, steps, sizeof l->steps) == 0) return;
    l->is_set = true;
    memcpy(l->steps, steps, sizeof l->steps);
    memset(l->large, 16, sizeof l->large);
    for (unsigned k = 1; k <= 64; k++) l->large[k] = (uint8_t)large_size(k - 1, steps[natural_order[k]]);
}

bool fi_limits_allow_ac(const limits *l, unsigned place, int32_t coefficient) {
    const int64_t step = l->steps[place], size = coefficient < 0 ? -(int64_t)coefficient : coefficient;
    return size * step <= MAX_AC + (step << l->al);
}

/* The most that rounding to multiples of a step changes samples, by u or v; the product of two is a little too much. */
static const float peak[8] = {0.3536f, 0.4904f, 0.4619f, 0.4904f, 0.3536f, 0.4904f, 0.4619f, 0.4904f};

/* Zero bits, as of a part of a file that was lost, may decode to 63 times the same value. No samples give that. */
static bool are_all_equal(const int16_t *block) {
    return block[63] != 0 && memcmp(block + 1, block + 2, 62 * sizeof *block) == 0;
}

static inline void raise_to(vector *most, const vector *samples) {
    const mask is_more = *samples > *most;
    *most = (vector)(((mask)*samples & is_more) | ((mask)*most & ~is_more));
}

/* Sums the basis functions, first along the rows, and sees how far samples are from -128 to 127. */
static float overshoot(const limits *l, const int16_t *block) {
    vector rows[8] = {{0}}, furthest = {0};
    float rounding = 0, most = 0;

    for (unsigned i = 0; i < 64; i++) {
        if (block[i] == 0 && l->steps[i] <= COARSE_STEP) continue;
        const float value = (float)(block[i] * l->steps[i]);
        rows[i / 8] += SPREAD(value) * basis[i % 8];
        rounding += (float)l->steps[i] * peak[i / 8] * peak[i % 8];
    }
    for (unsigned y = 0; y < 8; y++) {
        vector samples = {0};
        for (unsigned v = 0; v < 8; v++) samples += rows[v] * SPREAD(basis[v][y]);
        raise_to(&furthest, &samples);
        samples = -1 - samples;
        raise_to(&furthest, &samples);
    }
    for (unsigned x = 0; x < 8; x++) most = furthest[x] > most ? furthest[x] : most;
    return most - 127 - rounding;
}

bool fi_limits_allow(fi_entropy *entropy, unsigned component, const int16_t *block, bool is_large, size_t ahead) {
    const limits *l = &entropy->limits[component];

    if (l->steps[63] && are_all_equal(block)) return false;
    if (!is_large) return true;
    const float levels = overshoot(l, block);
    if (levels > MAX_OVERSHOOT) return false;
    if (levels > FAR_OVERSHOOT) {
        if (entropy->far_blocks++ == 0) entropy->far_mcu = entropy->mcu + ahead;
    } else if (levels > NEAR_OVERSHOOT) {
        entropy->near_blocks++;
    }
    return true;
}

bool fi_limits_allow_scan(const fi_entropy *entropy) {
    return entropy->far_blocks <= entropy->near_blocks || entropy->far_blocks > MAX_FAR_BLOCKS;
}
