/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Included where real numbers are multiplied and added, so that results are the same on every machine: a product and a
 * sum are rounded one after the other. Compilers may fuse them where there is an instruction for it, and clang does.
 */
#ifndef FI_EXACT_H
#define FI_EXACT_H

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF /* gcc, which does not know it, does not fuse them with -std=c11 */
#endif

#endif
