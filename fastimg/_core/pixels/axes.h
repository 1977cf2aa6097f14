/* SPDX-License-Identifier: BSD-3-Clause */
/* From the plan and the format of rows to the axes that coefs.c computes coefficients for. */
#ifndef FI_AXES_H
#define FI_AXES_H

#include "pixels/coefs.h"
#include "pixels/sink.h"

/* Both axes of plane p. */
void fi_axes_make(fi_axis *x, fi_axis *y, const fi_plan *plan, fi_filter filter, const fi_format *format, unsigned p);

#endif
