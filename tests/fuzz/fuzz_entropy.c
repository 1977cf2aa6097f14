/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A libFuzzer target: whatever the scan, the entropy stage finds what a plain decoder of T.81 finds, coefficients and
 * faults alike. Aborts where it does not. An input is a JPEG file; what has no baseline scan is passed over.
 * scripts/fuzz.sh builds and runs it.
 */
#include "runners.h"

#include "plain_baseline.h"

/* Of each scan, for libFuzzer: what comes later seldom tells more, and thousands of scans a second do. */
#if defined(FASTIMG_FUZZ_MAIN)
static const uint64_t most_mcus = UINT64_MAX;
#else
static const uint64_t most_mcus = 24;
#endif

/* As much as makes the stage build all tables at once, and read its input in several pieces. */
#define LONG_SCAN_NBYTES 40000

/* ---- what is tried ----------------------------------------------------------------------------------------------- */

/* At a time; a divisor of PERIOD. */
#define MAX_TOGETHER 8

/* MCUs after which what is needed may change. */
#define PERIOD 16

/*
 * The file's length picks what else there is to pick, so that one byte more or less is enough to try the next: bits of
 * this number.
 */
typedef struct {
    unsigned limited_runner, limited_components, last, period, together;
    bool is_limited, is_long, is_new, is_bounded;
} choice;

static choice choose(size_t size) {
    const uint32_t bits = scatter(size);
    return (choice){
        .limited_runner = bits >> 31,
        .limited_components = bits >> 27 & 15,
        .last = bits >> 21 & 63,
        .period = 2 + (bits >> 18 & 7),
        .is_limited = (bits >> 16 & 3) == 0,
        .is_long = (bits >> 7 & 511) == 0,
        .is_new = (bits >> 2 & 31) == 0,
        .is_bounded = (bits + (1u << 29)) >> 30 == 0, /* with either limited_runner */
        .together = 1u << (bits & 3),
    };
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

/* What an MCU's blocks were needed for: coefficients up to this one, in zigzag order. */
static unsigned last_of(const choice *chosen, const runner *r, uint8_t component, uint64_t mcu) {
    const bool is_limited = r->is_limited && chosen->limited_components >> component & 1;
    /* Changed in the middle, as at the bottom of an image. */
    return is_limited && mcu / PERIOD % 2 == 0 ? chosen->last : 63;
}

/* Whether the last one of some MCUs is needed whole, whatever else is. */
static bool is_whole(const choice *chosen, const runner *r, uint64_t mcu) {
    return !r->is_limited || mcu / chosen->together % chosen->period == chosen->period - 1;
}

/* Beyond what is needed there may be the coefficient, or nothing; beyond `end`, if all is needed, nothing. */
static bool is_same(const runner *r, uint64_t mcu, unsigned b, const int16_t *block, const int16_t *wanted,
                    unsigned last, unsigned end) {
    for (unsigned k = !plain_is_same(block, wanted) ? 0 : last < 63 ? 64 : end; k < 64; k++) {
        const int found = block[plain_natural[k]], expected = wanted[plain_natural[k]];
        if ((found == expected || (k > last && found == 0)) && (last < 63 || k < end || found == 0)) continue;
        fprintf(stderr, "%s: MCU %llu, block %u, coefficient %u is %d, not %d; needed to %u, ended at %u\n", r->name,
                (unsigned long long)mcu, b, k, found, expected, last, end);
        return false;
    }
    return true;
}

/* `count` MCUs from this one on into memory of their own, to the byte. */
static bool try_mcus(runner *r, const choice *chosen, const plain_jpeg *jpeg, uint64_t mcu, unsigned count,
                     int16_t (*wanted)[64], const plain_verdict *verdicts) {
    const fi_scan *scan = &jpeg->scan;
    const unsigned blocks = count * scan->blocks;
    const bool whole = is_whole(chosen, r, mcu);

    if (r->has_ended) return true;
    for (unsigned b = 0; b < scan->blocks && mcu % PERIOD == 0; b++) {
        fi_entropy_need(stage_of(r), scan->component[b], last_of(chosen, r, scan->component[b], mcu));
    }
    int16_t (*found)[64] = allocate(blocks * sizeof *found);
    uint8_t *ends = allocate(blocks);
    memset(found, 0, blocks * sizeof *found);
    r->has_ended = !fi_entropy_decode(stage_of(r), count, whole, found, ends);
    bool is_right = try_verdicts(r, !r->has_ended, mcu, count, verdicts);
    for (unsigned i = 0; i < blocks && is_right && !r->has_ended; i++) {
        const unsigned b = i % scan->blocks, nth = i / scan->blocks;
        const unsigned last = whole && nth == count - 1 ? 63 : last_of(chosen, r, scan->component[b], mcu);
        is_right = is_same(r, mcu + nth, b, found[i], wanted[i], last, ends[i]);
    }
    if (!r->has_ended) r->decoded += count;
    free(found);
    free(ends);
    return is_right;
}

/* ---- a scan ------------------------------------------------------------------------------------------------------ */

/* Long scans alone have tables to skip by. */
static bool start(runner *r, const plain_jpeg *jpeg, bool is_sound) {
    static const uint8_t zeros[LONG_SCAN_NBYTES];
    fi_scan longer = jpeg->scan;

    longer.data = zeros;
    longer.nbytes = sizeof zeros;
    if (r->is_limited && fi_entropy_start(stage_of(r), &longer)) {
        for (unsigned b = 0; b < longer.blocks; b++) fi_entropy_need(stage_of(r), longer.component[b], 0);
    }
    return try_start(r, fi_entropy_start(stage_of(r), &jpeg->scan), is_sound);
}

/* Both versions of the stage beside the plain decoder. After a fault there is nothing to compare. */
static bool try_scan(runner runners[2], const choice *chosen, const plain_jpeg *jpeg, uint64_t mcus) {
    int16_t wanted[MAX_TOGETHER * FI_MAX_MCU_BLOCKS][64];
    plain_verdict verdicts[MAX_TOGETHER];
    plain_reader plain;
    const bool is_sound = plain_start(&plain, jpeg);
    uint64_t mcu = 0;

    for (int i = 0; i < 2; i++) {
        if (!start(&runners[i], jpeg, is_sound)) return false;
    }
    while (mcu < mcus && !(runners[0].has_ended && runners[1].has_ended)) {
        const unsigned count = mcus - mcu < chosen->together ? (unsigned)(mcus - mcu) : chosen->together;
        bool is_good = true;
        for (unsigned i = 0; i < count; i++) {
            is_good = is_good && plain_decode_mcu(&plain, jpeg, wanted + i * jpeg->scan.blocks);
            verdicts[i] = plain.verdict;
        }
        for (int i = 0; i < 2; i++) {
            if (!try_mcus(&runners[i], chosen, jpeg, mcu, count, wanted, verdicts)) return false;
        }
        mcu += count;
    }
    if (mcu < jpeg->mcus || (runners[0].has_ended && runners[1].has_ended)) return true;
    plain_finish(&plain, &jpeg->scan);
    return try_finish(&runners[0], &plain, mcu) && try_finish(&runners[1], &plain, mcu);
}

static bool try_with(bool is_new, const choice *chosen, const plain_jpeg *jpeg, uint64_t mcus) {
    runner runners[2];

    take_runners(runners, is_new);
    for (unsigned i = 0; i < 2; i++) runners[i].is_limited = chosen->is_limited && i == chosen->limited_runner;
    const bool is_right = try_scan(runners, chosen, jpeg, mcus);
    give_back_runners(runners, is_new);
    return is_right;
}

/*
 * The scan in memory of its own, to the byte. If long, what stands before its first marker comes again and again, between
 * restart markers if it has any: eight times, or a multiple, for the numbers to go on with those of the scan.
 */
static uint8_t *copy_scan(plain_jpeg *jpeg, bool is_long) {
    const uint8_t *from = jpeg->scan.data, *end = from + jpeg->scan.nbytes, *coded_end = from;

    while (coded_end != end && !plain_is_marker(coded_end, end)) coded_end = plain_after_byte(coded_end);
    const size_t coded = (size_t)(coded_end - from), each = coded + (jpeg->scan.restart_interval ? 2 : 0);
    const size_t repeats = is_long && coded ? (LONG_SCAN_NBYTES / each + 8) / 8 * 8 : 0;
    const size_t nbytes = repeats * each + jpeg->scan.nbytes;
    uint8_t *data = allocate(nbytes), *to = data;
    for (size_t i = 0; i < repeats; i++, to += each) {
        memcpy(to, from, coded);
        if (each == coded) continue;
        to[coded] = 0xFF;
        to[coded + 1] = (uint8_t)(0xD0 + i % 8);
    }
    memcpy(to, from, jpeg->scan.nbytes);
    jpeg->scan.data = data;
    jpeg->scan.nbytes = nbytes;
    return data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const choice chosen = choose(size);

    kept[0].decoded = kept[1].decoded = input.mcus = 0;
    input.is_bounded = chosen.is_bounded;
    if (!plain_parse(&input, data, size)) return 0;
    uint8_t *scan = copy_scan(&input, chosen.is_long);
    const uint64_t mcus = chosen.is_long || input.mcus < most_mcus ? input.mcus : most_mcus;
    if (!try_with(chosen.is_new, &chosen, &input, mcus)) {
        fputs("With new tables: ", stderr);
        if (try_with(true, &chosen, &input, mcus)) fputs("right; the inputs before this one matter\n", stderr);
        abort();
    }
    free(scan);
    return 0;
}

void print_result(void) {
    printf("%llu %llu %llu\n", (unsigned long long)input.mcus, (unsigned long long)kept[0].decoded,
           (unsigned long long)kept[1].decoded);
}
