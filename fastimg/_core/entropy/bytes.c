/* SPDX-License-Identifier: BSD-3-Clause */
/* From the bytes of a scan to a chunk without stuffing; markers and restart intervals. */
#include "entropy/state.h"

void fi_entropy_fill_chunk(fi_entropy *entropy) {
    uint8_t *const begin = entropy->chunk + (entropy->end - entropy->next), *end = begin;
    uint8_t *const full = entropy->chunk + entropy->chunk_nbytes;

    memmove(entropy->chunk, entropy->next, (size_t)(entropy->end - entropy->next));
    while (!entropy->at_end && end < full) {
        const size_t room = (size_t)(full - end), left = (size_t)(entropy->in_end - entropy->in);
        const size_t most = left < room ? left : room;
        const uint8_t *ff = most ? memchr(entropy->in, 0xFF, most) : NULL;
        const size_t plain = ff ? (size_t)(ff - entropy->in) : most;
        memcpy(end, entropy->in, plain);
        end += plain;
        entropy->in += plain;
        if (!ff) {
            entropy->at_end = entropy->in == entropy->in_end;
            continue;
        }
        entropy->at_end = entropy->in_end - ff < 2 || ff[1] != 0;
        if (entropy->at_end) continue;
        *end++ = 0xFF;
        entropy->in += 2;
    }
    if (entropy->at_end) memset(end, 0, MAX_MCU_NBYTES);
    entropy->taken += (size_t)(end - begin);
    entropy->next = entropy->chunk;
    entropy->end = end;
}

/* ---- faults ---------------------------------------------------------------------------------------------------- */

bool fi_entropy_fail(fi_entropy *entropy, fi_fault_kind kind, size_t ahead) {
    entropy->fault.kind = kind;
    entropy->fault.mcu = entropy->mcu + ahead;
    return false;
}

const fi_fault *fi_entropy_fault(const fi_entropy *entropy) {
    return &entropy->fault;
}

/* The position of the marker's code. It is at in_end if there is no marker. */
static const uint8_t *marker_code(const fi_entropy *entropy) {
    const uint8_t *code = entropy->in;
    while (code < entropy->in_end && *code == 0xFF) code++;
    return code;
}

/* 0 at the end of the data. 0xFF that fill up to a 0 are no marker, and no data either. */
static unsigned marker_at_end(const fi_entropy *entropy) {
    const uint8_t *code = marker_code(entropy);
    return code < entropy->in_end ? *code : 0;
}

bool fi_entropy_fail_short(fi_entropy *entropy, size_t ahead) {
    const bool is_end = marker_code(entropy) == entropy->in_end;
    entropy->fault.marker = marker_at_end(entropy);
    return fi_entropy_fail(entropy, is_end ? FI_FAULT_END : FI_FAULT_MARKER, ahead);
}

/* ---- markers --------------------------------------------------------------------------------------------------- */

/* Goes to the next marker, or the end of the data. Returns how many whole bytes of coded data come before it. */
static size_t go_to_marker(fi_entropy *entropy) {
    if (!entropy->at_end) fi_entropy_fill_chunk(entropy);
    size_t nbytes = (size_t)(entropy->end - entropy->next) + entropy->count / 8;
    while (!entropy->at_end) {
        entropy->next = entropy->end;
        fi_entropy_fill_chunk(entropy);
        nbytes += (size_t)(entropy->end - entropy->next);
    }
    return nbytes;
}

/*
 * Whether bytes in front of a marker may be an encoder's, of whole words for example: they are few and come after the
 * padding of a byte, which is of ones. Some pad with zeros throughout. Some progressive files end with one byte more
 * than they need.
 */
static bool may_be_stray(const fi_entropy *entropy, size_t nbytes) {
    const unsigned padding = entropy->count & 7;
    const uint64_t bits = padding ? entropy->bits >> (64 - padding) : 0;

    if (nbytes > FI_MAX_STRAY_NBYTES) return false;
    if (nbytes == 1 && entropy->is_progressive) return true;
    if (bits == ((uint64_t)1 << padding) - 1) return true;
    for (const uint8_t *p = entropy->end - nbytes; p < entropy->end; p++) {
        if (*p != 0) return false;
    }
    return bits == 0;
}

static bool is_restart(unsigned marker) {
    return marker >= 0xD0 && marker <= 0xD7;
}

/* DHT, DAC, RSTn, EOI, SOS, DQT, DNL, DRI: what follows the data of a scan. Others begin what is not the image's. */
static bool is_of_scan(unsigned marker) {
    return marker == 0xC4 || marker == 0xCC || is_restart(marker) || (marker >= 0xD9 && marker <= 0xDD);
}

/* Returns false if the bytes in front of a marker are a fault. */
static bool pass_over(fi_entropy *entropy, size_t nbytes, unsigned marker, size_t ahead) {
    if (nbytes == 0) return true;
    entropy->fault.marker = marker;
    entropy->fault.nbytes = nbytes;
    if (is_of_scan(marker) && !may_be_stray(entropy, nbytes))
        return fi_entropy_fail(entropy, FI_FAULT_LEFT_OVER, ahead);
    if (entropy->stray_nbytes == 0) entropy->stray_marker = marker;
    entropy->stray_nbytes += nbytes;
    return true;
}

bool fi_entropy_judge(fi_entropy *entropy) {
    if (fi_limits_allow_scan(entropy)) return true;
    entropy->mcu = entropy->far_mcu;
    return fi_entropy_fail(entropy, FI_FAULT_RANGE, 0);
}

const uint8_t *fi_entropy_finish(fi_entropy *entropy) {
    if (!fi_entropy_judge(entropy)) return NULL;
    const size_t nbytes = go_to_marker(entropy);
    const unsigned marker = marker_at_end(entropy);
    if (!pass_over(entropy, nbytes, marker, 0)) return NULL;
    /* More rows than the image has, as some scanners write them, go on in order. */
    if (entropy->restart_interval && is_restart(marker) && marker != 0xD0 + entropy->next_restart) {
        entropy->fault.marker = marker;
        fi_entropy_fail(entropy, FI_FAULT_RESTART, 0);
        return NULL;
    }
    return entropy->in;
}

size_t fi_entropy_stray_nbytes(const fi_entropy *entropy, unsigned *marker) {
    *marker = entropy->stray_marker;
    return entropy->stray_nbytes;
}

/* ---- scans and restart intervals ------------------------------------------------------------------------------- */

void fi_entropy_begin_interval(fi_entropy *entropy) {
    entropy->first = entropy->in;
    entropy->first_bit = 0;
    entropy->taken = 0;
    entropy->restarts_to_go = entropy->restart_interval;
    entropy->next = entropy->end = entropy->chunk;
    entropy->bits = 0;
    entropy->count = 0;
    entropy->at_end = false;
    entropy->eobrun = 0;
    for (int c = 0; c < 4; c++) entropy->dc[c].last = 0;
}

bool fi_entropy_restart(fi_entropy *entropy, size_t ahead) {
    const size_t nbytes = go_to_marker(entropy);
    const unsigned marker = marker_at_end(entropy);
    if (marker == 0) return fi_entropy_fail_short(entropy, ahead);
    if (!pass_over(entropy, nbytes, marker, ahead)) return false;
    if (marker != 0xD0 + entropy->next_restart) {
        entropy->fault.marker = marker;
        return fi_entropy_fail(entropy, is_restart(marker) ? FI_FAULT_RESTART : FI_FAULT_MARKER, ahead);
    }
    entropy->in = marker_code(entropy) + 1;
    entropy->next_restart = (entropy->next_restart + 1) & 7;
    fi_entropy_begin_interval(entropy);
    return true;
}

void fi_entropy_begin(fi_entropy *entropy, const fi_scan *scan) {
    entropy->fault = (fi_fault){0};
    entropy->mcu = entropy->stray_nbytes = 0;
    entropy->near_blocks = entropy->far_blocks = 0;
    entropy->guesses = false;
    entropy->marks = NULL;
    entropy->has_stops = scan->restart_interval > 0;
    entropy->chunk_nbytes = CHUNK_NBYTES;
    entropy->blocks = scan->blocks;
    for (unsigned b = 0; b < scan->blocks; b++) {
        const uint8_t c = scan->component[b];
        entropy->block[b] = (block_kind){.dc = &entropy->dc[c], .component = c, .last_needed = 63};
        if (b == 0 || c != scan->component[b - 1]) fi_limits_set(entropy, c, scan->quantisation[b], scan->al);
    }
    entropy->in = scan->data;
    entropy->in_end = scan->data + scan->nbytes;
    entropy->restart_interval = scan->restart_interval;
    entropy->next_restart = 0;
    fi_entropy_begin_interval(entropy);
}
