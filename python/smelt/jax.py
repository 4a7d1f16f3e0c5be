# SPDX-License-Identifier: Apache-2.0
"""JAX: the private functions of smelt._smelt for traced arrays, under ``jax.jit``, ``jax.grad`` and ``jax.vmap``.

``smelt.fast`` comes here by itself for tracers and for arrays on a GPU; concrete arrays on the CPU take the direct way. The
kernels are called by compiled programs through XLA's foreign-function interface, without Python; shapes, dtypes and values are
checked while tracing, with the errors of concrete arrays. Gradients are first-order reverse mode, by the ``_vjp`` functions.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from smelt import _xla

_LOWER_RIGHT = -(2**63)


def _number(value):
    return np.nan if value is None else value


def _no_outputs(*outputs):
    if any(output is not None for output in outputs):
        raise ValueError("out: expected None where the call is traced")


def _wanted(inputs):
    return sum(1 << i for i, a in enumerate(inputs) if a is not None)


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


def _norm(name, rest, row_inputs, tensors):
    """A norm: ``rest`` follows the options in the call of C; the inputs at ``row_inputs`` are rows, the others columns."""

    def forward(options, *inputs):
        results = _xla.check(name, inputs, *options, *rest)
        results = results if isinstance(results, tuple) else (results,)
        found = _xla.call(name, inputs, results, options[:2], options[2:], _xla.rows(*row_inputs))
        return found if len(found) > 1 else found[0]

    def backward(options, inputs, _, cotangents):
        cotangents = cotangents if isinstance(cotangents, tuple) else (cotangents,)
        arrays = (*inputs, *cotangents)
        columns = any(a is not None for i, a in enumerate(inputs) if i not in row_inputs)
        together = None if columns else _xla.rows(*row_inputs, *range(tensors, len(arrays)))
        shapes = _xla.check(f"{name}_vjp", arrays, *options, _wanted(inputs))
        return _xla.call(f"{name}_vjp", arrays, shapes, options[:2], options[2:], together)

    return _differentiable(forward, backward)


_rms_norm = _norm("rms_norm", (None,), (0,), 2)
_layer_norm = _norm("layer_norm", (None,), (0,), 3)
_norm_add = _norm("norm_add", (None,), (0, 1), 4)
_residual_norm = _norm("residual_norm", (True, None, None), (0, 1), 4)


def _norm_options(eps, weight_offset, round_once):
    return float(eps), float(weight_offset), int(round_once)


def rms_norm(x, weight, eps, weight_offset, round_once, out, stream):
    _no_outputs(out)
    if _xla.check("rms_norm", (x, weight), eps, weight_offset, round_once, None) is NotImplemented:
        return NotImplemented
    return _rms_norm(_norm_options(eps, weight_offset, round_once), x, weight)


def layer_norm(x, weight, bias, eps, weight_offset, round_once, out, stream):
    _no_outputs(out)
    if _xla.check("layer_norm", (x, weight, bias), eps, weight_offset, round_once, None) is NotImplemented:
        return NotImplemented
    return _layer_norm(_norm_options(eps, weight_offset, round_once), x, weight, bias)


def norm_add(residual, x, weight, scalar, eps, weight_offset, round_once, out, stream):
    _no_outputs(out)
    inputs = residual, x, weight, scalar
    if _xla.check("norm_add", inputs, eps, weight_offset, round_once, None) is NotImplemented:
        return NotImplemented
    return _norm_add(_norm_options(eps, weight_offset, round_once), *inputs)


def residual_norm(residual, x, weight, scalar, eps, weight_offset, round_once, return_sum, out, sum, stream):
    _no_outputs(out, sum)
    inputs = residual, x, weight, scalar
    if _xla.check("residual_norm", inputs, eps, weight_offset, round_once, True, None, None) is NotImplemented:
        return NotImplemented
    return _residual_norm(_norm_options(eps, weight_offset, round_once), *inputs)


def _run_rope(options, *inputs, backward=False):
    dims, traditional, axis, base, scale, cos_sin_scale, offset = options
    results = (_xla.check("rope", inputs[:1], *options, *map(_xla.blank, inputs[1:]), backward, None),)
    floats, integers = (_number(base), scale, cos_sin_scale), (dims, traditional, axis, offset)
    return _xla.call("rope_vjp" if backward else "rope", inputs, results, floats, integers, _xla.sequences)[0]


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
    _no_outputs(out)
    options = dims, traditional, axis, base, scale, cos_sin_scale, offset
    tables = map(_xla.blank, (offsets, positions, freqs, inverse))
    if _xla.check("rope", (x,), *options, *tables, False, None) is NotImplemented:
        return NotImplemented
    base = base if base is None else float(base)
    options = int(dims), bool(traditional), int(axis), base, float(scale), float(cos_sin_scale), int(offset)
    freqs, inverse = (f if f is None else jax.lax.stop_gradient(f) for f in (freqs, inverse))
    return _rope(options, x, offsets, positions, freqs, inverse)


def _attention_attributes(options):
    scale, causal, kv_offset, left, right, softcap = options
    integers = int(causal), _LOWER_RIGHT if kv_offset is None else kv_offset, left, right
    return (_number(scale), softcap), integers


def _run_sdpa(options, *inputs):
    results = _xla.check("sdpa", inputs[:3], *options, *map(_xla.blank, inputs[3:]), True, None)
    return _xla.call("sdpa", inputs, results, *_attention_attributes(options), _xla.attention)


def _sdpa_backward(options, inputs, results, cotangents):
    mask, key_mask, sinks, lengths, offsets = inputs[3:]
    floating = mask is not None and jnp.issubdtype(mask.dtype, jnp.floating)
    wanted = 7 | (floating and 8) | (sinks is not None and 16)
    arrays = (*inputs[:3], *results, *cotangents)
    shapes = _xla.check("sdpa_vjp", arrays, *options, *map(_xla.blank, inputs[3:]), wanted)
    together = None if wanted > 7 else _xla.attention
    dq, dk, dv, dmask, dsinks = _xla.call(
        "sdpa_vjp", (*inputs, *results, *cotangents), shapes, *_attention_attributes(options), together
    )
    return dq, dk, dv, dmask if floating else _zero(mask), _zero(key_mask), dsinks, _zero(lengths), _zero(offsets)


_sdpa = _differentiable(_run_sdpa, _sdpa_backward)


def sdpa(
    q, k, v, scale, causal, kv_offset, left, right, softcap, mask, key_mask, sinks, kv_lengths, kv_offsets, want_lse, out, stream
):
    _no_outputs(out)
    options = scale, causal, kv_offset, left, right, softcap
    rest = mask, key_mask, sinks, kv_lengths, kv_offsets
    if _xla.check("sdpa", (q, k, v), *options, *map(_xla.blank, rest), True, None) is NotImplemented:
        return NotImplemented
    kv_offset = kv_offset if kv_offset is None else int(kv_offset)
    options = scale if scale is None else float(scale), bool(causal), kv_offset, int(left), int(right), float(softcap)
    return _sdpa(options, q, k, v, *rest)


def _run_merge(options, *inputs):
    return _xla.call("sdpa_merge", inputs, _xla.check("sdpa_merge", inputs, True))


def _merge_backward(options, inputs, results, cotangents):
    """weights = exp(lses - lse): small sums over the chunks, for which C has no function."""
    (outs, lses), (out, lse), (dout, dlse) = inputs, results, cotangents
    shares = jnp.where(jnp.isneginf(lses), 0.0, jnp.exp(lses - jnp.where(jnp.isneginf(lse), 0.0, lse)))
    dout = dout.astype(jnp.float32)
    along = (dout * (outs.astype(jnp.float32) - out.astype(jnp.float32))).sum(-1)
    return (dout * shares[..., None]).astype(outs.dtype), shares * (jnp.where(shares > 0, along, 0.0) + dlse)


_sdpa_merge = _differentiable(_run_merge, _merge_backward)


def sdpa_merge(outs, lses, want_lse, stream):
    if _xla.check("sdpa_merge", (outs, lses), True) is NotImplemented:
        return NotImplemented
    return _sdpa_merge((), outs, lses)


def _run_glu(options, *inputs):
    results = (_xla.check("glu", inputs, *options, None),)
    return _xla.call("glu", inputs, results, (), options, _xla.rows(0, 1))[0]


def _glu_backward(options, inputs, _, dout):
    shapes = _xla.check("glu_vjp", (*inputs, dout), *options, 3)
    return _xla.call("glu_vjp", (*inputs, dout), shapes, (), options, _xla.rows(0, 1, 2))


_glu = _differentiable(_run_glu, _glu_backward)


def glu(gate, up, activation, out, stream):
    _no_outputs(out)
    if _xla.check("glu", (gate, up), activation, None) is NotImplemented:
        return NotImplemented
    return _glu((int(activation),), gate, up)


def _run_routing(options, logits, scale):
    top_k, renormalize = options
    results = _xla.check("moe_routing", (logits,), top_k, _xla.blank(scale), renormalize, False)
    return _xla.call("moe_routing", (logits, scale), results, (), (renormalize,), _xla.rows(0))


def _routing_backward(options, inputs, results, cotangents):
    arrays = (*inputs, results[0], cotangents[1])
    shapes = _xla.check("moe_routing_vjp", arrays, options[1], _wanted(inputs))
    together = _xla.rows(0, 2, 3) if inputs[1] is None else None
    return _xla.call("moe_routing_vjp", arrays, shapes, (), options[1:], together)


_moe_routing = _differentiable(_run_routing, _routing_backward)


def moe_routing(logits, top_k, scale, renormalize, wide, stream):
    if _xla.check("moe_routing", (logits,), top_k, _xla.blank(scale), renormalize, False) is NotImplemented:
        return NotImplemented
    return _moe_routing((int(top_k), int(bool(renormalize))), logits, scale)
