/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that help one another with large images. */
#ifndef FI_TEAM_H
#define FI_TEAM_H

#include "fi.h"
#include "os/system.h"

#include <stdatomic.h>

typedef struct fi_team fi_team;

typedef struct fi_team_options {
    size_t threads; /* there may be, with all that lead */
    uint64_t min_pixels; /* of an image that several work on */
    size_t part_nbytes; /* of a scan, for a thread; 0: as many as are best */
    /* Not NULL: asked to start so many threads for such an image as it begins; false: to stop it. */
    bool (*grow)(void *context, size_t threads);
    void *context;
} fi_team_options;

/* fi_team_new() allocates a team, or returns NULL if there is no memory. */
fi_team *fi_team_new(const fi_team_options *options);

/* fi_team_free() frees a team whose threads have all left. NULL is allowed. */
void fi_team_free(fi_team *team);

/*
 * Whether this process is a fork of the one whose threads these are: they are missing, and what they held at the fork is
 * held for ever. The functions below do nothing then.
 */
bool fi_team_is_orphaned(const fi_team *team);

/* How many images it has decoded; those that were left to one thread do not count. */
size_t fi_team_image_count(fi_team *team);

/* Counts a thread that may decode images. */
void fi_team_lead(fi_team *team);

/* Uncounts it. */
void fi_team_leave(fi_team *team);

/* Works on images of those that are counted, with a decoder of its own, until none are. */
void fi_decoder_follow(fi_decoder *decoder, fi_team *team);

/* The decoder's images of enough pixels are decoded by the team; NULL: by one thread. */
void fi_decoder_join(fi_decoder *decoder, fi_team *team);

/* ---- for those who decode -------------------------------------------------------------------------------------- */

/* What several threads may work on at once. */
typedef struct fi_team_task {
    void (*help)(struct fi_team_task *task, void *helper); /* returns when the task is over */
    bool is_over; /* set with the lock held */
    size_t helpers; /* threads that are in help() */
    struct fi_team_task *following;
} fi_team_task;

struct fi_team {
    fi_mutex lock;
    fi_condition changed; /* anything that a thread may wait for */
    fi_team_task *tasks;
    size_t count;
    size_t leaders; /* threads that may still open tasks */
    fi_team_options options;
    int64_t process_id;
};

/* fi_decoder_follow(), with what the tasks take for a helper. */
void fi_team_follow(fi_team *team, void *helper);

/* Opens a task to the others. */
void fi_team_open(fi_team *team, fi_team_task *task);

/* Waits until all of them have left it, and closes it. */
void fi_team_close(fi_team *team, fi_team_task *task);

/* An image has been decoded. */
void fi_team_add_image(fi_team *team);

#endif
