/* SPDX-License-Identifier: BSD-3-Clause */
#include "views.h"

#include <stdlib.h>
#include <string.h>

bool fi_views_reserve(fi_views *views, size_t count) {
    if (count <= views->count) return true;
    fi_sink **sinks = realloc(views->sinks, count * sizeof(fi_sink *));
    if (!sinks) return false;
    views->sinks = sinks;
    fi_view_state *states = realloc(views->states, count * sizeof *states);
    if (!states) return false;
    views->states = states;
    memset(states + views->count, 0, (count - views->count) * sizeof *states);
    for (; views->count < count; views->count++) {
        states[views->count].coefs = fi_coef_cache_new();
        if (!states[views->count].coefs) return false;
    }
    return true;
}

void fi_views_free(fi_views *views) {
    for (size_t i = 0; i < views->count; i++) {
        fi_coef_cache_free(views->states[i].coefs);
        fi_buffer_free(&views->states[i].memory);
    }
    free(views->states);
    free(views->sinks);
    *views = (fi_views){0};
}

void fi_views_trim(fi_views *views, size_t keep_nbytes) {
    for (size_t i = 0; i < views->count; i++) {
        fi_coef_cache_trim(views->states[i].coefs);
        if (views->states[i].memory.capacity > keep_nbytes) fi_buffer_free(&views->states[i].memory);
    }
}

fi_sink *fi_views_sink(fi_views *views, const fi_view *given, size_t count, const fi_plan **plan) {
    uint32_t scale_denom = 8;
    size_t resized = 0;

    for (size_t i = 0; i < count; i++) {
        const fi_plan *each = &views->states[i].plan;
        if (each->resize && each->scale_denom < scale_denom) scale_denom = each->scale_denom;
    }
    for (size_t i = 0; i < count; i++) {
        fi_view_state *state = &views->states[i];
        if (!state->plan.resize) continue;
        state->plan.scale_denom = scale_denom;
        fi_resample_sink_init(&state->sink, &state->plan, given[i].options, &given[i].out, state->coefs,
                              &state->memory);
        views->sinks[resized++] = &state->sink.base;
        *plan = &state->plan;
    }
    if (!resized) return NULL;
    fi_fan_sink_init(&views->fan, views->sinks, resized);
    return &views->fan.base;
}
