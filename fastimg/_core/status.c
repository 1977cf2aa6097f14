/* SPDX-License-Identifier: BSD-3-Clause */
#include "fi.h"

#include <stdlib.h>

const char *fi_status_name(fi_status status) {
    static const char *const names[] = {
        [FI_OK] = "OK",
        [FI_E_NOMEM] = "NOMEM",
        [FI_E_OS] = "OS",
        [FI_E_NOT_FILE] = "NOT_FILE",
        [FI_E_RANGE] = "RANGE",
        [FI_E_EMPTY] = "EMPTY",
        [FI_E_NOT_JPEG] = "NOT_JPEG",
        [FI_E_CUT_HEADER] = "CUT_HEADER",
        [FI_E_LONG_HEADER] = "LONG_HEADER",
        [FI_E_NO_IMAGE] = "NO_IMAGE",
        [FI_E_NO_PIXELS] = "NO_PIXELS",
        [FI_E_NO_HEIGHT] = "NO_HEIGHT",
        [FI_E_TOO_LARGE] = "TOO_LARGE",
        [FI_E_PRECISION] = "PRECISION",
        [FI_E_PROCESS] = "PROCESS",
        [FI_E_COMPONENTS] = "COMPONENTS",
        [FI_E_COLOR] = "COLOR",
        [FI_E_TRUNCATED] = "TRUNCATED",
        [FI_E_CORRUPT] = "CORRUPT",
        [FI_E_UNSUPPORTED] = "UNSUPPORTED",
        [FI_E_SCANS] = "SCANS",
        [FI_E_COST] = "COST",
        [FI_E_MISSING] = "MISSING",
        [FI_E_CROP] = "CROP",
        [FI_E_SIDE] = "SIDE",
        [FI_E_SHAPE] = "SHAPE",
        [FI_E_SIZE] = "SIZE",
        [FI_E_CANCELLED] = "CANCELLED",
        [FI_E_READER] = "READER",
        [FI_E_INTERNAL] = "INTERNAL",
    };
    return names[status];
}

bool fi_is_other(fi_status status) {
    switch (status) {
        case FI_E_NOT_JPEG:
        case FI_E_NO_HEIGHT:
        case FI_E_PRECISION:
        case FI_E_PROCESS:
        case FI_E_COMPONENTS:
        case FI_E_COLOR:
        case FI_E_UNSUPPORTED:
            return true;
        default:
            return false;
    }
}

void fi_failure_free(fi_failure *failure) {
    free(failure);
}
