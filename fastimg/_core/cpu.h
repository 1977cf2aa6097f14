/* SPDX-License-Identifier: BSD-3-Clause */
/* The CPU features that kernels are written for. */
#ifndef FI_CPU_H
#define FI_CPU_H

#include "fi.h"

enum { FI_CPU_SSSE3 = 1, FI_CPU_AVX2 = 2, FI_CPU_BMI2 = 4, FI_CPU_NEON = 8, FI_CPU_FAST_PDEP = 16 };

/* Those of this CPU. */
unsigned fi_cpu_features(void);

#endif
