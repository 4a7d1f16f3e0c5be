# SPDX-License-Identifier: Apache-2.0
"""The private functions of smelt._smelt again, by the operators: for gradients and under tracing."""

import operator

import torch

from smelt.torch import operators  # noqa: F401

_FLOATING = (torch.float32, torch.float16, torch.bfloat16)
_ops = torch.ops.smelt


def _refuses(*tensors):
    """Whether the caller has to cast first, as smelt._smelt says it."""
    for t in tensors:
        if isinstance(t, torch.Tensor) and t.layout is not torch.strided:
            raise TypeError(f"expected dense tensors, got one of layout {t.layout}")
    return any(isinstance(t, torch.Tensor) and t.dtype not in _FLOATING for t in tensors)


def _no_outputs(*outputs):
    if any(output is not None for output in outputs):
        raise ValueError("out: expected None where a gradient is recorded or the call is traced")


def _integer(name, value):
    if isinstance(value, torch.SymInt):
        return value
    try:
        value = operator.index(value)
    except (TypeError, RuntimeError, ValueError):
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}") from None
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{name}: expected a 64-bit integer, got {value}")
    return value


def _number(name, value):
    if type(value) is float:
        return value
    try:
        return float(value)
    except (TypeError, RuntimeError, ValueError):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}") from None


def _flag(name, value):
    if type(value) is bool:
        return value
    try:
        return bool(value)
    except RuntimeError:
        raise TypeError(f"{name}: expected True or False, got {type(value).__name__}") from None


def _norm_options(eps, weight_offset, round_once):
    return _number("eps", eps), _number("weight_offset", weight_offset), _flag("round_once", round_once)


def rms_norm(x, weight, eps, weight_offset, round_once, out, stream):
    if _refuses(x, weight):
        return NotImplemented
    _no_outputs(out)
    return _ops.rms_norm(x, weight, *_norm_options(eps, weight_offset, round_once))


def layer_norm(x, weight, bias, eps, weight_offset, round_once, out, stream):
    if _refuses(x, weight, bias):
        return NotImplemented
    _no_outputs(out)
    return _ops.layer_norm(x, weight, bias, *_norm_options(eps, weight_offset, round_once))


def norm_add(residual, x, weight, scalar, eps, weight_offset, round_once, out, stream):
    if _refuses(residual, x, weight, scalar):
        return NotImplemented
    _no_outputs(out)
    return _ops.norm_add(residual, x, weight, scalar, *_norm_options(eps, weight_offset, round_once))


def residual_norm(residual, x, weight, scalar, eps, weight_offset, round_once, return_sum, out, sum, stream):
    if _refuses(residual, x, weight, scalar):
        return NotImplemented
    _no_outputs(out, sum)
    return _ops.residual_norm(residual, x, weight, scalar, *_norm_options(eps, weight_offset, round_once))


def rope(
    x, dims, traditional, axis, base, scale, cos_sin_scale, offset, offsets, positions, freqs, inverse, backward, out, stream
):
    if _refuses(x, freqs, inverse):
        return NotImplemented
    _no_outputs(out)
    if any(t is not None and t.requires_grad for t in (freqs, inverse)):
        raise ValueError("rope: freqs: expected an array that wants no gradient: there is none with respect to frequencies")
    base = base if base is None else _number("base", base)
    dims, axis, offset = _integer("dims", dims), _integer("sequence_axis", axis), _integer("offset", offset)
    scales = _number("scale", scale), _number("cos_sin_scale", cos_sin_scale)
    traditional = _flag("traditional", traditional)
    return _ops.rope(x, dims, traditional, axis, base, *scales, offset, offsets, positions, freqs, inverse)


def sdpa(
    q, k, v, scale, causal, kv_offset, left, right, softcap, mask, key_mask, sinks, kv_lengths, kv_offsets, want_lse, out, stream
):
    if _refuses(q, k, v, sinks):
        return NotImplemented
    _no_outputs(out)
    scale = scale if scale is None else _number("scale", scale)
    kv_offset = kv_offset if kv_offset is None else _integer("kv_offset", kv_offset)
    window = _integer("window", left), _integer("window", right)
    tensors = mask, key_mask, sinks, kv_lengths, kv_offsets
    return _ops.sdpa(q, k, v, scale, _flag("causal", causal), kv_offset, *window, _number("softcap", softcap), *tensors)


def sdpa_merge(outs, lses, want_lse, stream):
    return NotImplemented if _refuses(outs, lses) else _ops.sdpa_merge(outs, lses)


def glu(gate, up, activation, out, stream):
    if _refuses(gate, up):
        return NotImplemented
    _no_outputs(out)
    return _ops.glu(gate, up, activation)


def moe_routing(logits, top_k, scale, renormalize, wide, stream):
    if _refuses(logits, scale):
        return NotImplemented
    weights, ids = _ops.moe_routing(logits, _integer("top_k", top_k), scale, _flag("renormalize", renormalize))
    return (ids if wide else ids.to(torch.uint32)), weights
