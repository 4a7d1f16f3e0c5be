# SPDX-License-Identifier: Apache-2.0
"""Rotary embedding."""

import operator

from smelt import _arrays
from smelt._arrays import core


def _rope(x, dims, traditional, axis, base, scale, offset, positions, freqs, inverse, out, stream):
    offsets = None
    if not isinstance(offset, int):
        if _arrays.is_array(offset):
            offset, offsets = 0, offset
        else:  # NumPy's integer scalars
            offset = offset.__index__() if hasattr(offset, "__index__") else _not_integer(offset)
    if not isinstance(dims, int):
        try:
            dims = operator.index(dims)
        except (TypeError, RuntimeError, ValueError):
            raise TypeError(f"rope: dims: expected an integer, got {type(dims).__name__}") from None
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
    """Rotary embedding of the first `dims` features; the others are copied.

    | argument | shape | dtype |
    |---|---|---|
    | `a` | `(B, ..., T, D)`, rank 3 or more | floating |
    | `dims` | an even number, 2 to D | |
    | `traditional` | False: pairs `(i, i + dims / 2)`; True: `(2 i, 2 i + 1)` | |
    | `base` | a number, or None with `freqs` | |
    | `scale` | a number: multiplies the position | |
    | `offset` | an integer, or an array: scalar, `(1)` or `(B)` | integer |
    | `freqs` | `(dims / 2)` divisors, instead of `base` | floating |
    | result | that of `a` | that of `a` |

    Token t has the position `p = scale * (t + offset)`, pair i the angle `p * base**(-2 i / dims)` or `p / freqs[i]`, and
    `(x1, x2)` becomes `(x1 cos - x2 sin, x1 sin + x2 cos)`. `sequence_axis=` names the axis of tokens where it is not -2.
    `out=` is an array to write, which may be `a`.

    Numerics: angles, sines and products in float32, one rounding. Gradients: with respect to `a`.

    ```python
    >>> x = np.ones((1, 1, 2, 2), np.float32)
    >>> smelt.rope(x, 2, traditional=False, base=1e4, scale=1.0, offset=0)[0, 0].round(4)
    array([[ 1.    ,  1.    ],
           [-0.3012,  1.3818]], dtype=float32)

    ```
    """
    return _rope(a, dims, traditional, sequence_axis, base, scale, offset, None, freqs, None, out, stream)


def rope_with_positions(a, position_ids, dims, traditional, base, scale, *, stream=None):
    """Rotary embedding with a position for every token; all heads of a token have the same angles.

    | argument | shape | dtype |
    |---|---|---|
    | `a` | `(B, T, H, D)` | floating |
    | `position_ids` | `(B, T)` | integer |
    | `dims`, `traditional`, `base`, `scale` | as for `rope` | |
    | result | that of `a` | that of `a` |

    Pair i has the angle `position * scale * base**(-2 i / dims)`. Numerics and gradients are those of `rope`.

    ```python
    >>> x = np.ones((1, 2, 1, 2), np.float32)
    >>> smelt.rope_with_positions(x, np.array([[1, 0]]), 2, False, 1e4, 1.0)[0, :, 0].round(4)
    array([[-0.3012,  1.3818],
           [ 1.    ,  1.    ]], dtype=float32)

    ```
    """
    return _rope(a, dims, traditional, 1, base, scale, 0, position_ids, None, None, None, stream)


def rope_with_freqs(a, position_ids, dims, traditional, scale, freqs, *, stream=None):
    """Rotary embedding with a position for every token and the inverse frequencies given.

    | argument | shape | dtype |
    |---|---|---|
    | `a` | `(B, T, H, D)` | floating |
    | `position_ids` | `(B, T)` | integer |
    | `dims`, `traditional`, `scale` | as for `rope` | |
    | `freqs` | `(dims / 2)`: factors, not divisors as in `rope` | floating |
    | result | that of `a` | that of `a` |

    Pair i has the angle `position * scale * freqs[i]`. Numerics and gradients are those of `rope`.

    ```python
    >>> x = np.ones((1, 2, 1, 2), np.float32)
    >>> smelt.rope_with_freqs(x, np.array([[1, 0]]), 2, False, 1.0, np.array([0.5], np.float32))[0, :, 0].round(4)
    array([[0.3982, 1.357 ],
           [1.    , 1.    ]], dtype=float32)

    ```
    """
    return _rope(a, dims, traditional, 1, None, scale, 0, position_ids, None, freqs, None, stream)
