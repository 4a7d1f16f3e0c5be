/* SPDX-License-Identifier: Apache-2.0 */
/* moe_routing and its gradient on CUDA: one launch, and one for the sums over rows where those are wanted. */
#include "api/moe_routing.h"

#include "../launch.h"
#include "../norm/params.h"
#include "params.h"

enum { ROWS_A_BLOCK = SMELT_MOE_THREADS / 32 }; /* where a warp has a row */

/* The kernel, and how many lanes of a warp have a row: a lane holds 16 experts and finishes one choice. */
static const char *choose(const struct smelt_moe_routing_args *a, int *lanes)
{
    const int64_t room = a->experts > 16 * a->chosen ? (a->experts + 15) / 16 : a->chosen;
    *lanes = room <= 8 ? 8 : room <= 16 ? 16 : 32;
    if (room <= 8) return "smelt_moe_routing_8";
    if (room <= 16) return "smelt_moe_routing_16";
    if (room <= 32) return "smelt_moe_routing_32";
    return a->experts <= 512 ? "smelt_moe_routing_warp" : "smelt_moe_routing_generic";
}

static void fill(smelt_moe_params *p, const struct smelt_loop *loop, const struct smelt_view *const *views,
                 const struct smelt_view *scale)
{
    const struct smelt_view *logits = views[SMELT_MOE_LOGITS];
    for (int t = 0; t < SMELT_MOE_TENSORS; t++)
        if (views[t]) p->step[t] = smelt_view_step(views[t]);
    p->experts = logits->shape[logits->rank - 1], p->type = (int32_t)logits->dtype;
    p->packed = p->experts % 4 == 0 && p->step[SMELT_MOE_LOGITS] == logits->item &&
                smelt_walk_aligned(loop, SMELT_MOE_LOGITS, logits, 4 * logits->item);
    p->id_bytes = (int32_t)views[SMELT_MOE_IDS]->item;
    if (!scale) return;
    p->scale = scale->data, p->scale_type = (int32_t)scale->dtype,
    p->scale_step = scale->stride[0] * scale->item;
}

static smelt_status run_rows(const struct smelt_cuda_call *call, const struct smelt_loop *loop,
                             const struct smelt_view *const *views, const struct smelt_cuda_grid *grid,
                             int64_t launches, smelt_moe_params *p)
{
    for (int64_t n = 0; n < launches; n++) {
        int64_t shift[SMELT_LOOP_TENSORS];
        smelt_walk_shift(loop, n, shift);
        for (int t = 0; t < SMELT_MOE_TENSORS; t++) p->data[t] = views[t] ? views[t]->data + shift[t] : NULL;
        SMELT_TRY(smelt_cuda_launch(call, grid, p));
        if (p->dscale) p->dscale += grid->blocks * ROWS_A_BLOCK * p->experts;
    }
    return SMELT_OK;
}

static smelt_status route(const struct smelt_cuda_call *call, const struct smelt_moe_routing_args *a)
{
    const struct smelt_view *views[SMELT_MOE_TENSORS] = {a->logits, a->expert_ids, a->weights};
    struct smelt_loop loop;
    smelt_moe_params p = {.chosen = a->chosen, .renormalize = a->renormalize};
    smelt_loop_init(&loop, SMELT_MOE_TENSORS, views, a->logits->rank - 1, true);
    const int64_t launches = smelt_walk_begin(&p.walk, &loop);
    fill(&p, &loop, views, a->per_expert_scale);
    int lanes;
    const char *const kernel = choose(a, &lanes);
    const int64_t rows = SMELT_MOE_THREADS / lanes;
    int64_t blocks = (p.walk.rows + rows - 1) / rows;
    const int64_t resident = (int64_t)call->device.multiprocessors * 5; /* by the registers */
    if (blocks > resident) {
        const int64_t turns = (blocks + resident - 1) / resident;
        blocks = (blocks + turns - 1) / turns; /* even shares */
    }
    blocks = smelt_cuda_blocks(blocks);
    const struct smelt_cuda_grid grid = {SMELT_IMAGE_moe_routing, kernel, blocks, SMELT_MOE_THREADS, 1, 1};
    return run_rows(call, &loop, views, &grid, launches, &p);
}

smelt_status smelt_cuda_moe_routing(const struct smelt_moe_routing_args *a)
{
    const struct smelt_view *views[] = {a->logits, a->expert_ids, a->weights, a->per_expert_scale};
    struct smelt_cuda_call call;
    if (!a->logits->elements) return SMELT_OK;
    SMELT_TRY(smelt_cuda_begin(&call, "moe_routing", a->run, views, sizeof views / sizeof *views));
    return smelt_cuda_end(&call, route(&call, a));
}

/* The sums of all warps, in order: the kernel that makes dbias of those of the norms. */
static smelt_status add_sums(const struct smelt_cuda_call *call, const struct smelt_moe_routing_vjp_args *a,
                             const float *sums, int64_t warps)
{
    const struct smelt_view *out = a->dper_expert_scale;
    const smelt_norm_columns_params p = {
        .by_dout = sums,
        .teams = warps,
        .dim = a->experts,
        .dbias = {out->data, out->stride[0] * out->item, (int32_t)out->dtype}};
    const struct smelt_cuda_grid grid = {
        SMELT_IMAGE_norm_columns, "smelt_norm_columns", (a->experts + 31) / 32, 32, 32, 1};
    return smelt_cuda_launch(call, &grid, &p);
}

static smelt_status gradient(struct smelt_cuda_call *call, const struct smelt_moe_routing_vjp_args *a)
{
    const struct smelt_view *views[SMELT_MOE_TENSORS] = {a->logits, a->expert_ids, a->dweights, a->dlogits};
    struct smelt_loop loop;
    smelt_moe_params p = {.chosen = a->chosen, .renormalize = a->renormalize};
    smelt_loop_init(&loop, SMELT_MOE_TENSORS, views, a->logits->rank - 1, true);
    const int64_t launches = loop.items ? smelt_walk_begin(&p.walk, &loop) : 0;
    fill(&p, &loop, views, a->per_expert_scale);
    int64_t blocks = (p.walk.rows + ROWS_A_BLOCK - 1) / ROWS_A_BLOCK, room = ((int64_t)1 << 24) / a->experts;
    if (room > (int64_t)call->device.multiprocessors * 8) room = (int64_t)call->device.multiprocessors * 8;
    if (blocks > room) blocks = room > 0 ? room : 1;
    blocks = smelt_cuda_blocks(blocks);
    const int64_t warps = launches * blocks * ROWS_A_BLOCK;
    void *memory = NULL;
    if (a->dper_expert_scale)
        SMELT_TRY(smelt_cuda_scratch(call, (size_t)(warps * a->experts) * sizeof(float), &memory));
    p.dscale = memory;
    const struct smelt_cuda_grid grid = {
        SMELT_IMAGE_moe_routing_vjp, "smelt_moe_routing_vjp", blocks, SMELT_MOE_THREADS, 1, 1};
    SMELT_TRY(run_rows(call, &loop, views, &grid, launches, &p));
    return a->dper_expert_scale ? add_sums(call, a, memory, warps) : SMELT_OK;
}

smelt_status smelt_cuda_moe_routing_vjp(const struct smelt_moe_routing_vjp_args *a)
{
    const struct smelt_view *views[] = {a->logits,  a->expert_ids,        a->dweights,
                                        a->dlogits, a->dper_expert_scale, a->per_expert_scale};
    struct smelt_cuda_call call;
    if ((!a->dlogits && !a->dper_expert_scale) || (!a->logits->elements && !a->dper_expert_scale))
        return SMELT_OK;
    SMELT_TRY(smelt_cuda_begin(&call, "moe_routing_vjp", a->run, views, sizeof views / sizeof *views));
    return smelt_cuda_end(&call, gradient(&call, a));
}
