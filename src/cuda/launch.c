/* SPDX-License-Identifier: Apache-2.0 */
/* Launches, scratch memory and rows of the memory-bound operations. */
#include "launch.h"

#include <limits.h>

smelt_status smelt_cuda_begin(struct smelt_cuda_call *call, const char *operation,
                              const struct smelt_run *run, const struct smelt_view *const *views, int count)
{
    call->operation = operation, call->run = run, call->scratch = 0;
    return smelt_cuda_enter(&call->device, views, count, operation);
}

smelt_status smelt_cuda_end(struct smelt_cuda_call *call, smelt_status status)
{
    if (call->scratch) {
        const CUresult freed =
            call->device.driver->MemFreeAsync(call->scratch, call->run->stream.cuda_stream);
        if (status == SMELT_OK) status = smelt_cuda_status(freed, call->operation, "scratch");
    }
    return smelt_cuda_leave(&call->device, status);
}

smelt_status smelt_cuda_scratch(struct smelt_cuda_call *call, size_t bytes, void **memory)
{
    const smelt_stream *stream = &call->run->stream;
    *memory = NULL;
    if (!bytes) return SMELT_OK;
    if (stream->workspace && stream->workspace_size >= bytes) {
        *memory = stream->workspace;
        return SMELT_OK;
    }
    SMELT_TRY(
        smelt_cuda_status(call->device.driver->MemAllocAsync(&call->scratch, bytes, stream->cuda_stream),
                          call->operation, "scratch"));
    *memory = (void *)(uintptr_t)call->scratch;
    return SMELT_OK;
}

smelt_status smelt_cuda_launch(const struct smelt_cuda_call *call, const struct smelt_cuda_grid *grid,
                               const void *params)
{
    CUfunction function;
    SMELT_TRY(smelt_cuda_status(smelt_cuda_function(grid->image, grid->kernel, &function), call->operation,
                                "device code"));
    if (grid->blocks > INT_MAX)
        return smelt_fail(SMELT_INTERNAL_ERROR, "%s: %lld blocks", call->operation, (long long)grid->blocks);
    CUlaunchAttribute attributes[2];
    unsigned count = 0;
    if (call->device.major >= 9) {
        attributes[count].id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
        attributes[count++].value.programmaticStreamSerializationAllowed = 1;
    }
    if (grid->cluster > 1) {
        attributes[count].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
        attributes[count].value.clusterDim.x = (unsigned)grid->cluster;
        attributes[count].value.clusterDim.y = attributes[count].value.clusterDim.z = 1;
        count++;
    }
    const CUlaunchConfig config = {.gridDimX = (unsigned)grid->blocks,
                                   .gridDimY = 1,
                                   .gridDimZ = 1,
                                   .blockDimX = (unsigned)grid->threads_x,
                                   .blockDimY = (unsigned)(grid->threads_y ? grid->threads_y : 1),
                                   .blockDimZ = 1,
                                   .hStream = call->run->stream.cuda_stream,
                                   .attrs = attributes,
                                   .numAttrs = count};
    void *arguments[] = {(void *)(uintptr_t)params};
    return smelt_cuda_status(call->device.driver->LaunchKernelEx(&config, function, arguments, NULL),
                             call->operation, "launch");
}

int smelt_cuda_streaming = 1;
int64_t smelt_cuda_most_blocks;

int64_t smelt_cuda_blocks(int64_t blocks)
{
    if (smelt_cuda_most_blocks && blocks > smelt_cuda_most_blocks) blocks = smelt_cuda_most_blocks;
    return blocks < INT_MAX ? blocks : INT_MAX;
}

/* The outer axes that launches go over. */
static int folded(const struct smelt_loop *loop)
{
    int outer = loop->axes > SMELT_WALK_AXES ? loop->axes - SMELT_WALK_AXES : 0;
    int64_t rows = 1;
    for (int i = outer; i < loop->axes; i++) rows *= loop->shape[i];
    while (outer < loop->axes - 1 && rows > INT32_MAX) rows /= loop->shape[outer++];
    return outer;
}

int64_t smelt_walk_begin(smelt_walk *walk, const struct smelt_loop *loop)
{
    const int outer = folded(loop);
    int64_t launches = 1;
    for (int i = 0; i < outer; i++) launches *= loop->shape[i];
    *walk = (smelt_walk){.rows = 1, .axes = loop->axes - outer};
    for (int i = outer; i < loop->axes; i++) {
        walk->rows *= walk->shape[i - outer] = loop->shape[i];
        for (int t = 0; t < loop->tensors && t < SMELT_WALK_TENSORS; t++)
            walk->stride[t][i - outer] = loop->stride[t][i];
    }
    return launches;
}

void smelt_walk_shift(const struct smelt_loop *loop, int64_t number, int64_t *shift)
{
    for (int t = 0; t < loop->tensors; t++) shift[t] = 0;
    for (int i = folded(loop) - 1; i >= 0; i--) {
        for (int t = 0; t < loop->tensors; t++) shift[t] += number % loop->shape[i] * loop->stride[t][i];
        number /= loop->shape[i];
    }
}

bool smelt_walk_aligned(const struct smelt_loop *loop, int tensor, const struct smelt_view *view,
                        int64_t bytes)
{
    uint64_t bits = (uint64_t)(uintptr_t)view->data;
    for (int i = 0; i < loop->axes; i++) bits |= (uint64_t)loop->stride[tensor][i];
    return bits % (uint64_t)bytes == 0;
}

int64_t smelt_view_step(const struct smelt_view *view)
{
    const int last = view->rank - 1;
    return last < 0 || view->shape[last] == 1 ? view->item : view->stride[last] * view->item;
}

bool smelt_cuda_streams(const struct smelt_cuda_call *call, int64_t bytes)
{
    return smelt_cuda_streaming && bytes > call->device.cache_bytes;
}
