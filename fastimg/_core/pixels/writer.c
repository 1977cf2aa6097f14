/* SPDX-License-Identifier: BSD-3-Clause */
#include "pixels/writer.h"

#include <string.h>

/*
 * Rows that are transposed at once become columns: 64 bytes of a uint8 row are one cache line, so none is visited
 * twice.
 */
#define TILE 64

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static uint8_t *element_at(const fi_output *out, const fi_options *options, unsigned channel, size_t y, size_t x) {
    const size_t nbytes = fi_element_of(options->dtype)->nbytes;
    uint8_t *row = out->data + (ptrdiff_t)y * out->row_stride;
    if (options->layout == FI_CHW) return row + (ptrdiff_t)channel * out->plane_stride + x * nbytes;
    return row + (x * fi_channels(options) + channel) * nbytes;
}

static uint8_t *output_at(const fi_writer *writer, unsigned channel, size_t y, size_t x) {
    return element_at(&writer->dest, writer->options, channel, y, x);
}

static bool is_planar(const fi_options *options) {
    return options->layout == FI_CHW || fi_channels(options) == 1;
}

/* Whether elements are pixels, in the order in which these come along a row. */
static bool is_plain(const fi_plan *plan, const fi_options *options) {
    return !fi_conversion_to(options->dtype)->pixels && !plan->transpose && !plan->mirror_x;
}

bool fi_writer_takes_output(const fi_plan *plan, const fi_options *options, const fi_output *out) {
    return out->data && is_plain(plan, options) && (options->layout == FI_HWC || fi_channels(options) == 1);
}

/* Three planes, three transposed tiles or mirrored rows, one interleaved row. */
size_t fi_writer_nbytes(const fi_plan *plan) {
    const size_t width = plan->cols, segment = width > TILE ? width : TILE;
    return 3 * width * (plan->transpose ? TILE : 1) + 3 * (plan->transpose ? TILE * TILE : width) + 3 * segment;
}

void fi_writer_init(fi_writer *writer, const fi_plan *plan, const fi_options *options, const fi_output *out,
                    unsigned channels, uint8_t *scratch) {
    const size_t plane = (size_t)plan->cols * (plan->transpose ? TILE : 1);
    const size_t transposed = plan->transpose ? TILE * TILE : plan->cols;

    *writer = (fi_writer){
        .plan = plan,
        .options = options,
        .kernels = fi_pixel_kernels_active(),
        .conversion = fi_conversion_to(options->dtype),
        .dest = *out,
        .channels = channels,
        .pixels = scratch + 3 * plane + 3 * transposed,
    };
    writer->is_plain = is_plain(plan, options);
    for (size_t c = 0; c < 3; c++) {
        writer->planes[c] = scratch + c * plane;
        writer->transposed[c] = scratch + 3 * plane + c * transposed;
    }
    writer->dest.height = plan->dest_height;
    writer->dest.width = plan->dest_width;
    if (out->data) writer->dest.data = element_at(out, options, 0, plan->dest_top, plan->dest_left);
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

uint8_t *fi_writer_dest(const fi_writer *writer, uint32_t i) {
    return output_at(writer, 0, writer->plan->mirror_y ? writer->dest.height - 1 - i : i, 0);
}

/* n pixels, a plane per channel (R, G, B, or the same one three times), to row y of the output from column x on. */
static void write_segment(const fi_writer *writer, const uint8_t *const rgb[3], size_t y, size_t x, size_t n) {
    const fi_options *options = writer->options;
    const bool bgr = options->mode == FI_MODE_BGR;
    const uint8_t *const src[3] = {rgb[bgr ? 2 : 0], rgb[1], rgb[bgr ? 0 : 2]};

    if (is_planar(options)) {
        for (unsigned c = 0; c < fi_channels(options); c++) {
            writer->conversion->plane(options, c, src[c], output_at(writer, c, y, x), n);
        }
        return;
    }
    uint8_t *const dst = output_at(writer, 0, y, x);
    uint8_t *const pixels = writer->conversion->pixels ? writer->pixels : dst;
    writer->kernels->interleave3(src[0], src[1], src[2], pixels, n);
    if (writer->conversion->pixels) writer->conversion->pixels(options, pixels, dst, n);
}

/* Whether planes can be written to the output as they are. */
static bool is_direct(const fi_writer *writer) {
    return writer->is_plain && is_planar(writer->options);
}

static size_t dest_row(const fi_writer *writer) {
    return writer->plan->mirror_y ? writer->dest.height - 1 - writer->row : writer->row;
}

/* The first row of the tiles that are being filled, and how many rows they will have. */
static uint32_t tile_start(const fi_writer *writer) {
    return writer->row - writer->row % TILE;
}

static uint32_t tile_rows(const fi_writer *writer) {
    return (uint32_t)min_size(TILE, writer->plan->rows - tile_start(writer));
}

void fi_writer_next_row(const fi_writer *writer, uint8_t *planes[3]) {
    const bool direct = is_direct(writer), bgr = writer->options->mode == FI_MODE_BGR;
    size_t offset = 0;

    if (writer->plan->transpose) {
        /* Stacked bottom-up, the rows come out mirrored left-right. */
        const uint32_t i = writer->row - tile_start(writer);
        offset = (writer->plan->mirror_x ? tile_rows(writer) - 1 - i : i) * (size_t)writer->plan->cols;
    }
    for (unsigned c = 0; c < writer->channels; c++) {
        const unsigned channel = bgr && writer->channels == 3 ? 2 - c : c;
        planes[c] = direct ? output_at(writer, channel, dest_row(writer), 0) : writer->planes[c] + offset;
    }
}

/* The rows of the tiles become as many columns of the output. */
static void write_transposed(const fi_writer *writer) {
    const fi_plan *plan = writer->plan;
    const uint32_t start = tile_start(writer), rows = tile_rows(writer);
    const size_t x0 = plan->mirror_x ? writer->dest.width - start - rows : start;
    const uint8_t *rgb[3];

    for (size_t x = 0; x < plan->cols; x += TILE) {
        const size_t cols = min_size(TILE, plan->cols - x);
        for (size_t c = 0; c < writer->channels; c++) {
            writer->kernels->transpose(writer->planes[c] + x, plan->cols, writer->transposed[c], TILE, rows, cols);
        }
        for (size_t i = 0; i < cols; i++) {
            const size_t y = plan->mirror_y ? writer->dest.height - 1 - (x + i) : x + i;
            for (size_t c = 0; c < 3; c++) rgb[c] = writer->transposed[writer->channels == 3 ? c : 0] + i * TILE;
            write_segment(writer, rgb, y, x0, rows);
        }
    }
}

static void write_row(const fi_writer *writer) {
    const size_t y = dest_row(writer), width = writer->plan->cols;
    const bool grey = writer->channels == 1;
    const uint8_t *rgb[3];

    if (is_direct(writer)) {
        for (unsigned c = 1; grey && c < fi_channels(writer->options); c++) {
            memcpy(output_at(writer, c, y, 0), output_at(writer, 0, y, 0), width);
        }
        return;
    }
    for (unsigned c = 0; c < 3; c++) {
        const unsigned from = grey ? 0 : c;
        if (writer->plan->mirror_x && from == c) {
            writer->kernels->reverse(writer->planes[c], writer->transposed[c], width);
        }
        rgb[c] = writer->plan->mirror_x ? writer->transposed[from] : writer->planes[from];
    }
    write_segment(writer, rgb, y, 0, width);
}

void fi_writer_row_done(fi_writer *writer) {
    if (!writer->plan->transpose) write_row(writer);
    else if (writer->row - tile_start(writer) == tile_rows(writer) - 1) write_transposed(writer);
    writer->row++;
}

/* ---- all of an output ------------------------------------------------------------------------------------------ */

/* Padding in pixels x to end - 1 of row y. */
static void pad_pixels(const fi_output *out, const fi_options *options, size_t y, size_t x, size_t end) {
    const size_t nbytes = fi_element_of(options->dtype)->nbytes;

    for (unsigned c = 0; c < fi_channels(options); c++) {
        uint8_t element[8];
        fi_conversion_to(options->dtype)->plane(options, c, &options->pad[c], element, 1);
        for (size_t i = x; i < end; i++) memcpy(element_at(out, options, c, y, i), element, nbytes);
    }
}

void fi_output_pad(const fi_output *out, const fi_plan *plan, const fi_options *options) {
    const size_t bottom = (size_t)plan->dest_top + plan->dest_height;
    const size_t right = (size_t)plan->dest_left + plan->dest_width;

    if (!out->data || (plan->dest_height == out->height && plan->dest_width == out->width)) return;
    for (size_t y = 0; y < out->height; y++) {
        const bool outside = y < plan->dest_top || y >= bottom;
        pad_pixels(out, options, y, 0, outside ? out->width : plan->dest_left);
        if (!outside) pad_pixels(out, options, y, right, out->width);
    }
}

void fi_output_clear(const fi_output *out, const fi_options *options) {
    const bool planar = options->layout == FI_CHW;
    const size_t planes = planar ? fi_channels(options) : 1;
    const size_t pixel_nbytes = fi_element_of(options->dtype)->nbytes * (planar ? 1 : fi_channels(options));

    if (!out->data) return;
    for (size_t c = 0; c < planes; c++) {
        uint8_t *row = out->data + (ptrdiff_t)c * (planar ? out->plane_stride : 0);
        for (size_t y = 0; y < out->height; y++, row += out->row_stride) memset(row, 0, out->width * pixel_nbytes);
    }
}
