/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the arguments that attention and its gradient share. */
#include "api/sdpa_arguments.h"

#include "core/options.h"

#define REJECT(...) smelt_reject(call, SMELT_INVALID_ARGUMENT, __VA_ARGS__)

static void check_window(struct smelt_call *call, const char *name, int64_t window)
{
    if (window < -1) REJECT("options.%s: expected -1 (unlimited) or more, got %lld", name, (long long)window);
}

smelt_status smelt_sdpa_read_options(struct smelt_call *call, struct smelt_sdpa_args *args,
                                     smelt_sdpa_options *options, const smelt_sdpa_options *given)
{
    static const smelt_sdpa_options defaults = SMELT_SDPA_OPTIONS_INIT;
    SMELT_TRY(smelt_read_options(call->operation, "options", options, given, &defaults, sizeof defaults));
    if (!(options->softcap >= 0) || isinf(options->softcap))
        REJECT("options.softcap: expected 0 (none) or a positive finite number, got %g",
               (double)options->softcap);
    check_window(call, "window_left", options->window_left);
    check_window(call, "window_right", options->window_right);
    if (options->kv_offsets && options->kv_offset != SMELT_LOWER_RIGHT)
        REJECT("options.kv_offset: expected SMELT_LOWER_RIGHT beside kv_offsets, got %lld",
               (long long)options->kv_offset);
    args->scale = options->scale;
    args->softcap = options->softcap;
    args->window_left = options->window_left;
    args->window_right = options->causal ? 0 : options->window_right;
    args->kv_offset = options->kv_offset;
    return call->status;
}

void smelt_sdpa_inputs(struct smelt_call *call, struct smelt_sdpa_args *args, const DLTensor *q,
                       const DLTensor *k, const DLTensor *v, const smelt_sdpa_options *options)
{
    unsigned keep = SMELT_IS(SMELT_BOOL);
    args->q = smelt_input(call, "q", q, SMELT_FLOATING);
    args->k = smelt_input(call, "k", k, SMELT_FLOATING);
    args->v = smelt_input(call, "v", v, SMELT_FLOATING);
    args->mask = smelt_optional_input(call, "options.mask", options->mask, SMELT_FLOATING | keep);
    args->key_mask = smelt_optional_input(call, "options.key_mask", options->key_mask, SMELT_INTEGERS | keep);
    args->sinks = smelt_optional_input(call, "options.sinks", options->sinks, SMELT_FLOATING);
    args->kv_lengths =
        smelt_optional_input(call, "options.kv_lengths", options->kv_lengths, SMELT_IS(SMELT_I32));
    args->kv_offsets =
        smelt_optional_input(call, "options.kv_offsets", options->kv_offsets, SMELT_IS(SMELT_I32));
}

static void check_heads(struct smelt_call *call, struct smelt_sdpa_args *args)
{
    const int64_t *q = args->q->shape, *k = args->k->shape, *v = args->v->shape;
    const int64_t expected_k[4] = {q[0], k[1], k[2], q[3]}, expected_v[4] = {q[0], k[1], k[2], v[3]};
    if (q[3] == 0) REJECT("q: expected a head size of 1 or more, got 0");
    if (k[1] == 0) REJECT("k: expected 1 head or more, got 0");
    smelt_expect_shape(call, args->k, 4, expected_k);
    smelt_expect_shape(call, args->v, 4, expected_v);
    if (call->status == SMELT_OK && q[1] % k[1])
        REJECT("q: expected a number of heads that is a multiple of the %lld heads of k, got %lld",
               (long long)k[1], (long long)q[1]);
    args->batch = q[0], args->heads = q[1], args->q_len = q[2], args->dim = q[3];
    args->kv_heads = k[1], args->kv_len = k[2], args->value_dim = v[3];
    args->dtype = smelt_promote(smelt_promote(args->q->dtype, args->k->dtype), args->v->dtype);
    if (isnan(args->scale)) args->scale = (float)(1 / sqrt((double)args->dim));
}

/* A floating mask or sink must not be wider than out. */
static void check_promotes(struct smelt_call *call, const struct smelt_sdpa_args *args,
                           const struct smelt_view *view)
{
    if (!view || view->dtype == SMELT_BOOL || smelt_promote(view->dtype, args->dtype) == args->dtype) return;
    REJECT("%s: expected a dtype that promotes to %s, that of q, k and v, got %s", view->name,
           smelt_dtype_name(args->dtype), smelt_dtype_name(view->dtype));
}

static void check_mask(struct smelt_call *call, struct smelt_sdpa_args *args)
{
    const struct smelt_view *mask = args->mask;
    const int64_t full[4] = {args->batch, args->heads, args->q_len, args->kv_len};
    smelt_expect_rank(call, mask, 0, 4);
    if (!mask || call->status != SMELT_OK) return;
    bool fits = true;
    for (int axis = 0; axis < 4; axis++) {
        int own = axis - (4 - mask->rank);
        args->mask_stride[axis] = own < 0 ? 0 : mask->stride[own];
        fits &= own < 0 || mask->shape[own] == 1 || mask->shape[own] == full[axis];
    }
    char expected[SMELT_SHAPE_TEXT], got[SMELT_SHAPE_TEXT];
    if (!fits)
        REJECT("%s: expected a shape that broadcasts to %s, got %s", mask->name,
               smelt_shape_text(expected, full, 4), smelt_shape_text(got, mask->shape, mask->rank));
}

void smelt_sdpa_check_inputs(struct smelt_call *call, struct smelt_sdpa_args *args)
{
    smelt_expect_rank(call, args->q, 4, 4);
    smelt_expect_rank(call, args->k, 4, 4);
    smelt_expect_rank(call, args->v, 4, 4);
    if (call->status != SMELT_OK) return;
    check_heads(call, args);
    check_promotes(call, args, args->mask);
    check_promotes(call, args, args->sinks);
    check_mask(call, args);
    const int64_t keys[2] = {args->batch, args->kv_len};
    smelt_expect_shape(call, args->key_mask, 2, keys);
    smelt_expect_shape(call, args->sinks, 1, &args->heads);
    smelt_expect_shape(call, args->kv_lengths, 1, &args->batch);
    smelt_expect_shape(call, args->kv_offsets, 1, &args->batch);
}

void smelt_sdpa_expect_out(struct smelt_call *call, const struct smelt_sdpa_args *args,
                           const struct smelt_view *view)
{
    const int64_t shape[4] = {args->batch, args->heads, args->q_len, args->value_dim};
    smelt_expect_shape(call, view, 4, shape);
}

void smelt_sdpa_expect_lse(struct smelt_call *call, const struct smelt_sdpa_args *args,
                           const struct smelt_view *view)
{
    const int64_t shape[3] = {args->batch, args->heads, args->q_len};
    smelt_expect_shape(call, view, 3, shape);
}

smelt_status smelt_sdpa_check_lengths(struct smelt_call *call, const struct smelt_sdpa_args *args)
{
    for (int64_t b = 0; args->kv_lengths && b < args->batch; b++) {
        int64_t keys = smelt_sdpa_keys(args, b);
        if (keys < 0 || keys > args->kv_len)
            REJECT("options.kv_lengths: expected 0 to %lld, the length of k, got %lld in sequence %lld",
                   (long long)args->kv_len, (long long)keys, (long long)b);
    }
    return call->status;
}
