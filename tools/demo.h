/* SPDX-License-Identifier: Apache-2.0 */
/* smelt demo: each operation of a decoder layer runs on whole tensors; a fixed sample of its rows, heads or
 * queries is compared with src/ref, because the reference of everything would take minutes. One row:
 *
 *     if (!demo_begin(d, "rms_norm", "2048 x 4096")) return;
 *     struct call call = {demo_output(d, ...), demo_input(d, ...)};
 *     if (!demo_run(d, run, &call)) return;                     once, for what is compared
 *     for (int s = 0; s < DEMO_SAMPLES; s++) {
 *         const int64_t first[] = {demo_sample(d, s, 2048), 0}, count[] = {1, 4096};
 *         DLTensor *x = demo_slice(d, call.x, first, count), *out = demo_slice(d, call.out, first, count);
 *         ref_rms_norm(demo_wide(d, out), x, call.weight, NULL);
 *         demo_compare(d, out, 1e-2);
 *     }
 *     demo_time(d, &work, run, &call); */
#ifndef SMELT_TOOLS_DEMO_H
#define SMELT_TOOLS_DEMO_H

#include "../bench/bench.h"
#include "ref/ref.h"

enum { DEMO_SAMPLES = 8, DEMO_SLICES = 8, DEMO_RANK = 5 };

struct demo_slice {
    DLTensor tensor, wide;
    int64_t shape[DEMO_RANK], strides[DEMO_RANK];
    double *memory; /* of wide */
};

struct demo {
    struct bench bench; /* tensors and timing */
    uint64_t random;
    double error;      /* largest of this row */
    char failure[256]; /* of this row, "" while it is right */
    int failed, rows;
    int slices;
    struct demo_slice slice[DEMO_SLICES];
};

void demo_begin(struct demo *d, const char *operation, const char *shape);
/* A row on the tensors of the last one. */
void demo_continue(struct demo *d, const char *operation, const char *shape);
DLTensor *demo_input(struct demo *d, enum smelt_dtype dtype, int rank, const int64_t *shape);
DLTensor *demo_output(struct demo *d, enum smelt_dtype dtype, int rank, const int64_t *shape);
bool demo_run(struct demo *d, smelt_status (*call)(void *), void *argument);
void demo_time(struct demo *d, const struct bench_work *work, smelt_status (*call)(void *), void *argument);

/* Of sample s: the first and the last of `count`, then others at random. */
int64_t demo_sample(struct demo *d, int s, int64_t count);
/* A view of a part of a tensor; slices live until demo_compare() or the row's end. */
DLTensor *demo_slice(struct demo *d, const DLTensor *tensor, const int64_t *first, const int64_t *count);
/* The float64 twin of a slice, for the reference. */
DLTensor *demo_wide(struct demo *d, DLTensor *slice);
/* |slice - wide| <= tolerance * (1 + |wide|) for every element of every slice that has a twin; then forgets
 * all slices. */
void demo_compare(struct demo *d, double tolerance);

/* The rows. */
void demo_norms(struct demo *d, int64_t tokens);
void demo_feed_forward(struct demo *d, int64_t tokens);
void demo_prefill(struct demo *d);
void demo_decode(struct demo *d);
void demo_metal(struct demo *d); /* the residual norms and the router once more, as Metal kernels */

/* The layer. */
enum {
    HIDDEN = 4096,
    HEADS = 32,
    KV_HEADS = 8,
    HEAD_DIM = 128,
    EXPERTS = 128,
    TOP_K = 8,
    EXPERT_HIDDEN = 768,
    PROMPT = 2048,
    CACHE = 32768
};

#endif
