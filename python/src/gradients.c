/* SPDX-License-Identifier: Apache-2.0 */
/* The gradients: the forward inputs, the forward outputs that are needed again, the cotangents, the options
 * of the forward function, `wanted` (a bit per gradient, in the order of the result), stream. A gradient that
 * is not wanted, or whose input is absent, is None. */
#include "reader.h"

static DLTensor *gradient(struct reader *r, int64_t wanted, int bit, const DLTensor *of)
{
    return wanted >> bit & 1 ? make_gradient(r, of) : NULL;
}

/* x, weight, dout, eps, weight_offset, round_once, wanted, stream -> (dx, dweight) */
FUNCTION(rms_norm_vjp)
{
    BEGIN;
    const DLTensor *x = read_input(&r, "x"), *weight = read_maybe(&r, "weight"),
                   *dout = read_input(&r, "dout");
    smelt_norm_options options = read_norm_options(&r);
    int64_t wanted = read_integer(&r, "wanted");
    read_stream(&r, &s);
    DLTensor *dx = gradient(&r, wanted, 0, x), *dweight = gradient(&r, wanted, 1, weight);
    RUN(smelt_rms_norm_vjp(dx, dweight, x, weight, dout, &options, &s))
    FINISH(dx, dweight);
}

/* x, weight, bias, dout, eps, weight_offset, round_once, wanted, stream -> (dx, dweight, dbias) */
FUNCTION(layer_norm_vjp)
{
    BEGIN;
    const DLTensor *x = read_input(&r, "x"), *weight = read_maybe(&r, "weight");
    const DLTensor *bias = read_maybe(&r, "bias"), *dout = read_input(&r, "dout");
    smelt_norm_options options = read_norm_options(&r);
    int64_t wanted = read_integer(&r, "wanted");
    read_stream(&r, &s);
    DLTensor *dx = gradient(&r, wanted, 0, x), *dweight = gradient(&r, wanted, 1, weight);
    DLTensor *dbias = gradient(&r, wanted, 2, bias);
    RUN(smelt_layer_norm_vjp(dx, dweight, dbias, x, weight, dout, &options, &s))
    FINISH(dx, dweight, dbias);
}

/* residual, x, weight, scalar, dout, eps, weight_offset, round_once, wanted, stream
 * -> (dresidual, dx, dweight, dscalar) */
FUNCTION(norm_add_vjp)
{
    BEGIN;
    const DLTensor *residual = read_input(&r, "residual"), *x = read_input(&r, "x");
    const DLTensor *weight = read_maybe(&r, "weight"), *scalar = read_maybe(&r, "scalar");
    const DLTensor *dout = read_input(&r, "dout");
    smelt_norm_options options = read_norm_options(&r);
    int64_t wanted = read_integer(&r, "wanted");
    read_stream(&r, &s);
    DLTensor *dresidual = gradient(&r, wanted, 0, residual), *dx = gradient(&r, wanted, 1, x);
    DLTensor *dweight = gradient(&r, wanted, 2, weight), *dscalar = gradient(&r, wanted, 3, scalar);
    RUN(smelt_norm_add_vjp(dresidual, dx, dweight, dscalar, residual, x, weight, scalar, dout, &options, &s))
    FINISH(dresidual, dx, dweight, dscalar);
}

/* residual, x, weight, scalar, dout or None, dsum or None, eps, weight_offset, round_once, wanted, stream
 * -> (dresidual, dx, dweight, dscalar) */
FUNCTION(residual_norm_vjp)
{
    BEGIN;
    const DLTensor *residual = read_input(&r, "residual"), *x = read_input(&r, "x");
    const DLTensor *weight = read_maybe(&r, "weight"), *scalar = read_maybe(&r, "scalar");
    const DLTensor *dout = read_maybe(&r, "dout"), *dsum = read_maybe(&r, "dsum");
    smelt_norm_options options = read_norm_options(&r);
    int64_t wanted = read_integer(&r, "wanted");
    read_stream(&r, &s);
    DLTensor *dresidual = gradient(&r, wanted, 0, residual), *dx = gradient(&r, wanted, 1, x);
    DLTensor *dweight = gradient(&r, wanted, 2, weight), *dscalar = gradient(&r, wanted, 3, scalar);
    RUN(smelt_residual_norm_vjp(dresidual, dx, dweight, dscalar, residual, x, weight, scalar, dout, dsum,
                                &options, &s))
    FINISH(dresidual, dx, dweight, dscalar);
}

/* q, k, v, out, lse, dout or None, dlse or None, the options of sdpa, wanted, stream
 * -> (dq, dk, dv, dmask, dsinks) */
FUNCTION(sdpa_vjp)
{
    BEGIN;
    const DLTensor *q = read_input(&r, "q"), *k = read_input(&r, "k"), *v = read_input(&r, "v");
    const DLTensor *out = read_input(&r, "out"), *lse = read_input(&r, "lse");
    const DLTensor *dout = read_maybe(&r, "dout"), *dlse = read_maybe(&r, "dlse");
    smelt_sdpa_options options = read_sdpa_options(&r);
    int64_t wanted = read_integer(&r, "wanted");
    read_stream(&r, &s);
    DLTensor *dq = gradient(&r, wanted, 0, q), *dk = gradient(&r, wanted, 1, k);
    DLTensor *dv = gradient(&r, wanted, 2, v), *dmask = gradient(&r, wanted, 3, options.mask);
    DLTensor *dsinks = gradient(&r, wanted, 4, options.sinks);
    RUN(smelt_sdpa_vjp(dq, dk, dv, dmask, dsinks, q, k, v, out, lse, dout, dlse, &options, &s))
    FINISH(dq, dk, dv, dmask, dsinks);
}

/* gate, up, dout, activation, wanted, stream -> (dgate, dup) */
FUNCTION(glu_vjp)
{
    BEGIN;
    const DLTensor *gate = read_input(&r, "gate"), *up = read_input(&r, "up"), *dout = read_input(&r, "dout");
    smelt_activation activation = (smelt_activation)read_integer(&r, "activation");
    int64_t wanted = read_integer(&r, "wanted");
    read_stream(&r, &s);
    DLTensor *dgate = gradient(&r, wanted, 0, gate), *dup = gradient(&r, wanted, 1, up);
    RUN(smelt_glu_vjp(dgate, dup, gate, up, dout, activation, &s))
    FINISH(dgate, dup);
}

/* logits, per_expert_scale, expert_ids, dweights, renormalize, wanted, stream
 * -> (dlogits, dper_expert_scale) */
FUNCTION(moe_routing_vjp)
{
    BEGIN;
    smelt_moe_options options = SMELT_MOE_OPTIONS_INIT;
    const DLTensor *logits = read_input(&r, "logits"), *scale = read_maybe(&r, "per_expert_scale");
    const DLTensor *ids = read_input(&r, "expert_ids"), *dweights = read_input(&r, "dweights");
    options.renormalize = (int32_t)read_integer(&r, "renormalize");
    int64_t wanted = read_integer(&r, "wanted");
    read_stream(&r, &s);
    DLTensor *dlogits = gradient(&r, wanted, 0, logits), *dscale = gradient(&r, wanted, 1, scale);
    RUN(smelt_moe_routing_vjp(dlogits, dscale, logits, scale, ids, dweights, &options, &s))
    FINISH(dlogits, dscale);
}
