/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of moe_routing and its gradient. */
#ifndef SMELT_CPU_MOE_ROUTING_KERNEL_H
#define SMELT_CPU_MOE_ROUTING_KERNEL_H

#include <stdbool.h>

#include "cpu/rows.h"
#include "core/dtype.h"

/* A few rows, one per lane of the vectors: the search for the largest probabilities of one row is a chain of
 * dependent steps, but the rows are independent. */
struct smelt_moe_lanes {
    enum smelt_dtype dtype;
    const char *logits;
    int64_t row_step, expert_step; /* bytes */
    int64_t rows;                  /* 1 to lanes */
    int64_t experts, chosen;
    bool renormalize;
    const float *scale; /* per expert, or NULL */
    float *work;        /* experts times lanes */
    float *weights;     /* out: entry [k * lanes + row], room for smelt_moe_room() times lanes */
    int32_t *ids;       /* likewise */
};

/* Where route() left entry k of a row: at row * row_step + k * step of both lists. */
struct smelt_moe_lists {
    const float *weights;
    const int32_t *ids;
    int64_t row_step, step;
};

/* Small lists live in registers, in a few sizes. */
static inline int64_t smelt_moe_room(int64_t chosen) { return chosen <= 16 ? 16 : chosen; }

struct smelt_moe_kernels {
    int64_t lanes;
    struct smelt_moe_lists (*route)(const struct smelt_moe_lanes *rows);
    /* probabilities = softmax of one packed row; false where the row has none (NaN, +inf, -inf alone) */
    bool (*softmax)(float *probabilities, enum smelt_dtype dtype, const void *logits, int64_t experts);
    /* out = in rounded to the dtype */
    void (*convert)(enum smelt_dtype dtype, void *out, const float *in, int64_t n);
};
SMELT_DECLARE_KERNELS(struct smelt_moe_kernels, smelt_moe);

#endif
