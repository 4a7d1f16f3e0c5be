/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the driver of the norm family: scratch, columns and the walk over rows. */
#ifndef SMELT_CPU_NORM_DRIVER_H
#define SMELT_CPU_NORM_DRIVER_H

#include "core/loop.h"
#include "cpu/norm/norm_kernel.h"

/* Pieces of one allocation, each aligned to 64. A layout is walked twice: without memory for the size, then
 * with it. */
struct smelt_norm_arena {
    char *memory;
    size_t used;
    bool too_large;
};
void *smelt_norm_take(struct smelt_norm_arena *arena, int64_t count, int64_t item);

/* A call that is ready to run. */
struct smelt_norm_plan {
    const struct smelt_norm_job *job;
    struct smelt_run run;
    struct smelt_loop loop;
    int64_t dim;
    struct smelt_norm_rows rows; /* all but what differs from row to row */
    smelt_norm_kernel *kernel;
    /* Operands whose rows are copied into neighbours of a dtype that the kernel takes, and back. */
    unsigned staged;
    enum smelt_dtype dtype[SMELT_NORM_OPERANDS];
    int64_t stage[SMELT_NORM_OPERANDS]; /* place in a slot's room, bytes */
    int64_t row, slot_size;             /* likewise for rows.row; size of that room */
    char *slots;
    struct smelt_norm_column weight; /* where a gradient asks for it: weight + offset without the scalar */
    int64_t blocks;                  /* of rows, each summed on its own */
    float *by_norm, *by_dout;        /* a row of dim floats for each block, or NULL */
};

/* Loop, kernel and staging; no memory yet. */
void smelt_norm_plan_init(struct smelt_norm_plan *plan, const struct smelt_norm_job *job);
/* Scratch and columns. */
smelt_status smelt_norm_plan_memory(struct smelt_norm_plan *plan);
/* Rows [begin, end) of the loop. */
void smelt_norm_run_rows(const struct smelt_norm_plan *plan, struct smelt_norm_rows rows, int64_t begin,
                         int64_t end, int slot);

/* A column: (view + offset) rounded to `rounding`, as `dtype`, which is that or float32; without a view all
 * 1, or -0. Read in place where nothing changes. */
enum smelt_norm_absent { SMELT_NORM_ONE, SMELT_NORM_NEGATIVE_ZERO };
struct smelt_norm_column smelt_norm_column(struct smelt_norm_arena *arena, const struct smelt_view *view,
                                           int64_t dim, float offset, enum smelt_dtype rounding,
                                           enum smelt_dtype dtype, enum smelt_norm_absent absent);
/* The product of two columns. */
struct smelt_norm_column smelt_norm_column_product(struct smelt_norm_arena *arena, int64_t dim,
                                                   struct smelt_norm_column a, struct smelt_norm_column b);

/* n elements of `dtype`, `step` bytes apart, from and to neighbours of the same dtype or of float32. */
void smelt_norm_gather(void *packed, enum smelt_dtype packed_dtype, const void *strided,
                       enum smelt_dtype dtype, int64_t step, int64_t n);
void smelt_norm_scatter(void *strided, enum smelt_dtype dtype, int64_t step, const void *packed,
                        enum smelt_dtype packed_dtype, int64_t n);

#endif
