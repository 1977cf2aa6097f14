/* SPDX-License-Identifier: BSD-3-Clause */
/* libjpeg's errors and warnings. */
#include "session_private.h"

static fi_session *session_of(j_common_ptr cinfo) {
    return cinfo->client_data;
}

static void say_where(fi_session *session) {
    const j_decompress_ptr cinfo = &session->cinfo;
    if (!session->scanning) return;
    const uint64_t row = (uint64_t)cinfo->input_iMCU_row * (uint64_t)cinfo->max_v_samp_factor * DCTSIZE;
    session->failure->detail[0] = (int64_t)(row < cinfo->image_height ? row : cinfo->image_height);
    session->failure->detail[1] = cinfo->image_height;
    session->failure->detail[2] = session->multiple_scans ? cinfo->input_scan_number : 0;
}

_Noreturn void fi_session_escape(fi_session *session, fi_status status) {
    session->failure->status = status;
    longjmp(session->escape, 1);
}

_Noreturn void fi_session_escape_here(fi_session *session, fi_status status) {
    say_where(session);
    fi_session_escape(session, status);
}

static fi_status status_of(int code) {
    switch (code) {
        case JERR_OUT_OF_MEMORY:
            return FI_E_NOMEM;
#if JPEG_LIB_VERSION < 70 /* later interfaces have no such message */
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
    fi_session *session = session_of(cinfo);
    fi_status status = status_of(cinfo->err->msg_code);

    cinfo->err->format_message(cinfo, session->failure->text);
    if (status == FI_E_CORRUPT && session->hit_end) status = FI_E_TRUNCATED;
    fi_session_escape_here(session, status);
}

/* Warnings that mean that pixels are lost. All others come with files whose every pixel is right. */
static bool is_loss(int code) {
    return code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_MUST_RESYNC ||
           code == JWRN_ARITH_BAD_CODE;
}

static void add_note(fi_session *session) {
    const int code = session->errors.msg_code;
    char text[JMSG_LENGTH_MAX];

    if (session->note_count == MOST_NOTES) return;
    for (size_t i = 0; i < session->note_count; i++) {
        if (session->note_codes[i] == code) return;
    }
    session->errors.format_message((j_common_ptr)&session->cinfo, text);
    session->note_codes[session->note_count++] = code;
    const int nbytes = snprintf(session->notes + session->notes_nbytes, sizeof session->notes - session->notes_nbytes,
                                "%s%s", session->notes_nbytes ? "\n" : "", text);
    if (nbytes > 0) session->notes_nbytes += (size_t)nbytes;
}

static void on_message(j_common_ptr cinfo, int level) {
    fi_session *session = session_of(cinfo);

    if (level >= 0) return; /* a trace */
    cinfo->err->num_warnings++;
    if (!is_loss(cinfo->err->msg_code)) {
        add_note(session);
    } else if (session->strict) {
        cinfo->err->format_message(cinfo, session->failure->text);
        fi_session_escape_here(session, session->hit_end ? FI_E_TRUNCATED : FI_E_CORRUPT);
    }
}

static void on_output(j_common_ptr cinfo) {
    (void)cinfo; /* nothing is ever printed */
}

/* Every pass over a progressive image costs as much as its pixels, and a few bytes make a pass. */
static void on_progress(j_common_ptr cinfo) {
    fi_session *session = session_of(cinfo);
    if ((uint32_t)session->cinfo.input_scan_number > session->max_scans) {
        session->failure->detail[0] = session->max_scans;
        fi_session_escape(session, FI_E_SCANS);
    }
}

void fi_session_set_messages(fi_session *session) {
    session->cinfo.err = jpeg_std_error(&session->errors);
    session->cinfo.client_data = session;
    session->errors.error_exit = on_error;
    session->errors.emit_message = on_message;
    session->errors.output_message = on_output;
    session->progress.progress_monitor = on_progress;
}
