# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, overload

from smelt.metal import Kernel, MathMode

A = TypeVar("A")  # an array of any library with DLPack

def rms_norm(
    x: A,
    weight: A | None,
    eps: float,
    *,
    stream: Any = None,
    weight_offset: float = 0.0,
    round_once: bool = False,
    out: A | None = None,
) -> A: ...
def layer_norm(
    x: A,
    weight: A | None,
    bias: A | None,
    eps: float,
    *,
    stream: Any = None,
    weight_offset: float = 0.0,
    round_once: bool = False,
    out: A | None = None,
) -> A: ...
def norm_add(
    residual: A,
    x: A,
    weight: A | None,
    eps: float,
    *,
    scalar: A | None = None,
    stream: Any = None,
    weight_offset: float = 0.0,
    out: A | None = None,
) -> A: ...
@overload
def residual_norm(
    residual: A,
    x: A,
    weight: A | None,
    eps: float,
    *,
    scalar: A | None = None,
    return_sum: Literal[True] = True,
    stream: Any = None,
    weight_offset: float = 0.0,
    out: A | None = None,
    sum: A | None = None,
) -> tuple[A, A]: ...
@overload
def residual_norm(
    residual: A,
    x: A,
    weight: A | None,
    eps: float,
    *,
    scalar: A | None = None,
    return_sum: Literal[False],
    stream: Any = None,
    weight_offset: float = 0.0,
    out: A | None = None,
    sum: A | None = None,
) -> A: ...
def rope(
    a: A,
    dims: int,
    *,
    traditional: bool,
    base: float | None,
    scale: float,
    offset: int | A,
    freqs: A | None = None,
    stream: Any = None,
    sequence_axis: int = -2,
    out: A | None = None,
) -> A: ...
def rope_with_positions(
    a: A, position_ids: A, dims: int, traditional: bool, base: float, scale: float, *, stream: Any = None
) -> A: ...
def rope_with_freqs(
    a: A, position_ids: A, dims: int, traditional: bool, scale: float, freqs: A, *, stream: Any = None
) -> A: ...
@overload
def sdpa(
    q: A,
    k: A,
    v: A,
    *,
    scale: float | A | None = None,
    causal: bool = False,
    mask: A | None = None,
    key_mask: A | None = None,
    sinks: A | None = None,
    kv_offset: int | None = None,
    window: int | tuple[int, int] | None = None,
    softcap: float | None = None,
    return_lse: Literal[False] = False,
    kv_lengths: A | None = None,
    kv_offsets: A | None = None,
    stream: Any = None,
    out: A | None = None,
) -> A: ...
@overload
def sdpa(
    q: A,
    k: A,
    v: A,
    *,
    scale: float | A | None = None,
    causal: bool = False,
    mask: A | None = None,
    key_mask: A | None = None,
    sinks: A | None = None,
    kv_offset: int | None = None,
    window: int | tuple[int, int] | None = None,
    softcap: float | None = None,
    return_lse: Literal[True],
    kv_lengths: A | None = None,
    kv_offsets: A | None = None,
    stream: Any = None,
    out: A | None = None,
) -> tuple[A, A]: ...
@overload
def sdpa_merge(outs: A, lses: A, *, return_lse: Literal[True] = True, stream: Any = None) -> tuple[A, A]: ...
@overload
def sdpa_merge(outs: A, lses: A, *, return_lse: Literal[False], stream: Any = None) -> A: ...
def scaled_dot_product_attention(
    q: A,
    k: A,
    v: A,
    *,
    scale: float | A,
    mask: A | Literal["causal", ""] | None = None,
    sinks: A | None = None,
    force_fused: bool = False,
    stream: Any = None,
) -> A: ...
def scaled_dot_product_attention_causal(
    q: A, k: A, v: A, scale: float, *, sinks: A | None = None, stream: Any = None
) -> A: ...
def scaled_dot_product_attention_causal_key_masked(
    q: A, k: A, v: A, scale: float, key_mask: A, *, kv_offset: int | None = None, sinks: A | None = None, stream: Any = None
) -> A: ...
def swiglu(gate: A, up: A, *, stream: Any = None, out: A | None = None) -> A: ...
def geglu(gate: A, up: A, *, approximate: bool = True, stream: Any = None, out: A | None = None) -> A: ...
def moe_routing(
    logits: A, top_k: int, per_expert_scale: A | None = None, *, renormalize: bool = True, stream: Any = None
) -> tuple[A, A]: ...
def metal_kernel(
    name: str,
    input_names: Iterable[str],
    output_names: Iterable[str],
    source: str,
    header: str = "",
    ensure_row_contiguous: bool = True,
    atomic_outputs: bool = False,
    math_mode: MathMode | None = None,
    compile_options: Mapping[str, str] | None = None,
) -> Kernel: ...
