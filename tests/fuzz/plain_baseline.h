/* SPDX-License-Identifier: BSD-3-Clause */
/* The judge of baseline files: their first scan. */

#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("address", "undefined", "coverage"))), apply_to = function)
#endif

/* false: not a baseline file that has a whole SOS segment. */
static bool plain_parse(plain_jpeg *jpeg, const uint8_t *data, size_t nbytes) {
    const fi_scan *scan = &jpeg->scan;

    if (!plain_open(jpeg, data, nbytes) || !plain_read_segments(jpeg) || jpeg->is_progressive) return false;
    return scan->ss == 0 && scan->se == 63 && scan->ah == 0 && scan->al == 0 && plain_has_tables(jpeg, 0) &&
           plain_has_tables(jpeg, 1) && plain_lay_out(jpeg);
}

/* Half of C(u) cos((2 x + 1) u pi / 16), as T.81, A.3.3, has it. */
static double plain_basis(unsigned u, unsigned x) {
    static const double cosines[] = {/* of i pi / 16 */
                                     1.0,
                                     0.98078528040323,
                                     0.92387953251129,
                                     0.83146961230255,
                                     0.70710678118655,
                                     0.55557023301960,
                                     0.38268343236509,
                                     0.19509032201613,
                                     0.0};
    const unsigned turn = (2 * x + 1) * u % 32, half = turn < 16 ? turn : 32 - turn;
    const double cosine = half <= 8 ? cosines[half] : -cosines[16 - half];
    return (u == 0 ? cosines[4] : cosine) / 2;
}

static double plain_peak(unsigned u) {
    double most = 0;
    for (unsigned x = 0; x < 8; x++) most = plain_basis(u, x) > most ? plain_basis(u, x) : most;
    return most;
}

/* Returns how far a sample of the block is beyond -128 to 127, at most; less than 0 if none is. */
static double plain_excess(const uint16_t *steps, const int16_t block[64]) {
    double excess = -127;

    for (unsigned y = 0; y < 8; y++) {
        for (unsigned x = 0; x < 8; x++) {
            double sample = 0;
            for (unsigned i = 0; i < 64; i++) {
                if (block[i]) sample += block[i] * steps[i] * plain_basis(i / 8, y) * plain_basis(i % 8, x);
            }
            const double over = sample > -0.5 ? sample - 127 : -128 - sample;
            if (over > excess) excess = over;
        }
    }
    return excess;
}

/*
 * Samples may overshoot by a step of each coefficient: of those that are 0, too, if the step is one that 8 bits do not have.
 * Beyond 340 levels more, a block cannot be one. Beyond 64 more, at most 40 blocks of a scan can be, if there are not as
 * many others beyond 40 levels less. The stage computes in floats, and looks at blocks that have large values: near a
 * limit, and else, its word is taken.
 */
static void plain_judge_samples(plain_reader *r, const uint16_t *steps, const int16_t block[64]) {
    double rounding = 0, total = 0;
    bool has_giant = false;

    for (unsigned i = 0; i < 64; i++) {
        if (block[i] || steps[i] > 255) rounding += steps[i] * plain_peak(i / 8) * plain_peak(i % 8);
        total += (double)plain_abs(block[i]) * steps[i];
        has_giant |= i > 0 && steps[i] && plain_abs(block[i]) >= PLAIN_GIANT; /* a step of 0 makes it 0 */
    }
    if (total < 4 * (127 - 40)) return; /* no sample is more than a quarter of it */
    const double levels = plain_excess(steps, block) - rounding, doubt = 0.05 + rounding / 1000 + total / 100000;
    if (levels > 340 - doubt) plain_doubt(&r->verdict, PLAIN_DOUBTFUL);
    if (levels > 340 + doubt && has_giant) plain_doubt(&r->verdict, PLAIN_OUT);
    if (levels > 64 + doubt && has_giant) r->are_far++;
    else if (levels > -40 - doubt) r->near_or_far++;
    if (levels <= 64 - doubt) return;
    r->last_far = r->mcus - 1;
    if (r->may_be_far++ == 0) r->first_far = r->last_far;
}

/* No samples give 63 times the same. */
static void plain_judge_block(plain_reader *r, const uint16_t *steps, const int16_t block[64]) {
    bool are_same = block[1] != 0;

    if (!steps) return;
    plain_judge_samples(r, steps, block);
    for (unsigned i = 2; i < 64; i++) are_same &= block[i] == block[1];
    if (are_same && steps[63]) plain_doubt(&r->verdict, PLAIN_OUT);
}

/* T.81, F.2.2 */
static bool plain_decode_block(plain_reader *r, const plain_huffman *dc, const plain_huffman *ac, const uint16_t *steps,
                               int64_t *last_dc, int16_t block[64]) {
    int symbol = plain_symbol(r, dc), value;

    memset(block, 0, 64 * sizeof *block);
    if (symbol < 0 || !plain_value(r, symbol, &value)) return false;
    *last_dc += value;
    if (!plain_is_dc(steps, 0, *last_dc)) return plain_fail(r, FI_FAULT_RANGE);
    block[0] = (int16_t)*last_dc;
    for (int k = 1; k < 64; k++) {
        symbol = plain_symbol(r, ac);
        if (symbol < 0 || !plain_value(r, symbol & 15, &value)) return false;
        if ((symbol & 15) == 0 && symbol != 0xF0) break;
        k += symbol >> 4;
        if (k > 63) return plain_fail(r, FI_FAULT_BLOCK_END);
        block[plain_natural[k]] = (int16_t)value;
    }
    plain_judge_block(r, steps, block);
    return true;
}

/* false: the tables are unsound */
static bool plain_start(plain_reader *r, const plain_jpeg *jpeg) {
    plain_begin(r, &jpeg->scan);
    return plain_are_sound(jpeg, 0) && plain_are_sound(jpeg, 1);
}

/* false: at a fault, which r->verdict names */
static bool plain_decode_mcu(plain_reader *r, const plain_jpeg *jpeg, int16_t (*blocks)[64]) {
    const fi_scan *scan = &jpeg->scan;

    if (!plain_begin_mcu(r, scan)) return false;
    for (unsigned b = 0; b < scan->blocks; b++) {
        const plain_component *c = jpeg->in_scan[scan->component[b]];
        int64_t *last_dc = &r->dc[scan->component[b]];
        const plain_huffman *dc = &jpeg->tables[0][c->dc], *ac = &jpeg->tables[1][c->ac];
        if (!plain_decode_block(r, dc, ac, scan->quantisation[b], last_dc, blocks[b])) return false;
    }
    return true;
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
