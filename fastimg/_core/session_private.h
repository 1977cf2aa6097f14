/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files that talk to libjpeg share: session.c (life, decoding), exact.c and resized.c (the two routes its rows
 * take), messages.c (errors, warnings), stage.c (what is put in the place of libjpeg's own), blocks.c (rows of MCUs).
 */
#ifndef FI_SESSION_PRIVATE_H
#define FI_SESSION_PRIVATE_H

#include "blocks.h"
#include "entropy.h"
#include "idct.h"
#include "pixels.h"
#include "session.h"
#include "weights.h"

#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

#if !defined(LIBJPEG_TURBO_VERSION_NUMBER) || LIBJPEG_TURBO_VERSION_NUMBER < 2001000
#error                                                                                                                 \
    "fastimg needs libjpeg-turbo 2.1 or newer (Debian: libjpeg62-turbo-dev, Fedora: libjpeg-turbo-devel, Homebrew: jpeg-turbo)"
#endif

#if JPEG_LIB_VERSION >= 70
#define FI_DCT_SIZE(component) ((component)->DCT_h_scaled_size)
#else
#define FI_DCT_SIZE(component) ((component)->DCT_scaled_size)
#endif

#define MOST_NOTES 8

/* Where the rows of Y, Cb and Cr go that libjpeg would convert. */
typedef struct fi_conversion {
    fi_store *store;
    uint32_t row; /* the next one, of the file's */
} fi_conversion;

/* A component that the inverse DCT reduces. */
typedef struct fi_raw_plane {
    uint32_t height, width; /* before that */
    uint32_t whole_rows, whole_columns; /* samples made of pixels of the image alone; at size 1, as many as there are */
    JSAMPARRAY rows; /* where its samples go */
    uint32_t first; /* rows[0] is this row of them */
    fi_idct *reduce;
    const uint16_t *quantisation;
    fi_inverse_dct *all_pixels; /* libjpeg's own */
} fi_raw_plane;

/*
 * setjmp is called in session.c alone, by functions that hold nothing to clean up and change no local afterwards:
 * whatever is written on the way lives in here, on the heap.
 */
struct fi_session {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    fi_failure *failure;
    fi_entropy *entropy;
    fi_blocks *blocks;
    fi_banks *banks;
    uint32_t max_scans;
    bool strict;
    bool hit_end; /* libjpeg asked for more bytes than there are */
    bool scanning; /* the header is read */
    bool stock; /* libjpeg's own entropy stage has to do it */
    bool gave_up; /* ours has, of this image */
    bool multiple_scans;
    uint64_t mcus_to_go; /* of a progressive scan */
    bool scan_left; /* to libjpeg, of a progressive file, though it was large enough: all others are, too */
    fi_raw_plane raw[3];
    fi_conversion conversion;
    void (*start_input_pass)(j_decompress_ptr cinfo); /* libjpeg's own */
    void (*start_entropy_pass)(j_decompress_ptr cinfo);
    int note_codes[MOST_NOTES];
    size_t note_count, notes_nbytes;
    char notes[MOST_NOTES * FI_TEXT_NBYTES];
};

/* One call's parameters: constant, so that setjmp cannot spoil them. */
typedef struct fi_request {
    const uint8_t *data;
    size_t nbytes;
    const fi_header *header;
    const fi_plan *plan;
    const fi_options *options;
    const fi_output *out;
    fi_buffer *scratch;
} fi_request;

static inline bool fi_is_four_channel(const struct jpeg_decompress_struct *cinfo) {
    return cinfo->jpeg_color_space == JCS_CMYK || cinfo->jpeg_color_space == JCS_YCCK;
}

/*
 * The two routes: libjpeg's pixels as they are, or its planes resampled. Each chooses what libjpeg delivers, after the
 * header has been read, and takes it to the output, after jpeg_start_decompress().
 */
void fi_exact_choose(fi_session *session, const fi_request *req);
void fi_exact_read(fi_session *session, const fi_request *req);
void fi_exact_convert(fi_session *session, const uint8_t *const ycc[3]); /* the next row */
void fi_resized_choose(fi_session *session, const fi_request *req);
void fi_resized_read(fi_session *session, const fi_request *req);

/* Ends the decoding under way: back to where session.c called setjmp. */
_Noreturn void fi_session_escape(fi_session *session, fi_status status);
/* The same, with how far the data got, in rows of the image, and in which scan (0: the file has one). */
_Noreturn void fi_session_escape_here(fi_session *session, fi_status status);

/* Before jpeg_create_decompress: libjpeg's errors become failures, its warnings notes, nothing is printed. */
void fi_session_set_messages(fi_session *session);

/* After jpeg_create_decompress: our own entropy stage is used wherever it can be. */
void fi_session_set_stage(fi_session *session);

/*
 * The three below have an effect after jpeg_start_decompress.
 *
 * libjpeg's rows of Y, Cb and Cr are not converted, but given to fi_exact_convert(); what jpeg_read_scanlines() is to write to
 * is left as it is.
 */
void fi_session_convert(fi_session *session);

/*
 * The samples of components 0 to count - 1 that are reduced are made by idct.c. raw[c].height, .width and .rows have to be
 * set before, and raw[c].first whenever it changes.
 */
void fi_session_reduce(fi_session *session, unsigned count);

/*
 * Whether the blocks of a component that come next have to become samples, and whether the image ends in them. Those that
 * need not are skipped as cheaply as can be.
 */
void fi_session_need(fi_session *session, int component, bool needed, bool at_bottom);

#endif
