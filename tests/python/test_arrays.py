# SPDX-License-Identifier: Apache-2.0
"""Arrays in and out: strides, read-only memory, out=, foreign objects, leaks, and whatever hypothesis thinks of."""

import gc
import sys
import weakref

import numpy as np
import pytest
import reference
from conftest import BFLOAT16, Library
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import smelt


def test_strides(random):
    base = random.standard_normal((12, 10, 64)).astype(np.float32)
    for x in (base[::2, ::-1], base.transpose(2, 1, 0), base[..., ::3], np.broadcast_to(base[0, 0], (5, 64)), base[:, 3:4]):
        np.testing.assert_allclose(smelt.rms_norm(x, None, 1e-5), reference.rms_norm(x), atol=1e-5)
    packed = np.zeros(3, dtype=[("a", "i1"), ("b", "f4")])["b"]
    with pytest.raises(ValueError, match="x: expected strides"):
        smelt.rms_norm(packed, None, 1e-5)


def test_read_only_input_and_output():
    x = np.ones((2, 8), np.float32)
    x.flags.writeable = False
    assert smelt.rms_norm(x, None, 1e-5).flags.writeable
    with pytest.raises(ValueError, match="out: .*read-only"):
        smelt.rms_norm(np.ones((2, 8), np.float32), None, 1e-5, out=x)
    for name in ("jax", "mlx"):
        pytest.importorskip(name)
        y = Library(name).array(np.ones((2, 8), np.float32))
        with pytest.raises(ValueError, match="out: .*read-only"):
            smelt.rms_norm(y, None, 1e-5, out=y)


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_out(name, random):
    if name != "numpy":
        pytest.importorskip(name)
    library = Library(name)
    x = library.array(random.standard_normal((3, 8)), "float32")
    expected = library.numpy(smelt.rms_norm(x, None, 1e-5)).copy()
    out = library.array(np.zeros((3, 8), np.float32))
    assert smelt.rms_norm(x, None, 1e-5, out=out) is out
    np.testing.assert_array_equal(library.numpy(out), expected)
    assert smelt.rms_norm(x, None, 1e-5, out=x) is x
    np.testing.assert_array_equal(library.numpy(x), expected)
    q = library.array(random.standard_normal((1, 2, 3, 8)), "float32")
    wanted = library.numpy(smelt.sdpa(q, q, q)).copy()
    assert smelt.sdpa(q, q, q, out=(o := library.array(np.zeros((1, 2, 3, 8), np.float32)))) is o
    np.testing.assert_array_equal(library.numpy(o), wanted)
    for bad in (library.array(np.zeros((3, 7), np.float32)), library.array(np.zeros((3, 8), np.float16))):
        with pytest.raises(ValueError, match="out"):
            smelt.rms_norm(x, None, 1e-5, out=bad)
    residual = library.array(np.ones((3, 8), np.float32))
    normed, total = smelt.residual_norm(residual, x, None, 1e-5, sum=residual)
    assert total is residual
    np.testing.assert_allclose(library.numpy(residual), 1 + expected, atol=1e-6)


def test_foreign_objects():
    x = np.ones((2, 8), np.float32)

    class Raises:
        def __dlpack__(self, **options):
            raise BufferError("not today")

    class Lies:
        def __dlpack__(self, **options):
            return "capsule"

    for thing, kind in [
        (5, TypeError),
        ("x", TypeError),
        ([1.0, 2.0], TypeError),
        (None, TypeError),
        (np.float32(3), TypeError),
        (np.random.default_rng(), TypeError),
        (np.ndarray, TypeError),
        (object(), TypeError),
        (Raises(), BufferError),
        (Lies(), TypeError),
        (np.array(["a", "b"]), (TypeError, ValueError)),
        (np.array([object()]), TypeError),
        (np.ones(3, ">f4"), (TypeError, ValueError)),
        (np.ones(3, np.complex64), ValueError),
        (np.ones(3, np.longdouble), (TypeError, ValueError)),
    ]:
        with pytest.raises(kind):
            smelt.rms_norm(thing, None, 1e-5)
    for weight in (5, [1.0] * 8, "w", Lies()):
        with pytest.raises(TypeError, match="weight"):
            smelt.rms_norm(x, weight, 1e-5)
    for eps in ("small", None, [1]):
        with pytest.raises(TypeError, match="eps"):
            smelt.rms_norm(x, None, eps)
    with pytest.raises(ValueError, match="rank of at most 32"):
        smelt.rms_norm(x.reshape((1,) * 30 + (1, 2, 8)), None, 1e-5)


def test_libraries_do_not_mix():
    libraries = [Library(n) for n in ("numpy", "torch", "jax", "mlx") if n == "numpy" or pytest.importorskip(n)]
    for a in libraries:
        for b in libraries:
            if a is not b:
                with pytest.raises(TypeError, match=f"weight: expected an array of {a.name}"):
                    smelt.rms_norm(a.array(np.ones((2, 8), np.float32)), b.array(np.ones(8, np.float32)), 1e-5)


def test_a_subclass_belongs_to_its_library(random):
    class Mine(np.ndarray):
        pass

    x = random.standard_normal((2, 8)).astype(np.float32)
    np.testing.assert_array_equal(smelt.rms_norm(x.view(Mine), None, 1e-5), smelt.rms_norm(x, None, 1e-5))


class Legacy:
    """A library from before DLPack 1: no max_version, results come back as our own buffer."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_legacy_capsules(random):
    x = random.standard_normal((2, 8)).astype(np.float32)
    np.testing.assert_allclose(np.from_dlpack(smelt.rms_norm(Legacy(x), None, 1e-5)), reference.rms_norm(x), atol=1e-5)


def test_cuda_arrays_are_asked_for_with_their_stream(monkeypatch):
    """Without a card: what CuPy is asked. Its memory is then said to be on the CPU, so that the call goes through."""
    import types

    asked = []
    stream = types.SimpleNamespace(ptr=77)
    cuda = types.SimpleNamespace(get_current_stream=lambda device: stream)
    monkeypatch.setitem(sys.modules, "cupy", types.SimpleNamespace(cuda=cuda))
    monkeypatch.delitem(sys.modules, "smelt._cupy", raising=False)

    class Array:
        __module__ = "cupy"

        def __dlpack_device__(self):
            return 2, 0

        def __dlpack__(self, **options):
            asked.append(options)
            return np.ones((2, 8), np.float32).__dlpack__()

    for given, expected in ((None, 77), (5, 5), (types.SimpleNamespace(ptr=9), 9), (types.SimpleNamespace(cuda_stream=0), 1)):
        smelt.rms_norm(Array(), None, 1e-5, stream=given)
        assert asked.pop()["stream"] == expected


def test_nothing_leaks(library):
    x = library.array(np.ones((64, 1024), np.float32))
    w = library.array(np.ones(1024, np.float32))
    short = library.array(np.ones(3, np.float32))

    def work():
        for _ in range(50):
            smelt.rms_norm(x, w, 1e-5)
            smelt.residual_norm(x, x, w, 1e-5)
            for weight in (short, 5, np.ones(1024, np.float32) if library.name != "numpy" else "w"):
                with pytest.raises((ValueError, TypeError)):
                    smelt.rms_norm(x, weight, 1e-5)

    work()
    gc.collect()
    counts, memory = (sys.getrefcount(x), sys.getrefcount(w)), resident()
    work(), work()
    gc.collect()
    assert (sys.getrefcount(x), sys.getrefcount(w)) == counts
    assert resident() - memory < 24 * 1024  # kB; every result that leaked would be 256


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4


def test_a_result_outlives_its_buffer(library):
    y = smelt.rms_norm(library.array(np.ones((2, 64), np.float32)), None, 1e-5)
    gc.collect()
    junk = [np.full(128, 7, np.float32) for _ in range(64)]
    np.testing.assert_allclose(library.numpy(y), 1, atol=1e-4)
    del junk


def test_buffer_is_freed():
    result = smelt.rms_norm(Legacy(np.ones((2, 8), np.float32)), None, 1e-5)
    array = np.from_dlpack(result)
    seen = weakref.ref(array)
    del result, array
    gc.collect()
    assert seen() is None


def test_importing_needs_no_other_library():
    import subprocess

    code = (
        "import sys, numpy, smelt; smelt.rms_norm(numpy.ones((1, 8), 'f4'), None, 1e-5); "
        "print([m for m in ('torch', 'jax', 'mlx', 'ml_dtypes') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


FUZZED = [name for name in smelt.fast.__all__ if name != "metal_kernel"]  # that has its own
DTYPES = [np.float32, np.float16, np.float64, BFLOAT16, np.int32, np.int8, np.uint64, np.bool_, np.complex64, object]
values = st.builds(
    lambda shape, dtype, seed: np.random.default_rng(seed).standard_normal(shape).astype(dtype),
    st.lists(st.integers(0, 5), max_size=5),
    st.sampled_from(DTYPES[:-1]),
    st.integers(0, 99),
)
views = st.builds(lambda value, step: value[..., ::step] if value.ndim else value, values, st.sampled_from([1, 2, -1]))
nonsense = st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.booleans() | st.just([1.0]) | st.just((1, 2))
strange = st.just(np.empty(2, object)) | st.just(np.ones(2, ">f4")) | st.just(np.array(["a"])) | st.just(np.float32(1))


def foreign(library):
    """Arrays of the library, some of them of its stranger kinds."""
    import warnings

    def make(value, kind):
        name = value.dtype.name
        with warnings.catch_warnings():  # JAX says that it has no float64
            warnings.simplefilter("ignore")
            array = library.array(value if name != "bfloat16" else value.astype(np.float32), name)
        if library.name == "torch":
            if kind == 1 and array.is_floating_point():
                return array.requires_grad_()
            return array.to_sparse() if kind == 2 else array.to("meta") if kind == 3 else array
        return array

    return st.builds(make, values, st.integers(0, 9))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_crashes(library, data):
    import inspect

    things = (views | strange if library.name == "numpy" else foreign(library)) | nonsense
    function = getattr(smelt.fast, data.draw(st.sampled_from(FUZZED)))
    parameters = inspect.signature(function).parameters.values()
    names = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    count = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)
    arguments = data.draw(st.lists(things, min_size=count, max_size=count))
    if arguments and data.draw(st.booleans()):  # one array for all is more often right
        arguments = [arguments[0] if a is not None and hasattr(a, "dtype") else a for a in arguments]
    keywords = data.draw(st.dictionaries(st.sampled_from(names), things, max_size=4))
    try:
        function(*arguments, **keywords)
    except (ValueError, TypeError, BufferError) as error:
        assert str(error)
    except RuntimeError as error:  # a tensor as a flag
        assert "ambiguous" in str(error) or "meta" in str(error)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.permutations(range(4)), st.integers(0, 999))
def test_any_strides(shape, order, seed):
    base = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    x = base.transpose([i for i in order if i < len(shape)])[..., :: -1 if seed % 2 else 1]
    np.testing.assert_allclose(smelt.rms_norm(x, None, 1e-5), reference.rms_norm(x), atol=1e-5)
    np.testing.assert_allclose(smelt.swiglu(x, x), reference.glu(x, x), atol=1e-5)
