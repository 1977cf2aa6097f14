/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_private.h"

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
    session->blocks = fi_blocks_new();
    session->banks = fi_banks_new();
    if (session->entropy && session->blocks && session->banks) return session;
    fi_session_free(session);
    return NULL;
}

void fi_session_free(fi_session *session) {
    if (!session) return;
    jpeg_destroy_decompress(&session->cinfo);
    fi_entropy_free(session->entropy);
    fi_blocks_free(session->blocks);
    fi_banks_free(session->banks);
    free(session);
}

void fi_session_trim(fi_session *session) {
    fi_banks_trim(session->banks);
    fi_entropy_trim(session->entropy);
}

const char *fi_session_notes(const fi_session *session) {
    return session->notes;
}

bool fi_session_gave_up(const fi_session *session) {
    return session->gave_up;
}

long fi_session_warnings(const fi_session *session) {
    return session->errors.num_warnings;
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

static void decode_image(fi_session *session, const fi_request *req) {
    const j_decompress_ptr cinfo = &session->cinfo;

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
    if (req->plan->resize) fi_resized_choose(session, req);
    else fi_exact_choose(session, req);
    cinfo->input_iMCU_row = 0; /* is the last image's until the scan has begun, and may be asked for before */
    jpeg_start_decompress(cinfo);
    if (session->strict && session->hit_end && session->multiple_scans) check_scans(session);
    if (req->plan->resize) fi_resized_read(session, req);
    else fi_exact_read(session, req);

    /* What stands between the last row and the end marker can still show that the file is broken. */
    if (cinfo->output_scanline >= cinfo->output_height) jpeg_finish_decompress(cinfo);
}

static void try_decode(fi_session *session, const fi_request *req) {
    session->hit_end = session->scanning = session->multiple_scans = session->scan_left = false;
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
    const fi_request req = {data, nbytes, header, plan, options, out, scratch};

    session->failure = failure;
    session->strict = options->strict;
    session->max_scans = options->max_scans;
    session->stock = options->stock;
    session->gave_up = false;
    try_decode(session, &req);
    if (session->gave_up) {
        session->stock = true;
        try_decode(session, &req);
    }
    return failure->status;
}
