/* SPDX-License-Identifier: BSD-3-Clause */
/* Our own entropy stage, rows of MCUs and inverse DCTs, put behind libjpeg's method pointers. */
#include "session_private.h"

#include <string.h>

/* The front of structs of libjpeg-turbo's jpegint.h, 2.1 to 3.x: all that is known here of what is private to it. */
struct jpeg_entropy_decoder {
    void (*start_pass)(j_decompress_ptr cinfo);
    boolean (*decode_mcu)(j_decompress_ptr cinfo, JBLOCKROW *blocks);
};

struct jpeg_input_controller {
    int (*consume_input)(j_decompress_ptr cinfo);
    void (*reset_input_controller)(j_decompress_ptr cinfo);
    void (*start_input_pass)(j_decompress_ptr cinfo);
    void (*finish_input_pass)(j_decompress_ptr cinfo);
};

struct jpeg_d_coef_controller {
    void (*start_input_pass)(j_decompress_ptr cinfo);
    int (*consume_data)(j_decompress_ptr cinfo);
    void (*start_output_pass)(j_decompress_ptr cinfo);
    int (*decompress_data)(j_decompress_ptr cinfo, JSAMPIMAGE output);
};

struct jpeg_color_deconverter {
    void (*start_pass)(j_decompress_ptr cinfo);
    void (*color_convert)(j_decompress_ptr cinfo, JSAMPIMAGE input, JDIMENSION row, JSAMPARRAY output, int rows);
};

struct jpeg_inverse_dct {
    void (*start_pass)(j_decompress_ptr cinfo);
    fi_inverse_dct *inverse_DCT[MAX_COMPONENTS];
};

/* Tables for fewer than this are not worth building. */
#define SMALL_SCAN_MCUS 64

static _Noreturn void give_up(fi_session *session) {
    session->gave_up = true;
    longjmp(session->escape, 1);
}

/* All of a scan is decoded: libjpeg goes on with the marker behind it. */
static void finish_scan(fi_session *session) {
    const uint8_t *position = fi_entropy_finish(session->entropy);

    if (!position) give_up(session);
    session->source.bytes_in_buffer -= (size_t)(position - session->source.next_input_byte);
    session->source.next_input_byte = position;
}

static int decompress_data(j_decompress_ptr cinfo, JSAMPIMAGE output) {
    fi_session *session = cinfo->client_data;
    const bool islow = cinfo->dct_method == JDCT_ISLOW && fi_islow_known();

    if (!fi_blocks_decode_row(session->blocks, session->entropy, cinfo, cinfo->idct->inverse_DCT, islow, output)) {
        give_up(session);
    }
    cinfo->output_iMCU_row++;
    if (++cinfo->input_iMCU_row < cinfo->total_iMCU_rows) return JPEG_ROW_COMPLETED;
    finish_scan(session);
    cinfo->inputctl->finish_input_pass(cinfo);
    return JPEG_SCAN_COMPLETED;
}

static boolean decode_progressive(j_decompress_ptr cinfo, JBLOCKROW *blocks) {
    fi_session *session = cinfo->client_data;
    int16_t *coefficients[FI_MCU_MOST_BLOCKS];

    for (int b = 0; b < cinfo->blocks_in_MCU; b++) coefficients[b] = blocks[b][0];
    if (!fi_entropy_decode_progressive(session->entropy, coefficients)) give_up(session);
    if (--session->mcus_to_go == 0) finish_scan(session);
    return TRUE;
}

/* A file that was cut short would be given up in the end: all that was done until then would be done in vain. */
static bool has_end_marker(const uint8_t *data, size_t nbytes) {
    static const uint8_t marker[2] = {0xFF, JPEG_EOI};
    const uint8_t *end = data + nbytes;

    if (nbytes >= 2 && memcmp(end - 2, marker, 2) == 0) return true;
    while (nbytes >= 2 && (data = memchr(data, 0xFF, nbytes - 1))) {
        if (data[1] == JPEG_EOI) return true;
        data++;
        nbytes = (size_t)(end - data);
    }
    return false;
}

/* What both kinds of scan need. false: a component has no table. */
static bool describe_scan(const fi_session *session, fi_scan *scan) {
    const struct jpeg_decompress_struct *cinfo = &session->cinfo;
    const bool needs_dc = cinfo->Ss == 0 && cinfo->Ah == 0, needs_ac = !cinfo->progressive_mode || cinfo->Ss > 0;

    *scan = (fi_scan){
        .data = session->source.next_input_byte,
        .nbytes = session->source.bytes_in_buffer,
        .restart_interval = cinfo->restart_interval,
        .blocks = (unsigned)cinfo->blocks_in_MCU,
        .first = (uint8_t)cinfo->Ss,
        .last = (uint8_t)cinfo->Se,
        .high = (uint8_t)cinfo->Ah,
        .low = (uint8_t)cinfo->Al,
        .component_index = (uint8_t)cinfo->cur_comp_info[0]->component_index,
        .mcus = (size_t)cinfo->MCUs_per_row * cinfo->MCU_rows_in_scan,
    };
    for (unsigned b = 0; b < scan->blocks; b++) {
        const jpeg_component_info *component = cinfo->cur_comp_info[cinfo->MCU_membership[b]];
        const unsigned dc_id = (unsigned)component->dc_tbl_no, ac_id = (unsigned)component->ac_tbl_no;
        if (dc_id >= NUM_HUFF_TBLS || ac_id >= NUM_HUFF_TBLS) return false; /* as yet nobody has looked */
        const JHUFF_TBL *dc = cinfo->dc_huff_tbl_ptrs[dc_id], *ac = cinfo->ac_huff_tbl_ptrs[ac_id];
        if ((needs_dc && !dc) || (needs_ac && !ac)) return false;
        scan->component[b] = (uint8_t)cinfo->MCU_membership[b];
        if (needs_dc) scan->dc[b] = (fi_huffman){dc->bits, dc->huffval};
        if (needs_ac) scan->ac[b] = (fi_huffman){ac->bits, ac->huffval};
    }
    return true;
}

static bool may_take_over(const fi_session *session) {
    const struct jpeg_decompress_struct *cinfo = &session->cinfo;
    return !session->stock && !session->hit_end && !cinfo->arith_code && !cinfo->unread_marker &&
           cinfo->data_precision == 8;
}

/*
 * Of a baseline file whose only scan begins here. libjpeg's start_pass would build its Huffman tables, which costs as much as
 * all the blocks of a small image.
 */
static bool take_over_baseline(fi_session *session) {
    const j_decompress_ptr cinfo = &session->cinfo;
    fi_scan scan;

    if (!may_take_over(session) || session->multiple_scans || cinfo->Ss != 0 || cinfo->Se != DCTSIZE2 - 1 ||
        cinfo->Ah != 0 || cinfo->Al != 0 || !describe_scan(session, &scan) || !has_end_marker(scan.data, scan.nbytes) ||
        !fi_entropy_start(session->entropy, &scan)) {
        return false;
    }
    cinfo->coef->decompress_data = decompress_data;
    return true;
}

/* Of a progressive file, behind libjpeg's start_pass, which checks the scan, and warns if it does not follow the others. */
static void take_over_progressive(fi_session *session) {
    const j_decompress_ptr cinfo = &session->cinfo;
    fi_scan scan;

    if (cinfo->input_scan_number == 1) {
        fi_entropy_begin_progressive(session->entropy);
        session->scan_left = !has_end_marker(session->source.next_input_byte, session->source.bytes_in_buffer);
    }
    session->mcus_to_go = (uint64_t)cinfo->MCUs_per_row * cinfo->MCU_rows_in_scan;
    if (session->mcus_to_go < SMALL_SCAN_MCUS) return;
    session->scan_left = session->scan_left || session->errors.num_warnings > 0 || !may_take_over(session) ||
                         !describe_scan(session, &scan) || !fi_entropy_start_progressive(session->entropy, &scan);
    if (!session->scan_left) cinfo->entropy->decode_mcu = decode_progressive;
}

static void start_entropy_pass(j_decompress_ptr cinfo) {
    fi_session *session = cinfo->client_data;

    if (cinfo->progressive_mode) {
        session->start_entropy_pass(cinfo);
        take_over_progressive(session);
    } else if (!take_over_baseline(session)) {
        session->start_entropy_pass(cinfo);
    }
}

/* Once an image: for its first scan. Those that follow libjpeg begins without this method. */
static void start_input_pass(j_decompress_ptr cinfo) {
    fi_session *session = cinfo->client_data;
    session->start_entropy_pass = cinfo->entropy->start_pass;
    cinfo->entropy->start_pass = start_entropy_pass;
    session->start_input_pass(cinfo);
}

/* A block that sticks out over the image's right or bottom edge. */
static __attribute__((noinline)) void reduce_edge(j_decompress_ptr cinfo, jpeg_component_info *component,
                                                  JCOEFPTR block, const fi_raw_plane *plane, JSAMPARRAY rows,
                                                  JDIMENSION column) {
    const uint32_t size = (uint32_t)FI_DCT_SIZE(component), row = plane->first + (uint32_t)(rows - plane->rows);
    const uint32_t height = plane->height - row / size * DCTSIZE, width = plane->width - column / size * DCTSIZE;
    uint8_t pixels[DCTSIZE][DCTSIZE];
    JSAMPROW pixel_rows[DCTSIZE];

    for (int y = 0; y < DCTSIZE; y++) pixel_rows[y] = pixels[y];
    plane->all_pixels(cinfo, component, block, pixel_rows, 0);
    fi_idct_reduce_pixels(pixels, size, height < DCTSIZE ? height : DCTSIZE, width < DCTSIZE ? width : DCTSIZE, rows,
                          column);
}

static void inverse_dct(j_decompress_ptr cinfo, jpeg_component_info *component, JCOEFPTR block, JSAMPARRAY rows,
                        JDIMENSION column) {
    const fi_session *session = cinfo->client_data;
    const fi_raw_plane *plane = &session->raw[component->component_index];

    if (plane->first + (uint32_t)(rows - plane->rows) < plane->whole_rows && column < plane->whole_columns) {
        plane->reduce(block, plane->quantisation, rows, column);
    } else {
        reduce_edge(cinfo, component, block, plane, rows, column);
    }
}

void fi_session_reduce(fi_session *session, unsigned count) {
    static const uint16_t nothing[DCTSIZE2];
    const j_decompress_ptr cinfo = &session->cinfo;
    int sizes[MAX_COMPONENTS];

    /* libjpeg chooses its methods by the sizes that it finds: let it find whole blocks for once. */
    for (unsigned c = 0; c < count; c++) {
        sizes[c] = FI_DCT_SIZE(&cinfo->comp_info[c]);
        FI_DCT_SIZE(&cinfo->comp_info[c]) = DCTSIZE;
    }
    cinfo->idct->start_pass(cinfo);
    for (unsigned c = 0; c < count; c++) {
        jpeg_component_info *component = &cinfo->comp_info[c];
        fi_raw_plane *plane = &session->raw[c];
        const uint32_t size = (uint32_t)(FI_DCT_SIZE(component) = sizes[c]);
        if (size == DCTSIZE) continue;
        plane->whole_rows = size == 1 ? UINT32_MAX : plane->height / DCTSIZE * size;
        plane->whole_columns = size == 1 ? UINT32_MAX : plane->width / DCTSIZE * size;
        plane->reduce = fi_idct_choose(size);
        plane->quantisation = component->quant_table ? component->quant_table->quantval : nothing;
        plane->all_pixels = cinfo->idct->inverse_DCT[c];
        cinfo->idct->inverse_DCT[c] = inverse_dct;
    }
}

static void convert(j_decompress_ptr cinfo, JSAMPIMAGE input, JDIMENSION row, JSAMPARRAY output, int rows) {
    (void)output;
    for (; rows > 0; rows--, row++) {
        const uint8_t *const ycc[3] = {input[0][row], input[1][row], input[2][row]};
        fi_exact_convert(cinfo->client_data, ycc);
    }
}

void fi_session_convert(fi_session *session) {
    session->cinfo.cconvert->color_convert = convert;
}

void fi_session_need(fi_session *session, int component, bool needed, bool at_bottom) {
    const j_decompress_ptr cinfo = &session->cinfo;
    jpeg_component_info *info = &cinfo->comp_info[component];
    const unsigned last = !needed                              ? 0
                          : at_bottom && FI_DCT_SIZE(info) > 1 ? 63
                                                               : fi_idct_last((unsigned)FI_DCT_SIZE(info));

    info->component_needed = needed;
    if (cinfo->coef->decompress_data != decompress_data) return;
    for (int i = 0; i < cinfo->comps_in_scan; i++) {
        if (cinfo->cur_comp_info[i] == info) fi_entropy_need(session->entropy, (uint8_t)i, last);
    }
}

void fi_session_set_stage(fi_session *session) {
    session->start_input_pass = session->cinfo.inputctl->start_input_pass;
    session->cinfo.inputctl->start_input_pass = start_input_pass;
}
