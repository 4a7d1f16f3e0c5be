/* SPDX-License-Identifier: Apache-2.0 */
/* The forward functions. */
#include <string.h>

#include "reader.h"

/* x, weight, eps, weight_offset, round_once, out, stream */
FUNCTION(rms_norm)
{
    BEGIN;
    const DLTensor *x = read_input(&r, "x"), *weight = read_maybe(&r, "weight");
    smelt_norm_options options = read_norm_options(&r);
    PyObject *out = read_next(&r);
    read_stream(&r, &s);
    if (!r.failed && (!is_floating(x) || !is_floating(weight))) return cast_first(&r);
    DLTensor *o = r.failed ? NULL : make_output_like(&r, out, x, promote(x, weight));
    RUN(smelt_rms_norm(o, x, weight, &options, &s))
    FINISH(o);
}

/* x, weight, bias, eps, weight_offset, round_once, out, stream */
FUNCTION(layer_norm)
{
    BEGIN;
    const DLTensor *x = read_input(&r, "x"), *weight = read_maybe(&r, "weight"),
                   *bias = read_maybe(&r, "bias");
    smelt_norm_options options = read_norm_options(&r);
    PyObject *out = read_next(&r);
    read_stream(&r, &s);
    if (!r.failed && (!is_floating(x) || !is_floating(weight) || !is_floating(bias))) return cast_first(&r);
    DLDataType type = {0};
    if (!r.failed) {
        DLTensor promoted = *x;
        promoted.dtype = promote(x, weight);
        type = weight ? promote(&promoted, bias) : x->dtype;
    }
    DLTensor *o = make_output_like(&r, out, x, type);
    RUN(smelt_layer_norm(o, x, weight, bias, &options, &s))
    FINISH(o);
}

/* residual, x, weight, scalar, eps, weight_offset, round_once, out, stream */
FUNCTION(norm_add)
{
    BEGIN;
    const DLTensor *residual = read_input(&r, "residual"), *x = read_input(&r, "x"),
                   *weight = read_maybe(&r, "weight");
    const DLTensor *scalar = read_maybe(&r, "scalar");
    smelt_norm_options options = read_norm_options(&r);
    PyObject *out = read_next(&r);
    read_stream(&r, &s);
    if (!r.failed &&
        (!is_floating(residual) || !is_floating(x) || !is_floating(weight) || !is_floating(scalar)))
        return cast_first(&r);
    const DLTensor *all[] = {residual, x, weight, scalar};
    DLTensor *o = r.failed ? NULL : make_output_like(&r, out, x, promote_all(all, 4));
    RUN(smelt_norm_add(o, residual, x, weight, scalar, &options, &s))
    FINISH(o);
}

/* residual, x, weight, scalar, eps, weight_offset, round_once, want_sum, out, sum, stream -> (out, sum) */
FUNCTION(residual_norm)
{
    BEGIN;
    const DLTensor *residual = read_input(&r, "residual"), *x = read_input(&r, "x"),
                   *weight = read_maybe(&r, "weight");
    const DLTensor *scalar = read_maybe(&r, "scalar");
    smelt_norm_options options = read_norm_options(&r);
    bool want_sum = read_integer(&r, "return_sum");
    PyObject *out = read_next(&r), *sum = read_next(&r);
    read_stream(&r, &s);
    if (!r.failed &&
        (!is_floating(residual) || !is_floating(x) || !is_floating(weight) || !is_floating(scalar)))
        return cast_first(&r);
    const DLTensor *all[] = {residual, x, weight, scalar};
    DLTensor *o = r.failed ? NULL : make_output_like(&r, out, x, promote_all(all, 4));
    DLTensor *t =
        r.failed || (!want_sum && sum == Py_None) ? NULL : make_output_like(&r, sum, x, promote(residual, x));
    RUN(smelt_residual_norm(o, t, residual, x, weight, scalar, &options, &s))
    FINISH(o, t);
}

/* x, dims, traditional, sequence_axis, base, scale, cos_sin_scale, offset, offsets, positions, freqs,
 * inverse_freqs, backward, out, stream */
FUNCTION(rope)
{
    BEGIN;
    const DLTensor *x = read_input(&r, "a");
    smelt_rope_options options = read_rope_options(&r);
    bool backward = read_integer(&r, "backward");
    PyObject *out = read_next(&r);
    read_stream(&r, &s);
    if (!r.failed && (!is_floating(x) || !is_floating(options.freqs) || !is_floating(options.inverse_freqs)))
        return cast_first(&r);
    DLTensor *o = r.failed ? NULL : make_output_like(&r, out, x, x->dtype);
    RUN(backward ? smelt_rope_vjp(o, x, &options, &s) : smelt_rope(o, x, &options, &s))
    FINISH(o);
}

/* The shape of out, from q and v where they have rank 4; a wrong rank is for the library to name. */
static void attention_shape(const DLTensor *q, const DLTensor *v, int64_t shape[4])
{
    for (int i = 0; i < 4; i++) shape[i] = i < q->ndim ? q->shape[i] : 1;
    if (v->ndim == 4) shape[3] = v->shape[3];
    for (int i = 0; i < 4; i++)
        if (shape[i] < 0) shape[i] = 0;
}

/* q, k, v, scale, causal, kv_offset, window_left, window_right, softcap, mask, key_mask, sinks, kv_lengths,
 * kv_offsets, want_lse, out, stream -> (out, lse) */
FUNCTION(sdpa)
{
    BEGIN;
    const DLTensor *q = read_input(&r, "q"), *k = read_input(&r, "k"), *v = read_input(&r, "v");
    smelt_sdpa_options options = read_sdpa_options(&r);
    bool want_lse = read_integer(&r, "return_lse");
    PyObject *out = read_next(&r);
    read_stream(&r, &s);
    if (!r.failed && (!is_floating(q) || !is_floating(k) || !is_floating(v) || !is_floating(options.sinks)))
        return cast_first(&r);
    int64_t shape[4] = {0};
    DLDataType type = {0}, float32 = {kDLFloat, 32, 1};
    if (!r.failed) {
        const DLTensor *all[] = {q, k, v};
        type = promote_all(all, 3);
        attention_shape(q, v, shape);
    }
    DLTensor *o = make_output(&r, out, q, type, 4, shape);
    DLTensor *lse = want_lse ? make_output(&r, Py_None, q, float32, 3, shape) : NULL;
    RUN(smelt_sdpa(o, lse, q, k, v, &options, &s))
    FINISH(o, lse);
}

/* outs, lses, want_lse, stream -> (out, lse) */
FUNCTION(sdpa_merge)
{
    BEGIN;
    const DLTensor *outs = read_input(&r, "outs"), *lses = read_input(&r, "lses");
    bool want_lse = read_integer(&r, "return_lse");
    read_stream(&r, &s);
    if (!r.failed && (!is_floating(outs) || !is_floating(lses))) return cast_first(&r);
    if (!r.failed && (outs->ndim != 5 || lses->ndim != 4)) {
        PyErr_Format(PyExc_ValueError,
                     "sdpa_merge: expected outs of rank 5 and lses of rank 4, got %d and %d", outs->ndim,
                     lses->ndim);
        r.failed = true;
    }
    DLTensor *o = r.failed ? NULL : make_output(&r, Py_None, outs, outs->dtype, 4, outs->shape + 1);
    DLTensor *lse = r.failed || !want_lse
                        ? NULL
                        : make_output(&r, Py_None, outs, (DLDataType){kDLFloat, 32, 1}, 3, lses->shape + 1);
    RUN(smelt_sdpa_merge(o, lse, outs, lses, &s))
    FINISH(o, lse);
}

/* gate, up, activation, out, stream */
FUNCTION(glu)
{
    BEGIN;
    const DLTensor *gate = read_input(&r, "gate"), *up = read_input(&r, "up");
    smelt_activation activation = (smelt_activation)read_integer(&r, "activation");
    PyObject *out = read_next(&r);
    read_stream(&r, &s);
    if (!r.failed && (!is_floating(gate) || !is_floating(up))) return cast_first(&r);
    DLTensor *o = r.failed ? NULL : make_output_like(&r, out, gate, gate->dtype);
    RUN(smelt_glu(o, gate, up, activation, &s))
    FINISH(o);
}

/* logits, top_k, per_expert_scale, renormalize, wide, stream -> (expert_ids, weights); wide: ids int64, else
 * uint32 */
FUNCTION(moe_routing)
{
    BEGIN;
    smelt_moe_options options = SMELT_MOE_OPTIONS_INIT;
    const DLTensor *logits = read_input(&r, "logits");
    int64_t top_k = read_integer(&r, "top_k");
    const DLTensor *scale = read_maybe(&r, "per_expert_scale");
    options.renormalize = (int32_t)read_integer(&r, "renormalize");
    DLDataType ids_type =
        read_integer(&r, "wide") ? (DLDataType){kDLInt, 64, 1} : (DLDataType){kDLUInt, 32, 1};
    read_stream(&r, &s);
    if (!r.failed && (!is_floating(logits) || !is_floating(scale))) return cast_first(&r);
    int64_t shape[MAX_RANK] = {0};
    if (!r.failed) {
        int64_t experts = logits->ndim ? logits->shape[logits->ndim - 1] : 0;
        if (logits->ndim < 1 || logits->ndim > MAX_RANK || top_k < 1 || top_k > experts) {
            PyErr_Format(PyExc_ValueError,
                         "moe_routing: top_k: expected 1 to %lld, the number of experts, got %lld",
                         (long long)experts, (long long)top_k);
            r.failed = true;
        } else {
            memcpy(shape, logits->shape, (size_t)logits->ndim * sizeof *shape);
            shape[logits->ndim - 1] = top_k;
        }
    }
    DLTensor *ids = r.failed ? NULL : make_output(&r, Py_None, logits, ids_type, logits->ndim, shape);
    DLTensor *weights =
        r.failed ? NULL
                 : make_output(&r, Py_None, logits, (DLDataType){kDLFloat, 32, 1}, logits->ndim, shape);
    RUN(smelt_moe_routing(ids, weights, logits, scale, &options, &s))
    FINISH(ids, weights);
}
