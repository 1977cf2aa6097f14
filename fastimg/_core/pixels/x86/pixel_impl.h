/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AVX2 versions of the pixel kernels. Each does whole vectors, then the rest with the C version: nothing is read or
 * written outside the n pixels. lut16 stays in C: gathers are slower on CPUs whose microcode guards them.
 */
#include "pixels/x86/avx2.h"

/*
 * 32 pixels are 96 bytes, in three registers of two lanes of 16 bytes each:
 *
 *   v0 = B0 | B1    v1 = B2 | B3    v2 = B4 | B5        (Bk: bytes 16 k to 16 k + 15)
 *
 * Pixels 0 to 15 are B0 B1 B2, pixels 16 to 31 are B3 B4 B5. Put into lanes as
 *
 *   a = B0 | B3     b = B1 | B4     c = B2 | B5
 *
 * both lanes need the same work: channel k of 16 pixels is at byte 3 i + k of a, b, c laid end to end; a byte shuffle
 * of each (index -1 gives 0) moves each register's share into place, and the three shares are or-ed.
 */
#define N_ (-1)
static const int8_t deinterleave3_index[3][3][16] = {
    {{0, 3, 6, 9, 12, 15, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_},
     {N_, N_, N_, N_, N_, N_, 2, 5, 8, 11, 14, N_, N_, N_, N_, N_},
     {N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, 1, 4, 7, 10, 13}},
    {{1, 4, 7, 10, 13, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_},
     {N_, N_, N_, N_, N_, 0, 3, 6, 9, 12, 15, N_, N_, N_, N_, N_},
     {N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, 2, 5, 8, 11, 14}},
    {{2, 5, 8, 11, 14, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_},
     {N_, N_, N_, N_, N_, 1, 4, 7, 10, 13, N_, N_, N_, N_, N_, N_},
     {N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, 0, 3, 6, 9, 12, 15}},
};

#undef N_

/*
 * In the other direction, byte j of register k is channel (16 k + j) % 3 = (k + j) % 3 of pixel (16 k + j) / 3. So each
 * channel has its own third of a register's bytes, another one in each of a, b and c, and one shuffle per channel puts
 * all of its pixels where they belong in one of the three, which are then blended from the shuffled channels.
 */
static const int8_t interleave3_index[3][16] = {
    {0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10, 5},
    {5, 0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10},
    {10, 5, 0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15},
};

/* Every third byte, from byte 0, 1 or 2 on. */
static const int8_t thirds[3][16] = {
    {-1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1},
    {0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0},
    {0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0},
};

FI_AVX2 static inline __m256i gather3(__m256i a, __m256i b, __m256i c, const __m256i *index) {
    return _mm256_or_si256(_mm256_or_si256(_mm256_shuffle_epi8(a, index[0]), _mm256_shuffle_epi8(b, index[1])),
                           _mm256_shuffle_epi8(c, index[2]));
}

FI_AVX2 static void deinterleave3_avx2(const uint8_t *src, uint8_t *p0, uint8_t *p1, uint8_t *p2, size_t n) {
    uint8_t *const planes[3] = {p0, p1, p2};
    __m256i index[3][3];
    size_t i = 0;

    for (int k = 0; k < 9; k++) index[k / 3][k % 3] = both_lanes(deinterleave3_index[k / 3][k % 3]);
    for (; i + 32 <= n; i += 32) {
        const __m256i v0 = _mm256_loadu_si256((const __m256i *)(src + 3 * i));
        const __m256i v1 = _mm256_loadu_si256((const __m256i *)(src + 3 * i + 32));
        const __m256i v2 = _mm256_loadu_si256((const __m256i *)(src + 3 * i + 64));
        const __m256i a = _mm256_permute2x128_si256(v0, v1, 0x30); /* B0 | B3 */
        const __m256i b = _mm256_permute2x128_si256(v0, v2, 0x21); /* B1 | B4 */
        const __m256i c = _mm256_permute2x128_si256(v1, v2, 0x30); /* B2 | B5 */
        for (int k = 0; k < 3; k++) {
            _mm256_storeu_si256((__m256i *)(planes[k] + i), gather3(a, b, c, index[k]));
        }
    }
    deinterleave3_c(src + 3 * i, p0 + i, p1 + i, p2 + i, n - i);
}

typedef struct {
    __m256i index[3], third[3];
} pixel_order;

/* For pixels of which number i of a lane is at byte at[i]. */
FI_AVX2 static inline void load_pixel_order(pixel_order *order, __m256i at) {
    for (int k = 0; k < 3; k++) {
        order->index[k] = _mm256_shuffle_epi8(at, both_lanes(interleave3_index[k]));
        order->third[k] = both_lanes(thirds[k]);
    }
}

/* 32 pixels of channels p. */
FI_AVX2 static inline void store_pixels(const __m256i p[3], uint8_t *dst, const pixel_order *order) {
    const __m256i *third = order->third;
    __m256i c[3], v[3];

    for (int k = 0; k < 3; k++) c[k] = _mm256_shuffle_epi8(p[k], order->index[k]);
    for (int k = 0; k < 3; k++) { /* B0 | B3, B1 | B4, B2 | B5 */
        v[k] = _mm256_blendv_epi8(_mm256_blendv_epi8(c[0], c[1], third[(4 - k) % 3]), c[2], third[(5 - k) % 3]);
    }
    _mm256_storeu_si256((__m256i *)dst, _mm256_permute2x128_si256(v[0], v[1], 0x20));
    _mm256_storeu_si256((__m256i *)(dst + 32), _mm256_permute2x128_si256(v[2], v[0], 0x30));
    _mm256_storeu_si256((__m256i *)(dst + 64), _mm256_permute2x128_si256(v[1], v[2], 0x31));
}

FI_AVX2 static void interleave3_avx2(const uint8_t *p0, const uint8_t *p1, const uint8_t *p2, uint8_t *dst, size_t n) {
    static const int8_t in_order[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    pixel_order order;
    size_t i = 0;

    load_pixel_order(&order, both_lanes(in_order));
    for (; i + 32 <= n; i += 32) {
        const __m256i r = _mm256_loadu_si256((const __m256i *)(p0 + i));
        const __m256i g = _mm256_loadu_si256((const __m256i *)(p1 + i));
        const __m256i b = _mm256_loadu_si256((const __m256i *)(p2 + i));
        store_pixels((const __m256i[]){r, g, b}, dst + 3 * i, &order);
    }
    interleave3_c(p0 + i, p1 + i, p2 + i, dst + 3 * i, n - i);
}

FI_AVX2 static void reverse_avx2(const uint8_t *src, uint8_t *dst, size_t n) {
    static const int8_t backwards[16] = {15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
    const __m256i index = both_lanes(backwards);
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(src + n - 32 - i));
        _mm256_storeu_si256((__m256i *)(dst + i), _mm256_permute4x64_epi64(_mm256_shuffle_epi8(v, index), 0x4E));
    }
    reverse_c(src, dst + i, n - i);
}

/*
 * 16 x 16 bytes: four rounds, each of which interleaves row r with row r + 8. A round turns the four-bit row number
 * r3 r2 r1 r0 and column number c3 c2 c1 c0 into row r2 r1 r0 c3 and column c2 c1 c0 r3; four of them swap the two.
 */
FI_AVX2 static inline void transpose16(const uint8_t *src, size_t src_stride, uint8_t *dst, size_t dst_stride) {
    __m128i v[16], w[16];
    for (size_t r = 0; r < 16; r++) v[r] = _mm_loadu_si128((const __m128i *)(src + r * src_stride));
    for (int round = 0; round < 2; round++) {
        for (int r = 0; r < 8; r++) {
            w[2 * r] = _mm_unpacklo_epi8(v[r], v[r + 8]);
            w[2 * r + 1] = _mm_unpackhi_epi8(v[r], v[r + 8]);
        }
        for (int r = 0; r < 8; r++) {
            v[2 * r] = _mm_unpacklo_epi8(w[r], w[r + 8]);
            v[2 * r + 1] = _mm_unpackhi_epi8(w[r], w[r + 8]);
        }
    }
    for (size_t r = 0; r < 16; r++) _mm_storeu_si128((__m128i *)(dst + r * dst_stride), v[r]);
}

FI_AVX2 static void transpose_avx2(const uint8_t *src, size_t src_stride, uint8_t *dst, size_t dst_stride, size_t rows,
                                   size_t cols) {
    const size_t rows16 = rows & ~(size_t)15, cols16 = cols & ~(size_t)15;

    for (size_t x = 0; x < cols16; x += 16) {
        for (size_t y = 0; y < rows16; y += 16) {
            transpose16(src + y * src_stride + x, src_stride, dst + x * dst_stride + y, dst_stride);
        }
    }
    transpose_c(src + rows16 * src_stride, src_stride, dst + rows16, dst_stride, rows - rows16, cols16);
    transpose_c(src + cols16, src_stride, dst + cols16 * dst_stride, dst_stride, rows, cols - cols16);
}

FI_AVX2 static void normalize32_avx2(const uint8_t *src, float mean, float std, void *dst, size_t n) {
    const __m256 most = _mm256_set1_ps(255), means = _mm256_set1_ps(mean), stds = _mm256_set1_ps(std);
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        const __m256i pixels = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(src + i)));
        const __m256 scaled = _mm256_div_ps(_mm256_cvtepi32_ps(pixels), most);
        _mm256_storeu_ps((void *)((uint8_t *)dst + 4 * i), _mm256_div_ps(_mm256_sub_ps(scaled, means), stds));
    }
    normalize32_c(src + i, mean, std, (uint8_t *)dst + 4 * i, n - i);
}

/* ---- Y, Cb and Cr ---------------------------------------------------------------------------------------------- */

FI_AVX2_INLINE __m256i widen16(const uint8_t *src) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)src));
}

/* 32 bytes: those of even index, which low_bytes leaves, and those of odd index. */
FI_AVX2_INLINE void split_pairs(const uint8_t *src, __m256i low_bytes, __m256i v[2]) {
    const __m256i both = _mm256_loadu_si256((const __m256i *)src);
    v[0] = _mm256_and_si256(both, low_bytes);
    v[1] = _mm256_srli_epi16(both, 8);
}

/* 3 a + b */
FI_AVX2_INLINE __m256i three_to_one(__m256i a, __m256i b) {
    return _mm256_add_epi16(_mm256_add_epi16(a, a), _mm256_add_epi16(a, b));
}

/* Blends three times a sample with the one before it, and with the one after it, to which `more` is added. */
FI_AVX2_INLINE void blend(__m256i three, __m256i before, __m256i after, int more, int shift, __m256i v[2]) {
    v[0] = _mm256_srai_epi16(_mm256_add_epi16(three, before), shift);
    v[1] = _mm256_srai_epi16(_mm256_add_epi16(_mm256_add_epi16(three, after), _mm256_set1_epi16((short)more)), shift);
}

/*
 * Sums of two rows of chroma, 3 near + far, for CHUNK pixels and a sample more at either end. Less SUM_OFFSET, 3 sums and
 * 1 are less by 128 in Q4, with 8 added, which rounds.
 */
enum { CHUNK = 1024, MAX_SUMS = CHUNK / 2 + 2, SUM_OFFSET = (128 * 16 - 8) / 4 };

/* 32 of them, from pairs of bytes. */
FI_AVX2_INLINE void sum_rows_x32(const uint8_t *near, const uint8_t *far, int16_t *sums) {
    const __m256i weights = _mm256_set1_epi16(1 << 8 | 3), offset = _mm256_set1_epi16(SUM_OFFSET);
    const __m256i a = _mm256_loadu_si256((const __m256i *)near), b = _mm256_loadu_si256((const __m256i *)far);
    const __m256i lo = _mm256_sub_epi16(_mm256_maddubs_epi16(_mm256_unpacklo_epi8(a, b), weights), offset);
    const __m256i hi = _mm256_sub_epi16(_mm256_maddubs_epi16(_mm256_unpackhi_epi8(a, b), weights), offset);
    _mm256_storeu_si256((__m256i *)sums, _mm256_permute2x128_si256(lo, hi, 0x20));
    _mm256_storeu_si256((__m256i *)(sums + 16), _mm256_permute2x128_si256(lo, hi, 0x31));
}

FI_AVX2_INLINE void sum_rows_x16(const uint8_t *near, const uint8_t *far, int16_t *sums) {
    const __m256i sum = three_to_one(widen16(near), widen16(far));
    _mm256_storeu_si256((__m256i *)sums, _mm256_sub_epi16(sum, _mm256_set1_epi16(SUM_OFFSET)));
}

/* count >= 16: the last ones are done as a whole vector, some of them twice. */
FI_AVX2_INLINE void sum_rows(const uint8_t *near, const uint8_t *far, int16_t *sums, size_t count) {
    if (count < 32) {
        sum_rows_x16(near, far, sums);
        sum_rows_x16(near + count - 16, far + count - 16, sums + count - 16);
        return;
    }
    for (size_t i = 0; i < count - 32; i += 32) sum_rows_x32(near + i, far + i, sums + i);
    sum_rows_x32(near + count - 32, far + count - 32, sums + count - 32);
}

/* The samples of Cb or Cr, less 128, of 32 pixels, of which the first is of even index: for even and odd ones. */
FI_AVX2_INLINE void upsample_avx2(fi_sampling sampling, const uint8_t *src, const int16_t *sums, __m256i v[2]) {
    if (sampling == FI_H1V1) {
        split_pairs(src, _mm256_set1_epi16(255), v);
        for (int k = 0; k < 2; k++) v[k] = _mm256_sub_epi16(v[k], _mm256_set1_epi16(128));
    } else if (sampling == FI_H2V1) {
        const __m256i one = widen16(src), offset = _mm256_set1_epi16(1 - 128 * 4);
        const __m256i three = _mm256_add_epi16(_mm256_add_epi16(one, one), _mm256_add_epi16(one, offset));
        blend(three, widen16(src - 1), widen16(src + 1), 1, 2, v);
    } else {
        const __m256i one = _mm256_loadu_si256((const __m256i *)sums);
        blend(_mm256_add_epi16(_mm256_add_epi16(one, one), one), _mm256_loadu_si256((const __m256i *)(sums - 1)),
              _mm256_loadu_si256((const __m256i *)(sums + 1)), -1, 4, v);
    }
}

/*
 * What convert_x32() needs. It stays in memory: there are too few registers, and compilers that know what is in there make
 * it anew for each vector, in three instructions each.
 */
typedef struct {
    int16_t r_cr[16], b_cb[16], low_bytes[16];
    int32_t green[8], half[8];
} ycc_constants;

static const _Alignas(32) ycc_constants ycc_q15 = {
    .r_cr = {[0 ... 15] = FI_R_CR},
    .b_cb = {[0 ... 15] = FI_B_CB},
    .low_bytes = {[0 ... 15] = 255},
    .green = {[0 ... 7] = -FI_G_CR * 65536 + (-FI_G_CB & 0xFFFF)},
    .half = {[0 ... 7] = 1 << 14},
};

FI_AVX2_INLINE __m256i load_constant(const void *numbers) {
    return _mm256_load_si256((const __m256i *)numbers);
}

FI_AVX2_INLINE __m256i green_sum(__m256i cb_cr, const ycc_constants *q15) {
    const __m256i products = _mm256_madd_epi16(cb_cr, load_constant(q15->green));
    return _mm256_srai_epi32(_mm256_add_epi32(products, load_constant(q15->half)), 15);
}

/* R, G and B of 32 pixels, from chroma less 128. In each lane, even pixels come first. */
FI_AVX2_INLINE void convert_x32(const uint8_t *pixels, const __m256i cb[2], const __m256i cr[2],
                                const ycc_constants *q15, __m256i rgb[3]) {
    __m256i luma[2], r[2], g[2], b[2];

    split_pairs(pixels, load_constant(q15->low_bytes), luma);
    for (int k = 0; k < 2; k++) {
        const __m256i red = _mm256_mulhrs_epi16(cr[k], load_constant(q15->r_cr));
        const __m256i green = _mm256_packs_epi32(green_sum(_mm256_unpacklo_epi16(cb[k], cr[k]), q15),
                                                 green_sum(_mm256_unpackhi_epi16(cb[k], cr[k]), q15));
        const __m256i blue = _mm256_mulhrs_epi16(cb[k], load_constant(q15->b_cb));
        r[k] = _mm256_add_epi16(_mm256_add_epi16(luma[k], cr[k]), red);
        g[k] = _mm256_add_epi16(luma[k], green);
        b[k] = _mm256_add_epi16(_mm256_add_epi16(luma[k], cb[k]), blue);
    }
    rgb[0] = _mm256_packus_epi16(r[0], r[1]);
    rgb[1] = _mm256_packus_epi16(g[0], g[1]);
    rgb[2] = _mm256_packus_epi16(b[0], b[1]);
}

/* Where pixel i of a lane is. */
static const int8_t pair_index[16] = {0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15};

FI_AVX2_INLINE void store_planes(const __m256i rgb[3], uint8_t *const dst[3], size_t i) {
    const __m256i index = both_lanes(pair_index);
    for (int c = 0; c < 3; c++) _mm256_storeu_si256((__m256i *)(dst[c] + i), _mm256_shuffle_epi8(rgb[c], index));
}

FI_AVX2_INLINE void swap_ends(__m256i v[3]) {
    const __m256i first = v[0];
    v[0] = v[2];
    v[2] = first;
}

/*
 * The last pixels are done as a whole vector, some of them twice. Single ones at either end make vectors begin with an
 * even pixel.
 */
FI_AVX2_INLINE void ycc_avx2(fi_sampling sampling, const uint8_t *const rows[5], size_t x, uint8_t *const dests[3],
                             size_t step, size_t n) {
    /* Copies: compilers cannot know that no pixel is stored over the originals. */
    const bool has_far = sampling == FI_H2V2;
    const uint8_t *src[5] = {NULL};
    uint8_t *const dst[3] = {dests[0], dests[1], dests[2]};
    const size_t end = x + n, last = (end - 32) & ~(size_t)1; /* where the last vector begins */
    const bool bgr = step == 3 && dst[2] < dst[0];
    uint8_t *const p = dst[bgr ? 2 : 0];
    const ycc_constants *q15 = &ycc_q15;
    int16_t sums[2][MAX_SUMS];
    __m256i cb[2], cr[2], rgb[3];
    pixel_order order;
    size_t i = x, first = 0, past = 0; /* of the pixels that there are sums for */

    for (int k = 0; k < (has_far ? 5 : 3); k++) {
        const uint8_t *row = rows[k]; /* not two by one load: they have just been stored one by one */
        FI_OPAQUE(row);
        src[k] = row;
    }
    FI_OPAQUE(q15);
    if (end < 32 + 2 * x) {
        ycc_c(sampling, src, x, dst, step, n);
        return;
    }
    if (step == 3) load_pixel_order(&order, both_lanes(pair_index));
    if (x) ycc_c(sampling, src, i++, dst, step, 1);
    for (;; i = i + 32 < last ? i + 32 : last) { /* i <= last: both are even, and end - i >= 32 */
        if (has_far && i + 32 > past) {
            first = i;
            past = last - i > CHUNK - 32 ? i + CHUNK : last + 32;
            for (int c = 0; c < 2; c++) {
                sum_rows(src[1 + c] + i / 2 - 1, src[3 + c] + i / 2 - 1, sums[c], (past - i) / 2 + 2);
            }
        }
        const size_t at = sampling == FI_H1V1 ? i : i / 2;
        upsample_avx2(sampling, src[1] + at, sums[0] + 1 + (i - first) / 2, cb);
        upsample_avx2(sampling, src[2] + at, sums[1] + 1 + (i - first) / 2, cr);
        convert_x32(src[0] + i, cb, cr, q15, rgb);
        if (bgr) swap_ends(rgb);
        if (step == 3) store_pixels(rgb, p + 3 * (i - x), &order);
        else store_planes(rgb, dst, i - x);
        if (i == last) break;
    }
    if (end % 2) {
        const size_t at = step * (n - 1);
        ycc_c(sampling, src, end - 1, (uint8_t *const[]){dst[0] + at, dst[1] + at, dst[2] + at}, step, 1);
    }
}

YCC_VERSIONS(ycc_avx2, FI_AVX2);
