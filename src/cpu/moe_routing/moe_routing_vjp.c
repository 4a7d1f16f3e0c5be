/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of moe_routing on the CPU. Rows go by blocks whose number depends on the shape alone: each has
 * a sum of its own for the scale, and the sums are added in order. */
#include "api/moe_routing.h"
#include "core/loop.h"
#include "core/strided.h"
#include "cpu/moe_routing/moe_routing_kernel.h"

enum { MOST_BLOCKS = 64 };

struct job {
    const struct smelt_moe_routing_vjp_args *args;
    const struct smelt_moe_kernels *kernels;
    struct smelt_loop loop; /* rows of logits, ids, dweights, dlogits */
    int64_t blocks, slot_floats;
    float *memory; /* per slot: probabilities, a packed row */
    double *sums;  /* per block: dscale; NULL where it is not wanted */
};

static int64_t id_of(const struct smelt_moe_routing_vjp_args *a, const char *ids, int64_t k)
{
    const struct smelt_view *v = a->expert_ids;
    return smelt_load_integer(v->dtype, ids + k * v->stride[v->rank - 1] * v->item);
}

static float scale_of(const struct smelt_view *scale, int64_t expert)
{
    if (!scale) return 1;
    return smelt_load_float(scale->dtype, scale->data + expert * scale->stride[0] * scale->item);
}

static float dweight_of(const struct smelt_moe_routing_vjp_args *a, const char *dweights, int64_t k)
{
    float value;
    memcpy(&value, dweights + k * a->dweights->stride[a->dweights->rank - 1] * 4, sizeof value);
    return value;
}

/* w_k = scale p_k / sum of the chosen p (or scale p_k). `p` becomes the gradient of the logits. */
static void row_gradient(const struct smelt_moe_routing_vjp_args *a, float *p, const char *ids,
                         const char *dweights, float *chosen, double *dscale)
{
    float total = 1, mean = 0;
    if (a->renormalize) {
        total = 0;
        for (int64_t k = 0; k < a->chosen; k++) total += p[id_of(a, ids, k)];
    }
    for (int64_t k = 0; k < a->chosen; k++) {
        int64_t id = id_of(a, ids, k);
        chosen[k] = total > 0 ? p[id] / total : 0;
        mean += chosen[k] * dweight_of(a, dweights, k) * scale_of(a->per_expert_scale, id);
        if (dscale) dscale[id] += (double)chosen[k] * dweight_of(a, dweights, k);
    }
    for (int64_t e = 0; e < a->experts; e++) p[e] = a->renormalize ? 0 : -p[e] * mean;
    for (int64_t k = 0; k < a->chosen; k++) {
        int64_t id = id_of(a, ids, k);
        float direct = dweight_of(a, dweights, k) * scale_of(a->per_expert_scale, id);
        p[id] += chosen[k] * (a->renormalize ? direct - mean : direct);
    }
}

static void run_row(const struct job *job, const int64_t offset[4], float *memory, double *dscale)
{
    const struct smelt_moe_routing_vjp_args *a = job->args;
    int last = a->logits->rank - 1;
    int64_t item = a->logits->item, step = a->logits->stride[last] * item;
    float *p = memory, *chosen = memory + a->experts;
    char *packed = (char *)(chosen + a->chosen);
    const char *logits = a->logits->data + offset[0];
    if (a->experts > 1 && step != item) {
        smelt_gather(packed, logits, step, item, a->experts);
        logits = packed;
    }
    if (job->kernels->softmax(p, a->logits->dtype, logits, a->experts))
        row_gradient(a, p, a->expert_ids->data + offset[1], a->dweights->data + offset[2], chosen, dscale);
    else
        memset(p, 0, (size_t)a->experts * sizeof *p);
    if (!a->dlogits) return;
    char *out = a->dlogits->data + offset[3];
    step = a->dlogits->stride[last] * item;
    bool strided = a->experts > 1 && step != item;
    job->kernels->convert(a->logits->dtype, strided ? packed : out, p, a->experts);
    if (strided) smelt_scatter(out, step, packed, item, a->experts);
}

static void task(void *argument, int64_t begin, int64_t end, int slot)
{
    const struct job *job = argument;
    float *memory = job->memory + slot * job->slot_floats;
    for (int64_t block = begin; block < end; block++) {
        int64_t first = job->loop.items * block / job->blocks,
                stop = job->loop.items * (block + 1) / job->blocks;
        double *dscale = job->sums ? job->sums + block * job->args->experts : NULL;
        for (int64_t e = 0; dscale && e < job->args->experts; e++) dscale[e] = 0;
        for (struct smelt_span s = smelt_loop_span(&job->loop, first, stop); s.count;
             smelt_loop_next(&job->loop, &s))
            for (int64_t i = 0; i < s.count; i++) {
                int64_t offset[4];
                for (int t = 0; t < 4; t++) offset[t] = s.offset[t] + i * job->loop.step[t];
                run_row(job, offset, memory, dscale);
            }
    }
}

static smelt_status check_ids(const struct job *job)
{
    const struct smelt_moe_routing_vjp_args *a = job->args;
    for (struct smelt_span s = smelt_loop_span(&job->loop, 0, job->loop.items); s.count;
         smelt_loop_next(&job->loop, &s))
        for (int64_t i = 0; i < s.count * a->chosen; i++) {
            const char *row = a->expert_ids->data + s.offset[1] + i / a->chosen * job->loop.step[1];
            int64_t id = id_of(a, row, i % a->chosen);
            if (id < 0 || id >= a->experts)
                return smelt_fail(SMELT_INVALID_ARGUMENT,
                                  "moe_routing_vjp: expert_ids: expected 0 to %lld, got %lld",
                                  (long long)a->experts - 1, (long long)id);
        }
    return SMELT_OK;
}

static void put_dscale(const struct job *job)
{
    const struct smelt_view *out = job->args->dper_expert_scale;
    for (int64_t e = 0; e < job->args->experts; e++) {
        double sum = 0;
        for (int64_t block = 0; block < job->blocks; block++)
            sum += job->sums[block * job->args->experts + e];
        smelt_store_float(out->dtype, out->data + e * out->stride[0] * out->item, (float)sum);
    }
}

smelt_status smelt_cpu_moe_routing_vjp(const struct smelt_moe_routing_vjp_args *args)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_moe);
    const struct smelt_view *views[4] = {args->logits, args->expert_ids, args->dweights, args->dlogits};
    struct job job = {.args = args, .kernels = smelt_best_kernels(tables)};
    if (!args->dlogits && !args->dper_expert_scale) return SMELT_OK;
    smelt_loop_init(&job.loop, 4, views, args->logits->rank - 1, false);
    SMELT_TRY(check_ids(&job));
    job.blocks = job.loop.items < MOST_BLOCKS ? job.loop.items : MOST_BLOCKS;
    struct smelt_run run = *args->run;
    smelt_run_limit(&run, 8 * args->logits->elements * args->logits->item); /* several passes a row */
    job.slot_floats = (2 * args->experts + args->chosen + 15) / 16 * 16;
    size_t slots = (size_t)run.slots * (size_t)job.slot_floats * sizeof(float);
    size_t sums = args->dper_expert_scale ? (size_t)(job.blocks * args->experts) * sizeof(double) : 0;
    void *memory;
    SMELT_TRY(smelt_scratch(&run, "moe_routing_vjp", slots + sums, &memory));
    job.memory = memory;
    if (args->dper_expert_scale) job.sums = (double *)((char *)memory + slots);
    smelt_parallel(&run, SMELT_EVEN, job.blocks, task, &job);
    if (job.sums) put_dscale(&job);
    return SMELT_OK;
}
