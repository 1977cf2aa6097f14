/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/decompressor.h"

#include "jpeg/hooks.h"
#include "jpeg/state.h"
#include "jpeg/warnings.h"

#include <stdlib.h>

/* ---- libjpeg's source ------------------------------------------------------------------------------------------ */

static void source_nothing(j_decompress_ptr cinfo) {
    (void)cinfo;
}

/* Past the end of the data, feed EOI forever: libjpeg fills in the rest of the image and warns. */
static boolean source_fill(j_decompress_ptr cinfo) {
    static const JOCTET end_marker[2] = {0xFF, JPEG_EOI};
    fi_decompressor *jpeg = cinfo->client_data;

    jpeg->eof = true;
    WARNMS(cinfo, JWRN_JPEG_EOF);
    jpeg->source.next_input_byte = end_marker;
    jpeg->source.bytes_in_buffer = sizeof end_marker;
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

/* Out of memory leaves libjpeg's state half made, and fit for nothing but jpeg_destroy_decompress(). */
static void set_up(fi_decompressor *jpeg) {
    jpeg->is_set_up = false;
    jpeg_destroy_decompress(&jpeg->cinfo); /* does nothing the first time */
    jpeg_create_decompress(&jpeg->cinfo); /* clears all but err and client_data */
    jpeg->cinfo.src = &jpeg->source;
    jpeg->cinfo.progress = &jpeg->progress;
    fi_hooks_install(jpeg);
    jpeg->is_set_up = true;
}

static bool try_set_up(fi_decompressor *jpeg) {
    if (setjmp(jpeg->on_failure)) return false;
    set_up(jpeg);
    return true;
}

fi_decompressor *fi_decompressor_new(void) {
    fi_decompressor *jpeg = calloc(1, sizeof *jpeg);
    fi_failure failure = {0};

    if (!jpeg) return NULL;
    fi_warnings_install(jpeg);
    jpeg->failure = &failure;
    if (!try_set_up(jpeg)) {
        fi_decompressor_free(jpeg);
        return NULL;
    }
    jpeg->source = (struct jpeg_source_mgr){
        .init_source = source_nothing,
        .fill_input_buffer = source_fill,
        .skip_input_data = source_skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = source_nothing,
    };
    jpeg->failure = NULL;
    jpeg->entropy = fi_entropy_new();
    jpeg->mcu_rows = fi_mcu_rows_new();
    if (jpeg->entropy && jpeg->mcu_rows) return jpeg;
    fi_decompressor_free(jpeg);
    return NULL;
}

void fi_decompressor_free(fi_decompressor *jpeg) {
    if (!jpeg) return;
    jpeg_destroy_decompress(&jpeg->cinfo);
    fi_entropy_free(jpeg->entropy);
    fi_mcu_rows_free(jpeg->mcu_rows);
    free(jpeg);
}

void fi_decompressor_trim(fi_decompressor *jpeg) {
    fi_entropy_trim(jpeg->entropy);
}

const char *fi_decompressor_warnings(const fi_decompressor *jpeg) {
    return jpeg->warnings;
}

bool fi_decompressor_fell_back(const fi_decompressor *jpeg) {
    return jpeg->fell_back;
}

long fi_decompressor_warning_count(const fi_decompressor *jpeg) {
    return jpeg->errors.num_warnings;
}

const char *fi_libjpeg_version(void) {
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
    return TEXT(LIBJPEG_TURBO_VERSION);
}

/*
 * libjpeg keeps tables between images, and a file that omits one must not inherit the previous file's. They are freed
 * only by destroy, so recreate the decompressor if one is left over.
 */
static bool has_leftover_tables(const fi_decompressor *jpeg, unsigned defined) {
    const struct jpeg_decompress_struct *cinfo = &jpeg->cinfo;
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
 * libjpeg does not warn of scans that are missing altogether. If the data ended without an end marker, they were cut
 * off. (A file that ends properly and has few scans is somebody's preview.)
 */
static void check_scans(fi_decompressor *jpeg) {
    const j_decompress_ptr cinfo = &jpeg->cinfo;
    bool whole = true;

    for (int c = 0; c < cinfo->num_components; c++) {
        if (!cinfo->comp_info[c].quant_table) whole = false; /* set by the component's first scan */
        for (int k = 0; cinfo->coef_bits && k < DCTSIZE2; k++) {
            if (cinfo->coef_bits[c][k] != 0) whole = false; /* bits to come; -1: all of them */
        }
    }
    if (whole) return;
    fi_fail_at_row(jpeg, FI_E_TRUNCATED);
}

static void decode_image(fi_decompressor *jpeg, const fi_route *route, const fi_request *request) {
    const j_decompress_ptr cinfo = &jpeg->cinfo;

    if (!jpeg->is_set_up || has_leftover_tables(jpeg, request->header->tables)) set_up(jpeg);
    jpeg_read_header(cinfo, TRUE);
    if (cinfo->image_width != request->header->width || cinfo->image_height != request->header->height ||
        cinfo->num_components != request->header->components) {
        fi_fail(jpeg, FI_E_INTERNAL); /* header.c and libjpeg disagree about the file */
    }
    if (cinfo->jpeg_color_space == JCS_UNKNOWN) {
        jpeg->failure->detail[0] = cinfo->num_components;
        fi_fail(jpeg, FI_E_COLOR);
    }
    jpeg->multiple_scans = jpeg_has_multiple_scans(cinfo);
    jpeg->scanning = true;
    route->choose(jpeg, request);
    cinfo->input_iMCU_row = 0; /* the previous image's until the scan begins, and an error may ask for it before */
    jpeg_start_decompress(cinfo);
    if (jpeg->strict && jpeg->eof && jpeg->multiple_scans) check_scans(jpeg);
    route->read(jpeg, request);

    /* Damage may still show between the last row and the end marker. */
    if (cinfo->output_scanline >= cinfo->output_height) jpeg_finish_decompress(cinfo);
}

static void try_decode(fi_decompressor *jpeg, const fi_route *route, const fi_request *request) {
    jpeg->eof = jpeg->scanning = jpeg->multiple_scans = jpeg->leave_scan_to_libjpeg = false;
    jpeg->warning_count = jpeg->warnings_nbytes = 0;
    jpeg->warnings[0] = '\0';
    jpeg->source.next_input_byte = request->data;
    jpeg->source.bytes_in_buffer = request->nbytes;
    if (!setjmp(jpeg->on_failure)) decode_image(jpeg, route, request);
    jpeg_abort_decompress(&jpeg->cinfo);
}

fi_status fi_decompressor_decode(fi_decompressor *jpeg, const fi_route *route, const fi_request *request,
                                 fi_failure *failure) {
    jpeg->failure = failure;
    jpeg->sink = request->sink;
    jpeg->strict = request->options->strict;
    jpeg->max_scans = request->options->max_scans;
    jpeg->use_libjpeg_entropy = request->options->use_libjpeg_entropy;
    jpeg->fell_back = false;
    try_decode(jpeg, route, request);
    if (jpeg->fell_back) {
        jpeg->use_libjpeg_entropy = true;
        try_decode(jpeg, route, request);
    }
    return failure->status;
}
