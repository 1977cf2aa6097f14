/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NEON versions of the pixel kernels. Each does whole vectors, then the rest with the C version: nothing is read or
 * written outside the n pixels.
 */
#include <arm_neon.h>

static void deinterleave3_neon(const uint8_t *src, uint8_t *p0, uint8_t *p1, uint8_t *p2, size_t n) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const uint8x16x3_t v = vld3q_u8(src + 3 * i);
        vst1q_u8(p0 + i, v.val[0]);
        vst1q_u8(p1 + i, v.val[1]);
        vst1q_u8(p2 + i, v.val[2]);
    }
    deinterleave3_c(src + 3 * i, p0 + i, p1 + i, p2 + i, n - i);
}

static void interleave3_neon(const uint8_t *p0, const uint8_t *p1, const uint8_t *p2, uint8_t *dst, size_t n) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const uint8x16x3_t v = {{vld1q_u8(p0 + i), vld1q_u8(p1 + i), vld1q_u8(p2 + i)}};
        vst3q_u8(dst + 3 * i, v);
    }
    interleave3_c(p0 + i, p1 + i, p2 + i, dst + 3 * i, n - i);
}

static void reverse_neon(const uint8_t *src, uint8_t *dst, size_t n) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const uint8x16_t v = vrev64q_u8(vld1q_u8(src + n - 16 - i)); /* each half backwards */
        vst1q_u8(dst + i, vextq_u8(v, v, 8));                         /* the halves swapped */
    }
    reverse_c(src, dst + i, n - i);
}

/*
 * 16 x 16 bytes: four rounds, each of which interleaves row r with row r + 8. A round turns the four-bit row number
 * r3 r2 r1 r0 and column number c3 c2 c1 c0 into row r2 r1 r0 c3 and column c2 c1 c0 r3; four of them swap the two.
 */
static inline void transpose16_neon(const uint8_t *src, size_t src_stride, uint8_t *dst, size_t dst_stride) {
    uint8x16_t v[16], w[16];
    for (size_t r = 0; r < 16; r++) v[r] = vld1q_u8(src + r * src_stride);
    for (int round = 0; round < 2; round++) {
        for (int r = 0; r < 8; r++) {
            w[2 * r] = vzip1q_u8(v[r], v[r + 8]);
            w[2 * r + 1] = vzip2q_u8(v[r], v[r + 8]);
        }
        for (int r = 0; r < 8; r++) {
            v[2 * r] = vzip1q_u8(w[r], w[r + 8]);
            v[2 * r + 1] = vzip2q_u8(w[r], w[r + 8]);
        }
    }
    for (size_t r = 0; r < 16; r++) vst1q_u8(dst + r * dst_stride, v[r]);
}

static void transpose_neon(const uint8_t *src, size_t src_stride, uint8_t *dst, size_t dst_stride, size_t rows,
                           size_t cols) {
    const size_t rows16 = rows & ~(size_t)15, cols16 = cols & ~(size_t)15;

    for (size_t x = 0; x < cols16; x += 16) {
        for (size_t y = 0; y < rows16; y += 16) {
            transpose16_neon(src + y * src_stride + x, src_stride, dst + x * dst_stride + y, dst_stride);
        }
    }
    transpose_c(src + rows16 * src_stride, src_stride, dst + rows16, dst_stride, rows - rows16, cols16);
    transpose_c(src + cols16, src_stride, dst + cols16 * dst_stride, dst_stride, rows, cols - cols16);
}

static void normalize32_neon(const uint8_t *src, float mean, float std, void *dst, size_t n) {
    const float32x4_t most = vdupq_n_f32(255), means = vdupq_n_f32(mean), stds = vdupq_n_f32(std);
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        const uint16x8_t pixels = vmovl_u8(vld1_u8(src + i));
        const float32x4_t lo = vdivq_f32(vcvtq_f32_u32(vmovl_u16(vget_low_u16(pixels))), most);
        const float32x4_t hi = vdivq_f32(vcvtq_f32_u32(vmovl_high_u16(pixels)), most);
        vst1q_u8((uint8_t *)dst + 4 * i, vreinterpretq_u8_f32(vdivq_f32(vsubq_f32(lo, means), stds)));
        vst1q_u8((uint8_t *)dst + 4 * i + 16, vreinterpretq_u8_f32(vdivq_f32(vsubq_f32(hi, means), stds)));
    }
    normalize32_c(src + i, mean, std, (uint8_t *)dst + 4 * i, n - i);
}

/* Results for the four lowest bytes. */
static inline uint64_t lut16_four_neon(const uint16_t *table, uint64_t pixels) {
    return (uint64_t)table[pixels & 255] | (uint64_t)table[pixels >> 8 & 255] << 16 |
           (uint64_t)table[pixels >> 16 & 255] << 32 | (uint64_t)table[pixels >> 24 & 255] << 48;
}

/*
 * Eight pixels at a time, to spare loads and stores. NEON has no gather. Of 16 pixels it looks up both halves of the
 * results in 64 bytes at a time, eight times in all, which LLVM's models of CPUs take to be three times as long.
 */
static void lut16_neon(const uint8_t *src, const uint16_t *table, void *dst, size_t n) {
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        uint64_t pixels;
        memcpy(&pixels, src + i, 8);
        const uint64_t results[2] = {lut16_four_neon(table, pixels), lut16_four_neon(table, pixels >> 32)};
        memcpy((uint8_t *)dst + 2 * i, results, 16);
    }
    lut16_c(src + i, table, (uint8_t *)dst + 2 * i, n - i);
}

/* ---- Y, Cb and Cr ---------------------------------------------------------------------------------------------- */

/* The samples of Cb or Cr, less 128, of 16 pixels, of which the first is of even index: for even and odd ones. */
static inline void upsample_neon(fi_sampling sampling, const uint8_t *near, const uint8_t *far, int16x8_t v[2]) {
    uint16x8_t sum[3], even, odd;

    if (sampling == FI_H1V1) {
        const uint8x8x2_t pairs = vld2_u8(near);
        even = vmovl_u8(pairs.val[0]);
        odd = vmovl_u8(pairs.val[1]);
    } else {
        for (int k = 0; k < 3; k++) {
            sum[k] = vmovl_u8(vld1_u8(near + k - 1));
            if (sampling == FI_H2V2) sum[k] = vmlaq_n_u16(vmovl_u8(vld1_u8(far + k - 1)), sum[k], 3);
        }
        even = vmlaq_n_u16(sum[0], sum[1], 3);
        odd = vmlaq_n_u16(sum[2], sum[1], 3);
        even = sampling == FI_H2V2 ? vrshrq_n_u16(even, 4) : vshrq_n_u16(vaddq_u16(even, vdupq_n_u16(1)), 2);
        odd = sampling == FI_H2V2 ? vshrq_n_u16(vaddq_u16(odd, vdupq_n_u16(7)), 4) : vrshrq_n_u16(odd, 2);
    }
    v[0] = vsubq_s16(vreinterpretq_s16_u16(even), vdupq_n_s16(128));
    v[1] = vsubq_s16(vreinterpretq_s16_u16(odd), vdupq_n_s16(128));
}

/* R, G and B of 16 pixels, from pixel x on, which is even. vqrdmulh(a, b) is fi_scale16(a, b), as it doubles the product. */
static inline uint8x16x3_t convert_x16(fi_sampling sampling, const uint8_t *const src[5], size_t x) {
    const size_t at = sampling == FI_H1V1 ? x : x / 2;
    const uint8x8x2_t luma = vld2_u8(src[0] + x);
    int16x8_t chroma[2][2];
    uint8x8_t rgb[3][2];
    uint8x16x3_t result;

    for (int c = 0; c < 2; c++) {
        upsample_neon(sampling, src[1 + c] + at, sampling == FI_H2V2 ? src[3 + c] + at : NULL, chroma[c]);
    }
    for (int k = 0; k < 2; k++) {
        const int16x8_t y = vreinterpretq_s16_u16(vmovl_u8(luma.val[k])), cb = chroma[0][k], cr = chroma[1][k];
        const int32x4_t low = vmlal_n_s16(vmull_n_s16(vget_low_s16(cb), -FI_G_CB), vget_low_s16(cr), -FI_G_CR);
        const int32x4_t high = vmlal_n_s16(vmull_n_s16(vget_high_s16(cb), -FI_G_CB), vget_high_s16(cr), -FI_G_CR);
        const int16x8_t green = vcombine_s16(vrshrn_n_s32(low, 15), vrshrn_n_s32(high, 15));
        rgb[0][k] = vqmovun_s16(vaddq_s16(vaddq_s16(y, cr), vqrdmulhq_n_s16(cr, FI_R_CR)));
        rgb[1][k] = vqmovun_s16(vaddq_s16(y, green));
        rgb[2][k] = vqmovun_s16(vaddq_s16(vaddq_s16(y, cb), vqrdmulhq_n_s16(cb, FI_B_CB)));
    }
    for (int c = 0; c < 3; c++) {
        const uint8x8x2_t pairs = vzip_u8(rgb[c][0], rgb[c][1]);
        result.val[c] = vcombine_u8(pairs.val[0], pairs.val[1]);
    }
    return result;
}

/*
 * The last pixels are done as a whole vector, some of them twice. Single ones at either end make vectors begin with an
 * even pixel.
 */
static inline void ycc_neon(fi_sampling sampling, const uint8_t *const src[5], size_t x, uint8_t *const dst[3],
                            size_t step, size_t n) {
    const size_t end = x + n, last = (end - 16) & ~(size_t)1; /* where the last vector begins */
    const bool bgr = step == 3 && dst[2] < dst[0];
    size_t i = x;

    if (end < 16 + 2 * x) {
        ycc_c(sampling, src, x, dst, step, n);
        return;
    }
    if (x) ycc_c(sampling, src, i++, dst, step, 1);
    for (;; i = i + 16 < last ? i + 16 : last) { /* i <= last: both are even, and end - i >= 16 */
        const uint8x16x3_t rgb = convert_x16(sampling, src, i);
        const uint8x16x3_t pixels = {{rgb.val[bgr ? 2 : 0], rgb.val[1], rgb.val[bgr ? 0 : 2]}};
        if (step == 3) vst3q_u8(dst[bgr ? 2 : 0] + 3 * (i - x), pixels);
        else
            for (int c = 0; c < 3; c++) vst1q_u8(dst[c] + (i - x), rgb.val[c]);
        if (i == last) break;
    }
    if (end % 2) {
        const size_t at = step * (n - 1);
        ycc_c(sampling, src, end - 1, (uint8_t *const[]){dst[0] + at, dst[1] + at, dst[2] + at}, step, 1);
    }
}

YCC_VERSIONS(ycc_neon, );
