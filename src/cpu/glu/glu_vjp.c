/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of glu on the CPU: elements over threads, strided layouts through small packed pieces. */
#include "api/glu.h"
#include "core/loop.h"
#include "core/strided.h"
#include "cpu/glu/glu_kernel.h"

enum { TENSORS = 5, OUTPUTS = 2, PIECE = 256 /* elements */ };

struct job {
    const struct smelt_view *views[TENSORS]; /* dgate and dup, of which either may be NULL; gate, up, dout */
    smelt_glu_vjp_kernel *kernel;
    struct smelt_loop loop;
    int lead; /* the output that is there, at the head of the loop */
    int64_t item;
    bool packed, stream;
};

static void run_strided(const struct job *job, char *const at[TENSORS], const int64_t step[TENSORS],
                        int64_t n)
{
    _Alignas(64) char packed[TENSORS][PIECE * 4];
    struct smelt_glu_vjp_piece piece = {at[0] ? packed[0] : NULL, at[1] ? packed[1] : NULL, packed[2],
                                        packed[3], packed[4]};
    for (int64_t i = 0; i < n; i += PIECE) {
        int64_t count = n - i < PIECE ? n - i : PIECE;
        for (int t = OUTPUTS; t < TENSORS; t++)
            smelt_gather(packed[t], at[t] + i * step[t], step[t], job->item, count);
        job->kernel(&piece, count, false);
        for (int t = 0; t < OUTPUTS; t++)
            if (at[t]) smelt_scatter(at[t] + i * step[t], step[t], packed[t], job->item, count);
    }
}

/* The loop wants an output first: with only dup, it comes before the missing dgate. */
static int position(const struct job *job, int t) { return t < OUTPUTS ? t ^ job->lead : t; }

static void task(void *argument, int64_t begin, int64_t end, int slot)
{
    const struct job *job = argument;
    (void)slot;
    for (struct smelt_span s = smelt_loop_span(&job->loop, begin, end); s.count;
         smelt_loop_next(&job->loop, &s)) {
        char *at[TENSORS];
        int64_t step[TENSORS];
        for (int t = 0; t < TENSORS; t++) {
            at[t] = job->views[t] ? job->views[t]->data + s.offset[position(job, t)] : NULL;
            step[t] = job->loop.step[position(job, t)];
        }
        struct smelt_glu_vjp_piece piece = {at[0], at[1], at[2], at[3], at[4]};
        if (job->packed)
            job->kernel(&piece, s.count, job->stream);
        else
            run_strided(job, at, step, s.count);
    }
}

smelt_status smelt_cpu_glu_vjp(const struct smelt_glu_vjp_args *args)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_glu);
    const struct smelt_glu_kernels *kernels = smelt_best_kernels(tables);
    if (!args->dgate && !args->dup) return SMELT_OK;
    struct job job = {{args->dgate, args->dup, args->gate, args->up, args->dout},
                      kernels->vjp[args->activation][args->gate->dtype],
                      .lead = args->dgate ? 0 : 1,
                      .item = args->gate->item,
                      .packed = true};
    const struct smelt_view *views[TENSORS];
    for (int t = 0; t < TENSORS; t++) views[position(&job, t)] = job.views[t];
    smelt_loop_init(&job.loop, TENSORS, views, args->gate->rank, true);
    for (int t = 0; t < TENSORS; t++) job.packed &= !views[t] || job.loop.step[t] == job.item;
    int64_t bytes = args->gate->elements * job.item, outputs = (args->dgate != NULL) + (args->dup != NULL);
    job.stream = outputs * bytes > args->run->llc_bytes;
    struct smelt_run run = *args->run;
    smelt_run_limit(&run, (3 + outputs) * bytes);
    smelt_parallel(&run, SMELT_EVEN, job.loop.items, task, &job);
    return SMELT_OK;
}
