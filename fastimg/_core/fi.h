/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fi.h - the manual of fastimg's core: JPEG files into arrays that the caller owns.
 *
 * Data runs one way:
 *
 *   source.c -> header.c -> plan.c -> session.c (libjpeg-turbo) -> resize.c -> pixels.c -> the caller's array
 *
 * Rules that hold for every function here:
 *
 * - Ownership. Nothing in the core keeps a pointer of the caller's after it has returned. A worker owns its own
 *   buffers and its libjpeg state; failures are allocated by the core and freed with fi_failure_free().
 * - Threads. A worker belongs to one thread at a time; any number of workers may run at once, also on one batch.
 *   There is no mutable global state once fi_init() has returned. No function needs Python or its lock.
 * - Failure. A function that can fail returns a fi_status and fills a fi_failure; words are made by the caller.
 *   Nothing is ever printed and the process is never ended. After a failure the output array holds any mixture of
 *   old bytes and new pixels, unless the function says otherwise.
 * - Units. Sizes and strides are bytes (`nbytes`, `stride`), image measures are pixels, order is height, width.
 *   Strides are signed: an array may be upside down.
 * - Shapes. A planar array is (C, H, W), an interleaved one (H, W, C), C is 3, or 1 for FI_MODE_L. The pixels of one
 *   row of a plane (planar) or of one row (interleaved) are contiguous; planes and rows may lie anywhere.
 */
#ifndef FI_H
#define FI_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- status ---------------------------------------------------------------------------------------------------- */

/* What the numbers in fi_failure.detail mean stands behind each. */
typedef enum fi_status {
    FI_OK = 0,
    FI_E_NOMEM,      /* -                                            */
    FI_E_OS,         /* os_errno is set                              */
    FI_E_NOT_FILE,   /* st_mode: not a regular file                  */
    FI_E_RANGE,      /* offset, size, size of the file               */
    FI_E_EMPTY,      /* -                                            */
    FI_E_NOT_JPEG,   /* first bytes, big-endian; how many there are  */
    FI_E_CUT_HEADER, /* bytes found                                  */
    FI_E_NO_IMAGE,   /* offset of the marker; the marker             */
    FI_E_NO_PIXELS,  /* height, width                                */
    FI_E_TOO_LARGE,  /* height, width, limit                         */
    FI_E_PRECISION,  /* bits a sample                                */
    FI_E_PROCESS,    /* number n of the SOFn marker                  */
    FI_E_COMPONENTS, /* components                                   */
    FI_E_COLOR,      /* components                                   */
    FI_E_TRUNCATED,  /* row reached, height                          */
    FI_E_CORRUPT,    /* row reached, height; `text` is libjpeg's     */
    FI_E_UNSUPPORTED,/* `text` is libjpeg's                          */
    FI_E_SCANS,      /* the limit                                    */
    FI_E_CROP,       /* height, width of the upright image           */
    FI_E_SHAPE,      /* expected height, width; found height, width  */
    FI_E_INTERNAL,   /* -                                            */
} fi_status;

#define FI_TEXT_NBYTES 200 /* JMSG_LENGTH_MAX of libjpeg */

typedef struct fi_failure {
    fi_status status;
    int os_errno;
    int64_t detail[4];
    char text[FI_TEXT_NBYTES]; /* NUL-terminated */
} fi_failure;

const char *fi_status_name(fi_status status); /* "TRUNCATED" for FI_E_TRUNCATED */
void fi_failure_free(fi_failure *failure); /* NULL is allowed */

/* ---- sources --------------------------------------------------------------------------------------------------- */

#define FI_WHOLE_FILE UINT64_MAX

/* A file (path), a range of one (path, offset, size), or memory (data, size; path is NULL). */
typedef struct fi_source {
    const char *path; /* NUL-terminated bytes as the system gives them */
    const uint8_t *data;
    uint64_t offset;
    uint64_t size; /* FI_WHOLE_FILE: all of the file, offset is 0 */
} fi_source;

/* ---- headers --------------------------------------------------------------------------------------------------- */

typedef enum fi_color { FI_GRAYSCALE, FI_YCBCR, FI_RGB, FI_CMYK, FI_YCCK, FI_UNKNOWN } fi_color;

/* What stands before the first scan. width and height are those of the file, before any orientation. */
typedef struct fi_header {
    uint64_t nbytes; /* of the whole source */
    uint32_t width, height;
    fi_color color;
    uint16_t restart_interval; /* MCUs, 0: none */
    uint16_t tables;           /* defined before the first scan: bits 0 to 3 DC, 4 to 7 AC, 8 to 11 quantisation */
    uint8_t components;
    uint8_t precision;   /* bits a sample */
    uint8_t sof;         /* n of SOFn: 0 baseline, 1 extended, 2 progressive, 3 lossless, 9.. arithmetic */
    uint8_t orientation; /* EXIF's, 1 to 8 */
    uint8_t h_samp[4], v_samp[4];
} fi_header;

/* ---- options --------------------------------------------------------------------------------------------------- */

typedef enum fi_mode { FI_MODE_RGB, FI_MODE_BGR, FI_MODE_L } fi_mode;
typedef enum fi_layout { FI_CHW, FI_HWC } fi_layout;
typedef enum fi_dtype { FI_UINT8, FI_FLOAT32, FI_FLOAT16 } fi_dtype;

/* How an image meets an output of another shape: distorted; cut to it, centred; whole, centred, padding around it. */
typedef enum fi_fit { FI_STRETCH, FI_COVER, FI_CONTAIN } fi_fit;

/* Pillow's filters; all of them average over as many pixels as become one. */
typedef enum fi_filter { FI_BILINEAR, FI_BOX, FI_HAMMING, FI_BICUBIC, FI_LANCZOS } fi_filter;

#define FI_MOST_SIDE (1u << 20) /* of an output that is asked for by its size */

typedef struct fi_options {
    fi_mode mode;
    fi_layout layout;
    fi_dtype dtype;
    fi_fit fit;
    fi_filter resample;
    uint32_t height, width; /* of the output, 1 to FI_MOST_SIDE; both 0: what the crop has */
    /* The inverse DCT may reduce while the image stays this many times larger than the result, 1 or more; 0: never. */
    double reducing_gap;
    uint8_t pad[3]; /* with FI_CONTAIN: the value of each output channel around the image, before any look-up */
    bool orient;
    bool strict; /* lost data is a failure */
    bool stock; /* only libjpeg's own entropy stage; the pixels are the same */
    uint32_t max_scans;
    uint64_t max_pixels;
    /*
     * With floats, value v of output channel c becomes (v / 255 - mean[c]) / std[c], in 32 bits with a rounding a step, and
     * then of the dtype: that is table[c][v]. Two or four bytes an entry.
     */
    float mean[3], std[3];
    union {
        float f32[3][256];
        uint16_t f16[3][256];
    } table;
} fi_options;

/* A box in upright pixels; height 0: the whole image. */
typedef struct fi_crop {
    int64_t top, left, height, width;
} fi_crop;

/* ---- plan ------------------------------------------------------------------------------------------------------ */

/*
 * From a stored image to the output. Source measures are the file's own pixels. The window is all that is looked at. What
 * becomes of it has `rows` x `cols` pixels: itself, or if `resize`, the box (inside of the window) resampled. Its pixel
 * (y, x) lands in the place at (y, x), or at (x, y) if transposed, and is then mirrored in the place's coordinates. The
 * place is a part of the output; around it is padding.
 */
typedef struct fi_plan {
    uint32_t out_height, out_width;
    uint32_t place_top, place_left, place_height, place_width;
    bool transpose, mirror_x, mirror_y;
    uint32_t rows, cols;
    uint32_t top, left, height, width;
    bool resize;
    uint32_t reduce; /* 1, 2, 4 or 8: the inverse DCT gives an image this many times smaller */
    double box_top, box_left, box_height, box_width;
    bool reversed_y, reversed_x; /* the file's rows, columns run against those of the upright image */
} fi_plan;

/* Arithmetic only. FI_E_CROP, or FI_OK. */
fi_status fi_plan_make(fi_plan *plan, const fi_header *header, const fi_options *options, const fi_crop *crop,
                       bool flip, fi_failure *failure);

/* ---- output ---------------------------------------------------------------------------------------------------- */

/* data needs height rows of width pixels a plane; data NULL: decode everything, keep nothing. */
typedef struct fi_output {
    uint8_t *data;
    ptrdiff_t plane_stride; /* FI_CHW only */
    ptrdiff_t row_stride;
    uint32_t height, width;
} fi_output;

/* What is outside of the plan's place, if anything, becomes padding. */
void fi_output_pad(const fi_output *out, const fi_plan *plan, const fi_options *options);

/* All pixels to zero bytes. */
void fi_output_clear(const fi_output *out, const fi_options *options);

static inline unsigned fi_channels(const fi_options *options) {
    return options->mode == FI_MODE_L ? 1 : 3;
}

static inline size_t fi_item_nbytes(const fi_options *options) {
    return options->dtype == FI_UINT8 ? 1 : options->dtype == FI_FLOAT32 ? 4 : 2;
}

/* ---- one image ------------------------------------------------------------------------------------------------- */

typedef struct fi_worker fi_worker;

fi_worker *fi_worker_new(void); /* NULL: no memory */
void fi_worker_free(fi_worker *worker);
void fi_worker_trim(fi_worker *worker); /* gives back buffers that are larger than most images need */

/* Reads the source whole into the worker (memory is only pointed to, and must live until fi_decode has returned). */
fi_status fi_open(fi_worker *worker, const fi_source *source, uint64_t max_pixels, fi_failure *failure);

/* The header of what was opened last. */
const fi_header *fi_worker_header(const fi_worker *worker);

/* Decodes what was opened last into `out`, whose height and width must be those of the plan (else FI_E_SHAPE). */
fi_status fi_decode(fi_worker *worker, const fi_options *options, const fi_crop *crop, bool flip, const fi_output *out,
                    fi_failure *failure);

/* Warnings of the last fi_decode that cost no pixels, a line each; valid until the worker's next call. */
const char *fi_worker_notes(const fi_worker *worker);

/* Whether the last fi_decode was done twice, as the core's own stage had to leave the image to libjpeg's. */
bool fi_worker_gave_up(const fi_worker *worker);

/* How many warnings libjpeg counted in the last fi_decode, those that cost pixels included. */
long fi_worker_warnings(const fi_worker *worker);

/* The header alone; reads no more of a file than its head. max_pixels 0: also of files that could not be decoded. */
fi_status fi_read_header(fi_worker *worker, const fi_source *source, uint64_t max_pixels, fi_header *header,
                         fi_failure *failure);

/* ---- many images ----------------------------------------------------------------------------------------------- */

typedef struct fi_job {
    fi_source source;
    fi_output out;
    fi_crop crop;
    bool flip;
    fi_failure *failure; /* NULL: none, or not run; else owned by the batch's owner */
} fi_job;

typedef struct fi_batch {
    const fi_options *options;
    fi_job *jobs;
    fi_header *headers; /* not NULL: only read headers, one a job, into here */
    size_t count;
    bool stop_on_failure; /* true: a failure stops the batch; false: it zeroes the image */
    atomic_size_t next; /* the job to claim; count or more: none is left */
    atomic_size_t done;
    atomic_bool out_of_memory; /* stopped for want of a fi_failure */
} fi_batch;

/*
 * Claims and runs jobs until none is left, or until budget_ns have passed (0: no limit). Call it from as many threads
 * as there are workers. Jobs are claimed in order, so when a batch has stopped on a failure, every job before the
 * failed one has run: the lowest failed index is the same at any number of threads.
 */
void fi_batch_run(fi_batch *batch, fi_worker *worker, int64_t budget_ns);

/* From any thread: no further job is claimed. */
void fi_batch_cancel(fi_batch *batch);

/* ---- the library ----------------------------------------------------------------------------------------------- */

/* Once, before anything else: chooses the kernels. plain: the C reference for all of them. */
void fi_init(bool plain);

/*
 * After fi_init: whether the libjpeg that is loaded is laid out as the core believes. If not, use `stock`; the core's own
 * inverse DCTs are not used either then.
 */
bool fi_layout_known(void);

/* The same for its inverse DCT: whether the core's own gives the same samples, also of numbers that overflow. */
bool fi_islow_known(void);

const char *fi_kernels_name(void); /* "avx2", "neon", "c" */
const char *fi_libjpeg_version(void); /* of the headers this was built with, "2.1.5" */

#endif
