# SPDX-License-Identifier: Apache-2.0
"""MLX on its CPU back end: the functions whose rules smelt follows."""
import importlib.metadata

import mlx.core as mx

DTYPES = {"float32": mx.float32, "float16": mx.float16, "bfloat16": mx.bfloat16}
MOST_FLOPS = 2e10  # its attention reaches a few GFLOP/s here


def start(threads):
    mx.set_default_device(mx.cpu)
    mx.random.seed(0)
    return f"MLX {importlib.metadata.version('mlx')}"


def prepare(case):
    if case.variant & {"vjp", "window", "softcap", "mask", "gelu", "gelu_tanh", "traditional"}:
        return None
    dtype = DTYPES[case.dtype]

    def random(*shape):
        array = mx.random.normal(shape).astype(dtype)
        mx.eval(array)
        return array

    call = None
    if case.operation in ("rms_norm", "layer_norm", "norm_add", "residual_norm") and case.rows:
        x, r, w, b = random(case.rows, case.dim), random(case.rows, case.dim), random(case.dim), random(case.dim)
        add = mx.compile(lambda r, x, w: r + mx.fast.rms_norm(x, w, 1e-5))
        both = mx.compile(lambda r, x, w: (mx.fast.rms_norm(r + x, w, 1e-5), r + x))
        call = {"rms_norm": lambda: mx.fast.rms_norm(x, w, 1e-5), "layer_norm": lambda: mx.fast.layer_norm(x, w, b, 1e-5),
                "norm_add": lambda: add(r, x, w), "residual_norm": lambda: both(r, x, w)}[case.operation]
    elif case.operation == "glu" and case.rows:
        gate, up = random(case.rows, case.dim), random(case.rows, case.dim)
        silu = mx.compile(lambda g, u: g * mx.sigmoid(g) * u)
        call = lambda: silu(gate, up)
    elif case.operation == "rope" and case.head_dim and not case.tokens_first:
        x = random(case.batch, case.heads, case.tokens, case.head_dim)
        call = lambda: mx.fast.rope(x, case.head_dim, traditional=False, base=10000.0, scale=1.0, offset=0)
    elif case.operation == "sdpa" and case.head_dim and case.attention_flops < MOST_FLOPS:
        q = random(case.batch, case.heads, case.tokens, case.head_dim)
        k, v = (random(case.batch, case.kv_heads, case.keys, case.head_dim) for _ in range(2))
        mask = "causal" if "causal" in case.variant else None
        call = lambda: mx.fast.scaled_dot_product_attention(q, k, v, scale=case.head_dim**-0.5, mask=mask)
    return call and (lambda: mx.eval(call()))
