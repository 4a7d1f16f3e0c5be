# SPDX-License-Identifier: Apache-2.0
"""JAX: under jit, grad and vmap, against JAX's own arithmetic."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402

import smelt  # noqa: E402

fast = smelt.fast


def r(seed, *shape, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def close(a, b, tolerance=2e-4):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype and x.shape == y.shape
        np.testing.assert_allclose(np.asarray(x, np.float32), np.asarray(y, np.float32), atol=tolerance, rtol=tolerance)


def check(ours, theirs, *inputs):
    """Values under jit and not, and every gradient with a random cotangent."""
    close(jax.jit(ours)(*inputs), ours(*inputs), 1e-6)
    close(ours(*inputs), theirs(*inputs))
    cotangents = jax.tree.map(lambda t: r(9, *t.shape), theirs(*inputs))
    gradient = lambda f: jax.jit(lambda *a: jax.vjp(f, *a)[1](cotangents))(*inputs)  # noqa: E731
    close(gradient(ours), gradient(theirs))


def rms(x, w=1.0):
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w


def attention(q, k, v, mask=0.0, sinks=None):
    s = jnp.einsum("bhqd,bhkd->bhqk", q, k) * 0.25 + mask
    if sinks is not None:
        s = jnp.concatenate([s, jnp.broadcast_to(sinks[None, :, None, None], (*s.shape[:3], 1))], -1)
    return jnp.einsum("bhqk,bhkd->bhqd", jax.nn.softmax(s, -1)[..., : k.shape[2]], v), jax.nn.logsumexp(s, -1)


def test_norms():
    x, y, w, b = r(1, 3, 33), r(2, 3, 33), r(3, 33), r(4, 33)
    check(lambda x, w: fast.rms_norm(x, w, 1e-5), rms, x, w)
    check(lambda x: fast.rms_norm(x, None, 1e-5), rms, x)
    mean = lambda x: x - x.mean(-1, keepdims=True)  # noqa: E731
    check(lambda x, w, b: fast.layer_norm(x, w, b, 1e-5), lambda x, w, b: rms(mean(x), w) + b, x, w, b)
    check(lambda y, x, w: fast.norm_add(y, x, w, 1e-5), lambda y, x, w: y + rms(x, w), y, x, w)
    check(lambda y, x, w: fast.residual_norm(y, x, w, 1e-5), lambda y, x, w: (rms(y + x, w), y + x), y, x, w)


def test_rope():
    def theirs(x):
        angle = (jnp.arange(5) + 2.0)[:, None] * 10000.0 ** (-jnp.arange(8) / 8)
        a, b = x[..., :8], x[..., 8:]
        return jnp.concatenate([a * jnp.cos(angle) - b * jnp.sin(angle), b * jnp.cos(angle) + a * jnp.sin(angle)], -1)

    x = r(1, 2, 3, 5, 16)
    rope = lambda x, offset: fast.rope(x, 16, traditional=False, base=1e4, scale=1.0, offset=offset)  # noqa: E731
    check(lambda x: rope(x, 2), theirs, x)
    close(jax.jit(rope)(x, jnp.array([2, 2])), theirs(x))
    close(jax.grad(lambda x: rope(x, jnp.array([2, 2])).sum())(x), jax.grad(lambda x: theirs(x).sum())(x))


def test_attention():
    q, k, v = r(1, 2, 4, 5, 16), r(2, 2, 4, 7, 16), r(3, 2, 4, 7, 8)
    plain = lambda q, k, v: smelt.sdpa(q, k, v, scale=0.25, return_lse=True)  # noqa: E731
    check(plain, attention, q, k, v)
    full = lambda q, k, v, m, s: smelt.sdpa(q, k, v, scale=0.25, mask=m, sinks=s, return_lse=True)  # noqa: E731
    check(full, attention, q, k, v, r(4, 2, 1, 5, 7), r(5, 4))
    keep = np.random.default_rng(5).random((2, 1, 5, 7)) < 0.7
    keep[..., 0] = True
    masked = lambda q, k, v: fast.scaled_dot_product_attention(q, k, v, scale=0.25, mask=jnp.asarray(keep))  # noqa: E731
    check(masked, lambda q, k, v: attention(q, k, v, jnp.where(keep, 0.0, -jnp.inf))[0], q, k, v)
    lower = jnp.where(jnp.tri(5, 7, 2, dtype=bool), 0.0, -jnp.inf)
    causal = lambda q, k, v: fast.scaled_dot_product_attention(q, k, v, scale=0.25, mask="causal")  # noqa: E731
    check(causal, lambda q, k, v: attention(q, k, v, lower)[0], q, k, v)


def test_merge():
    outs, lses = r(1, 3, 2, 4, 5, 8), r(2, 3, 2, 4, 5)
    theirs = lambda o, s: ((jax.nn.softmax(s, 0)[..., None] * o).sum(0), jax.nn.logsumexp(s, 0))  # noqa: E731
    check(smelt.sdpa_merge, theirs, outs, lses)


def test_glu_and_routing():
    g, u = r(1, 3, 40), r(2, 3, 40)
    check(smelt.swiglu, lambda g, u: jax.nn.silu(g) * u, g, u)
    check(smelt.geglu, lambda g, u: jax.nn.gelu(g) * u, g, u)
    logits, scale = r(3, 5, 16), jnp.abs(r(4, 16))

    def theirs(logits, scale):
        top, ids = jax.lax.top_k(jax.nn.softmax(logits, -1), 3)
        return top / top.sum(-1, keepdims=True) * scale[ids]

    check(lambda logits, scale: smelt.moe_routing(logits, 3, scale)[1], theirs, logits, scale)
    ids = jax.jit(lambda x: smelt.moe_routing(x, 3)[0])(logits)
    np.testing.assert_array_equal(ids, jax.lax.top_k(logits, 3)[1])


def test_dtypes_and_errors():
    for dtype in (jnp.bfloat16, jnp.float16):
        x, w = r(1, 3, 32, dtype=dtype), r(2, 32, dtype=dtype)
        y = jax.jit(lambda x, w: fast.rms_norm(x, w, 1e-5))(x, w)
        assert y.dtype == dtype
        close(y, fast.rms_norm(x, w, 1e-5), 0)
        assert jax.grad(lambda x: fast.rms_norm(x, w, 1e-5).sum())(x).dtype == dtype
    whole = jnp.arange(32)
    assert jax.jit(lambda x, w: fast.rms_norm(x, w, 1e-5))(whole, w).dtype == jnp.float16
    with pytest.raises(ValueError, match="floating"):
        jax.jit(lambda x: fast.rms_norm(x, None, 1e-5))(whole)
    with pytest.raises(ValueError, match="out"):
        jax.jit(lambda x: fast.rms_norm(x, None, 1e-5, out=x))(r(1, 8))


def vmapped(function, axes, *inputs):
    """vmap, also of gradients and of itself, against a loop; how many calls of smelt the program of the vmap holds."""
    size = next(a.shape[0] for a, axis in zip(inputs, axes) if axis == 0)
    pick = lambda i: [a if axis is None else a[i] for a, axis in zip(inputs, axes)]  # noqa: E731

    def gradient(*inputs):
        results, back = jax.vjp(function, *inputs)
        return back(jax.tree.map(jnp.ones_like, results))

    for f, tolerance in ((function, 1e-6), (gradient, 1e-5)):
        loop = jax.tree.map(lambda *r: jnp.stack(r), *[f(*pick(i)) for i in range(size)])
        batch = jax.vmap(f, axes)
        close(jax.jit(batch)(*inputs), loop, tolerance)
    twice = jax.vmap(jax.vmap(function, axes), [axis and 0 if axis is None else 0 for axis in axes])
    stacked = [a if axis is None else jnp.stack([a, 2 * a]) for a, axis in zip(inputs, axes)]
    expected = [jax.vmap(function, axes)(*[a if x is None else a[i] for a, x in zip(stacked, axes)]) for i in range(2)]
    close(twice(*stacked), jax.tree.map(lambda *r: jnp.stack(r), *expected), 1e-6)
    return str(jax.make_jaxpr(jax.vmap(function, axes))(*inputs))


def test_vmap():
    x, w = r(1, 4, 3, 32), r(2, 32)
    rms_norm = lambda x, w: fast.rms_norm(x, w, 1e-5)  # noqa: E731
    assert "scan" not in vmapped(rms_norm, (0, None), x, w)  # one call of C for the whole batch
    assert "scan" in vmapped(rms_norm, (0, 0), x, r(3, 4, 32))
    assert "scan" not in vmapped(lambda x: fast.layer_norm(x, None, None, 1e-5), (0,), x)
    assert "scan" not in vmapped(lambda e, x, w: fast.residual_norm(e, x, w, 1e-5), (0, None, None), x, x[0], w)
    assert "scan" not in vmapped(smelt.swiglu, (0, 0), x, x)
    assert "scan" not in vmapped(lambda x: smelt.moe_routing(x, 3)[1], (0,), x)
    assert "scan" in vmapped(lambda o, s: smelt.sdpa_merge(o, s), (0, 0), r(1, 2, 3, 1, 2, 4, 8), r(2, 2, 3, 1, 2, 4))


def test_vmap_of_rope():
    x = r(1, 4, 2, 3, 5, 16)
    rope = lambda x, offset: fast.rope(x, 16, traditional=False, base=1e4, scale=1.0, offset=offset)  # noqa: E731
    for offset in (jnp.array(3), jnp.array([3]), jnp.array([3, 7])):
        both = jnp.stack([offset + i for i in range(4)])
        for axes, offsets in (((0, None), offset), ((0, 0), both)):
            expected = jnp.stack([rope(x[i], offsets if axes[1] is None else offsets[i]) for i in range(4)])
            close(jax.jit(jax.vmap(rope, axes))(x, offsets), expected, 1e-6)
    close(jax.vmap(rope, (None, 0))(x[0], both), jnp.stack([rope(x[0], b) for b in both]), 1e-6)
    positions = jnp.arange(8).reshape(4, 1, 2)
    tokens = r(2, 4, 1, 2, 3, 16)
    by_position = lambda x, p: smelt.rope_with_positions(x, p, 16, False, 1e4, 1.0)  # noqa: E731
    expected = jnp.stack([by_position(t, p) for t, p in zip(tokens, positions)])
    close(jax.vmap(by_position)(tokens, positions), expected, 1e-6)
    assert "scan" not in vmapped(lambda x: rope(x, 2), (0,), x)


def test_vmap_of_attention():
    q, k, v = r(1, 4, 2, 4, 5, 16), r(2, 4, 2, 2, 7, 16), r(3, 4, 2, 2, 7, 8)
    plain = lambda q, k, v: smelt.sdpa(q, k, v, causal=True, return_lse=True)  # noqa: E731
    assert "scan" not in vmapped(plain, (0, 0, 0), q, k, v)
    assert "scan" not in vmapped(plain, (0, None, None), q, k[0], v[0])
    for shape in ((7,), (5, 7), (1, 5, 7), (1, 1, 5, 7), (2, 1, 5, 7), (2, 4, 5, 7)):
        keep = (r(4, 4, *shape) > -0.5).at[..., 0].set(True)
        masked = lambda q, k, v, keep: smelt.sdpa(q, k, v, mask=keep)  # noqa: E731
        for axes, m in (((0, 0, 0, None), keep[0]), ((0, 0, 0, 0), keep)):
            expected = jnp.stack([masked(q[i], k[i], v[i], m if axes[3] is None else m[i]) for i in range(4)])
            close(jax.vmap(masked, axes)(q, k, v, m), expected, 1e-6)
    lengths = jnp.array([[3, 7]] * 4, jnp.int32)
    limited = lambda q, k, v, n, m: smelt.sdpa(q, k, v, kv_lengths=n, key_mask=m)  # noqa: E731
    key_mask = jnp.ones((2, 7), bool).at[0, 1].set(False)
    expected = jnp.stack([limited(q[i], k[i], v[i], lengths[i], key_mask) for i in range(4)])
    close(jax.vmap(limited, (0, 0, 0, 0, None))(q, k, v, lengths, key_mask), expected, 1e-6)
    added = lambda q, k, v, m, s: smelt.sdpa(q, k, v, mask=m, sinks=s)  # noqa: E731
    vmapped(added, (0, 0, 0, None, None), q, k, v, r(5, 5, 7), r(6, 4))
    vmapped(added, (0, 0, 0, 0, 0), q, k, v, r(5, 4, 2, 1, 5, 7), r(6, 4, 4))


def test_programs_call_c_and_not_python():
    q = r(1, 1, 2, 4, 16)
    step = jax.jit(jax.grad(lambda q: smelt.sdpa(fast.rms_norm(q, None, 1e-5), q, q, causal=True).sum()))
    text = step.lower(q).as_text()
    assert "@smelt_sdpa_vjp" in text and "@smelt_rms_norm_vjp" in text and "callback" not in text


def test_errors_while_tracing():
    x = r(1, 2, 8)
    q = r(1, 1, 2, 4, 8)
    norm = lambda x, w: fast.rms_norm(x, w, 1e-5)  # noqa: E731
    for function, inputs, kind, message in [
        (norm, (x, r(2, 7)), ValueError, "weight: expected length 8"),
        (lambda x: fast.rms_norm(x, np.ones(8, np.float32), 1e-5), (x,), TypeError, "weight: expected an array of jax"),
        (lambda x: fast.rms_norm(x, None, "small"), (x,), TypeError, "eps"),
        (lambda x: fast.rms_norm(x, None, -1.0), (x,), ValueError, "eps"),
        (lambda x: smelt.moe_routing(x, 9), (x,), ValueError, "top_k"),
        (lambda q: smelt.sdpa(q, q[..., :4], q), (q,), ValueError, "k: expected"),
        (lambda q: smelt.sdpa(q, q, q, mask=q), (q,), ValueError, "mask"),
        (lambda x: fast.rope(x, 8, traditional=False, base=None, scale=1.0, offset=0), (q,), ValueError, "base"),
        (lambda x: smelt.swiglu(x, x[0]), (x,), ValueError, "up"),
        (lambda x: smelt.sdpa_merge(x, x), (x,), ValueError, "rank 5"),
    ]:
        for traced in (jax.jit(function), jax.grad(lambda *a: jnp.sum(function(*a)))):
            with pytest.raises(kind, match=message):
                traced(*inputs)
    with pytest.raises(TypeError, match="eps"):
        jax.jit(lambda x, eps: fast.rms_norm(x, None, eps))(x, 1e-5)


def test_what_the_check_computes():
    """Nothing: shapes that no memory could hold are told at once."""
    huge = jax.ShapeDtypeStruct((1 << 20, 1 << 14), jnp.bfloat16)
    gradient = jax.grad(lambda x: fast.rms_norm(x, None, 1e-5).sum())
    assert jax.eval_shape(gradient, huge) == huge
    q, k = (jax.ShapeDtypeStruct((8, 64, length, 128), jnp.float32) for length in (1 << 20, 1 << 22))
    assert jax.eval_shape(lambda q, k: smelt.sdpa(q, k, k, causal=True), q, k) == q


def test_remat_and_scan():
    x, w = r(1, 4, 32), r(2, 32)
    block = lambda x, w: fast.swiglu(fast.rms_norm(x, w, 1e-5), x)  # noqa: E731
    plain = jax.grad(lambda x: block(block(x, w), w).sum())(x)
    close(jax.grad(lambda x: jax.checkpoint(block)(jax.checkpoint(block)(x, w), w).sum())(x), plain, 1e-6)
    scanned = jax.grad(lambda x: jax.lax.scan(lambda c, w: (block(c, w), None), x, jnp.stack([w, w]))[0].sum())(x)
    close(scanned, plain, 1e-6)
