/* SPDX-License-Identifier: Apache-2.0 */
/* Threads and scratch memory of one call. */
#ifndef SMELT_CORE_PARALLEL_H
#define SMELT_CORE_PARALLEL_H

#include "core/status.h"

/* Where a call runs: a checked smelt_stream. */
struct smelt_run {
    int slots;         /* most tasks that run at the same time, 1 or more */
    int64_t llc_bytes; /* outputs above this many bytes are written with streaming stores */
    smelt_stream stream;
};

/* Reads and checks a smelt_stream (NULL = defaults). */
smelt_status smelt_run_init(struct smelt_run *run, const char *operation, const smelt_stream *stream);

/* Works on items [begin, end). Calls with the same slot never run at the same time; slots are 0 to run->slots
 * - 1. */
typedef void smelt_task(void *argument, int64_t begin, int64_t end, int slot);

enum smelt_schedule {
    SMELT_EVEN,    /* items cost the same: neighbours to a slot, best for streams */
    SMELT_DYNAMIC, /* items differ: one at a time, in order */
};

/* Runs the task over [0, items). What an item computes must not depend on its slot: results are then the same
 * for any number of threads. */
void smelt_parallel(const struct smelt_run *run, enum smelt_schedule schedule, int64_t items,
                    smelt_task *task, void *argument);

/* Items per slot below which more threads cost more than they bring: caps run->slots for a call that moves
 * `bytes`. */
void smelt_run_limit(struct smelt_run *run, int64_t bytes);

/* Scratch of at least `bytes`, aligned to 64: the caller's workspace where it is large enough, else a buffer
 * of this thread that grows and stays until the thread ends. One piece per call: a second request invalidates
 * the first. */
smelt_status smelt_scratch(const struct smelt_run *run, const char *operation, size_t bytes, void **memory);

/* For the operation whose size the caller can ask for: a workspace that is given must suffice. */
smelt_status smelt_expect_workspace(const struct smelt_run *run, const char *operation, size_t bytes);

#endif
