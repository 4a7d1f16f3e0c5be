/* SPDX-License-Identifier: Apache-2.0 */
/* Tensor maps and launches of the attention kernels. */
#include "launch.h"

#include <stdio.h>
#include <string.h>

#include "../driver.h"
#include "image.h"

enum { kGenericThreads = SMELT_SDPA_GENERIC_THREADS, kGenericColumns = SMELT_SDPA_GENERIC_COLUMNS };
enum { kGenericShared = SMELT_SDPA_GENERIC_SHARED };

/* As Layout in layout.cuh. */
int smelt_sdpa_shared_bytes(const struct smelt_sdpa_kernel *kernel)
{
    const int queries = 64 * kernel->consumers * kernel->head_dim * 2;
    const int tiles = kernel->stages * kernel->keys * (kernel->head_dim + kernel->value_dim) * 2;
    const int mask = kernel->general == 3 ? kernel->stages * kernel->keys * 64 * kernel->consumers * 2 : 0;
    return queries + tiles + mask + 8 * (1 + 2 * kernel->consumers + 6 * kernel->stages) + 8 + 1024;
}

CUresult smelt_sdpa_encode_map(smelt_tensor_map *map, const smelt_sdpa_view *view, int type, int dim,
                               int length, int heads, int batch, int chunk, int rows, int32_t *head_step,
                               int32_t *batch_step)
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
        &encoded,
        type == SMELT_TYPE_BF16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 4,
        (void *)(uintptr_t)view->data, dims, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
        chunk == 64 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_64B,
        CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    memcpy(map, &encoded, sizeof(encoded));
    return result;
}

CUresult smelt_sdpa_encode_maps(smelt_sdpa_params *p, const struct smelt_sdpa_kernel *kernel)
{
    const int chunk = kernel->head_dim % 64 == 0 ? 64 : 32, keys = kernel->keys / kernel->cluster;
    CUresult result = CUDA_SUCCESS;
    if (kernel->family == SMELT_SDPA_FORWARD)
        result = smelt_sdpa_encode_map(&p->q_map, &p->q, p->type, p->head_dim, p->q_length, p->heads_q,
                                       p->batch, chunk, 64, &p->q_head_step, &p->q_batch_step);
    if (!result)
        result = smelt_sdpa_encode_map(&p->k_map, &p->k, p->type, p->head_dim, p->k_length, p->heads_kv,
                                       p->batch, chunk, keys, &p->k_head_step, &p->k_batch_step);
    if (!result)
        result = smelt_sdpa_encode_map(&p->v_map, &p->v, p->type, p->value_dim, p->k_length, p->heads_kv,
                                       p->batch, chunk, keys, &p->v_head_step, &p->v_batch_step);
    if (!result && kernel->general == 3)
        result = smelt_sdpa_encode_map(&p->mask_map, &p->mask, p->type, p->k_length, p->q_length, p->heads_q,
                                       p->batch, 64, 64 * kernel->consumers, &p->mask_head_step,
                                       &p->mask_batch_step);
    return result;
}

CUresult smelt_sdpa_start(CUfunction function, const void *p, long long blocks, int threads, int bytes,
                          CUstream stream, CUlaunchAttribute *attribute)
{
    const struct smelt_cuda_driver *cuda = smelt_cuda_driver();
    const CUresult result =
        cuda->FuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes);
    if (result) return result;
    CUlaunchConfig config = {0};
    config.gridDimX = (unsigned)blocks;
    config.gridDimY = config.gridDimZ = config.blockDimY = config.blockDimZ = 1;
    config.blockDimX = (unsigned)threads;
    config.sharedMemBytes = (unsigned)bytes;
    config.hStream = stream;
    config.attrs = attribute;
    config.numAttrs = attribute != NULL;
    void *arguments[] = {(void *)(uintptr_t)p};
    return cuda->LaunchKernelEx(&config, function, arguments, NULL);
}

static CUresult launch_generic(const smelt_sdpa_params *p, CUstream stream)
{
    CUfunction function;
    const CUresult result = smelt_sdpa_function(SMELT_SDPA_IMAGE_GENERIC, "smelt_sdpa_generic", &function);
    if (result) return result;
    const long long columns = p->value_dim > 0 ? (p->value_dim + kGenericColumns - 1) / kGenericColumns : 1;
    return smelt_sdpa_start(function, p, columns * p->m_tiles * p->heads_q * p->batch, kGenericThreads,
                            kGenericShared, stream, NULL);
}

static CUresult launch_float32(const smelt_sdpa_params *p, CUstream stream)
{
    enum { kThreads = 256, kShared = 4 * (128 * 132 + 64 * 132 + 64 * 128 + 128 * 68) }; /* FloatShared */
    CUfunction function;
    const CUresult result = smelt_sdpa_function(SMELT_SDPA_IMAGE_FLOAT32, "smelt_sdpa_float32", &function);
    if (result) return result;
    return smelt_sdpa_start(function, p, (long long)p->m_tiles * p->heads_q * p->batch, kThreads, kShared,
                            stream, NULL);
}

static CUresult launch_merge(const smelt_sdpa_params *p, CUstream stream)
{
    CUfunction function;
    const char *name = p->type == SMELT_TYPE_BF16 ? "smelt_sdpa_merge_bf16" : "smelt_sdpa_merge_f16";
    const CUresult result = smelt_sdpa_function(SMELT_SDPA_IMAGE_MERGE, name, &function);
    if (result) return result;
    CUlaunchAttribute early = {.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION};
    early.value.programmaticStreamSerializationAllowed = 1;
    return smelt_sdpa_start(function, p, (long long)p->batch * p->heads_q * p->q_length, 128, 0, stream,
                            &early);
}

static void kernel_name(char *name, size_t capacity, const struct smelt_sdpa_kernel *k, int type)
{
    const char *text = type == SMELT_TYPE_BF16 ? "bf16" : "f16";
    if (k->family == SMELT_SDPA_SPLIT)
        snprintf(name, capacity, "smelt_sdpa_sm90_split_d%d_v%d_n%d_s%d_g%d_%s", k->head_dim, k->value_dim,
                 k->keys, k->stages, k->general, text);
    else
        snprintf(name, capacity, "smelt_sdpa_sm90_d%d_v%d_w%d_n%d_s%d_c%d_g%d_p%d_%s", k->head_dim,
                 k->value_dim, k->consumers, k->keys, k->stages, k->cluster, k->general, k->pingpong, text);
}

CUresult smelt_sdpa_launch(smelt_sdpa_params *p, int index, const struct smelt_sdpa_card *card,
                           CUstream stream)
{
    const struct smelt_sdpa_kernel *kernel = &smelt_sdpa_kernels[index];
    if (kernel->family == SMELT_SDPA_GENERIC) return launch_generic(p, stream);
    if (kernel->family == SMELT_SDPA_FLOAT32) return launch_float32(p, stream);
    CUresult result = smelt_sdpa_encode_maps(p, kernel);
    if (result) return result;
    char name[96];
    CUfunction function;
    kernel_name(name, sizeof(name), kernel, p->type);
    result = smelt_sdpa_function(kernel->head_dim, name, &function);
    if (result) return result;
    const int split = kernel->family == SMELT_SDPA_SPLIT;
    const long long tiles = (long long)p->m_tiles * p->batch * (split ? p->heads_kv : p->heads_q) * p->splits;
    const long long workers = card->multiprocessors / kernel->cluster;
    CUlaunchAttribute cluster = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION};
    cluster.value.clusterDim.x = (unsigned)kernel->cluster;
    cluster.value.clusterDim.y = cluster.value.clusterDim.z = 1;
    result =
        smelt_sdpa_start(function, p, (tiles < workers || !p->persistent ? tiles : workers) * kernel->cluster,
                         128 * (kernel->consumers + 1), smelt_sdpa_shared_bytes(kernel), stream,
                         kernel->cluster > 1 ? &cluster : NULL);
    return result || p->splits == 1 ? result : launch_merge(p, stream);
}
