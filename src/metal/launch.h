/* SPDX-License-Identifier: Apache-2.0 */
/* Running compiled code over a grid. */
#ifndef SMELT_METAL_LAUNCH_H
#define SMELT_METAL_LAUNCH_H
#include "core/parallel.h"
#include "metal/unit.h"

enum { SMELT_MOST_BINDINGS = 64, SMELT_MOST_THREADS = 1024, SMELT_MOST_THREADGROUP_MEMORY = 32768 };

struct smelt_grid {
    uint32_t threads[3];     /* of the grid */
    uint32_t groups[3];
    uint32_t threadgroup[3]; /* asked for; groups at the edge may be smaller */
};

struct smelt_launch {
    const char *operation;
    const struct smelt_code *code;
    struct smelt_grid grid;
    void *arguments[SMELT_MOST_BINDINGS];
    size_t threadgroup_length[SMELT_MOST_BINDINGS]; /* of slots that are threadgroup memory, else 0 */
    unsigned argument_count;
};

/* Completes and checks the grid: `count` is in threads or in threadgroups. */
smelt_status smelt_grid_init(struct smelt_grid *grid, const char *operation, const uint32_t count[3],
                             const uint32_t threadgroup[3], bool in_threadgroups);
/* The 32 lanes of every simdgroup are neighbours in x. */
bool smelt_grid_has_rows(const struct smelt_grid *grid);
smelt_status smelt_launch_run(const struct smelt_launch *launch, const struct smelt_run *run);

#endif
