/* SPDX-License-Identifier: BSD-3-Clause */
/* A sink that hands the same rows on to several others: several results of one decode. */
#ifndef FI_FAN_SINK_H
#define FI_FAN_SINK_H

#include "pixels/sink.h"

typedef struct fi_fan_sink {
    fi_sink base;
    fi_sink *const *sinks;
    size_t count;
} fi_fan_sink;

/*
 * The sinks, of which there is at least one, are borrowed. None of them may be a copy sink that takes FI_ROWS_OUTPUT.
 * The rows are of a kind that all of them take.
 */
void fi_fan_sink_init(fi_fan_sink *fan, fi_sink *const *sinks, size_t count);

#endif
