/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prints a line for each file that is an argument or, if the only argument is "-", a line of standard input: its name,
 * and status, shape and checksum of its pixels, as they are and resized. The lines are the same on every system and
 * processor. From the root of a checkout:
 *
 *   cc -std=c11 -O2 -Ifastimg/_core tests/core/pixels.c $(find fastimg/_core -name '*.c') -ljpeg -lm -pthread
 */
#include "cpu.h"
#include "fi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PIXELS = 1 << 26, SIDE = 64, MAX_NAME = 4096 };

/* What is printed of each file: as it is, leniently, in a format of each type, and resized in several ways. */
static const struct {
    const char *name;
    fi_options options;
} cases[] = {
    {"strict", {.strict = true}},
    {"lenient", {.mode = FI_MODE_RGB}},
    {"libjpeg", {.use_libjpeg_entropy = true}}, /* the same pixels as the last one's */
    {"grey", {.mode = FI_MODE_L, .layout = FI_HWC}},
    {"64x64", {.height = SIDE, .width = SIDE, .reducing_gap = 2}},
    {"cover", {.height = SIDE, .width = SIDE, .fit = FI_COVER, .resample = FI_BICUBIC, .mode = FI_MODE_BGR}},
    {"exact", {.height = SIDE, .width = SIDE, .fit = FI_CONTAIN, .resample = FI_LANCZOS, .layout = FI_HWC}},
    {"half", {.height = SIDE, .width = SIDE, .dtype = FI_FLOAT16}},
};

/* FNV-1a of 64 bits. */
static uint64_t checksum(const uint8_t *data, size_t nbytes) {
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < nbytes; i++) sum = (sum ^ data[i]) * UINT64_C(0x100000001b3);
    return sum;
}

/* 16-bit floats are stored in the machine's byte order, and summed up as if it were the usual one. */
static void swap_if_big(uint8_t *data, size_t nbytes) {
    const uint16_t one = 1;
    if (*(const uint8_t *)&one) return;
    for (size_t i = 0; i + 1 < nbytes; i += 2) {
        const uint8_t first = data[i];
        data[i] = data[i + 1];
        data[i + 1] = first;
    }
}

/* Values of 16-bit floats that are pixels / 256: exact, with none of libm. */
static void set_table(fi_options *options) {
    for (unsigned v = 1; v < 256; v++) {
        unsigned exponent = 0;
        while (v >> (exponent + 1)) exponent++;
        const unsigned fraction = (v << (10 - exponent)) & 0x3ff;
        for (int c = 0; c < 3; c++) options->table.u16[c][v] = (uint16_t)((exponent + 7) << 10 | fraction);
    }
}

static void print_case(fi_decoder *decoder, size_t i) {
    const fi_crop whole = {0};
    fi_options options = cases[i].options;
    fi_failure failure = {0};
    fi_plan plan;

    options.orient = true;
    options.max_scans = 1000;
    options.max_pixels = MAX_PIXELS;
    if (options.dtype == FI_FLOAT16) set_table(&options);
    fi_status status = fi_plan_make(&plan, fi_decoder_header(decoder), &options, &whole, false, &failure);
    if (status != FI_OK) {
        printf(" %s %s", cases[i].name, fi_status_name(status));
        return;
    }
    const size_t item = fi_element_of(options.dtype)->nbytes;
    const size_t plane = (size_t)plan.out_height * plan.out_width * item, nbytes = plane * fi_channels(&options);
    const size_t row = (size_t)plan.out_width * item * (options.layout == FI_HWC ? fi_channels(&options) : 1);
    uint8_t *data = calloc(nbytes, 1);
    if (!data) exit(2);
    const fi_output out = {data, (ptrdiff_t)plane, (ptrdiff_t)row, plan.out_height, plan.out_width};
    status = fi_decode(decoder, &options, &whole, false, &out, &failure);
    if (item == 2) swap_if_big(data, nbytes);
    printf(" %s %s", cases[i].name, fi_status_name(status));
    /* After a failure the array holds whatever. */
    if (status == FI_OK) {
        printf(" %ux%ux%u %016llx", (unsigned)fi_channels(&options), (unsigned)plan.out_height,
               (unsigned)plan.out_width, (unsigned long long)checksum(data, nbytes));
    }
    free(data);
}

static void print_file(fi_decoder *decoder, const char *path) {
    const fi_source source = {.path = path, .size = FI_WHOLE_FILE};
    fi_failure failure = {0};
    const fi_status status = fi_open(decoder, &source, MAX_PIXELS, &failure);

    printf("%s", path);
    if (status != FI_OK) printf(" open %s", fi_status_name(status));
    if (status == FI_E_OS) printf(" (%s)", strerror(failure.os_errno));
    if (status == FI_E_NOT_FILE) printf(" %o", (unsigned)failure.detail[0] & 0170000u);
    for (size_t i = 0; status == FI_OK && i < sizeof cases / sizeof cases[0]; i++) print_case(decoder, i);
    putchar('\n');
}

int main(int argc, char **argv) {
    static char line[MAX_NAME];

    fi_init(fi_cpu_features());
    fprintf(stderr, "kernels: %s; hooks: %s; inverse DCT: %s\n", fi_kernels_name(),
            fi_hooks_verified() ? "own" : "libjpeg's", fi_idct_verified() ? "own" : "libjpeg's");
    fi_decoder *decoder = fi_decoder_new();
    if (!decoder) return 2;
    if (argc == 2 && strcmp(argv[1], "-") == 0) {
        while (fgets(line, sizeof line, stdin)) {
            line[strcspn(line, "\r\n")] = '\0';
            print_file(decoder, line);
        }
    }
    for (int i = 1; i < argc && strcmp(argv[i], "-") != 0; i++) print_file(decoder, argv[i]);
    fi_decoder_free(decoder);
    return 0;
}
