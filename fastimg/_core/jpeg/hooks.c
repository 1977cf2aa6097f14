/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/hooks.h"

#include "jpeg/coef_rows.h"
#include "jpeg/input.h"
#include "jpeg/private.h"
#include "jpeg/state.h"
#include "jpeg/warnings.h"

#include <string.h>

/* Written by fi_init() at import, and only read after that. */
static bool hooks_verified, idct_verified;

void fi_hooks_set_verified(bool hooks, bool idct) {
    hooks_verified = hooks;
    idct_verified = idct;
}

bool fi_hooks_verified(void) {
    return hooks_verified;
}

bool fi_idct_verified(void) {
    return idct_verified;
}

/* Whether blocks that are not reduced come to the core's own kernel. */
static bool is_islow(const struct jpeg_decompress_struct *cinfo) {
    return cinfo->dct_method == JDCT_ISLOW && idct_verified;
}

/* ---- scans ----------------------------------------------------------------------------------------------------- */

/* In strict mode a fault is the image's; else libjpeg decodes what can be decoded. */
static _Noreturn void end_at_fault(fi_decompressor *jpeg) {
    const fi_fault *fault = fi_entropy_fault(jpeg->entropy);

    if (fault->kind == FI_FAULT_MEMORY) fi_fail(jpeg, FI_E_NOMEM);
    if (!jpeg->strict) fi_fall_back(jpeg);
    fi_fail_at_fault(jpeg, fault);
}

/* After the last MCU. Returns where the next marker is to be looked for. */
static const uint8_t *finish_scan(fi_decompressor *jpeg) {
    char text[FI_TEXT_NBYTES];
    unsigned marker;
    const uint8_t *position = fi_entropy_finish(jpeg->entropy);

    if (!position) end_at_fault(jpeg);
    const size_t nbytes = fi_entropy_stray_nbytes(jpeg->entropy, &marker);
    if (nbytes && marker && jpeg->strict) {
        snprintf(text, sizeof text, "%zu stray bytes in front of marker ff %02x", nbytes, marker);
        fi_warnings_add(jpeg, JWRN_EXTRANEOUS_DATA, text);
    }
    return position;
}

void fi_hooks_end_early(fi_decompressor *jpeg) {
    if (jpeg->stage != FI_STAGE_LIBJPEG && !fi_entropy_judge(jpeg->entropy)) end_at_fault(jpeg);
}

static void go_on_from(fi_decompressor *jpeg, const uint8_t *position) {
    jpeg->source.bytes_in_buffer -= (size_t)(position - jpeg->source.next_input_byte);
    jpeg->source.next_input_byte = position;
}

fi_transforms fi_hooks_transforms(const fi_decompressor *jpeg) {
    const struct jpeg_decompress_struct *cinfo = &jpeg->cinfo;

    return (fi_transforms){
        .methods = cinfo->idct->inverse_DCT,
        .islow = is_islow(cinfo),
        .reduced = jpeg->reduced,
    };
}

static int decompress_data(j_decompress_ptr cinfo, JSAMPIMAGE output) {
    fi_decompressor *jpeg = cinfo->client_data;
    const fi_transforms transforms = fi_hooks_transforms(jpeg);

    if (!fi_mcu_rows_decode(jpeg->mcu_rows, jpeg->entropy, cinfo, &transforms, output)) end_at_fault(jpeg);
    cinfo->output_iMCU_row++;
    if (++cinfo->input_iMCU_row < cinfo->total_iMCU_rows) return JPEG_ROW_COMPLETED;
    go_on_from(jpeg, finish_scan(jpeg));
    cinfo->inputctl->finish_input_pass(cinfo);
    return JPEG_SCAN_COMPLETED;
}

bool fi_hooks_decode_rows(const fi_decompressor *jpeg) {
    return jpeg->cinfo.coef->decompress_data == decompress_data;
}

void fi_hooks_end_rows(fi_decompressor *jpeg, unsigned rows, const uint8_t *end) {
    const j_decompress_ptr cinfo = &jpeg->cinfo;

    cinfo->input_iMCU_row = cinfo->output_iMCU_row = rows;
    if (!end) return;
    go_on_from(jpeg, end);
    cinfo->inputctl->finish_input_pass(cinfo);
}

/* ---- progressive scans ----------------------------------------------------------------------------------------- */

static boolean suspend(j_decompress_ptr cinfo, JBLOCKROW *blocks) {
    (void)cinfo, (void)blocks;
    return FALSE;
}

/*
 * libjpeg remembers the last iMCU row that had data, for its block smoothing. It notes it before it asks for an MCU, which
 * it is not given.
 */
static int consume_data(j_decompress_ptr cinfo) {
    fi_decompressor *jpeg = cinfo->client_data;
    const bool is_last = cinfo->input_iMCU_row == cinfo->total_iMCU_rows - 1;

    if (!fi_coef_rows_decode(&jpeg->coefs, jpeg->entropy, cinfo)) end_at_fault(jpeg);
    if (is_last) {
        jpeg->consume_data(cinfo);
        go_on_from(jpeg, finish_scan(jpeg));
    }
    cinfo->input_iMCU_row++;
    if (!is_last) return JPEG_ROW_COMPLETED;
    cinfo->inputctl->finish_input_pass(cinfo);
    return JPEG_SCAN_COMPLETED;
}

static int output_data(j_decompress_ptr cinfo, JSAMPIMAGE output) {
    fi_decompressor *jpeg = cinfo->client_data;
    fi_coef_rows_output(&jpeg->mcu_rows->sorted, &jpeg->coefs, cinfo, cinfo->idct->inverse_DCT, is_islow(cinfo),
                        jpeg->reduced, output);
    return ++cinfo->output_iMCU_row < cinfo->total_iMCU_rows ? JPEG_ROW_COMPLETED : JPEG_SCAN_COMPLETED;
}

/* All scans have been read. Where they leave coefficients open, libjpeg smooths the blocks by a method of its own. */
static void start_output_pass(j_decompress_ptr cinfo) {
    fi_decompressor *jpeg = cinfo->client_data;

    jpeg->start_output_pass(cinfo);
    const bool is_plain = cinfo->coef->decompress_data == jpeg->decompress_data;
    if (cinfo->progressive_mode && jpeg->stage == FI_STAGE_OWN && is_plain) cinfo->coef->decompress_data = output_data;
    else fi_coef_arrays_complete(&jpeg->coefs);
}

/* ---- scans into libjpeg's blocks ------------------------------------------------------------------------------- */

/* The next MCU of a sequential scan, into blocks of the decompressor's own. */
static void decode_into_scratch(fi_decompressor *jpeg) {
    const bool is_last_of_row = (jpeg->mcus_left - 1) % jpeg->cinfo.MCUs_per_row == 0;
    uint8_t eob[FI_MAX_MCU_BLOCKS];

    memset(jpeg->scratch, 0, sizeof jpeg->scratch);
    if (!fi_entropy_decode(jpeg->entropy, 1, is_last_of_row, jpeg->scratch, eob)) end_at_fault(jpeg);
}

/* For sequential files with several scans, whose blocks libjpeg keeps. */
static boolean decode_sequential(j_decompress_ptr cinfo, JBLOCKROW *blocks) {
    fi_decompressor *jpeg = cinfo->client_data;

    decode_into_scratch(jpeg);
    for (int b = 0; b < cinfo->blocks_in_MCU; b++) memcpy(blocks[b][0], jpeg->scratch[b], sizeof jpeg->scratch[b]);
    if (--jpeg->mcus_left == 0) go_on_from(jpeg, finish_scan(jpeg));
    return TRUE;
}

/* Scans that libjpeg decodes in strict mode: the verdict on each MCU comes first. */
static boolean check_and_decode(j_decompress_ptr cinfo, JBLOCKROW *blocks) {
    fi_decompressor *jpeg = cinfo->client_data;

    if (jpeg->mcus_left > 0) {
        if (!cinfo->progressive_mode) {
            decode_into_scratch(jpeg);
        } else if (!fi_coef_rows_check(&jpeg->coefs, jpeg->entropy, cinfo, jpeg->mcus_left, jpeg->scratch)) {
            end_at_fault(jpeg);
        }
        if (--jpeg->mcus_left == 0) jpeg->scan_end = finish_scan(jpeg);
    }
    return jpeg->decode_mcu(cinfo, blocks);
}

/* Fills in *scan, for both kinds. Returns false if a component has no table. */
bool fi_hooks_describe_scan(const fi_decompressor *jpeg, fi_scan *scan) {
    const struct jpeg_decompress_struct *cinfo = &jpeg->cinfo;
    const bool is_sequential = !cinfo->progressive_mode;
    const bool needs_dc = is_sequential || (cinfo->Ss == 0 && cinfo->Ah == 0),
               needs_ac = is_sequential || cinfo->Ss > 0;

    *scan = (fi_scan){
        .data = jpeg->source.next_input_byte,
        .nbytes = jpeg->source.bytes_in_buffer,
        .restart_interval = cinfo->restart_interval,
        .blocks = (unsigned)cinfo->blocks_in_MCU,
        .mcus = (size_t)cinfo->MCUs_per_row * cinfo->MCU_rows_in_scan,
    };
    if (cinfo->progressive_mode) { /* of others, libjpeg ignores them */
        scan->ss = (uint8_t)cinfo->Ss;
        scan->se = (uint8_t)cinfo->Se;
        scan->ah = (uint8_t)cinfo->Ah;
        scan->al = (uint8_t)cinfo->Al;
        scan->component_index = (uint8_t)cinfo->cur_comp_info[0]->component_index;
    }
    for (unsigned b = 0; b < scan->blocks; b++) {
        const jpeg_component_info *component = cinfo->cur_comp_info[cinfo->MCU_membership[b]];
        const unsigned dc_id = (unsigned)component->dc_tbl_no, ac_id = (unsigned)component->ac_tbl_no;
        if (dc_id >= NUM_HUFF_TBLS || ac_id >= NUM_HUFF_TBLS) return false; /* libjpeg has not checked yet */
        const JHUFF_TBL *dc = cinfo->dc_huff_tbl_ptrs[dc_id], *ac = cinfo->ac_huff_tbl_ptrs[ac_id];
        if ((needs_dc && !dc) || (needs_ac && !ac)) return false;
        scan->component[b] = (uint8_t)cinfo->MCU_membership[b];
        if (!jpeg->any_coefficients) scan->quantisation[b] = component->quant_table->quantval;
        if (needs_dc) scan->dc[b] = (fi_huffman){dc->bits, dc->huffval};
        if (needs_ac) scan->ac[b] = (fi_huffman){ac->bits, ac->huffval};
    }
    return true;
}

/* Begins the scan in the core's own stage. Returns false if only libjpeg can say what is wrong with it. */
static bool start_scan(fi_decompressor *jpeg) {
    const struct jpeg_decompress_struct *cinfo = &jpeg->cinfo;
    fi_scan scan;

    if (cinfo->arith_code || jpeg->eof || cinfo->unread_marker || !fi_hooks_describe_scan(jpeg, &scan)) return false;
    jpeg->mcus_left = scan.mcus;
    if (cinfo->progressive_mode ? fi_entropy_start_progressive(jpeg->entropy, &scan)
                                : fi_entropy_start(jpeg->entropy, &scan)) {
        return true;
    }
    if (fi_entropy_fault(jpeg->entropy)->kind == FI_FAULT_MEMORY) fi_fail(jpeg, FI_E_NOMEM);
    return false;
}

static bool is_sequential_scan(const struct jpeg_decompress_struct *cinfo) {
    return cinfo->Ss == 0 && cinfo->Se == DCTSIZE2 - 1 && cinfo->Ah == 0 && cinfo->Al == 0;
}

static fi_stage other_stage(const fi_decompressor *jpeg) {
    return jpeg->strict ? FI_STAGE_CHECKED : FI_STAGE_LIBJPEG;
}

/* If not strict, a truncated file ends in the fallback: detect it first rather than decode it twice. */
static fi_stage first_stage(const fi_decompressor *jpeg) {
    const bool is_decoded_twice =
        !jpeg->strict && !fi_has_end_marker(jpeg->source.next_input_byte, jpeg->source.bytes_in_buffer);
    return jpeg->use_libjpeg_entropy || is_decoded_twice ? other_stage(jpeg) : FI_STAGE_OWN;
}

static void start_nothing(j_decompress_ptr cinfo) {
    (void)cinfo;
}

/*
 * libjpeg's start_pass builds its Huffman tables, which takes as long as all the blocks of a small image: it is left out
 * where the core decodes the only scan. Else it comes first, since it checks a scan, and where it warns, libjpeg decodes
 * this one and all that follow. (All AC scans of a component are one stage's.)
 */
static void start_entropy_pass(j_decompress_ptr cinfo) {
    fi_decompressor *jpeg = cinfo->client_data;

    if (cinfo->input_scan_number == 1) {
        fi_entropy_begin_progressive(jpeg->entropy);
        jpeg->stage = first_stage(jpeg);
    }
    const bool is_only_scan = !cinfo->progressive_mode && !jpeg->multiple_scans && is_sequential_scan(cinfo);
    if (jpeg->stage == FI_STAGE_OWN && is_only_scan && start_scan(jpeg)) {
        cinfo->coef->decompress_data = decompress_data;
        /* All blocks come to the kernel, so that libjpeg's inverse DCTs need no tables. */
        const bool is_whole = cinfo->scale_num == cinfo->scale_denom;
        if (cinfo->raw_data_out && is_whole && is_islow(cinfo)) cinfo->idct->start_pass = start_nothing;
        return;
    }
    /* libjpeg chooses the method here if the scan is progressive, and before if not. */
    cinfo->entropy->decode_mcu = jpeg->decode_mcu;
    jpeg->start_entropy_pass(cinfo);
    jpeg->decode_mcu = cinfo->entropy->decode_mcu;
    if (jpeg->stage == FI_STAGE_OWN && jpeg->errors.num_warnings > 0) jpeg->stage = other_stage(jpeg);
    if (jpeg->stage != FI_STAGE_LIBJPEG && !start_scan(jpeg)) jpeg->stage = FI_STAGE_LIBJPEG;
    if (jpeg->stage == FI_STAGE_CHECKED) cinfo->entropy->decode_mcu = check_and_decode;
    const bool is_own = jpeg->stage == FI_STAGE_OWN;
    if (is_own) cinfo->entropy->decode_mcu = cinfo->progressive_mode ? suspend : decode_sequential;
    if (cinfo->progressive_mode) cinfo->coef->consume_data = is_own ? consume_data : jpeg->consume_data;
    if (!is_own) fi_coef_arrays_complete(&jpeg->coefs);
}

/*
 * Records where the data of the scans so far ends. libjpeg, which has read ahead, goes on from where the core's own
 * stage would.
 */
static void finish_input_pass(j_decompress_ptr cinfo) {
    fi_decompressor *jpeg = cinfo->client_data;

    if (jpeg->scan_end) {
        jpeg->eof = false;
        jpeg->source.bytes_in_buffer = (size_t)(jpeg->data_end - jpeg->scan_end);
        jpeg->source.next_input_byte = jpeg->scan_end;
        cinfo->unread_marker = 0;
    }
    jpeg->scan_end = NULL;
    const size_t marker_nbytes = cinfo->unread_marker ? 2 : 0;
    if (!jpeg->eof) jpeg->scans_nbytes = (size_t)(jpeg->source.next_input_byte - jpeg->data) - marker_nbytes;
    jpeg->finish_input_pass(cinfo);
}

/*
 * Runs once per image, before the first scan; libjpeg starts later scans without this hook. The previous image may have
 * been reduced, and its samples were wider.
 */
static void start_input_pass(j_decompress_ptr cinfo) {
    fi_decompressor *jpeg = cinfo->client_data;
    memset(jpeg->reduced, 0, sizeof jpeg->reduced);
    jpeg->start_entropy_pass = cinfo->entropy->start_pass;
    jpeg->decode_mcu = cinfo->entropy->decode_mcu;
    cinfo->entropy->start_pass = start_entropy_pass;
    jpeg->consume_data = cinfo->coef->consume_data;
    jpeg->decompress_data = cinfo->coef->decompress_data;
    jpeg->start_output_pass = cinfo->coef->start_output_pass;
    cinfo->coef->start_output_pass = start_output_pass;
    jpeg->start_input_pass(cinfo);
}

static void reduced_inverse_dct(j_decompress_ptr cinfo, jpeg_component_info *component, JCOEFPTR block, JSAMPARRAY rows,
                                JDIMENSION column) {
    const fi_decompressor *jpeg = cinfo->client_data;

    fi_reduce_block(cinfo, component, &jpeg->reduced[component->component_index], block, rows, column);
}

void fi_hooks_reduce(fi_decompressor *jpeg, unsigned count) {
    static const uint16_t nothing[DCTSIZE2];
    const j_decompress_ptr cinfo = &jpeg->cinfo;
    int sizes[MAX_COMPONENTS];

    /* libjpeg chooses its methods by these sizes: make it choose those for whole blocks. */
    for (unsigned c = 0; c < count; c++) {
        sizes[c] = FI_DCT_SIZE(&cinfo->comp_info[c]);
        FI_DCT_SIZE(&cinfo->comp_info[c]) = DCTSIZE;
    }
    cinfo->idct->start_pass(cinfo);
    for (unsigned c = 0; c < count; c++) {
        jpeg_component_info *component = &cinfo->comp_info[c];
        fi_reduced *reduced = &jpeg->reduced[c];
        const uint32_t size = (uint32_t)(FI_DCT_SIZE(component) = sizes[c]);
        if (size == DCTSIZE) continue;
        reduced->whole_rows = size == 1 ? UINT32_MAX : reduced->height / DCTSIZE * size;
        reduced->whole_columns = size == 1 ? UINT32_MAX : reduced->width / DCTSIZE * size;
        reduced->idct = fi_idct_choose(size);
        reduced->quantisation = component->quant_table ? component->quant_table->quantval : nothing;
        reduced->full_size = cinfo->idct->inverse_DCT[c];
        cinfo->idct->inverse_DCT[c] = reduced_inverse_dct;
    }
}

static void take_ycc(j_decompress_ptr cinfo, JSAMPIMAGE input, JDIMENSION row, JSAMPARRAY output, int rows) {
    const fi_decompressor *jpeg = cinfo->client_data;

    (void)output;
    for (; rows > 0; rows--, row++) {
        const uint8_t *const ycc[3] = {input[0][row], input[1][row], input[2][row]};
        jpeg->sink->rows(jpeg->sink, ycc, 1);
    }
}

void fi_hooks_take_ycc(fi_decompressor *jpeg) {
    jpeg->cinfo.cconvert->color_convert = take_ycc;
}

void fi_hooks_need(fi_decompressor *jpeg, int component, bool needed, bool at_bottom) {
    const j_decompress_ptr cinfo = &jpeg->cinfo;
    jpeg_component_info *info = &cinfo->comp_info[component];
    const unsigned last = !needed                              ? 0
                          : at_bottom && FI_DCT_SIZE(info) > 1 ? 63
                                                               : fi_idct_last((unsigned)FI_DCT_SIZE(info));

    info->component_needed = needed;
    const bool is_checked = jpeg->stage == FI_STAGE_CHECKED && !jpeg->multiple_scans && !cinfo->progressive_mode;
    if (cinfo->coef->decompress_data != decompress_data && !is_checked) return;
    for (int i = 0; i < cinfo->comps_in_scan; i++) {
        if (cinfo->cur_comp_info[i] == info) fi_entropy_need(jpeg->entropy, (uint8_t)i, last);
    }
}

void fi_hooks_install(fi_decompressor *jpeg) {
    jpeg->start_input_pass = jpeg->cinfo.inputctl->start_input_pass;
    jpeg->cinfo.inputctl->start_input_pass = start_input_pass;
    jpeg->finish_input_pass = jpeg->cinfo.inputctl->finish_input_pass;
    jpeg->cinfo.inputctl->finish_input_pass = finish_input_pass;
}
