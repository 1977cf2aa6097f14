/* SPDX-License-Identifier: BSD-3-Clause */
/* What stands before a JPEG's first scan, read without libjpeg. */
#ifndef FI_HEADER_H
#define FI_HEADER_H

#include "fi.h"

/*
 * Parses data[0 .. have), the front of a source of `total` bytes, up to its first scan. *need is 0, or, when the
 * bytes did not reach that far, how many would be needed to go on (more than have): call again with more. Refuses only
 * what libjpeg-turbo would refuse too; what it accepts, libjpeg-turbo still judges by itself.
 */
fi_status fi_header_parse(fi_header *header, const uint8_t *data, size_t have, uint64_t total, uint64_t *need,
                          fi_failure *failure);

/* What can be decoded, the number of pixels first: FI_E_TOO_LARGE, _NO_PIXELS, _PRECISION, _COMPONENTS, _PROCESS. */
fi_status fi_header_check(const fi_header *header, uint64_t max_pixels, fi_failure *failure);

#endif
