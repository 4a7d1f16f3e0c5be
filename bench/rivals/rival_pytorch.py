# SPDX-License-Identifier: Apache-2.0
"""PyTorch, eager: its own fused functions where it has them. oneDNN is inside, and does what it is good at."""
import torch
import torch.nn.functional as F

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def start(threads):
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    return f"PyTorch {torch.__version__.split('+')[0]}"


def rms_norm(x, w):
    return F.rms_norm(x, (x.shape[-1],), w, 1e-5)


def layer_norm(x, w, b):
    return F.layer_norm(x, (x.shape[-1],), w, b, 1e-5)


def norm_add(r, x, w):
    return r + F.rms_norm(x, (x.shape[-1],), w, 1e-5)


def residual_norm(r, x, w):
    s = r + x
    return F.rms_norm(s, (s.shape[-1],), w, 1e-5), s


def silu(gate, up):
    return F.silu(gate) * up


def gelu(gate, up):
    return F.gelu(gate) * up


def gelu_tanh(gate, up):
    return F.gelu(gate, approximate="tanh") * up


def rope(x, cos, sin):
    half = x.shape[-1] // 2
    a, b = x[..., :half].float(), x[..., half:].float()
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


def moe_routing(logits, scale, top):
    weights, ids = torch.topk(torch.softmax(logits.float(), -1), top, -1)
    return ids, weights / weights.sum(-1, keepdim=True) * scale[ids]


def arguments(case):
    """The function of a case and its arguments, or None."""
    dtype = DTYPES[case.dtype]
    random = lambda *shape: torch.randn(*shape, dtype=dtype)
    if case.operation in ("rms_norm", "layer_norm", "norm_add", "residual_norm") and case.rows:
        x, w, b, r = (random(*shape) for shape in ((case.rows, case.dim), (case.dim,), (case.dim,),
                                                   (case.rows, case.dim)))
        return {"rms_norm": (rms_norm, (x, w)), "layer_norm": (layer_norm, (x, w, b)),
                "norm_add": (norm_add, (r, x, w)), "residual_norm": (residual_norm, (r, x, w))}[case.operation]
    if case.operation == "glu" and case.rows:
        function = gelu_tanh if "gelu_tanh" in case.variant else gelu if "gelu" in case.variant else silu
        return function, (random(case.rows, case.dim), random(case.rows, case.dim))
    if case.operation == "rope" and case.head_dim and "traditional" not in case.variant:
        half = case.head_dim // 2
        angle = torch.arange(case.tokens)[:, None] * (10000.0 ** (-torch.arange(half) / half))[None]
        if case.tokens_first:
            x, angle = random(case.batch, case.tokens, case.heads, case.head_dim), angle[:, None]
        else:
            x = random(case.batch, case.heads, case.tokens, case.head_dim)
        return rope, (x, angle.cos(), angle.sin())
    if case.operation == "moe_routing" and case.top:
        logits = random(case.rows, case.dim)
        return (lambda logits, scale: moe_routing(logits, scale, case.top)), (logits, torch.rand(case.dim))
    if case.operation == "sdpa" and case.head_dim:
        q = random(case.batch, case.heads, case.tokens, case.head_dim)
        k, v = (random(case.batch, case.kv_heads, case.keys, case.head_dim) for _ in range(2))
        causal, shared = "causal" in case.variant, case.heads != case.kv_heads
        return (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=shared)), (q, k, v)
    return None


def prepare(case):
    found = arguments(case)
    if found is None or case.variant & {"vjp", "window", "softcap", "mask"}:
        return None
    function, inputs = found
    return lambda: function(*inputs)
