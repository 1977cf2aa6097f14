/* SPDX-License-Identifier: BSD-3-Clause */
#include "team.h"

#include <stdlib.h>

fi_team *fi_team_new(const fi_team_options *options) {
    fi_team *team = calloc(1, sizeof *team);

    if (!team) return NULL;
    team->options = *options;
    team->process_id = fi_process_id();
    if (fi_mutex_init(&team->lock)) {
        if (fi_condition_init(&team->changed)) return team;
        fi_mutex_destroy(&team->lock);
    }
    free(team);
    return NULL;
}

bool fi_team_is_orphaned(const fi_team *team) {
    return team->process_id != fi_process_id();
}

/* Returns false, and has no lock, if there are no threads to keep out. */
static bool lock(fi_team *team) {
    if (fi_team_is_orphaned(team)) return false;
    fi_mutex_lock(&team->lock);
    return true;
}

void fi_team_free(fi_team *team) {
    if (!team) return;
    if (!fi_team_is_orphaned(team)) {
        fi_condition_destroy(&team->changed);
        fi_mutex_destroy(&team->lock);
    }
    free(team);
}

void fi_team_open(fi_team *team, fi_team_task *task) {
    if (!lock(team)) return;
    fi_team_task **last = &team->tasks;
    while (*last) last = &(*last)->following;
    *last = task;
    task->following = NULL;
    task->helpers = 0;
    task->is_over = false;
    fi_condition_broadcast(&team->changed);
    fi_mutex_unlock(&team->lock);
}

void fi_team_close(fi_team *team, fi_team_task *task) {
    if (!lock(team)) return;
    fi_team_task **link = &team->tasks;
    while (*link != task) link = &(*link)->following;
    *link = task->following;
    while (task->helpers) fi_condition_wait(&team->changed, &team->lock, INT64_MAX);
    fi_mutex_unlock(&team->lock);
}

void fi_team_lead(fi_team *team) {
    if (!lock(team)) return;
    team->leaders++;
    fi_mutex_unlock(&team->lock);
}

/* The task with the fewest helpers. */
static fi_team_task *find_task(fi_team *team) {
    fi_team_task *least = NULL;

    for (fi_team_task *task = team->tasks; task; task = task->following) {
        if (!task->is_over && (!least || task->helpers < least->helpers)) least = task;
    }
    return least;
}

void fi_team_follow(fi_team *team, void *helper) {
    if (!lock(team)) return;
    while (team->leaders || team->tasks) {
        fi_team_task *task = find_task(team);
        if (!task) {
            fi_condition_wait(&team->changed, &team->lock, INT64_MAX);
            continue;
        }
        task->helpers++;
        fi_mutex_unlock(&team->lock);
        task->help(task, helper);
        fi_mutex_lock(&team->lock);
        task->helpers--;
        fi_condition_broadcast(&team->changed);
    }
    fi_mutex_unlock(&team->lock);
}

void fi_team_leave(fi_team *team) {
    if (!lock(team)) return;
    team->leaders--;
    if (team->leaders == 0) fi_condition_broadcast(&team->changed);
    fi_mutex_unlock(&team->lock);
}

size_t fi_team_image_count(fi_team *team) {
    if (!lock(team)) return 0;
    const size_t count = team->count;
    fi_mutex_unlock(&team->lock);
    return count;
}

void fi_team_add_image(fi_team *team) {
    if (!lock(team)) return;
    team->count++;
    fi_mutex_unlock(&team->lock);
}
