# SPDX-License-Identifier: Apache-2.0
"""rope and its kin on the arrays of every library."""

import numpy as np
import pytest
import reference
from conftest import TOLERANCE

import smelt


def close(library, result, expected, dtype="float32"):
    assert library.owns(result)
    t = 2 * TOLERANCE[dtype]
    np.testing.assert_allclose(library.numpy(result).astype(np.float64), expected, atol=t, rtol=t)


def positions(x, offset):
    offset = np.asarray(offset).reshape(-1, 1)
    return np.broadcast_to(offset + np.arange(x.shape[-2]), (x.shape[0], x.shape[-2]))


def run(x, dims, **options):
    options = {"traditional": False, "base": 10000.0, "scale": 1.0, "offset": 0} | options
    return smelt.fast.rope(x, dims, **options)


@pytest.mark.parametrize("base,scale,offset", [(1e4, 1.0, 0), (1e6, 1.0, 3), (1e4, 2.0, 3), (1e4, 0.5, -2)])
@pytest.mark.parametrize("traditional", [False, True])
@pytest.mark.parametrize("dims", [8, 4])
def test_grid(library, dtype, base, scale, offset, traditional, dims, random):
    x = library.array(random.standard_normal((2, 4, 8)), dtype)
    exact = library.numpy(x)
    expected = reference.rope(exact, dims, positions(exact, offset), reference.frequencies(base, dims), traditional, scale)
    for given in (offset, library.array(offset, "int32"), np.int64(offset)):
        result = run(x, dims, base=base, scale=scale, offset=given, traditional=traditional)
        close(library, result, expected, dtype)


@pytest.mark.parametrize("batch,heads,time", [(3, 1, 4), (8, 3, 4), (11, 5, 4), (2, 4, 1), (4, 7, 1), (8, 1, 1)])
def test_offset_per_sequence(library, batch, heads, time, random):
    x = library.array(random.standard_normal((batch, heads, time, 32)), "float32")
    offset = random.integers(0, 50, batch)
    for traditional in (False, True):
        exact = library.numpy(x)
        expected = reference.rope(exact, 32, positions(exact, offset), reference.frequencies(1e4, 32), traditional)
        close(library, run(x, 32, offset=library.array(offset, "int32"), traditional=traditional), expected)
        expected = reference.rope(exact, 32, positions(exact, 5), reference.frequencies(1e4, 32), traditional)
        close(library, run(x, 32, offset=library.array([5], "int64" if library.name in ("numpy", "torch") else "int32"), traditional=traditional), expected)


def test_transposed(library, random):
    for shape in ((2, 6, 8, 64), (1, 1, 4, 8), (1, 64, 3, 32)):
        data = random.standard_normal(shape)
        x = library.array(data, "float32")
        x = x.transpose(1, 2) if library.name == "torch" else x.swapaxes(1, 2)
        exact = library.numpy(x)
        expected = reference.rope(exact, shape[-1], positions(exact, 3), reference.frequencies(1e4, shape[-1]))
        close(library, run(x, shape[-1], offset=3), expected)


def test_freqs(library, random):
    x = library.array(random.standard_normal((1, 1, 3, 8)), "float32")
    freqs = library.array(random.uniform(1, 100, 4), "float32")
    exact = library.numpy(x)
    expected = reference.rope(exact, 8, positions(exact, 2), 1 / library.numpy(freqs))
    close(library, run(x, 8, base=None, freqs=freqs, offset=2), expected)
    single = run(x[:, :, :1], 8, base=None, freqs=freqs, offset=2)
    close(library, single, expected[:, :, :1])


def test_per_token(library, random):
    x = library.array(random.standard_normal((2, 3, 4, 8)), "float32")  # (B, T, H, D)
    ids = random.integers(0, 40, (2, 3))
    heads_first = library.numpy(x).swapaxes(1, 2)
    expected = reference.rope(heads_first, 8, ids, reference.frequencies(1e6, 8)).swapaxes(1, 2)
    close(library, smelt.rope_with_positions(x, library.array(ids, "int32"), 8, False, 1e6, 1.0), expected)
    inverse = random.uniform(0.01, 1, 3)
    f = library.array(inverse, "float32")
    expected = reference.rope(heads_first, 6, ids, inverse, scale=0.5).swapaxes(1, 2)
    close(library, smelt.rope_with_freqs(x, library.array(ids, "int32"), 6, False, 0.5, f), expected)


def test_large_offset(library, random):
    x = library.array(random.standard_normal((1, 1, 64, 32)), "bfloat16")
    exact = library.numpy(x)
    expected = reference.rope(exact, 32, positions(exact, 4000), reference.frequencies(1e4, 32))
    close(library, run(x, 32, offset=4000), expected, "bfloat16")


def test_errors(library):
    x = library.array(np.ones((1, 4, 64), np.float32))
    for dims in (0, -2, 7, 128):
        with pytest.raises(ValueError, match="dims"):
            run(x, dims)
    for dims in (32, 64):
        run(x, dims)
    small = library.array(np.ones((8, 2, 8), np.float32))
    for options, name in [
        ({"base": None, "freqs": library.array(np.ones(7), "float32")}, "freqs"),
        ({"base": None, "freqs": library.array(np.ones((1, 8)), "float32")}, "freqs"),
        ({"freqs": library.array(np.ones(4), "float32")}, "base"),
        ({"base": None}, "base"),
        ({"offset": library.array([1, 2, 3], "int32")}, "offset"),
        ({"offset": library.array(np.ones((8, 1)), "int32")}, "offset"),
        ({"offset": library.array([1.0], "float32")}, "offset"),
    ]:
        with pytest.raises(ValueError, match=name):
            run(small, 8, **options)
    with pytest.raises(ValueError, match="floating"):
        run(library.array(np.ones((1, 4, 8)), "int32"), 8)
    with pytest.raises(ValueError, match="a:|x:"):
        run(library.array(np.ones((4, 8)), "float32"), 8)
    with pytest.raises(TypeError, match="offset"):
        run(small, 8, offset=1.5)
    with pytest.raises(TypeError, match="dims"):
        run(small, "8")
