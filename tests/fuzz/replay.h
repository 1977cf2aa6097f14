/* SPDX-License-Identifier: BSD-3-Clause */
/* What a target has besides libFuzzer's functions, for the program in replay.c. */
#ifndef FASTIMG_FUZZ_REPLAY_H
#define FASTIMG_FUZZ_REPLAY_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerInitialize(const int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came of the last input, on one line of standard output. */
void print_result(void);

/* Frees what is kept from one input to the next. */
void free_kept(void);

#endif
