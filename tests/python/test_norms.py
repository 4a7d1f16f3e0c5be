# SPDX-License-Identifier: Apache-2.0
"""rms_norm, layer_norm, norm_add and residual_norm on the arrays of every library."""

import numpy as np
import pytest
import reference
from conftest import TOLERANCE

import smelt


def close(library, result, expected, dtype, scale=2.0):
    assert library.owns(result)
    np.testing.assert_allclose(
        library.numpy(result).astype(np.float64), expected, atol=scale * TOLERANCE[dtype], rtol=scale * TOLERANCE[dtype]
    )


@pytest.mark.parametrize("size", [1, 31, 32, 33, 512, 4099])
@pytest.mark.parametrize("eps", [1e-3, 1e-5])
def test_rms_norm(library, dtype, size, eps, random):
    x = library.array(random.standard_normal((2, size)), dtype)
    w = library.array(random.standard_normal(size), dtype)
    exact, weight = library.numpy(x), library.numpy(w)
    close(library, smelt.fast.rms_norm(x, w, eps), reference.rms_norm(exact, weight, eps), dtype)
    close(library, smelt.fast.rms_norm(x, None, eps), reference.rms_norm(exact, None, eps), dtype)
    close(library, smelt.fast.rms_norm(x=x[0], weight=w, eps=eps), reference.rms_norm(exact[0], weight, eps), dtype)


def test_rms_norm_of_gemma(library, dtype, random):
    x = library.array(random.standard_normal((3, 64)), dtype)
    w = library.array(random.standard_normal(64) / 4, dtype)
    result = smelt.rms_norm(x, w, 1e-6, weight_offset=1.0, round_once=True)
    close(library, result, reference.rms_norm(library.numpy(x), library.numpy(w), 1e-6, 1.0), dtype, 1.0)


@pytest.mark.parametrize("size", [31, 32, 33, 4099])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_layer_norm(library, dtype, size, weighted, biased, random):
    x = library.array(random.standard_normal((2, size)), dtype)
    w = library.array(random.standard_normal(size), dtype) if weighted else None
    b = library.array(random.standard_normal(size), dtype) if biased else None
    exact = [None if a is None else library.numpy(a) for a in (x, w, b)]
    close(library, smelt.fast.layer_norm(x, w, b, 1e-5), reference.layer_norm(*exact, 1e-5), dtype, 4.0)


def test_layer_norm_of_a_slice(library, random):
    x = library.array(random.standard_normal((8, 100, 128)), "float32")[:, 99:]
    close(library, smelt.fast.layer_norm(x, None, None, 1e-5), reference.layer_norm(library.numpy(x)), "float32")


@pytest.mark.parametrize("scalar", [None, 1, 64])
def test_residual_norms(library, dtype, scalar, random):
    r, x = (library.array(random.standard_normal((5, 64)), dtype) for _ in range(2))
    w = library.array(random.standard_normal(64), dtype)
    s = None if scalar is None else library.array(random.standard_normal(scalar), dtype)
    er, ex, ew = (library.numpy(a).astype(np.float64) for a in (r, x, w))
    factor = 1.0 if s is None else library.numpy(s).astype(np.float64)
    close(library, smelt.norm_add(r, x, w, 1e-5, scalar=s), (er + reference.rms_norm(ex, ew)) * factor, dtype)
    normed, total = smelt.residual_norm(r, x, w, 1e-5, scalar=s)
    close(library, normed, reference.rms_norm(er + ex, ew) * factor, dtype)
    close(library, total, er + ex, dtype)
    alone = smelt.residual_norm(r, x, w, 1e-5, scalar=s, return_sum=False)
    assert np.array_equal(library.numpy(alone), library.numpy(normed))


def names(library, array):
    return smelt._arrays.dtype_name(array)


def test_promotion(library, random):
    make = lambda dtype: library.array(random.standard_normal((2, 8)), dtype)  # noqa: E731
    vector = lambda dtype: library.array(random.standard_normal(8), dtype)  # noqa: E731
    pairs = [("float16", "bfloat16", "float32"), ("float16", "float32", "float32"), ("bfloat16", "float32", "float32")]
    for x, w, result in pairs:
        assert names(library, smelt.rms_norm(make(x), vector(w), 1e-5)) == result
    whole = library.array(np.arange(16).reshape(2, 8), "int32")
    for w in ("float32", "float16", "bfloat16"):
        y = smelt.rms_norm(whole, vector(w), 1e-5)
        assert names(library, y) == w
    w = vector("float32")
    close(library, smelt.rms_norm(whole, w, 1e-5), reference.rms_norm(library.numpy(whole), library.numpy(w)), "float32")
    # without a weight the bias does not decide
    assert names(library, smelt.layer_norm(make("float16"), None, vector("float32"), 1e-5)) == "float16"
    assert names(library, smelt.layer_norm(make("float16"), vector("float32"), None, 1e-5)) == "float32"
    for bad in (lambda: smelt.rms_norm(whole, None, 1e-5), lambda: smelt.layer_norm(whole, None, w, 1e-5)):
        with pytest.raises(ValueError, match="floating"):
            bad()


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_float64(name, random):
    from conftest import Library

    if name != "numpy":
        pytest.importorskip(name)
    library = Library(name)
    x = library.array(random.standard_normal((2, 8)))
    y = smelt.rms_norm(x, None, 1e-5)
    assert names(library, y) == "float64"
    close(library, y, reference.rms_norm(library.numpy(x)), "float64")
    z = smelt.layer_norm(x, library.array(np.ones(8, np.float32)), None, 1e-5)
    assert names(library, z) == "float64"


def test_bad_weights(library):
    x, w = library.array(np.ones((1, 5), np.float32)), library.array(np.ones(4, np.float32))
    long = library.array(np.ones(129, np.float32))
    whole = library.array(np.ones((4, 128)), "int32")
    for bad, name in [
        (lambda: smelt.fast.rms_norm(x, w, 1e-5), "weight"),
        (lambda: smelt.fast.rms_norm(x, library.array(np.ones((1, 5), np.float32)), 1e-5), "weight"),
        (lambda: smelt.fast.rms_norm(x, library.array(np.float32(1)), 1e-5), "weight"),
        (lambda: smelt.fast.rms_norm(library.array(np.float32(1)), None, 1e-5), "x"),
        (lambda: smelt.fast.layer_norm(x, w, None, 1e-5), "weight"),
        (lambda: smelt.fast.layer_norm(x, None, w, 1e-5), "bias"),
        (lambda: smelt.fast.layer_norm(whole, long, None, 1e-5), "weight"),
        (lambda: smelt.fast.layer_norm(whole, None, long, 1e-5), "bias|floating"),
        (lambda: smelt.fast.rms_norm(x, None, -1.0), "eps"),
        (lambda: smelt.fast.rms_norm(x, None, float("nan")), "eps"),
    ]:
        with pytest.raises(ValueError, match=name):
            bad()


def test_empty(library):
    x = library.array(np.zeros((0, 8), np.float32))
    assert tuple(smelt.rms_norm(x, None, 1e-5).shape) == (0, 8)
