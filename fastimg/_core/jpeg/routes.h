/* SPDX-License-Identifier: BSD-3-Clause */
/* The two ways through a decompressor: libjpeg's pixels as they are, or the planes that the inverse DCT leaves. */
#ifndef FI_ROUTES_H
#define FI_ROUTES_H

#include "jpeg/decompressor.h"

extern const fi_route fi_copy_route, fi_resample_route;

#endif
