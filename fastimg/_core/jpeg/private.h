/* SPDX-License-Identifier: BSD-3-Clause */
/* libjpeg-turbo's private parts. */
#ifndef FI_PRIVATE_H
#define FI_PRIVATE_H

#include "jpeg/compat.h"

/*
 * The first members of structs in libjpeg-turbo's jpegint.h, 2.1 to 3.x: all that the core knows of its private
 * parts.
 */
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

#endif
