/* SPDX-License-Identifier: BSD-3-Clause */
/* Huffman tables in look-up form, cached by their content. */
#include "entropy/state.h"

static uint32_t *fill(uint32_t *to, unsigned bits, uint32_t entry) {
    for (uint32_t *const end = to + (1u << bits); to < end; to++) *to = entry;
    return to;
}

/* Fills the entries that begin with a code. Returns the next one. */
static uint32_t *fill_code(uint32_t *to, unsigned length, unsigned symbol, table_kind kind) {
    const unsigned size = symbol & 15, run = symbol >> 4, spread = LOOK_BITS - length;
    const bool ends = kind != DC_TABLE && size == 0 && run < 15;
    const unsigned advance = kind == DC_TABLE ? 0 : ends ? END : run + 1;
    const uint32_t entry = advance << 8 | (length + size);

    if (size > spread || (kind == PROGRESSIVE_TABLE && ends && run > 0)) {
        return fill(to, spread, length << 16 | symbol << 8 | SLOW);
    }
    if (size == 0) return fill(to, spread, entry);
    for (uint32_t v = 0; v < 1u << size; v++) to = fill(to, spread - size, (uint32_t)extend(v, size) << 16 | entry);
    return to;
}

/* As libjpeg checks tables: no code is all ones (T.81, C.2), and DC symbols are sizes. */
static bool is_sound(const fi_huffman *huffman, table_kind kind) {
    unsigned code = 0, symbols = 0;
    for (unsigned length = 1; length <= 16; length++, code <<= 1) {
        code += huffman->counts[length];
        symbols += huffman->counts[length];
        if (code >= 1u << length || symbols > 256) return false;
    }
    for (unsigned i = 0; kind == DC_TABLE && i < symbols; i++) {
        if (huffman->symbols[i] > 15) return false;
    }
    return true;
}

static void build(table *t, const fi_huffman *huffman, table_kind kind) {
    unsigned code = 0, index = 0;
    uint32_t *look = t->look;

    memcpy(t->counts, huffman->counts, sizeof t->counts);
    memcpy(t->symbols, huffman->symbols, sizeof t->symbols);
    t->kind = kind;
    t->has_run_table = false;
    for (unsigned length = 1; length <= 16; length++) {
        t->offset[length] = (int32_t)index - (int32_t)code;
        for (unsigned i = 0; i < t->counts[length]; i++, code++, index++) {
            if (length <= LOOK_BITS) look = fill_code(look, length, t->symbols[index], kind);
        }
        t->max_code[length] = (int32_t)(code << (16 - length));
        code <<= 1;
    }
    t->max_code[17] = INT32_MAX;
    while (look < t->look + (1 << LOOK_BITS)) *look++ = SLOW;
}

/*
 * Works up through windows of 0 to RUN_BITS bits: an entry is the window's first symbol plus the entry of the bits
 * that are left. The windows of n bits begin at 1 << n.
 */
void fi_entropy_build_run_table(table *t) {
    uint16_t windows[2 << RUN_BITS] = {0};

    for (unsigned n = 1; n <= RUN_BITS; n++) {
        uint16_t *window = windows + (1 << n);
        for (unsigned length = 1, index = 0; length <= n; length++) {
            for (unsigned i = 0; i < t->counts[length]; i++, index++) {
                const unsigned size = t->symbols[index & 255] & 15, run = t->symbols[index & 255] >> 4;
                const bool ends = size == 0 && run < 15;
                const unsigned advance = ends ? RUN_END : run + 1, nbits = length + size;
                const unsigned left = ends || nbits > n ? 0 : n - nbits;
                const uint16_t *rest = windows + (1 << left);
                for (unsigned k = 0; k < 1u << (n - length); k++) {
                    const unsigned more = rest[k & ((1u << left) - 1)], far = more >> RUN_ADVANCE & (RUN_END - 1);
                    const unsigned first = nbits | advance << RUN_ADVANCE,
                                   both = far + advance > 64 ? first : first + more;
                    *window++ = (uint16_t)(nbits <= LOOK_BITS ? both : 0);
                }
            }
        }
    }
    for (unsigned look = 0; look < 1 << RUN_BITS; look++) {
        const uint16_t entry = windows[(1 << RUN_BITS) + look];
        t->run_table[look] = entry ? entry : 64 << RUN_ADVANCE;
    }
    t->has_run_table = true;
}

static bool is_same(const table *t, const fi_huffman *huffman, table_kind kind) {
    size_t symbols = 0;
    if (!t->last_scan || t->kind != kind || memcmp(t->counts + 1, huffman->counts + 1, 16) != 0) return false;
    for (size_t i = 1; i <= 16; i++) symbols += t->counts[i];
    return memcmp(t->symbols, huffman->symbols, symbols < 256 ? symbols : 256) == 0;
}

/*
 * Most files carry one of a few tables. A new one replaces the least recently used, which is never one of this
 * scan's, as it has at most eight.
 */
const table *fi_entropy_find_table(fi_entropy *entropy, const fi_huffman *huffman, table_kind kind) {
    table *oldest = &entropy->tables[0], *found = NULL;

    for (size_t i = 0; i < CACHED_TABLES && !found; i++) {
        table *t = &entropy->tables[i];
        if (is_same(t, huffman, kind)) found = t;
        if (t->last_scan < oldest->last_scan) oldest = t;
    }
    if (!found && is_sound(huffman, kind)) build(found = oldest, huffman, kind);
    if (found) found->last_scan = entropy->scan;
    return found;
}
