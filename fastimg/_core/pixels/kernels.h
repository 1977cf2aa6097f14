/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loops that exist in more than one version, in a table per topic. The C version defines the answer, and the
 * others equal it bit for bit. Nothing is assumed about alignment. Source and destination do not overlap. Exactly the
 * bytes that are named here are read and written.
 */
#ifndef FI_KERNELS_H
#define FI_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Makes compilers know nothing of a pointer but that it is there: not what it points to, nor that the one beside it can be
 * loaded with it. Such a load waits until both have reached the cache if they have just been stored one by one.
 */
#define FI_OPAQUE(pointer) __asm__("" : "+r"(pointer))

/* ---- pixels ---------------------------------------------------------------------------------------------------- */

/* How many pixels have a sample of Cb and Cr: 1 (4:4:4), 2 x 1 (4:2:2) or 2 x 2 (4:2:0). */
typedef enum fi_sampling { FI_H1V1, FI_H2V1, FI_H2V2, FI_SAMPLINGS } fi_sampling;

/*
 * Pixels x to x + n - 1 of a row, x being 0 or 1, from samples of Y, Cb and Cr to R, G and B, rounded as libjpeg does
 * (formulas: pixel_kernels.c). src: the rows of Y, Cb and Cr, and with FI_H2V2 those of Cb and Cr that are next
 * nearest. Of chroma at half the width, samples -1 to (x + n + 1) / 2 may be read. Pixel x goes to dst[0], dst[1] and
 * dst[2].
 */
typedef void fi_ycc_kernel(const uint8_t *const src[5], size_t x, uint8_t *const dst[3], size_t n);

typedef struct fi_pixel_kernels {
    const char *name; /* of the instruction set: "c", "avx2", "neon" */

    /* n pixels of 3 bytes to three planes: reads 3 n bytes, writes n to each plane. */
    void (*deinterleave3)(const uint8_t *src, uint8_t *p0, uint8_t *p1, uint8_t *p2, size_t n);

    /* The inverse. */
    void (*interleave3)(const uint8_t *p0, const uint8_t *p1, const uint8_t *p2, uint8_t *dst, size_t n);

    /* dst[i] = src[n - 1 - i] */
    void (*reverse)(const uint8_t *src, uint8_t *dst, size_t n);

    /* dst (cols, rows) = transpose of src (rows, cols). */
    void (*transpose)(const uint8_t *src, size_t src_stride, uint8_t *dst, size_t dst_stride, size_t rows, size_t cols);

    /* dst[i] = (src[i] / 255 - mean) / std, rounded to float after each step. */
    void (*normalize32)(const uint8_t *src, float mean, float std, void *dst, size_t n);

    /* dst[i] = table[src[i]], 16 bits each. */
    void (*lut16)(const uint8_t *src, const uint16_t *table, void *dst, size_t n);

    /*
     * To planes, and to pixels of 3 bytes: then dst is {p, p + 1, p + 2}, or {p + 2, p + 1, p} for pixels of B, G and R.
     */
    fi_ycc_kernel *ycc_to_planes[FI_SAMPLINGS], *ycc_to_pixels[FI_SAMPLINGS];
} fi_pixel_kernels;

/* ---- resampling ------------------------------------------------------------------------------------------------ */

/*
 * Between the two passes samples are Q6 fixed point in int16_t: 64 is one pixel level, so -512 to 511 levels fit.
 * Coefficients are Q14, and the magnitudes of one result's coefficients sum to at most 2.
 */

/*
 * Coefficients of four results so close together that one 16-byte load covers all their taps. For result j, index[4
 * j] and index[4 j + 2] select the bytes that weights[2 j] and weights[2 j + 1] apply to: 0 to 15, or FI_NO_BYTE. The
 * indices between them are FI_NO_BYTE, so that a byte shuffle widens to 16 bits.
 */
#define FI_NO_BYTE 0xFF
typedef struct fi_quad {
    uint8_t index[16];
    int16_t weights[8];
} fi_quad;

/* So many rows share the loads of a quad: with two, loads would take longer than all else. */
#define FI_SHUFFLE_ROWS 4

typedef struct fi_resample_kernels {
    /*
     * Horizontally, two rows at once (which may be the same): result x of each row is
     * clamp16((sum of weights[taps x + k] src[first[x] + k] + 128) >> 8), k < taps. taps is a multiple of 8, and src is
     * readable for all of them, even where the weight is 0.
     */
    void (*resample_h)(const uint8_t *const src[2], int16_t *const dst[2], const uint32_t *first,
                       const int16_t *weights, size_t taps, size_t n);

    /* The same of Q6 samples: clamp16((sum + 8192) >> 14). */
    void (*resample_h_q6)(const int16_t *const src[2], int16_t *const dst[2], const uint32_t *first,
                          const int16_t *weights, size_t taps, size_t n);

    /*
     * resample_h by byte shuffles, FI_SHUFFLE_ROWS rows at once (some of which may be the same): result x is the sum
     * over `pairs` steps of quad x / 4, whose bytes begin at base[x / 4], where 16 bytes of src are readable. There are
     * quads for n rounded up to a multiple of 8, and that many results are written.
     */
    void (*resample_h_shuffle)(const uint8_t *const src[FI_SHUFFLE_ROWS], int16_t *const dst[FI_SHUFFLE_ROWS],
                               const uint32_t *base, const fi_quad *quads, size_t pairs, size_t n);

    /* Vertically: dst[i] = clamp16((sum of weights[k] rows[k][i] + 8192) >> 14), k < taps; taps is even. */
    void (*resample_v)(const int16_t *const *rows, const int16_t *weights, size_t taps, int16_t *dst, size_t n);

    /* dst[i] = clamp8((src[i] + 32) >> 6) */
    void (*round_q6)(const int16_t *src, uint8_t *dst, size_t n);

    /* n Q6 samples of Y, Cb and Cr to 8-bit R, G and B (formula: resample_kernels.c). */
    void (*ycc_q6_to_rgb)(const int16_t *const ycc[3], uint8_t *const rgb[3], size_t n);
} fi_resample_kernels;

/* ---- inverse DCT ----------------------------------------------------------------------------------------------- */

/*
 * A block of 64 coefficients in natural order, which kernels only read, and where its samples go: rows[0 .. 8)[column ..
 * column + 8).
 */
typedef struct fi_block {
    int16_t *coefficients;
    const uint16_t *quantisation;
    uint8_t *const *rows;
    size_t column;
} fi_block;

/*
 * Blocks beside each other, and where their samples go: rows of int16_t. Reduced samples are Q6 and not clamped to
 * pixels, because what overshoots at an edge belongs to the mean that resampling makes of it.
 */
typedef struct fi_block_run {
    const int16_t *coefficients; /* of the first block, in natural order */
    size_t pitch; /* coefficients from one block to the next */
    const uint16_t *quantisation;
    uint8_t *const *rows;
    size_t column, step; /* of the first block's samples; from one block's to the next one's */
    size_t count;
} fi_block_run;

typedef struct fi_idct_kernels {
    /* The 4 x 4 or 2 x 2 lowest frequencies of blocks, of which whole rows of 8 are read, to as many samples. */
    void (*idct_4)(const fi_block_run *run);
    void (*idct_2)(const fi_block_run *run);

    /* What idct_4 or idct_2 (size) would make of a block with these pixels: samples at rows[0 .. size)[column ..]. */
    void (*reduce_pixels)(const uint8_t pixels[8][8], unsigned size, uint8_t *const *rows, size_t column);

    /*
     * Two blocks, which may be the same, to 8 x 8 samples each, like libjpeg-turbo's SIMD version of JDCT_ISLOW for the
     * CPU. low: all but the 4 x 4 lowest frequencies are zero. NULL in the C table: libjpeg's own is used then, and the
     * definition is in the kernel's test. CPUs differ where results of the columns do not fit into 16 bits: they are
     * clamped on x86, and wrap around on ARM.
     */
    void (*idct_8)(const fi_block *first, const fi_block *second, bool low);
} fi_idct_kernels;

/* ---- dispatch -------------------------------------------------------------------------------------------------- */

/* Fills a table with the best versions for these features (cpu.h); 0 gives the C reference. */
void fi_pixel_kernels_choose(fi_pixel_kernels *table, unsigned cpu_features);
void fi_resample_kernels_choose(fi_resample_kernels *table, unsigned cpu_features);
void fi_idct_kernels_choose(fi_idct_kernels *table, unsigned cpu_features);

/* Fills the three tables that the core uses. Called once, by fi_init(). */
void fi_kernels_init(unsigned cpu_features);

/* The tables it filled. */
const fi_pixel_kernels *fi_pixel_kernels_active(void);
const fi_resample_kernels *fi_resample_kernels_active(void);
const fi_idct_kernels *fi_idct_kernels_active(void);

#endif
