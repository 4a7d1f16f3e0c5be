/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads and blocks share the rows of a call. */
#include "norm.h"

struct smelt_norm_tuning smelt_norm_tuning;

static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Threads a row, where each holds `vectors` of its `pieces`; sets the cluster, 0 where the row is too long.
 */
static int lanes_for(int64_t pieces, int vectors, int most_cluster, int *cluster)
{
    const int64_t threads = divide_up(pieces, vectors);
    int lanes = 1;
    *cluster = 1;
    while (lanes < 32 && lanes < threads) lanes *= 2;
    if (threads <= 32) return lanes;
    while (*cluster <= most_cluster && divide_up(threads, *cluster) > SMELT_NORM_THREADS) *cluster *= 2;
    if (*cluster > most_cluster) return *cluster = 0;
    return (int)divide_up(divide_up(threads, *cluster), 32) * 32;
}

/* What was fastest on an H200 for bfloat16 (docs/benchmarks/h200-rows.md), by the vectors of 16 bytes of a
 * row: up to 128, 256, and so on to 8,192. `blocks` are those of a multiprocessor, -1: as many as rows. */
enum { SIZES = 7, ALL_ROWS = -1 };
static const struct way {
    signed char vectors, cluster, blocks;
} ways[2][SMELT_NORM_KINDS][SIZES] = {
    {{{1, 1, 12}, {1, 1, 12}, {8, 1, ALL_ROWS}, {2, 1, 12}, {4, 1, 1}, {8, 1, 3}, {4, 8, 5}},
     {{4, 1, 12}, {8, 1, 4}, {8, 1, 16}, {8, 1, 16}, {8, 1, 8}, {8, 1, 1}, {8, 2, 1}},
     {{1, 1, 8}, {1, 1, 4}, {4, 1, 16}, {4, 1, 8}, {4, 1, 2}, {2, 8, 8}, {2, 8, 6}},
     {{2, 1, ALL_ROWS},
      {2, 1, ALL_ROWS},
      {4, 1, ALL_ROWS},
      {4, 1, ALL_ROWS},
      {4, 1, 10},
      {4, 2, 3},
      {4, 8, 5}}},
    {{{2, 1, 8}, {2, 1, 4}, {2, 1, 2}, {2, 1, 5}, {2, 2, 1}, {2, 8, 5}, {2, 8, 5}},
     {{2, 1, 8}, {2, 1, 4}, {2, 1, 4}, {2, 1, 2}, {2, 2, 1}, {2, 8, 5}, {2, 8, 4}},
     {{1, 1, 5}, {2, 1, 4}, {2, 1, 4}, {1, 2, 1}, {2, 8, 10}, {2, 8, 5}, {2, 8, 5}},
     {{1, 1, 5}, {2, 1, 4}, {2, 1, 2}, {2, 1, 1}, {2, 2, 1}, {2, 8, 5}, {2, 8, 6}}}};

/* Few rows want many threads, for the time of one row; many want many bytes on their way. */
static struct way choose(const struct smelt_cuda_norm *job, int64_t rows, int64_t pieces, int multiprocessors)
{
    const bool one = job->kind == SMELT_NORM_RMS || job->kind == SMELT_NORM_LAYER;
    if (rows <= 2 * multiprocessors) {
        const int most = job->gradient ? 2 : one ? 8 : 4;
        struct way way = {one || rows <= multiprocessors ? 2 : 1, 1, ALL_ROWS};
        while (way.vectors < most && pieces > (int64_t)SMELT_NORM_THREADS * way.vectors) way.vectors *= 2;
        if (job->gradient) way.blocks = 2;
        return way;
    }
    if (pieces <= 64) return (struct way){pieces > 32 ? 2 : 1, 1, job->gradient ? 4 : 8};
    int size = 0;
    while (size < SIZES - 1 && pieces > (int64_t)128 << size) size++;
    return ways[job->gradient][job->kind][size];
}

struct smelt_norm_plan smelt_norm_plan(const struct smelt_cuda_norm *job, int type, int64_t rows, int64_t dim,
                                       int multiprocessors, int most_cluster)
{
    const struct smelt_norm_tuning *tuning = &smelt_norm_tuning;
    const int64_t pieces = dim / (type == SMELT_CUDA_F32 ? 4 : 8);
    struct way way = choose(job, rows, pieces, multiprocessors);
    if (tuning->vectors) way.vectors = (signed char)tuning->vectors, way.cluster = 1;
    if (tuning->cluster) way.cluster = (signed char)tuning->cluster;
    if (tuning->blocks) way.blocks = (signed char)tuning->blocks;
    if (way.cluster > most_cluster) way.cluster = (signed char)most_cluster;
    struct smelt_norm_plan plan = {.vectors = way.vectors};
    plan.lanes = lanes_for(pieces, plan.vectors, most_cluster, &plan.cluster);
    if (plan.cluster == 0) plan.vectors = 0;
    if (!plan.vectors) return plan;
    if (way.cluster > plan.cluster && plan.lanes > 32) {
        plan.cluster = way.cluster;
        plan.lanes = (int)divide_up(divide_up(divide_up(pieces, plan.vectors), plan.cluster), 32) * 32;
        if (plan.lanes < 64) plan.lanes = 64;
    }
    plan.threads = plan.lanes > 32 ? plan.lanes : 128;
    const int64_t rows_a_block = plan.lanes > 32 ? 1 : plan.threads / plan.lanes;
    const int64_t wanted = divide_up(rows, rows_a_block);
    int64_t resident = way.blocks < 0 ? INT32_MAX / 16 : (int64_t)multiprocessors * way.blocks;
    resident /= plan.cluster;
    if (resident < 1) resident = 1;
    plan.blocks = wanted;
    if (wanted > resident) plan.blocks = divide_up(wanted, divide_up(wanted, resident)); /* even shares */
    plan.blocks = smelt_cuda_blocks(plan.blocks) * plan.cluster;
    return plan;
}
