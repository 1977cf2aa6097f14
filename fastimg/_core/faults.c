/* SPDX-License-Identifier: BSD-3-Clause */
#include "faults.h"

#include <errno.h>

/* Errors of the machine, which the next images would meet as well. */
static bool is_machine_fault(const fi_failure *failure) {
    const int code = failure->os_errno;
    return failure->status == FI_E_NOMEM || (failure->status == FI_E_READER && failure->detail[0]) ||
           (failure->status == FI_E_OS && (code == ENOMEM || code == EMFILE || code == ENFILE));
}

/* Whether what holds the sources is at fault, if it is so for many in a row. */
static bool is_unreadable(const fi_failure *failure) {
    return (failure->status == FI_E_READER && failure->detail[1]) ||
           (failure->status == FI_E_OS && fi_is_storage_failure(failure->os_errno));
}

/* The end of the first FI_MAX_UNREADABLE sources in a row that cannot be read, if a source is one of so many. */
static size_t end_of_row(fi_batch *batch, size_t position) {
    size_t first = position, end = position;

    /* Whichever thread is the last to mark its job sees the marks of all. */
    atomic_store(&batch->jobs[position].is_unreadable, true);
    while (first > 0 && atomic_load(&batch->jobs[first - 1].is_unreadable)) first--;
    while (end < batch->count && atomic_load(&batch->jobs[end].is_unreadable)) end++;
    return end - first < FI_MAX_UNREADABLE ? SIZE_MAX : first + FI_MAX_UNREADABLE;
}

size_t fi_batch_end_after(fi_batch *batch, size_t position) {
    const fi_failure *failure = batch->jobs[position].failure;

    if (batch->has_fallback && fi_is_other(failure->status)) return SIZE_MAX;
    if (batch->stop_on_failure || is_machine_fault(failure)) return position;
    return is_unreadable(failure) ? end_of_row(batch, position) : SIZE_MAX;
}
