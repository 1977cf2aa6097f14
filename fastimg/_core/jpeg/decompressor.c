/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/decompressor.h"

#include "jpeg/hooks.h"
#include "jpeg/input.h"
#include "jpeg/state.h"
#include "jpeg/warnings.h"

#include <stdlib.h>
#include <string.h>

/* ---- libjpeg's arrays ------------------------------------------------------------------------------------------ */

/* libjpeg asks for one array per component, in their order, and for no others. It only hands it back to access_array(). */
static jvirt_barray_ptr request_array(j_common_ptr cinfo, int pool, boolean is_zero, JDIMENSION width,
                                      JDIMENSION height, JDIMENSION rows) {
    fi_decompressor *jpeg = cinfo->client_data;
    fi_coef_arrays *arrays = &jpeg->coefs;

    (void)pool, (void)is_zero, (void)rows;
    if (arrays->count == MAX_COMPONENTS) fi_fail(jpeg, FI_E_INTERNAL);
    arrays->of[arrays->count] = (fi_coef_array){.width = width, .height = height};
    return (jvirt_barray_ptr)(void *)&arrays->of[arrays->count++];
}

static void realize_arrays(j_common_ptr cinfo) {
    fi_decompressor *jpeg = cinfo->client_data;

    jpeg->realize_virt_arrays(cinfo);
    if (jpeg->coefs.count == 0) return;
    if (!fi_coef_arrays_allocate(&jpeg->coefs, jpeg->cinfo.progressive_mode)) fi_fail(jpeg, FI_E_NOMEM);
}

static JBLOCKARRAY access_array(j_common_ptr cinfo, jvirt_barray_ptr pointer, JDIMENSION first, JDIMENSION rows,
                                boolean writable) {
    const fi_coef_array *array = (const fi_coef_array *)(void *)pointer;

    (void)cinfo, (void)rows, (void)writable;
    return array->rows + first;
}

static void install_arrays(fi_decompressor *jpeg) {
    struct jpeg_memory_mgr *memory = jpeg->cinfo.mem;

    jpeg->realize_virt_arrays = memory->realize_virt_arrays;
    memory->request_virt_barray = request_array;
    memory->realize_virt_arrays = realize_arrays;
    memory->access_virt_barray = access_array;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

/* Out of memory leaves libjpeg's state half made, and fit for nothing but jpeg_destroy_decompress(). */
static void set_up(fi_decompressor *jpeg) {
    jpeg->is_set_up = false;
    jpeg_destroy_decompress(&jpeg->cinfo); /* does nothing the first time */
    jpeg_create_decompress(&jpeg->cinfo); /* clears all but err and client_data */
    jpeg->cinfo.src = &jpeg->source;
    jpeg->cinfo.progress = &jpeg->progress;
    install_arrays(jpeg);
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
    fi_input_install(jpeg);
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
    fi_coef_arrays_free(&jpeg->coefs);
    fi_part_memory_trim(&jpeg->part_memory, 0);
    fi_buffer_free(&jpeg->fork);
    free(jpeg);
}

void fi_decompressor_trim(fi_decompressor *jpeg) {
    fi_coef_arrays_trim(&jpeg->coefs);
    fi_buffer_free(&jpeg->fork);
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
 * libjpeg does not warn of scans that are missing altogether. A component must have one. If the data ended without an
 * end marker, its bits must all be there, too: the rest was cut off. (A file that ends properly and has fewer bits is
 * somebody's preview.)
 */
static void check_scans(fi_decompressor *jpeg) {
    const j_decompress_ptr cinfo = &jpeg->cinfo;
    bool whole = true;

    for (int c = 0; c < cinfo->num_components; c++) {
        const bool has_scan = cinfo->comp_info[c].quant_table; /* set by the first one */
        if (!has_scan && !jpeg->eof) {
            snprintf(jpeg->failure->text, FI_TEXT_NBYTES, "component %d has no scan", c);
            fi_fail_at_row(jpeg, FI_E_CORRUPT);
        }
        whole = whole && has_scan;
        for (int k = 0; cinfo->coef_bits && k < DCTSIZE2; k++) {
            if (cinfo->coef_bits[c][k] != 0) whole = false; /* bits to come; -1: all of them */
        }
    }
    if (whole || !jpeg->eof) return;
    snprintf(jpeg->failure->text, FI_TEXT_NBYTES, "scans are missing");
    fi_fail_at_row(jpeg, FI_E_TRUNCATED);
}

/*
 * All coefficients of an image with several scans are kept. In strict mode the first one that is missing ends that.
 * Otherwise a few bytes of file would cost as much memory as its header asks for.
 */
static void check_memory(fi_decompressor *jpeg, size_t nbytes) {
    const j_decompress_ptr cinfo = &jpeg->cinfo;
    uint64_t blocks = 0;

    for (int c = 0; c < cinfo->num_components; c++) {
        blocks += (uint64_t)cinfo->comp_info[c].width_in_blocks * cinfo->comp_info[c].height_in_blocks;
    }
    const uint64_t needed = blocks * FI_COEF_ARRAY_BLOCK_NBYTES;
    /* A block has one bit at least. */
    if (jpeg->strict || !jpeg->max_missing || needed <= jpeg->max_missing || blocks / 8 <= nbytes) return;
    jpeg->failure->detail[0] = cinfo->image_height;
    jpeg->failure->detail[1] = cinfo->image_width;
    jpeg->failure->detail[2] = (int64_t)needed;
    jpeg->failure->detail[3] = (int64_t)jpeg->max_missing;
    fi_fail(jpeg, FI_E_MISSING);
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
    if (jpeg->multiple_scans) check_memory(jpeg, request->nbytes);
    jpeg->scanning = true;
    route->choose(jpeg, request);
    cinfo->input_iMCU_row = 0; /* the previous image's until the scan begins, and an error may ask for it before */
    jpeg_start_decompress(cinfo);
    if (jpeg->strict && jpeg->multiple_scans) check_scans(jpeg);
    jpeg->is_reading = true;
    route->read(jpeg, request);
    const bool is_whole = cinfo->output_scanline >= cinfo->output_height;
    if (jpeg->strict && !is_whole) fi_hooks_end_early(jpeg);
    jpeg->is_complete = true;
    /* To the end marker, for the warnings. */
    if (jpeg->strict && is_whole) jpeg_finish_decompress(cinfo);
}

static void try_decode(fi_decompressor *jpeg, const fi_route *route, const fi_request *request, size_t nbytes) {
    jpeg->eof = jpeg->scanning = jpeg->is_reading = jpeg->is_complete = false;
    jpeg->multiple_scans = false;
    jpeg->stage = FI_STAGE_LIBJPEG;
    jpeg->scan_end = NULL;
    jpeg->mcus_left = jpeg->coefs.count = 0;
    jpeg->warning_count = jpeg->warnings_nbytes = 0;
    jpeg->warnings[0] = '\0';
    jpeg->is_cut = nbytes < request->nbytes;
    jpeg->scans_nbytes = 0;
    jpeg->data = request->data;
    jpeg->data_end = request->data + nbytes;
    fi_input_begin(jpeg);
    if (!setjmp(jpeg->on_failure)) decode_image(jpeg, route, request);
    if (jpeg->is_set_up) jpeg_abort_decompress(&jpeg->cinfo); /* version 3 crashes if it is half made */
}

/*
 * libjpeg reads all scans of a file that has several before it gives any row. If it fails after some of them, and these
 * are the whole image, undamaged, they alone are decoded.
 */
static void try_whole_scans(fi_decompressor *jpeg, const fi_route *route, const fi_request *request) {
    const fi_failure first = *jpeg->failure;
    const bool may_be_whole = first.status == FI_E_CORRUPT || first.status == FI_E_UNSUPPORTED;

    if (!may_be_whole || jpeg->is_reading || jpeg->scans_nbytes == 0) return;
    memset(jpeg->failure, 0, sizeof *jpeg->failure);
    jpeg->strict = true;
    try_decode(jpeg, route, request, jpeg->scans_nbytes);
    if (jpeg->failure->status != FI_OK) *jpeg->failure = first;
    else fi_warnings_add(jpeg, -1, first.text);
}

void fi_decompressor_join(fi_decompressor *jpeg, fi_team *team) {
    jpeg->team = team;
}

fi_watch fi_decompressor_watch(fi_decompressor *jpeg, fi_watch watch) {
    const fi_watch before = jpeg->watch;

    jpeg->watch = watch;
    return before;
}

fi_status fi_decompressor_decode(fi_decompressor *jpeg, const fi_route *route, const fi_request *request,
                                 fi_failure *failure) {
    jpeg->failure = failure;
    jpeg->sink = request->sink;
    jpeg->strict = request->options->strict;
    jpeg->any_coefficients = request->options->any_coefficients;
    jpeg->max_scans = request->options->max_scans;
    jpeg->free_scans = request->options->free_scans;
    jpeg->max_scanned = request->options->max_scanned;
    jpeg->max_missing = request->options->max_missing;
    jpeg->use_libjpeg_entropy = request->options->use_libjpeg_entropy;
    jpeg->height = request->header->height;
    jpeg->fell_back = jpeg->is_alone = false;
    try_decode(jpeg, route, request, request->nbytes);
    if (jpeg->is_alone) try_decode(jpeg, route, request, request->nbytes);
    if (jpeg->fell_back) {
        jpeg->use_libjpeg_entropy = true;
        try_decode(jpeg, route, request, request->nbytes);
    }
    try_whole_scans(jpeg, route, request);
    return failure->status;
}
