/* SPDX-License-Identifier: BSD-3-Clause */
/* One image, decoded by one thread or by several. */
#include "team.h"

#include <pthread.h>

#define MAX_HELPERS 7
#define MAX_NBYTES ((size_t)64 << 20)

typedef struct {
    fi_team *team;
    fi_decoder *decoder;
} helper;

static void *help(void *context) {
    const helper *self = context;
    fi_decoder_follow(self->decoder, self->team);
    return NULL;
}

static fi_status decode(fi_decoder *decoder, const fi_source *source, const fi_options *options, uint8_t *pixels,
                        size_t *nbytes, fi_failure *failure) {
    const fi_crop whole = {0};
    fi_plan plan;

    *nbytes = 0;
    fi_status status = fi_open(decoder, source, options->max_pixels, failure);
    if (status == FI_OK) {
        status = fi_plan_make(&plan, fi_decoder_header(decoder), options, &whole, false, failure);
    }
    if (status != FI_OK) return status;
    const ptrdiff_t row = plan.out_width;
    const fi_output out = {pixels, row * plan.out_height, row, plan.out_height, plan.out_width};
    *nbytes = (size_t)row * plan.out_height * fi_channels(options);
    return fi_decode(decoder, options, &whole, false, &out, failure);
}

static void decode_together(fi_decoder *decoder, const fi_source *source, const fi_options *options, size_t threads,
                            size_t part_nbytes, uint8_t *pixels, fi_failure *failure) {
    const fi_team_options how = {.threads = threads, .part_nbytes = part_nbytes};
    pthread_t others[MAX_HELPERS];
    helper helpers[MAX_HELPERS];
    size_t nbytes;

    fi_team *team = fi_team_new(&how);
    fi_team_lead(team);
    for (size_t i = 0; i + 1 < threads; i++) {
        helpers[i] = (helper){team, fi_decoder_new()};
        pthread_create(&others[i], NULL, help, &helpers[i]);
    }
    fi_decoder_join(decoder, team);
    decode(decoder, source, options, pixels, &nbytes, failure);
    fi_decoder_join(decoder, NULL);
    fi_team_leave(team);
    for (size_t i = 0; i + 1 < threads; i++) {
        pthread_join(others[i], NULL);
        fi_decoder_free(helpers[i].decoder);
    }
    fi_team_free(team);
}
