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

/* The same in the other direction: byte j of a, b, c is channel (16 k + j) % 3 of pixel (16 k + j) / 3. */
static const int8_t interleave3_index[3][3][16] = {
    {{0, N_, N_, 1, N_, N_, 2, N_, N_, 3, N_, N_, 4, N_, N_, 5},
     {N_, 0, N_, N_, 1, N_, N_, 2, N_, N_, 3, N_, N_, 4, N_, N_},
     {N_, N_, 0, N_, N_, 1, N_, N_, 2, N_, N_, 3, N_, N_, 4, N_}},
    {{N_, N_, 6, N_, N_, 7, N_, N_, 8, N_, N_, 9, N_, N_, 10, N_},
     {5, N_, N_, 6, N_, N_, 7, N_, N_, 8, N_, N_, 9, N_, N_, 10},
     {N_, 5, N_, N_, 6, N_, N_, 7, N_, N_, 8, N_, N_, 9, N_, N_}},
    {{N_, 11, N_, N_, 12, N_, N_, 13, N_, N_, 14, N_, N_, 15, N_, N_},
     {N_, N_, 11, N_, N_, 12, N_, N_, 13, N_, N_, 14, N_, N_, 15, N_},
     {10, N_, N_, 11, N_, N_, 12, N_, N_, 13, N_, N_, 14, N_, N_, 15}},
};
#undef N_

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

FI_AVX2 static void interleave3_avx2(const uint8_t *p0, const uint8_t *p1, const uint8_t *p2, uint8_t *dst, size_t n) {
    __m256i index[3][3];
    size_t i = 0;

    for (int k = 0; k < 9; k++) index[k / 3][k % 3] = both_lanes(interleave3_index[k / 3][k % 3]);
    for (; i + 32 <= n; i += 32) {
        const __m256i r = _mm256_loadu_si256((const __m256i *)(p0 + i));
        const __m256i g = _mm256_loadu_si256((const __m256i *)(p1 + i));
        const __m256i b = _mm256_loadu_si256((const __m256i *)(p2 + i));
        const __m256i v0 = gather3(r, g, b, index[0]); /* B0 | B3 */
        const __m256i v1 = gather3(r, g, b, index[1]); /* B1 | B4 */
        const __m256i v2 = gather3(r, g, b, index[2]); /* B2 | B5 */
        _mm256_storeu_si256((__m256i *)(dst + 3 * i), _mm256_permute2x128_si256(v0, v1, 0x20));
        _mm256_storeu_si256((__m256i *)(dst + 3 * i + 32), _mm256_permute2x128_si256(v2, v0, 0x30));
        _mm256_storeu_si256((__m256i *)(dst + 3 * i + 64), _mm256_permute2x128_si256(v1, v2, 0x31));
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

/* 16 pixels, less `offset`, as 16-bit numbers. */
FI_AVX2 static inline __m256i load_pixels(const uint8_t *src, int16_t offset) {
    return _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)src)), _mm256_set1_epi16(offset));
}

/* Stores 2 x 16 numbers as clamped bytes. */
FI_AVX2 static inline void store_pixels(uint8_t *dst, const __m256i v[2]) {
    _mm256_storeu_si256((__m256i *)dst, _mm256_permute4x64_epi64(_mm256_packus_epi16(v[0], v[1]), 0xD8));
}

FI_AVX2 static inline __m256i green_sum(__m256i cb_cr) {
    const __m256i factors = _mm256_set1_epi32((int)((uint32_t)G_CR16 << 16 | (G_CB16 & 0xFFFF)));
    const __m256i sum = _mm256_add_epi32(_mm256_madd_epi16(cb_cr, factors), _mm256_set1_epi32(32768));
    return _mm256_srai_epi32(sum, 16);
}

FI_AVX2 static inline void ycc_u8_to_rgb_x32(const uint8_t *const ycc[3], uint8_t *const rgb[3], size_t i) {
    const __m256i r_cr = _mm256_set1_epi16(FI_R_CR), b_cb = _mm256_set1_epi16(FI_B_CB);
    __m256i r[2], g[2], b[2];

    for (int h = 0; h < 2; h++) {
        const size_t at = i + 16 * (size_t)h;
        const __m256i y = load_pixels(ycc[0] + at, 0);
        const __m256i cb = load_pixels(ycc[1] + at, 128), cr = load_pixels(ycc[2] + at, 128);
        const __m256i green =
            _mm256_packs_epi32(green_sum(_mm256_unpacklo_epi16(cb, cr)), green_sum(_mm256_unpackhi_epi16(cb, cr)));
        r[h] = _mm256_add_epi16(_mm256_add_epi16(y, cr), _mm256_mulhrs_epi16(cr, r_cr));
        g[h] = _mm256_add_epi16(_mm256_sub_epi16(y, cr), green);
        b[h] = _mm256_add_epi16(_mm256_add_epi16(y, cb), _mm256_mulhrs_epi16(cb, b_cb));
    }
    store_pixels(rgb[0] + i, r);
    store_pixels(rgb[1] + i, g);
    store_pixels(rgb[2] + i, b);
}

/* The last 32 pixels are done as a whole vector, some of them twice. */
FI_AVX2 static void ycc_u8_to_rgb_avx2(const uint8_t *const ycc[3], uint8_t *const rgb[3], size_t n) {
    size_t i = 0;

    for (; i + 32 <= n; i += 32) ycc_u8_to_rgb_x32(ycc, rgb, i);
    if (n < 32) ycc_u8_to_rgb_c(ycc, rgb, n);
    else if (i < n) ycc_u8_to_rgb_x32(ycc, rgb, n - 32);
}
