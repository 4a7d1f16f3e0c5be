/* SPDX-License-Identifier: Apache-2.0 */
/* The library's own threads. They help a call that is under way, and no call waits for a thread that has not
 * come: where cores are busy with other work, the caller does everything itself. */
#ifndef SMELT_CORE_POOL_H
#define SMELT_CORE_POOL_H

#include <stdint.h>

enum { SMELT_MOST_SLOTS = 1024 };

/* Runs work(argument, 0) on this thread and, on those threads of the pool that come before that ends,
 * work(argument, slot) with other slots below `slots`, each slot at most once. Returns when all that began
 * have ended: what is to be done must be claimed inside `work`, until nothing is left. From any number of
 * threads at once, and in the child of a fork. */
void smelt_pool_run(int slots, void (*work)(void *argument, int64_t slot), void *argument);

#endif
