# SPDX-License-Identifier: Apache-2.0
"""The norms."""

from smelt import _arrays
from smelt._arrays import core


def rms_norm(x, weight, eps, *, stream=None, weight_offset=0.0, round_once=False, out=None):
    """``x / sqrt(mean(x**2) + eps) * weight`` over the last axis.

    | argument | shape | dtype |
    |---|---|---|
    | `x` | `(..., D)` | floating |
    | `weight` | `(D)`, or None: no multiplication | floating |
    | `eps` | a number, 0 or more | |
    | result | that of `x` | the promotion of `x` and `weight`; that of `x` without a weight |

    `weight_offset=1.0` is Gemma's `1 + weight`. `out=` is an array to write, which may be `x`.

    Numerics: the squares are summed in float32 over pieces of a row and in float64 over the pieces. The normalised value is
    rounded to the result's dtype and the product with the weight again, as MLX and Llama do; `round_once=True` keeps float32 to
    the end, as Gemma does. A row of zeros with eps 0 is NaN. Gradients: with respect to `x` and `weight`.

    ```python
    >>> smelt.rms_norm(np.array([[3.0, 4.0]], np.float32), np.array([1.0, 2.0], np.float32), 0.0).round(4)
    array([[0.8485, 2.2627]], dtype=float32)

    ```
    """
    result = core("rms_norm", x, weight)(x, weight, eps, weight_offset, round_once, out, stream)
    if result is NotImplemented:
        return _arrays.cast("rms_norm", (x, weight), (eps, weight_offset, round_once, out, stream))
    return result


def layer_norm(x, weight, bias, eps, *, stream=None, weight_offset=0.0, round_once=False, out=None):
    """``(x - mean(x)) / sqrt(var(x) + eps) * weight + bias`` over the last axis; the variance is the biased one.

    | argument | shape | dtype |
    |---|---|---|
    | `x` | `(..., D)` | floating |
    | `weight`, `bias` | `(D)`, or None | floating |
    | `eps` | a number, 0 or more | |
    | result | that of `x` | the promotion of the three; without a weight that of `x`, whatever the bias has |

    `weight_offset=`, `round_once=` and `out=` are those of `rms_norm`.

    Numerics: mean and variance in two passes in float32. Rounded to the result's dtype after normalising, after the weight and
    after the bias; once with `round_once=True`. A constant row with eps 0 is NaN. Gradients: with respect to all three.

    ```python
    >>> smelt.layer_norm(np.array([[1.0, 3.0]], np.float32), None, np.array([0.0, 1.0], np.float32), 0.0)
    array([[-1.,  2.]], dtype=float32)

    ```
    """
    result = core("layer_norm", x, weight, bias)(x, weight, bias, eps, weight_offset, round_once, out, stream)
    if result is NotImplemented:
        if weight is None and bias is not None:  # the dtype is that of x alone, whatever the bias has
            bias = _arrays.astype(bias, _arrays.promotion("layer_norm", (x,)))
        return _arrays.cast("layer_norm", (x, weight, bias), (eps, weight_offset, round_once, out, stream))
    return result


def norm_add(residual, x, weight, eps, *, scalar=None, stream=None, weight_offset=0.0, out=None):
    """``(residual + rms(x) * weight) * scalar``: a norm after a block, and the residual, in one pass.

    | argument | shape | dtype |
    |---|---|---|
    | `residual`, `x` | `(..., D)`, the same | floating |
    | `weight` | `(D)`, or None | floating |
    | `eps` | a number, 0 or more | |
    | `scalar` | `(1)` or `(D)`, or None | floating |
    | result | that of `x` | the promotion of all |

    `weight_offset=` is added to the weight. `out=` is an array to write, which may be `residual` or `x`.

    Numerics: float32 throughout, rounded once. Gradients: with respect to all arrays.

    ```python
    >>> smelt.norm_add(np.ones((1, 2), np.float32), np.array([[3.0, 4.0]], np.float32), None, 0.0).round(4)
    array([[1.8485, 2.1314]], dtype=float32)

    ```
    """
    rest = (eps, weight_offset, True, out, stream)
    result = core("norm_add", residual, x, weight, scalar)(residual, x, weight, scalar, *rest)
    return _arrays.cast("norm_add", (residual, x, weight, scalar), rest) if result is NotImplemented else result


def residual_norm(
    residual, x, weight, eps, *, scalar=None, return_sum=True, stream=None, weight_offset=0.0, out=None, sum=None
):
    """``s = residual + x``, and ``rms(s) * weight * scalar``: the residual and the norm before a block, in one pass.

    | argument | shape | dtype |
    |---|---|---|
    | `residual`, `x` | `(..., D)`, the same | floating |
    | `weight` | `(D)`, or None | floating |
    | `eps` | a number, 0 or more | |
    | `scalar` | `(1)` or `(D)`, or None | floating |
    | first result | that of `x` | the promotion of all |
    | second, `s`, unless `return_sum=False` | that of `x` | the promotion of `residual` and `x` |

    `weight_offset=` is added to the weight. `out=` and `sum=` are arrays to write; `sum=residual` updates the residual in place.

    Numerics: float32 throughout, from the sum before it is rounded; each result is rounded once. Gradients: with respect to all
    arrays, of both results.

    ```python
    >>> normed, total = smelt.residual_norm(np.ones((1, 2), np.float32), np.array([[2.0, 3.0]], np.float32), None, 0.0)
    >>> normed.round(4), total
    (array([[0.8485, 1.1314]], dtype=float32), array([[3., 4.]], dtype=float32))

    ```
    """
    rest = (eps, weight_offset, True, return_sum, out, sum, stream)
    result = core("residual_norm", residual, x, weight, scalar)(residual, x, weight, scalar, *rest)
    if result is NotImplemented:
        result = _arrays.cast("residual_norm", (residual, x, weight, scalar), rest)
    return result if return_sum else result[0]
