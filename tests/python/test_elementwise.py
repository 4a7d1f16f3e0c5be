# SPDX-License-Identifier: Apache-2.0
"""swiglu, geglu and moe_routing on the arrays of every library."""

import numpy as np
import pytest
import reference
from conftest import TOLERANCE

import smelt


@pytest.mark.parametrize("shape", [(7,), (3, 65), (2, 1, 300)])
def test_glu(library, dtype, shape, random):
    gate, up = (library.array(random.standard_normal(shape) * 3, dtype) for _ in range(2))
    exact = library.numpy(gate), library.numpy(up)
    for result, kind in [
        (smelt.swiglu(gate, up), "silu"),
        (smelt.geglu(gate, up), "tanh"),
        (smelt.geglu(gate, up, approximate=False), "gelu"),
    ]:
        assert library.owns(result)
        expected = reference.glu(*exact, kind)
        t = 2 * TOLERANCE[dtype]
        np.testing.assert_allclose(library.numpy(result).astype(np.float64), expected, atol=t, rtol=t)
    with pytest.raises(ValueError, match="up"):
        smelt.swiglu(gate, up[..., :1] if shape[-1] > 1 else up)


@pytest.mark.parametrize("renormalize", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_moe_routing(library, dtype, renormalize, scaled, random):
    logits = library.array(random.permutation(3 * 5 * 16).reshape(3, 5, 16) / 16, dtype)
    scale = library.array(random.uniform(0.5, 2, 16), dtype) if scaled else None
    ids, weights = smelt.moe_routing(logits, 4, scale, renormalize=renormalize)
    exact = library.numpy(logits).astype(np.float64)
    expected = reference.moe_routing(exact, 4, None if scale is None else library.numpy(scale), renormalize)
    assert smelt._arrays.dtype_name(ids) == "uint32" and smelt._arrays.dtype_name(weights) == "float32"
    np.testing.assert_array_equal(library.numpy(ids), expected[0])
    np.testing.assert_allclose(library.numpy(weights), expected[1], atol=1e-5, rtol=1e-5)


def test_moe_ties_and_errors(library):
    logits = library.array(np.zeros((2, 8), np.float32))
    ids, weights = smelt.moe_routing(logits, 3)
    np.testing.assert_array_equal(library.numpy(ids), [[0, 1, 2]] * 2)
    for top_k in (0, 9, -1):
        with pytest.raises(ValueError, match="top_k"):
            smelt.moe_routing(logits, top_k)
    with pytest.raises(TypeError, match="top_k"):
        smelt.moe_routing(logits, 1.5)
    with pytest.raises(ValueError, match="per_expert_scale"):
        smelt.moe_routing(logits, 3, library.array(np.ones(7, np.float32)))
