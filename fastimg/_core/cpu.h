/* SPDX-License-Identifier: BSD-3-Clause */
/* What the processor this runs on can do, of what there is code for. */
#ifndef FI_CPU_H
#define FI_CPU_H

#include <stdbool.h>

enum { FI_CPU_AVX2 = 1, FI_CPU_NEON = 2, FI_CPU_BMI2 = 4 };

unsigned fi_cpu_features(void);

void fi_cpu_init(bool plain); /* once, by fi_init() */

/* Those of fi_cpu_features() that are to be made use of: none if `plain`. */
unsigned fi_cpu_used(void);

#endif
