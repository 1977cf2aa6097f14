/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks of coefficients to try an inverse DCT with; include it after check.h. */
#define PI 3.14159265358979323846
#define BLOCK 64 /* coefficients */

static const char *const fills[] = {"random", "extreme", "sparse", "a single one", "of a picture", "just one sign"};
enum { RANDOM, EXTREME, SPARSE, SINGLE, PICTURE, ONE_SIGN, FILLS };
_Static_assert(sizeof fills / sizeof fills[0] == FILLS, "a fill has no name");

static inline int16_t either(int16_t a, int16_t b) {
    return random16() & 1 ? a : b;
}

/* A coefficient of about so many steps of quantisation, up to 1024 in all, which is what 8-bit pixels can have. */
static inline int16_t plausible(uint16_t quantisation) {
    const int most = 1024 / quantisation, within = 1 + random16() % (most + 1);
    return (int16_t)(random16() % (2 * within + 1) - within);
}

/* The `side` x `side` lowest frequencies are those that count. */
static inline void fill_block(int16_t *x, uint16_t *q, unsigned fill, int side) {
    const uint16_t same = random16();
    const int single = 8 * (random16() % side) + random16() % side;

    for (int k = 0; k < BLOCK; k++) {
        const bool is_extreme = fill == EXTREME || fill == ONE_SIGN;
        q[k] = fill >= SPARSE && fill <= PICTURE ? (uint16_t)(1 + random16() % 255) : random16();
        x[k] = (int16_t)random16();
        if (is_extreme) {
            q[k] = same % 3 == 0 ? UINT16_MAX : same % 3 == 1 ? 1 : (uint16_t)either(1, -1);
            x[k] = fill == ONE_SIGN ? (same & 4 ? INT16_MIN : INT16_MAX) : either(INT16_MIN, INT16_MAX);
            if (random16() % 16 == 0) x[k] = either(0, -1);
        }
        if (fill == SPARSE) x[k] = random16() % 4 ? 0 : plausible(q[k]);
        if (fill == SINGLE) x[k] = k == single ? (int16_t)random16() : 0;
        if (fill == PICTURE) x[k] = plausible(q[k]);
    }
}
