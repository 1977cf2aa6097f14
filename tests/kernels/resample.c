/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernels that resample, and that turn Q6 samples into pixels. */
#include "pixels/kernels.h"

#include "harness.h"

/* kernels.h in code, in 64 bits and with divisions instead of shifts. */
static int16_t rounded(int64_t sum, int64_t by) {
    return (int16_t)limit(divide(sum + by / 2, by), INT16_MIN, INT16_MAX);
}

static void resample_h_defined(const uint8_t *const src[2], int16_t *const dst[2], const uint32_t *first,
                               const int16_t *weights, size_t taps, size_t n) {
    for (size_t i = 0; i < 2 * n; i++) {
        int64_t sum = 0;
        for (size_t k = 0; k < taps; k++) sum += (int64_t)weights[taps * (i / 2) + k] * src[i % 2][first[i / 2] + k];
        dst[i % 2][i / 2] = rounded(sum, 256);
    }
}

static void resample_h_q6_defined(const int16_t *const src[2], int16_t *const dst[2], const uint32_t *first,
                                  const int16_t *weights, size_t taps, size_t n) {
    for (size_t i = 0; i < 2 * n; i++) {
        int64_t sum = 0;
        for (size_t k = 0; k < taps; k++) sum += (int64_t)weights[taps * (i / 2) + k] * src[i % 2][first[i / 2] + k];
        dst[i % 2][i / 2] = rounded(sum, 16384);
    }
}

static void resample_h_shuffle_defined(const uint8_t *const src[FI_SHUFFLE_ROWS], int16_t *const dst[FI_SHUFFLE_ROWS],
                                       const uint32_t *base, const fi_quad *quads, size_t pairs, size_t n) {
    for (size_t x = 0; x < (n + 7) / 8 * 8; x++) {
        int64_t sum[FI_SHUFFLE_ROWS] = {0};
        for (size_t k = 0; k < 2 * pairs; k++) {
            const fi_quad *quad = &quads[x / 4 * pairs + k / 2];
            const uint8_t index = quad->index[4 * (x % 4) + 2 * (k % 2)];
            if (index == FI_NO_BYTE) continue;
            for (int r = 0; r < FI_SHUFFLE_ROWS; r++) {
                sum[r] += quad->weights[2 * (x % 4) + k % 2] * src[r][base[x / 4] + index];
            }
        }
        for (int r = 0; r < FI_SHUFFLE_ROWS; r++) dst[r][x] = rounded(sum[r], 256);
    }
}

static void resample_v_defined(const int16_t *const *rows, const int16_t *weights, size_t taps, int16_t *dst,
                               size_t n) {
    for (size_t i = 0; i < n; i++) {
        int64_t sum = 0;
        for (size_t k = 0; k < taps; k++) sum += (int64_t)weights[k] * rows[k][i];
        dst[i] = rounded(sum, 16384);
    }
}

static void round_q6_defined(const int16_t *src, uint8_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = (uint8_t)limit(divide((int64_t)src[i] + 32, 64), 0, UINT8_MAX);
}

/* Chroma minus 128 and what it adds to Y saturate, and products are rounded to 64ths. The rest is exact. */
static void ycc_q6_to_rgb_defined(const int16_t *const ycc[3], uint8_t *const rgb[3], size_t n) {
    const int64_t r_cr = lround(0.402 * 32768), g_cb = lround(0.344136 * 32768), g_cr = lround(0.714136 * 32768);
    const int64_t b_cb = lround(0.772 * 32768);

    for (size_t i = 0; i < n; i++) {
        const int64_t cb = rounded((int64_t)ycc[1][i] - 128 * 64, 1), cr = rounded((int64_t)ycc[2][i] - 128 * 64, 1);
        const int64_t chroma[3] = {
            cr + divide(cr * r_cr + 16384, 32768),
            divide(cb * g_cb + 16384, 32768) + divide(cr * g_cr + 16384, 32768), /* subtracted */
            cb + divide(cb * b_cb + 16384, 32768),
        };
        for (int c = 0; c < 3; c++) {
            const int64_t level = ycc[0][i] + (c == 1 ? -1 : 1) * limit(chroma[c], INT16_MIN, INT16_MAX);
            rgb[c][i] = (uint8_t)limit(divide(level + 32, 64), 0, UINT8_MAX);
        }
    }
}

static const fi_resample_kernels definition = {
    resample_h_defined, resample_h_q6_defined, resample_h_shuffle_defined,
    resample_v_defined, round_q6_defined,      ycc_q6_to_rgb_defined,
};

static void choose(void *table, unsigned cpu_features) {
    fi_resample_kernels_choose(table, cpu_features);
}

/* ---- fills ------------------------------------------------------------------------------------------------------- */

enum { MAX_TAPS = 40, QUAD_BYTES = 16 /* that one quad reads */ };

static const char *const weight_fills[] = {"largest", "least", "alternating", "single", "random", "random positive"};
static const char *const sample_fills[] = {"largest", "least", "alternating", "random", "in order"};
enum { WEIGHT_FILLS = 6, SAMPLE_FILLS = 5 };

/* The weights of one result. Magnitudes sum to 2, or to what an int16_t allows. */
static void fill_weights(int16_t *w, size_t taps, size_t fill) {
    const int max = 32768 / (int)taps, rest = 32768 - max * (int)taps;

    for (size_t k = 0; k < taps; k++) {
        const int sign = fill == 1 || (fill == 2 && k & 1) ? -1 : 1;
        if (fill < 3) w[k] = (int16_t)(sign * (k ? max : max + rest));
        else if (fill == 3) w[k] = 0;
        else if (fill == 4) w[k] = (int16_t)(random16() % (2 * max + 1) - max);
        else w[k] = (int16_t)(random16() % (max + 1));
    }
    if (fill == 3) w[random16() % taps] = random16() & 1 ? INT16_MIN : INT16_MAX;
}

/* The weights of a quad, for random bytes. One in eight is for no byte. */
static void fill_quad(fi_quad *steps, size_t taps, size_t fill) {
    for (size_t j = 0; j < 4; j++) {
        int16_t w[MAX_TAPS];
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

/* Fills row r. Alternating samples alternate in both directions, for results of either sign. */
static void fill_samples(void *p, size_t item, size_t count, size_t r, size_t fill) {
    for (size_t i = 0; i < count; i++) {
        const bool high = fill == 0 || (fill == 2 && (i ^ r) & 1);
        const uint16_t other = fill == 3 ? random16() : (uint16_t)(i * (2 * r + 1));
        if (item == 1) ((uint8_t *)p)[i] = fill < 3 ? (high ? UINT8_MAX : 0) : (uint8_t)other;
        else ((int16_t *)p)[i] = fill < 3 ? (high ? INT16_MAX : INT16_MIN) : (int16_t)other;
    }
}

/* Positions up to `max`, in order or random. The last one is `max`, where the taps end with the source. */
static void fill_first(uint32_t *first, size_t count, size_t max, bool in_order) {
    for (size_t x = 0; x < count; x++) {
        first[x] = (uint32_t)(x == count - 1 ? max : in_order ? max * x / (count - 1) : random16() % (max + 1));
    }
}

/* ---- cases ------------------------------------------------------------------------------------------------------- */

enum { H, H_Q6, H_SHUFFLE, V, ROUND_Q6, YCC_Q6_TO_RGB, KERNELS };
_Static_assert(sizeof(fi_resample_kernels) == KERNELS * sizeof(void (*)(void)), "a kernel is not tested");

/* Inputs: `first` or `base`; weights or quads; resample_v's row pointers; the rows themselves. */
enum { FIRST, WEIGHTS, POINTERS, ROWS };

/* Rows that are read (0: one per tap), and rows that are written, with the bytes per sample in each. */
static const struct {
    unsigned sources, src_item, dests, dst_item;
} rows_of[KERNELS] = {{2, 1, 2, 2}, {2, 2, 2, 2}, {FI_SHUFFLE_ROWS, 1, FI_SHUFFLE_ROWS, 2},
                      {0, 2, 1, 2}, {1, 2, 1, 1}, {3, 2, 3, 1}};

static struct {
    size_t n, taps; /* resample_h_shuffle: two taps per pair */
    size_t reach;   /* samples per source row */
    unsigned rows;  /* that are written: the last one is given again where there are fewer than a call takes */
} tried;

static void begin_rows(size_t weight_fill, size_t sample_fill) {
    const size_t n = tried.n, taps = tried.taps, item = rows_of[which].src_item;
    const size_t results = which == H_SHUFFLE ? (n + 7) / 8 * 8 : n, quads = which == H_SHUFFLE ? results / 4 : 0;
    const size_t firsts = which <= H_Q6 ? n : quads, width = which == H_SHUFFLE ? QUAD_BYTES : taps;
    const size_t weights = which <= H_Q6 ? n * taps : which == V ? taps : 0;
    const unsigned sources = rows_of[which].sources ? rows_of[which].sources : (unsigned)taps;

    begin("%zu results, %zu taps, %u rows of %zu, %s weights, %s samples", n, taps, tried.rows, tried.reach,
          weight_fills[weight_fill], sample_fills[sample_fill]);
    fill_first(input(firsts * sizeof(uint32_t), sizeof(uint32_t)), firsts, tried.reach - width, weight_fill != 4);
    void *w = input(weights * sizeof(int16_t) + quads * taps / 2 * sizeof(fi_quad), sizeof(int16_t));
    for (size_t i = 0; i < weights; i += taps) fill_weights((int16_t *)w + i, taps, weight_fill);
    for (size_t i = 0; i < quads; i++) fill_quad((fi_quad *)w + i * (taps / 2), taps, weight_fill);
    input(which == V ? taps * sizeof(void *) : 0, sizeof(void *));
    for (unsigned r = 0; r < sources; r++) {
        fill_samples(input(tried.reach * item, item), item, tried.reach, r, sample_fill);
    }
    for (unsigned r = 0; r < tried.rows; r++) {
        output(results * rows_of[which].dst_item, rows_of[which].dst_item);
    }
}

/* One size with all fills. */
static void test_size(size_t n, size_t taps, size_t reach, size_t offsets) {
    for (size_t i = 0; i < 2 * SAMPLE_FILLS * WEIGHT_FILLS; i++) {
        if (i >= 2 * SAMPLE_FILLS && !taps) break;
        if (i % 2 && which > H_SHUFFLE) continue;
        tried.n = n;
        tried.taps = taps;
        tried.reach = reach;
        tried.rows = i % 2 ? 1 + n % (rows_of[which].dests - 1) : rows_of[which].dests;
        begin_rows(i / 2 / SAMPLE_FILLS, i / 2 % SAMPLE_FILLS);
        check(offsets);
    }
}

static void test(void) {
    const size_t short_rows = 3 * VECTOR / rows_of[which].dst_item + 2; /* 0 to 3 vectors + 1 */
    const size_t step = which <= H_Q6 ? 8 : 2, max_taps = which == H_SHUFFLE ? 16 : MAX_TAPS;

    for (size_t n = 0; n < short_rows; n++) {
        /* Enlarging; all results from the same pixels; reducing. */
        const size_t span = n % 3 == 0 ? n / 2 : n % 3 == 1 ? 0 : 3 * n;
        if (which >= ROUND_Q6) test_size(n, 0, n, VECTOR);
        for (size_t taps = step; which < ROUND_Q6 && taps <= max_taps; taps += step) {
            test_size(n, taps, which == V ? n : span + (which <= H_Q6 ? taps : QUAD_BYTES), 2);
        }
    }
    if (which <= H_Q6) test_size(255, 200, 2000, 2);
    if (which <= H_SHUFFLE) test_size(1023, 8, 3000, 2);
    else if (which == V) test_size(4099, 4, 4099, 2);
    else test_size(65536, 0, 65536, 2); /* in order: every Q6 sample */
}

/* As in the middle of reducing an image: 256 results per row from twice as many pixels. */
static size_t bench(unsigned i) {
    const size_t taps = 8 * (i + 1);

    tried.n = 256;
    tried.taps = taps;
    tried.reach = 512 + taps;
    tried.rows = rows_of[which].dests;
    begin_rows(5, 3);
    return i < (which < ROUND_Q6 ? 3 : 1) ? 256 * rows_of[which].dests : 0;
}

static void call(const void *table, void *const *in, void *const *out) {
    const fi_resample_kernels *k = table;
    void *const *rows = in + ROWS;
    const size_t n = tried.n, taps = tried.taps;
    const uint8_t *src[FI_SHUFFLE_ROWS];
    int16_t *dst[FI_SHUFFLE_ROWS];

    for (unsigned r = 0; r < rows_of[which].dests; r++) {
        const unsigned row = r < tried.rows ? r : tried.rows - 1;
        src[r] = rows[row];
        dst[r] = out[row];
    }
    if (which == V) memcpy(in[POINTERS], rows, taps * sizeof(void *));
    const int16_t *const q6[2] = {(const void *)src[0], (const void *)src[1]};

    if (which == H) k->resample_h(src, dst, in[FIRST], in[WEIGHTS], taps, n);
    else if (which == H_Q6) k->resample_h_q6(q6, dst, in[FIRST], in[WEIGHTS], taps, n);
    else if (which == H_SHUFFLE) k->resample_h_shuffle(src, dst, in[FIRST], in[WEIGHTS], taps / 2, n);
    else if (which == V) k->resample_v(in[POINTERS], in[WEIGHTS], taps, out[0], n);
    else if (which == ROUND_Q6) k->round_q6(rows[0], out[0], n);
    else if (which == YCC_Q6_TO_RGB) k->ycc_q6_to_rgb((const int16_t *const *)rows, (uint8_t *const *)out, n);
}

#define MEMBER(name) offsetof(fi_resample_kernels, name)
static const kernel kernels[] = {
    [H] = {"resample_h", MEMBER(resample_h), test, bench},
    [H_Q6] = {"resample_h_q6", MEMBER(resample_h_q6), test, bench},
    [H_SHUFFLE] = {"resample_h_shuffle", MEMBER(resample_h_shuffle), test, bench},
    [V] = {"resample_v", MEMBER(resample_v), test, bench},
    [ROUND_Q6] = {"round_q6", MEMBER(round_q6), test, bench},
    [YCC_Q6_TO_RGB] = {"ycc_q6_to_rgb", MEMBER(ycc_q6_to_rgb), test, bench},
    {0},
};

const topic resample = {kernels, &definition, choose, call};
