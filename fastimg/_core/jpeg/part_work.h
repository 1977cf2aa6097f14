/* SPDX-License-Identifier: BSD-3-Clause */
/* What one thread does. */
#ifndef FI_PART_WORK_H
#define FI_PART_WORK_H

#include "jpeg/part_state.h"

/* Works until the work is over. `own` is the decompressor whose buffers it may use; `leads`: it is the image's. */
void fi_part_work(fi_parts *parts, fi_decompressor *own, bool leads);

/* fi_parts.assist() */
bool fi_part_assist(fi_part_worker *worker);

#endif
