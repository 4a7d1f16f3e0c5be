/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses and launches the Hopper forward kernels. */
#include "forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../driver.h"
#include "image.h"
#include "rows.h"

const struct smelt_sdpa_row smelt_sdpa_rows[] = {
#define SMELT_ROW(D, DV, WG, N, S, C, G, P) {D, DV, WG, N, S, C, G, P},
    SMELT_SDPA_ROWS(SMELT_ROW)
#undef SMELT_ROW
};
const int smelt_sdpa_row_count = sizeof(smelt_sdpa_rows) / sizeof(smelt_sdpa_rows[0]);

static int fail(char *message, size_t capacity, const char *text, CUresult result)
{
    const char *name = "";
    if (result) smelt_cuda_driver()->GetErrorName(result, &name);
    snprintf(message, capacity, "sdpa: %s %s", text, name ? name : "");
    return 1;
}

int smelt_sdpa_shared_bytes(const struct smelt_sdpa_row *row)
{
    const int queries = 64 * row->consumers * row->head_dim * 2;
    const int tiles = row->stages * row->keys * (row->head_dim + row->value_dim) * 2;
    return queries + tiles + 8 * (3 + 4 * row->stages) + 8 + 1024;
}

/* (D, length, heads, batch) with boxes of one chunk by `rows`. A broadcast axis has size 1; its coordinate
 * is multiplied by the step, which is then 0. */
static CUresult encode_map(smelt_tensor_map *map, const smelt_sdpa_view *view, int type, int dim, int length,
                           int heads, int batch, int chunk, int rows, int32_t *head_step, int32_t *batch_step)
{
    *head_step = heads > 1 && view->head != 0;
    *batch_step = batch > 1 && view->batch != 0;
    const cuuint64_t line = (cuuint64_t)((dim * 2 + 15) / 16 * 16);
    const cuuint64_t dims[4] = {(cuuint64_t)dim, (cuuint64_t)length, *head_step ? (cuuint64_t)heads : 1,
                                *batch_step ? (cuuint64_t)batch : 1};
    const cuuint64_t strides[3] = {length > 1 ? (cuuint64_t)view->row * 2 : line,
                                   *head_step ? (cuuint64_t)view->head * 2 : line,
                                   *batch_step ? (cuuint64_t)view->batch * 2 : line};
    const cuuint32_t box[4] = {(cuuint32_t)chunk, (cuuint32_t)rows, 1, 1};
    const cuuint32_t steps[4] = {1, 1, 1, 1};
    CUtensorMap encoded;
    const CUresult result = smelt_cuda_driver()->TensorMapEncodeTiled(
        &encoded, type == SMELT_TYPE_BF16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
        4, (void *)(uintptr_t)view->data, dims, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
        chunk == 64 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_64B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
        CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    memcpy(map, &encoded, sizeof(encoded));
    return result;
}

CUresult smelt_sdpa_encode_maps(smelt_sdpa_params *p, const struct smelt_sdpa_row *row)
{
    const int chunk = row->head_dim % 64 == 0 ? 64 : 32;
    CUresult result = encode_map(&p->q_map, &p->q, p->type, p->head_dim, p->q_length, p->heads_q, p->batch,
                                 chunk, 64 * row->consumers, &p->q_head_step, &p->q_batch_step);
    if (result) return result;
    result = encode_map(&p->k_map, &p->k, p->type, p->head_dim, p->k_length, p->heads_kv, p->batch, chunk,
                        row->keys / row->cluster, &p->k_head_step, &p->k_batch_step);
    if (result) return result;
    return encode_map(&p->v_map, &p->v, p->type, p->value_dim, p->k_length, p->heads_kv, p->batch, chunk,
                      row->keys / row->cluster, &p->v_head_step, &p->v_batch_step);
}

static int needs_general(const smelt_sdpa_params *p)
{
    return p->mask_type != SMELT_TYPE_NONE || p->key_mask || p->softcap != 0 || !(p->scale_log2 > 0);
}

/* The smallest head sizes that hold the problem's; among equals the first row. */
static int choose_row(const smelt_sdpa_params *p)
{
    const int general = needs_general(p);
    int best = -1, best_size = 0;
    for (int i = 0; i < smelt_sdpa_row_count; i++) {
        const struct smelt_sdpa_row *row = &smelt_sdpa_rows[i];
        const int size = row->head_dim + row->value_dim;
        if (row->general != general || row->cluster != 1 || row->head_dim < p->head_dim ||
            row->value_dim < p->value_dim)
            continue;
        if (best < 0 || size < best_size) best = i, best_size = size;
    }
    return best;
}

static int multiprocessors(void)
{
    static int count;
    if (!count) smelt_cuda_driver()->DeviceGetAttribute(&count, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0);
    return count;
}

static CUresult launch(const smelt_sdpa_params *p, const struct smelt_sdpa_row *row, void *stream)
{
    const struct smelt_cuda_driver *cuda = smelt_cuda_driver();
    char name[96];
    snprintf(name, sizeof(name), "smelt_sdpa_sm90_d%d_v%d_w%d_n%d_s%d_c%d_g%d_p%d_%s", row->head_dim,
             row->value_dim, row->consumers, row->keys, row->stages, row->cluster, row->general, row->pingpong,
             p->type == SMELT_TYPE_BF16 ? "bf16" : "f16");
    CUfunction function;
    CUresult result = smelt_sdpa_function(row->head_dim, name, &function);
    if (result) return result;
    const int bytes = smelt_sdpa_shared_bytes(row);
    result = cuda->FuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes);
    if (result) return result;
    const long long tiles = (long long)p->m_tiles * p->batch * p->heads_q;
    const long long workers = multiprocessors() / row->cluster;
    const char *one = getenv("SMELT_SDPA_ONE_TILE");
    CUlaunchConfig config = {0};
    config.gridDimX = (unsigned)((tiles < workers || one ? tiles : workers) * row->cluster);
    config.gridDimY = config.gridDimZ = 1;
    config.blockDimX = (unsigned)(128 * (row->consumers + 1));
    config.blockDimY = config.blockDimZ = 1;
    config.sharedMemBytes = (unsigned)bytes;
    config.hStream = stream;
    CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION};
    attribute.value.clusterDim.x = (unsigned)row->cluster;
    attribute.value.clusterDim.y = attribute.value.clusterDim.z = 1;
    config.attrs = &attribute;
    config.numAttrs = row->cluster > 1;
    void *arguments[] = {(void *)(uintptr_t)p};
    return cuda->LaunchKernelEx(&config, function, arguments, NULL);
}

/* Heads whose keys and values together take at most 24 MiB of the L2 cache, in whole groups. */
static int heads_in_cache(const smelt_sdpa_params *p)
{
    const int64_t bytes = (int64_t)p->k_length * (p->head_dim + p->value_dim) * 2;
    const char *text = getenv("SMELT_SDPA_CACHE");
    const int64_t cache = (text ? atoll(text) : 24) << 20;
    int64_t heads = cache / (bytes ? bytes : 1) * p->group;
    const int64_t all = (int64_t)p->batch * p->heads_q;
    if (heads < p->group) heads = p->group;
    return (int)(heads < all ? heads : all);
}

int smelt_cuda_sdpa_forward(smelt_sdpa_params *p, int index, void *stream, char *message, size_t capacity)
{
    if (index < 0) index = choose_row(p);
    if (index < 0 || index >= smelt_sdpa_row_count) return fail(message, capacity, "no kernel", 0);
    const struct smelt_sdpa_row *row = &smelt_sdpa_rows[index];
    if (needs_general(p) && !row->general) return fail(message, capacity, "row cannot mask", 0);
    const int queries = 64 * row->consumers * row->cluster;
    p->m_tiles = (p->q_length + queries - 1) / queries;
    p->section = heads_in_cache(p);
    CUresult result = smelt_sdpa_encode_maps(p, row);
    if (result) return fail(message, capacity, "tensor map", result);
    result = launch(p, row, stream);
    return result ? fail(message, capacity, "launch", result) : 0;
}
