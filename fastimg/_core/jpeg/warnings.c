/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/warnings.h"

#include <string.h>

static fi_decompressor *decompressor_of(j_common_ptr cinfo) {
    return cinfo->client_data;
}

static void report(fi_decompressor *jpeg, uint64_t row, int64_t mcu) {
    jpeg->failure->detail[0] = (int64_t)(row < jpeg->height ? row : jpeg->height);
    jpeg->failure->detail[1] = jpeg->height;
    jpeg->failure->detail[2] = jpeg->multiple_scans ? jpeg->cinfo.input_scan_number : 0;
    jpeg->failure->detail[3] = mcu;
}

_Noreturn void fi_fail(fi_decompressor *jpeg, fi_status status) {
    jpeg->failure->status = status;
    longjmp(jpeg->on_failure, 1);
}

_Noreturn void fi_fail_at_row(fi_decompressor *jpeg, fi_status status) {
    const struct jpeg_decompress_struct *cinfo = &jpeg->cinfo;
    if (jpeg->scanning)
        report(jpeg, (uint64_t)cinfo->input_iMCU_row * (unsigned)cinfo->max_v_samp_factor * DCTSIZE, -1);
    fi_fail(jpeg, status);
}

static void describe_fault(const fi_fault *fault, char text[FI_TEXT_NBYTES]) {
    switch (fault->kind) {
        case FI_FAULT_CODE:
            snprintf(text, FI_TEXT_NBYTES, "bits that are no Huffman code");
            break;
        case FI_FAULT_BLOCK_END:
            snprintf(text, FI_TEXT_NBYTES, "coefficients past the end of a block");
            break;
        case FI_FAULT_RANGE:
            snprintf(text, FI_TEXT_NBYTES, "coefficients that no 8-bit image has");
            break;
        case FI_FAULT_MARKER:
            snprintf(text, FI_TEXT_NBYTES, "marker ff %02x comes too early", fault->marker);
            break;
        case FI_FAULT_LEFT_OVER:
            snprintf(text, FI_TEXT_NBYTES, "%zu bytes are left over in front of marker ff %02x", fault->nbytes,
                     fault->marker);
            break;
        case FI_FAULT_RESTART:
            snprintf(text, FI_TEXT_NBYTES, "restart marker ff %02x is not the one that is due", fault->marker);
            break;
        default: /* FI_FAULT_END says all */
            text[0] = '\0';
    }
}

/* The row is that of the MCU. If a component is alone in its scan, each of its blocks is one. */
_Noreturn void fi_fail_at_fault(fi_decompressor *jpeg, const fi_fault *fault) {
    const struct jpeg_decompress_struct *cinfo = &jpeg->cinfo;
    const uint64_t mcu_row = fault->mcu / cinfo->MCUs_per_row;
    const unsigned v_samp = cinfo->comps_in_scan > 1 ? 1 : (unsigned)cinfo->cur_comp_info[0]->v_samp_factor;

    report(jpeg, mcu_row * DCTSIZE * (unsigned)cinfo->max_v_samp_factor / v_samp, (int64_t)fault->mcu);
    describe_fault(fault, jpeg->failure->text);
    fi_fail(jpeg, fault->kind == FI_FAULT_END ? FI_E_TRUNCATED : FI_E_CORRUPT);
}

_Noreturn void fi_fall_back(fi_decompressor *jpeg) {
    jpeg->fell_back = true;
    longjmp(jpeg->on_failure, 1);
}

_Noreturn void fi_try_alone(fi_decompressor *jpeg) {
    jpeg->is_alone = true;
    longjmp(jpeg->on_failure, 1);
}

static fi_status status_of(int code) {
    switch (code) {
        case JERR_OUT_OF_MEMORY:
        case JERR_NO_BACKING_STORE: /* more than libjpeg may take */
            return FI_E_NOMEM;
#if JPEG_LIB_VERSION < 70 /* the later interfaces do not have it */
        case JERR_ARITH_NOTIMPL:
#endif
        case JERR_BAD_PRECISION:
        case JERR_CCIR601_NOTIMPL:
        case JERR_COMPONENT_COUNT:
        case JERR_CONVERSION_NOTIMPL:
        case JERR_FRACT_SAMPLE_NOTIMPL:
        case JERR_IMAGE_TOO_BIG:
        case JERR_NOT_COMPILED:
        case JERR_NOTIMPL:
        case JERR_SOF_UNSUPPORTED:
        case JERR_WIDTH_OVERFLOW:
            return FI_E_UNSUPPORTED;
        default:
            return FI_E_CORRUPT;
    }
}

/*
 * What follows the last row cannot make an image fail. If not strict, rows that are out are kept;
 * the others are zero.
 */
static void on_error(j_common_ptr cinfo) {
    fi_decompressor *jpeg = decompressor_of(cinfo);
    const int code = cinfo->err->msg_code;
    const bool has_rows = jpeg->is_reading && jpeg->cinfo.output_scanline > 0;
    fi_status status = status_of(code);
    char text[JMSG_LENGTH_MAX];

    cinfo->err->format_message(cinfo, text);
    if (jpeg->is_complete) fi_warnings_add(jpeg, code, text);
    if (jpeg->is_complete || (has_rows && !jpeg->strict && status != FI_E_NOMEM)) fi_fail(jpeg, FI_OK);
    memcpy(jpeg->failure->text, text, sizeof text);
    if (status == FI_E_CORRUPT && jpeg->eof) status = FI_E_TRUNCATED;
    fi_fail_at_row(jpeg, status);
}

/* Warnings of lost pixels. All others come with files whose every pixel is right. */
static bool is_loss(int code) {
    return code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_MUST_RESYNC ||
           code == JWRN_ARITH_BAD_CODE;
}

void fi_warnings_add(fi_decompressor *jpeg, int code, const char *text) {
    if (jpeg->warning_count == MAX_WARNINGS) return;
    for (size_t i = 0; i < jpeg->warning_count; i++) {
        if (jpeg->warning_codes[i] == code) return;
    }
    jpeg->warning_codes[jpeg->warning_count++] = code;
    const int nbytes = snprintf(jpeg->warnings + jpeg->warnings_nbytes, sizeof jpeg->warnings - jpeg->warnings_nbytes,
                                "%s%s", jpeg->warnings_nbytes ? "\n" : "", text);
    if (nbytes > 0) jpeg->warnings_nbytes += (size_t)nbytes;
}

static void on_message(j_common_ptr cinfo, int level) {
    fi_decompressor *jpeg = decompressor_of(cinfo);
    const int code = cinfo->err->msg_code;
    char text[JMSG_LENGTH_MAX];

    if (level >= 0) return; /* a trace message */
    const bool is_checked = jpeg->stage == FI_STAGE_CHECKED && (jpeg->mcus_left > 0 || jpeg->scan_end);
    if (code == JWRN_EXTRANEOUS_DATA && is_checked) return; /* the core's own stage tells */
    cinfo->err->num_warnings++;
    if (is_loss(code) && !jpeg->is_complete) {
        if (!jpeg->strict) return;
        cinfo->err->format_message(cinfo, jpeg->failure->text);
        fi_fail_at_row(jpeg, jpeg->eof ? FI_E_TRUNCATED : FI_E_CORRUPT);
    }
    cinfo->err->format_message(cinfo, text);
    fi_warnings_add(jpeg, code, text);
}

static void on_output(j_common_ptr cinfo) {
    (void)cinfo; /* print nothing */
}

/*
 * Called for each row of MCUs. Every scan of a progressive image costs as much as all its pixels, and a few bytes make a
 * scan.
 */
static void on_progress(j_common_ptr common) {
    fi_decompressor *jpeg = decompressor_of(common);
    const struct jpeg_decompress_struct *cinfo = &jpeg->cinfo;
    const uint64_t pixels = (uint64_t)cinfo->image_height * cinfo->image_width;
    const uint64_t scans = (uint64_t)cinfo->input_scan_number;

    if (jpeg->watch.stop && jpeg->watch.stop(jpeg->watch.context)) fi_fail(jpeg, FI_E_CANCELLED);
    if (scans > jpeg->max_scans) {
        jpeg->failure->detail[0] = jpeg->max_scans;
        fi_fail(jpeg, FI_E_SCANS);
    }
    if (jpeg->max_scanned && scans > jpeg->free_scans && pixels * scans > jpeg->max_scanned) {
        const uint64_t allowed = jpeg->max_scanned / pixels;

        jpeg->failure->detail[0] = cinfo->image_height;
        jpeg->failure->detail[1] = cinfo->image_width;
        jpeg->failure->detail[2] = allowed > jpeg->free_scans ? (int64_t)allowed : jpeg->free_scans;
        jpeg->failure->detail[3] = jpeg->max_scans;
        fi_fail(jpeg, FI_E_COST);
    }
}

void fi_warnings_install(fi_decompressor *jpeg) {
    jpeg->cinfo.err = jpeg_std_error(&jpeg->errors);
    jpeg->cinfo.client_data = jpeg;
    jpeg->errors.error_exit = on_error;
    jpeg->errors.emit_message = on_message;
    jpeg->errors.output_message = on_output;
    jpeg->progress.progress_monitor = on_progress;
}
