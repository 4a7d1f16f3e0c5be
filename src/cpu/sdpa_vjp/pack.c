/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors of any dtype and stride to the packings of the kernels, and back. */
#include <string.h>

#include "core/strided.h"
#include "cpu/sdpa_vjp/work.h"

bool vjp_load(const struct vjp_plan *plan, const struct smelt_view *view, const char *from, float *line,
              int64_t n)
{
    int64_t step = view->stride[3] * view->item;
    bool finite = true;
    if (step == view->item || n == 1) return plan->kernels->load(line, from, view->dtype, n);
    for (int64_t i = 0; i < n; i++) {
        line[i] = smelt_load_float(view->dtype, from + i * step);
        finite &= isfinite(line[i]) != 0;
    }
    return finite;
}

void vjp_store(const struct vjp_plan *plan, const struct smelt_view *view, char *to, const float *line,
               float factor, int64_t n)
{
    int64_t step = view->stride[3] * view->item;
    if (step == view->item || n == 1)
        plan->kernels->store(to, view->dtype, line, factor, n);
    else
        for (int64_t i = 0; i < n; i++) smelt_store_float(view->dtype, to + i * step, line[i] * factor);
}

/* Row r of a deep packing. */
static void put_deep(float *deep, int64_t r, int64_t width, const float *line, float factor, int64_t n)
{
    float *to = deep + r / width * width * n + r % width;
    for (int64_t i = 0; i < n; i++) to[i * width] = line[i] * factor;
}

/* Row r of a flat packing, zeros up to whole panels. What is not finite becomes 0: where it counts, the
 * weights that it meets are NaN themselves, or it is added apart (dout). */
static void put_flat(const struct vjp_plan *plan, float *flat, int64_t r, const float *line, bool finite,
                     int64_t n)
{
    int64_t panel = plan->kernels->panel, columns = (n + panel - 1) / panel * panel;
    flat += r / VJP_BLOCK * VJP_BLOCK * columns + r % VJP_BLOCK * panel;
    for (int64_t i = 0; i < n; i += panel, flat += VJP_BLOCK * panel) {
        int64_t count = n - i < panel ? n - i : panel;
        memcpy(flat, line + i, (size_t)count * sizeof *flat);
        memset(flat + count, 0, (size_t)(panel - count) * sizeof *flat);
        for (int64_t c = 0; !finite && c < count; c++)
            if (!isfinite(flat[c])) flat[c] = 0;
    }
}

float vjp_left(const struct vjp_plan *plan, struct vjp_work *work, int64_t b, int64_t h, int64_t i,
               float *lse)
{
    const struct smelt_sdpa_vjp_args *args = plan->args;
    const struct smelt_sdpa_args *a = plan->forward;
    float left = 0;
    memcpy(lse, vjp_at(a->lse, b, h, i), sizeof *lse);
    if (*lse == -INFINITY) return 0;
    if (args->dlse) memcpy(&left, vjp_at(args->dlse, b, h, i), sizeof left);
    if (!args->dout || a->value_dim == 0) return left;
    vjp_load(plan, a->out, vjp_at(a->out, b, h, i), work->line, a->value_dim);
    vjp_load(plan, args->dout, vjp_at(args->dout, b, h, i), work->other_line, a->value_dim);
    return left - plan->kernels->dot(work->line, work->other_line, a->value_dim);
}

static void put_zero(const struct vjp_plan *plan, struct vjp_queries *q, int64_t r, float *line)
{
    int64_t dim = plan->forward->dim, value_dim = plan->forward->value_dim;
    memset(line, 0, (size_t)(dim > value_dim ? dim : value_dim) * sizeof *line);
    put_deep(q->deep, r, plan->kernels->deep_rows, line, 1, dim);
    put_flat(plan, q->flat, r, line, true, dim);
    put_deep(q->deep_dout, r, plan->kernels->deep_rows, line, 1, value_dim);
    put_flat(plan, q->flat_dout, r, line, true, value_dim);
    q->wild[r] = 0;
}

/* One query. One that depends on nothing is all zeros, and sees no key. */
static void pack_query(const struct vjp_plan *plan, struct vjp_work *work, int64_t b, int64_t h, int64_t i,
                       int64_t r)
{
    const struct smelt_sdpa_args *a = plan->forward;
    const struct smelt_view *dout = plan->args->dout;
    struct vjp_queries *q = &work->queries;
    int64_t width = plan->kernels->deep_rows;
    q->left[r] = vjp_left(plan, work, b, h, i, &q->lse[r]);
    smelt_sdpa_visible(a, smelt_sdpa_keys(a, b), smelt_sdpa_offset(a, b), i, &q->first[r], &q->end[r]);
    if (q->lse[r] == -INFINITY) q->first[r] = q->end[r] = 0;
    if (q->first[r] >= q->end[r] || !dout) put_zero(plan, q, r, work->line);
    if (q->first[r] >= q->end[r]) return;
    bool finite = vjp_load(plan, a->q, vjp_at(a->q, b, h, i), work->line, a->dim);
    put_deep(q->deep, r, width, work->line, a->scale, a->dim);
    put_flat(plan, q->flat, r, work->line, finite, a->dim);
    if (!dout || a->value_dim == 0) return;
    finite = vjp_load(plan, dout, vjp_at(dout, b, h, i), work->line, a->value_dim);
    put_deep(q->deep_dout, r, width, work->line, 1, a->value_dim);
    put_flat(plan, q->flat_dout, r, work->line, finite, a->value_dim);
    q->wild[r] = !finite;
}

void vjp_pack_queries(const struct vjp_plan *plan, struct vjp_work *work, int64_t b, int64_t head,
                      int64_t row, int64_t count)
{
    int64_t width = plan->kernels->deep_rows;
    for (int64_t r = 0; r < count; r++)
        pack_query(plan, work, b, vjp_head(plan, head, row + r), (row + r) % plan->forward->q_len, r);
    for (int64_t r = count; r % width; r++) put_zero(plan, &work->queries, r, work->line);
}

static void pack_keep(const struct vjp_plan *plan, struct vjp_keys *keys, int64_t b, int64_t key,
                      int64_t count)
{
    const struct smelt_view *mask = plan->forward->key_mask;
    keys->all = true;
    for (int64_t j = 0; mask && j < count; j++) {
        const char *at = mask->data + (b * mask->stride[0] + (key + j) * mask->stride[1]) * mask->item;
        keys->keep[j] = smelt_load_integer(mask->dtype, at) != 0;
        keys->all &= keys->keep[j];
    }
}

void vjp_pack_keys(const struct vjp_plan *plan, struct vjp_work *work, int64_t b, int64_t head, int64_t key,
                   int64_t count)
{
    const struct smelt_sdpa_args *a = plan->forward;
    struct vjp_keys *keys = &work->keys;
    int64_t width = plan->kernels->panel;
    pack_keep(plan, keys, b, key, count);
    memset(keys->deep, 0, (size_t)(VJP_BLOCK * a->dim) * sizeof(float));
    memset(keys->deep_values, 0, (size_t)(VJP_BLOCK * a->value_dim) * sizeof(float));
    for (int64_t j = 0; j < count; j++) {
        bool finite = vjp_load(plan, a->k, vjp_at(a->k, b, head, key + j), work->line, a->dim);
        put_deep(keys->deep, j, width, work->line, 1, a->dim);
        put_flat(plan, keys->flat, j, work->line, finite, a->dim);
        if (!plan->args->dout || a->value_dim == 0) continue;
        vjp_load(plan, a->v, vjp_at(a->v, b, head, key + j), work->line, a->value_dim);
        put_deep(keys->deep_values, j, width, work->line, 1, a->value_dim);
    }
}
