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

/* vqrdmulh(a, b) is fi_scale16(a, b), as it doubles the product: (2 a b + 32768) >> 16. */
static void ycc_u8_to_rgb_neon(const uint8_t *const ycc[3], uint8_t *const rgb[3], size_t n) {
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        const int16x8_t middle = vdupq_n_s16(128), y = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(ycc[0] + i)));
        const int16x8_t cb = vsubq_s16(vreinterpretq_s16_u16(vmovl_u8(vld1_u8(ycc[1] + i))), middle);
        const int16x8_t cr = vsubq_s16(vreinterpretq_s16_u16(vmovl_u8(vld1_u8(ycc[2] + i))), middle);
        const int32x4_t low = vmlal_n_s16(vmull_n_s16(vget_low_s16(cb), G_CB16), vget_low_s16(cr), G_CR16);
        const int32x4_t high = vmlal_n_s16(vmull_n_s16(vget_high_s16(cb), G_CB16), vget_high_s16(cr), G_CR16);
        const int16x8_t green = vcombine_s16(vrshrn_n_s32(low, 16), vrshrn_n_s32(high, 16));
        vst1_u8(rgb[0] + i, vqmovun_s16(vaddq_s16(vaddq_s16(y, cr), vqrdmulhq_n_s16(cr, FI_R_CR))));
        vst1_u8(rgb[1] + i, vqmovun_s16(vaddq_s16(vsubq_s16(y, cr), green)));
        vst1_u8(rgb[2] + i, vqmovun_s16(vaddq_s16(vaddq_s16(y, cb), vqrdmulhq_n_s16(cb, FI_B_CB))));
    }
    const uint8_t *const rest[3] = {ycc[0] + i, ycc[1] + i, ycc[2] + i};
    uint8_t *const to[3] = {rgb[0] + i, rgb[1] + i, rgb[2] + i};
    ycc_u8_to_rgb_c(rest, to, n - i);
}
