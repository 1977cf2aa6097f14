/* SPDX-License-Identifier: BSD-3-Clause */
/* What the processor this runs on can do, of what kernels exist for. */
#ifndef FI_CPU_H
#define FI_CPU_H

enum { FI_CPU_AVX2 = 1, FI_CPU_NEON = 2 };

unsigned fi_cpu_features(void);

#endif
