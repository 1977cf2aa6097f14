/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/warnings.h"

static fi_decompressor *decompressor_of(j_common_ptr cinfo) {
    return cinfo->client_data;
}

static void report_row(fi_decompressor *jpeg) {
    const j_decompress_ptr cinfo = &jpeg->cinfo;
    if (!jpeg->scanning) return;
    const uint64_t row = (uint64_t)cinfo->input_iMCU_row * (uint64_t)cinfo->max_v_samp_factor * DCTSIZE;
    jpeg->failure->detail[0] = (int64_t)(row < cinfo->image_height ? row : cinfo->image_height);
    jpeg->failure->detail[1] = cinfo->image_height;
    jpeg->failure->detail[2] = jpeg->multiple_scans ? cinfo->input_scan_number : 0;
}

_Noreturn void fi_fail(fi_decompressor *jpeg, fi_status status) {
    jpeg->failure->status = status;
    longjmp(jpeg->on_failure, 1);
}

_Noreturn void fi_fail_at_row(fi_decompressor *jpeg, fi_status status) {
    report_row(jpeg);
    fi_fail(jpeg, status);
}

_Noreturn void fi_fall_back(fi_decompressor *jpeg) {
    jpeg->fell_back = true;
    longjmp(jpeg->on_failure, 1);
}

static fi_status status_of(int code) {
    switch (code) {
        case JERR_OUT_OF_MEMORY:
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

static void on_error(j_common_ptr cinfo) {
    fi_decompressor *jpeg = decompressor_of(cinfo);
    fi_status status = status_of(cinfo->err->msg_code);

    cinfo->err->format_message(cinfo, jpeg->failure->text);
    if (status == FI_E_CORRUPT && jpeg->eof) status = FI_E_TRUNCATED;
    fi_fail_at_row(jpeg, status);
}

/* Warnings of lost pixels. All others come with files whose every pixel is right. */
static bool is_loss(int code) {
    return code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_MUST_RESYNC ||
           code == JWRN_ARITH_BAD_CODE;
}

static void add_warning(fi_decompressor *jpeg) {
    const int code = jpeg->errors.msg_code;
    char text[JMSG_LENGTH_MAX];

    if (jpeg->warning_count == MAX_WARNINGS) return;
    for (size_t i = 0; i < jpeg->warning_count; i++) {
        if (jpeg->warning_codes[i] == code) return;
    }
    jpeg->errors.format_message((j_common_ptr)&jpeg->cinfo, text);
    jpeg->warning_codes[jpeg->warning_count++] = code;
    const int nbytes = snprintf(jpeg->warnings + jpeg->warnings_nbytes, sizeof jpeg->warnings - jpeg->warnings_nbytes,
                                "%s%s", jpeg->warnings_nbytes ? "\n" : "", text);
    if (nbytes > 0) jpeg->warnings_nbytes += (size_t)nbytes;
}

static void on_message(j_common_ptr cinfo, int level) {
    fi_decompressor *jpeg = decompressor_of(cinfo);

    if (level >= 0) return; /* a trace message */
    cinfo->err->num_warnings++;
    if (!is_loss(cinfo->err->msg_code)) {
        add_warning(jpeg);
    } else if (jpeg->strict) {
        cinfo->err->format_message(cinfo, jpeg->failure->text);
        fi_fail_at_row(jpeg, jpeg->eof ? FI_E_TRUNCATED : FI_E_CORRUPT);
    }
}

static void on_output(j_common_ptr cinfo) {
    (void)cinfo; /* print nothing */
}

/* Every scan of a progressive image costs as much as all its pixels, and a few bytes make a scan. */
static void on_progress(j_common_ptr cinfo) {
    fi_decompressor *jpeg = decompressor_of(cinfo);
    if ((uint32_t)jpeg->cinfo.input_scan_number > jpeg->max_scans) {
        jpeg->failure->detail[0] = jpeg->max_scans;
        fi_fail(jpeg, FI_E_SCANS);
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
