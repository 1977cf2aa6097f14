/* SPDX-License-Identifier: BSD-3-Clause */
/* Our own entropy stage and inverse DCTs, put behind libjpeg's method pointers. */
#include "session_private.h"

/* The front of structs of libjpeg-turbo's jpegint.h, 2.1 to 3.x: all that is known here of what is private to it. */
struct jpeg_entropy_decoder {
    void (*start_pass)(j_decompress_ptr cinfo);
    boolean (*decode_mcu)(j_decompress_ptr cinfo, JBLOCKROW *blocks);
};

struct jpeg_input_controller {
    int (*consume_input)(j_decompress_ptr cinfo);
    void (*reset_input_controller)(j_decompress_ptr cinfo);
    void (*start_input_pass)(j_decompress_ptr cinfo);
};

/* And of a third, to which libjpeg-turbo 3 only adds at the end. */
struct jpeg_inverse_dct {
    void (*start_pass)(j_decompress_ptr cinfo);
    void (*inverse_DCT[MAX_COMPONENTS])(j_decompress_ptr cinfo, jpeg_component_info *component, JCOEFPTR block,
                                        JSAMPARRAY rows, JDIMENSION column);
};

static _Noreturn void give_up(fi_session *session) {
    session->again = true;
    longjmp(session->escape, 1);
}

static boolean decode_mcu(j_decompress_ptr cinfo, JBLOCKROW *blocks) {
    fi_session *session = cinfo->client_data;
    int16_t *coefficients[FI_MCU_MOST_BLOCKS];

    for (int b = 0; b < cinfo->blocks_in_MCU; b++) coefficients[b] = blocks[b][0];
    const bool last_of_row = --session->columns_to_go == 0;
    if (last_of_row) session->columns_to_go = cinfo->MCUs_per_row;
    if (!fi_entropy_decode_mcu(session->entropy, coefficients, last_of_row)) give_up(session);
    if (--session->mcus_to_go == 0) {
        const uint8_t *position = fi_entropy_finish(session->entropy);
        if (!position) give_up(session);
        session->source.bytes_in_buffer -= (size_t)(position - session->source.next_input_byte);
        session->source.next_input_byte = position;
    }
    return TRUE;
}

/* Puts our stage in place of libjpeg's, for a baseline file whose only scan begins here. */
static bool take_over(fi_session *session) {
    const j_decompress_ptr cinfo = &session->cinfo;
    fi_scan scan = {
        .data = session->source.next_input_byte,
        .nbytes = session->source.bytes_in_buffer,
        .restart_interval = cinfo->restart_interval,
        .blocks = (unsigned)cinfo->blocks_in_MCU,
    };

    if (session->stock || session->hit_end || session->multiple_scans || cinfo->progressive_mode || cinfo->arith_code ||
        cinfo->unread_marker || cinfo->Ss != 0 || cinfo->Se != DCTSIZE2 - 1 || cinfo->Ah != 0 || cinfo->Al != 0 ||
        cinfo->data_precision != 8) {
        return false;
    }
    for (unsigned b = 0; b < scan.blocks; b++) {
        const jpeg_component_info *component = cinfo->cur_comp_info[cinfo->MCU_membership[b]];
        const unsigned dc_id = (unsigned)component->dc_tbl_no, ac_id = (unsigned)component->ac_tbl_no;
        if (dc_id >= NUM_HUFF_TBLS || ac_id >= NUM_HUFF_TBLS) return false; /* as yet nobody has looked */
        const JHUFF_TBL *dc = cinfo->dc_huff_tbl_ptrs[dc_id], *ac = cinfo->ac_huff_tbl_ptrs[ac_id];
        if (!dc || !ac) return false;
        scan.component[b] = (uint8_t)cinfo->MCU_membership[b];
        scan.dc[b] = (fi_huffman){dc->bits, dc->huffval};
        scan.ac[b] = (fi_huffman){ac->bits, ac->huffval};
    }
    if (!fi_entropy_start(session->entropy, &scan)) return false;
    session->columns_to_go = cinfo->MCUs_per_row;
    session->mcus_to_go = (uint64_t)cinfo->MCUs_per_row * cinfo->MCU_rows_in_scan;
    cinfo->entropy->decode_mcu = decode_mcu;
    return true;
}

/* Where libjpeg would build its Huffman tables, which costs as much as all the blocks of a small image. */
static void start_entropy_pass(j_decompress_ptr cinfo) {
    fi_session *session = cinfo->client_data;
    if (!take_over(session)) session->start_entropy_pass(cinfo);
}

static void start_input_pass(j_decompress_ptr cinfo) {
    fi_session *session = cinfo->client_data;
    session->start_entropy_pass = cinfo->entropy->start_pass;
    cinfo->entropy->start_pass = start_entropy_pass;
    session->start_input_pass(cinfo);
    cinfo->entropy->start_pass = session->start_entropy_pass;
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

void fi_session_need(fi_session *session, int component, bool needed, bool at_bottom) {
    const j_decompress_ptr cinfo = &session->cinfo;
    jpeg_component_info *info = &cinfo->comp_info[component];
    const unsigned last = !needed                              ? 0
                          : at_bottom && FI_DCT_SIZE(info) > 1 ? 63
                                                               : fi_idct_last((unsigned)FI_DCT_SIZE(info));

    info->component_needed = needed;
    if (cinfo->entropy->decode_mcu != decode_mcu) return;
    for (int i = 0; i < cinfo->comps_in_scan; i++) {
        if (cinfo->cur_comp_info[i] == info) fi_entropy_need(session->entropy, (uint8_t)i, last);
    }
}

void fi_session_set_stage(fi_session *session) {
    session->start_input_pass = session->cinfo.inputctl->start_input_pass;
    session->cinfo.inputctl->start_input_pass = start_input_pass;
}
