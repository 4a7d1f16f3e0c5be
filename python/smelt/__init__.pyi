# SPDX-License-Identifier: Apache-2.0
from typing import Any

from smelt import fast as fast
from smelt import metal as metal
from smelt.fast import geglu as geglu
from smelt.fast import layer_norm as layer_norm
from smelt.fast import metal_kernel as metal_kernel
from smelt.fast import moe_routing as moe_routing
from smelt.fast import norm_add as norm_add
from smelt.fast import residual_norm as residual_norm
from smelt.fast import rms_norm as rms_norm
from smelt.fast import rope as rope
from smelt.fast import rope_with_freqs as rope_with_freqs
from smelt.fast import rope_with_positions as rope_with_positions
from smelt.fast import scaled_dot_product_attention as scaled_dot_product_attention
from smelt.fast import scaled_dot_product_attention_causal as scaled_dot_product_attention_causal
from smelt.fast import scaled_dot_product_attention_causal_key_masked as scaled_dot_product_attention_causal_key_masked
from smelt.fast import sdpa as sdpa
from smelt.fast import sdpa_merge as sdpa_merge
from smelt.fast import swiglu as swiglu

from smelt.metal import CompileError as CompileError

__version__: str

class UnsupportedError(NotImplementedError, ValueError): ...

class CompileError(RuntimeError):
    log: str

def info() -> dict[str, Any]: ...
