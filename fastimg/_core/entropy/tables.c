/* SPDX-License-Identifier: BSD-3-Clause */
/* Huffman tables in look-up form, cached by their content. */
#include "entropy/state.h"

static entry *fill(entry *to, unsigned bits, entry e) {
    for (entry *const end = to + (1u << bits); to < end; to++) *to = e;
    return to;
}

/* An end of n = run blocks has n more bits, as a value without a sign. */
static bool ends_block(table_kind kind, unsigned symbol) {
    return kind != DC_TABLE && (symbol & 15) == 0 && symbol < 0xF0;
}

/* Whether the symbol is left to what decodes those of SLOW entries, however short it is. */
static bool is_slow(table_kind kind, unsigned symbol) {
    return kind == FIRST_TABLE ? symbol == 0xF0 : kind == REFINEMENT_TABLE && (symbol & 15) > 1;
}

/* Fills the entries that begin with a code. Returns the next one. */
static entry *fill_code(entry *to, unsigned code, unsigned length, unsigned symbol, table_kind kind) {
    const bool ends = ends_block(kind, symbol);
    const unsigned run = symbol >> 4, size = !ends ? symbol & 15 : kind == AC_TABLE ? 0 : run;
    const unsigned spread = ENTRY_BITS - length, nbits = length + size;
    entry e = {
        .nbits = (uint8_t)(nbits | (ends ? ENDS : 0)),
        .shift = (uint8_t)(64 - nbits),
        .offset = (uint16_t)(0u - (code << size)), /* takes the code away */
        .advance = (uint16_t)(run + 1),
        .size = (uint8_t)(nbits > UNCHECKED_NBITS ? size : 0),
    };

    if ((kind != DC_TABLE && nbits > MAX_ENTRY_NBITS) || (!ends && size && spread == 0) || is_slow(kind, symbol)) {
        return fill(to, spread, (entry){.nbits = SLOW, .shift = (uint8_t)length, .offset = (uint16_t)symbol});
    }
    if (ends) e.offset = (uint16_t)(e.offset + (1u << size));
    if (ends || size == 0) return fill(to, spread, e);
    entry negative = e; /* begins with 0 (T.81, F.2.2.1) */
    negative.offset = (uint16_t)(e.offset + 1 - (1u << size));
    return fill(fill(to, spread - 1, negative), spread - 1, e);
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

static void build_entries(table *t) {
    unsigned code = 0, index = 0;
    entry *e = t->entries;

    for (unsigned length = 1; length <= ENTRY_BITS; length++, code <<= 1) {
        for (unsigned i = 0; i < t->counts[length]; i++) e = fill_code(e, code++, length, t->symbols[index++], t->kind);
    }
    while (e < t->entries + (1 << ENTRY_BITS)) *e++ = (entry){.nbits = SLOW};
}

static void build(table *t, const fi_huffman *huffman, table_kind kind) {
    unsigned code = 0, index = 0;

    memcpy(t->counts, huffman->counts, sizeof t->counts);
    memcpy(t->symbols, huffman->symbols, sizeof t->symbols);
    t->kind = kind;
    t->has_run_table = false;
    for (unsigned length = 1; length <= 16; length++, code <<= 1) {
        t->offset[length] = (int32_t)index - (int32_t)code;
        index += t->counts[length];
        code += t->counts[length];
        t->max_code[length] = (int32_t)(code << (16 - length));
    }
    t->max_code[17] = INT32_MAX;
    build_entries(t);
}

/*
 * Fills the windows of n bits that begin with a symbol's code: with the symbol and the entry of the bits that are left
 * after it, which are `rest`, again for each value. Returns the next one.
 */
static uint16_t *fill_windows(uint16_t *to, unsigned n, unsigned length, unsigned symbol, const uint16_t *windows) {
    const unsigned size = symbol & 15, run = symbol >> 4, nbits = length + size, count = 1u << (n - length);
    const bool ends = size == 0 && run < 15;
    const unsigned advance = ends ? RUN_END : run + 1, first = nbits | advance << RUN_ADVANCE;

    if (nbits > UNCHECKED_NBITS || ends || nbits >= n) {
        for (unsigned k = 0; k < count; k++) to[k] = (uint16_t)(nbits <= UNCHECKED_NBITS ? first : 0);
        return to + count;
    }
    const unsigned each = 1u << (n - nbits);
    const uint16_t *rest = windows + each;
    for (unsigned k = 0; k < each; k++) {
        const unsigned far = rest[k] >> RUN_ADVANCE & (RUN_END - 1);
        to[k] = (uint16_t)(far + advance > 64 ? first : first + rest[k]);
    }
    for (unsigned k = each; k < count; k *= 2) memcpy(to + k, to, k * sizeof *to);
    return to + count;
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
                window = fill_windows(window, n, length, t->symbols[index & 255], windows);
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
