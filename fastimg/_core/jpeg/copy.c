/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The exact route: libjpeg's own pixels. It takes the planes of Y, Cb and Cr as the inverse DCT leaves them, a row of MCUs
 * at a time; the sink upsamples and converts them while they are in the first-level cache. Where the core's own stages
 * are not used, and from other files, libjpeg makes rows.
 */
#include "jpeg/decompressor.h"
#include "jpeg/hooks.h"
#include "jpeg/parts.h"
#include "jpeg/state.h"
#include "jpeg/warnings.h"

/* Approximate bytes of a strip: what stays in the first-level cache beside libjpeg's own rows. */
#define STRIP_NBYTES 12288
#define MAX_STRIP_ROWS 16

/*
 * libjpeg-turbo's SIMD versions write rows that begin at a multiple of this past the cache, from where they would
 * have to be read back at once. So a strip's rows begin halfway between two multiples.
 */
#define STREAMED_ALIGNMENT 32

/*
 * Whether the sink can do what libjpeg's upsampling would: it has Cb and Cr of one size, which is Y's, or half of the
 * width, or half of both. libjpeg repeats the samples of images so narrow that these are all edge.
 */
static bool has_usual_sampling(const struct jpeg_decompress_struct *cinfo) {
    const jpeg_component_info *luma = &cinfo->comp_info[0], *cb = &cinfo->comp_info[1], *cr = &cinfo->comp_info[2];
    const int h = cinfo->max_h_samp_factor, v = cinfo->max_v_samp_factor;

    if (luma->h_samp_factor != h || luma->v_samp_factor != v) return false;
    if (cb->h_samp_factor != cr->h_samp_factor || cb->v_samp_factor != cr->v_samp_factor) return false;
    if (cb->h_samp_factor == h) return cb->v_samp_factor == v;
    return cb->h_samp_factor * 2 == h && cinfo->image_width > 4 &&
           (cb->v_samp_factor == v || (cb->v_samp_factor == 1 && v == 2));
}

/* What libjpeg delivers: planes; or pixels of the output itself if it can, else the rows that take the least work. */
static fi_rows_kind choose_kind(const fi_decompressor *jpeg, const fi_request *request) {
    const struct jpeg_decompress_struct *cinfo = &jpeg->cinfo;
    const fi_sink *sink = request->sink;

    if (fi_is_four_channel(cinfo)) return FI_ROWS_CMYK_PIXELS;
    if (cinfo->raw_data_out) return FI_ROWS_YCC;
    if (request->plan->width == cinfo->image_width && sink->takes(sink, FI_ROWS_OUTPUT)) return FI_ROWS_OUTPUT;
    if (cinfo->jpeg_color_space == JCS_GRAYSCALE) return FI_ROWS_GREY;
    if (cinfo->jpeg_color_space == JCS_RGB) return FI_ROWS_RGB_PIXELS;
    if (!sink->takes(sink, FI_ROWS_YCC)) return FI_ROWS_GREY;
    return jpeg->use_libjpeg_entropy ? FI_ROWS_RGB_PIXELS : FI_ROWS_YCC;
}

static void choose(fi_decompressor *jpeg, const fi_request *request) {
    static const J_COLOR_SPACE output_spaces[] = {
        [FI_MODE_RGB] = JCS_EXT_RGB, [FI_MODE_BGR] = JCS_EXT_BGR, [FI_MODE_L] = JCS_GRAYSCALE};
    static const J_COLOR_SPACE spaces[] = {
        [FI_ROWS_GREY] = JCS_GRAYSCALE,
        [FI_ROWS_YCC] = JCS_EXT_RGB, /* its conversion is replaced */
        [FI_ROWS_RGB_PIXELS] = JCS_EXT_RGB,
        [FI_ROWS_CMYK_PIXELS] = JCS_CMYK,
    };

    jpeg->cinfo.raw_data_out = jpeg->cinfo.jpeg_color_space == JCS_YCbCr && !jpeg->use_libjpeg_entropy &&
                               request->sink->takes(request->sink, FI_ROWS_YCC) && has_usual_sampling(&jpeg->cinfo);
    jpeg->rows_kind = choose_kind(jpeg, request);
    jpeg->cinfo.out_color_space =
        jpeg->rows_kind == FI_ROWS_OUTPUT ? output_spaces[request->options->mode] : spaces[jpeg->rows_kind];
}

/* libjpeg writes to the output itself, and above the window to a strip. */
static void read_into_output(j_decompress_ptr cinfo, fi_sink *sink, uint8_t *strip) {
    JSAMPROW rows[MAX_STRIP_ROWS];

    while (!sink->done(sink)) {
        JDIMENSION n = 0, y = cinfo->output_scanline;
        while (n < MAX_STRIP_ROWS && (rows[n] = sink->dest(sink, y + n))) n++;
        if (n == 0) rows[n++] = strip;
        sink->rows(sink, NULL, jpeg_read_scanlines(cinfo, rows, n));
    }
}

static void read_strips(j_decompress_ptr cinfo, fi_sink *sink, uint8_t *strip, size_t stride, uint32_t strip_rows,
                        uint32_t end) {
    const uint8_t *const planes[3] = {strip, NULL, NULL};

    while (!sink->done(sink)) {
        const uint32_t left = end - cinfo->output_scanline, rows = left < strip_rows ? left : strip_rows;
        for (uint32_t got = 0; got < rows;) {
            JSAMPROW pointers[4];
            const uint32_t n = rows - got < 4 ? rows - got : 4; /* libjpeg gives a row group at most, 4 rows */
            for (uint32_t i = 0; i < n; i++) pointers[i] = strip + (got + i) * stride;
            got += jpeg_read_scanlines(cinfo, pointers, n);
        }
        sink->rows(sink, planes, rows);
    }
}

/* The hook takes the rows: libjpeg writes nothing to the pointers that it is given. */
static void read_ycc(fi_decompressor *jpeg, uint8_t *strip, uint32_t end) {
    JSAMPROW rows[MAX_STRIP_ROWS];

    fi_hooks_take_ycc(jpeg);
    for (size_t i = 0; i < MAX_STRIP_ROWS; i++) rows[i] = strip;
    while (!jpeg->sink->done(jpeg->sink)) {
        const uint32_t left = end - jpeg->cinfo.output_scanline;
        jpeg_read_scanlines(&jpeg->cinfo, rows, left < MAX_STRIP_ROWS ? left : MAX_STRIP_ROWS);
    }
}

/* ---- planes ---------------------------------------------------------------------------------------------------- */

#define MAX_KEPT 2
#define MARGIN 32 /* bytes before a row, of which the last is read */

/* Y, Cb or Cr: the rows of a row of MCUs, and before them the last ones of the row of MCUs above. */
typedef struct {
    uint32_t kept, per_mcu_row, height; /* rows that are kept, of a row of MCUs, and of the image */
    size_t width;
    JSAMPROW rows[MAX_KEPT + FI_MAX_ROWS];
} plane;

/* An odd number of cache lines: rows share no sets. */
static size_t odd_lines(size_t nbytes) {
    return ((nbytes + 63) & ~(size_t)63) | 64;
}

/*
 * With Cb and Cr per two rows, the last two rows of pixels wait for the next row of MCUs, since the rows of Cb and Cr that
 * are next nearest are in there or, from the first of the two, above.
 */
static size_t describe_planes(const struct jpeg_decompress_struct *cinfo, plane planes[3], fi_format *format) {
    size_t nbytes = 0;

    *format = (fi_format){
        .kind = FI_ROWS_YCC,
        .max_h_samp = (uint32_t)cinfo->max_h_samp_factor,
        .max_v_samp = (uint32_t)cinfo->max_v_samp_factor,
    };
    for (int c = 0; c < 3; c++) {
        const jpeg_component_info *component = &cinfo->comp_info[c];
        const size_t nbytes_read = MARGIN + (size_t)component->width_in_blocks * DCTSIZE + 1;
        planes[c].kept = cinfo->comp_info[1].v_samp_factor < cinfo->max_v_samp_factor ? MAX_KEPT : 0;
        planes[c].per_mcu_row = (uint32_t)component->v_samp_factor * DCTSIZE;
        planes[c].height = component->downsampled_height;
        planes[c].width = component->downsampled_width;
        format->planes[c] = (fi_plane_format){
            .stride = odd_lines(nbytes_read),
            .h_samp = (uint32_t)component->h_samp_factor,
            .v_samp = (uint32_t)component->v_samp_factor,
        };
        nbytes += format->planes[c].stride * (planes[c].kept + planes[c].per_mcu_row);
    }
    return nbytes;
}

static void repeat_edges(const plane *p, JSAMPARRAY rows) {
    for (uint32_t i = 0; i < p->per_mcu_row; i++) {
        rows[i][-1] = rows[i][0];
        rows[i][p->width] = rows[i][p->width - 1];
    }
}

/* The next row of MCUs. The rows that it replaces are those that nothing is kept of. */
static void read_mcu_row(j_decompress_ptr cinfo, plane planes[3]) {
    JSAMPARRAY arrays[3];

    for (int c = 0; c < 3; c++) {
        plane *p = &planes[c];
        for (uint32_t i = 0; i < p->kept; i++) {
            const JSAMPROW row = p->rows[i];
            p->rows[i] = p->rows[p->per_mcu_row + i];
            p->rows[p->per_mcu_row + i] = row;
        }
        arrays[c] = p->rows + p->kept;
    }
    jpeg_read_raw_data(cinfo, arrays, FI_MAX_ROWS);
    for (int c = 1; c < 3; c++) repeat_edges(&planes[c], arrays[c]);
}

/* Rows y to end - 1 of the image; the last row of MCUs that was read has row `first` of it at its top. */
static void give_rows(fi_sink *sink, const plane planes[3], uint32_t first, uint32_t y, uint32_t end) {
    const bool halved = planes[1].kept; /* Cb and Cr are, in height */

    for (; y < end && !sink->done(sink); y++) {
        const uint32_t near = halved ? y / 2 : y, bottom = planes[1].height - 1;
        const uint32_t far = !halved || near == (y % 2 ? bottom : 0) ? near : y % 2 ? near + 1 : near - 1;
        const uint32_t top = halved ? first / 2 : first;
        const uint8_t *rows[5];
        rows[0] = planes[0].rows[planes[0].kept + y - first];
        for (int c = 1; c < 3; c++) {
            rows[c] = planes[c].rows[planes[c].kept + near - top];
            rows[2 + c] = planes[c].rows[planes[c].kept + far - top];
        }
        sink->rows(sink, rows, 1);
    }
}

/* ---- several threads ------------------------------------------------------------------------------------------- */

typedef struct {
    j_decompress_ptr cinfo;
    uint32_t lines;
    plane planes[3];
    size_t stride; /* grey: of the rows */
} part_context;

static void finish_part(const void *context, JSAMPARRAY const rows[3]) {
    const part_context *part = context;

    for (int c = 1; c < 3; c++) repeat_edges(&part->planes[c], rows[c]);
}

/* Row y of pixels and the one after the last that are whole when a row of MCUs is there. */
static uint32_t whole_rows(const part_context *part, JDIMENSION mcu_rows) {
    if (mcu_rows == 0) return 0;
    if (mcu_rows >= part->cinfo->total_iMCU_rows) return part->cinfo->output_height;
    return mcu_rows * part->lines - part->planes[0].kept;
}

static void give_part(const void *context, fi_sink *sink, JDIMENSION row, JSAMPARRAY const above[3],
                      JSAMPARRAY const rows[3]) {
    const part_context *part = context;
    const uint32_t y = whole_rows(part, row), end = whole_rows(part, row + 1);
    plane planes[3];

    if (part->stride) {
        const uint8_t *const grey[3] = {rows[0][0], NULL, NULL};
        sink->rows(sink, grey, end - y);
        return;
    }
    for (int c = 0; c < 3; c++) {
        plane *p = &planes[c];
        *p = part->planes[c];
        for (uint32_t i = 0; i < p->kept; i++) p->rows[i] = above[c][p->per_mcu_row - p->kept + i];
        for (uint32_t i = 0; i < p->per_mcu_row; i++) p->rows[p->kept + i] = rows[c][i];
    }
    give_rows(sink, planes, row * part->lines, y, end);
}

/* Whether the rows that are wanted are those of one plane, as the inverse DCT leaves it. */
static bool is_plane(const struct jpeg_decompress_struct *cinfo) {
    const jpeg_component_info *luma = &cinfo->comp_info[0];

    if (cinfo->jpeg_color_space == JCS_GRAYSCALE) return true;
    return cinfo->jpeg_color_space == JCS_YCbCr && cinfo->out_color_space == JCS_GRAYSCALE &&
           luma->h_samp_factor == cinfo->max_h_samp_factor && luma->v_samp_factor == cinfo->max_v_samp_factor;
}

/* Several threads make the rows. Returns false if they are not to. */
static bool read_parts(fi_decompressor *jpeg, const fi_request *request) {
    const j_decompress_ptr cinfo = &jpeg->cinfo;
    const uint32_t end = request->plan->top + request->plan->height;
    const bool is_grey = is_plane(cinfo);
    part_context part = {.cinfo = cinfo, .lines = (uint32_t)cinfo->max_v_samp_factor * DCTSIZE};
    fi_part_layout layout = {.count = is_grey ? 1 : 3, .context = &part, .give = give_part, .lines = part.lines};
    fi_format format = {.kind = FI_ROWS_GREY};

    if ((!cinfo->raw_data_out && !is_grey) || !fi_parts_suit(jpeg, request)) return false;
    if (is_grey) {
        layout.planes[0].stride = part.stride = format.planes[0].stride =
            odd_lines((size_t)cinfo->comp_info[0].width_in_blocks * DCTSIZE);
        layout.planes[0].rows = part.lines;
    } else {
        describe_planes(cinfo, part.planes, &format);
        layout.finish = finish_part;
        for (int c = 0; c < 3; c++) {
            layout.planes[c].stride = format.planes[c].stride;
            layout.planes[c].margin = MARGIN;
            layout.planes[c].rows = part.planes[c].per_mcu_row;
        }
    }
    layout.lag = part.planes[0].kept;
    while (whole_rows(&part, layout.rows) < end) layout.rows++;
    if (!jpeg->sink->begin(jpeg->sink, &format)) fi_fail(jpeg, FI_E_NOMEM);
    layout.in_order = !jpeg->sink->fork;
    fi_parts_decode(jpeg, &layout);
    cinfo->output_scanline = end;
    return true;
}

/* ---- one thread ------------------------------------------------------------------------------------------------ */

/*
 * What of the image comes after the window is judged as if it had been read row by row, so output_scanline is set to what
 * it would be then.
 */
static void read_planes(fi_decompressor *jpeg, const fi_request *request) {
    const j_decompress_ptr cinfo = &jpeg->cinfo;
    const uint32_t end = request->plan->top + request->plan->height;
    plane planes[3];
    fi_format format;

    const size_t nbytes = describe_planes(cinfo, planes, &format);
    if (!fi_buffer_reserve(request->rows, nbytes, 0) || !jpeg->sink->begin(jpeg->sink, &format)) {
        fi_fail(jpeg, FI_E_NOMEM);
    }
    uint8_t *at = request->rows->data + MARGIN;
    for (int c = 0; c < 3; c++) {
        for (uint32_t i = 0; i < planes[c].kept + planes[c].per_mcu_row; i++, at += format.planes[c].stride) {
            planes[c].rows[i] = at;
        }
    }
    for (uint32_t y = 0; !jpeg->sink->done(jpeg->sink);) {
        const uint32_t first = cinfo->output_scanline;
        read_mcu_row(cinfo, planes);
        const bool is_last = cinfo->output_scanline >= cinfo->output_height;
        const uint32_t whole = is_last ? cinfo->output_height : cinfo->output_scanline - planes[0].kept;
        give_rows(jpeg->sink, planes, first, y, whole);
        y = whole;
    }
    if (end < cinfo->output_height) cinfo->output_scanline = end;
}

static void read_rows(fi_decompressor *jpeg, const fi_request *request) {
    const j_decompress_ptr cinfo = &jpeg->cinfo;
    const size_t row_nbytes = (size_t)cinfo->output_width * (size_t)cinfo->output_components;
    const size_t stride = (row_nbytes + STREAMED_ALIGNMENT - 1) / STREAMED_ALIGNMENT * STREAMED_ALIGNMENT;
    const fi_format format = {.kind = jpeg->rows_kind, .planes[0].stride = stride};
    const uint32_t end = request->plan->top + request->plan->height;
    uint32_t rows = (uint32_t)(STRIP_NBYTES / row_nbytes);

    if (read_parts(jpeg, request)) return;
    if (cinfo->raw_data_out) {
        read_planes(jpeg, request);
        return;
    }
    if (rows < 1) rows = 1;
    if (rows > MAX_STRIP_ROWS) rows = MAX_STRIP_ROWS;
    if (!fi_buffer_reserve(request->rows, stride * rows + STREAMED_ALIGNMENT, 0) ||
        !jpeg->sink->begin(jpeg->sink, &format)) {
        fi_fail(jpeg, FI_E_NOMEM);
    }
    uint8_t *strip = request->rows->data;
    strip += (STREAMED_ALIGNMENT / 2 - (uintptr_t)strip) % STREAMED_ALIGNMENT;
    if (format.kind == FI_ROWS_OUTPUT) read_into_output(cinfo, jpeg->sink, strip);
    else if (format.kind == FI_ROWS_YCC) read_ycc(jpeg, strip, end);
    else read_strips(cinfo, jpeg->sink, strip, stride, rows, end);
}

const fi_route fi_copy_route = {choose, read_rows};
