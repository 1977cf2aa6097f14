/* SPDX-License-Identifier: BSD-3-Clause */
/* Pixels that are in memory already, handed to a sink as if a decoder made them. */
#ifndef FI_FEED_H
#define FI_FEED_H

#include "buffer.h"
#include "pixels/sink.h"

/* Returns false if out of memory. `rows` is scratch. */
bool fi_feed_pixels(fi_sink *sink, const fi_pixels *pixels, bool resize, fi_buffer *rows);

#endif
