# SPDX-License-Identifier: Apache-2.0
"""What MLX's own tests of mx.fast check, on MLX's arrays: their sizes, masks, dtypes and tolerances (specification, section 10)."""

import itertools
import math

import numpy as np
import pytest

mx = pytest.importorskip("mlx.core")

import smelt  # noqa: E402
from smelt import fast  # noqa: E402

HALF = {mx.float32: 1e-6, mx.float16: 1e-3, mx.bfloat16: 1e-2}


@pytest.fixture(autouse=True)
def seed():
    mx.random.seed(0)


def worst(a, b):
    return mx.abs(a - b).max().item()


def rotate(x, dims, traditional, base, scale, offset, freqs=None):
    half = dims // 2
    positions = mx.arange(x.shape[-2], dtype=mx.float32)
    if isinstance(offset, mx.array) and offset.size > 1:
        positions = mx.expand_dims(offset, tuple(range(1, x.ndim - 1))) + positions
    else:
        positions = positions + offset
    inverse = mx.exp(-mx.arange(half, dtype=mx.float32) * (math.log(base) / half)) if freqs is None else 1 / freqs
    angle = (positions * scale)[..., None] * inverse
    cos, sin = mx.cos(angle).astype(x.dtype), mx.sin(angle).astype(x.dtype)
    first, second = (x[..., :dims:2], x[..., 1:dims:2]) if traditional else (x[..., :half], x[..., half:dims])
    pair = first * cos - second * sin, first * sin + second * cos
    turned = mx.stack(pair, -1).reshape(*x.shape[:-1], dims) if traditional else mx.concatenate(pair, -1)
    return mx.concatenate([turned, x[..., dims:]], -1)


def rope(x, dims=8, traditional=False, base=1e4, scale=1.0, offset=0, freqs=None):
    return fast.rope(x, dims, traditional=traditional, base=base, scale=scale, offset=offset, freqs=freqs)


@pytest.mark.parametrize("traditional", [False, True])
def test_rope(traditional):
    cases = [(t, b, s, o) for t in HALF for b in (1e4, 1e6) for s in (1.0, 2.0) for o in (0, 3, mx.array(3))]
    for dtype, base, scale, offset in cases:
        x = mx.random.uniform(shape=(2, 4, 8)).astype(dtype)
        exact = rotate(x.astype(mx.float32), 8, traditional, base, scale, offset)
        mine = rope(x, 8, traditional, base, scale, offset)
        assert mine.dtype == dtype and worst(exact, mine) < HALF[dtype]
    x = mx.random.uniform(shape=(1, 1, 4, 8)).swapaxes(1, 2)
    assert worst(rotate(x, 8, traditional, 1e4, 1.0, 0), rope(1.0 * x, 8, traditional)) < 1e-6
    with pytest.raises(ValueError):
        rope(mx.zeros((2, 4, 8), mx.int32))


def test_rope_of_dims():
    x = mx.random.uniform(shape=(1, 4, 64))
    for dims in (0, -2, 7, 128):
        with pytest.raises(ValueError):
            rope(x, dims)
    for dims in (32, 64):
        assert worst(rotate(x, dims, False, 1e4, 1.0, 0), rope(x, dims)) < 1e-6


def test_rope_with_freqs():
    x = mx.random.uniform(shape=(2, 4, 8))
    for shape in ((7,), (1, 8)):
        with pytest.raises(ValueError):
            rope(x, base=None, freqs=mx.random.uniform(shape=shape))
    freqs = mx.random.uniform(shape=(4,))
    for dtype, tolerance in ((mx.float32, 1e-5), (mx.float16, 1e-2)):
        y = x.astype(dtype)
        assert worst(rotate(y, 8, False, None, 1.0, 0, freqs), rope(y, base=None, freqs=freqs)) < tolerance
    one = mx.random.uniform(shape=(1, 1, 8))
    assert worst(rotate(one, 8, False, None, 1.0, 0, freqs), rope(one, base=None, freqs=freqs)) < 1e-5
    loss = lambda f: lambda x, y: (f(x) * y).sum()  # noqa: E731
    mine, theirs = (
        mx.grad(loss(f))(x, x) for f in (lambda x: rope(x, base=None, freqs=freqs), lambda x: rotate(x, 8, False, None, 1.0, 0, freqs))
    )
    assert worst(mine, theirs) < 1e-5


def test_rope_of_batches():
    with pytest.raises(ValueError):
        rope(mx.zeros((8, 4, 4, 32)), 32, offset=mx.array([1, 2, 3]))
    for batch, heads in itertools.product((3, 8, 11), (1, 3, 5)):
        x, offset = mx.random.uniform(shape=(batch, heads, 4, 32)), mx.arange(batch)
        assert worst(rotate(x, 32, True, 1e4, 1.0, offset), rope(x, 32, True, offset=offset)) < 1e-5
    for traditional, batch, heads, dims in itertools.product((True, False), (2, 4, 8), (1, 4, 7), (64, 128)):
        x = mx.random.uniform(shape=(batch, heads, 1, dims))
        assert worst(rotate(x, dims, traditional, 1e4, 1.0, 5), rope(x, dims, traditional, offset=5)) < 1e-5
    x = mx.random.normal((2, 6, 8, 64)).transpose(0, 2, 1, 3)
    assert worst(rotate(x, 64, True, 1e4, 1.0, 0), rope(x, 64, True)) < 1e-5
    x = mx.random.normal((1, 1, 1024, 32))
    assert worst(rope(x, 32, offset=4000), rope(x.astype(mx.bfloat16), 32, offset=4000)) < 1e-1


def test_rope_gradient():
    for dims, traditional in itertools.product((32, 16), (True, False)):
        x, y = mx.random.uniform(shape=(2, 100, 32)), mx.random.uniform(shape=(2, 100, 32))
        mine = mx.grad(lambda x, y: (rope(x, dims, traditional) * y).sum())(x, y)
        theirs = mx.grad(lambda x, y: (rotate(x, dims, traditional, 1e4, 1.0, 0) * y).sum())(x, y)
        assert worst(mine, theirs) < 1e-5


def rms_norm(x, weight, eps):
    y = x.astype(mx.float32)
    y = y * mx.rsqrt(y.square().mean(-1, keepdims=True) + eps)
    return y.astype(x.dtype) if weight is None else weight * y.astype(weight.dtype)


def layer_norm(x, weight, bias, eps):
    y = x.astype(mx.float32)
    y = ((y - y.mean(-1, keepdims=True)) * mx.rsqrt(y.var(-1, keepdims=True) + eps)).astype(x.dtype)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def test_norms():
    sizes = [(2, 31), (2, 32), (2, 33), (2, 256), (2, 512), (4099,)]
    for dtype, eps, shape in itertools.product(HALF, (1e-3, 1e-5), sizes):
        x, w, b = (mx.random.uniform(shape=s).astype(dtype) for s in (shape, shape[-1:], shape[-1:]))
        for weight in (w, None):
            assert worst(rms_norm(x, weight, eps), fast.rms_norm(x, weight, eps)) < HALF[dtype]
            for bias in (b, None):
                tolerance = {mx.float32: 1e-5, mx.float16: 5e-3, mx.bfloat16: 5e-2}[dtype]
                assert worst(layer_norm(x, weight, bias, eps), fast.layer_norm(x, weight, bias, eps)) < tolerance
    whole = mx.random.randint(low=0, high=10, shape=(4, 128))
    long = mx.ones((129,))
    for call in (
        lambda: fast.rms_norm(mx.ones((1, 5)), mx.ones((4,)), 1e-5),
        lambda: fast.layer_norm(whole, long, None, 1e-3),
        lambda: fast.layer_norm(whole, None, long, 1e-3),
    ):
        with pytest.raises(ValueError):
            call()
    part = mx.random.uniform(shape=(8, 100, 128))[:, 99:]
    assert worst(layer_norm(part, None, None, 1e-5), fast.layer_norm(part, weight=None, bias=None, eps=1e-5)) < 1e-4


def gradients_agree(mine, theirs, inputs, absolute, relative):
    """The first gradient within `absolute`, those of columns within `relative` of their mean."""
    numbers = tuple(range(len(inputs)))
    cotangent = mx.random.uniform(shape=inputs[0].shape)
    loss = lambda f: lambda *a: (f(*a) * cotangent).sum()  # noqa: E731
    a, b = (mx.grad(loss(f), argnums=numbers)(*inputs) for f in (mine, theirs))
    assert worst(a[0], b[0]) < absolute
    for x, y in zip(a[1:], b[1:]):
        assert worst(x, y) / mx.abs(y).mean().item() < relative


def test_gradients_of_norms():
    for shape in ((8, 100, 32), (8, 100, 256), (2, 2, 8192)):
        x, w, b = (mx.random.uniform(shape=s) for s in (shape, shape[-1:], shape[-1:]))
        limit = 5e-5 if shape[-1] == 8192 else 1e-5
        gradients_agree(lambda x, w: fast.rms_norm(x, w, 1e-5), lambda x, w: rms_norm(x, w, 1e-5), (x, w), limit, limit)
        gradients_agree(lambda x: fast.rms_norm(x, None, 1e-5), lambda x: rms_norm(x, None, 1e-5), (x,), limit, limit)
        ours, theirs = (lambda x, w, b, f=f: f(x, w, b, 1e-5) for f in (fast.layer_norm, layer_norm))
        gradients_agree(ours, theirs, (x, w, b), limit, limit)
        ours, theirs = (lambda x, w, f=f: f(x, w, None, 1e-5) for f in (fast.layer_norm, layer_norm))
        gradients_agree(ours, theirs, (x, w), limit, limit)
        ours, theirs = (lambda x, f=f: f(x, None, None, 1e-5) for f in (fast.layer_norm, layer_norm))
        gradients_agree(ours, theirs, (x,), limit, limit)


def test_gradients_of_the_kin():
    e, x, w = mx.random.normal((3, 33)), mx.random.normal((3, 33)), mx.random.normal((33,))
    gradients_agree(
        lambda e, x, w: fast.norm_add(e, x, w, 1e-5), lambda e, x, w: e + rms_norm(x, w, 1e-5), (e, x, w), 1e-5, 1e-5
    )
    both = lambda f: lambda *a: sum(f(*a))  # noqa: E731
    theirs = lambda e, x, w: (rms_norm(e + x, w, 1e-5), e + x)  # noqa: E731
    gradients_agree(both(lambda e, x, w: fast.residual_norm(e, x, w, 1e-5)), both(theirs), (e, x, w), 1e-5, 1e-5)
    gradients_agree(smelt.swiglu, lambda g, u: g * mx.sigmoid(g) * u, (e, x), 1e-5, 1e-5)
    outs, lses = mx.random.normal((3, 2, 4, 5, 8)), mx.random.normal((3, 2, 4, 5))
    merge = lambda o, s: (mx.softmax(s, 0)[..., None] * o).sum(0) + mx.logsumexp(s, 0)[..., None]  # noqa: E731
    mine = lambda o, s: (lambda r: r[0] + r[1][..., None])(smelt.sdpa_merge(o, s))  # noqa: E731
    for i in range(2):
        loss = lambda f: lambda *a: f(*a).square().sum()  # noqa: E731
        assert worst(mx.grad(loss(mine), argnums=i)(outs, lses), mx.grad(loss(merge), argnums=i)(outs, lses)) < 1e-4
    logits = mx.random.normal((5, 16))
    ids = mx.argsort(-logits, -1)[:, :3]

    def route(x):
        p = mx.take_along_axis(mx.softmax(x, -1), ids, -1)
        return (p / p.sum(-1, keepdims=True)).square().sum()

    assert worst(mx.grad(lambda x: smelt.moe_routing(x, 3)[1].square().sum())(logits), mx.grad(route)(logits)) < 1e-5


def attend(q, k, v, scale, mask=None, sinks=None):
    """In float32, whatever comes."""
    dtype, repeats = q.dtype, q.shape[1] // k.shape[1]
    q, k, v = (a.astype(mx.float32) for a in (q, k, v))
    k, v = (mx.repeat(a, repeats, axis=1) for a in (k, v))
    scores = (q * scale) @ k.swapaxes(-1, -2)
    if isinstance(mask, str):
        mask = mx.arange(q.shape[2])[:, None] + (k.shape[2] - q.shape[2]) >= mx.arange(k.shape[2])
    if mask is not None:
        scores = mx.where(mask, scores, -mx.inf) if mask.dtype == mx.bool_ else scores + mask.astype(mx.float32)
    if sinks is not None:
        sink = mx.broadcast_to(sinks.astype(mx.float32)[None, :, None, None], (*scores.shape[:3], 1))
        scores = mx.concatenate([sink, scores], -1)
    p = mx.softmax(scores, axis=-1)
    return ((p if sinks is None else p[..., 1:]) @ v).astype(dtype)


def close(q, k, v, scale, tolerance=1e-4, mask=None, sinks=None, skip=0):
    mine = fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask, sinks=sinks)
    theirs = attend(q, k, v, scale, mask, sinks)
    assert mine.shape == theirs.shape and mine.dtype == theirs.dtype
    assert mx.allclose(mine[:, :, skip:], theirs[:, :, skip:], atol=tolerance, rtol=tolerance).item()


def normal(*shape, dtype=mx.float32):
    return (0.5 * mx.random.normal(shape)).astype(dtype)


def masks(heads, length):
    keep = mx.random.uniform(shape=(heads, 1, length)) > 0.2
    turned = mx.random.uniform(shape=(length, 1, heads)).T
    some = mx.array([True] * (length - 10) + [False] * 10)
    return [None, mx.array(True), some, keep, turned > 0.2, keep.astype(mx.float32), turned, mx.log(keep), "causal"]


@pytest.mark.parametrize("length", [43, 4096])
def test_one_query(length):
    q, k, v = normal(1, 4, 1, 64), normal(1, 1, length, 64), normal(1, 1, length, 64)
    with pytest.raises(ValueError):
        fast.scaled_dot_product_attention(q, k, v, scale=1.0, mask=mx.full((4, 2, length), False))
    for mask in masks(4, length):
        close(q, k, v, 1.0, mask=mask)
        close(q, *(a.swapaxes(1, 2) for a in (normal(1, length, 1, 64), normal(1, length, 1, 64))), 1.0, mask=mask)


@pytest.mark.parametrize("length", [43, 4096])
def test_few_queries(length):
    q, k, v = normal(1, 8, 8, 64).swapaxes(1, 2), normal(1, 1, length, 64), normal(1, 1, length, 64)
    for mask in masks(8, length):
        close(q, k, v, 1.0, mask=mask)


def test_long_caches():
    for (heads, groups, dim), (batch, length) in itertools.product([(16, 2, 128), (16, 1, 64)], [(1, 8201), (2, 4096)]):
        k, v = (normal(batch, groups, length + 32, dim)[:, :, :length] for _ in range(2))
        close(normal(batch, heads, 1, dim), k, v, 1.0)
    for length in (43, 237):
        close(normal(1, 4, 1, 192), normal(1, 1, length, 192), normal(1, 1, length, 128), 1.0)


def test_blind_rows_and_infinite_scores():
    for length in (1, 8, 32):
        q, k = normal(1, 4, length, 128), normal(1, 4, 8, 128)
        assert not mx.isnan(fast.scaled_dot_product_attention(q, k, k, scale=1, mask=mx.array(False))).any().item()
    for dim, length in itertools.product((4, 128), (1, 8)):
        q, k, v = mx.ones((1, 4, length, dim)), mx.ones((1, 4, 8, dim)), normal(1, 4, 8, dim)
        k[..., 0, :] = -float("inf")
        close(q, k, v, 1.0)


def test_batches_and_strides():
    for heads, groups in ((1, 1), (4, 1), (4, 2)):
        q, k, v = normal(2, heads, 3, 64), normal(2, groups, 3, 64), normal(2, groups, 3, 64)
        close(q, k, v, 1.0)
        turned = [normal(2, 3, n, 64).swapaxes(1, 2) for n in (heads, groups)]
        close(turned[0], turned[1], v, 1.0)
    close(normal(2, 4, 3, 64), normal(2, 1, 3, 64), normal(2, 1, 3, 64), 1.0, mask=10 * normal(1, 2, 3, 3).swapaxes(0, 1))
    q, k, v = (normal(4, 7, n, 64).swapaxes(1, 2) for n in (32, 8, 8))
    close(q, k, v, 1.0, mask=mx.ones((4, 1, 7, 7), dtype=mx.bool_))
    for mask in (mx.array(True), mx.array(2.0, mx.bfloat16)):
        close(normal(1, 4, 256, 64), normal(1, 1, 256, 64), normal(1, 1, 256, 64), 1.0, mask=mask)
    rows = mx.arange(128)
    window = (rows[:, None] >= rows) & (rows[:, None] <= rows + 111)
    for mask in (window, mx.log(window)):
        close(*(mx.random.uniform(shape=(1, 1, 128, 128)) for _ in range(3)), 1.0, mask=mask)


@pytest.mark.parametrize("dim", [64, 72, 80, 96, 128, 256])
def test_prefill(dim):
    """What MLX tests on its GPU only, all dtypes and masks."""
    lengths = ((65, 127), (127, 65)) if dim < 256 else ((50, 70),)
    for (queries, keys), dtype, kind in itertools.product(lengths, HALF, (None, "added", "boolean", "causal")):
        q, k, v = (normal(1, n, t, dim, dtype=dtype) for n, t in ((4, queries), (2, keys), (2, keys)))
        mask = {"added": mx.random.uniform(0, 0.5, (1, 4, queries, keys)).astype(dtype), "causal": "causal"}.get(kind)
        mask = mx.random.uniform(shape=(1, 4, queries, keys)) < 0.5 if kind == "boolean" else mask
        tolerance = {mx.float32: 1e-5, mx.float16: 1e-3, mx.bfloat16: 8e-3}[dtype]
        close(q, k, v, dim**-0.5, tolerance, mask, skip=max(0, queries - keys) if kind == "causal" else 0)
        close(q, k, v, dim**-0.5, tolerance, sinks=10 * mx.random.normal((4,)).astype(dtype))


def test_slices_of_a_cache():
    """Large stale rows behind the slice must not leak."""
    for queries, keys, cache, dtype in ((31, 60, 96, mx.float32), (129, 129, 200, mx.bfloat16), (1, 79, 512, mx.float16)):
        k, v = (100 * mx.random.normal((2, 2, cache, 64)) for _ in range(2))
        k[..., :keys, :], v[..., :keys, :] = normal(2, 2, keys, 64), normal(2, 2, keys, 64)
        k, v = (a.astype(dtype)[..., :keys, :] for a in (k, v))
        close(normal(2, 8, queries, 64, dtype=dtype), k, v, 0.125, 1e-4 if dtype == mx.float32 else 8e-3, "causal")


def test_long_masked_sequence():
    q, k, v = (normal(1, n, t, 64, dtype=mx.float16) for n, t in ((4, 16), (2, 66048), (2, 66048)))
    mask = mx.where(mx.arange(66048) < 66048 - 1024, -1e4, 0.0).astype(mx.float16)[None, None, None]
    close(q, k, v, 0.125, 1e-3, mask)


def test_sinks():
    q, k, v = normal(2, 8, 128, 64), normal(2, 8, 128, 64), normal(2, 8, 128, 64)
    half = [a.astype(mx.float16) for a in (q, k, v)]
    for arrays, sinks in ((half, mx.zeros((8,))), ((q, k, v), mx.zeros((9,))), ((q, k, v), mx.zeros(()))):
        with pytest.raises(ValueError):
            fast.scaled_dot_product_attention(*arrays, scale=0.125, sinks=sinks)
    for queries, keys, groups, dtype in itertools.product((1, 128), (128, 1000), (2, 8), (mx.float16, mx.float32)):
        k, v = normal(2, groups, keys, 64, dtype=dtype), normal(2, groups, keys, 64, dtype=dtype)
        sinks = 10 * mx.random.normal((8,)).astype(dtype)
        close(normal(2, 8, queries, 64, dtype=dtype), k, v, 0.125, 1e-5 if dtype == mx.float32 else 1e-3, sinks=sinks)


def test_gradients_of_attention():
    for heads in (8, 32):
        q, k, v = (mx.random.normal((2, n, 64, 64)).astype(mx.float16) for n in (heads, 8, 8))
        added = mx.random.normal((2, heads, 64, 64)).astype(mx.float16)
        for mask in (None, "causal", added, added > 0):
            mine = lambda q, k, v: fast.scaled_dot_product_attention(q, k, v, scale=0.125, mask=mask)  # noqa: B023, E731
            theirs = lambda q, k, v: attend(q, k, v, 0.125, mask)  # noqa: B023, E731
            a, b = (mx.vjp(f, [q, k, v], [mx.ones_like(q)])[1] for f in (mine, theirs))
            assert all(mx.allclose(x, y, atol=1e-2, rtol=1e-2).item() for x, y in zip(a, b))
    q, k, v = normal(1, 4, 5, 16), normal(1, 2, 7, 16), normal(1, 2, 7, 16)
    mask, sinks = normal(1, 1, 5, 7), normal(4)
    both = [lambda *a, f=f: f(*a).square().sum() for f in (lambda q, k, v, m, s: attend(q, k, v, 0.25, m, s),
            lambda q, k, v, m, s: smelt.sdpa(q, k, v, scale=0.25, mask=m, sinks=s))]  # fmt: skip
    a, b = (mx.grad(f, argnums=tuple(range(5)))(q, k, v, mask, sinks) for f in both)
    assert all(worst(x, y) < 1e-5 for x, y in zip(a, b))


def more_derivatives_agree(mine, theirs, inputs, tolerance=1e-4):
    """Gradients of gradients, of a loss in which the cotangent depends on the inputs too, and forward mode."""
    numbers, inputs = tuple(range(len(inputs))), list(inputs)
    weights = [mx.random.normal(i.shape) for i in inputs]

    def twice(f):
        loss = lambda *a: sum((r.astype(mx.float32).square() * r).sum() for r in f(*a))  # noqa: E731
        first = lambda *a: mx.vjp(lambda *a: [loss(*a)], list(a), [mx.array(1.0)])[1]  # noqa: E731
        second = lambda *a: [sum((g * w).sum() for g, w in zip(first(*a), weights))]  # noqa: E731
        return mx.vjp(second, inputs, [mx.array(1.0)])[1]

    tangents = [w.astype(i.dtype) for w, i in zip(weights, inputs)]
    pairs = [twice(f) for f in (mine, theirs)], [mx.jvp(f, inputs, tangents)[1] for f in (mine, theirs)]
    for ours, others in pairs:
        assert len(ours) == len(others)
        for a, b in zip(ours, others):
            assert a.shape == b.shape and a.dtype == b.dtype
            assert worst(a, b) <= tolerance * mx.abs(b).max().item()


def test_more_derivatives_of_norms():
    x, e, w, b = (mx.random.normal(s) for s in ((2, 4, 33), (2, 4, 33), (33,), (33,)))
    one = lambda f: lambda *a: (f(*a),)  # noqa: E731
    more_derivatives_agree(one(lambda x: fast.rms_norm(x, None, 1e-5)), one(lambda x: rms_norm(x, None, 1e-5)), (x,))
    more_derivatives_agree(one(lambda x, w: fast.rms_norm(x, w, 1e-5)), one(lambda x, w: rms_norm(x, w, 1e-5)), (x, w))
    gemma = lambda x, w: fast.rms_norm(x, w, 1e-5, weight_offset=1.0)  # noqa: E731
    more_derivatives_agree(one(gemma), one(lambda x, w: rms_norm(x, 1 + w, 1e-5)), (x, w))
    for given in ((x, w, b), (x, w), (x,)):
        ours, theirs = (one(lambda *a, f=f: f(*a, *[None] * (3 - len(a)), 1e-5)) for f in (fast.layer_norm, layer_norm))
        more_derivatives_agree(ours, theirs, given)
    ours = lambda e, x, w, b: fast.norm_add(e, x, w, 1e-5, scalar=b)  # noqa: E731
    more_derivatives_agree(one(ours), one(lambda e, x, w, b: (e + rms_norm(x, w, 1e-5)) * b), (e, x, w, b))
    ours = lambda e, x, w, b: fast.residual_norm(e, x, w, 1e-5, scalar=b)  # noqa: E731
    more_derivatives_agree(ours, lambda e, x, w, b: (rms_norm(e + x, w, 1e-5) * b, e + x), (e, x, w, b))
    half = x.astype(mx.bfloat16)
    ours = one(lambda x, w: fast.rms_norm(x, w, 1e-5))
    more_derivatives_agree(ours, one(lambda x, w: rms_norm(x, w, 1e-5)), (half, w), 2e-2)


def test_tangents_of_some_inputs():
    x, w = mx.random.normal((4, 8)), mx.random.normal((8,))
    a, b = (mx.jvp(lambda x, f=f: f(x, w, 1e-5), [x], [w + x])[1][0] for f in (fast.rms_norm, rms_norm))
    assert worst(a, b) < 1e-5


def test_more_derivatives_of_rope():
    x = mx.random.normal((2, 3, 5, 16))
    for traditional in (False, True):
        ours = lambda x: (rope(x, 8, traditional, offset=3),)  # noqa: B023, E731
        more_derivatives_agree(ours, lambda x: (rotate(x, 8, traditional, 1e4, 1.0, 3),), (x,), 1e-5)  # noqa: B023


def test_derivatives_that_there_are_not():
    x = mx.random.normal((2, 8))
    gate = lambda x: smelt.swiglu(x, x)  # noqa: E731
    first = mx.grad(lambda x: gate(x).square().sum())
    for call in (
        lambda: mx.jvp(gate, [x], [x]),
        lambda: mx.grad(lambda x: first(x).square().sum())(x),
        lambda: mx.vmap(gate)(x[None]),
        lambda: mx.compile(gate)(x),
    ):
        with pytest.raises((NotImplementedError, ValueError)):
            mx.eval(call())


def test_within_a_custom_function():
    """The way of those who bring a gradient of their own."""

    @mx.custom_function
    def double(x):
        return fast.rms_norm(x, None, 1e-5)

    @double.vjp
    def double_vjp(x, cotangent, result):
        return 2 * cotangent

    assert worst(mx.grad(lambda x: double(x).sum())(mx.ones((2, 8))), mx.full((2, 8), 2.0)) == 0
    assert np.isfinite(np.array(double(mx.ones((2, 8))))).all()
