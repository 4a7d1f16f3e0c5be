# SPDX-License-Identifier: Apache-2.0
"""The functions of ``mx.fast``, and their kin in EMLX and mlx-native, for arrays of any library.

A page on each: ``docs/python``, and ``help(smelt.rms_norm)`` says the same. Common to all: inputs may have any strides; results
are row-major and new, of the library of the first array, unless ``out=`` gives an array to write; ``stream`` is None, an integer
CUDA stream or the array library's stream object. Bad values raise ValueError, things that are no arrays TypeError.
"""

from smelt._attention import (
    scaled_dot_product_attention,
    scaled_dot_product_attention_causal,
    scaled_dot_product_attention_causal_key_masked,
    sdpa,
    sdpa_merge,
)
from smelt._gates import geglu, moe_routing, swiglu
from smelt._norms import layer_norm, norm_add, residual_norm, rms_norm
from smelt._rope import rope, rope_with_freqs, rope_with_positions
from smelt.metal import metal_kernel

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
