/* SPDX-License-Identifier: Apache-2.0 */
/* The simdgroups of one threadgroup, run on one thread: a fiber each where the kernel has barriers. */
#ifndef SMELT_METAL_FIBER_H
#define SMELT_METAL_FIBER_H
#include <stdbool.h>
#include <stddef.h>
#include "metalc/abi.h"

enum { SMELT_MOST_SIMDGROUPS = 32 };

struct smelt_worker; /* what a thread needs to run threadgroups: stacks and threadgroup memory */

struct smelt_fiber {
    struct smelt_simdgroup simdgroup; /* first: a kernel knows its fiber by this address */
    struct smelt_worker *worker;
    void *stack_pointer;                 /* NULL: it runs on its caller's stack, alone */
    struct smelt_fiber *next, *previous; /* the ring of those that still run */
};

/* One of this thread, grown to these sizes; NULL where memory is spent. It stays until the thread ends. */
struct smelt_worker *smelt_worker_get(size_t stack_bytes, size_t threadgroup_bytes);
struct smelt_fiber *smelt_worker_fibers(struct smelt_worker *worker);
unsigned char *smelt_worker_threadgroup(struct smelt_worker *worker);
/* Runs the first `count` fibers to their end, from barrier to barrier. */
void smelt_worker_run(struct smelt_worker *worker, smelt_simdgroup_function *function, unsigned count);

#endif
