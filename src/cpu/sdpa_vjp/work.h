/* SPDX-License-Identifier: Apache-2.0 */
/* How a call of sdpa_vjp is cut into items, by its shape alone, and what an item works on.
 *
 * The rows of a key head are the queries of all its query heads, one head after the other. An item of the
 * main pass owns a part of these rows, and so their dq; it walks them in chunks, for each chunk the key
 * blocks, for each key block the row blocks of the chunk. Where the rows of a key head are cut into several
 * parts, each leaves sums of dk and dv of its own, which a second pass adds up. */
#ifndef SMELT_CPU_SDPA_VJP_WORK_H
#define SMELT_CPU_SDPA_VJP_WORK_H

#include "api/sdpa_vjp.h"
#include "cpu/sdpa_vjp/sdpa_vjp_kernel.h"

enum {
    VJP_BLOCK = SMELT_SDPA_VJP_BLOCK,
    VJP_CHUNK_BLOCKS = 22, /* most row blocks that are packed at a time */
};

struct vjp_plan {
    const struct smelt_sdpa_vjp_args *args;
    const struct smelt_sdpa_args *forward;
    const struct smelt_sdpa_vjp_kernels *kernels;
    int64_t group, rows;      /* query heads and rows of a key head */
    int64_t parts, part_rows; /* the last part may be shorter */
    int64_t chunk_rows;       /* a multiple of VJP_BLOCK */
    int64_t key_blocks;
    int64_t columns, value_columns; /* dim and value_dim, up to whole panels */
    int64_t key_sums;               /* floats of the sums of dk and dv of one key block */
    int64_t slot_floats, part_floats;
    float *slots, *partials;
};

/* Packed queries and their cotangents, in blocks of rows; a block's flat rows lie VJP_BLOCK * columns apart.
 */
struct vjp_queries {
    float *deep, *flat;           /* scale * q, and q */
    float *deep_dout, *flat_dout; /* dout */
    float *sums;                  /* flat dq, not yet scaled */
    float *lse, *left;            /* (rows) */
    int64_t *first, *end;         /* (rows): the keys that causal and windows leave */
    uint8_t *wild;                /* (rows): dout is not finite */
};
struct vjp_keys {
    float *deep, *flat, *deep_values;
    uint8_t *keep; /* (VJP_BLOCK): of the key mask */
    bool all;      /* keep holds no 0 */
};
struct vjp_work {
    struct vjp_queries queries;
    struct vjp_keys keys;
    float *scores, *slopes, *bias; /* tiles */
    float *line, *other_line;      /* a row as float32 */
    float *key_sums;               /* of one key block, or of all, where the item keeps them itself */
};

struct vjp_work vjp_work(const struct vjp_plan *plan, int slot);
/* Floats of a slot: fills the plan's sizes from its shape. */
void vjp_plan_init(struct vjp_plan *plan, const struct smelt_sdpa_vjp_args *args,
                   const struct smelt_sdpa_vjp_kernels *kernels);

/* Row r of key head `head` belongs to this query head, and to query r % q_len. */
static inline int64_t vjp_head(const struct vjp_plan *plan, int64_t head, int64_t r)
{
    return head * plan->group + r / plan->forward->q_len;
}
static inline char *vjp_at(const struct smelt_view *view, int64_t b, int64_t h, int64_t i)
{
    return view->data + (b * view->stride[0] + h * view->stride[1] + i * view->stride[2]) * view->item;
}
/* `count` rows of a key head from `row` on, into the places of `queries` from its start. */
void vjp_pack_queries(const struct vjp_plan *plan, struct vjp_work *work, int64_t b, int64_t head,
                      int64_t row, int64_t count);
void vjp_pack_keys(const struct vjp_plan *plan, struct vjp_work *work, int64_t b, int64_t head, int64_t key,
                   int64_t count);
/* dlse - delta of a query; -inf as *lse where it depends on nothing. */
float vjp_left(const struct vjp_plan *plan, struct vjp_work *work, int64_t b, int64_t h, int64_t i,
               float *lse);
/* A line of float32 to memory of any dtype and stride, and back. The load returns whether all are finite. */
void vjp_store(const struct vjp_plan *plan, const struct smelt_view *view, char *to, const float *line,
               float factor, int64_t n);
bool vjp_load(const struct vjp_plan *plan, const struct smelt_view *view, const char *from, float *line,
              int64_t n);

/* P and slopes of packed rows [at, at + count) against the packed keys; false where nothing is visible. The
 * rows start at `row` of the key head. */
bool vjp_tile(const struct vjp_plan *plan, struct vjp_work *work, int64_t b, int64_t head, int64_t row,
              int64_t at, int64_t count, int64_t key, int64_t key_count, bool capped);

/* Tasks: the main pass, the addition of partial sums, the gradients of mask and sinks. */
void vjp_main(void *plan, int64_t begin, int64_t end, int slot);
void vjp_add_parts(void *plan, int64_t begin, int64_t end, int slot);
void vjp_mask(void *plan, int64_t begin, int64_t end, int slot);
int64_t vjp_mask_items(const struct vjp_plan *plan);
void vjp_sinks(void *plan, int64_t begin, int64_t end, int slot);

#endif
