# SPDX-License-Identifier: Apache-2.0
"""PyTorch: operators, gradients, torch.compile."""

import os

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

import smelt  # noqa: E402
import smelt.torch  # noqa: E402

ops = torch.ops.smelt


def r(*shape, dtype=torch.float32, grad=True):
    return torch.randn(*shape).to(dtype).requires_grad_(grad)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(3)


def norm_arguments():
    return (1e-5, 0.0, False)


ROPE = (8, False, -2, 10000.0, 1.0, 1.0, 3)


def samples():
    q, k, v = r(2, 4, 5, 8), r(2, 2, 7, 8), r(2, 2, 7, 16)
    nothing = (None,) * 5
    plain = (0.25, True, None, -1, -1, 0.0)
    return [
        (ops.rms_norm, (r(3, 8), r(8), *norm_arguments())),
        (ops.rms_norm, (r(3, 8, dtype=torch.bfloat16), None, *norm_arguments())),
        (ops.rms_norm, (r(3, 8, dtype=torch.float16), r(8), *norm_arguments())),
        (ops.layer_norm, (r(3, 8), r(8), r(8), *norm_arguments())),
        (ops.layer_norm, (r(3, 8), None, None, *norm_arguments())),
        (ops.norm_add, (r(3, 8), r(3, 8), r(8), r(1), *norm_arguments())),
        (ops.residual_norm, (r(3, 8), r(3, 8), r(8), None, *norm_arguments())),
        (ops.rope, (r(2, 3, 4, 8), *ROPE, None, None, None, None)),
        (ops.rope, (r(2, 3, 4, 8), *ROPE[:-1], 0, torch.tensor([1, 5]), None, None, None)),
        (ops.sdpa, (q, k, v, *plain, *nothing)),
        (ops.sdpa, (q, k, v, None, False, None, -1, -1, 3.0, r(2, 4, 5, 7), torch.ones(2, 7, dtype=torch.bool), r(4), None, None)),
        (ops.sdpa_merge, (r(3, 2, 4, 5, 8), r(3, 2, 4, 5))),
        (ops.glu, (r(3, 8), r(3, 8), 1)),
        (ops.moe_routing, (r(6, 8), 3, r(8), True)),
    ]


@pytest.mark.parametrize("index", range(14))
def test_opcheck(index):
    operator, arguments = samples()[index]
    torch.library.opcheck(operator, arguments)


def test_opcheck_of_gradients():
    x, w, g = (t.detach() for t in (r(3, 8), r(8), r(3, 8)))
    torch.library.opcheck(ops.rms_norm_vjp, (x, w, g, *norm_arguments(), 3))
    torch.library.opcheck(ops.layer_norm_vjp, (x, w, None, g, *norm_arguments(), 1))
    torch.library.opcheck(ops.glu_vjp, (x, x, g, 0, 3))
    torch.library.opcheck(ops.rope_vjp, (r(2, 3, 4, 8, grad=False), *ROPE, None, None, None, None))
    torch.library.opcheck(ops.norm_add_vjp, (x, x, w, None, g, *norm_arguments(), 7))
    torch.library.opcheck(ops.residual_norm_vjp, (x, x, w, w, g, None, *norm_arguments(), 15))
    q, k, m, s = (t.detach() for t in (r(1, 4, 3, 8), r(1, 2, 5, 8), r(1, 1, 3, 5), r(4)))
    options = (0.25, False, None, -1, -1, 0.0, m, None, s, None, None)
    out, lse = ops.sdpa(q, k, k, *options)
    torch.library.opcheck(ops.sdpa_vjp, (q, k, k, out, lse, torch.randn_like(out), None, *options, 31))
    weights, ids = ops.moe_routing(x, 3, w, True)
    torch.library.opcheck(ops.moe_routing_vjp, (x, w, ids, torch.randn_like(weights), True, 3))


def test_every_operator_is_checked():
    checked = {operator.__name__.split(".")[0] for operator, _ in samples()} | {
        f"{name}_vjp" for name in "rms_norm layer_norm glu rope norm_add residual_norm sdpa moe_routing".split()
    }
    registered = {name.split("::")[1].split(".")[0] for name in torch._C._dispatch_get_all_op_names() if name.startswith("smelt::")}
    assert registered == checked


def test_wrong_options_where_a_gradient_is_recorded():
    x, q = r(2, 8), r(1, 2, 3, 8)
    for call, name in (
        (lambda: smelt.rms_norm(x, None, "small"), "eps"),
        (lambda: smelt.rms_norm(x.to_sparse(), None, 1e-5), "dense"),
        (lambda: smelt.sdpa(q, q, q, kv_offset=1.5), "kv_offset"),
        (lambda: smelt.sdpa(q, q, q, scale="x"), "scale"),
        (lambda: smelt.moe_routing(x, [2]), "top_k"),
        (lambda: smelt.moe_routing(x, 2, renormalize=q), "renormalize"),
    ):
        with pytest.raises(TypeError, match=name):
            call()


def check_gradients(ours, theirs, inputs, tolerance=2e-4):
    """Values and gradients against PyTorch's own arithmetic, with random cotangents."""
    mine, yours = ours(*inputs), theirs(*inputs)
    mine, yours = (t if isinstance(t, tuple) else (t,) for t in (mine, yours))
    torch.testing.assert_close(mine, yours, atol=tolerance, rtol=tolerance)
    cotangents = [torch.randn_like(t) for t in mine]
    wanted = [t for t in inputs if t is not None and t.requires_grad]
    mine, yours = (torch.autograd.grad(o, wanted, cotangents) for o in (mine, yours))
    torch.testing.assert_close(mine, yours, atol=tolerance, rtol=tolerance)


def rms(x, w=None):
    y = x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-5)
    return y if w is None else y * w


def rotate(x, base=10000.0, offset=0):
    half = x.shape[-1] // 2
    angle = (torch.arange(x.shape[-2]) + offset)[:, None] * base ** (-torch.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


def attention(q, k, v, mask=None, sinks=None, causal=False, softcap=None):
    k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], 1) for t in (k, v))
    s = q @ k.transpose(-1, -2) * 0.25
    s = s if softcap is None else softcap * torch.tanh(s / softcap)
    s = s if mask is None else s + mask
    if causal:
        s = s.masked_fill(~torch.ones(s.shape[-2:], dtype=torch.bool).tril(s.shape[-1] - s.shape[-2]), -torch.inf)
    if sinks is not None:
        s = torch.cat([s, sinks.reshape(1, -1, 1, 1).expand(*s.shape[:3], 1)], -1)
    p = torch.softmax(s, -1)[..., : k.shape[2]]
    return p @ v, torch.logsumexp(s, -1)


def test_gradients_of_norms():
    fast = smelt.fast
    check_gradients(lambda x, w: fast.rms_norm(x, w, 1e-5), rms, (r(2, 3, 33), r(33)))
    check_gradients(lambda x: fast.rms_norm(x, None, 1e-5), rms, (r(2, 3, 33),))
    check_gradients(
        lambda x, w, b: fast.layer_norm(x, w, b, 1e-5), lambda x, w, b: F.layer_norm(x, (33,), w, b), (r(4, 33), r(33), r(33))
    )
    check_gradients(
        lambda e, x, w, s: fast.norm_add(e, x, w, 1e-5, scalar=s), lambda e, x, w, s: (e + rms(x, w)) * s,
        (r(4, 33), r(4, 33), r(33), r(1)),
    )  # fmt: skip
    check_gradients(
        lambda e, x, w: fast.residual_norm(e, x, w, 1e-5), lambda e, x, w: (rms(e + x, w), e + x), (r(4, 33), r(4, 33), r(33))
    )
    check_gradients(
        lambda e, x, w: fast.residual_norm(e, x, w, 1e-5, return_sum=False), lambda e, x, w: rms(e + x, w),
        (r(4, 33), r(4, 33), r(33)),
    )  # fmt: skip


def test_gradients_of_rope():
    check_gradients(
        lambda x: smelt.fast.rope(x, 16, traditional=False, base=1e4, scale=1.0, offset=2),
        lambda x: rotate(x, offset=2),
        (r(2, 3, 5, 16),),
    )


@pytest.mark.parametrize("masked,sinks,causal,softcap", [(0, 0, 1, None), (1, 0, 0, None), (1, 1, 0, 2.0), (0, 1, 1, None)])
def test_gradients_of_attention(masked, sinks, causal, softcap):
    inputs = (r(2, 4, 5, 16), r(2, 2, 7, 16), r(2, 2, 7, 8), r(2, 1, 5, 7) if masked else None, r(4) if sinks else None)
    check_gradients(
        lambda q, k, v, m, s: smelt.sdpa(
            q, k, v, scale=0.25, mask=m, sinks=s, causal=bool(causal), softcap=softcap, return_lse=True
        ),
        lambda q, k, v, m, s: attention(q, k, v, m, s, causal, softcap),
        inputs,
    )


def test_gradients_of_the_merge():
    def theirs(outs, lses):
        return (torch.softmax(lses, 0)[..., None] * outs).sum(0), torch.logsumexp(lses, 0)

    check_gradients(smelt.sdpa_merge, theirs, (r(3, 2, 4, 5, 8), r(3, 2, 4, 5)))


def test_gradients_of_glu():
    check_gradients(smelt.swiglu, lambda g, u: F.silu(g) * u, (r(3, 40), r(3, 40)))
    check_gradients(smelt.geglu, lambda g, u: F.gelu(g, approximate="tanh") * u, (r(3, 40), r(3, 40)))
    check_gradients(lambda g, u: smelt.geglu(g, u, approximate=False), lambda g, u: F.gelu(g) * u, (r(3, 40), r(3, 40)))


def test_gradients_of_routing():
    def theirs(logits, scale):
        top, ids = torch.topk(torch.softmax(logits, -1), 3)
        return top / top.sum(-1, keepdim=True) * scale[ids]

    check_gradients(lambda logits, scale: smelt.moe_routing(logits, 3, scale)[1], theirs, (r(5, 16), r(16)))


def test_gradients_in_other_dtypes():
    for dtype, tolerance in ((torch.float16, 5e-3), (torch.bfloat16, 4e-2), (torch.float64, 1e-4)):
        x, w = r(4, 64, dtype=dtype), r(64, dtype=dtype)
        y = smelt.rms_norm(x, w, 1e-5)
        assert y.dtype == dtype
        dx, dw = torch.autograd.grad(y.sum(), (x, w))
        x2, w2 = (t.detach().float().requires_grad_() for t in (x, w))
        ex, ew = torch.autograd.grad(rms(x2, w2).sum(), (x2, w2))
        assert dx.dtype == dw.dtype == dtype
        torch.testing.assert_close(dx.float(), ex, atol=tolerance, rtol=tolerance)
        torch.testing.assert_close(dw.float(), ew, atol=4 * tolerance, rtol=4 * tolerance)


def test_gradients_of_gradients_are_refused():
    x = r(4, 64)
    (dx,) = torch.autograd.grad(smelt.rms_norm(x, None, 1e-5).sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="gradients of gradients"):
        dx.sum().backward()


def test_out_and_gradients():
    x = r(4, 64)
    with pytest.raises(ValueError, match="out"):
        smelt.rms_norm(x, None, 1e-5, out=torch.empty(4, 64))
    with torch.no_grad():
        smelt.rms_norm(x, None, 1e-5, out=torch.empty(4, 64))
    with pytest.raises(ValueError, match="freqs"):
        smelt.rope(r(1, 2, 8), 8, traditional=False, base=None, scale=1.0, offset=0, freqs=r(4))


def decoder(x, w, k):
    y = smelt.fast.rms_norm(x, w, 1e-5)
    q = smelt.fast.rope(y, 16, traditional=False, base=1e4, scale=1.0, offset=0)
    a = smelt.fast.scaled_dot_product_attention(q, k, k, scale=0.25, mask="causal")
    normed, total = smelt.fast.residual_norm(x, a, w, 1e-5)
    n = smelt.fast.layer_norm(normed, w, None, 1e-5)
    return smelt.fast.norm_add(total, smelt.fast.swiglu(n, y), w, 1e-5)


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compile(backend):
    if backend == "inductor" and not os.environ.get("SMELT_TEST_INDUCTOR"):
        pytest.skip("minutes: SMELT_TEST_INDUCTOR=1 runs it")
    x, w, k = r(1, 2, 4, 16), r(16), r(1, 2, 4, 16)
    torch._dynamo.reset()
    compiled = torch.compile(decoder, fullgraph=True, backend=backend)
    mine = compiled(x, w, k)
    check_gradients(compiled, decoder, (x, w, k), 1e-5)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x, w, k), mine.detach())


def test_compile_of_the_rest():
    def rest(x, ids, logits):
        y = smelt.fast.rope_with_positions(x, ids, 16, False, 1e4, 1.0)
        chosen, weights = smelt.fast.moe_routing(logits, 2)
        return y, weights, smelt.fast.geglu(x, y), chosen.to(torch.int64), smelt.sdpa(x, x, x, window=3, causal=True)

    torch._dynamo.reset()
    inputs = r(1, 3, 2, 16, grad=False), torch.tensor([[3, 4, 9]]), r(3, 8, grad=False)
    compiled = torch.compile(rest, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*inputs), rest(*inputs))


def test_export():
    class Model(torch.nn.Module):
        def forward(self, x, w, k):
            return decoder(x, w, k)

    inputs = r(1, 2, 4, 16, grad=False), r(16, grad=False), r(1, 2, 4, 16, grad=False)
    program = torch.export.export(Model(), inputs)
    assert any("smelt" in str(n.target) for n in program.graph.nodes)
    torch.testing.assert_close(program.module()(*inputs), decoder(*inputs))


def test_unusual_tensors():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        assert smelt.rms_norm(torch.ones(2, 8), None, 1e-5).shape == (2, 8)
    for bad in (torch.ones(2, 8, device="meta"), torch.eye(8).to_sparse(), torch.ones(2, 8, dtype=torch.complex64)):
        with pytest.raises(Exception):  # noqa: B017
            smelt.rms_norm(bad, None, 1e-5).sum().item()
    parameter = torch.nn.Parameter(torch.ones(8))
    assert smelt.rms_norm(torch.ones(2, 8), parameter, 1e-5).requires_grad
    with pytest.raises(RuntimeError, match="functorch"):  # registered operators have no functorch transforms
        torch.func.grad(lambda x: smelt.rms_norm(x, None, 1e-5).sum())(torch.arange(8.0))
