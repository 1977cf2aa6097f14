/* SPDX-License-Identifier: BSD-3-Clause */
/* What a decoder keeps for several views of one image. */
#ifndef FI_VIEWS_H
#define FI_VIEWS_H

#include "buffer.h"
#include "fi.h"
#include "pixels/fan_sink.h"
#include "pixels/resample_sink.h"

/* Of one view. With random boxes no two views share coefficients, so each has a cache of its own. */
typedef struct fi_view_state {
    fi_plan plan;
    fi_resample_sink sink;
    fi_coef_cache *coefs;
    fi_buffer memory;
} fi_view_state;

typedef struct fi_views {
    fi_view_state *states;
    fi_sink **sinks; /* room for one per state */
    fi_fan_sink fan;
    size_t count; /* of states */
} fi_views;

/* Makes sure that there are at least `count` states. Returns false if there is no memory; those that were there stay. */
bool fi_views_reserve(fi_views *views, size_t count);

void fi_views_free(fi_views *views);

/* Frees what is larger than most images need. */
void fi_views_trim(fi_views *views, size_t keep_nbytes);

/*
 * The sink of one pass over an image, for those of `count` views whose plans resample; NULL if there are none. All of
 * them are decoded at the scale of the least reduced one, which their plans have from now on. *plan becomes one of them.
 */
fi_sink *fi_views_sink(fi_views *views, const fi_view *given, size_t count, const fi_plan **plan);

#endif
