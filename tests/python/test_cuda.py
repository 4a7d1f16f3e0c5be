# SPDX-License-Identifier: Apache-2.0
"""CUDA arrays of PyTorch, CuPy and JAX: the results of the CPU, on the library's current stream. Skipped without a card.

With a card, the CUDA preset built and PYTHONPATH set to a package with that extension: python -m pytest tests/python/test_cuda.py
"""

import ctypes

import numpy as np
import pytest

import smelt


def has_card():
    try:
        cuda, count = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
        return cuda.cuInit(0) == 0 and cuda.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not has_card(), reason="no CUDA device")


class Torch:
    name = "torch"

    def __init__(self):
        self.torch = pytest.importorskip("torch")
        if not self.torch.cuda.is_available():
            pytest.skip("torch has no CUDA")

    def array(self, value):
        return self.torch.from_numpy(np.array(value)).cuda()

    def cast(self, array, dtype):
        return array.to(getattr(self.torch, dtype))

    def numpy(self, array):
        assert array.is_cuda
        return (array.float() if array.is_floating_point() else array).cpu().numpy()


class CuPy:
    name = "cupy"

    def __init__(self):
        self.cupy = pytest.importorskip("cupy")

    def array(self, value):
        return self.cupy.asarray(value)

    def cast(self, array, dtype):
        if dtype == "bfloat16":
            pytest.skip("CuPy arrays here have no bfloat16")
        return array.astype(dtype)

    def numpy(self, array):
        assert isinstance(array, self.cupy.ndarray)
        array = self.cupy.asnumpy(array)
        return array.astype(np.float32) if array.dtype.kind == "f" else array


class Jax:
    name = "jax"

    def __init__(self):
        self.jax = pytest.importorskip("jax")
        try:
            self.device = self.jax.devices("cuda")[0]
        except RuntimeError:
            pytest.skip("JAX has no CUDA")

    def array(self, value):
        return self.jax.device_put(value, self.device)

    def cast(self, array, dtype):
        return array.astype(dtype)

    def numpy(self, array):
        assert next(iter(array.devices())).platform == "gpu"
        array = np.asarray(array)
        return array.astype(np.float32) if array.dtype.kind in "fV" else array


@pytest.fixture(params=[Torch, CuPy, Jax], ids=lambda c: c.name)
def card(request):
    return request.param()


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


X, Y, W, B = normal(6, 5, 256), normal(6, 5, 256, seed=1), normal(256), normal(256, seed=1)
Q, K, V = normal(2, 8, 33, 64), normal(2, 2, 70, 64), normal(2, 2, 70, 64, seed=1)
CALLS = {
    "rms_norm": (lambda x, w: smelt.rms_norm(x, w, 1e-5), X, W),
    "rms_norm without weight": (lambda x: smelt.rms_norm(x, None, 1e-5), X),
    "layer_norm": (lambda x, w, b: smelt.layer_norm(x, w, b, 1e-5), X, W, B),
    "norm_add": (lambda x, y, w: smelt.norm_add(x, y, w, 1e-5), X, Y, W),
    "residual_norm": (lambda x, y, w: smelt.residual_norm(x, y, w, 1e-5), X, Y, W),
    "rope": (lambda x: smelt.rope(x, 64, traditional=False, base=1e4, scale=1.0, offset=3), Q),
    "rope at positions": (lambda x, p: smelt.rope_with_positions(x, p, 32, True, 1e4, 1.0), Q, np.arange(16).reshape(2, 8)),
    "sdpa": (lambda q, k, v: smelt.sdpa(q, k, v, return_lse=True), Q, K, V),
    "sdpa causal": (lambda q, k, v: smelt.sdpa(q, k, v, causal=True, softcap=5.0, window=20, return_lse=True), Q, K, V),
    "sdpa masked": (lambda q, k, v, m: smelt.sdpa(q, k, v, mask=m), Q, K, V, normal(33, 70) > -1),
    "sdpa sinks": (lambda q, k, v, s: smelt.sdpa(q, k, v, sinks=s), Q, K, V, normal(8)),
    "sdpa one query": (lambda q, k, v: smelt.sdpa(q, k, v), Q[:, :, :1], K, V),
    "swiglu": (smelt.swiglu, X, Y),
    "geglu": (smelt.geglu, X, Y),
    "moe_routing": (lambda x: smelt.moe_routing(x, 4), X),
}
TOLERANCE = {"float32": 2e-5, "float16": 4e-3, "bfloat16": 3e-2}


def results(value):
    return value if isinstance(value, tuple) else (value,)


def same(card, mine, expected, tolerance):
    for a, b in zip(results(mine), results(expected), strict=True):
        a, b = card.numpy(a), np.asarray(b)
        assert a.shape == b.shape
        np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", CALLS)
def test_results(card, name, dtype):
    function, *inputs = CALLS[name]
    if name == "moe_routing" and dtype != "float32":
        pytest.skip("rounded logits tie")
    arrays = [card.cast(card.array(a), dtype) if a.dtype == np.float32 else card.array(a) for a in inputs]
    rounded = [card.numpy(a) for a in arrays]
    mine = function(*arrays)
    assert all(type(r) is type(arrays[0]) for r in results(mine))
    same(card, mine, function(*rounded), TOLERANCE[dtype])


def test_torch_stream_and_out():
    card = Torch()
    torch = card.torch
    stream = torch.cuda.Stream()
    x = card.array(X)
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        for _ in range(20):  # work that the norm has to wait for
            x = x * 1.0
        y = smelt.rms_norm(x, None, 1e-5)
        z = y + 1
    stream.synchronize()
    same(card, z, smelt.rms_norm(X, None, 1e-5) + 1, 2e-5)
    out = torch.empty_like(x)
    assert smelt.rms_norm(x, None, 1e-5, out=out, stream=stream) is out
    stream.synchronize()
    same(card, out, smelt.rms_norm(X, None, 1e-5), 2e-5)


def test_cupy_stream():
    card = CuPy()
    stream = card.cupy.cuda.Stream(non_blocking=True)
    with stream:
        x = card.array(X) * 1.0
        y = smelt.rms_norm(x, None, 1e-5) + 1
    stream.synchronize()
    same(card, y, smelt.rms_norm(X, None, 1e-5) + 1, 2e-5)


def test_torch_gradients():
    card = Torch()
    for name in ("rms_norm", "layer_norm", "swiglu", "sdpa causal", "rope"):
        function, *inputs = CALLS[name]
        here = [card.torch.from_numpy(a).requires_grad_() for a in inputs]
        there = [card.array(a).requires_grad_() for a in inputs]
        for tensors in (here, there):
            sum(r.square().sum() for r in results(function(*tensors))).backward()
        for a, b in zip(there, here):
            same(card, a.grad, b.grad.numpy(), 2e-3)


def test_torch_graph():
    card = Torch()
    x = card.array(X)
    smelt.rms_norm(x, None, 1e-5)
    graph = card.torch.cuda.CUDAGraph()
    with card.torch.cuda.graph(graph):
        y = smelt.rms_norm(x, None, 1e-5)
    x.copy_(card.array(Y[..., :256]))
    graph.replay()
    card.torch.cuda.synchronize()
    same(card, y, smelt.rms_norm(Y, None, 1e-5), 2e-5)


def test_jax_jit_and_grad():
    card = Jax()
    jax = card.jax
    for name in ("rms_norm", "swiglu", "sdpa causal", "rope"):
        function, *inputs = CALLS[name]
        arrays = [card.array(a) for a in inputs]
        same(card, jax.jit(function)(*arrays), function(*inputs), 2e-5)
        loss = lambda *a: sum((r**2).sum() for r in results(function(*a)))  # noqa: E731
        gradients = jax.jit(jax.grad(loss, argnums=tuple(range(len(arrays)))))(*arrays)
        cpu = jax.devices("cpu")[0]
        expected = jax.grad(loss, argnums=tuple(range(len(arrays))))(*[jax.device_put(a, cpu) for a in inputs])
        same(card, gradients, expected, 2e-3)


def test_devices_do_not_mix():
    card = Torch()
    with pytest.raises(ValueError, match="weight: expected device"):
        smelt.rms_norm(card.array(X), card.torch.from_numpy(W), 1e-5)
