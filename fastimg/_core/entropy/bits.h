/* SPDX-License-Identifier: BSD-3-Clause */
/* The bit reader, and what is common to the loops that decode blocks. */
#ifndef FI_ENTROPY_BITS_H
#define FI_ENTROPY_BITS_H

#include "entropy/state.h"
#include "entropy/zigzag.h"

static inline uint64_t load_be64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/* All below is inlined into one function per version, so that the reader stays in registers. */
#define FI_INLINE static inline __attribute__((always_inline))

/* Keeps compilers from having computed a pointer in another way: see its uses. */
#define OPAQUE(pointer) __asm__("" : "+r"(pointer))

typedef struct {
    const uint8_t *next;
    uint64_t bits;
    uint64_t count; /* only its low 6 bits count, so an entry is subtracted as it is */
} reader;

/*
 * Brings at least 56 valid bits. The load brings more than are counted, and the next load brings the same bits again.
 * Only whole bytes are counted, (63 - count) / 8 of them: count keeps its three low bits, and is 56 to 63 then.
 */
FI_INLINE void refill(reader *r) {
    const uint64_t before = r->count;
    r->bits |= load_be64(r->next) >> (before & 63);
    r->count |= 56;
    r->next += (before ^ r->count) >> 3;
}

/* Uses only the low 6 bits of nbits. */
FI_INLINE void consume(reader *r, uint64_t nbits) {
    r->bits <<= nbits & 63;
    r->count -= nbits;
}

/* Consumes a code of at least `length` bits and returns its symbol, or -1 if there is no such code. */
FI_INLINE int read_long_symbol(reader *r, const table *t, unsigned length) {
    const int32_t look = (int32_t)(r->bits >> 48);
    while (look >= t->max_code[length]) length++;
    if (length > 16) return -1;
    consume(r, length);
    return t->symbols[(t->offset[length] + (look >> (16 - length))) & 255];
}

/* The same for the code of a SLOW entry. */
FI_INLINE int read_slow_symbol(reader *r, const table *t, const entry *e) {
    if (!e->shift) return read_long_symbol(r, t, ENTRY_BITS + 1);
    consume(r, e->shift);
    return e->offset;
}

FI_INLINE int32_t read_value(reader *r, unsigned size) {
    const int32_t value = extend((uint32_t)(r->bits >> (64 - size)), size);
    consume(r, size);
    return value;
}

FI_INLINE const entry *find_entry(const reader *r, const table *t) {
    return &t->entries[r->bits >> (64 - ENTRY_BITS)];
}

/* The value of an entry that is not SLOW; takes only the low 6 bits of its shift. */
FI_INLINE int16_t entry_value(const reader *r, const entry *e) {
    return (int16_t)(uint16_t)(e->offset + (r->bits >> (e->shift & 63)));
}

FI_INLINE bool decode_dc(reader *r, const table *t, int32_t *diff) {
    refill(r);
    const entry *e = find_entry(r, t);
    if (!(e->nbits & SLOW)) {
        *diff = entry_value(r, e);
        consume(r, e->nbits);
        return true;
    }
    const int symbol = read_slow_symbol(r, t, e);
    if (symbol < 0) return false;
    *diff = symbol & 15 ? read_value(r, (unsigned)symbol & 15) : 0;
    return true;
}

/* Adds a difference. Returns false if no encoder makes the sum. */
FI_INLINE bool add_dc(dc_state *dc, int32_t diff) {
    dc->last += diff;
    return (uint32_t)dc->last - (uint32_t)dc->min <= dc->span; /* up to 2^31 */
}

FI_INLINE void put_back(fi_entropy *entropy, const reader *r) {
    entropy->next = r->next;
    entropy->bits = r->bits;
    entropy->count = r->count & 63;
}

/* Before the MCU that is `ahead` of those decoded: marks it, passes a restart marker, refills the chunk. false: at a fault. */
FI_INLINE bool prepare_mcu(fi_entropy *entropy, reader *r, size_t ahead) {
    if (entropy->has_stops || entropy->end - r->next < MAX_MCU_NBYTES) {
        put_back(entropy, r);
        if (entropy->marks) entropy->marks[ahead] = fi_entropy_bit(entropy);
        if (entropy->restart_interval) {
            if (entropy->restarts_to_go == 0 && !fi_entropy_restart(entropy, ahead)) return false;
            entropy->restarts_to_go--;
        }
        if (entropy->end - entropy->next < MAX_MCU_NBYTES && !entropy->at_end) fi_entropy_fill_chunk(entropy);
        *r = (reader){entropy->next, entropy->bits, entropy->count};
    }
    return true;
}

/* Past the end of the data, bits read as zeros. Returns whether none of them were used. */
FI_INLINE bool in_bounds(const fi_entropy *entropy, const reader *r) {
    return !entropy->at_end || (entropy->end - r->next) * 8 + (int)(r->count & 63) >= 0;
}

#endif
