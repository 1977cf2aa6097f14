/* SPDX-License-Identifier: BSD-3-Clause */
/* How a JPEG is to be turned, by the Exif and XMP data in its APP1 segments. */
#ifndef FI_ORIENTATION_H
#define FI_ORIENTATION_H

#include "fi.h"

/* What the segments so far say; all zero before the first. */
typedef struct fi_orientation {
    uint8_t exif; /* 1 to 8; 0: no segment has the tag */
    const uint8_t *xmp; /* the last packet, or NULL */
    size_t xmp_nbytes;
} fi_orientation;

/* Takes the payload of an APP1 segment, which must stay as it is until fi_orientation_find() has returned. */
void fi_orientation_add(fi_orientation *orientation, const uint8_t *app1, size_t nbytes);

/* Returns the orientation, 1 to 8, when all segments have been added. Anything out of this range is 1. */
uint8_t fi_orientation_find(const fi_orientation *orientation);

#endif
