/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a source no further than its header deserves. */
#ifndef FI_READING_H
#define FI_READING_H

#include "source.h"

/* Reads until the header is parsed. With max_pixels 0, images of any size and kind are accepted. */
fi_status fi_read_head(fi_reader *reader, uint64_t max_pixels, fi_header *header, fi_failure *failure);

/* The same, and then the rest if the image can be decoded. */
fi_status fi_read_whole(fi_reader *reader, uint64_t max_pixels, fi_header *header, fi_failure *failure);

#endif
