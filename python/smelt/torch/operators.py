# SPDX-License-Identifier: Apache-2.0
"""The operators ``torch.ops.smelt.*``: kernels, shapes for the compiler, gradients, and the door from smelt.fast to them."""

import torch

from smelt import _smelt

FLOATING = (torch.float32, torch.float16, torch.bfloat16)
_library = torch.library.Library("smelt", "DEF")
_ops = torch.ops.smelt

_NORM = "float eps, float weight_offset, bool round_once"
_ROPE = (
    "int dims, bool traditional, int axis, float? base, float scale, float cos_sin_scale, SymInt offset, Tensor? offsets, "
    "Tensor? positions, Tensor? freqs, Tensor? inverse_freqs"
)
_SDPA = (
    "float? scale, bool causal, SymInt? kv_offset, int window_left, int window_right, float softcap, Tensor? mask, "
    "Tensor? key_mask, Tensor? sinks, Tensor? kv_lengths, Tensor? kv_offsets"
)


def _promote(*tensors):
    dtypes = {t.dtype for t in tensors if t is not None}
    return dtypes.pop() if len(dtypes) == 1 else torch.float32


def _like(tensor, dtype=None):
    return tensor.new_empty(tensor.shape, dtype=dtype or tensor.dtype)


def _register(schema, kernel, fake):
    name = schema.split("(", 1)[0]
    _library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    for device in ("CPU", "CUDA"):
        _library.impl(name, kernel, device)
    torch.library.register_fake("smelt::" + name, fake, lib=_library)


def _register_vjp(schema, kernel, inputs):
    """A gradient: ``inputs(arguments)`` are what it is with respect to; a result that is absent is an empty tensor."""
    name = schema.split("(", 1)[0]

    def run(*arguments):
        results = kernel(*arguments, None)
        return tuple(arguments[0].new_empty(0) if r is None else r for r in results)

    def fake(*arguments):
        wanted = arguments[-1]
        return tuple(
            _like(t) if t is not None and wanted >> i & 1 else arguments[0].new_empty(0)
            for i, t in enumerate(inputs(arguments))
        )

    def backward(ctx, *gradients):
        raise NotImplementedError(f"smelt: {name}: gradients of gradients are not implemented")

    _register(schema, run, fake)
    torch.library.register_autograd("smelt::" + name, backward, lib=_library)


def _wanted(ctx, *positions):
    return sum(1 << i for i, p in enumerate(positions) if ctx.needs_input_grad[p])


def _given(gradients, wanted):
    return [g if wanted >> i & 1 else None for i, g in enumerate(gradients)]


def _autograd(name, setup, backward):
    torch.library.register_autograd("smelt::" + name, backward, setup_context=setup, lib=_library)


# rms_norm and layer_norm
_register(
    f"rms_norm(Tensor x, Tensor? weight, {_NORM}) -> Tensor",
    lambda x, *rest: _smelt.rms_norm(x, *rest, None, None),
    lambda x, weight, *rest: _like(x, _promote(x, weight)),
)
_register_vjp(
    f"rms_norm_vjp(Tensor x, Tensor? weight, Tensor grad, {_NORM}, int wanted) -> (Tensor, Tensor)",
    _smelt.rms_norm_vjp,
    lambda a: a[:2],
)


def _save_norm(tensors):
    def setup(ctx, inputs, output):
        ctx.save_for_backward(*inputs[:tensors])
        ctx.options = inputs[tensors:]

    return setup


def _rms_norm_backward(ctx, grad):
    wanted = _wanted(ctx, 0, 1)
    gradients = _ops.rms_norm_vjp(*ctx.saved_tensors, grad, *ctx.options, wanted)
    return (*_given(gradients, wanted), None, None, None)


_autograd("rms_norm", _save_norm(2), _rms_norm_backward)

_register(
    f"layer_norm(Tensor x, Tensor? weight, Tensor? bias, {_NORM}) -> Tensor",
    lambda x, *rest: _smelt.layer_norm(x, *rest, None, None),
    lambda x, weight, bias, *rest: _like(x, x.dtype if weight is None else _promote(x, weight, bias)),
)
_register_vjp(
    f"layer_norm_vjp(Tensor x, Tensor? weight, Tensor? bias, Tensor grad, {_NORM}, int wanted) -> (Tensor, Tensor, Tensor)",
    _smelt.layer_norm_vjp,
    lambda a: a[:3],
)


def _layer_norm_backward(ctx, grad):
    wanted = _wanted(ctx, 0, 1, 2)
    gradients = _ops.layer_norm_vjp(*ctx.saved_tensors, grad, *ctx.options, wanted)
    return (*_given(gradients, wanted), None, None, None)


_autograd("layer_norm", _save_norm(3), _layer_norm_backward)

# norms with a residual
_TENSORS = "Tensor residual, Tensor x, Tensor? weight, Tensor? scalar"
_register(
    f"norm_add({_TENSORS}, {_NORM}) -> Tensor",
    lambda residual, *rest: _smelt.norm_add(residual, *rest, None, None),
    lambda residual, x, weight, scalar, *rest: _like(x, _promote(residual, x, weight, scalar)),
)
_register_vjp(
    f"norm_add_vjp({_TENSORS}, Tensor grad, {_NORM}, int wanted) -> (Tensor, Tensor, Tensor, Tensor)",
    _smelt.norm_add_vjp,
    lambda a: a[:4],
)


def _norm_add_backward(ctx, grad):
    wanted = _wanted(ctx, 0, 1, 2, 3)
    gradients = _ops.norm_add_vjp(*ctx.saved_tensors, grad, *ctx.options, wanted)
    return (*_given(gradients, wanted), None, None, None)


_autograd("norm_add", _save_norm(4), _norm_add_backward)

_register(
    f"residual_norm({_TENSORS}, {_NORM}) -> (Tensor, Tensor)",
    lambda residual, *rest: _smelt.residual_norm(residual, *rest, True, None, None, None),
    lambda residual, x, weight, scalar, *rest: (
        _like(x, _promote(residual, x, weight, scalar)),
        _like(x, _promote(residual, x)),
    ),
)
_register_vjp(
    f"residual_norm_vjp({_TENSORS}, Tensor? grad, Tensor? grad_sum, {_NORM}, int wanted) -> (Tensor, Tensor, Tensor, Tensor)",
    _smelt.residual_norm_vjp,
    lambda a: a[:4],
)


def _residual_norm_setup(ctx, inputs, output):
    _save_norm(4)(ctx, inputs, output)
    ctx.set_materialize_grads(False)


def _residual_norm_backward(ctx, grad, grad_sum):
    if grad is None and grad_sum is None:
        return (None,) * 7
    wanted = _wanted(ctx, 0, 1, 2, 3)
    gradients = _ops.residual_norm_vjp(*ctx.saved_tensors, grad, grad_sum, *ctx.options, wanted)
    return (*_given(gradients, wanted), None, None, None)


_autograd("residual_norm", _residual_norm_setup, _residual_norm_backward)


# rope
def _run_rope(backward):
    return lambda x, *rest: _smelt.rope(x, *rest, backward, None, None)


for _name, _is_backward in (("rope", False), ("rope_vjp", True)):
    _register(f"{_name}(Tensor x, {_ROPE}) -> Tensor", _run_rope(_is_backward), lambda x, *rest: _like(x))


def _rope_setup(ctx, inputs, output):
    ctx.save_for_backward(*inputs[8:])
    ctx.options = inputs[1:8]


def _rope_backward(ctx, grad):
    return (_ops.rope_vjp(grad, *ctx.options, *ctx.saved_tensors), *[None] * 11)


def _rope_vjp_backward(ctx, grad):  # a rotation is linear: the gradient of its gradient is itself
    return (_ops.rope(grad, *ctx.options, *ctx.saved_tensors), *[None] * 11)


_autograd("rope", _rope_setup, _rope_backward)
_autograd("rope_vjp", _rope_setup, _rope_vjp_backward)

# attention
def _fake_sdpa(q, k, v, *rest):
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if tensor.ndim != 4:
            raise ValueError(f"sdpa: {name}: expected rank 4, got {tensor.ndim}")
    shape = q.shape[:3]
    return q.new_empty((*shape, v.shape[3]), dtype=_promote(q, k, v)), q.new_empty(shape, dtype=torch.float32)


_register(
    f"sdpa(Tensor q, Tensor k, Tensor v, {_SDPA}) -> (Tensor, Tensor)",
    lambda q, *rest: _smelt.sdpa(q, *rest, True, None, None),
    _fake_sdpa,
)
_register_vjp(
    f"sdpa_vjp(Tensor q, Tensor k, Tensor v, Tensor result, Tensor lse, Tensor? grad, Tensor? grad_lse, {_SDPA}, int wanted)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _smelt.sdpa_vjp,
    lambda a: (*a[:3], a[13], a[15]),
)


def _sdpa_setup(ctx, inputs, output):
    ctx.save_for_backward(*inputs[:3], *output, *inputs[9:])
    ctx.options = inputs[3:9]
    ctx.set_materialize_grads(False)


def _sdpa_backward(ctx, grad, grad_lse):
    if grad is None and grad_lse is None:
        return (None,) * 14
    saved = ctx.saved_tensors
    wanted = _wanted(ctx, 0, 1, 2, 9, 11)
    gradients = _ops.sdpa_vjp(*saved[:5], grad, grad_lse, *ctx.options, *saved[5:], wanted)
    dq, dk, dv, dmask, dsinks = _given(gradients, wanted)
    return (dq, dk, dv, *[None] * 6, dmask, None, dsinks, None, None)


_autograd("sdpa", _sdpa_setup, _sdpa_backward)

_register(
    "sdpa_merge(Tensor outs, Tensor lses) -> (Tensor, Tensor)",
    lambda outs, lses: _smelt.sdpa_merge(outs, lses, True, None),
    lambda outs, lses: (outs.new_empty(outs.shape[1:]), outs.new_empty(lses.shape[1:], dtype=torch.float32)),
)


def _sdpa_merge_setup(ctx, inputs, output):
    ctx.save_for_backward(*inputs, *output)


def _sdpa_merge_backward(ctx, grad, grad_lse):
    """weights = exp(lses - lse): small sums over the chunks, for which C has no function."""
    outs, lses, out, lse = ctx.saved_tensors
    shares = torch.where(torch.isneginf(lses), 0.0, torch.exp(lses - lse))
    grad_outs = (grad.float() * shares[..., None]).to(outs.dtype)
    along = (grad.float() * (outs.float() - out.float())).sum(-1)
    return grad_outs, shares * (torch.where(shares > 0, along, 0.0) + grad_lse)


_autograd("sdpa_merge", _sdpa_merge_setup, _sdpa_merge_backward)

# glu and moe_routing
_register(
    "glu(Tensor gate, Tensor up, int activation) -> Tensor",
    lambda gate, up, activation: _smelt.glu(gate, up, activation, None, None),
    lambda gate, up, activation: _like(gate),
)
_register_vjp(
    "glu_vjp(Tensor gate, Tensor up, Tensor grad, int activation, int wanted) -> (Tensor, Tensor)",
    _smelt.glu_vjp,
    lambda a: a[:2],
)


def _glu_setup(ctx, inputs, output):
    ctx.save_for_backward(*inputs[:2])
    ctx.activation = inputs[2]


def _glu_backward(ctx, grad):
    wanted = _wanted(ctx, 0, 1)
    return (*_given(_ops.glu_vjp(*ctx.saved_tensors, grad, ctx.activation, wanted), wanted), None)


_autograd("glu", _glu_setup, _glu_backward)


def _fake_routing(logits, top_k, scale, renormalize):
    shape = (*logits.shape[:-1], top_k)
    return logits.new_empty(shape, dtype=torch.float32), logits.new_empty(shape, dtype=torch.int64)


_register(
    "moe_routing(Tensor logits, int top_k, Tensor? per_expert_scale, bool renormalize) -> (Tensor, Tensor)",
    lambda logits, top_k, scale, renormalize: _smelt.moe_routing(
        logits, top_k, scale, renormalize, True, None
    )[::-1],
    _fake_routing,
)
_register_vjp(
    "moe_routing_vjp(Tensor logits, Tensor? per_expert_scale, Tensor ids, Tensor grad, bool renormalize, int wanted)"
    " -> (Tensor, Tensor)",
    _smelt.moe_routing_vjp,
    lambda a: a[:2],
)


def _moe_setup(ctx, inputs, output):
    ctx.save_for_backward(inputs[0], inputs[2], output[1])
    ctx.renormalize = inputs[3]
    ctx.mark_non_differentiable(output[1])


def _moe_backward(ctx, grad, _):
    logits, scale, ids = ctx.saved_tensors
    wanted = _wanted(ctx, 0, 2)
    dlogits, dscale = _given(_ops.moe_routing_vjp(logits, scale, ids, grad, ctx.renormalize, wanted), wanted)
    return dlogits, None, dscale, None


_autograd("moe_routing", _moe_setup, _moe_backward)
