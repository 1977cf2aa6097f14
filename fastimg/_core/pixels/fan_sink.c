/* SPDX-License-Identifier: BSD-3-Clause */
#include "pixels/fan_sink.h"

/* `base` is the first member of every sink. */
static const fi_fan_sink *const_self(const fi_sink *base) {
    return (const fi_fan_sink *)base;
}

/* One output's bytes are no other's. */
static bool takes(const fi_sink *base, fi_rows_kind kind) {
    const fi_fan_sink *fan = const_self(base);

    if (kind == FI_ROWS_OUTPUT) return false;
    for (size_t i = 0; i < fan->count; i++) {
        if (!fan->sinks[i]->takes(fan->sinks[i], kind)) return false;
    }
    return true;
}

static bool begin(fi_sink *base, const fi_format *format) {
    const fi_fan_sink *fan = const_self(base);

    for (size_t i = 0; i < fan->count; i++) {
        if (!fan->sinks[i]->begin(fan->sinks[i], format)) return false;
    }
    return true;
}

static bool needs(const fi_sink *base, unsigned p) {
    const fi_fan_sink *fan = const_self(base);

    for (size_t i = 0; i < fan->count; i++) {
        if (fan->sinks[i]->needs(fan->sinks[i], p)) return true;
    }
    return false;
}

static void rows(fi_sink *base, const uint8_t *const planes[], uint32_t groups) {
    const fi_fan_sink *fan = const_self(base);

    for (size_t i = 0; i < fan->count; i++) {
        fi_sink *sink = fan->sinks[i];
        if (!sink->done(sink)) sink->rows(sink, planes, groups);
    }
}

static bool done(const fi_sink *base) {
    const fi_fan_sink *fan = const_self(base);

    for (size_t i = 0; i < fan->count; i++) {
        if (!fan->sinks[i]->done(fan->sinks[i])) return false;
    }
    return true;
}

void fi_fan_sink_init(fi_fan_sink *fan, fi_sink *const *sinks, size_t count) {
    *fan = (fi_fan_sink){
        .base = {.takes = takes, .begin = begin, .needs = needs, .rows = rows, .done = done},
        .sinks = sinks,
        .count = count,
    };
}
