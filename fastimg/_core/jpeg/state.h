/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of a decompressor, which the files of this room share. */
#ifndef FI_STATE_H
#define FI_STATE_H

#include "buffer.h"
#include "entropy/entropy.h"
#include "jpeg/coef_arrays.h"
#include "jpeg/compat.h"
#include "jpeg/mcu_rows.h"
#include "jpeg/part_memory.h"
#include "pixels/idct.h"
#include "pixels/sink.h"

#include <setjmp.h>

#define MAX_WARNINGS 8

typedef struct fi_decompressor fi_decompressor;

/* Which entropy stage decodes a scan. */
typedef enum fi_stage {
    FI_STAGE_OWN,
    FI_STAGE_CHECKED, /* libjpeg's, with the core's own beside it for the verdict */
    FI_STAGE_LIBJPEG,
} fi_stage;

/*
 * setjmp is called in decompressor.c alone, by functions that hold nothing to clean up and change no local afterwards:
 * whatever changes on the way is in here, on the heap.
 */
struct fi_decompressor {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf on_failure;
    fi_failure *failure;
    fi_entropy *entropy;
    fi_mcu_rows *mcu_rows;
    fi_sink *sink;
    uint32_t max_scans, free_scans;
    uint64_t max_scanned, max_missing;
    fi_watch watch;
    struct fi_team *team; /* NULL, or threads that may help */
    bool is_alone; /* they have tried, and given up */
    fi_buffer fork; /* of a sink */
    fi_part_memory part_memory;
    bool is_set_up; /* cinfo is complete */
    bool strict;
    bool any_coefficients;
    bool eof; /* libjpeg asked for more bytes than there are */
    bool scanning; /* the header is read */
    bool is_reading; /* rows come out */
    bool is_complete; /* all of them are out */
    bool is_cut; /* the data ends where the scans do, by intention */
    bool use_libjpeg_entropy; /* leave scans and colours to libjpeg */
    bool fell_back; /* the core's own stages gave up on this image */
    bool multiple_scans;
    fi_stage stage; /* of this scan, and all further ones of the file unless it changes */
    size_t mcus_left; /* of the scan in the core's own stage */
    const uint8_t *scan_end; /* where the core's own stage has found it, beside libjpeg's; or NULL */
    const uint8_t *data, *data_end;
    const uint8_t *source_end; /* of what libjpeg is given at a time: see input.h */
    size_t scans_nbytes; /* of the data, to the end of the last whole scan */
    uint32_t height; /* as header.c has it; libjpeg takes over that of any further frame header */
    int16_t scratch[FI_MAX_MCU_BLOCKS][DCTSIZE2];
    fi_rows_kind rows_kind; /* what the route delivers */
    fi_reduced reduced[3];
    void (*start_input_pass)(j_decompress_ptr cinfo); /* libjpeg's own */
    void (*finish_input_pass)(j_decompress_ptr cinfo);
    void (*start_entropy_pass)(j_decompress_ptr cinfo);
    boolean (*decode_mcu)(j_decompress_ptr cinfo, JBLOCKROW *blocks);
    int (*consume_data)(j_decompress_ptr cinfo);
    void (*start_output_pass)(j_decompress_ptr cinfo);
    int (*decompress_data)(j_decompress_ptr cinfo, JSAMPIMAGE output);
    void (*realize_virt_arrays)(j_common_ptr cinfo);
    fi_coef_arrays coefs; /* if there are several scans */
    int warning_codes[MAX_WARNINGS];
    size_t warning_count, warnings_nbytes;
    char warnings[MAX_WARNINGS * FI_TEXT_NBYTES];
};

static inline bool fi_is_four_channel(const struct jpeg_decompress_struct *cinfo) {
    return cinfo->jpeg_color_space == JCS_CMYK || cinfo->jpeg_color_space == JCS_YCCK;
}

#endif
