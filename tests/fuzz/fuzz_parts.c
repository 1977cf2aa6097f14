/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A libFuzzer target: whatever the bytes, an image that several threads decode in parts has the pixels, the error and the
 * warnings of one thread. Aborts where that is not so.
 *
 * jobs.h says what an input is. scripts/fuzz.sh builds and runs the target. What is found may depend on how the threads
 * come to run: an input that does not bring it back does so if it is given often.
 */
#include "jobs.h"

#include "team.h"

#define fi_team_open core_team_open
#include "team.c" /* in place of the core's */
#undef fi_team_open

#include <pthread.h>
#include <sched.h>

#define MAX_LONG_PIXELS (1 << 18) /* of one input in 8: more rows than there is room for */

enum { TEAMS = 3, MAX_HELPERS = 7 };

/* Threads that are kept from one input to the next. */
static struct {
    size_t helpers;
    fi_team *team;
    fi_decoder *decoders[MAX_HELPERS];
    pthread_t threads[MAX_HELPERS];
} teams[TEAMS] = {{.helpers = 1}, {.helpers = 2}, {.helpers = 7}};

#define LATE_NS 20000 /* times 0 to 7: how late the thread is that leads */
#define MOST_LATE_NS 500000

static int64_t late_ns;

static result alone = {.fill = 0xA5}, together = {.fill = 0x5A};

/* ---- threads --------------------------------------------------------------------------------------------------- */

static void *help(void *context) {
    const size_t t = (size_t)context / MAX_HELPERS, i = (size_t)context % MAX_HELPERS;
    fi_decoder_follow(teams[t].decoders[i], teams[t].team);
    return NULL;
}

/* Small images would be done before the others are awake: the thread that leads is late. */
void fi_team_open(fi_team *team, fi_team_task *task) {
    const int64_t end = fi_now_ns() + MOST_LATE_NS;
    size_t helpers = 0;

    core_team_open(team, task);
    while (late_ns && helpers + 1 < team->options.threads && fi_now_ns() < end) {
        sched_yield();
        fi_mutex_lock(&team->lock);
        helpers = task->helpers;
        fi_mutex_unlock(&team->lock);
    }
    for (const int64_t begin = fi_now_ns(); fi_now_ns() - begin < late_ns;) sched_yield();
}

static void start_teams(void) {
    for (size_t t = 0; t < TEAMS; t++) {
        teams[t].team = fi_team_new(&(fi_team_options){.threads = teams[t].helpers + 1});
        if (!teams[t].team) abort();
        fi_team_lead(teams[t].team);
        for (size_t i = 0; i < teams[t].helpers; i++) {
            teams[t].decoders[i] = new_decoder();
            if (pthread_create(&teams[t].threads[i], NULL, help, (void *)(t * MAX_HELPERS + i)) != 0) abort();
        }
    }
}

static void stop_teams(void) {
    for (size_t t = 0; t < TEAMS; t++) {
        fi_team_leave(teams[t].team);
        for (size_t i = 0; i < teams[t].helpers; i++) {
            pthread_join(teams[t].threads[i], NULL);
            fi_decoder_free(teams[t].decoders[i]);
        }
        fi_team_free(teams[t].team);
    }
}

/* ---- one input ------------------------------------------------------------------------------------------------- */

/* From the top or from further down, to the bottom or to where the image may end as well. */
static fi_crop pick_window(const fi_options *options, const fi_header *header) {
    const bool turned = options->orient && header->orientation >= 5;
    const uint32_t height = turned ? header->width : header->height, width = turned ? header->height : header->width;
    const uint32_t top = pick(2) ? pick(256) * height / 2048 : 0, rows = 1 + pick(256) * (height - top - 1) / 255;

    return (fi_crop){top, 0, rows, width};
}

static void compare(void) {
    const fi_failure *a = &alone.failure, *b = &together.failure;

    if (a->status != b->status || memcmp(a->detail, b->detail, sizeof a->detail) || strcmp(a->text, b->text)) {
        fprintf(stderr, "ends %s (\"%s\"), with several threads %s (\"%s\")\n", fi_status_name(a->status), a->text,
                fi_status_name(b->status), b->text);
        abort();
    }
    if (alone.warnings != together.warnings || strcmp(alone.notes, together.notes)) {
        fprintf(stderr, "warns %ld times, with several threads %ld, with notes \"%s\" and \"%s\"\n", alone.warnings,
                together.warnings, alone.notes, together.notes);
        abort();
    }
    if (a->status == FI_OK) compare_pixels("several threads", &alone, &together);
}

static void try_job(size_t max_pixels, fi_team *team) {
    job job = pick_job(fi_decoder_header(kept), NULL);

    job.options.max_pixels = max_pixels;
    if (pick(2)) job.crop = pick_window(&job.options, fi_decoder_header(kept));
    decode(kept, &job, &alone);
    team->options.part_nbytes = pick(8) ? 1 + pick(256) * (pick(4) ? 1 : 16) : 0;
    late_ns = (int64_t)pick(8) * LATE_NS;
    fi_decoder_join(kept, team);
    decode(kept, &job, &together);
    fi_decoder_join(kept, NULL);
    compare();
}

int LLVMFuzzerInitialize(const int *argc, char ***argv) {
    (void)argc, (void)argv;
    start_core();
    start_teams();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fi_failure failure = {0};
    fi_source source;

    if (!take_input(data, size, &source)) return 0;
    const size_t max_pixels = pick(8) ? MAX_PIXELS : MAX_LONG_PIXELS;
    fi_team *team = teams[pick(TEAMS)].team;
    opened = fi_open(kept, &source, max_pixels, &failure);
    if (opened == FI_OK) try_job(max_pixels, team);
    return 0;
}

void print_result(void) {
    size_t count = 0;

    for (size_t t = 0; t < TEAMS; t++) count += fi_team_image_count(teams[t].team);
    printf("%s %u %zu\n", fi_status_name(opened), compared, count);
}

void free_kept(void) {
    stop_teams();
    fi_decoder_free(kept);
    free(alone.pixels);
    free(together.pixels);
}
