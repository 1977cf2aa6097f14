/* SPDX-License-Identifier: BSD-3-Clause */
/* Our own entropy stage, put behind libjpeg's method pointers. */
#include "session_private.h"

/* The front of two structs of libjpeg-turbo's jpegint.h, 2.1 to 3.x: all that is known here of what is private to it. */
struct jpeg_entropy_decoder {
    void (*start_pass)(j_decompress_ptr cinfo);
    boolean (*decode_mcu)(j_decompress_ptr cinfo, JBLOCKROW *blocks);
};

struct jpeg_input_controller {
    int (*consume_input)(j_decompress_ptr cinfo);
    void (*reset_input_controller)(j_decompress_ptr cinfo);
    void (*start_input_pass)(j_decompress_ptr cinfo);
};

static boolean decode_mcu(j_decompress_ptr cinfo, JBLOCKROW *blocks) {
    fi_session *session = cinfo->client_data;
    int16_t *coefficients[FI_MCU_MOST_BLOCKS];

    for (int b = 0; b < cinfo->blocks_in_MCU; b++) coefficients[b] = blocks[b][0];
    if (fi_entropy_decode_mcu(session->entropy, coefficients)) {
        if (--session->mcus_to_go == 0) {
            const uint8_t *position = fi_entropy_position(session->entropy);
            session->source.bytes_in_buffer -= (size_t)(position - session->source.next_input_byte);
            session->source.next_input_byte = position;
        }
        return TRUE;
    }
    session->again = true;
    longjmp(session->escape, 1);
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

void fi_session_need(fi_session *session, int component, bool needed) {
    const j_decompress_ptr cinfo = &session->cinfo;
    jpeg_component_info *info = &cinfo->comp_info[component];

    info->component_needed = needed;
    if (cinfo->entropy->decode_mcu != decode_mcu) return;
    /* The inverse DCT to a single sample takes the first coefficient. */
    for (int i = 0; i < cinfo->comps_in_scan; i++) {
        if (cinfo->cur_comp_info[i] != info) continue;
        fi_entropy_need(session->entropy, (uint8_t)i, needed && FI_DCT_SIZE(info) > 1 ? 63 : 0);
    }
}

void fi_session_set_stage(fi_session *session) {
    session->start_input_pass = session->cinfo.inputctl->start_input_pass;
    session->cinfo.inputctl->start_input_pass = start_input_pass;
}
