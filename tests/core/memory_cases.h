/* SPDX-License-Identifier: BSD-3-Clause */
/* What test_out_of_memory.c and memory_batches.c share: files, options, what becomes of them, and checks. */
#ifndef MEMORY_CASES_H
#define MEMORY_CASES_H

#include "failing_malloc.h"
#include "fi_batch.h"

enum { MAX_FILES = 16, MAX_NBYTES = 1 << 18, MAX_PIXELS = 1 << 16, VARIANTS = 7, MAX_IMAGES = 8 };

/* How a file's decoding ends if no allocation fails. */
typedef struct {
    const char *path;
    fi_status status[VARIANTS];
    uint8_t *pixels[VARIANTS];
    fi_output out[VARIANTS];
} file;

extern file files[MAX_FILES];
extern size_t file_count;
extern fi_options variants[VARIANTS];
extern uint8_t found[MAX_IMAGES][MAX_NBYTES];

/* What is being tried, for messages. */
extern struct now {
    const char *what, *before, *path;
    int variant;
    long n;
    bool lasting;
} now;

/* Says what is wrong, and ends the program. */
_Noreturn void fail(const char *why, fi_status status);

void set_variants(void);

/* The output of a variant that has this size, without data. Some have gaps between their rows. */
fi_output output_of(int v, uint32_t height, uint32_t width);
size_t nbytes_of(const fi_output *out, int v);
void unset(uint8_t *pixels, const fi_output *out, int v);

/* Whether all that an image of this variant has written to `pixels` is 0; the gaps are as unset() left them. */
bool is_cleared(const uint8_t *pixels, const fi_output *out, int v);

fi_source source_of(const file *f);
fi_decoder *new_decoder(void);
fi_status decode(fi_decoder *decoder, const file *f, int v, uint8_t *pixels);

/* An image of f is right, or failed as it should: `or_no_memory` for lack of memory, too. */
void check(const file *f, int v, fi_status status, const uint8_t *pixels, bool or_no_memory);
void decode_and_check(fi_decoder *decoder, const file *f, int v);

/* Finds out how the decoding of f ends. */
void learn(file *f, int v);

/* Each lets allocation now.n of a call fail, checks what comes of it, and returns whether it was reached. */
bool try_batch(size_t first, int v, bool warm);
bool try_view_batch(size_t first, int v);
bool try_headers(size_t first, int v);
bool try_fallback(int v);

#endif
