/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which libjpeg-turbo this is. None of its functions tells, and its message table only has years, but every version has
 * a line about itself among its constants.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* for dl_iterate_phdr() and memmem() */
#endif

#include "jpeg/compat.h"

#include <string.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *fi_libjpeg_built_version(void) {
    return TEXT(LIBJPEG_TURBO_VERSION);
}

#ifdef __ELF__

#include <link.h>

typedef struct {
    const char *start;
    size_t nbytes;
} span;

static span segment_of(const struct dl_phdr_info *object, size_t i) {
    const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
    const uintptr_t start = (uintptr_t)object->dlpi_addr + (uintptr_t)segment->p_vaddr;
    const bool is_constant = segment->p_type == PT_LOAD && (segment->p_flags & (PF_R | PF_W)) == PF_R;

    return (span){(const char *)start, is_constant ? segment->p_filesz : 0};
}

static bool has_code(const struct dl_phdr_info *object, uintptr_t address) {
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const span segment = segment_of(object, i);
        if (address - (uintptr_t)segment.start < segment.nbytes) return true;
    }
    return false;
}

/* The digits and dots after the mark; none if it is not there. */
static span find_version(span segment) {
    static const char mark[] = "libjpeg-turbo version ";
    const char *const end = segment.start + segment.nbytes;
    span version = {0};
    const char *found = segment.nbytes ? memmem(segment.start, segment.nbytes, mark, sizeof mark - 1) : NULL;

    if (!found) return version;
    version.start = found + sizeof mark - 1;
    for (const char *p = version.start; p < end && ((*p >= '0' && *p <= '9') || *p == '.'); p++) version.nbytes++;
    return version;
}

static int visit(struct dl_phdr_info *object, size_t nbytes, void *version) {
    span *const found = version;

    (void)nbytes;
    if (!has_code(object, (uintptr_t)jpeg_CreateDecompress)) return 0;
    if (has_code(object, (uintptr_t)fi_libjpeg_version)) { /* linked statically: the line may have been left out */
        *found = (span){fi_libjpeg_built_version(), strlen(fi_libjpeg_built_version())};
        return 1;
    }
    for (size_t i = 0; i < object->dlpi_phnum && !found->nbytes; i++) *found = find_version(segment_of(object, i));
    return 1;
}

const char *fi_libjpeg_version(size_t *nbytes) {
    span version = {0};

    dl_iterate_phdr(visit, &version);
    *nbytes = version.nbytes;
    return version.nbytes ? version.start : NULL;
}

#elif defined(FASTIMG_JPEG_STATIC) /* by setup.py: what was built with is what is used */

const char *fi_libjpeg_version(size_t *nbytes) {
    const char *const version = fi_libjpeg_built_version();

    *nbytes = strlen(version);
    return version;
}

#else

const char *fi_libjpeg_version(size_t *nbytes) {
    *nbytes = 0;
    return NULL;
}

#endif
