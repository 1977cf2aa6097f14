/* SPDX-License-Identifier: BSD-3-Clause */
/* fi_library.h - the third part of the core's manual: the library itself, its kernels and its libjpeg. See fi.h. */
#ifndef FI_LIBRARY_H
#define FI_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * fi_cpu_parse() turns words such as "avx2,-bmi2" into CPU features (cpu.h): those of this CPU, up to the ceiling that
 * a plain word sets, less those that "-word" names. A known word for something that this CPU lacks changes nothing, and
 * "" gives all features. It returns false if a word is unknown: *unknown then points to it, and *nbytes is its length.
 */
bool fi_cpu_parse(const char *words, unsigned *cpu_features, const char **unknown, size_t *nbytes);

/* fi_cpu_words() returns the words that fi_cpu_parse() knows, separated by commas. */
const char *fi_cpu_words(void);

/*
 * fi_init() fills the kernel tables with the best versions for these features, and checks, by decoding a tiny image in
 * several ways, that the loaded libjpeg is laid out and computes as the core expects. Call it once, before any function
 * that takes a decoder or an output.
 */
void fi_init(unsigned cpu_features);

/*
 * fi_hooks_verified() returns whether libjpeg's private structs are what the core takes them for. If not,
 * fi_options.use_libjpeg_entropy must be set.
 */
bool fi_hooks_verified(void);

/*
 * fi_idct_verified() returns whether the core's inverse DCT to 8 x 8 samples equals libjpeg's, also when numbers
 * overflow. If not, libjpeg's is used.
 */
bool fi_idct_verified(void);

/* fi_now_ns() returns the time of a clock that never goes back. */
int64_t fi_now_ns(void);

/* fi_kernels_name() returns the instruction set of the pixel kernels in use: "avx2", "neon" or "c". */
const char *fi_kernels_name(void);

/*
 * fi_libjpeg_version() returns the version of the libjpeg-turbo that is loaded, such as "2.1.5": *nbytes characters,
 * without a NUL. It returns NULL if it cannot tell: on macOS, and where MozJPEG is loaded.
 */
const char *fi_libjpeg_version(size_t *nbytes);

/* fi_libjpeg_built_version() returns the version of the libjpeg-turbo headers that this was built with. */
const char *fi_libjpeg_built_version(void);

#endif
