/* SPDX-License-Identifier: BSD-3-Clause */
/* In place of libFuzzer, for compilers without it: a program that gives files to a target. */
#include "replay.h"

#include <stdio.h>
#include <stdlib.h>

static void replay(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    const size_t size = (size_t)ftell(file);
    uint8_t *data = malloc(size ? size : 1); /* to the byte, for AddressSanitizer */
    rewind(file);
    if (!data || fread(data, 1, size, file) != size) {
        perror(path);
        exit(2);
    }
    fclose(file);
    printf("%s: ", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    print_result();
}

int main(int argc, char **argv) {
    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) replay(argv[i]);
    free_kept();
    return 0;
}
