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

/* What is said to lie behind the last coefficient becomes it, as in libjpeg. */
static bool plain_decode_block(plain_reader *r, const plain_huffman *dc, const plain_huffman *ac, int64_t *last_dc,
                               int16_t block[64]) {
    int symbol = plain_symbol(r, dc), value;

    memset(block, 0, 64 * sizeof *block);
    if (symbol < 0 || !plain_value(r, symbol, &value)) return false;
    block[0] = (int16_t)(*last_dc += value);
    for (int k = 1; k < 64; k++) {
        symbol = plain_symbol(r, ac);
        if (symbol == 0xF0) {
            k += 15;
            continue;
        }
        if (symbol < 0 || !plain_value(r, symbol & 15, &value)) return false;
        if ((symbol & 15) == 0) break;
        k += symbol >> 4;
        block[plain_natural[k < 63 ? k : 63]] = (int16_t)value;
    }
    return true;
}

static bool plain_start(plain_reader *r, const plain_jpeg *jpeg) {
    plain_begin(r, &jpeg->scan);
    return plain_are_sound(jpeg, 0) && plain_are_sound(jpeg, 1);
}

static bool plain_decode_mcu(plain_reader *r, const plain_jpeg *jpeg, int16_t (*blocks)[64]) {
    const fi_scan *scan = &jpeg->scan;

    if (!plain_begin_mcu(r, scan)) return false;
    for (unsigned b = 0; b < scan->blocks; b++) {
        const plain_component *c = jpeg->in_scan[scan->component[b]];
        int64_t *last_dc = &r->dc[scan->component[b]];
        if (!plain_decode_block(r, &jpeg->tables[0][c->dc], &jpeg->tables[1][c->ac], last_dc, blocks[b])) return false;
    }
    return true;
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
