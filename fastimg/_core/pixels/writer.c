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

static size_t pixel_nbytes(const fi_options *options) {
    return fi_element_of(options->dtype)->nbytes * (options->layout == FI_CHW ? 1 : fi_channels(options));
}

static ptrdiff_t channel_stride(const fi_output *out, const fi_options *options) {
    return options->layout == FI_CHW ? out->plane_stride : (ptrdiff_t)fi_element_of(options->dtype)->nbytes;
}

void fi_writer_move(fi_writer *writer, uint32_t row, uint8_t *scratch) {
    const fi_plan *plan = writer->plan;
    const size_t plane = (size_t)plan->cols * (plan->transpose ? TILE : 1);
    const size_t transposed = plan->transpose ? TILE * TILE : plan->cols;

    for (size_t c = 0; c < 3; c++) {
        writer->planes[c] = scratch + c * plane;
        writer->transposed[c] = scratch + 3 * plane + c * transposed;
    }
    writer->pixels = scratch + 3 * plane + 3 * transposed;
    writer->row = row;
}

void fi_writer_init(fi_writer *writer, const fi_plan *plan, const fi_options *options, const fi_output *out,
                    unsigned channels, uint8_t *scratch) {
    *writer = (fi_writer){
        .plan = plan,
        .options = options,
        .kernels = fi_pixel_kernels_active(),
        .conversion = fi_conversion_to(options->dtype),
        .row_stride = out->row_stride,
        .channel_stride = channel_stride(out, options),
        .pixel_stride = pixel_nbytes(options),
        .channels = channels,
        .is_planar = is_planar(options),
        .is_direct = is_planar(options) && is_plain(plan, options),
    };
    fi_writer_move(writer, 0, scratch);
    if (!out->data) return;
    writer->dest = out->data + (ptrdiff_t)plan->dest_top * out->row_stride + plan->dest_left * writer->pixel_stride;
    if (plan->mirror_y) {
        writer->dest += (ptrdiff_t)(plan->dest_height - 1) * out->row_stride;
        writer->row_stride = -out->row_stride;
    }
    writer->is_complete = writer->is_direct && channels == fi_channels(options);
    for (unsigned c = 0; c < channels; c++) {
        const bool bgr = options->mode == FI_MODE_BGR && channels == 3;
        writer->first_row[c] = writer->dest + (bgr ? 2 - (ptrdiff_t)c : (ptrdiff_t)c) * writer->channel_stride;
    }
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

/* Rows are counted as they come in, or as columns do if the output is transposed. */
static uint8_t *element_at(const fi_writer *writer, unsigned channel, size_t y, size_t x) {
    return writer->dest + (ptrdiff_t)y * writer->row_stride + (ptrdiff_t)channel * writer->channel_stride +
           x * writer->pixel_stride;
}

uint8_t *fi_writer_dest(const fi_writer *writer, uint32_t i) {
    return element_at(writer, 0, i, 0);
}

/* n pixels, a plane per channel (R, G, B, or the same one three times), to row y of the output from column x on. */
static void write_segment(const fi_writer *writer, const uint8_t *const rgb[3], size_t y, size_t x, size_t n) {
    const fi_options *options = writer->options;
    const bool bgr = options->mode == FI_MODE_BGR;
    const uint8_t *const src[3] = {rgb[bgr ? 2 : 0], rgb[1], rgb[bgr ? 0 : 2]};

    if (writer->is_planar) {
        for (unsigned c = 0; c < fi_channels(options); c++) {
            writer->conversion->plane(options, c, src[c], element_at(writer, c, y, x), n);
        }
        return;
    }
    uint8_t *const dst = element_at(writer, 0, y, x);
    uint8_t *const pixels = writer->conversion->pixels ? writer->pixels : dst;
    writer->kernels->interleave3(src[0], src[1], src[2], pixels, n);
    if (writer->conversion->pixels) writer->conversion->pixels(options, pixels, dst, n);
}

/* The first row of the tiles that are being filled, and how many rows they will have. */
static uint32_t tile_start(const fi_writer *writer) {
    return writer->row - writer->row % TILE;
}

static uint32_t tile_rows(const fi_writer *writer) {
    return (uint32_t)min_size(TILE, writer->plan->rows - tile_start(writer));
}

bool fi_writer_take_pixels(fi_writer *writer) {
    const fi_plan *plan = writer->plan;

    writer->takes_pixels = !writer->is_planar && !plan->transpose && !plan->mirror_x;
    if (writer->takes_pixels) writer->is_complete = !writer->conversion->pixels;
    return writer->takes_pixels;
}

void fi_writer_next_row(const fi_writer *writer, uint8_t *planes[3]) {
    size_t offset = 0;

    if (writer->takes_pixels) {
        const bool bgr = writer->options->mode == FI_MODE_BGR;
        uint8_t *const row = writer->is_complete ? element_at(writer, 0, writer->row, 0) : writer->pixels;
        for (int c = 0; c < 3; c++) planes[c] = row + (bgr ? 2 - c : c);
        return;
    }
    if (writer->is_direct) {
        const ptrdiff_t down = (ptrdiff_t)writer->row * writer->row_stride;
        for (unsigned c = 0; c < writer->channels; c++) planes[c] = writer->first_row[c] + down;
        return;
    }
    if (writer->plan->transpose) {
        /* Stacked bottom-up, the rows come out mirrored left-right. */
        const uint32_t i = writer->row - tile_start(writer);
        offset = (writer->plan->mirror_x ? tile_rows(writer) - 1 - i : i) * (size_t)writer->plan->cols;
    }
    for (unsigned c = 0; c < writer->channels; c++) planes[c] = writer->planes[c] + offset;
}

/* The rows of the tiles become as many columns of the output. */
static void write_transposed(const fi_writer *writer) {
    const fi_plan *plan = writer->plan;
    const uint32_t start = tile_start(writer), rows = tile_rows(writer);
    const size_t x0 = plan->mirror_x ? plan->dest_width - start - rows : start;
    const uint8_t *rgb[3];

    for (size_t y = 0; y < plan->cols; y += TILE) {
        const size_t cols = min_size(TILE, plan->cols - y);
        for (size_t c = 0; c < writer->channels; c++) {
            writer->kernels->transpose(writer->planes[c] + y, plan->cols, writer->transposed[c], TILE, rows, cols);
        }
        for (size_t i = 0; i < cols; i++) {
            for (size_t c = 0; c < 3; c++) rgb[c] = writer->transposed[writer->channels == 3 ? c : 0] + i * TILE;
            write_segment(writer, rgb, y + i, x0, rows);
        }
    }
}

static void write_row(const fi_writer *writer) {
    const size_t width = writer->plan->cols;
    const bool grey = writer->channels == 1;
    const uint8_t *rgb[3];

    if (writer->takes_pixels) {
        writer->conversion->pixels(writer->options, writer->pixels, element_at(writer, 0, writer->row, 0), width);
        return;
    }
    if (writer->is_direct) {
        for (unsigned c = 1; grey && c < fi_channels(writer->options); c++) {
            memcpy(element_at(writer, c, writer->row, 0), element_at(writer, 0, writer->row, 0), width);
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
    write_segment(writer, rgb, writer->row, 0, width);
}

void fi_writer_row_done(fi_writer *writer) {
    if (!writer->is_complete) {
        if (!writer->plan->transpose) write_row(writer);
        else if (writer->row - tile_start(writer) == tile_rows(writer) - 1) write_transposed(writer);
    }
    writer->row++;
}

/* ---- all of an output ------------------------------------------------------------------------------------------ */

/* Repeats the first `nbytes` bytes until there are `all`. */
static void repeat(uint8_t *first, size_t nbytes, size_t all) {
    for (size_t done = nbytes, n; done < all; done += n) {
        n = min_size(done, all - done);
        memcpy(first + done, first, n);
    }
}

/* Padding in pixels x to end - 1 of row y. */
static void pad_pixels(const fi_output *out, const fi_options *options, size_t y, size_t x, size_t end) {
    const size_t stride = pixel_nbytes(options), channels = fi_channels(options);
    uint8_t *const first = out->data + (ptrdiff_t)y * out->row_stride + x * stride;

    if (x == end) return;
    for (size_t c = 0; c < channels; c++) {
        uint8_t *const element = first + (ptrdiff_t)c * channel_stride(out, options);
        fi_conversion_to(options->dtype)->plane(options, (unsigned)c, &options->pad[c], element, 1);
        if (options->layout == FI_CHW) repeat(element, stride, (end - x) * stride);
    }
    if (options->layout == FI_HWC) repeat(first, stride, (end - x) * stride);
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
    const size_t planes = options->layout == FI_CHW ? fi_channels(options) : 1;

    if (!out->data) return;
    for (size_t c = 0; c < planes; c++) {
        uint8_t *row = out->data + (ptrdiff_t)c * channel_stride(out, options);
        for (size_t y = 0; y < out->height; y++, row += out->row_stride) {
            memset(row, 0, out->width * pixel_nbytes(options));
        }
    }
}
