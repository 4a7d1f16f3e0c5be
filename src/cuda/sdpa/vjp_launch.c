/* SPDX-License-Identifier: Apache-2.0 */
/* Tensor maps and launches of the gradient's kernels. */
#include "vjp_launch.h"

#include <stdio.h>

#include "image.h"

enum { kRows = SMELT_VJP_FLAG_ROWS, kPrepareThreads = 256, kSinkThreads = 256, kHopperThreads = 384 };

/* As VjpLayout in vjp_layout.cuh. */
static int shared_bytes(const struct smelt_vjp_kernel *kernel)
{
    const int fixed = kRows * (kernel->head_dim + (kernel->which == 2 ? 0 : kernel->value_dim)) * 2;
    const int step = kernel->steps * (kernel->head_dim + kernel->value_dim) * 2;
    const int rows = kernel->which == 0 ? 0 : 2 * 4 * kernel->steps;
    return fixed + kernel->stages * (step + rows) + 8 * (1 + 2 * kernel->stages) + 1024;
}

static CUresult encode_maps(smelt_sdpa_vjp_params *g, const struct smelt_vjp_kernel *kernel)
{
    smelt_sdpa_params *p = &g->forward;
    const int chunk = kernel->head_dim % 64 == 0 ? 64 : 32;
    const int queries = kernel->which ? kernel->steps : kRows, keys = kernel->which ? kRows : kernel->steps;
    CUresult result = smelt_sdpa_encode_map(&p->q_map, &p->q, p->type, p->head_dim, p->q_length, p->heads_q,
                                            p->batch, chunk, queries, &p->q_head_step, &p->q_batch_step);
    if (!result)
        result = smelt_sdpa_encode_map(&g->dout_map, &g->dout, p->type, p->value_dim, p->q_length, p->heads_q,
                                       p->batch, chunk, queries, &g->dout_head_step, &g->dout_batch_step);
    if (!result)
        result = smelt_sdpa_encode_map(&p->k_map, &p->k, p->type, p->head_dim, p->k_length, p->heads_kv,
                                       p->batch, chunk, keys, &p->k_head_step, &p->k_batch_step);
    if (!result)
        result = smelt_sdpa_encode_map(&p->v_map, &p->v, p->type, p->value_dim, p->k_length, p->heads_kv,
                                       p->batch, chunk, keys, &p->v_head_step, &p->v_batch_step);
    return result;
}

static CUresult launch_hopper(smelt_sdpa_vjp_params *g, int index, CUstream stream)
{
    const struct smelt_vjp_kernel *kernel = &smelt_vjp_kernels[index];
    const smelt_sdpa_params *p = &g->forward;
    char name[96];
    snprintf(name, sizeof(name), "smelt_vjp_sm90_d%d_v%d_n%d_s%d_w%d_a%d_g%d_%s", kernel->head_dim,
             kernel->value_dim, kernel->steps, kernel->stages, kernel->which, kernel->ahead, kernel->general,
             p->type == SMELT_TYPE_BF16 ? "bf16" : "f16");
    CUfunction function;
    CUresult result = smelt_sdpa_function(SMELT_SDPA_IMAGE_VJP + kernel->head_dim, name, &function);
    if (!result) result = encode_maps(g, kernel);
    if (result) return result;
    const long long blocks = kernel->which ? (long long)p->batch * p->heads_kv * g->key_blocks
                                           : (long long)p->batch * p->heads_q * g->query_blocks;
    return smelt_sdpa_start(function, g, blocks, kHopperThreads, shared_bytes(kernel), stream, NULL);
}

/* Blocks of nothing are not launched. */
static CUresult launch_plain(const smelt_sdpa_vjp_params *g, const char *name, long long blocks, int threads,
                             int bytes, CUstream stream)
{
    CUfunction function;
    if (blocks == 0) return CUDA_SUCCESS;
    const CUresult result = smelt_sdpa_function(SMELT_SDPA_IMAGE_VJP, name, &function);
    return result ? result : smelt_sdpa_start(function, g, blocks, threads, bytes, stream, NULL);
}

static long long pieces(int length, int piece) { return ((long long)length + piece - 1) / piece; }

/* Tiles of `rows` of every head, `columns` of them. */
static CUresult launch_generic(const smelt_sdpa_vjp_params *g, const char *name, int heads, int rows,
                               int columns, CUstream stream)
{
    const long long blocks = g->forward.batch * heads * pieces(rows, SMELT_SDPA_GENERIC_ROWS) *
                             pieces(columns, SMELT_SDPA_GENERIC_COLUMNS);
    return launch_plain(g, name, blocks, SMELT_SDPA_GENERIC_THREADS, SMELT_SDPA_GENERIC_SHARED, stream);
}

static CUresult launch_mask(const smelt_sdpa_vjp_params *g, CUstream stream)
{
    const int *length = g->dmask_length;
    const long long blocks = (long long)length[0] * length[1] * pieces(length[2], SMELT_SDPA_GENERIC_ROWS) *
                             pieces(length[3], SMELT_SDPA_GENERIC_ROWS);
    return launch_plain(g, "smelt_vjp_mask", blocks, SMELT_SDPA_GENERIC_THREADS, SMELT_SDPA_GENERIC_SHARED,
                        stream);
}

/* One gradient by the Hopper kernel `index`, and by the generic one what that leaves: tiles that are not
 * finite, or everything. `done`: the Hopper kernel has run already. */
static CUresult launch_gradient(smelt_sdpa_vjp_params *g, const char *name, int index, int done, int heads,
                                int rows, int columns, CUstream stream)
{
    CUresult result = CUDA_SUCCESS;
    g->repair = index < smelt_vjp_kernel_count;
    if (g->repair && !done) result = launch_hopper(g, index, stream);
    return result ? result : launch_generic(g, name, heads, rows, columns, stream);
}

CUresult smelt_vjp_launch(smelt_sdpa_vjp_params *g, const struct smelt_vjp_plan *plan, CUstream stream)
{
    const smelt_sdpa_params *p = &g->forward;
    const long long rows = (long long)p->batch * p->heads_q * g->q_padded;
    const int together = g->dk.data && plan->keys == plan->values;
    CUresult result =
        launch_plain(g, "smelt_vjp_prepare", (rows + kPrepareThreads / 32 - 1) / (kPrepareThreads / 32),
                     kPrepareThreads, 0, stream);
    if (!result && g->dsinks)
        result = launch_plain(g, "smelt_vjp_sinks", p->heads_q, kSinkThreads, 0, stream);
    if (!result && g->dmask.data) result = launch_mask(g, stream);
    if (!result && g->dq.data)
        result = launch_gradient(g, "smelt_vjp_queries", plan->queries, 0, p->heads_q, p->q_length,
                                 p->head_dim, stream);
    if (!result && g->dk.data)
        result = launch_gradient(g, "smelt_vjp_keys", plan->keys, 0, p->heads_kv, p->k_length, p->head_dim,
                                 stream);
    if (!result && g->dv.data)
        result = launch_gradient(g, "smelt_vjp_values", plan->values, together, p->heads_kv, p->k_length,
                                 p->value_dim, stream);
    return result;
}
