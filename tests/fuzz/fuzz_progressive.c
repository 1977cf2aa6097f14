/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A libFuzzer target: whatever the scans of a progressive file, the entropy stage finds what a plain decoder of T.81 finds,
 * coefficients and faults alike, scan by scan. Aborts where it does not. An input is a JPEG file; it is read up to the
 * first scan that libjpeg would warn of, or that has a fault.
 * scripts/fuzz.sh builds and runs it.
 */
#include "runners.h"

#include "plain_progressive.h"

/* Of each component, for libFuzzer. What has more of them is passed over. */
#if defined(FASTIMG_FUZZ_MAIN)
static const uint64_t most_blocks = 1 << 18;
#else
static const uint64_t most_blocks = 128;
#endif

#define MAX_TOGETHER 16

/* The blocks of each component. */
typedef struct {
    int16_t (*blocks[4])[64];
    fi_block_state *states[4]; /* the plain decoder has none */
} image;

/* What else there is to pick, by the file's length. */
typedef struct {
    bool is_new, is_after_baseline, is_bounded;
    unsigned together; /* MCUs in one call, of one row */
} choice;

static struct {
    uint64_t scans, mcus;
} done;

static choice choose(size_t size) {
    const uint32_t bits = scatter(size);
    return (choice){
        .is_new = (bits >> 27 & 31) == 0,
        .is_after_baseline = (bits >> 20 & 7) == 0,
        .is_bounded = (bits >> 18 & 3) == 0,
        .together = 1 + (bits >> 14 & (MAX_TOGETHER - 1)),
    };
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

/* To the byte. Blocks of the stage may hold anything before it sets them. */
static void new_image(image *to, const plain_jpeg *jpeg, bool is_plain) {
    for (unsigned c = 0; c < jpeg->count; c++) {
        const size_t count = plain_count_blocks(jpeg, c);
        to->blocks[c] = allocate(count * sizeof *to->blocks[c]);
        memset(to->blocks[c], is_plain ? 0 : 0x55, count * sizeof *to->blocks[c]);
        if (is_plain) continue;
        to->states[c] = allocate(count * sizeof *to->states[c]);
        memset(to->states[c], 0, count * sizeof *to->states[c]);
    }
}

static void free_image(image *from) {
    for (int c = 0; c < 4; c++) {
        free(from->blocks[c]);
        free(from->states[c]);
    }
}

/* Whether a block of the stage, complete, is the plain decoder's. */
static bool is_equal(const image *found, const image *wanted, unsigned c, uint64_t place, int16_t *block) {
    fi_block_state state = found->states[c][place];

    memcpy(block, found->blocks[c][place], sizeof *found->blocks[c]);
    fi_entropy_complete_block(&state, ~(uint64_t)0, block);
    return plain_is_same(block, wanted->blocks[c][place]);
}

static bool is_small(const plain_jpeg *jpeg) {
    for (unsigned c = 0; c < jpeg->count; c++) {
        if (plain_count_blocks(jpeg, c) > most_blocks) return false;
    }
    return true;
}

static void find_blocks(const plain_jpeg *jpeg, const image *of, const uint64_t *places, int16_t **blocks) {
    for (unsigned b = 0; b < jpeg->scan.blocks; b++) {
        blocks[b] = of->blocks[plain_index(jpeg, jpeg->scan.component[b])][places[b]];
    }
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static void report(const runner *r, const fi_scan *scan, uint64_t mcu, unsigned b, const int16_t *found,
                   const int16_t *wanted) {
    for (unsigned k = 0; k < 64; k++) {
        const int one = found[plain_natural[k]], other = wanted[plain_natural[k]];
        if (one == other) continue;
        fprintf(stderr, "%s: scan %llu (%u to %u, bits %u to %u), MCU %llu, block %u: coefficient %u is %d, not %d\n",
                r->name, (unsigned long long)done.scans, scan->ss, scan->se, scan->ah, scan->al,
                (unsigned long long)mcu, b, k, one, other);
        return;
    }
}

static bool try_mcus(runner *r, const plain_jpeg *jpeg, uint64_t mcu, unsigned count, const image *found,
                     const image *wanted, const plain_verdict *verdicts) {
    uint64_t places[FI_MAX_MCU_BLOCKS];
    int16_t block[64];
    fi_block_row rows[FI_MAX_MCU_BLOCKS];

    if (r->has_ended) return true;
    plain_place(jpeg, mcu, places);
    for (unsigned b = 0; b < jpeg->scan.blocks; b++) {
        const unsigned i = jpeg->scan.component[b], c = plain_index(jpeg, i);
        rows[b].blocks = &found->blocks[c][places[b]];
        rows[b].states = &found->states[c][places[b]];
        rows[b].step = jpeg->scan_count == 1 ? 1 : jpeg->in_scan[i]->across;
    }
    r->has_ended = !fi_entropy_decode_progressive(stage_of(r), count, rows);
    if (!try_verdicts(r, !r->has_ended, mcu, count, verdicts)) {
        fprintf(stderr, "in scan %llu\n", (unsigned long long)done.scans);
        return false;
    }
    if (r->has_ended) return true;
    r->decoded += count;
    for (unsigned i = 0; i < count; i++) {
        plain_place(jpeg, mcu + i, places);
        for (unsigned b = 0; b < jpeg->scan.blocks; b++) {
            const unsigned c = plain_index(jpeg, jpeg->scan.component[b]);
            if (is_equal(found, wanted, c, places[b], block)) continue;
            report(r, &jpeg->scan, mcu + i, b, block, wanted->blocks[c][places[b]]);
            return false;
        }
    }
    return true;
}

/* Blocks that were none of an MCU's must be as they were. */
static bool try_image(const runner *r, const plain_jpeg *jpeg, const image *found, const image *wanted) {
    int16_t block[64];

    stage_of(r);
    for (unsigned c = 0; c < jpeg->count && !r->has_ended; c++) {
        const uint64_t count = plain_count_blocks(jpeg, c);
        for (uint64_t place = 0; place < count; place++) {
            if (is_equal(found, wanted, c, place, block)) continue;
            fprintf(stderr, "%s: scan %llu has changed blocks that are not its own\n", r->name,
                    (unsigned long long)done.scans);
            return false;
        }
    }
    return true;
}

/* ---- a file ------------------------------------------------------------------------------------------------------ */

/* The same tables mean something else in baseline scans. */
static void start_baseline(fi_entropy *entropy, const fi_scan *scan) {
    fi_scan baseline = *scan;

    if (scan->ss == 0 && scan->ah > 0) return;
    for (unsigned b = 0; b < scan->blocks; b++) {
        baseline.dc[b] = baseline.ac[b] = scan->ss ? scan->ac[b] : scan->dc[b];
    }
    fi_entropy_start(entropy, &baseline);
}

/* Up to the first fault. */
static void decode_plainly(plain_reader *plain, const plain_jpeg *jpeg, uint64_t mcu, unsigned count, const image *to,
                           plain_verdict *verdicts) {
    uint64_t places[FI_MAX_MCU_BLOCKS];
    int16_t *blocks[FI_MAX_MCU_BLOCKS];
    bool is_good = true;

    for (unsigned i = 0; i < count; i++) {
        plain_place(jpeg, mcu + i, places);
        find_blocks(jpeg, to, places, blocks);
        is_good = is_good && plain_decode_progressive(plain, jpeg, blocks);
        verdicts[i] = plain->verdict;
    }
}

/* Both versions of the stage beside the plain decoder: images[2] is its. */
static bool try_scan(runner runners[2], const choice *chosen, plain_jpeg *jpeg, const image images[3]) {
    plain_reader plain;
    const bool is_sound = plain_start_progressive(&plain, jpeg);

    for (int i = 0; i < 2; i++) {
        fi_entropy *entropy = stage_of(&runners[i]);
        if (runners[i].has_ended) continue;
        if (chosen->is_after_baseline) start_baseline(entropy, &jpeg->scan);
        if (!try_start(&runners[i], fi_entropy_start_progressive(entropy, &jpeg->scan), is_sound)) return false;
    }
    for (uint64_t mcu = 0; mcu < jpeg->mcus && !(runners[0].has_ended && runners[1].has_ended);) {
        const unsigned left = plain_row(jpeg) - (unsigned)(mcu % plain_row(jpeg));
        const unsigned count = left < chosen->together ? left : chosen->together;
        plain_verdict verdicts[MAX_TOGETHER];
        decode_plainly(&plain, jpeg, mcu, count, &images[2], verdicts);
        for (int i = 0; i < 2; i++) {
            if (!try_mcus(&runners[i], jpeg, mcu, count, &images[i], &images[2], verdicts)) return false;
        }
        mcu += count;
    }
    if (is_sound) plain_finish(&plain, &jpeg->scan);
    for (int i = 0; i < 2; i++) {
        if (!try_image(&runners[i], jpeg, &images[i], &images[2]) || !try_finish(&runners[i], &plain, jpeg->mcus)) {
            return false;
        }
    }
    jpeg->next = runners[0].has_ended && runners[1].has_ended ? NULL : plain.next;
    return true;
}

/* Scan after scan, as long as one version goes on. */
static bool try_file(runner runners[2], const choice *chosen, const uint8_t *data, size_t size) {
    plain_progress progress;
    image images[3] = {{{NULL}, {NULL}}};
    bool is_right = plain_open(&input, data, size), goes_on = is_right;

    if (!is_right) return true;
    input.is_bounded = chosen->is_bounded;
    memset(&progress, -1, sizeof progress);
    for (int i = 0; i < 2; i++) {
        runners[i].has_ended = false;
        fi_entropy_begin_progressive(runners[i].entropy);
    }
    while (goes_on && plain_next_scan(&input, &progress) && is_small(&input)) {
        for (int i = 0; i < 3 && done.scans == 0; i++) new_image(&images[i], &input, i == 2);
        done.mcus += input.mcus;
        is_right = try_scan(runners, chosen, &input, images);
        done.scans++;
        goes_on = is_right && input.next;
    }
    for (int i = 0; i < 3; i++) free_image(&images[i]);
    return is_right;
}

static bool try_with(bool is_new, const choice *chosen, const uint8_t *data, size_t size) {
    runner runners[2];

    done.scans = done.mcus = 0;
    take_runners(runners, is_new);
    const bool is_right = try_file(runners, chosen, data, size);
    give_back_runners(runners, is_new);
    return is_right;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const choice chosen = choose(size);

    if (!try_with(chosen.is_new, &chosen, data, size)) {
        fputs("With new tables: ", stderr);
        if (try_with(true, &chosen, data, size)) fputs("right; the inputs before this one matter\n", stderr);
        abort();
    }
    return 0;
}

void print_result(void) {
    printf("%llu %llu %llu %llu\n", (unsigned long long)done.mcus, (unsigned long long)kept[0].decoded,
           (unsigned long long)kept[1].decoded, (unsigned long long)done.scans);
}
