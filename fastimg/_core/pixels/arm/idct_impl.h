/* SPDX-License-Identifier: BSD-3-Clause */
/* NEON version of the inverse DCT to 4 x 4 samples. vqrshrn_n_s32 rounds, shifts and clamps at once. */
#include <arm_neon.h>

/* Both passes of idct_4, on four columns and then on four rows. */
static inline void idct_4_pass_neon(const int16x4_t x[4], int16x4_t out[4], bool last) {
    const int32x4_t e0 = vmlal_n_s16(vmull_n_s16(x[0], IDCT_ONE), x[2], IDCT_ONE);
    const int32x4_t e1 = vmlsl_n_s16(vmull_n_s16(x[0], IDCT_ONE), x[2], IDCT_ONE);
    const int32x4_t o0 = vmlal_n_s16(vmull_n_s16(x[1], IDCT_COS), x[3], IDCT_SIN);
    const int32x4_t o1 = vmlsl_n_s16(vmull_n_s16(x[1], IDCT_SIN), x[3], IDCT_COS);
    const int32x4_t sums[4] = {vaddq_s32(e0, o0), vaddq_s32(e1, o1), vsubq_s32(e1, o1), vsubq_s32(e0, o0)};

    for (int i = 0; i < 4; i++) {
        if (!last) out[i] = vqrshrn_n_s32(sums[i], IDCT_BITS - 2);
        else out[i] = vqmovn_s32(vrshrq_n_s32(sums[i], IDCT_BITS + 5)); /* narrowing shifts go up to 16 */
    }
}

static inline void transpose_4_neon(int16x4_t v[4]) {
    const int16x4x2_t a = vtrn_s16(v[0], v[1]), b = vtrn_s16(v[2], v[3]);
    for (int i = 0; i < 2; i++) {
        const int32x2x2_t t = vtrn_s32(vreinterpret_s32_s16(a.val[i]), vreinterpret_s32_s16(b.val[i]));
        v[i] = vreinterpret_s16_s32(t.val[0]);
        v[i + 2] = vreinterpret_s16_s32(t.val[1]);
    }
}

static void idct_4_neon(const int16_t *x, const uint16_t *q, uint8_t *const *rows, size_t column) {
    int16x4_t v[4];

    for (int r = 0; r < 4; r++) v[r] = vmul_s16(vld1_s16(x + 8 * r), vreinterpret_s16_u16(vld1_u16(q + 8 * r)));
    idct_4_pass_neon(v, v, false);
    transpose_4_neon(v);
    idct_4_pass_neon(v, v, true);
    transpose_4_neon(v);
    for (int r = 0; r < 4; r++) {
        const int16x4_t levels = vqadd_s16(v[r], vdup_n_s16(128));
        const uint8x8_t bytes = vqmovun_s16(vcombine_s16(levels, levels));
        const uint32_t four = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
        memcpy(rows[r] + column, &four, 4);
    }
}
