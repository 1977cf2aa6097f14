/* SPDX-License-Identifier: BSD-3-Clause */
/* libjpeg's errors become failures. Its warnings are sorted into lost pixels and harmless ones. Nothing is printed. */
#ifndef FI_WARNINGS_H
#define FI_WARNINGS_H

#include "jpeg/state.h"

/* Call it before jpeg_create_decompress(). */
void fi_warnings_install(fi_decompressor *jpeg);

/* Ends the decoding under way: jumps back to where decompressor.c called setjmp. */
_Noreturn void fi_fail(fi_decompressor *jpeg, fi_status status);

/* The same, and reports how far the data got: the row, and the scan if the file has several (else 0). */
_Noreturn void fi_fail_at_row(fi_decompressor *jpeg, fi_status status);

/* Ends it because the core's own stages cannot go on: the image is decoded again by libjpeg's. */
_Noreturn void fi_fall_back(fi_decompressor *jpeg);

#endif
