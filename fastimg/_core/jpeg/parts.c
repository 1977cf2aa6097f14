/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/parts.h"

#include "jpeg/hooks.h"
#include "jpeg/part_scan.h"
#include "jpeg/part_work.h"
#include "jpeg/warnings.h"

#include <stdlib.h>

/* Until it is known how long codes are. */
#define MAX_FIRST_PART_NBYTES 16384

/* Where the window begins further down, one thread skips what is above. */
#define MOST_ABOVE 8

/*
 * Whether libjpeg's inverse DCT is safe in threads that have not begun an image themselves: 2.1.5 took AVX2 for granted
 * there, and distributions that mended it did not change its number.
 */
static bool may_transform(void) {
#if (defined(__x86_64__) || defined(__i386__)) && LIBJPEG_TURBO_VERSION_NUMBER == 2001005
    return __builtin_cpu_supports("avx2");
#else
    return true;
#endif
}

bool fi_parts_suit(const fi_decompressor *jpeg, const fi_request *request) {
    const struct jpeg_decompress_struct *cinfo = &jpeg->cinfo;
    const fi_plan *plan = request->plan;
    const uint64_t pixels = (uint64_t)cinfo->image_height * cinfo->image_width;

    if (!jpeg->team || jpeg->is_alone || pixels < jpeg->team->options.min_pixels) return false;
    if (fi_team_is_orphaned(jpeg->team) || !may_transform()) return false;
    if (!fi_hooks_decode_rows(jpeg) || cinfo->comps_in_scan != cinfo->num_components) return false;
    if (cinfo->comps_in_scan == 1 && cinfo->comp_info[0].v_samp_factor != 1) return false;
    for (int i = 0; i < cinfo->comps_in_scan; i++) {
        if (cinfo->cur_comp_info[i]->quant_table->quantval[0] == 0) return false; /* DC values may be anything */
    }
    return (uint64_t)plan->top * MOST_ABOVE <= cinfo->image_height;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

/* The thread that leads keeps some of the memory. */
static void free_parts(fi_parts *parts) {
    if (parts->is_orphaned) return; /* other threads left it half-done */
    fi_part_memory *own = &parts->jpeg->part_memory, *shared = &parts->memory;

    for (size_t i = 0; parts->guesses && i < parts->guess_count; i++) {
        const fi_part_guess *guess = &parts->guesses[i];
        fi_part_clear(parts, guess);
        if (guess->store) fi_part_memory_give_store(own, shared, guess->store);
    }
    for (size_t i = 0; parts->rows && i < parts->row_count; i++) {
        if (parts->rows[i].buffer) fi_part_memory_give_buffer(own, shared, parts->rows[i].buffer);
    }
    fi_part_memory_join(own, shared);
    fi_part_memory_trim(own, FI_PART_KEPT_NBYTES);
    free(parts->rows);
    free(parts->guesses);
    free(parts);
}

static size_t clamped(uint64_t n, size_t least, size_t most) {
    return n < least ? least : n > most ? most : (size_t)n;
}

/* How long parts are, and what can be kept. More threads than parts would have nothing to do. */
static void set_sizes(fi_parts *parts) {
    const size_t nbytes = parts->team->options.part_nbytes;
    const uint64_t needed = (uint64_t)parts->scan.nbytes * parts->mcus / parts->scan.mcus;

    parts->part_mcus = FI_PART_BLOCKS / parts->scan.blocks;
    parts->store_mcus = FI_STORE_BLOCKS / parts->scan.blocks;
    parts->part_nbytes = nbytes ? nbytes
                                : clamped((uint64_t)parts->scan.nbytes * parts->part_mcus / parts->scan.mcus,
                                          FI_MIN_PART_NBYTES, MAX_FIRST_PART_NBYTES);
    parts->threads = clamped(needed / parts->part_nbytes + 1, 1, parts->team->options.threads);
    parts->guess_count = 2 * parts->threads + 1;
    parts->row_count = (parts->threads + 1) * (parts->part_mcus / parts->mcus_per_row + 2) + 1;
}

static bool skips(const fi_decompressor *jpeg, const fi_part_layout *layout) {
    for (int c = 0; c < jpeg->cinfo.num_components && layout->skips; c++) {
        if (FI_DCT_SIZE(&jpeg->cinfo.comp_info[c]) < DCTSIZE) return true;
    }
    return false;
}

static void help(fi_team_task *task, void *helper) {
    fi_part_work((fi_parts *)task, helper, false);
}

static fi_parts *new_parts(fi_decompressor *jpeg, const fi_part_layout *layout) {
    fi_parts *parts = calloc(1, sizeof *parts);

    if (!parts) return NULL;
    parts->task.help = help;
    parts->team = jpeg->team;
    parts->jpeg = jpeg;
    parts->layout = layout;
    parts->transforms = fi_hooks_transforms(jpeg);
    parts->is_skipping = skips(jpeg, layout);
    parts->assist = fi_part_assist;
    fi_hooks_describe_scan(jpeg, &parts->scan);
    parts->mcus_per_row = jpeg->cinfo.MCUs_per_row;
    parts->mcus = parts->mcus_per_row * layout->rows;
    set_sizes(parts);
    parts->next.data = parts->scan.data;
    parts->rows = calloc(parts->row_count, sizeof *parts->rows);
    parts->guesses = calloc(parts->guess_count, sizeof *parts->guesses);
    parts->has_front = !parts->scan.restart_interval;
    parts->front.place.data = parts->scan.data;
    parts->front.bytes.index = SIZE_MAX; /* the end of what comes before part 0 */
    if (parts->rows && parts->guesses) return parts;
    free_parts(parts);
    return NULL;
}

/* ---- decoding -------------------------------------------------------------------------------------------------- */

/* The verdict on the scan: the same as one thread's, if it is good. *end becomes where it ends, if it is whole. */
static bool judge(fi_decompressor *jpeg, const fi_parts *parts, const uint8_t **end) {
    unsigned marker;

    if (parts->status != FI_OK || parts->gave_up || parts->is_orphaned) return false;
    fi_entropy_set_suspects(jpeg->entropy, parts->suspects); /* its own were those of a guess, perhaps */
    if (parts->given < jpeg->cinfo.total_iMCU_rows) return fi_entropy_judge(jpeg->entropy);
    if (fi_entropy_go_to(jpeg->entropy, &parts->last)) *end = fi_entropy_finish(jpeg->entropy);
    return *end && fi_entropy_stray_nbytes(jpeg->entropy, &marker) == 0; /* one thread counts them */
}

JDIMENSION fi_parts_decode(fi_decompressor *jpeg, const fi_part_layout *layout) {
    fi_team *team = jpeg->team;

    jpeg->progress.progress_monitor((j_common_ptr)&jpeg->cinfo);
    fi_parts *parts = new_parts(jpeg, layout);
    if (!parts) fi_fail(jpeg, FI_E_NOMEM);
    if (team->options.grow && !team->options.grow(team->options.context, parts->threads - 1)) {
        free_parts(parts);
        fi_fail(jpeg, FI_E_CANCELLED);
    }
    parts->is_orphaned = fi_team_is_orphaned(team);
    if (!parts->is_orphaned) {
        fi_team_open(team, &parts->task);
        fi_part_work(parts, jpeg, true);
        fi_team_close(team, &parts->task);
    }
    const fi_status status = parts->status;
    const JDIMENSION rows = (JDIMENSION)parts->given;
    const uint8_t *end = NULL;
    const bool is_good = judge(jpeg, parts, &end);
    free_parts(parts);
    if (status != FI_OK) fi_fail(jpeg, status);
    if (!is_good) fi_try_alone(jpeg);
    fi_team_add_image(team);
    fi_hooks_end_rows(jpeg, rows, end);
    return rows;
}
