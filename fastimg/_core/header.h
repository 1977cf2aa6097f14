/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes before a JPEG's first scan, parsed without libjpeg. */
#ifndef FI_HEADER_H
#define FI_HEADER_H

#include "fi.h"

/*
 * Parses data[0 .. have), the front of a source of `total` bytes, up to its first scan. If the bytes do not reach
 * that far, *need is how many are needed to go on (more than `have`): call it again with more. Else *need is 0.
 * Refuses only what libjpeg-turbo would refuse as well; what it accepts, libjpeg-turbo still judges by itself.
 */
fi_status fi_header_parse(fi_header *header, const uint8_t *data, size_t have, uint64_t total, uint64_t *need,
                          fi_failure *failure);

/*
 * Whether such an image can be decoded. The number of pixels is judged first: FI_E_TOO_LARGE, then _NO_PIXELS,
 * _NO_HEIGHT, _PRECISION, _COMPONENTS and _PROCESS.
 */
fi_status fi_header_check(const fi_header *header, uint64_t max_pixels, fi_failure *failure);

#endif
