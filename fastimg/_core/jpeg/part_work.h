/* SPDX-License-Identifier: BSD-3-Clause */
/* What one thread does. */
#ifndef FI_PART_WORK_H
#define FI_PART_WORK_H

#include "jpeg/part_state.h"

/* Works until the work is over. `scratch` is the decompressor whose buffers it may use; `leads`: it is the image's. */
void fi_part_work(fi_parts *parts, fi_decompressor *scratch, bool leads);

/* Makes samples of a guess that is ready, for a thread that waits for room. false: there is nothing. */
bool fi_part_assist(fi_part_worker *worker);

#endif
