# SPDX-License-Identifier: Apache-2.0
"""Attention."""

import operator

from smelt import _arrays
from smelt._arrays import core


def _window(window):
    if window is None:
        return -1, -1
    if isinstance(window, tuple) and len(window) == 2:
        return window
    try:
        keys = operator.index(window)
    except (TypeError, RuntimeError, ValueError):
        raise TypeError(f"sdpa: window: expected None, an integer or a pair of integers, got {window!r}") from None
    if keys < 1:
        raise ValueError(f"sdpa: window: expected a positive number of keys, got {keys}")
    return keys - 1, -1


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
    """Scaled dot-product attention with everything that the C function has: ``softmax(softcap(scale * q k^T) + mask) v``.

    | argument | shape | dtype |
    |---|---|---|
    | `q` | `(B, Hq, qL, D)` | floating |
    | `k` | `(B, Hkv, kL, D)`, Hq a multiple of Hkv | floating |
    | `v` | `(B, Hkv, kL, Dv)` | floating |
    | `mask` | broadcasts to `(B, Hq, qL, kL)` | boolean: True keeps; a number is added |
    | `key_mask` | `(B, kL)`, nonzero keeps | boolean or integer |
    | `sinks` | `(Hq)`: one more logit per head, without a value | floating |
    | `kv_lengths`, `kv_offsets` | `(B)`: keys in use and `kv_offset` of each sequence | int32 |
    | result | `(B, Hq, qL, Dv)` | the promotion of q, k and v |
    | with `return_lse=True` also | `(B, Hq, qL)`: log of the sum of the exponentials | float32 |

    `scale=None` is `1 / sqrt(D)`. `causal=True` shows key j to query i where `j <= i + kv_offset`; `kv_offset=None` lets the last
    query see the last key. `window=W` keeps the last W keys, as Hugging Face counts, `(left, right)` so many on either side, -1
    for all. `softcap=c` makes a score `c * tanh(score / c)` before the mask. All conditions combine. `out=` is an array to write.

    Numerics: scores, softmax and sums in float32, one rounding. What is masked never has an influence, NaN included; a row that
    sees nothing is 0 with an lse of -inf. Gradients: with respect to q, k, v, a floating mask and the sinks, of both results.

    ```python
    >>> q, k, v = np.ones((1, 2, 3, 4), np.float32), np.ones((1, 1, 3, 4), np.float32), np.eye(3, dtype=np.float32)[None, None]
    >>> out, lse = smelt.sdpa(q, k, v, causal=True, return_lse=True)
    >>> out[0, 0].round(3)
    array([[1.   , 0.   , 0.   ],
           [0.5  , 0.5  , 0.   ],
           [0.333, 0.333, 0.333]], dtype=float32)
    >>> lse[0, 0].round(3)
    array([2.   , 2.693, 3.099], dtype=float32)

    ```
    """
    left, right = _window(window)

    def run(q, k, v, sinks, mask):
        return core("sdpa", q, k, v, mask, sinks, key_mask, kv_lengths, kv_offsets)(
            q, k, v, scale, causal, kv_offset, left, right, 0.0 if softcap is None else softcap, mask, key_mask, sinks, kv_lengths, kv_offsets,
            return_lse, out, stream,
        )  # fmt: skip

    if mask is not None:
        for name, array in (("q", q), ("k", k), ("v", v), ("mask", mask)):
            _arrays.expect_array("sdpa", name, array)
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
    """Exact attention over the union of C chunks of keys, from the results over each chunk.

    | argument | shape | dtype |
    |---|---|---|
    | `outs` | `(C, B, Hq, qL, Dv)` | floating |
    | `lses` | `(C, B, Hq, qL)` | float32 |
    | result | `(B, Hq, qL, Dv)` | that of `outs` |
    | unless `return_lse=False` also | `(B, Hq, qL)` | float32 |

    The result is `sum of exp(lses[c] - lse) * outs[c]`, and `lse = log(sum of exp(lses[c]))`. Chunks with an lse of -inf have no
    influence. Numerics: float32, one rounding. Gradients: with respect to both.

    ```python
    >>> q, k = np.ones((1, 1, 1, 4), np.float32), np.arange(24, dtype=np.float32).reshape(1, 1, 6, 4) / 24
    >>> parts = [smelt.sdpa(q, k[:, :, s], k[:, :, s], return_lse=True) for s in (slice(0, 2), slice(2, 6))]
    >>> whole, _ = smelt.sdpa_merge(np.stack([p[0] for p in parts]), np.stack([p[1] for p in parts]))
    >>> np.allclose(whole, smelt.sdpa(q, k, k), atol=1e-6)
    True

    ```
    """
    result = core("sdpa_merge", outs, lses)(outs, lses, return_lse, stream)
    if result is NotImplemented:
        raise ValueError("sdpa_merge: expected floating outs and float32 lses")
    return result if return_lse else result[0]


def scaled_dot_product_attention(q, k, v, *, scale, mask=None, sinks=None, force_fused=False, stream=None):
    """``softmax(scale * q k^T + mask) v``, as `mx.fast.scaled_dot_product_attention`.

    | argument | shape | dtype |
    |---|---|---|
    | `q` | `(B, Hq, qL, D)` | floating |
    | `k` | `(B, Hkv, kL, D)`, Hq a multiple of Hkv | floating |
    | `v` | `(B, Hkv, kL, Dv)` | floating |
    | `scale` | a number or 0-d array | |
    | `mask` | None, `"causal"`, or an array that broadcasts to `(B, Hq, qL, kL)` | boolean: True keeps; a number is added |
    | `sinks` | `(Hq)`: one more logit per head, without a value | floating |
    | result | `(B, Hq, qL, Dv)` | the promotion of q, k and v |

    `"causal"` lets the last query see the last key. Integer masks are added as numbers; a floating mask or sinks wider than the
    result are an error. `(B, L, D)` arrays count as one head. Every path is fused, so `force_fused` changes nothing. Numerics and
    gradients are those of `sdpa`.

    ```python
    >>> q, k, v = np.ones((1, 2, 1, 4), np.float32), np.ones((1, 1, 3, 4), np.float32), np.eye(3, dtype=np.float32)[None, None]
    >>> smelt.scaled_dot_product_attention(q, k, v, scale=0.5, mask=np.array([True, False, True]))[0, 0]
    array([[0.5, 0. , 0.5]], dtype=float32)

    ```
    """
    causal = isinstance(mask, str)
    if causal and mask not in ("causal", ""):
        raise ValueError(f"scaled_dot_product_attention: mask: expected None, 'causal' or an array, got {mask!r}")
    causal, mask = causal and mask == "causal", None if isinstance(mask, str) else mask
    for name, array in (("q", q), ("k", k), ("v", v), ("mask", mask)):
        if array is not None or name != "mask":
            _arrays.expect_array("scaled_dot_product_attention", name, array)
    one_head = q.ndim == k.ndim == v.ndim == 3
    if one_head:
        q, k, v = q[:, None], k[:, None], v[:, None]
        mask = mask[:, None] if mask is not None and mask.ndim == 3 else mask
    out = sdpa(q, k, v, scale=scale, causal=causal, mask=mask, sinks=sinks, stream=stream)
    return out[:, 0] if one_head else out


def scaled_dot_product_attention_causal(q, k, v, scale, *, sinks=None, stream=None):
    """Causal attention: the last query sees the last key.

    | argument | shape | dtype |
    |---|---|---|
    | `q` | `(B, Hq, qL, D)` | floating |
    | `k` | `(B, Hkv, kL, D)`, Hq a multiple of Hkv | floating |
    | `v` | `(B, Hkv, kL, Dv)` | floating |
    | `scale` | a number | |
    | `sinks` | `(Hq)`, or None | floating |
    | result | `(B, Hq, qL, Dv)` | that of `q` |

    Numerics and gradients are those of `sdpa`.

    ```python
    >>> q, v = np.ones((1, 1, 2, 4), np.float32), np.eye(2, dtype=np.float32)[None, None]
    >>> smelt.scaled_dot_product_attention_causal(q, q, v, 0.5)[0, 0]
    array([[1. , 0. ],
           [0.5, 0.5]], dtype=float32)

    ```
    """
    return _arrays.like(sdpa(q, k, v, scale=scale, causal=True, sinks=sinks, stream=stream), q)


def scaled_dot_product_attention_causal_key_masked(q, k, v, scale, key_mask, *, kv_offset=None, sinks=None, stream=None):
    """Causal attention over the keys that a mask keeps, as EMLX has it.

    | argument | shape | dtype |
    |---|---|---|
    | `q` | `(B, Hq, qL, D)` | floating |
    | `k` | `(B, Hkv, kL, D)`, Hq a multiple of Hkv | floating |
    | `v` | `(B, Hkv, kL, Dv)` | floating |
    | `scale` | a number | |
    | `key_mask` | `(B, kL)`, nonzero keeps | boolean or integer |
    | `sinks` | `(Hq)`, or None | floating |
    | result | `(B, Hq, qL, Dv)` | that of `q` |

    Key j is visible to query i where `j <= i + kv_offset`; `kv_offset=None` is EMLX's rule: kL - 1 for one query, else 0, for a
    left-padded prompt at the start of a longer cache. Numerics and gradients are those of `sdpa`.

    ```python
    >>> q, v = np.ones((1, 1, 2, 4), np.float32), np.eye(2, dtype=np.float32)[None, None]
    >>> smelt.scaled_dot_product_attention_causal_key_masked(q, q, v, 0.5, np.array([[0, 1]]))[0, 0]
    array([[0., 0.],
           [0., 1.]], dtype=float32)

    ```
    """
    for name, array in (("q", q), ("k", k)):
        _arrays.expect_array("scaled_dot_product_attention_causal_key_masked", name, array)
        if array.ndim != 4:
            raise ValueError(f"scaled_dot_product_attention_causal_key_masked: {name}: expected rank 4, got {array.ndim}")
    if kv_offset is None:
        kv_offset = k.shape[2] - 1 if q.shape[2] == 1 else 0
    out = sdpa(q, k, v, scale=scale, causal=True, key_mask=key_mask, kv_offset=kv_offset, sinks=sinks, stream=stream)
    return _arrays.like(out, q)
