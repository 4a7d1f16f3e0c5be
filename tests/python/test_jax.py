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


def test_vmap():
    x = r(1, 4, 3, 32)
    close(jax.vmap(lambda x: fast.rms_norm(x, None, 1e-5))(x), fast.rms_norm(x, None, 1e-5), 1e-6)
