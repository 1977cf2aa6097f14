/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_private.h"

#include "pixels.h"

#include <stdlib.h>

/* ---- libjpeg's source ------------------------------------------------------------------------------------------ */

static void source_nothing(j_decompress_ptr cinfo) {
    (void)cinfo;
}

/* Behind the data's end stand end markers, without end: libjpeg completes the image and warns if bits are missing. */
static boolean source_fill(j_decompress_ptr cinfo) {
    static const JOCTET end_marker[2] = {0xFF, JPEG_EOI};
    fi_session *session = cinfo->client_data;

    session->hit_end = true;
    WARNMS(cinfo, JWRN_JPEG_EOF);
    session->source.next_input_byte = end_marker;
    session->source.bytes_in_buffer = sizeof end_marker;
    return TRUE;
}

static void source_skip(j_decompress_ptr cinfo, long nbytes) {
    struct jpeg_source_mgr *source = cinfo->src;

    if (nbytes <= 0) return;
    if ((size_t)nbytes > source->bytes_in_buffer) nbytes = (long)source->bytes_in_buffer;
    source->next_input_byte += nbytes;
    source->bytes_in_buffer -= (size_t)nbytes;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static void set_up(fi_session *session) {
    jpeg_create_decompress(&session->cinfo); /* clears all but err and client_data */
    session->cinfo.src = &session->source;
    session->cinfo.progress = &session->progress;
    fi_session_set_stage(session);
}

static bool try_set_up(fi_session *session) {
    if (setjmp(session->escape)) return false;
    set_up(session);
    return true;
}

fi_session *fi_session_new(void) {
    fi_session *session = calloc(1, sizeof *session);
    fi_failure failure = {0};

    if (!session) return NULL;
    fi_session_set_messages(session);
    session->failure = &failure;
    if (!try_set_up(session)) {
        fi_session_free(session);
        return NULL;
    }
    session->source = (struct jpeg_source_mgr){
        .init_source = source_nothing,
        .fill_input_buffer = source_fill,
        .skip_input_data = source_skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = source_nothing,
    };
    session->failure = NULL;
    session->entropy = fi_entropy_new();
    if (session->entropy) return session;
    fi_session_free(session);
    return NULL;
}

void fi_session_free(fi_session *session) {
    if (!session) return;
    jpeg_destroy_decompress(&session->cinfo);
    fi_entropy_free(session->entropy);
    free(session);
}

const char *fi_session_notes(const fi_session *session) {
    return session->notes;
}

const char *fi_libjpeg_version(void) {
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
    return TEXT(LIBJPEG_TURBO_VERSION);
}

/*
 * Tables outlive an image in libjpeg. A file that leaves one out must not find the last file's, and the memory of a table
 * that is taken away is not given back before the end: when a table is left over, the decompressor is made anew.
 */
static bool has_leftover_tables(const fi_session *session, unsigned defined) {
    const struct jpeg_decompress_struct *cinfo = &session->cinfo;
    unsigned tables = 0;
    for (int i = 0; i < NUM_HUFF_TBLS; i++) {
        if (cinfo->dc_huff_tbl_ptrs[i]) tables |= 1u << i;
        if (cinfo->ac_huff_tbl_ptrs[i]) tables |= 1u << (4 + i);
        if (cinfo->quant_tbl_ptrs[i]) tables |= 1u << (8 + i);
    }
    return tables & ~defined;
}

/* ---- decoding -------------------------------------------------------------------------------------------------- */

/* One call's parameters: constant, so that setjmp cannot spoil them. */
typedef struct {
    const uint8_t *data;
    size_t nbytes;
    const fi_header *header;
    const fi_plan *plan;
    const fi_options *options;
    const fi_output *out;
    fi_buffer *scratch;
} request;

/*
 * Scans that are missing altogether are no warning to libjpeg, which shows what there is. When the data ended without
 * an end marker, they were cut off. (A file that ends properly and has few scans is somebody's preview.)
 */
static void check_scans(fi_session *session) {
    const j_decompress_ptr cinfo = &session->cinfo;
    bool whole = true;

    for (int c = 0; c < cinfo->num_components; c++) {
        if (!cinfo->comp_info[c].quant_table) whole = false; /* is taken over by a component's first scan */
        for (int k = 0; cinfo->coef_bits && k < DCTSIZE2; k++) {
            if (cinfo->coef_bits[c][k] != 0) whole = false; /* bits still to come, -1: all of them */
        }
    }
    if (whole) return;
    fi_session_escape_here(session, FI_E_TRUNCATED);
}

static bool is_four_channel(const j_decompress_ptr cinfo) {
    return cinfo->jpeg_color_space == JCS_CMYK || cinfo->jpeg_color_space == JCS_YCCK;
}

/* Chooses what libjpeg delivers; true: its rows are the output's rows. */
static bool choose_route(j_decompress_ptr cinfo, const request *req) {
    const fi_options *options = req->options;
    const fi_plan *plan = req->plan;
    const bool rows_are_output = req->out->data && options->dtype == FI_UINT8 && !plan->transpose && !plan->mirror_x &&
                                 plan->width == cinfo->image_width &&
                                 (options->layout == FI_HWC || options->mode == FI_MODE_L);

    if (is_four_channel(cinfo)) {
        cinfo->out_color_space = JCS_CMYK;
        return false;
    }
    if (options->mode == FI_MODE_L || (cinfo->jpeg_color_space == JCS_GRAYSCALE && !rows_are_output)) {
        cinfo->out_color_space = JCS_GRAYSCALE;
    } else {
        cinfo->out_color_space = rows_are_output && options->mode == FI_MODE_BGR ? JCS_EXT_BGR : JCS_EXT_RGB;
    }
    return rows_are_output;
}

static void drop_rows(j_decompress_ptr cinfo, uint8_t *row, uint32_t end) {
    JSAMPROW rows[1] = {row};
    while (cinfo->output_scanline < end) jpeg_read_scanlines(cinfo, rows, 1);
}

static void read_into_output(j_decompress_ptr cinfo, const request *req) {
    const uint32_t top = req->plan->top, end = top + req->plan->height;
    JSAMPROW rows[16];

    while (cinfo->output_scanline < end) {
        const uint32_t y = cinfo->output_scanline - top;
        uint32_t n = end - cinfo->output_scanline;
        if (n > 16) n = 16;
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t at = req->plan->mirror_y ? req->plan->height - 1 - (y + i) : y + i;
            rows[i] = req->out->data + (ptrdiff_t)at * req->out->row_stride;
        }
        jpeg_read_scanlines(cinfo, rows, n);
    }
}

static void read_through_store(j_decompress_ptr cinfo, const request *req, uint8_t *strip, uint8_t *scratch) {
    const fi_plan *plan = req->plan;
    const uint32_t end = plan->top + plan->height, strip_rows = fi_strip_rows(plan);
    const bool four = is_four_channel(cinfo), luma = req->options->mode == FI_MODE_L;
    const unsigned in = (unsigned)cinfo->output_components, channels = four ? (luma ? 1 : 3) : in;
    const size_t stride = (size_t)cinfo->output_width * in;
    fi_store store;

    fi_store_init(&store, plan, req->options, req->out, fi_kernels_active(), channels, scratch);
    while (cinfo->output_scanline < end) {
        uint32_t rows = end - cinfo->output_scanline;
        if (rows > strip_rows) rows = strip_rows;
        for (uint32_t got = 0; got < rows;) {
            JSAMPROW pointers[4];
            const uint32_t n = rows - got < 4 ? rows - got : 4; /* libjpeg gives at most a row group, 4 rows */
            for (uint32_t i = 0; i < n; i++) pointers[i] = strip + (got + i) * stride;
            got += jpeg_read_scanlines(cinfo, pointers, n);
        }
        uint8_t *window = strip + (size_t)plan->left * in;
        for (uint32_t i = 0; four && i < rows; i++) {
            uint8_t *row = window + i * stride;
            fi_cmyk_to_rgb(row, row, plan->width);
            if (luma) fi_rgb_to_luma(row, row, plan->width);
        }
        fi_store_rows(&store, window, stride, rows);
    }
}

static void decode_image(fi_session *session, const request *req) {
    const j_decompress_ptr cinfo = &session->cinfo;
    const fi_plan *plan = req->plan;

    if (has_leftover_tables(session, req->header->tables)) {
        jpeg_destroy_decompress(cinfo);
        set_up(session);
    }
    jpeg_read_header(cinfo, TRUE);
    if (cinfo->image_width != req->header->width || cinfo->image_height != req->header->height ||
        cinfo->num_components != req->header->components) {
        fi_session_escape(session, FI_E_INTERNAL); /* header.c and libjpeg disagree on what the file says */
    }
    if (cinfo->jpeg_color_space == JCS_UNKNOWN) {
        session->failure->detail[0] = cinfo->num_components;
        fi_session_escape(session, FI_E_COLOR);
    }
    session->multiple_scans = jpeg_has_multiple_scans(cinfo);
    session->scanning = true;
    const bool rows_are_output = choose_route(cinfo, req);
    cinfo->input_iMCU_row = 0; /* is the last image's until the scan has begun, and may be asked for before */
    jpeg_start_decompress(cinfo);
    if (session->strict && session->hit_end && session->multiple_scans) check_scans(session);

    const size_t strip_nbytes = (size_t)cinfo->output_width * (size_t)cinfo->output_components * fi_strip_rows(plan);
    if (!fi_buffer_reserve(req->scratch, strip_nbytes + fi_store_nbytes(plan), 0))
        fi_session_escape(session, FI_E_NOMEM);
    uint8_t *strip = req->scratch->data;
    drop_rows(cinfo, strip, plan->top);
    if (rows_are_output) read_into_output(cinfo, req);
    else read_through_store(cinfo, req, strip, strip + strip_nbytes);

    /* What stands between the last row and the end marker can still show that the file is broken. */
    if (cinfo->output_scanline == cinfo->output_height) jpeg_finish_decompress(cinfo);
}

static void try_decode(fi_session *session, const request *req) {
    session->again = false;
    session->hit_end = session->scanning = session->multiple_scans = false;
    session->note_count = session->notes_nbytes = 0;
    session->notes[0] = '\0';
    session->source.next_input_byte = req->data;
    session->source.bytes_in_buffer = req->nbytes;
    if (!setjmp(session->escape)) decode_image(session, req);
    jpeg_abort_decompress(&session->cinfo);
}

fi_status fi_session_decode(fi_session *session, const uint8_t *data, size_t nbytes, const fi_header *header,
                            const fi_plan *plan, const fi_options *options, const fi_output *out, fi_buffer *scratch,
                            fi_failure *failure) {
    const request req = {data, nbytes, header, plan, options, out, scratch};

    session->failure = failure;
    session->strict = options->strict;
    session->max_scans = options->max_scans;
    session->stock = options->stock;
    try_decode(session, &req);
    if (session->again) {
        session->stock = true;
        try_decode(session, &req);
    }
    return failure->status;
}
