/* SPDX-License-Identifier: Apache-2.0 */
/* moe_routing on the CPU: rows over threads, as many at a time as a vector has lanes. */
#include "api/moe_routing.h"
#include "core/loop.h"
#include "cpu/moe_routing/moe_routing_kernel.h"

struct job {
    const struct smelt_moe_routing_args *args;
    const struct smelt_moe_kernels *kernels;
    struct smelt_loop loop; /* rows of ids, weights, logits */
    const float *scale;     /* or NULL */
    float *memory;          /* per slot: work, weights, ids */
    int64_t slot_floats, room;
};

/* The lists of `rows` rows to where the caller wants them. */
static void put(const struct job *job, const struct smelt_moe_lists *lists, int64_t rows, char *ids,
                char *weights)
{
    const struct smelt_moe_routing_args *a = job->args;
    int last = a->weights->rank - 1;
    int64_t id_item = a->expert_ids->item, chosen = a->chosen, from_step = lists->step;
    int64_t id_step = a->expert_ids->stride[last] * id_item, step = a->weights->stride[last] * 4;
    bool lines = from_step == 1 && id_item == 4 && ((id_step == 4 && step == 4) || chosen == 1);
    for (int64_t row = 0; row < rows; row++) {
        char *id_at = ids + row * job->loop.step[0], *at = weights + row * job->loop.step[1];
        const float *weight = lists->weights + row * lists->row_step;
        const int32_t *id = lists->ids + row * lists->row_step;
        if (lines) {
            memcpy(at, weight, (size_t)chosen * sizeof *weight);
            memcpy(id_at, id, (size_t)chosen * sizeof *id);
            continue;
        }
        for (int64_t k = 0; k < chosen; k++) {
            int64_t wide = id[k * from_step];
            memcpy(at + k * step, &weight[k * from_step], sizeof(float));
            if (id_item == 8)
                memcpy(id_at + k * id_step, &wide, sizeof wide);
            else
                memcpy(id_at + k * id_step, &id[k * from_step], sizeof(int32_t));
        }
    }
}

static void task(void *argument, int64_t begin, int64_t end, int slot)
{
    const struct job *job = argument;
    const struct smelt_moe_routing_args *a = job->args;
    int64_t lanes = job->kernels->lanes;
    float *memory = job->memory + slot * job->slot_floats;
    struct smelt_moe_lanes lists = {.dtype = a->logits->dtype,
                                    .row_step = job->loop.step[2],
                                    .expert_step = a->logits->stride[a->logits->rank - 1] * a->logits->item,
                                    .experts = a->experts,
                                    .chosen = a->chosen,
                                    .renormalize = a->renormalize,
                                    .scale = job->scale,
                                    .work = memory,
                                    .weights = memory + a->experts * lanes,
                                    .ids = (int32_t *)(memory + (a->experts + job->room) * lanes)};
    if (a->experts == 1) lists.expert_step = a->logits->item;
    for (struct smelt_span s = smelt_loop_span(&job->loop, begin, end); s.count;
         smelt_loop_next(&job->loop, &s))
        for (int64_t row = 0; row < s.count; row += lanes) {
            lists.rows = s.count - row < lanes ? s.count - row : lanes;
            lists.logits = a->logits->data + s.offset[2] + row * job->loop.step[2];
            struct smelt_moe_lists routed = job->kernels->route(&lists);
            put(job, &routed, lists.rows, a->expert_ids->data + s.offset[0] + row * job->loop.step[0],
                a->weights->data + s.offset[1] + row * job->loop.step[1]);
        }
}

smelt_status smelt_cpu_moe_routing(const struct smelt_moe_routing_args *args)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_moe);
    const struct smelt_view *views[3] = {args->expert_ids, args->weights, args->logits};
    const struct smelt_view *scale = args->per_expert_scale;
    struct job job = {.args = args, .kernels = smelt_best_kernels(tables)};
    if (!args->logits->elements) return SMELT_OK;
    smelt_loop_init(&job.loop, 3, views, args->logits->rank - 1, false);
    struct smelt_run run = *args->run;
    smelt_run_limit(&run, 8 * args->logits->elements * args->logits->item); /* several passes a row */
    job.room = smelt_moe_room(args->chosen);
    job.slot_floats = (args->experts + 2 * job.room) * job.kernels->lanes;
    job.slot_floats = (job.slot_floats + 15) / 16 * 16;
    size_t slots = (size_t)run.slots * (size_t)job.slot_floats;
    size_t bytes = (slots + (scale ? (size_t)args->experts : 0)) * sizeof(float);
    void *memory;
    SMELT_TRY(smelt_scratch(&run, "moe_routing", bytes, &memory));
    job.memory = memory;
    if (scale) {
        float *packed = job.memory + slots;
        for (int64_t e = 0; e < args->experts; e++)
            packed[e] = smelt_load_float(scale->dtype, scale->data + e * scale->stride[0] * scale->item);
        job.scale = packed;
    }
    smelt_parallel(&run, SMELT_EVEN, job.loop.items, task, &job);
    return SMELT_OK;
}
