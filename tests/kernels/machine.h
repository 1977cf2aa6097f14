/* SPDX-License-Identifier: BSD-3-Clause */
/* What the harness asks of the operating system. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stddef.h>
#include <stdint.h>

/* At least nbytes, which are then how many, between pages that cannot be accessed. Returns NULL without memory. */
uint8_t *map_guarded(size_t *nbytes);

/* Calls a function, which must not return, when such a page is accessed. */
void catch_faults(void (*on_fault)(int number));

/* A clock in nanoseconds. */
double now_ns(void);

#endif
