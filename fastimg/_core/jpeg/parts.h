/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A large baseline image, decoded by several threads. Its one scan is cut into parts. Where there are restart markers, each
 * part begins after one. Elsewhere a thread begins anywhere, with an MCU: within some hundred bytes it nearly always is in
 * step with the codes, and keeps the coefficients, until the thread before it arrives at a place where an MCU begins for
 * both. What is odd in any way is given up, and decoded again by one thread.
 */
#ifndef FI_PARTS_H
#define FI_PARTS_H

#include "jpeg/decompressor.h"
#include "jpeg/part_layout.h"
#include "jpeg/state.h"

/* Whether the image that begins is one for several threads. */
bool fi_parts_suit(const fi_decompressor *jpeg, const fi_request *request);

/* Decodes it, and goes on after its scan. Returns how many rows of MCUs the sink has needed. */
JDIMENSION fi_parts_decode(fi_decompressor *jpeg, const fi_part_layout *layout);

#endif
