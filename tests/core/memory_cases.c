/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNSET = 0xA5, GAP = 36 };

file files[MAX_FILES];
size_t file_count;
fi_options variants[VARIANTS];
uint8_t found[MAX_IMAGES][MAX_NBYTES];
struct now now;

void fail(const char *why, fi_status status) {
    fprintf(stderr, "%s of %s after %s, options %d, allocation %ld%s: %s (status %s)\n", now.what,
            now.path ? now.path : "-", now.before ? now.before : "-", now.variant, now.n, now.lasting ? " and on" : "",
            why, fi_status_name(status));
    exit(1);
}

/* Copied and resized, strict and lenient, bytes and floats, with the core's own stages and without. */
void set_variants(void) {
    for (int v = 0; v < VARIANTS; v++) {
        variants[v] = (fi_options){
            .orient = true, .strict = v % 2 == 0, .max_scans = 100, .max_pixels = MAX_PIXELS, .reducing_gap = 2};
    }
    variants[1].mode = FI_MODE_L;
    variants[2].height = 9;
    variants[2].width = 17;
    variants[3] = variants[2];
    variants[3].strict = false;
    variants[3].layout = FI_HWC;
    variants[3].resample = FI_LANCZOS;
    variants[3].fit = FI_CONTAIN;
    variants[4].layout = FI_HWC;
    variants[4].use_libjpeg_entropy = true;
    variants[6].height = 9;
    variants[6].width = 17;
    variants[6].layout = FI_HWC;
    for (int v = 5; v < VARIANTS; v++) {
        variants[v].dtype = FI_FLOAT32;
        for (int c = 0; c < 3; c++) {
            variants[v].std[c] = 1;
            for (int value = 0; value < 256; value++) variants[v].table.f32[c][value] = (float)value / 255;
        }
    }
}

fi_output output_of(int v, uint32_t height, uint32_t width) {
    const bool planar = variants[v].layout == FI_CHW;
    const size_t nbytes = fi_element_of(variants[v].dtype)->nbytes * (planar ? 1 : fi_channels(&variants[v]));
    const ptrdiff_t row = (ptrdiff_t)(width * nbytes) + (v >= 5 ? GAP : 0);
    return (fi_output){NULL, row * height, row, height, width};
}

size_t nbytes_of(const fi_output *out, int v) {
    const bool planar = variants[v].layout == FI_CHW;
    return (size_t)out->row_stride * out->height * (planar ? fi_channels(&variants[v]) : 1);
}

void unset(uint8_t *pixels, const fi_output *out, int v) {
    memset(pixels, UNSET, nbytes_of(out, v));
}

bool is_cleared(const uint8_t *pixels, const fi_output *out, int v) {
    const size_t row = (size_t)out->row_stride, gap = v >= 5 ? GAP : 0;

    for (size_t k = 0; k < nbytes_of(out, v); k++) {
        if (pixels[k] != (k % row >= row - gap ? UNSET : 0)) return false;
    }
    return true;
}

fi_source source_of(const file *f) {
    return (fi_source){.path = f->path, .size = FI_WHOLE_FILE};
}

fi_decoder *new_decoder(void) {
    fi_decoder *decoder = fi_decoder_new();
    if (!decoder) fail("no decoder", FI_OK);
    return decoder;
}

fi_status decode(fi_decoder *decoder, const file *f, int v, uint8_t *pixels) {
    const fi_source source = source_of(f);
    const fi_crop whole = {0};
    fi_output out = f->out[v];
    fi_failure failure = {0};

    out.data = pixels;
    if (fi_open(decoder, &source, MAX_PIXELS, &failure) != FI_OK) return failure.status;
    return fi_decode(decoder, &variants[v], &whole, false, &out, &failure);
}

void check(const file *f, int v, fi_status status, const uint8_t *pixels, bool or_no_memory) {
    if (or_no_memory && status == FI_E_NOMEM) return;
    if (status != f->status[v]) fail("another status than expected", status);
    if (status == FI_OK && memcmp(pixels, f->pixels[v], nbytes_of(&f->out[v], v)) != 0) fail("wrong pixels", status);
}

void decode_and_check(fi_decoder *decoder, const file *f, int v) {
    unset(found[0], &f->out[v], v);
    check(f, v, decode(decoder, f, v, found[0]), found[0], false);
}

void learn(file *f, int v) {
    const fi_source source = source_of(f);
    const fi_crop whole = {0};
    fi_failure failure = {0};
    fi_plan plan;
    fi_decoder *decoder = new_decoder();

    if (fi_open(decoder, &source, MAX_PIXELS, &failure) != FI_OK ||
        fi_plan_make(&plan, fi_decoder_header(decoder), &variants[v], &whole, false, &failure) != FI_OK)
        fail("cannot be opened", failure.status);
    f->out[v] = output_of(v, plan.out_height, plan.out_width);
    f->pixels[v] = malloc(MAX_NBYTES);
    if (!f->pixels[v] || nbytes_of(&f->out[v], v) > MAX_NBYTES) fail("too large", FI_OK);
    unset(f->pixels[v], &f->out[v], v);
    f->status[v] = decode(decoder, f, v, f->pixels[v]);
    fi_decoder_free(decoder);
}
