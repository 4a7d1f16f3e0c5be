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
    return fixed + kernel->stages * (step + rows) + 8 * (2 + 2 * kernel->stages) + 8 + 1024;
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

/* `early`: it may start while the Hopper kernel before ends, and then waits for that by itself. */
static CUresult launch_hopper(smelt_sdpa_vjp_params *g, int index, int early, CUstream stream)
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
    CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION};
    attribute.value.programmaticStreamSerializationAllowed = 1;
    return smelt_sdpa_start(function, g, blocks, kHopperThreads, shared_bytes(kernel), stream,
                            early ? &attribute : NULL);
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

/* Blocks of the generic kernel for `heads` of `rows` by `columns`. */
static long long generic_blocks(const smelt_sdpa_vjp_params *g, int heads, int rows, int columns)
{
    return (long long)g->forward.batch * heads * pieces(rows, SMELT_SDPA_GENERIC_ROWS) *
           pieces(columns, SMELT_SDPA_GENERIC_COLUMNS);
}

static CUresult launch_tiles(const smelt_sdpa_vjp_params *g, const char *name, long long blocks,
                             CUstream stream)
{
    return launch_plain(g, name, blocks, SMELT_SDPA_GENERIC_THREADS, SMELT_SDPA_GENERIC_SHARED, stream);
}

static CUresult launch_mask(const smelt_sdpa_vjp_params *g, CUstream stream)
{
    const int *length = g->dmask_length;
    const long long blocks = (long long)length[0] * length[1] * pieces(length[2], SMELT_SDPA_GENERIC_ROWS) *
                             pieces(length[3], SMELT_SDPA_GENERIC_ROWS);
    return launch_tiles(g, "smelt_vjp_mask", blocks, stream);
}

/* dq, dk and dv: by the Hopper kernels one after the other, then what is not finite in one launch; or each by
 * the generic kernel. */
static CUresult launch_gradients(smelt_sdpa_vjp_params *g, const struct smelt_vjp_plan *plan, CUstream stream)
{
    const smelt_sdpa_params *p = &g->forward;
    static const char *const names[3] = {"smelt_vjp_queries", "smelt_vjp_keys", "smelt_vjp_values"};
    const int kernels[3] = {plan->queries, plan->keys, plan->values};
    const void *wanted[3] = {g->dq.data, g->dk.data, g->dv.data};
    const long long blocks[3] = {generic_blocks(g, p->heads_q, p->q_length, p->head_dim),
                                 generic_blocks(g, p->heads_kv, p->k_length, p->head_dim),
                                 generic_blocks(g, p->heads_kv, p->k_length, p->value_dim)};
    long long repairs[3] = {0};
    CUresult result = CUDA_SUCCESS;
    int started = -1;
    for (int i = 0; i < 3 && !result; i++) {
        if (!wanted[i] || kernels[i] == smelt_vjp_kernel_count) continue;
        repairs[i] = blocks[i];
        if (started == kernels[i]) continue; /* keys and values in one */
        result = launch_hopper(g, kernels[i], started >= 0, stream);
        started = kernels[i];
    }
    g->query_grid = (int32_t)repairs[0], g->key_grid = (int32_t)repairs[1];
    g->repair = 1;
    if (!result) result = launch_tiles(g, "smelt_vjp_repair", repairs[0] + repairs[1] + repairs[2], stream);
    g->repair = 0;
    for (int i = 0; i < 3 && !result; i++)
        if (wanted[i] && kernels[i] == smelt_vjp_kernel_count)
            result = launch_tiles(g, names[i], blocks[i], stream);
    return result;
}

CUresult smelt_vjp_launch(smelt_sdpa_vjp_params *g, const struct smelt_vjp_plan *plan, CUstream stream)
{
    const smelt_sdpa_params *p = &g->forward;
    enum { kRowsEach = kPrepareThreads / 32 };
    const long long rows = (long long)p->batch * p->heads_q * g->q_padded;
    const long long flags = (long long)p->batch * p->heads_kv * g->key_blocks;
    long long blocks = (rows + kRowsEach - 1) / kRowsEach;
    if (blocks * kPrepareThreads < flags) blocks = (flags + kPrepareThreads - 1) / kPrepareThreads;
    CUresult result = launch_plain(g, "smelt_vjp_prepare", blocks, kPrepareThreads, 0, stream);
    if (!result && g->dsinks)
        result = launch_plain(g, "smelt_vjp_sinks", p->heads_q, kSinkThreads, 0, stream);
    if (!result && g->dmask.data) result = launch_mask(g, stream);
    return result ? result : launch_gradients(g, plan, stream);
}
