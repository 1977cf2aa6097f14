/* SPDX-License-Identifier: BSD-3-Clause */
/* What the targets of the entropy stage share: versions of the stage, and verdicts. */
#include "plain_entropy.h"
#include "replay.h"

#include "cpu.h"

#include <stdio.h>

/* One version of the stage. */
typedef struct {
    const char *name;
    fi_entropy *entropy;
    unsigned cpu_features;
    bool is_limited; /* of baseline scans: needs some coefficients only */
    bool has_ended; /* at a fault */
    uint64_t decoded;
} runner;

/*
 * A new stage takes longer than all the rest: it has its tables to build. Inputs therefore share one of each version; one
 * length in 32 gets new ones. What goes wrong is tried again with new ones: where that goes well, only the inputs in their
 * order bring it back, which are the same for the same seeds and the same -seed.
 */
static runner kept[2] = {{.name = "plain"}, {.name = "native"}};
static plain_jpeg input;

/* Bits to pick from: one byte more or less is enough to try the next choice. */
static uint32_t scatter(size_t size) {
    return (uint32_t)size * 0x9E3779B1u;
}

static void *allocate(size_t nbytes) {
    void *memory = malloc(nbytes ? nbytes : 1);
    if (!memory) abort();
    return memory;
}

static fi_entropy *new_entropy(void) {
    fi_entropy *entropy = fi_entropy_new();
    if (!entropy) abort();
    return entropy;
}

/* A runner's stage, with its version switched on: the versions share one table of functions. */
static fi_entropy *stage_of(const runner *r) {
    fi_entropy_init(r->cpu_features);
    return r->entropy;
}

int LLVMFuzzerInitialize(const int *argc, char ***argv) {
    (void)argc, (void)argv;
    plain_init();
    kept[1].cpu_features = fi_cpu_features();
    for (unsigned i = 0; i < 2; i++) kept[i].entropy = new_entropy();
    return 0;
}

void free_kept(void) {
    for (unsigned i = 0; i < 2; i++) fi_entropy_free(kept[i].entropy);
}

/* The kept ones, or as many with new stages, until they are given back. */
static void take_runners(runner runners[2], bool is_new) {
    for (unsigned i = 0; i < 2; i++) {
        runners[i] = kept[i];
        runners[i].decoded = 0;
        if (is_new) runners[i].entropy = new_entropy();
    }
}

static void give_back_runners(const runner runners[2], bool is_new) {
    for (unsigned i = 0; i < 2; i++) {
        if (is_new) fi_entropy_free(runners[i].entropy);
        kept[i].decoded = runners[i].decoded;
    }
}

/* ---- verdicts ---------------------------------------------------------------------------------------------------- */

static void print_fault(const char *who, const fi_fault *fault) {
    static const char *const names[] = {"none",  "MEMORY", "TABLES", "CODE",      "BLOCK_END",
                                        "RANGE", "END",    "MARKER", "LEFT_OVER", "RESTART"};
    fprintf(stderr, "%s finds %s", who, names[fault->kind]);
    if (fault->kind == FI_FAULT_NONE) return;
    fprintf(stderr, " in MCU %zu (marker %02x, %zu bytes)", fault->mcu, fault->marker, fault->nbytes);
}

/* Marker and bytes are told only where they have to do with the fault. */
static bool is_same_fault(const fi_fault *fault, const plain_verdict *v) {
    const bool is_left_over = v->kind == FI_FAULT_LEFT_OVER;
    const bool has_marker = is_left_over || v->kind == FI_FAULT_MARKER || v->kind == FI_FAULT_RESTART;
    return fault->kind == v->kind && (!has_marker || fault->marker == v->marker) &&
           (!is_left_over || fault->nbytes == v->nbytes);
}

static bool is_out(const plain_verdict *v) {
    return v->range == PLAIN_OUT;
}

/* Whether the stage may go on after an MCU. */
static bool may_accept(const plain_verdict *v) {
    return v->kind == FI_FAULT_NONE && !is_out(v);
}

static bool may_refuse(const plain_verdict *v, const fi_fault *fault) {
    if (fault->kind == FI_FAULT_RANGE && v->range != PLAIN_IN_RANGE) return true;
    if (is_out(v)) return false;
    return (v->in_code && fault->kind == FI_FAULT_CODE) || (fault->kind != FI_FAULT_NONE && is_same_fault(fault, v));
}

/* Whether the stage's verdict on some MCUs, from this one on, is right. They end with the first fault. */
static bool try_verdicts(const runner *r, bool is_accepted, uint64_t mcu, unsigned count, const plain_verdict *v) {
    static const fi_fault none;
    const fi_fault *fault = is_accepted ? &none : fi_entropy_fault(r->entropy);

    for (unsigned i = 0; i < count; i++, v++) {
        const bool is_refused = !is_accepted && fault->mcu == mcu + i;
        if (!(is_refused ? may_refuse(v, fault) : may_accept(v))) {
            const fi_fault plain = {is_out(v) ? FI_FAULT_RANGE : v->kind, mcu + i, v->marker, v->nbytes};
            print_fault(r->name, is_refused ? fault : &none);
            print_fault("; the judge", &plain);
            fprintf(stderr, "; MCU %llu\n", (unsigned long long)mcu + i);
            return false;
        }
        if (is_refused) return true;
    }
    if (is_accepted) return true;
    print_fault(r->name, fault);
    fputs(", which is no MCU of these\n", stderr);
    return false;
}

/* fi_entropy_start() or its like: only unsound tables are a fault. */
static bool try_start(runner *r, bool is_started, bool is_sound) {
    const fi_fault_kind kind = fi_entropy_fault(r->entropy)->kind;

    r->has_ended = !is_started;
    if (is_started == is_sound && kind == (is_sound ? FI_FAULT_NONE : FI_FAULT_TABLES)) return true;
    fprintf(stderr, "%s: tables are %s; %s, fault %d\n", r->name, is_sound ? "sound" : "unsound",
            is_started ? "taken" : "refused", kind);
    return false;
}

/* What the blocks of a scan are together: fi_entropy_finish() asks first. */
static bool try_judgement(runner *r, const plain_reader *plain, bool is_accepted) {
    const size_t mcu = fi_entropy_fault(r->entropy)->mcu;
    const bool must_refuse = plain->are_far > plain->near_or_far && plain->may_be_far <= 40,
               may_refuse = plain->may_be_far > 0;

    if (is_accepted ? !must_refuse : may_refuse && mcu >= plain->first_far && mcu <= plain->last_far) return true;
    fprintf(stderr,
            "%s: the scan is %s at MCU %zu; of %zu blocks that are far off and %zu that may be, in MCUs %zu to %zu\n",
            r->name, is_accepted ? "taken" : "refused", mcu, plain->are_far, plain->may_be_far, plain->first_far,
            plain->last_far);
    return false;
}

/* After the last MCU of a scan. Its reader is at the next marker then. */
static bool try_finish(runner *r, const plain_reader *plain, uint64_t mcus) {
    unsigned marker;

    if (r->has_ended) return true;
    const uint8_t *found = fi_entropy_finish(stage_of(r));
    r->has_ended = !found;
    const bool is_judged = fi_entropy_fault(r->entropy)->kind == FI_FAULT_RANGE;
    if (!try_judgement(r, plain, !is_judged)) return false;
    if (is_judged) return true;
    if (!try_verdicts(r, found, mcus, 1, &plain->verdict)) return false;
    if (!found) return true;
    if (found != plain->next) {
        fprintf(stderr, "%s: the scan ends at %td, not %td, of %td bytes\n", r->name, found - plain->start,
                plain->next - plain->start, plain->end - plain->start);
        return false;
    }
    const size_t nbytes = fi_entropy_stray_nbytes(r->entropy, &marker);
    if (nbytes == plain->stray_nbytes && (!nbytes || marker == plain->stray_marker)) return true;
    fprintf(stderr, "%s: %zu stray bytes before marker %02x, not %zu before %02x\n", r->name, nbytes, marker,
            plain->stray_nbytes, plain->stray_marker);
    return false;
}
