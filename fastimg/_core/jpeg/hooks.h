/* SPDX-License-Identifier: BSD-3-Clause */
/* The core's own stages, in place of libjpeg's methods. */
#ifndef FI_HOOKS_H
#define FI_HOOKS_H

#include "jpeg/state.h"

/* Call it after jpeg_create_decompress(): the core's own entropy stage is used wherever it can be. */
void fi_hooks_install(fi_decompressor *jpeg);

/* The three below take effect after jpeg_start_decompress(). */

/*
 * libjpeg's rows of Y, Cb and Cr go to the sink, one at a time, and are not converted. Nothing is written to the rows
 * that jpeg_read_scanlines() is given.
 */
void fi_hooks_take_ycc(fi_decompressor *jpeg);

/*
 * Reduced samples of components 0 to count - 1 come from pixels/idct.c. Set reduced[c].height, .width and .rows before,
 * and reduced[c].first whenever it changes.
 */
void fi_hooks_reduce(fi_decompressor *jpeg, unsigned count);

/*
 * Says whether the next blocks of a component must become samples, and whether the image ends in them. Blocks that
 * are not needed are skipped as cheaply as possible.
 */
void fi_hooks_need(fi_decompressor *jpeg, int component, bool needed, bool at_bottom);

/* Whether the core's own stages decode the image's only scan, row by row, with the next call of libjpeg. */
bool fi_hooks_decode_rows(const fi_decompressor *jpeg);

/* That scan. Returns false if there is none. */
bool fi_hooks_describe_scan(const fi_decompressor *jpeg, fi_scan *scan);

/* How its blocks become samples. */
fi_transforms fi_hooks_transforms(const fi_decompressor *jpeg);

/* libjpeg goes on as if it had asked for so many rows of MCUs. If these are all, `end` is where it goes on; else NULL. */
void fi_hooks_end_rows(fi_decompressor *jpeg, unsigned rows, const uint8_t *end);

/* After the last row that is wanted, if the image has more: fails if those so far are damaged. */
void fi_hooks_end_early(fi_decompressor *jpeg);

/*
 * Sets what fi_hooks_verified() and fi_idct_verified() return: what fi_init() has found out about the loaded libjpeg.
 */
void fi_hooks_set_verified(bool hooks, bool idct);

#endif
