# SPDX-License-Identifier: Apache-2.0
"""The operations in float64 NumPy, as their formulas read."""

import math

import numpy as np


def rms_norm(x, weight=None, eps=1e-5, offset=0.0):
    x = np.asarray(x, np.float64)
    y = x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return y if weight is None else y * (np.asarray(weight, np.float64) + offset)


def layer_norm(x, weight=None, bias=None, eps=1e-5):
    x = np.asarray(x, np.float64)
    y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
    y = y if weight is None else y * np.asarray(weight, np.float64)
    return y if bias is None else y + np.asarray(bias, np.float64)


def rope(x, dims, positions, inverse, traditional=False, scale=1.0):
    """``x (B, ..., T, D)``, positions ``(B, T)``, inverse frequencies ``(dims / 2)``."""
    x = np.asarray(x, np.float64)
    angle = (np.asarray(positions, np.float64) * scale)[..., None] * np.asarray(inverse, np.float64)
    angle = angle.reshape(angle.shape[0], *[1] * (x.ndim - 3), *angle.shape[1:])
    half, y = dims // 2, x.copy()
    first, second = (np.s_[..., 0:dims:2], np.s_[..., 1:dims:2]) if traditional else (np.s_[..., :half], np.s_[..., half:dims])
    y[first] = x[first] * np.cos(angle) - x[second] * np.sin(angle)
    y[second] = x[first] * np.sin(angle) + x[second] * np.cos(angle)
    return y


def frequencies(base, dims):
    return base ** (-np.arange(dims // 2) * 2.0 / dims)


def sdpa(q, k, v, scale=None, mask=None, causal=False, kv_offset=None, window=None, softcap=None, sinks=None, key_mask=None):
    """(out, lse); rows that see nothing are 0 and -inf."""
    q, k, v = (np.asarray(a, np.float64) for a in (q, k, v))
    k, v = (np.repeat(a, q.shape[1] // a.shape[1], axis=1) for a in (k, v))
    scores = (q @ k.swapaxes(-1, -2)) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if softcap:
        scores = softcap * np.tanh(scores / softcap)
    rows, columns = np.arange(q.shape[2])[:, None], np.arange(k.shape[2])[None]
    rows = rows + (k.shape[2] - q.shape[2] if kv_offset is None else kv_offset)
    keep = np.ones_like(rows == columns, bool) & (columns <= rows if causal else True)
    if window is not None:
        keep = keep & (columns >= rows - window + 1)
    keep = np.broadcast_to(keep, scores.shape)
    if key_mask is not None:
        keep = keep & (np.asarray(key_mask) != 0)[:, None, None, :]
    if mask is not None and mask.dtype == bool:
        keep = keep & mask
    elif mask is not None:
        scores = scores + np.asarray(mask, np.float64)
    scores = np.where(keep, scores, -np.inf)
    top = scores.max(-1, keepdims=True, initial=-np.inf)
    sink = None if sinks is None else np.asarray(sinks, np.float64).reshape(1, -1, 1, 1)
    if sink is not None:
        top = np.maximum(top, sink)
    top = np.where(np.isneginf(top), 0, top)
    weights = np.exp(scores - top)
    total = weights.sum(-1, keepdims=True) + (0 if sink is None else np.exp(sink - top))
    with np.errstate(divide="ignore"):
        lse = (top + np.log(total))[..., 0]
    return weights @ v / np.where(total == 0, 1, total), lse


def glu(gate, up, kind="silu"):
    gate, up = np.asarray(gate, np.float64), np.asarray(up, np.float64)
    if kind == "silu":
        return gate / (1 + np.exp(-gate)) * up
    if kind == "gelu":
        return 0.5 * gate * (1 + np.vectorize(math.erf)(gate / math.sqrt(2))) * up
    return 0.5 * gate * (1 + np.tanh(math.sqrt(2 / math.pi) * (gate + 0.044715 * gate**3))) * up


def moe_routing(logits, top_k, scale=None, renormalize=True):
    logits = np.asarray(logits, np.float64)
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    ids = np.argsort(-p, axis=-1, kind="stable")[..., :top_k]
    weights = np.take_along_axis(p, ids, -1)
    if renormalize:
        weights = weights / weights.sum(-1, keepdims=True)
    return ids, weights if scale is None else weights * np.asarray(scale, np.float64)[ids]
