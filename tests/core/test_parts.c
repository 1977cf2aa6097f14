/* SPDX-License-Identifier: BSD-3-Clause */
/* test_parts FILE...: each image in several threads, in small parts, gives the pixels, errors and warnings of one. */
#include "together.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_SECONDS 60 /* for a file in some way: a second, if no threads wait for one another */

typedef struct {
    uint8_t *pixels;
    size_t nbytes;
    fi_failure failure;
    long warnings;
    char notes[4096];
} result;

static void keep_warnings(const fi_decoder *decoder, result *result) {
    result->warnings = fi_decoder_warning_count(decoder);
    snprintf(result->notes, sizeof result->notes, "%s", fi_decoder_warnings(decoder));
}

static bool are_equal(const result *alone, const result *together) {
    const fi_failure *a = &alone->failure, *b = &together->failure;

    if (a->status != b->status || strcmp(a->text, b->text) || memcmp(a->detail, b->detail, sizeof a->detail))
        return false;
    if (alone->warnings != together->warnings || strcmp(alone->notes, together->notes)) return false;
    return a->status != FI_OK || memcmp(alone->pixels, together->pixels, alone->nbytes) == 0;
}

static bool check(fi_decoder *decoder, const char *path, const fi_options *options) {
    static const size_t parts[] = {37, 300, 0};
    static const size_t threads[] = {1, 2, 3, 5, 8};
    const fi_source source = {.path = path, .size = FI_WHOLE_FILE};
    static result alone, together;
    bool equal = true;

    alone.pixels = calloc(1, MAX_NBYTES);
    together.pixels = calloc(1, MAX_NBYTES);
    alone.failure = (fi_failure){0};
    alarm(MAX_SECONDS);
    decode(decoder, &source, options, alone.pixels, &alone.nbytes, &alone.failure);
    keep_warnings(decoder, &alone);
    for (size_t i = 0; i < 15 && equal; i++) {
        together.failure = (fi_failure){0};
        decode_together(decoder, &source, options, threads[i / 3], parts[i % 3], together.pixels, &together.failure);
        keep_warnings(decoder, &together);
        equal = are_equal(&alone, &together);
        if (equal) continue;
        printf("%s: %zu threads, parts of %zu bytes: %s, %ld warnings (%s), not %s, %ld (%s)\n", path, threads[i / 3],
               parts[i % 3], fi_status_name(together.failure.status), together.warnings, together.notes,
               fi_status_name(alone.failure.status), alone.warnings, alone.notes);
    }
    free(alone.pixels);
    free(together.pixels);
    return equal;
}

int main(int count, char **paths) {
    fi_options options = {.strict = true, .orient = true, .max_scans = 100, .max_pixels = MAX_NBYTES / 3};
    bool equal = true;

    fi_init(~0u);
    options.use_libjpeg_entropy = !fi_hooks_verified();
    fi_decoder *decoder = fi_decoder_new();
    for (int i = 1; i < count; i++) {
        for (int strict = 0; strict < 2; strict++) {
            options.strict = strict;
            options.height = options.width = 0;
            equal = check(decoder, paths[i], &options) && equal;
            options.height = options.width = 17;
            options.reducing_gap = 2;
            equal = check(decoder, paths[i], &options) && equal;
        }
    }
    fi_decoder_free(decoder);
    if (equal) printf("%d files\n", count - 1);
    return equal ? 0 : 1;
}
