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

/* Vectors of a thread at most: what is built. */
static int most_vectors(const struct smelt_cuda_norm *job)
{
    if (job->gradient) return 2;
    return job->kind == SMELT_NORM_RMS || job->kind == SMELT_NORM_LAYER ? 8 : 4;
}

/* Few rows want many threads, for the time of one row; many want many bytes on their way. */
static int usual_vectors(const struct smelt_cuda_norm *job, int64_t rows, int64_t pieces, int multiprocessors)
{
    const int most = most_vectors(job), usual = most < 4 ? most : 4;
    int vectors = 1;
    if (rows <= 2 * multiprocessors) {
        while (vectors < most && pieces > (int64_t)SMELT_NORM_THREADS * vectors) vectors *= 2;
        return vectors;
    }
    while (vectors < usual && pieces > 32 * vectors) vectors *= 2;
    while (vectors < most && pieces > (int64_t)SMELT_NORM_THREADS * vectors) vectors *= 2;
    return vectors;
}

/* Blocks that a multiprocessor has room for, by the registers of the kernels. */
static int64_t resident_blocks(const struct smelt_cuda_norm *job, const struct smelt_norm_plan *plan)
{
    const int threads = job->gradient ? 512 : plan->vectors == 1 ? 1024 : plan->vectors == 2 ? 768 : 576;
    return threads > plan->threads ? threads / plan->threads : 1;
}

struct smelt_norm_plan smelt_norm_plan(const struct smelt_cuda_norm *job, int type, int64_t rows, int64_t dim,
                                       int multiprocessors, int most_cluster)
{
    const struct smelt_norm_tuning *tuning = &smelt_norm_tuning;
    const int64_t pieces = dim / (type == SMELT_CUDA_F32 ? 4 : 8);
    struct smelt_norm_plan plan = {.vectors = usual_vectors(job, rows, pieces, multiprocessors)};
    if (tuning->vectors) plan.vectors = tuning->vectors;
    plan.lanes = lanes_for(pieces, plan.vectors, most_cluster, &plan.cluster);
    if (plan.cluster == 0) plan.vectors = 0;
    if (!plan.vectors) return plan;
    if (tuning->cluster > plan.cluster && plan.lanes > 32) {
        plan.cluster = tuning->cluster;
        plan.lanes = (int)divide_up(divide_up(divide_up(pieces, plan.vectors), plan.cluster), 32) * 32;
        if (plan.lanes < 64) plan.lanes = 64;
    }
    plan.threads = plan.lanes > 32 ? plan.lanes : 128;
    const int64_t rows_a_block = plan.lanes > 32 ? 1 : plan.threads / plan.lanes;
    const int64_t wanted = divide_up(rows, rows_a_block);
    int64_t resident = multiprocessors * resident_blocks(job, &plan);
    if (tuning->blocks)
        resident = tuning->blocks < 0 ? INT32_MAX / 16 : (int64_t)multiprocessors * tuning->blocks;
    resident /= plan.cluster;
    if (resident < 1) resident = 1;
    plan.blocks = wanted;
    if (wanted > resident) plan.blocks = divide_up(wanted, divide_up(wanted, resident)); /* even shares */
    plan.blocks = smelt_cuda_blocks(plan.blocks) * plan.cluster;
    return plan;
}
