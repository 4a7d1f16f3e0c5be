# SPDX-License-Identifier: Apache-2.0
"""The functions of ``mx.fast``, and their kin in EMLX and mlx-native, for arrays of any library.

Shapes, dtypes, formulas and errors: ``docs/operations``. Common to all: inputs may have any strides; results are row-major
and new, of the library of the first array, unless ``out=`` gives an array to write; ``stream`` is None, an integer CUDA
stream or the array library's stream object. Bad values raise ValueError, things that are no arrays TypeError.
"""

from smelt import _arrays, _smelt
from smelt._arrays import dispatch

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
]


def rms_norm(x, weight, eps, *, stream=None, weight_offset=0.0, round_once=False, out=None):
    """``x / sqrt(mean(x**2) + eps) * weight`` over the last axis; ``weight`` may be None.

    ``weight_offset=1`` is Gemma's ``(1 + weight)``; ``round_once`` keeps float32 to the end.
    """
    result = _smelt.rms_norm(x, weight, eps, weight_offset, round_once, out, stream)
    if result is NotImplemented:
        return _arrays.cast("rms_norm", (x, weight), (eps, weight_offset, round_once, out, stream))
    return result


def layer_norm(x, weight, bias, eps, *, stream=None, weight_offset=0.0, round_once=False, out=None):
    """``(x - mean(x)) / sqrt(var(x) + eps) * weight + bias`` over the last axis; weight and bias may be None."""
    result = _smelt.layer_norm(x, weight, bias, eps, weight_offset, round_once, out, stream)
    if result is NotImplemented:
        return _arrays.cast("layer_norm", (x, weight, bias), (eps, weight_offset, round_once, out, stream))
    return result
