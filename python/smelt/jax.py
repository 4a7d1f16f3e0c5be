# SPDX-License-Identifier: Apache-2.0
"""JAX: the private functions of smelt._smelt for traced arrays, under ``jax.jit``, ``jax.grad`` and ``jax.vmap``.

The CPU kernels are reached by ``jax.pure_callback``: results are right, each call costs a trip through Python (some tens of
microseconds) and, where XLA hands over memory that NumPy cannot share, a copy. ``smelt.fast`` comes here by itself for tracers;
concrete arrays take the direct way.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from smelt import _smelt


def _refuses(*arrays):
    return any(a is not None and str(a.dtype) not in ("float32", "float16", "bfloat16") for a in arrays)


def _promote(*arrays):
    dtypes = {a.dtype for a in arrays if a is not None}
    return dtypes.pop() if len(dtypes) == 1 else jnp.dtype("float32")


def _like(array, dtype=None):
    return jax.ShapeDtypeStruct(array.shape, dtype or array.dtype)


def _no_outputs(*outputs):
    if any(output is not None for output in outputs):
        raise ValueError("out: expected None where the call is traced")


def _call(function, shapes, arrays, *rest):
    """``function(*arrays, *rest)`` outside of the trace; arrays that are None stay so, as do results."""
    present = [a for a in arrays if a is not None]

    def run(*values):
        values = iter(values)
        given = [None if a is None else np.asarray(next(values)) for a in arrays]
        results = function(*given, *rest)
        results = results if isinstance(results, tuple) else (results,)
        return tuple(r for r in results if r is not None)

    kept = tuple(s for s in shapes if s is not None)
    results = iter(jax.pure_callback(run, kept, *present, vmap_method="sequential"))
    return tuple(None if s is None else next(results) for s in shapes)


def _gradients(inputs):
    """The shapes of the gradients with respect to inputs, and the bits of `wanted`."""
    wanted = sum(1 << i for i, a in enumerate(inputs) if a is not None)
    return tuple(None if a is None else _like(a) for a in inputs), wanted


def _zero(array):
    """The cotangent of an input without a gradient: float0 for integers and booleans, zeros for others."""
    if array is None:
        return None
    if jnp.issubdtype(array.dtype, jnp.floating):
        return jnp.zeros_like(array)
    return np.zeros(array.shape, jax.dtypes.float0)


def _differentiable(forward, backward):
    """``forward(options, *arrays)`` with ``backward(options, arrays, results, cotangents)``."""

    @functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
    def function(options, *arrays):
        return forward(options, *arrays)

    def keep(options, *arrays):
        results = forward(options, *arrays)
        return results, (arrays, results)

    def back(options, kept, cotangents):
        return backward(options, *kept, cotangents)

    function.defvjp(keep, back)
    return function


_rms_norm = _differentiable(
    lambda options, x, weight: _call(
        _smelt.rms_norm, (_like(x, _promote(x, weight)),), (x, weight), *options, None, None
    )[0],
    lambda options, inputs, _, dout: _call(
        _smelt.rms_norm_vjp, (g := _gradients(inputs))[0], (*inputs, dout), *options, g[1], None
    ),
)


def rms_norm(x, weight, eps, weight_offset, round_once, out, stream):
    if _refuses(x, weight):
        return NotImplemented
    _no_outputs(out)
    return _rms_norm((float(eps), float(weight_offset), bool(round_once)), x, weight)


_layer_norm = _differentiable(
    lambda options, x, weight, bias: _call(
        _smelt.layer_norm,
        (_like(x, x.dtype if weight is None else _promote(x, weight, bias)),),
        (x, weight, bias),
        *options,
        None,
        None,
    )[0],
    lambda options, inputs, _, dout: _call(
        _smelt.layer_norm_vjp, (g := _gradients(inputs))[0], (*inputs, dout), *options, g[1], None
    ),
)


def layer_norm(x, weight, bias, eps, weight_offset, round_once, out, stream):
    if _refuses(x, weight, bias):
        return NotImplemented
    _no_outputs(out)
    return _layer_norm((float(eps), float(weight_offset), bool(round_once)), x, weight, bias)


_norm_add = _differentiable(
    lambda options, residual, x, weight, scalar: _call(
        _smelt.norm_add,
        (_like(x, _promote(residual, x, weight, scalar)),),
        (residual, x, weight, scalar),
        *options,
        None,
        None,
    )[0],
    lambda options, inputs, _, dout: _call(
        _smelt.norm_add_vjp, (g := _gradients(inputs))[0], (*inputs, dout), *options, g[1], None
    ),
)


def norm_add(residual, x, weight, scalar, eps, weight_offset, round_once, out, stream):
    if _refuses(residual, x, weight, scalar):
        return NotImplemented
    _no_outputs(out)
    return _norm_add((float(eps), float(weight_offset), bool(round_once)), residual, x, weight, scalar)


_residual_norm = _differentiable(
    lambda options, residual, x, weight, scalar: _call(
        _smelt.residual_norm,
        (_like(x, _promote(residual, x, weight, scalar)), _like(x, _promote(residual, x))),
        (residual, x, weight, scalar),
        *options,
        True,
        None,
        None,
        None,
    ),
    lambda options, inputs, _, cotangents: _call(
        _smelt.residual_norm_vjp, (g := _gradients(inputs))[0], (*inputs, *cotangents), *options, g[1], None
    ),
)


def residual_norm(residual, x, weight, scalar, eps, weight_offset, round_once, return_sum, out, sum, stream):
    if _refuses(residual, x, weight, scalar):
        return NotImplemented
    _no_outputs(out, sum)
    return _residual_norm((float(eps), float(weight_offset), bool(round_once)), residual, x, weight, scalar)


def _run_rope(options, x, offsets, positions, freqs, inverse, backward=False):
    def run(x, *tables):
        return _smelt.rope(x, *options, *tables, backward, None, None)

    return _call(run, (_like(x),), (x, offsets, positions, freqs, inverse))[0]


_rope = _differentiable(
    _run_rope,
    lambda options, inputs, _, dout: (
        _run_rope(options, dout, *inputs[1:], backward=True),
        *[_zero(a) for a in inputs[1:]],
    ),
)


def rope(
    x, dims, traditional, axis, base, scale, cos_sin_scale, offset, offsets, positions, freqs, inverse, backward, out, stream
):
    if _refuses(x, freqs, inverse):
        return NotImplemented
    _no_outputs(out)
    base = base if base is None else float(base)
    options = (int(dims), bool(traditional), int(axis), base, float(scale), float(cos_sin_scale), int(offset))
    freqs, inverse = (f if f is None else jax.lax.stop_gradient(f) for f in (freqs, inverse))
    return _rope(options, x, offsets, positions, freqs, inverse)


def _run_sdpa(options, q, k, v, *rest):
    def run(q, k, v, *rest):
        return _smelt.sdpa(q, k, v, *options, *rest, True, None, None)

    shapes = (
        jax.ShapeDtypeStruct((*q.shape[:3], v.shape[-1]), _promote(q, k, v)),
        jax.ShapeDtypeStruct(q.shape[:3], jnp.float32),
    )
    return _call(run, shapes, (q, k, v, *rest))


def _sdpa_backward(options, inputs, results, cotangents):
    def run(q, k, v, *rest):
        return _smelt.sdpa_vjp(q, k, v, *rest[5:], *options, *rest[:5], wanted, None)

    mask, key_mask, sinks, lengths, offsets = inputs[3:]
    floating = mask is not None and jnp.issubdtype(mask.dtype, jnp.floating)
    shapes, wanted = _gradients((*inputs[:3], mask if floating else None, sinks))
    dq, dk, dv, dmask, dsinks = _call(run, shapes, (*inputs, *results, *cotangents))
    return dq, dk, dv, dmask if floating else _zero(mask), _zero(key_mask), dsinks, _zero(lengths), _zero(offsets)


_sdpa = _differentiable(_run_sdpa, _sdpa_backward)


def sdpa(
    q, k, v, scale, causal, kv_offset, left, right, softcap, mask, key_mask, sinks, kv_lengths, kv_offsets, want_lse, out, stream
):
    if _refuses(q, k, v, sinks):
        return NotImplemented
    _no_outputs(out)
    if not q.ndim == k.ndim == v.ndim == 4:
        raise ValueError(f"sdpa: q, k, v: expected rank 4, got {q.ndim}, {k.ndim} and {v.ndim}")
    options = (scale if scale is None else float(scale), bool(causal), kv_offset, left, right, float(softcap))
    return _sdpa(options, q, k, v, mask, key_mask, sinks, kv_lengths, kv_offsets)


def sdpa_merge(outs, lses, want_lse, stream):
    """By JAX's own arithmetic, which differentiates itself: there is no gradient of it in C."""
    if _refuses(outs, lses):
        return NotImplemented
    if outs.ndim != 5 or lses.ndim != 4:
        raise ValueError(f"sdpa_merge: expected outs of rank 5 and lses of rank 4, got {outs.ndim} and {lses.ndim}")
    lse = jax.nn.logsumexp(lses, axis=0)
    shares = jnp.where(jnp.isneginf(lses), 0.0, jnp.exp(lses - jnp.where(jnp.isneginf(lse), 0.0, lse)))
    chunks = jnp.where(shares[..., None] > 0, outs.astype(jnp.float32), 0.0)
    return (chunks * shares[..., None]).sum(0).astype(outs.dtype), lse


_glu = _differentiable(
    lambda options, gate, up: _call(_smelt.glu, (_like(gate),), (gate, up), *options, None, None)[0],
    lambda options, inputs, _, dout: _call(
        _smelt.glu_vjp, (g := _gradients(inputs))[0], (*inputs, dout), *options, g[1], None
    ),
)


def glu(gate, up, activation, out, stream):
    if _refuses(gate, up):
        return NotImplemented
    _no_outputs(out)
    return _glu((activation,), gate, up)


def _run_routing(options, logits, scale):
    top_k, renormalize = options

    def run(logits, scale):
        return _smelt.moe_routing(logits, top_k, scale, renormalize, False, None)

    shape = (*logits.shape[:-1], top_k)
    shapes = (jax.ShapeDtypeStruct(shape, jnp.uint32), jax.ShapeDtypeStruct(shape, jnp.float32))
    return _call(run, shapes, (logits, scale))


def _routing_backward(options, inputs, results, cotangents):
    shapes, wanted = _gradients(inputs)
    arrays = (*inputs, results[0], cotangents[1])
    return _call(_smelt.moe_routing_vjp, shapes, arrays, options[1], wanted, None)


_moe_routing = _differentiable(_run_routing, _routing_backward)


def moe_routing(logits, top_k, scale, renormalize, wide, stream):
    if _refuses(logits, scale):
        return NotImplemented
    if logits.ndim < 1 or not 1 <= top_k <= logits.shape[-1]:
        raise ValueError(f"moe_routing: top_k: expected 1 to the number of experts, got {top_k}")
    return _moe_routing((int(top_k), bool(renormalize)), logits, scale)
