/* SPDX-License-Identifier: Apache-2.0 */
/* The gradients of the mask, summed over the axes that it broadcasts, and of the sinks. An item owns a block
 * of mask elements (or a sink) and visits all that they meet in a fixed order; sums are double. */
#include <string.h>

#include "cpu/sdpa_vjp/work.h"

/* The mask as a tensor over (B, Hq, qL, kL): which axes it has, and where its gradient lies. */
struct mask_axes {
    bool own[4];
    int64_t size[4], stride[4];
    int64_t blocks[4]; /* items along each axis */
};

static struct mask_axes axes_of(const struct vjp_plan *plan)
{
    const struct smelt_sdpa_args *a = plan->forward;
    const struct smelt_view *dmask = plan->args->dmask;
    struct mask_axes m = {.size = {a->batch, a->heads, a->q_len, a->kv_len}};
    for (int axis = 0; axis < 4; axis++) {
        int at = axis - (4 - dmask->rank), block = axis < 2 ? 1 : VJP_BLOCK;
        m.own[axis] = at >= 0 && dmask->shape[at] == m.size[axis];
        m.stride[axis] = at >= 0 ? dmask->stride[at] * dmask->item : 0;
        m.blocks[axis] = m.own[axis] ? (m.size[axis] + block - 1) / block : 1;
    }
    return m;
}

int64_t vjp_mask_items(const struct vjp_plan *plan)
{
    struct mask_axes m = axes_of(plan);
    return m.blocks[0] * m.blocks[1] * m.blocks[2] * m.blocks[3];
}

/* Adds the tile of slopes to the sums of the mask's block. */
static void gather(const struct mask_axes *m, double *sums, const float *slopes, int64_t rows, int64_t keys)
{
    for (int64_t r = 0; r < rows; r++) {
        double *to = sums + (m->own[2] ? r * VJP_BLOCK : 0);
        const float *from = slopes + r * VJP_BLOCK;
        double sum = 0;
        for (int64_t j = 0; m->own[3] && j < keys; j++) to[j] += (double)from[j];
        for (int64_t j = 0; !m->own[3] && j < keys; j++) sum += (double)from[j];
        if (!m->own[3]) *to += sum;
    }
}

/* All that one query head gives to a block of the mask: rows [low[2], high[2]) and keys [low[3], high[3]). */
static void add_head(const struct vjp_plan *plan, struct vjp_work *work, const struct mask_axes *m,
                     double *sums, int64_t b, int64_t h, const int64_t low[4], const int64_t high[4])
{
    int64_t head = h / plan->group, start = h % plan->group * plan->forward->q_len;
    for (int64_t key = low[3]; key < high[3]; key += VJP_BLOCK) {
        int64_t keys = high[3] - key < VJP_BLOCK ? high[3] - key : VJP_BLOCK;
        vjp_pack_keys(plan, work, b, head, key, keys);
        for (int64_t i = low[2]; i < high[2]; i += VJP_BLOCK) {
            int64_t rows = high[2] - i < VJP_BLOCK ? high[2] - i : VJP_BLOCK;
            vjp_pack_queries(plan, work, b, head, start + i, rows);
            if (vjp_tile(plan, work, b, head, start + i, 0, rows, key, keys, true))
                gather(m, sums, work->slopes, rows, keys);
        }
    }
}

void vjp_mask(void *argument, int64_t begin, int64_t end, int slot)
{
    const struct vjp_plan *plan = argument;
    const struct smelt_view *dmask = plan->args->dmask;
    struct vjp_work work = vjp_work(plan, slot);
    struct mask_axes m = axes_of(plan);
    double sums[VJP_BLOCK * VJP_BLOCK];
    for (int64_t item = begin; item < end; item++) {
        int64_t low[4], high[4], rest = item;
        for (int axis = 3; axis >= 0; axis--) {
            int64_t block = axis < 2 ? 1 : VJP_BLOCK, size = m.size[axis];
            low[axis] = m.own[axis] ? rest % m.blocks[axis] * block : 0;
            high[axis] = m.own[axis] && low[axis] + block < size ? low[axis] + block : size;
            rest /= m.blocks[axis];
        }
        memset(sums, 0, sizeof sums);
        for (int64_t b = low[0]; b < high[0]; b++)
            for (int64_t h = low[1]; h < high[1]; h++) add_head(plan, &work, &m, sums, b, h, low, high);
        char *to = dmask->data;
        for (int axis = 0; axis < 4; axis++) to += m.own[axis] ? low[axis] * m.stride[axis] : 0;
        int64_t rows = m.own[2] ? high[2] - low[2] : 1, keys = m.own[3] ? high[3] - low[3] : 1;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < keys; j++)
                smelt_store_float(dmask->dtype, to + r * m.stride[2] + j * m.stride[3],
                                  (float)sums[r * VJP_BLOCK + j]);
    }
}

void vjp_sinks(void *argument, int64_t begin, int64_t end, int slot)
{
    const struct vjp_plan *plan = argument;
    const struct smelt_sdpa_args *a = plan->forward;
    const struct smelt_view *sinks = a->sinks, *dsinks = plan->args->dsinks;
    struct vjp_work work = vjp_work(plan, slot);
    for (int64_t h = begin; h < end; h++) {
        float sink = smelt_load_float(sinks->dtype, sinks->data + h * sinks->stride[0] * sinks->item), lse;
        double sum = 0;
        for (int64_t b = 0; b < a->batch; b++)
            for (int64_t i = 0; i < a->q_len; i++) {
                double left = (double)vjp_left(plan, &work, b, h, i, &lse);
                if (lse > -INFINITY || isnan(lse)) sum += exp((double)sink - (double)lse) * left;
            }
        smelt_store_float(dsinks->dtype, dsinks->data + h * dsinks->stride[0] * dsinks->item, (float)sum);
    }
}
