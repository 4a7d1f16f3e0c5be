# SPDX-License-Identifier: Apache-2.0
"""Attention on the arrays of every library."""

import numpy as np
import pytest
import reference
from conftest import TOLERANCE

import smelt

fast = smelt.fast.scaled_dot_product_attention


def close(library, result, expected, dtype="float32"):
    assert library.owns(result)
    t = 3 * TOLERANCE[dtype]
    np.testing.assert_allclose(library.numpy(result).astype(np.float64), expected, atol=t, rtol=t)


def make(library, random, q_length, k_length, heads=4, kv_heads=2, dim=16, value_dim=None, batch=2, dtype="float32"):
    shapes = (
        (batch, heads, q_length, dim),
        (batch, kv_heads, k_length, dim),
        (batch, kv_heads, k_length, value_dim or dim),
    )
    return [library.array(random.standard_normal(s), dtype) for s in shapes]


def exact(library, arrays):
    return [library.numpy(a) for a in arrays]


@pytest.mark.parametrize("lengths", [(1, 1), (1, 33), (7, 7), (8, 20), (32, 32)])
@pytest.mark.parametrize("dims", [(16, 16), (72, 72), (192, 128)])
@pytest.mark.parametrize("causal", [False, True])
def test_matrix(library, dtype, lengths, dims, causal, random):
    arrays = make(library, random, *lengths, dim=dims[0], value_dim=dims[1], dtype=dtype)
    expected = reference.sdpa(*exact(library, arrays), scale=0.125, causal=causal)[0]
    close(library, fast(*arrays, scale=0.125, mask="causal" if causal else None), expected, dtype)


def masks(random, q_length, k_length):
    drawn = random.random((2, 4, q_length, k_length)) < 0.5
    drawn[..., 0] = True
    numbers = random.standard_normal((2, 4, q_length, k_length)).astype(np.float32)
    return {
        "boolean": drawn,
        "additive": numbers,
        "of one head": numbers[:, :1],
        "of rank 2": drawn[0, 0],
        "of keys": numbers[0, 0, 0],
        "a scalar": np.array(True),
        "transposed": np.ascontiguousarray(numbers[:1].T).T,
        "logarithm": np.where(drawn, 0, -np.inf).astype(np.float32),
        "integer": np.arange(k_length, dtype=np.int32)[None],
    }


@pytest.mark.parametrize("kind", list(masks(np.random.default_rng(0), 1, 2)))
@pytest.mark.parametrize("q_length", [1, 8, 32])
def test_masks(library, kind, q_length, random):
    arrays = make(library, random, q_length, 33)
    mask = masks(random, q_length, 33)[kind]
    expected = reference.sdpa(*exact(library, arrays), scale=0.25, mask=mask)[0]
    close(library, fast(*arrays, scale=0.25, mask=library.array(mask)), expected)


def test_scale_of_rank_0(library, random):
    arrays = make(library, random, 3, 5)
    expected = reference.sdpa(*exact(library, arrays), scale=0.5)[0]
    close(library, fast(*arrays, scale=library.array(np.float32(0.5))), expected)


def test_three_dimensions(library, random):
    q, k, v = (library.array(random.standard_normal((2, 6, 16)), "float32") for _ in range(3))
    mask = random.random((2, 6, 6)) < 0.7
    mask[..., 0] = True
    expected = reference.sdpa(*(library.numpy(a)[:, None] for a in (q, k, v)), scale=0.25, mask=mask[:, None])[0][:, 0]
    close(library, fast(q, k, v, scale=0.25, mask=library.array(mask)), expected)
    expected = reference.sdpa(*(library.numpy(a)[:, None] for a in (q, k, v)), scale=0.25, causal=True)[0][:, 0]
    close(library, fast(q, k, v, scale=0.25, mask="causal"), expected)


def test_force_fused_changes_nothing(library, random):
    arrays = make(library, random, 8, 16, dim=512)
    plain, forced = (fast(*arrays, scale=0.1, force_fused=f) for f in (False, True))
    assert np.array_equal(library.numpy(plain), library.numpy(forced))


@pytest.mark.parametrize("mask", [None, "causal"])
def test_sinks(library, dtype, mask, random):
    arrays = make(library, random, 5, 9, dtype=dtype)
    sinks = library.array(random.standard_normal(4), dtype)
    expected = reference.sdpa(*exact(library, arrays), scale=0.25, causal=mask == "causal", sinks=library.numpy(sinks))[0]
    close(library, fast(*arrays, scale=0.25, mask=mask, sinks=sinks), expected, dtype)


@pytest.mark.parametrize("length", [1, 8, 32])
def test_fully_masked(library, dtype, length):
    q = library.array(np.ones((1, 2, length, 128)), dtype)
    k = library.array(np.ones((1, 2, 8, 128)), dtype)
    out = library.numpy(fast(q, k, k, scale=0.1, mask=library.array(np.array(False))))
    assert np.array_equal(out.astype(np.float32), np.zeros((1, 2, length, 128), np.float32))


def test_infinite_key(library, random):
    q, k, v = make(library, random, 1, 5, heads=1, kv_heads=1, batch=1)
    q, data = library.array(np.abs(library.numpy(q))), library.numpy(k).copy()
    data[:, :, 2] = -np.inf
    out = library.numpy(fast(q, library.array(data), v, scale=1.0))
    keep = [0, 1, 3, 4]
    expected = reference.sdpa(library.numpy(q), data[:, :, keep], library.numpy(v)[:, :, keep], scale=1.0)[0]
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_slices_of_a_cache(library, random):
    cache = random.standard_normal((2, 1, 2, 64, 16)) * 1e3
    cache[:, :, :, :9] = random.standard_normal((2, 1, 2, 9, 16))
    k, v = (library.array(c, "float32")[:, :, :9] for c in cache)
    q = library.array(random.standard_normal((1, 4, 1, 16)), "float32")
    expected = reference.sdpa(*exact(library, (q, k, v)), scale=0.25)[0]
    for _ in range(2):
        close(library, fast(q, k, v, scale=0.25), expected)


@pytest.mark.parametrize(
    "options",
    [
        {"window": 4, "causal": True},
        {"softcap": 2.0},
        {"causal": True, "kv_offset": 0},
        {"scale": None, "causal": True},
        {"window": 3, "causal": True, "softcap": 5.0, "scale": 0.3},
    ],
)
def test_everything_c_has(library, options, random):
    arrays = make(library, random, 6, 11)
    key_mask = np.ones((2, 11), bool)
    key_mask[0, :3] = False
    out, lse = smelt.sdpa(*arrays, return_lse=True, key_mask=library.array(key_mask), **options)
    expected, expected_lse = reference.sdpa(*exact(library, arrays), key_mask=key_mask, **options)
    close(library, out, expected)
    close(library, lse, expected_lse)


def test_merge(library, random):
    q, k, v = make(library, random, 4, 12)
    parts = [smelt.sdpa(q, k[:, :, s], v[:, :, s], return_lse=True) for s in (np.s_[:5], np.s_[5:])]
    outs, lses = (library.array(np.stack([library.numpy(p[i]) for p in parts])) for i in range(2))
    out, lse = smelt.sdpa_merge(outs, lses)
    expected, expected_lse = reference.sdpa(*exact(library, (q, k, v)))
    close(library, out, expected)
    close(library, lse, expected_lse)


def test_kin_of_emlx(library, random):
    q, k, v = make(library, random, 5, 9)
    e = exact(library, (q, k, v))
    close(library, smelt.scaled_dot_product_attention_causal(q, k, v, 0.25), reference.sdpa(*e, scale=0.25, causal=True)[0])
    key_mask = np.ones((2, 9), np.int32)
    key_mask[1, :2] = 0
    masked = smelt.scaled_dot_product_attention_causal_key_masked
    expected = reference.sdpa(*e, scale=0.25, causal=True, kv_offset=0, key_mask=key_mask)[0]
    close(library, masked(q, k, v, 0.25, library.array(key_mask)), expected)
    one = q[:, :, :1]
    expected = reference.sdpa(library.numpy(one), *e[1:], scale=0.25, causal=True, kv_offset=8, key_mask=key_mask)[0]
    close(library, masked(one, k, v, 0.25, library.array(key_mask)), expected)
    half = [library.array(a, "float16") for a in e]
    assert smelt._arrays.dtype_name(smelt.scaled_dot_product_attention_causal(half[0], k, v, 0.25)) == "float16"


def test_promotion(library, random):
    q, k, v = make(library, random, 3, 4)
    mixed = fast(library.array(library.numpy(q), "float16"), library.array(library.numpy(k), "bfloat16"), v, scale=0.25)
    assert smelt._arrays.dtype_name(mixed) == "float32"
    whole = library.array(np.ones((2, 4, 3, 16)), "int32")
    halves = [library.array(library.numpy(a), "float16") for a in (k, v)]
    assert smelt._arrays.dtype_name(fast(whole, *halves, scale=0.25)) == "float16"


def test_errors(library, random):
    q, k, v = make(library, random, 3, 4)
    half = [library.array(library.numpy(a), "float16") for a in (q, k, v)]
    vector = lambda n, dtype="float32": library.array(np.ones(n), dtype)  # noqa: E731
    cases = [
        (lambda: fast(q, k, v, scale=1.0, mask="lower"), ValueError, "mask"),
        (lambda: fast(q[0, 0, 0], k, v, scale=1.0), ValueError, "q"),
        (lambda: fast(q, k[..., :8], v, scale=1.0), ValueError, "k"),
        (lambda: fast(q, k, v[:, :, :2], scale=1.0), ValueError, "v"),
        (lambda: fast(q[:, :3], k, v, scale=1.0), ValueError, "q|k|heads"),
        (lambda: fast(q[:1], k, v, scale=1.0), ValueError, "k|batch"),
        (lambda: fast(q, k, v, scale=1.0, mask=vector((2, 2, 5))), ValueError, "mask"),
        (lambda: fast(q, k, v, scale=1.0, mask=vector((1, 1, 1, 3, 4))), ValueError, "mask"),
        (lambda: fast(*half, scale=1.0, mask=vector(4)), ValueError, "mask"),
        (lambda: fast(*half, scale=1.0, mask=vector(4, "bfloat16")), ValueError, "mask"),
        (lambda: fast(q, k, v, scale=1.0, sinks=vector(3)), ValueError, "sinks"),
        (lambda: fast(q, k, v, scale=1.0, sinks=vector(())), ValueError, "sinks"),
        (lambda: fast(*half, scale=1.0, sinks=vector(4)), ValueError, "sinks"),
        (lambda: fast(q, k, v, scale=1.0, mask=[1.0]), TypeError, "mask"),
        (lambda: fast(q, 3, v, scale=1.0), TypeError, "k"),
        (lambda: fast(q, k, v), TypeError, "scale"),
        (lambda: smelt.sdpa(q, k, v, window="all"), TypeError, "window"),
        (lambda: smelt.sdpa(q, k, v, softcap=-1.0), ValueError, "softcap"),
    ]
    for call, kind, name in cases:
        with pytest.raises(kind, match=name):
            call()
