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

/* The same for a fault of a scan, with its MCU and in words. */
_Noreturn void fi_fail_at_fault(fi_decompressor *jpeg, const fi_fault *fault);

/* Adds to the warnings, unless there is one of this libjpeg code already. */
void fi_warnings_add(fi_decompressor *jpeg, int code, const char *text);

/* Ends it because the core's own stages cannot go on: the image is decoded again by libjpeg's. */
_Noreturn void fi_fall_back(fi_decompressor *jpeg);

/* Ends it because several threads cannot say what is wrong: the image is decoded again by one. */
_Noreturn void fi_try_alone(fi_decompressor *jpeg);

#endif
