# SPDX-License-Identifier: Apache-2.0
"""Gated activations and the routing of experts."""

from smelt import _arrays
from smelt._arrays import core


_SILU, _GELU, _GELU_TANH = 0, 1, 2  # smelt_activation


def _glu(gate, up, activation, out, stream):
    result = core("glu", gate, up)(gate, up, activation, out, stream)
    return _arrays.cast("glu", (gate, up), (activation, out, stream)) if result is NotImplemented else result


def swiglu(gate, up, *, stream=None, out=None):
    """``silu(gate) * up``, with ``silu(x) = x / (1 + exp(-x))``.

    | argument | shape | dtype |
    |---|---|---|
    | `gate`, `up` | any, the same | floating, the same |
    | result | that of `gate` | that of `gate` |

    `out=` is an array to write, which may be `gate` or `up`. Numerics: float32, one rounding. Gradients: with respect to both.

    ```python
    >>> smelt.swiglu(np.array([1.0], np.float32), np.array([2.0], np.float32)).round(4)
    array([1.4621], dtype=float32)

    ```
    """
    return _glu(gate, up, _SILU, out, stream)


def geglu(gate, up, *, approximate=True, stream=None, out=None):
    """``gelu(gate) * up``, with gelu's tanh form, or the exact one where ``approximate=False``.

    | argument | shape | dtype |
    |---|---|---|
    | `gate`, `up` | any, the same | floating, the same |
    | result | that of `gate` | that of `gate` |

    The exact form is `x / 2 * (1 + erf(x / sqrt(2)))`, the other `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x**3)))`.
    `out=` is an array to write, which may be `gate` or `up`. Numerics: float32, one rounding. Gradients: with respect to both.

    ```python
    >>> smelt.geglu(np.array([1.0], np.float32), np.array([2.0], np.float32)).round(4)
    array([1.6824], dtype=float32)
    >>> smelt.geglu(np.array([1.0], np.float32), np.array([2.0], np.float32), approximate=False).round(4)
    array([1.6827], dtype=float32)

    ```
    """
    return _glu(gate, up, _GELU_TANH if approximate else _GELU, out, stream)


def moe_routing(logits, top_k, per_expert_scale=None, *, renormalize=True, stream=None):
    """The `top_k` experts of every token and their weights.

    | argument | shape | dtype |
    |---|---|---|
    | `logits` | `(..., E)` | floating |
    | `top_k` | 1 to E | |
    | `per_expert_scale` | `(E)`, or None | floating |
    | first result: ids | `(..., top_k)` | uint32 |
    | second: weights | `(..., top_k)` | float32 |

    Softmax over all experts, the `top_k` largest in falling order (ties: the lowest index), divided by their sum unless
    `renormalize=False`, then times `per_expert_scale[id]`. Numerics: float32. A row with NaN or +inf, or of -inf alone, gives the
    ids 0 to top_k - 1 and weights 0. Gradients: of the weights, with respect to logits and scale.

    ```python
    >>> ids, weights = smelt.moe_routing(np.array([[0.0, 2.0, 2.0, 1.0]], np.float32), 2)
    >>> ids, weights
    (array([[1, 2]], dtype=uint32), array([[0.5, 0.5]], dtype=float32))

    ```
    """

    def run(logits, scale):
        route = core("moe_routing", logits, scale)
        return route(logits, top_k, scale, renormalize, False, stream)

    result = run(logits, per_expert_scale)
    if result is not NotImplemented:
        return result
    ids, weights = _arrays.cast("moe_routing", (logits, per_expert_scale), (), run)
    return _arrays.astype(ids, "uint32"), _arrays.astype(weights, "float32")
