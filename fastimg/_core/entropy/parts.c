/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of a scan, and places in it. */
#include "entropy/state.h"

fi_part fi_entropy_find_part(const fi_scan *scan, const uint8_t *data, size_t least, unsigned next_restart) {
    const uint8_t *const end = scan->data + scan->nbytes, *next = data;
    const uint8_t *const stop = least < (size_t)(end - data) ? data + least : end;
    fi_part part = {.is_last = true, .end = end};

    for (;;) {
        const uint8_t *ff = memchr(next, 0xFF, (size_t)(end - next));
        if (!ff) return part;
        const uint8_t *code = ff + 1;
        while (code < end && *code == 0xFF) code++;
        const bool is_stuffed = ff + 1 < end && ff[1] == 0;
        const bool is_due = code < end && *code == 0xD0 + ((next_restart + part.restarts) & 7);
        if (!is_stuffed && !is_due) {
            part.end = ff;
            return part;
        }
        next = is_stuffed ? ff + 2 : code + 1;
        part.restarts += is_due;
        if (is_due && next >= stop) break;
    }
    part.is_last = next >= end;
    part.end = next;
    return part;
}

const uint8_t *fi_entropy_find_begin(const fi_scan *scan, size_t offset) {
    if (offset == 0 || offset >= scan->nbytes) return scan->data + (offset ? scan->nbytes : 0);
    return scan->data + offset + (scan->data[offset - 1] == 0xFF);
}

uint64_t fi_entropy_count_bits(const uint8_t *begin, const uint8_t *end) {
    uint64_t nbytes = (uint64_t)(end - begin);

    while (begin < end) {
        const uint8_t *ff = memchr(begin, 0xFF, (size_t)(end - begin));
        if (!ff) break;
        if (end - ff < 2 || ff[1] != 0) return UINT64_MAX;
        nbytes--;
        begin = ff + 2;
    }
    return nbytes * 8;
}

/* The byte that comes nbytes after `data`, stuffing not counted; or NULL. */
static const uint8_t *find_byte(const uint8_t *data, const uint8_t *end, uint64_t nbytes) {
    while (nbytes > 0) {
        const size_t left = (size_t)(end - data);
        const size_t most = left < nbytes ? left : (size_t)nbytes;
        const uint8_t *ff = most ? memchr(data, 0xFF, most) : NULL;
        if (!ff) return most == nbytes ? data + most : NULL;
        if (end - ff < 2 || ff[1] != 0) return NULL;
        nbytes -= (uint64_t)(ff - data) + 1;
        data = ff + 2;
    }
    return data;
}

uint64_t fi_entropy_bit(const fi_entropy *entropy) {
    const uint64_t nbytes = entropy->taken - (uint64_t)(entropy->end - entropy->next);
    return entropy->first_bit + nbytes * 8 - entropy->count;
}

fi_place fi_entropy_place(const fi_entropy *entropy) {
    fi_place place = {
        .data = entropy->first,
        .data_bit = entropy->first_bit,
        .bit = fi_entropy_bit(entropy),
        .mcu = entropy->mcu,
        .next_restart = entropy->next_restart,
    };
    for (int c = 0; c < 4; c++) place.dc[c] = entropy->dc[c].last;
    return place;
}

void fi_entropy_renumber(fi_entropy *entropy, uint64_t nbits) {
    entropy->first_bit -= nbits;
}

/* Little of what is unstuffed is left at the end of a part. */
#define PART_CHUNK_NBYTES 6144

bool fi_entropy_go_to(fi_entropy *entropy, const fi_place *place) {
    const uint8_t *byte = find_byte(place->data, entropy->in_end, (place->bit - place->data_bit) / 8);
    const unsigned used = (unsigned)(place->bit - place->data_bit) & 7;

    if (!byte) return false;
    entropy->in = byte;
    entropy->chunk_nbytes = PART_CHUNK_NBYTES;
    fi_entropy_begin_interval(entropy);
    entropy->first_bit = place->bit - used;
    entropy->next_restart = place->next_restart;
    entropy->mcu = place->mcu;
    for (int c = 0; c < 4; c++) {
        if (entropy->guesses) entropy->dc[c] = entropy->known_dc[c];
        entropy->dc[c].last = place->dc[c];
    }
    entropy->guesses = false;
    if (!used) return true;
    fi_entropy_fill_chunk(entropy);
    if (entropy->next == entropy->end) return false;
    entropy->bits = (uint64_t)*entropy->next++ << (56 + used);
    entropy->count = 8 - used;
    return true;
}

/* So far from 0 that no sum of differences gets there within a part, or overflows. */
#define FAR_DC (1 << 30)

bool fi_entropy_guess(fi_entropy *entropy, const fi_place *place) {
    if (!fi_entropy_go_to(entropy, place)) return false;
    memcpy(entropy->known_dc, entropy->dc, sizeof entropy->dc);
    entropy->guesses = true;
    for (int c = 0; c < 4; c++) {
        entropy->dc[c].min = -FAR_DC;
        entropy->dc[c].span = 2u * FAR_DC;
    }
    return true;
}

/*
 * In 16 bits a sum may wrap around. But the first one that is out of bounds is out of bounds there, too: unless the step is
 * 0, they are at most 1025 from 0, and a difference has 15 bits.
 */
bool fi_entropy_confirm(fi_entropy *entropy, const int32_t shift[4], unsigned mcus, int16_t (*blocks)[64],
                        uint8_t *eob) {
    const dc_state *limits = entropy->guesses ? entropy->known_dc : entropy->dc;

    for (unsigned i = 0; i < mcus; i++) {
        for (unsigned b = 0; b < entropy->blocks; b++, blocks++, eob++) {
            const unsigned c = entropy->block[b].component;
            const int16_t dc = (int16_t)(uint16_t)((uint32_t)(*blocks)[0] + (uint32_t)shift[c]);
            if ((uint32_t)(dc - limits[c].min) > limits[c].span) return false;
            (*blocks)[0] = dc;
            if (__builtin_expect(*eob < FI_UNJUDGED, 1)) continue;
            *eob -= FI_UNJUDGED;
            if (!fi_limits_allow(entropy, c, *blocks, true, 0)) return false;
        }
    }
    return true;
}

void fi_entropy_mark(fi_entropy *entropy, uint64_t *bits) {
    entropy->marks = bits;
    entropy->has_stops = bits || entropy->restart_interval > 0;
}

fi_suspects fi_entropy_suspects(const fi_entropy *entropy) {
    return (fi_suspects){entropy->near_blocks, entropy->far_blocks};
}

void fi_entropy_set_suspects(fi_entropy *entropy, fi_suspects suspects) {
    entropy->near_blocks = suspects.near;
    entropy->far_blocks = suspects.far;
}

bool fi_entropy_pass_restart(fi_entropy *entropy) {
    return fi_entropy_restart(entropy, 0) && entropy->stray_nbytes == 0;
}
