/* SPDX-License-Identifier: Apache-2.0 */
/* glu on the CPU: elements over threads, strided layouts through small packed pieces. */
#include "api/glu.h"
#include "core/loop.h"
#include "core/strided.h"
#include "cpu/glu/glu_kernel.h"

struct job {
    const struct smelt_glu_args *args;
    smelt_glu_kernel *kernel;
    struct smelt_loop loop;
    int64_t item;
    bool packed, stream;
};

enum { PIECE = 512 }; /* elements */

static void run_strided(const struct job *job, char *out, const char *gate, const char *up, int64_t n)
{
    _Alignas(64) char packed[3][PIECE * 4];
    const int64_t *step = job->loop.step, item = job->item;
    for (int64_t i = 0; i < n; i += PIECE) {
        int64_t count = n - i < PIECE ? n - i : PIECE;
        smelt_gather(packed[1], gate + i * step[1], step[1], item, count);
        smelt_gather(packed[2], up + i * step[2], step[2], item, count);
        job->kernel(packed[0], packed[1], packed[2], count, false);
        smelt_scatter(out + i * step[0], step[0], packed[0], item, count);
    }
}

static void task(void *argument, int64_t begin, int64_t end, int slot)
{
    const struct job *job = argument;
    const struct smelt_glu_args *args = job->args;
    (void)slot;
    for (struct smelt_span s = smelt_loop_span(&job->loop, begin, end); s.count;
         smelt_loop_next(&job->loop, &s)) {
        char *out = args->out->data + s.offset[0];
        const char *gate = args->gate->data + s.offset[1], *up = args->up->data + s.offset[2];
        if (job->packed)
            job->kernel(out, gate, up, s.count, job->stream);
        else
            run_strided(job, out, gate, up, s.count);
    }
}

smelt_status smelt_cpu_glu(const struct smelt_glu_args *args)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_glu);
    const struct smelt_glu_kernels *kernels = smelt_best_kernels(tables);
    const struct smelt_view *views[3] = {args->out, args->gate, args->up};
    struct job job = {args, kernels->forward[args->activation][args->out->dtype], .item = args->out->item};
    smelt_loop_init(&job.loop, 3, views, args->out->rank, true);
    job.packed = true;
    for (int i = 0; i < 3; i++) job.packed &= job.loop.step[i] == job.item;
    job.stream = args->out->elements * job.item > args->run->llc_bytes;
    struct smelt_run run = *args->run;
    smelt_run_limit(&run, 3 * args->out->elements * job.item);
    smelt_parallel(&run, SMELT_EVEN, job.loop.items, task, &job);
    return SMELT_OK;
}
