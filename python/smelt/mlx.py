# SPDX-License-Identifier: Apache-2.0
"""MLX: the private functions of smelt._smelt with their gradients, so that ``mx.grad`` and ``mx.vjp`` see them as functions.

``smelt.fast`` comes here by itself for MLX arrays. Results are computed at the call, not lazily: under ``mx.compile`` and
``mx.vmap``, which want to trace, MLX raises its error. Gradients are first order, reverse mode.
"""

import mlx.core as mx

from smelt import _smelt

_FLOATING = (mx.float32, mx.float16, mx.bfloat16)


def _refuses(*arrays):
    """Whether C asks for a cast or for an error: what is no MLX array is for it to name."""
    return any(a is not None and not (isinstance(a, mx.array) and a.dtype in _FLOATING) for a in arrays)


def _differentiable(inputs, forward, backward):
    """``forward(*inputs)``, None among them; ``backward(inputs, results, cotangents)`` gives a gradient or None for each."""
    present = [i for i, a in enumerate(inputs) if a is not None]

    def everywhere(values):
        values = values if isinstance(values, tuple) else (values,)
        found = dict(zip(present, values))
        return tuple(found.get(i) for i in range(len(inputs)))

    @mx.custom_function
    def function(*values):
        return forward(*everywhere(values))

    @function.vjp
    def function_vjp(values, cotangents, results):
        kept = _once(lambda values, results, cotangents: finish(everywhere(values), results, cotangents))(
            values, results, cotangents
        )
        return kept if len(present) > 1 else kept[0]

    @function.jvp
    def function_jvp(values, tangents):
        raise NotImplementedError("smelt: forward-mode derivatives are not implemented")

    def finish(values, results, cotangents):
        gradients = backward(values, results, cotangents)
        return tuple(mx.zeros_like(values[i]) if gradients[i] is None else gradients[i] for i in present)

    return function(*[inputs[i] for i in present])


def _once(backward):
    """The gradient as a function that has none: zeros, which MLX would take, would be wrong."""
    gradient = mx.custom_function(backward)

    @gradient.vjp
    def gradient_vjp(values, cotangents, results):
        raise NotImplementedError("smelt: gradients of gradients are not implemented")

    return gradient


def _wanted(inputs):
    return sum(1 << i for i, a in enumerate(inputs) if a is not None)


def _norm(name, inputs, options, rest):
    forward, gradient = getattr(_smelt, name), getattr(_smelt, f"{name}_vjp")

    def backward(inputs, _, dout):
        dout = tuple(dout) if isinstance(dout, (tuple, list)) else (dout,)
        return gradient(*inputs, *dout, *options, _wanted(inputs), None)

    if _refuses(*inputs) or any(r is not None and not isinstance(r, bool) for r in rest):  # out=, which is an error
        return forward(*inputs, *options, *rest)
    return _differentiable(inputs, lambda *a: forward(*a, *options, *rest), backward)


def rms_norm(x, weight, *rest):
    return _norm("rms_norm", (x, weight), rest[:3], rest[3:])


def layer_norm(x, weight, bias, *rest):
    return _norm("layer_norm", (x, weight, bias), rest[:3], rest[3:])


def norm_add(residual, x, weight, scalar, *rest):
    return _norm("norm_add", (residual, x, weight, scalar), rest[:3], rest[3:])


def residual_norm(residual, x, weight, scalar, eps, weight_offset, round_once, return_sum, out, sum, stream):
    options, rest = (eps, weight_offset, round_once), (True, out, sum, stream)
    return _norm("residual_norm", (residual, x, weight, scalar), options, rest)


def rope(x, *rest):
    if _refuses(x):
        return _smelt.rope(x, *rest)
    options, (_, out, stream) = rest[:-3], rest[-3:]
    return _differentiable(
        (x,),
        lambda x: _smelt.rope(x, *options, False, out, stream),
        lambda inputs, _, dout: (_smelt.rope(dout, *options, True, None, stream),),
    )


def sdpa(
    q, k, v, scale, causal, kv_offset, left, right, softcap, mask, key_mask, sinks, kv_lengths, kv_offsets, want_lse, out, stream
):
    options = scale, causal, kv_offset, left, right, softcap
    rest = key_mask, kv_lengths, kv_offsets

    def forward(q, k, v, mask, sinks):
        return _smelt.sdpa(q, k, v, *options, mask, key_mask, sinks, *rest[1:], True, out, stream)

    def backward(inputs, results, cotangents):
        q, k, v, mask, sinks = inputs
        wanted = _wanted(inputs) & (31 if mask is not None and mask.dtype in _FLOATING else 23)
        tensors = mask, key_mask, sinks, *rest[1:]
        return _smelt.sdpa_vjp(q, k, v, *results, *cotangents, *options, *tensors, wanted, stream)

    if _refuses(q, k, v, sinks) or out is not None:
        return forward(q, k, v, mask, sinks)
    return _differentiable((q, k, v, mask, sinks), forward, backward)


def sdpa_merge(outs, lses, want_lse, stream):
    def backward(inputs, results, cotangents):
        """weights = exp(lses - lse): small sums over the chunks, for which C has no function."""
        (outs, lses), (out, lse), (dout, dlse) = inputs, results, cotangents
        shares = mx.where(lses == -mx.inf, 0.0, mx.exp(lses - mx.where(lse == -mx.inf, 0.0, lse)))
        dout = dout.astype(mx.float32)
        along = (dout * (outs.astype(mx.float32) - out.astype(mx.float32))).sum(-1)
        gradients = (dout * shares[..., None]).astype(outs.dtype), shares * (mx.where(shares > 0, along, 0.0) + dlse)
        return gradients

    if _refuses(outs, lses):
        return _smelt.sdpa_merge(outs, lses, True, stream)
    return _differentiable((outs, lses), lambda o, s: _smelt.sdpa_merge(o, s, True, stream), backward)


def glu(gate, up, activation, out, stream):
    if _refuses(gate, up) or out is not None:
        return _smelt.glu(gate, up, activation, out, stream)
    return _differentiable(
        (gate, up),
        lambda gate, up: _smelt.glu(gate, up, activation, None, stream),
        lambda inputs, _, dout: _smelt.glu_vjp(*inputs, dout, activation, 3, stream),
    )


def moe_routing(logits, top_k, scale, renormalize, wide, stream):
    def forward(logits, scale):
        return _smelt.moe_routing(logits, top_k, scale, renormalize, wide, stream)

    def backward(inputs, results, cotangents):
        return _smelt.moe_routing_vjp(*inputs, results[0], cotangents[1], renormalize, _wanted(inputs), stream)

    if _refuses(logits, scale):
        return forward(logits, scale)
    return _differentiable((logits, scale), forward, backward)
