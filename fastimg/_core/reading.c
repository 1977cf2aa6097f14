/* SPDX-License-Identifier: BSD-3-Clause */
#include "reading.h"

#include "header.h"

/* Bytes that are read first for the header alone: the head of nearly every JPEG. */
#define HEAD_NBYTES 16384

/* Bytes that are read first if the rest is wanted, too: most photos for the web are read at once. */
#define FIRST_NBYTES 262144

/* Where a header must have ended: those with depth maps and long profiles take some megabytes. */
#define MAX_HEAD_NBYTES ((uint64_t)64 << 20)

/*
 * How many bytes of a JPEG file are read, at most: twice that and 16 for each pixel. Noise takes 5. What follows, such as
 * the video of a "motion photo", or a hole of a terabyte, is not the image's.
 */
#define MAX_PIXEL_NBYTES 16

/* Reads at least twice as far each time, so that any head takes linear time. */
static fi_status read_and_parse(fi_reader *reader, uint64_t first, fi_header *header, fi_failure *failure) {
    uint64_t need = first;
    fi_status status;

    do {
        if (need < 2 * (uint64_t)reader->have) need = 2 * (uint64_t)reader->have;
        if (reader->have >= MAX_HEAD_NBYTES && reader->total > reader->have) {
            failure->detail[0] = (int64_t)reader->have;
            return failure->status = FI_E_LONG_HEADER;
        }
        if (need > MAX_HEAD_NBYTES) need = MAX_HEAD_NBYTES;
        status = fi_reader_fill(reader, need, failure);
        if (status == FI_OK) {
            status = fi_header_parse(header, reader->data, reader->have, reader->total, &need, failure);
        }
    } while (status == FI_OK && need);
    return status;
}

/* Report an oversized or unsupported frame even if the header is damaged after it. */
static fi_status check(fi_status status, const fi_header *header, uint64_t max_pixels, fi_failure *failure) {
    if (status != FI_OK && ((status != FI_E_CUT_HEADER && status != FI_E_NO_IMAGE) || !header->components)) {
        return status;
    }
    const fi_failure first = *failure;
    if (fi_header_check(header, max_pixels, failure) == FI_OK) *failure = first;
    return failure->status;
}

fi_status fi_read_head(fi_reader *reader, uint64_t max_pixels, fi_header *header, fi_failure *failure) {
    const fi_status status = read_and_parse(reader, HEAD_NBYTES, header, failure);
    return max_pixels ? check(status, header, max_pixels, failure) : status;
}

fi_status fi_read_whole(fi_reader *reader, uint64_t max_pixels, fi_header *header, fi_failure *failure) {
    fi_status status = read_and_parse(reader, FIRST_NBYTES, header, failure);
    if (max_pixels) status = check(status, header, max_pixels, failure);
    if (status != FI_OK) return status;
    const uint64_t limit = 2 * MAX_HEAD_NBYTES + MAX_PIXEL_NBYTES * (uint64_t)header->width * header->height;
    if (reader->total > limit) reader->total = limit;
    return fi_reader_fill(reader, reader->total, failure);
}
