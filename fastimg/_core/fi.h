/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fi.h - the manual of fastimg's core: JPEG files into arrays that the caller owns.
 *
 * A batch claims jobs, and for each of them a decoder runs one image through these steps:
 *
 *   source.c -> header.c -> plan.c -> jpeg/ (libjpeg-turbo, with entropy/ in it) -> pixels/ (a sink, a writer) -> array
 *
 * Rules that hold for every function here:
 *
 * - Ownership. The core keeps none of the caller's pointers after a function has returned, but for the bytes that
 *   fi_open() is given. A decoder owns its buffers and its libjpeg state. Failures of a batch are allocated by the core
 *   and freed with fi_failure_free().
 * - Threads. A decoder belongs to one thread at a time. Any number of decoders may run at once, on one batch or on
 *   several. Once fi_init() has returned, no global state changes. No function needs Python or the GIL.
 * - Failure. A function that returns a fi_status fills a fi_failure if that is not FI_OK. The caller zeroes it before
 *   the call and turns it into words. Nothing is printed, and the process is never ended. After a failure, lack of
 *   memory included, the decoder is as good as before, and the output array holds any mixture of old bytes and new
 *   pixels, unless the function says otherwise.
 * - Units. Sizes and strides are in bytes (`nbytes`, `stride`), measures of images in pixels, in the order height,
 *   width. Strides are signed: an array may be upside down.
 * - Shapes. A planar array is (C, H, W), an interleaved one (H, W, C); C is 3, or 1 for FI_MODE_L. The pixels of a
 *   row of a plane (planar) or of a row (interleaved) are contiguous. Planes and rows may be anywhere.
 */
#ifndef FI_H
#define FI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- status ---------------------------------------------------------------------------------------------------- */

/* The comments say what fi_failure.detail holds. */
typedef enum fi_status {
    FI_OK = 0,
    FI_E_NOMEM,      /* -                                            */
    FI_E_OS,         /* os_errno is set                              */
    FI_E_NOT_FILE,   /* st_mode: not a regular file                  */
    FI_E_RANGE,      /* offset, size, size of the file               */
    FI_E_EMPTY,      /* -                                            */
    FI_E_NOT_JPEG,   /* `text`: the first FI_HEAD_NBYTES, in hex     */
    FI_E_CUT_HEADER, /* bytes found                                  */
    FI_E_LONG_HEADER,/* bytes read                                   */
    FI_E_NO_IMAGE,   /* offset of the marker; the marker             */
    FI_E_NO_PIXELS,  /* height, width                                */
    FI_E_NO_HEIGHT,  /* -                                            */
    FI_E_TOO_LARGE,  /* height, width, limit                         */
    FI_E_PRECISION,  /* bits per sample                              */
    FI_E_PROCESS,    /* n of the SOFn marker                         */
    FI_E_COMPONENTS, /* components                                   */
    FI_E_COLOR,      /* components                                   */
    FI_E_TRUNCATED,  /* row reached, height, scan or 0, MCU or -1    */
    FI_E_CORRUPT,    /* the same; `text` says why                    */
    FI_E_UNSUPPORTED,/* `text` is libjpeg's                          */
    FI_E_SCANS,      /* the limit                                    */
    FI_E_COST,       /* height, width, the limit of scans for so many pixels, and for any image */
    FI_E_MISSING,    /* height, width, bytes of coefficients, the limit */
    FI_E_CROP,       /* height, width of the upright image           */
    FI_E_SIDE,       /* height, width it would be resized to         */
    FI_E_SHAPE,      /* height, width of the array; of the image     */
    FI_E_SIZE,       /* height, width expected; of the upright image */
    FI_E_CANCELLED,  /* -                                            */
    FI_E_READER,     /* 1: no other image could be read, either; 1: this one could not be read */
    FI_E_INTERNAL,   /* -                                            */
} fi_status;

#define FI_TEXT_NBYTES 200 /* JMSG_LENGTH_MAX of libjpeg */
#define FI_HEAD_NBYTES 96  /* of a file that is not a JPEG, to tell what it is; two digits each fit into the text */

typedef struct fi_failure {
    fi_status status;
    int os_errno;
    int64_t detail[4];
    char text[FI_TEXT_NBYTES]; /* NUL-terminated */
} fi_failure;

/*
 * fi_status_name() returns the name of a status without its prefix: "TRUNCATED" for FI_E_TRUNCATED. The string is
 * constant.
 */
const char *fi_status_name(fi_status status);

/* fi_failure_free() frees a failure that the core has allocated (fi_job.failure). NULL is allowed. */
void fi_failure_free(fi_failure *failure);

/* ---- sources --------------------------------------------------------------------------------------------------- */

#define FI_WHOLE_FILE UINT64_MAX

/* A file (path), a range of one (path, offset, size), memory (data, size; path is NULL), or what the caller reads. */
typedef struct fi_source {
    const char *path; /* NUL-terminated bytes, in the system's encoding */
    const uint8_t *data;
    uint64_t offset;
    uint64_t size;  /* FI_WHOLE_FILE: the whole file, and offset is 0; by_caller: not known */
    bool by_caller; /* only a reader thread of the caller's can read it, see fi_readers_run() */
    bool alone;     /* by_caller: no other source like this one may be read at the same time */
    bool may_change; /* memory that another thread may write to: copied as far as it is read, like a file */
} fi_source;

/* ---- headers --------------------------------------------------------------------------------------------------- */

typedef enum fi_color { FI_GRAYSCALE, FI_YCBCR, FI_RGB, FI_CMYK, FI_YCCK, FI_UNKNOWN } fi_color;

/* What comes before the first scan. width and height are those of the file, before any orientation. */
typedef struct fi_header {
    uint64_t nbytes; /* of the whole source */
    uint32_t width, height;
    fi_color color;
    uint16_t restart_interval; /* in MCUs; 0 if there is none */
    uint16_t tables;           /* defined before the first scan: bits 0 to 3 DC, 4 to 7 AC, 8 to 11 quantisation */
    uint8_t components;
    uint8_t precision;   /* bits per sample */
    uint8_t sof;         /* n of SOFn: 0 baseline, 1 extended, 2 progressive, 3 lossless, 9.. arithmetic */
    uint8_t orientation; /* from Exif or else XMP, 1 to 8 */
    uint8_t h_samp[4], v_samp[4];
} fi_header;

/* ---- options --------------------------------------------------------------------------------------------------- */

typedef enum fi_mode { FI_MODE_RGB, FI_MODE_BGR, FI_MODE_L } fi_mode;
typedef enum fi_layout { FI_CHW, FI_HWC } fi_layout;
typedef enum fi_dtype { FI_UINT8, FI_FLOAT32, FI_FLOAT16, FI_BFLOAT16 } fi_dtype;

/* How an image meets an output of another shape: distorted; cropped to it, centred; whole and centred, padded. */
typedef enum fi_fit { FI_STRETCH, FI_COVER, FI_CONTAIN } fi_fit;

/* Pillow's filters. All of them are antialiasing: they widen as the image is reduced. */
typedef enum fi_filter { FI_BILINEAR, FI_BOX, FI_HAMMING, FI_BICUBIC, FI_LANCZOS } fi_filter;

#define FI_MAX_SIDE (1u << 20) /* of an output size */

typedef struct fi_options {
    fi_mode mode;
    fi_layout layout;
    fi_dtype dtype;
    fi_fit fit;
    fi_filter resample;
    uint32_t height, width;             /* resize to these, 1 to FI_MAX_SIDE; both 0: see the next two */
    uint32_t shorter, longer;           /* resize until this side has so many pixels; 0: not, and one of them is 0 */
    uint32_t center_height, center_width; /* at last cut this from the centre, or pad it; both 0: all of it */
    double reducing_gap;    /* the inverse DCT may reduce while the image stays this many times larger; 0: never */
    uint8_t pad[3];         /* the pixel value around the image, per output channel */
    bool orient;
    bool strict;              /* lost data is a failure */
    bool any_coefficients;    /* even those that no 8-bit image has; for fi_init() */
    bool use_libjpeg_entropy; /* leave all but reduced inverse DCTs to libjpeg; the pixels are the same */
    uint32_t max_scans;
    uint32_t free_scans;  /* so many are fine whatever the size */
    uint64_t max_scanned; /* pixels times scans, if these are more; 0: no limit */
    uint64_t max_missing; /* not strict: bytes for coefficients, if the source cannot contain them all; 0: no limit */
    uint64_t max_pixels;
    /*
     * For floats: value v of output channel c becomes (v / 255 - mean[c]) / std[c], rounded to float32 after each
     * step and to the dtype at the end. table[c][v] is that result, in four or two bytes as the dtype has.
     */
    float mean[3], std[3];
    union {
        float f32[3][256];
        uint16_t u16[3][256];
    } table;
} fi_options;

/*
 * A box in upright pixels. height 0: the whole image. Pixels that lie outside of it have no influence; those on its edge
 * count as a whole where its sides are no whole numbers, which they must be if nothing is resized.
 */
typedef struct fi_crop {
    double top, left, height, width;
} fi_crop;

/* ---- plan ------------------------------------------------------------------------------------------------------ */

/*
 * The way from a stored image to the output. Source measures are in the file's own pixels.
 *
 * The window is all that is looked at. It becomes `rows` x `cols` pixels: the window itself or, if `resize`, the box
 * inside of it, resampled. Pixel (y, x) of these goes to (y, x) of the destination, or to (x, y) if transposed, and is
 * then mirrored in the destination's coordinates. The destination is a part of the output, and padding surrounds it.
 */
typedef struct fi_plan {
    uint32_t out_height, out_width;
    uint32_t dest_top, dest_left, dest_height, dest_width;
    bool transpose, mirror_x, mirror_y;
    uint32_t rows, cols;
    uint32_t top, left, height, width; /* the window */
    bool resize;
    uint32_t scale_denom; /* 1, 2, 4 or 8: the inverse DCT gives an image this many times smaller */
    double box_top, box_left, box_height, box_width;
    bool reversed_y, reversed_x; /* the file's rows, columns run against those of the upright image */
    fi_crop upright;             /* the box in upright pixels */
    bool flip;
} fi_plan;

/*
 * fi_plan_make() plans how an image with this header becomes an output, without touching any pixel. Afterwards
 * plan->out_height and out_width are the size that the output array must have. It fails with FI_E_CROP, and *plan is
 * left as it was, if the crop does not lie inside the upright image, and with FI_E_SIDE if the output would be too large.
 */
fi_status fi_plan_make(fi_plan *plan, const fi_header *header, const fi_options *options, const fi_crop *crop,
                       bool flip, fi_failure *failure);

/*
 * fi_plan_geometry() stores the matrix that takes the centre of an output pixel, (x, y, 1), to (x, y) in the upright
 * image. Centres of pixels are whole numbers in both, from 0 on.
 */
void fi_plan_geometry(const fi_plan *plan, double matrix[2][3]);

/* ---- output ---------------------------------------------------------------------------------------------------- */

/* The type of an output array's elements. */
typedef struct fi_element {
    const char *name; /* NumPy's, or ml_dtypes' */
    char format;      /* the buffer protocol's, in native byte order */
    size_t nbytes;
} fi_element;

/*
 * fi_element_of() returns the element type of a dtype, which is constant. Everything that depends on the dtype is in
 * one table, in pixels/element.c.
 */
const fi_element *fi_element_of(fi_dtype dtype);

/*
 * An output array. A plane has `height` rows of `width` pixels. If data is NULL, images are decoded as far as they
 * would be otherwise, and no pixel is kept.
 */
typedef struct fi_output {
    uint8_t *data;
    ptrdiff_t plane_stride; /* FI_CHW only */
    ptrdiff_t row_stride;
    uint32_t height, width;
} fi_output;

/*
 * fi_output_pad() writes options->pad to the part of the output that is outside the plan's destination. `out` has the
 * plan's out_height and out_width. Does nothing if out->data is NULL.
 */
void fi_output_pad(const fi_output *out, const fi_plan *plan, const fi_options *options);

/* fi_output_clear() sets all pixels of the output to zero bytes. Does nothing if out->data is NULL. */
void fi_output_clear(const fi_output *out, const fi_options *options);

/* fi_channels() returns the number of channels of an output array: 3, or 1 for FI_MODE_L. */
static inline unsigned fi_channels(const fi_options *options) {
    return options->mode == FI_MODE_L ? 1 : 3;
}

/* ---- one image ------------------------------------------------------------------------------------------------- */

/* What one thread needs to decode images, kept from one image to the next. */
typedef struct fi_decoder fi_decoder;

/*
 * fi_decoder_new() allocates a decoder. It returns NULL if there is no memory, or if the libjpeg that is loaded does
 * not have the interface that this was built for.
 */
fi_decoder *fi_decoder_new(void);

/* fi_decoder_free() frees a decoder and all that it owns. NULL is allowed. */
void fi_decoder_free(fi_decoder *decoder);

/*
 * fi_decoder_trim() frees the buffers that are larger than most images need, for a decoder that is put aside. The
 * source that was opened last is forgotten: call fi_open() before fi_decode().
 */
void fi_decoder_trim(fi_decoder *decoder);

/*
 * fi_open() reads a source and parses its header. A file is read as far as its image may reach, into a buffer of the
 * decoder, and so is memory that may change. Other memory is not copied: it must stay as it is until the last fi_decode()
 * of this source has returned. An image of more than max_pixels pixels, or one that the core does not decode, is refused
 * as soon as its header has been read. After a failure nothing is open.
 */
fi_status fi_open(fi_decoder *decoder, const fi_source *source, uint64_t max_pixels, fi_failure *failure);

/*
 * Pixels that another library has decoded, as the file has them: height x width of one byte (grey) or three (R, G, B).
 * The orientation is what they still need, 1 to 8.
 */
typedef struct fi_pixels {
    const uint8_t *data;
    size_t stride;
    uint32_t height, width; /* 1 to FI_MAX_SIDE */
    uint8_t channels;       /* 1 or 3 */
    uint8_t orientation;
} fi_pixels;

/*
 * fi_open_pixels() opens pixels in place of a source: fi_decode() takes them through the same steps. They are not copied,
 * as memory that does not change is not by fi_open(). It fails with FI_E_TOO_LARGE or FI_E_NO_PIXELS.
 */
fi_status fi_open_pixels(fi_decoder *decoder, const fi_pixels *pixels, uint64_t max_pixels, fi_failure *failure);

/*
 * fi_is_other() returns whether a failure says that the image is none that the core decodes, so that another library may:
 * no JPEG, or one of another kind.
 */
bool fi_is_other(fi_status status);

/* fi_decoder_header() returns the header of the open source. It is valid until the next fi_open(). */
const fi_header *fi_decoder_header(const fi_decoder *decoder);

/*
 * fi_decode() decodes the open source into `out`, with padding around it if the options ask for that. The height and
 * width of `out` must be those that fi_plan_make() gives for the same arguments: it fails with FI_E_SHAPE otherwise,
 * and nothing has been written then. May be called more than once per source.
 */
fi_status fi_decode(fi_decoder *decoder, const fi_options *options, const fi_crop *crop, bool flip,
                    const fi_output *out, fi_failure *failure);

/* One of several views of an image: what fi_decode() takes for it. */
typedef struct fi_view {
    const fi_options *options;
    fi_crop crop;
    bool flip;
    fi_output out;
} fi_view;

/*
 * fi_decode_views() decodes the open source into several outputs, of which there is at least one. The options of all
 * views must have the same mode, orient, strict, any_coefficients, use_libjpeg_entropy and limits. Fails as fi_decode()
 * does, and nothing has been written if it fails with FI_E_CROP or FI_E_SHAPE.
 *
 * All views that are resampled come of one pass over the image, in which the inverse DCT reduces only as far as each of
 * them allows. So one that would be reduced further by fi_decode() is nearer to the exact image here, and with
 * reducing_gap 0 pixels are the same. In strict mode they fail as the one of them that reaches furthest down does by
 * itself. A view that is only cut out takes a pass of its own, and fails the others, too.
 */
fi_status fi_decode_views(fi_decoder *decoder, const fi_view *views, size_t count, fi_failure *failure);

/* fi_decoder_view_geometry() is fi_decoder_geometry() for view i of the last fi_decode_views(). */
void fi_decoder_view_geometry(const fi_decoder *decoder, size_t i, double matrix[2][3]);

/* Whether what is being decoded is to end. */
typedef struct fi_watch {
    bool (*stop)(void *context); /* NULL: never */
    void *context;
} fi_watch;

/*
 * fi_decoder_watch() makes the decodes from now on ask watch.stop(watch.context) at each row of MCUs of any scan, and fail
 * with FI_E_CANCELLED once it returns true. It is asked in the thread that decodes, and must not use the decoder. The
 * function returns what was asked before. Batches ask it for each of their images, and are cancelled once it returns true.
 */
fi_watch fi_decoder_watch(fi_decoder *decoder, fi_watch watch);

/*
 * fi_decoder_warnings() returns the warnings of the last fi_decode() that cost no pixels, one per line and at most one
 * of a kind; "" if there were none. The string is valid until the decoder's next fi_decode().
 */
const char *fi_decoder_warnings(const fi_decoder *decoder);

/*
 * fi_decoder_warning_count() returns how many warnings libjpeg counted in the last fi_decode(), including those that
 * cost pixels.
 */
long fi_decoder_warning_count(const fi_decoder *decoder);

/* fi_decoder_geometry() is fi_plan_geometry() for the last fi_decode(). */
void fi_decoder_geometry(const fi_decoder *decoder, double matrix[2][3]);

/*
 * fi_decoder_fell_back() returns whether the last fi_decode() had to begin again, because the core's own stages came
 * upon something unusual and left the image to libjpeg's.
 */
bool fi_decoder_fell_back(const fi_decoder *decoder);

/*
 * fi_read_header() reads the front of a source until its header is parsed, into *header. It fails where fi_open()
 * would, but with max_pixels 0 not for what is only too large or of a kind that is not decoded. The decoder's buffer is
 * used for this: call fi_open() again before fi_decode().
 */
fi_status fi_read_header(fi_decoder *decoder, const fi_source *source, uint64_t max_pixels, fi_header *header,
                         fi_failure *failure);

#include "fi_library.h"

#endif
