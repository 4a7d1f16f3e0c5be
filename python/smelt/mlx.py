# SPDX-License-Identifier: Apache-2.0
"""MLX: the private functions of smelt._smelt with their gradients, so that ``mx.grad`` and ``mx.vjp`` see them as functions.

``smelt.fast`` comes here by itself for MLX arrays. Results are computed at the call, not lazily: under ``mx.compile`` and
``mx.vmap``, which want to trace, MLX raises its error. Gradients are C's. Forward mode and gradients of gradients exist for rope,
which is linear, and for the norms, whose definition is written here in MLX's operations for them alone.
"""

import mlx.core as mx

from smelt import _smelt

_FLOATING = (mx.float32, mx.float16, mx.bfloat16)


def _refuses(*arrays):
    """Whether C asks for a cast or for an error: what is no MLX array is for it to name."""
    return any(a is not None and not (isinstance(a, mx.array) and a.dtype in _FLOATING) for a in arrays)


def _differentiable(inputs, forward, backward, definition=None):
    """``forward(*inputs)``, None among them; ``backward(inputs, results, cotangents)`` gives a gradient or None for each.

    ``definition`` is forward in MLX's operations: what cannot be had from C is derived from it.
    """
    present = [i for i, a in enumerate(inputs) if a is not None]

    def everywhere(values):
        found = dict(zip(present, _tuple(values)))
        return tuple(found.get(i) for i in range(len(inputs)))

    def define(*values):
        if definition is None:
            raise NotImplementedError("smelt: gradients of gradients and forward mode are not implemented")
        return definition(*everywhere(values))

    def gradient(values, results, cotangents):
        values = everywhere(values)
        gradients = backward(values, results, cotangents)
        return tuple(mx.zeros_like(values[i]) if gradients[i] is None else gradients[i] for i in present)

    @mx.custom_function
    def function(*values):
        return forward(*everywhere(values))

    @function.vjp
    def function_vjp(values, cotangents, results):
        kept = _with_gradient(gradient, define)(values, results, cotangents)
        return kept if len(present) > 1 else kept[0]

    @function.jvp
    def function_jvp(values, tangents):
        values, tangents = _tuple(values), _tuple(tangents)
        tangents = [mx.zeros_like(v) if t is None else t for v, t in zip(values, tangents)]  # None: a constant
        return tuple(mx.jvp(define, list(values), tangents)[1])

    return function(*[inputs[i] for i in present])


def _tuple(values):
    return values if isinstance(values, tuple) else tuple(values) if isinstance(values, list) else (values,)


def _with_gradient(gradient, define):
    """``gradient(values, results, cotangents)`` with a gradient by what is defined; MLX would take zeros."""
    function = mx.custom_function(gradient)

    @function.vjp
    def function_vjp(arguments, cotangents, _):
        values, results, outer = arguments
        count = len(_tuple(values))

        def first(*given):
            # Times 1: mx.vjp counts the cotangents of an array that is returned twice, as d(a + b) is, only once.
            return [1 * g for g in mx.vjp(define, list(given[:count]), list(given[count:]))[1]]

        found = mx.vjp(first, [*_tuple(values), *_tuple(outer)], list(_tuple(cotangents)))[1]
        parts = (values, found[:count]), (outer, found[count:])
        (inputs, outer) = (tuple(f) if isinstance(like, (tuple, list)) else f[0] for like, f in parts)
        zeros = tuple(map(mx.zeros_like, _tuple(results)))
        return inputs, zeros if isinstance(results, (tuple, list)) else zeros[0], outer

    return function


def _wanted(inputs):
    return sum(1 << i for i, a in enumerate(inputs) if a is not None)


def _definition(name, eps, weight_offset):
    """The norm ``name`` in MLX's operations, float32 throughout; the results in the promoted dtype."""

    def normalise(x, weight):
        x = x.astype(mx.float32)
        if name == "layer_norm":
            x = x - x.mean(-1, keepdims=True)
        x = x * mx.rsqrt(x.square().mean(-1, keepdims=True) + eps)
        return x if weight is None else x * (weight.astype(mx.float32) + weight_offset)

    def scaled(x, scalar):
        return x if scalar is None else x * scalar.astype(mx.float32)

    def rms_norm(x, weight):
        return normalise(x, weight)

    def layer_norm(x, weight, bias):
        return normalise(x, weight) if bias is None else normalise(x, weight) + bias.astype(mx.float32)

    def norm_add(residual, x, weight, scalar):
        return scaled(residual.astype(mx.float32) + normalise(x, weight), scalar)

    def residual_norm(residual, x, weight, scalar):
        total = residual.astype(mx.float32) + x.astype(mx.float32)
        return scaled(normalise(total, weight), scalar), total

    return {"rms_norm": rms_norm, "layer_norm": layer_norm, "norm_add": norm_add, "residual_norm": residual_norm}[name]


def _norm(name, inputs, options, rest):
    forward, gradient = getattr(_smelt, name), getattr(_smelt, f"{name}_vjp")
    dtypes = []

    def run(*inputs):
        results = forward(*inputs, *options, *rest)
        dtypes[:] = [r.dtype for r in _tuple(results)]
        return results

    def define(*inputs):
        results = _tuple(_definition(name, *options[:2])(*inputs))
        return tuple(r.astype(dtype) for r, dtype in zip(results, dtypes))

    def backward(inputs, _, dout):
        return gradient(*inputs, *_tuple(dout), *options, _wanted(inputs), None)

    if _refuses(*inputs) or any(r is not None and not isinstance(r, bool) for r in rest):  # out=, which is an error
        return forward(*inputs, *options, *rest)
    return _differentiable(inputs, run, backward, define)


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
    return _turn(x, options, False, out, stream)


def _turn(x, options, back, out, stream):
    """rope, or with ``back`` its gradient, which is the rotation back: each has the other as its gradient."""

    @mx.custom_function
    def function(x):
        return _smelt.rope(x, *options, back, out, stream)

    @function.vjp
    def function_vjp(x, dout, _):
        return _turn(dout, options, not back, None, stream)

    @function.jvp
    def function_jvp(x, tangent):
        return _turn(_tuple(tangent)[0], options, back, None, stream)

    return function(x)


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
