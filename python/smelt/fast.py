# SPDX-License-Identifier: Apache-2.0
"""The functions of ``mx.fast``, and their kin in EMLX and mlx-native, for arrays of any library.

Shapes, dtypes, formulas and errors: ``docs/operations``. Common to all: inputs may have any strides; results are row-major
and new, of the library of the first array, unless ``out=`` gives an array to write; ``stream`` is None, an integer CUDA
stream or the array library's stream object. Bad values raise ValueError, things that are no arrays TypeError.
"""

from smelt import _arrays
from smelt._arrays import core
from smelt.metal import metal_kernel

_SILU, _GELU, _GELU_TANH = 0, 1, 2

__all__ = [
    "rms_norm",
    "layer_norm",
    "rope",
    "rope_with_positions",
    "rope_with_freqs",
    "scaled_dot_product_attention",
    "scaled_dot_product_attention_causal",
    "scaled_dot_product_attention_causal_key_masked",
    "sdpa",
    "sdpa_merge",
    "swiglu",
    "geglu",
    "norm_add",
    "residual_norm",
    "moe_routing",
    "metal_kernel",
]


def rms_norm(x, weight, eps, *, stream=None, weight_offset=0.0, round_once=False, out=None):
    """``x / sqrt(mean(x**2) + eps) * weight`` over the last axis; ``weight`` may be None.

    ``weight_offset=1`` is Gemma's ``(1 + weight)``; ``round_once`` keeps float32 to the end.
    """
    result = core("rms_norm", x, weight)(x, weight, eps, weight_offset, round_once, out, stream)
    if result is NotImplemented:
        return _arrays.cast("rms_norm", (x, weight), (eps, weight_offset, round_once, out, stream))
    return result


def layer_norm(x, weight, bias, eps, *, stream=None, weight_offset=0.0, round_once=False, out=None):
    """``(x - mean(x)) / sqrt(var(x) + eps) * weight + bias`` over the last axis; weight and bias may be None."""
    result = core("layer_norm", x, weight, bias)(x, weight, bias, eps, weight_offset, round_once, out, stream)
    if result is NotImplemented:
        if weight is None and bias is not None:  # the dtype is that of x alone, whatever the bias has
            bias = _arrays.astype(bias, _arrays.promotion("layer_norm", (x,)))
        return _arrays.cast("layer_norm", (x, weight, bias), (eps, weight_offset, round_once, out, stream))
    return result


def norm_add(residual, x, weight, eps, *, scalar=None, stream=None, weight_offset=0.0, out=None):
    """``residual + rms(x) * weight``, then ``* scalar`` (length 1 or dim) when given; float32 inside, rounded once."""
    rest = (eps, weight_offset, True, out, stream)
    result = core("norm_add", residual, x, weight, scalar)(residual, x, weight, scalar, *rest)
    return _arrays.cast("norm_add", (residual, x, weight, scalar), rest) if result is NotImplemented else result


def residual_norm(
    residual, x, weight, eps, *, scalar=None, return_sum=True, stream=None, weight_offset=0.0, out=None, sum=None
):
    """``s = residual + x``; ``rms(s) * weight``, then ``* scalar`` when given. Returns ``(normed, s)``, or ``normed`` alone.

    ``out=`` and ``sum=`` are arrays to write; ``sum=residual`` updates the residual in place.
    """
    rest = (eps, weight_offset, True, return_sum, out, sum, stream)
    result = core("residual_norm", residual, x, weight, scalar)(residual, x, weight, scalar, *rest)
    if result is NotImplemented:
        result = _arrays.cast("residual_norm", (residual, x, weight, scalar), rest)
    return result if return_sum else result[0]


def _rope(x, dims, traditional, axis, base, scale, offset, positions, freqs, inverse, out, stream):
    offsets = None
    if not isinstance(offset, int):
        if _arrays.is_array(offset):
            offset, offsets = 0, offset
        else:  # NumPy's integer scalars
            offset = offset.__index__() if hasattr(offset, "__index__") else _not_integer(offset)
    if not hasattr(dims, "__index__"):
        raise TypeError(f"rope: dims: expected an integer, got {type(dims).__name__}")
    if dims <= 0:
        raise ValueError(f"rope: dims: expected a positive even number, got {dims}")

    def run(x, freqs, inverse):
        return core("rope", x, freqs, inverse, offsets, positions)(
            x, dims, traditional, axis, base, scale, 1.0, offset, offsets, positions, freqs, inverse, False, out, stream
        )

    result = run(x, freqs, inverse)
    if result is not NotImplemented:
        return result
    name = _arrays.dtype_name(x)
    if name not in ("float64", *_arrays._FLOATING):
        raise ValueError(f"rope: a: expected a floating dtype, got {name}")
    if name == "float64":
        x = _arrays.astype(x, "float32")
    freqs, inverse = (f if f is None else _arrays.astype(f, "float32") for f in (freqs, inverse))
    result = run(x, freqs, inverse)
    return _arrays.astype(result, name) if name == "float64" else result


def _not_integer(offset):
    raise TypeError(f"rope: offset: expected an integer or an array of integers, got {type(offset).__name__}")


def rope(a, dims, *, traditional, base, scale, offset, freqs=None, stream=None, sequence_axis=-2, out=None):
    """Rotary embedding of the first ``dims`` features; the sequence is axis -2: ``(..., T, D)``.

    ``offset`` is an integer or an integer array of size 1 or B; ``freqs`` are divisors, given instead of ``base``.
    """
    return _rope(a, dims, traditional, sequence_axis, base, scale, offset, None, freqs, None, out, stream)


def rope_with_positions(a, position_ids, dims, traditional, base, scale, *, stream=None):
    """Rotary embedding of ``(B, T, H, D)`` with a position for every token, ``(B, T)``; every head gets the same angle."""
    return _rope(a, dims, traditional, 1, base, scale, 0, position_ids, None, None, None, stream)


def rope_with_freqs(a, position_ids, dims, traditional, scale, freqs, *, stream=None):
    """Rotary embedding of ``(B, T, H, D)`` with positions and ``freqs``, which are inverse frequencies: angle = p * f."""
    return _rope(a, dims, traditional, 1, None, scale, 0, position_ids, None, freqs, None, stream)


def _window(window):
    if window is None:
        return -1, -1
    if isinstance(window, tuple) and len(window) == 2:
        return window
    if not hasattr(window, "__index__"):
        raise TypeError(f"sdpa: window: expected None, an integer or a pair of integers, got {window!r}")
    if window < 1:
        raise ValueError(f"sdpa: window: expected a positive number of keys, got {window}")
    return window.__index__() - 1, -1


def sdpa(
    q,
    k,
    v,
    *,
    scale=None,
    causal=False,
    mask=None,
    key_mask=None,
    sinks=None,
    kv_offset=None,
    window=None,
    softcap=None,
    return_lse=False,
    kv_lengths=None,
    kv_offsets=None,
    stream=None,
    out=None,
):
    """Attention with everything that the C function has: ``q (B, Hq, qL, D)``, ``k (B, Hkv, kL, D)``, ``v (B, Hkv, kL, Dv)``.

    ``scale`` None is ``1 / sqrt(D)``. ``mask`` is boolean (True keeps) or floating (added). ``kv_offset`` None aligns the last
    query with the last key. ``window`` is ``(left, right)`` with -1 for unlimited, or one number W: the last W keys, as
    Hugging Face counts. Returns ``out``, or ``(out, lse)`` with the natural logarithm in float32.
    """
    left, right = _window(window)

    def run(q, k, v, sinks, mask):
        return core("sdpa", q, k, v, mask, sinks, key_mask, kv_lengths, kv_offsets)(
            q, k, v, scale, causal, kv_offset, left, right, softcap or 0.0, mask, key_mask, sinks, kv_lengths, kv_offsets,
            return_lse, out, stream,
        )  # fmt: skip

    if mask is not None:
        _arrays.expect_array("sdpa", "mask", mask)
    if mask is not None and "int" in _arrays.dtype_name(mask):  # MLX adds integer masks, as numbers
        mask = _arrays.astype(mask, _arrays.promotion("sdpa", (q, k, v)))
    result = run(q, k, v, sinks, mask)
    if result is NotImplemented:
        floats = mask if mask is not None and _arrays.dtype_name(mask) != "bool" else None
        result = _arrays.cast(
            "sdpa", (q, k, v, sinks, floats), (), lambda q, k, v, s, m: run(q, k, v, s, mask if floats is None else m)
        )
        if result[1] is not None:
            result = (result[0], _arrays.astype(result[1], "float32"))
    return result if return_lse else result[0]


def sdpa_merge(outs, lses, *, return_lse=True, stream=None):
    """Exact attention over the union of C chunks of keys: ``outs (C, B, Hq, qL, Dv)``, ``lses (C, B, Hq, qL)``."""
    result = core("sdpa_merge", outs, lses)(outs, lses, return_lse, stream)
    if result is NotImplemented:
        raise ValueError("sdpa_merge: expected floating outs and float32 lses")
    return result if return_lse else result[0]


def scaled_dot_product_attention(q, k, v, *, scale, mask=None, sinks=None, force_fused=False, stream=None):
    """``mx.fast.scaled_dot_product_attention``: ``mask`` is None, ``"causal"`` (lower-right) or an array.

    Every path here is fused, so ``force_fused`` changes nothing. ``(B, L, D)`` arrays count as one head.
    """
    causal = isinstance(mask, str)
    if causal and mask not in ("causal", ""):
        raise ValueError(f"scaled_dot_product_attention: mask: expected None, 'causal' or an array, got {mask!r}")
    causal, mask = causal and mask == "causal", None if isinstance(mask, str) else mask
    for name, array in (("q", q), ("k", k), ("v", v)):
        _arrays.expect_array("scaled_dot_product_attention", name, array)
    one_head = q.ndim == k.ndim == v.ndim == 3
    if one_head:
        q, k, v = q[:, None], k[:, None], v[:, None]
        mask = mask[:, None] if mask is not None and mask.ndim == 3 else mask
    out = sdpa(q, k, v, scale=scale, causal=causal, mask=mask, sinks=sinks, stream=stream)
    return out[:, 0] if one_head else out


def scaled_dot_product_attention_causal(q, k, v, scale, *, sinks=None, stream=None):
    """Causal attention, lower-right aligned; the result has the dtype of ``q``."""
    return _arrays.like(sdpa(q, k, v, scale=scale, causal=True, sinks=sinks, stream=stream), q)


def scaled_dot_product_attention_causal_key_masked(q, k, v, scale, key_mask, *, kv_offset=None, sinks=None, stream=None):
    """Causal attention over the keys where ``key_mask (B, kL)`` is nonzero; the result has the dtype of ``q``.

    ``kv_offset`` None is EMLX's rule: ``kL - 1`` for one query, else 0 (left-padded prefill into a preallocated cache).
    """
    for name, array in (("q", q), ("k", k)):
        _arrays.expect_array("scaled_dot_product_attention_causal_key_masked", name, array)
        if array.ndim != 4:
            raise ValueError(f"scaled_dot_product_attention_causal_key_masked: {name}: expected rank 4, got {array.ndim}")
    if kv_offset is None:
        kv_offset = k.shape[2] - 1 if q.shape[2] == 1 else 0
    out = sdpa(q, k, v, scale=scale, causal=True, key_mask=key_mask, kv_offset=kv_offset, sinks=sinks, stream=stream)
    return _arrays.like(out, q)


def _glu(gate, up, activation, out, stream):
    result = core("glu", gate, up)(gate, up, activation, out, stream)
    return _arrays.cast("glu", (gate, up), (activation, out, stream)) if result is NotImplemented else result


def swiglu(gate, up, *, stream=None, out=None):
    """``gate * sigmoid(gate) * up``; float32 inside, rounded once. ``gate`` and ``up`` have one shape and dtype."""
    return _glu(gate, up, _SILU, out, stream)


def geglu(gate, up, *, approximate=True, stream=None, out=None):
    """``gelu(gate) * up``, with the tanh form of gelu unless ``approximate=False``."""
    return _glu(gate, up, _GELU_TANH if approximate else _GELU, out, stream)


def moe_routing(logits, top_k, per_expert_scale=None, *, renormalize=True, stream=None):
    """The ``top_k`` experts of ``logits (..., E)``: ``(ids uint32, weights float32)``, both ``(..., top_k)``.

    Softmax over all experts, ties to the lowest index, renormalised over the chosen, then times ``per_expert_scale``.
    """

    def run(logits, scale):
        route = core("moe_routing", logits, scale)
        return route(logits, top_k, scale, renormalize, False, stream)

    result = run(logits, per_expert_scale)
    if result is not NotImplemented:
        return result
    ids, weights = _arrays.cast("moe_routing", (logits, per_expert_scale), (), run)
    return _arrays.astype(ids, "uint32"), _arrays.astype(weights, "float32")
