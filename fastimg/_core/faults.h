/* SPDX-License-Identifier: BSD-3-Clause */
/* Failures that are not the images' stop a batch. */
#ifndef FI_FAULTS_H
#define FI_FAULTS_H

#include "fi_batch.h"

/*
 * Where the batch ends after a job has failed; SIZE_MAX: it goes on. Call it once for each job that fails, from any
 * thread: a source that could not be read is counted.
 */
size_t fi_batch_end_after(fi_batch *batch, size_t position);

#endif
