/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa_merge on the CPU: query rows over threads. */
#include "api/sdpa_merge.h"
#include "core/loop.h"
#include "core/strided.h"
#include "cpu/sdpa_merge/sdpa_merge_kernel.h"

enum { PIECE = 64 /* columns of a layout whose last axis has a stride */ };

struct job {
    const struct smelt_sdpa_merge_args *args;
    const struct smelt_sdpa_merge_kernels *kernels;
    struct smelt_loop loop; /* rows of out, lse, one chunk of outs, one of lses */
    char *memory;           /* per slot: weights, and pieces of all chunks */
    int64_t slot_bytes, chunks, dim, chunk_step;
    bool packed;
};

static void run_strided(const struct job *job, char *out, const char *outs, const float *weights,
                        char *packed)
{
    const struct smelt_sdpa_merge_args *a = job->args;
    int64_t item = a->out->item, step = a->outs->stride[4] * item, out_step = a->out->stride[3] * item;
    _Alignas(64) char merged[PIECE * 4];
    for (int64_t i = 0; i < job->dim; i += PIECE) {
        int64_t n = job->dim - i < PIECE ? job->dim - i : PIECE;
        for (int64_t c = 0; c < job->chunks; c++)
            smelt_gather(packed + c * PIECE * item, outs + c * job->chunk_step + i * step, step, item, n);
        job->kernels->rows[a->out->dtype](merged, packed, PIECE * item, weights, job->chunks, n);
        smelt_scatter(out + i * out_step, out_step, merged, item, n);
    }
}

static void task(void *argument, int64_t begin, int64_t end, int slot)
{
    const struct job *job = argument;
    const struct smelt_sdpa_merge_args *a = job->args;
    float *weights = (float *)(job->memory + slot * job->slot_bytes);
    int64_t lse_step = a->lses->stride[0] * (int64_t)sizeof(float);
    for (struct smelt_span s = smelt_loop_span(&job->loop, begin, end); s.count;
         smelt_loop_next(&job->loop, &s))
        for (int64_t i = 0; i < s.count; i++) {
            char *out = a->out->data + s.offset[0] + i * job->loop.step[0];
            const char *outs = a->outs->data + s.offset[2] + i * job->loop.step[2];
            const char *lses = a->lses->data + s.offset[3] + i * job->loop.step[3];
            smelt_gather(weights, lses, lse_step, sizeof(float), job->chunks);
            float lse = job->kernels->weights(weights, job->chunks);
            if (a->lse) memcpy(a->lse->data + s.offset[1] + i * job->loop.step[1], &lse, sizeof lse);
            if (job->packed)
                job->kernels->rows[a->out->dtype](out, outs, job->chunk_step, weights, job->chunks, job->dim);
            else
                run_strided(job, out, outs, weights, (char *)(weights + job->chunks));
        }
}

/* The view without its first axis. */
static struct smelt_view of_one_chunk(const struct smelt_view *view)
{
    struct smelt_view chunk = *view;
    chunk.rank--;
    for (int i = 0; i < chunk.rank; i++) {
        chunk.shape[i] = view->shape[i + 1];
        chunk.stride[i] = view->stride[i + 1];
    }
    return chunk;
}

smelt_status smelt_cpu_sdpa_merge(const struct smelt_sdpa_merge_args *args)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_sdpa_merge);
    struct smelt_view outs = of_one_chunk(args->outs), lses = of_one_chunk(args->lses);
    const struct smelt_view *views[4] = {args->out, args->lse, &outs, &lses};
    int64_t item = args->out->item;
    struct job job = {.args = args,
                      .kernels = smelt_best_kernels(tables),
                      .chunks = args->outs->shape[0],
                      .dim = args->outs->shape[4],
                      .chunk_step = args->outs->stride[0] * item,
                      .packed = args->outs->shape[4] <= 1 ||
                                (args->outs->stride[4] == 1 && args->out->stride[3] == 1)};
    smelt_loop_init(&job.loop, 4, views, 3, true);
    struct smelt_run run = *args->run;
    smelt_run_limit(&run, (args->outs->elements + args->out->elements) * item);
    job.slot_bytes =
        (job.chunks * (int64_t)sizeof(float) + (job.packed ? 0 : job.chunks * PIECE * item) + 63) / 64 * 64;
    size_t bytes = (size_t)run.slots * (size_t)job.slot_bytes;
    void *memory;
    SMELT_TRY(smelt_scratch(&run, "sdpa_merge", bytes, &memory));
    job.memory = memory;
    smelt_parallel(&run, SMELT_EVEN, job.loop.items, task, &job);
    return SMELT_OK;
}
