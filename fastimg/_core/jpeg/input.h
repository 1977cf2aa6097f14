/* SPDX-License-Identifier: BSD-3-Clause */
/* What libjpeg reads from: bytes in memory, but for tables. */
#ifndef FI_INPUT_H
#define FI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fi_decompressor fi_decompressor;

void fi_input_install(fi_decompressor *jpeg);

/*
 * Begins at jpeg->data. libjpeg reads the header's tables byte by byte, which is most of its work for a small image: it is
 * not given their segments. The source ends in front of them, sets them when it is asked for more, and goes on after
 * them. Unsound ones, and what follows any damage, are left for libjpeg to judge.
 */
void fi_input_begin(fi_decompressor *jpeg);

bool fi_has_end_marker(const uint8_t *data, size_t nbytes);

#endif
