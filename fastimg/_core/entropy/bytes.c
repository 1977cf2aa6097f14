/* SPDX-License-Identifier: BSD-3-Clause */
/* From the bytes of a scan to a chunk without stuffing; markers and restart intervals. */
#include "entropy/state.h"

void fi_entropy_fill_chunk(fi_entropy *entropy) {
    uint8_t *end = entropy->chunk + (entropy->end - entropy->next);
    uint8_t *const full = entropy->chunk + CHUNK_NBYTES;

    memmove(entropy->chunk, entropy->next, (size_t)(entropy->end - entropy->next));
    while (!entropy->at_end && end < full) {
        const size_t room = (size_t)(full - end), left = (size_t)(entropy->in_end - entropy->in);
        const size_t most = left < room ? left : room;
        const uint8_t *ff = most ? memchr(entropy->in, 0xFF, most) : NULL;
        const size_t plain = ff ? (size_t)(ff - entropy->in) : most;
        memcpy(end, entropy->in, plain);
        end += plain;
        entropy->in += plain;
        if (ff && (size_t)(entropy->in_end - ff) >= 2 && ff[1] == 0) {
            *end++ = 0xFF;
            entropy->in += 2;
        } else if (ff || entropy->in == entropy->in_end) {
            entropy->at_end = true;
        }
    }
    if (entropy->at_end) memset(end, 0, MAX_MCU_NBYTES);
    entropy->next = entropy->chunk;
    entropy->end = end;
}

/* Returns the marker that follows the decoded data (padding bits ignored), or 0 if anything else follows. */
static unsigned find_marker(fi_entropy *entropy) {
    if (!entropy->at_end) fi_entropy_fill_chunk(entropy);
    if (!entropy->at_end || (entropy->end - entropy->next) * 8 + (int)entropy->count >= 8) return 0;
    /* libjpeg reads several 0xFF followed by 0 as one byte of 0xFF. */
    return entropy->in_end - entropy->in < 2 || entropy->in[1] == 0xFF ? 0 : entropy->in[1];
}

const uint8_t *fi_entropy_finish(fi_entropy *entropy) {
    return find_marker(entropy) ? entropy->in : NULL;
}

/* At the start of a scan, and after each restart marker. */
static void begin_interval(fi_entropy *entropy) {
    entropy->restarts_to_go = entropy->restart_interval;
    entropy->next = entropy->end = entropy->chunk;
    entropy->bits = 0;
    entropy->count = 0;
    entropy->at_end = false;
    entropy->eobrun = 0;
    memset(entropy->last_dc, 0, sizeof entropy->last_dc);
}

bool fi_entropy_restart(fi_entropy *entropy) {
    if (find_marker(entropy) != 0xD0 + entropy->next_restart) return false;
    entropy->in += 2;
    entropy->next_restart = (entropy->next_restart + 1) & 7;
    begin_interval(entropy);
    return true;
}

void fi_entropy_begin(fi_entropy *entropy, const fi_scan *scan) {
    entropy->blocks = scan->blocks;
    memcpy(entropy->component, scan->component, sizeof entropy->component);
    entropy->in = scan->data;
    entropy->in_end = scan->data + scan->nbytes;
    entropy->restart_interval = scan->restart_interval;
    entropy->next_restart = 0;
    begin_interval(entropy);
}
