# SPDX-License-Identifier: Apache-2.0
"""Array libraries as fixtures: every one that is installed; NumPy and ml_dtypes always."""

import importlib

import ml_dtypes
import numpy as np
import pytest

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
TOLERANCE = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2, "float64": 1e-5}


class Library:
    """To and from NumPy arrays, exactly."""

    def __init__(self, name):
        self.name = name
        module = {"jax": "jax.numpy", "mlx": "mlx.core"}.get(name, name)
        self.module = pytest.importorskip(module)

    def array(self, value, dtype=None):
        value = np.asarray(value)
        dtype = dtype or value.dtype.name
        if self.name == "numpy":
            return value.astype(BFLOAT16 if dtype == "bfloat16" else dtype)
        if self.name == "torch":
            return self.module.from_numpy(np.ascontiguousarray(value)).to(getattr(self.module, dtype)).reshape(value.shape)
        if self.name == "jax":
            return self.module.asarray(value, dtype="bool" if dtype == "bool" else dtype)
        return self.module.array(value, dtype=getattr(self.module, "bool_" if dtype == "bool" else dtype))

    def numpy(self, array):
        if self.name == "torch":
            array = array.detach()
            return array.float().numpy() if array.dtype == self.module.bfloat16 else array.numpy()
        if self.name == "mlx":
            array = array.astype(self.module.float32) if array.dtype == self.module.bfloat16 else array
            return np.array(array)
        return np.asarray(array)

    def owns(self, array):
        return type(array).__module__.split(".")[0].removesuffix("lib") == self.name


@pytest.fixture(params=["numpy", "torch", "jax", "mlx"])
def library(request):
    if request.param != "numpy":
        pytest.importorskip(request.param)
    return Library(request.param)


@pytest.fixture(params=["float32", "float16", "bfloat16"])
def dtype(request):
    return request.param


@pytest.fixture
def random():
    return np.random.default_rng(7)


def installed(name):
    return importlib.util.find_spec(name) is not None
