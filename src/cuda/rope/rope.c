/* SPDX-License-Identifier: Apache-2.0 */
/* rope and its gradient on CUDA: one launch. */
#include "api/rope.h"

#include <math.h>
#include <string.h>

#include "../launch.h"
#include "params.h"

/* Inverse frequencies of a base, as the definition rounds them; the last ones are kept, as models ask for the
 * same again and again. */
static void fill_table(smelt_rope_params *p, float base)
{
    static _Thread_local struct {
        uint32_t base;
        int64_t half;
        float values[SMELT_ROPE_TABLE];
    } kept = {.half = -1};
    const double log2_base = log2(base);
    p->log2_base = log2_base;
    if (kept.half != p->half || kept.base != smelt_bits_of_float(base)) {
        for (int64_t i = 0; i < p->half && i < SMELT_ROPE_TABLE; i++)
            kept.values[i] = (float)exp2(-((double)i / (double)p->half) * log2_base);
        kept.base = smelt_bits_of_float(base), kept.half = p->half;
    }
    memcpy(p->inverse, kept.values, sizeof p->inverse);
}

static void fill_frequencies(smelt_rope_params *p, const struct smelt_rope_args *a)
{
    const struct smelt_view *given = a->freqs ? a->freqs : a->inverse_freqs;
    p->frequency_source = !given ? SMELT_ROPE_BASE : a->freqs ? SMELT_ROPE_FREQS : SMELT_ROPE_INVERSE_FREQS;
    if (given) {
        p->frequencies = given->data, p->frequency_type = (int32_t)given->dtype;
        p->frequency_step = given->stride[0] * given->item;
    } else {
        fill_table(p, a->base);
    }
    p->scale = a->scale, p->cos_scale = a->cos_sin_scale;
    p->sin_scale = a->backward ? -a->cos_sin_scale : a->cos_sin_scale;
}

/* Strides of axes of length 1 are 0, so offsets of length 1 serve every sequence. */
static void fill_positions(smelt_rope_params *p, const struct smelt_rope_args *a)
{
    const struct smelt_view *given = a->positions ? a->positions : a->offsets;
    p->offset = a->offset;
    p->position_source = !given         ? SMELT_ROPE_OFFSET
                         : a->positions ? SMELT_ROPE_POSITIONS
                                        : SMELT_ROPE_OFFSETS;
    if (!given) return;
    p->positions = given->data, p->position_bytes = (int32_t)given->item;
    p->position_signed = given->dtype == SMELT_I8 || given->dtype == SMELT_I16 || given->dtype == SMELT_I32 ||
                         given->dtype == SMELT_I64;
    if (given->rank == 2)
        p->position_batch = given->stride[0] * given->item,
        p->position_token = given->stride[1] * given->item;
    else if (given->rank == 1)
        *(a->positions ? &p->position_token : &p->position_batch) = given->stride[0] * given->item;
}

/* The view of the axes that are heads: between the first and the last, without that of the tokens. */
static struct smelt_view heads_of(const struct smelt_view *view, int sequence)
{
    struct smelt_view heads = *view;
    heads.rank = 0;
    for (int i = 1; i < view->rank - 1; i++) {
        if (i == sequence) continue;
        heads.shape[heads.rank] = view->shape[i];
        heads.stride[heads.rank++] = view->stride[i];
    }
    return heads;
}

/* Vectors of neighbours, aligned, and none that is half rotated. */
static bool by_vectors(const smelt_rope_params *p, const struct smelt_rope_args *a,
                       const struct smelt_loop *loop)
{
    const struct smelt_view *const views[] = {a->x, a->out};
    const int64_t count = 16 / a->x->item;
    if (p->size % count || p->dims % count || (!a->traditional && p->half % count)) return false;
    for (int t = 0; t < SMELT_ROPE_TENSORS; t++)
        if (p->step[t] != views[t]->item || !smelt_walk_aligned(loop, t, views[t], 16) ||
            p->batch_stride[t] % 16 || p->token_stride[t] % 16)
            return false;
    return true;
}

static void fill(smelt_rope_params *p, const struct smelt_rope_args *a)
{
    const struct smelt_view *const views[] = {a->x, a->out};
    p->batch = a->x->shape[0], p->tokens = a->x->shape[a->sequence];
    p->size = a->x->shape[a->x->rank - 1], p->dims = a->dims, p->half = a->dims / 2;
    for (int t = 0; t < SMELT_ROPE_TENSORS; t++) {
        p->batch_stride[t] = views[t]->stride[0] * views[t]->item;
        p->token_stride[t] = views[t]->stride[a->sequence] * views[t]->item;
        p->step[t] = smelt_view_step(views[t]);
    }
    fill_positions(p, a);
    fill_frequencies(p, a);
}

static smelt_status launch(const struct smelt_cuda_call *call, const struct smelt_rope_args *a)
{
    static const char *const names[2][2] = {{"smelt_rope_split_generic", "smelt_rope_traditional_generic"},
                                            {"smelt_rope_split", "smelt_rope_traditional"}};
    struct smelt_view heads[] = {heads_of(a->x, a->sequence), heads_of(a->out, a->sequence)};
    const struct smelt_view *views[] = {&heads[0], &heads[1]};
    struct smelt_loop loop;
    smelt_rope_params p;
    memset(&p, 0, sizeof p);
    smelt_loop_init(&loop, SMELT_ROPE_TENSORS, views, heads[0].rank, true);
    const int64_t launches = smelt_walk_begin(&p.heads, &loop);
    fill(&p, a);
    const bool vectors = by_vectors(&p, a, &loop);
    const int64_t count = 16 / a->x->item;
    p.chunks = vectors ? (p.heads.rows + SMELT_ROPE_HEADS - 1) / SMELT_ROPE_HEADS : p.heads.rows;
    p.copies = p.size > p.dims && a->out->data != a->x->data;
    if (vectors)
        p.slots = (a->traditional ? p.dims : p.half) / count;
    else
        p.slots = p.half + (p.size - p.dims);
    p.tokens_first = loop.axes > 1 || p.token_stride[SMELT_ROPE_X] < loop.step[SMELT_ROPE_X] || p.chunks == 1;
    const int64_t work = p.batch * p.tokens * p.chunks * p.slots;
    p.narrow = work < INT32_MAX - SMELT_ROPE_THREADS;
    p.streaming = smelt_cuda_streams(call, a->out->elements * a->out->item);
    int64_t blocks = (work + SMELT_ROPE_THREADS - 1) / SMELT_ROPE_THREADS;
    if (!vectors) blocks = smelt_cuda_blocks(blocks);
    const struct smelt_cuda_grid grid = {SMELT_IMAGE_rope_f32 + (unsigned)a->x->dtype,
                                         names[vectors][a->traditional],
                                         blocks,
                                         SMELT_ROPE_THREADS,
                                         1,
                                         1};
    for (int64_t n = 0; n < launches; n++) {
        int64_t shift[SMELT_LOOP_TENSORS];
        smelt_walk_shift(&loop, n, shift);
        p.data[SMELT_ROPE_X] = a->x->data + shift[SMELT_ROPE_X];
        p.data[SMELT_ROPE_OUT] = a->out->data + shift[SMELT_ROPE_OUT];
        SMELT_TRY(smelt_cuda_launch(call, &grid, &p));
    }
    return SMELT_OK;
}

smelt_status smelt_cuda_rope(const struct smelt_rope_args *a)
{
    const struct smelt_view *views[] = {a->x, a->out, a->offsets, a->positions, a->freqs, a->inverse_freqs};
    struct smelt_cuda_call call;
    if (!a->x->elements) return SMELT_OK;
    SMELT_TRY(smelt_cuda_begin(&call, a->backward ? "rope_vjp" : "rope", a->run, views,
                               sizeof views / sizeof *views));
    return smelt_cuda_end(&call, launch(&call, a));
}
