/* SPDX-License-Identifier: BSD-3-Clause */
/* libjpeg-turbo's headers, what differs between its versions, and what was found out about the one that is loaded. */
#ifndef FI_COMPAT_H
#define FI_COMPAT_H

#include "fi.h"

#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

#if !defined(LIBJPEG_TURBO_VERSION_NUMBER) || LIBJPEG_TURBO_VERSION_NUMBER < 2001000
#error                                                                                                                 \
    "fastimg needs libjpeg-turbo 2.1 or newer (Debian: libjpeg62-turbo-dev, Fedora: libjpeg-turbo-devel, Homebrew: jpeg-turbo)"
#endif

#if JPEG_LIB_VERSION >= 70
#define FI_DCT_SIZE(component) ((component)->DCT_h_scaled_size)
#else
#define FI_DCT_SIZE(component) ((component)->DCT_scaled_size)
#endif

#define FI_MAX_ROWS (MAX_SAMP_FACTOR * DCTSIZE) /* of a component in one call of libjpeg */

/* libjpeg's inverse DCT. The coefficients are aligned to 32 bytes: the SIMD versions rely on that. */
typedef void fi_inverse_dct(j_decompress_ptr cinfo, jpeg_component_info *component, JCOEFPTR coefficients,
                            JSAMPARRAY rows, JDIMENSION column);

#endif
