# SPDX-License-Identifier: Apache-2.0
"""smelt.metal: whole files from Python."""

import ctypes

import numpy as np
import pytest
from conftest import BFLOAT16

import smelt

if smelt.info()["compiler"] is None:
    pytest.skip("the Metal compiler is not built", allow_module_level=True)

TEXT = """
#include <metal_stdlib>
using namespace metal;
struct Options { char shift; float scale; ushort count; };
constant bool negate [[function_constant(0)]];
constant uint offset [[function_constant(3)]];
kernel void apply(device const float *x [[buffer(0)]], device float *out [[buffer(1)]], constant Options &o [[buffer(2)]],
                  uint i [[thread_position_in_grid]]) {
    if (i < o.count) out[i] = (negate ? -x[i] : x[i]) * o.scale + o.shift + offset;
}
kernel void sums(device const int *x, device int *out, threadgroup int *partial [[threadgroup(0)]],
                 ushort t [[thread_position_in_threadgroup]], ushort n [[threads_per_threadgroup]],
                 uint group [[threadgroup_position_in_grid]], uint i [[thread_position_in_grid]]) {
    partial[t] = x[i];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (t == 0) { int sum = 0; for (ushort k = 0; k < n; k++) sum += partial[k]; out[group] = sum; }
}
template <typename T> kernel void twice(device T *x [[buffer(0)]], uint i [[thread_position_in_grid]]) { x[i] = x[i] * T(2); }
template [[host_name("twice_f32")]] kernel void twice<float>(device float *, uint);
template [[host_name("twice_bf16")]] kernel void twice<bfloat>(device bfloat *, uint);
"""


@pytest.fixture(scope="module")
def library():
    return smelt.metal.Library(TEXT)


def test_functions(library):
    assert library.functions == ["apply", "sums", "twice_f32", "twice_bf16"]
    f = library.function("sums")
    assert [(b.kind, b.index, b.name, b.type, b.writable, b.element_size) for b in f.bindings] == [
        ("buffer", 0, "x", "int", False, 4), ("buffer", 1, "out", "int", True, 4), ("threadgroup", 0, "partial", "int", True, 4)
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no kernel called missing"):
        library.function("missing")


class Options(ctypes.Structure):
    _fields_ = [("shift", ctypes.c_int8), ("scale", ctypes.c_float), ("count", ctypes.c_uint16)]


RECORD = np.dtype([("shift", "i1"), ("scale", "f4"), ("count", "u2")], align=True)


@pytest.mark.parametrize("options", [Options(3, 0.5, 40), np.array((3, 0.5, 40), RECORD)[()], bytes(Options(3, 0.5, 40)),
                                     bytearray(Options(3, 0.5, 40)), np.array([(3, 0.5, 40)], RECORD)])  # fmt: skip
def test_bytes_and_constants(library, options):
    x, out = np.arange(50, dtype="f4"), np.zeros(50, "f4")
    for negate, offset in [(True, 7), (False, np.uint32(2**31))]:
        f = library.function("apply", constants={0: negate, 3: offset})
        out[:] = 0
        f(buffers={0: x, 1: out}, bytes={2: options}, grid=(50, 1, 1), threadgroup=(32, 1, 1))
        want = np.where(np.arange(50) < 40, (-x if negate else x) * np.float32(0.5) + 3 + np.float32(offset), 0)
        np.testing.assert_allclose(out, want, rtol=1e-6)


def test_threadgroup_memory_and_grid_units(library):
    x, f = np.arange(256, dtype=np.int32), library.function("sums")
    for unit, grid in [("threads", 256), ("threadgroups", (4,)), ("threadgroups", (4, 1, 1))]:
        out = np.zeros(4, np.int32)
        f(buffers={0: x, 1: out}, threadgroup_memory={0: 256}, grid=grid, threadgroup=64, grid_unit=unit)
        assert np.array_equal(out, x.reshape(4, 64).sum(1))


def test_in_place_and_bfloat16(library):
    x = np.arange(40).astype(BFLOAT16)
    library.function("twice_bf16")(buffers={0: x}, grid=(40, 1, 1), threadgroup=(32, 1, 1))
    assert np.array_equal(x.astype("f4"), np.arange(40) * 2)


def test_torch(library):
    torch = pytest.importorskip("torch")
    x = torch.arange(40, dtype=torch.float32)
    library.function("twice_f32")(buffers={0: x}, grid=(40, 1, 1), threadgroup=(32, 1, 1))
    assert torch.equal(x, torch.arange(40, dtype=torch.float32) * 2)


@pytest.mark.parametrize("name", ["jax", "mlx"])
def test_immutable_arrays(library, name):
    """May be read, and not be written."""
    from conftest import Library

    owner = Library(pytest.importorskip(name) and name)
    x, out = owner.array(np.arange(256, dtype="i4")), np.zeros(4, "i4")
    library.function("sums")(buffers={0: x, 1: out}, threadgroup_memory={0: 256}, grid=256, threadgroup=64)
    assert np.array_equal(out, np.arange(256).reshape(4, 64).sum(1))
    with pytest.raises(ValueError, match=r"buffers\[1\]: expected a writable array"):
        library.function("sums")(buffers={0: x, 1: x}, threadgroup_memory={0: 256}, grid=256, threadgroup=64)


def test_modes_defines_and_includes(tmp_path):
    (tmp_path / "helper.h").write_text("inline float helper(float x) { return x * FACTOR; }\n")
    text = '#include "helper.h"\nkernel void k(device float *x) { x[0] = helper(x[0]); x[1] = isnan(x[1]); }'
    for mode, nan in [("safe", 1), ("relaxed", 1), ("fast", 0)]:
        x = np.array([2, np.nan], "f4")
        f = smelt.metal.Library("#include <metal_stdlib>\nusing namespace metal;\n" + text, math_mode=mode,
                                include_dirs=[tmp_path], defines={"FACTOR": 3, "UNUSED": None}).function("k")  # fmt: skip
        f(buffers={0: x})
        assert list(x) == [6, nan]
    with pytest.raises(smelt.CompileError, match="<source>:1:10: .*helper.h"):
        smelt.metal.Library(text)
    file = tmp_path / "k.metal"
    file.write_text("\nkernel void k(device nothing *x) {}")
    with pytest.raises(smelt.CompileError, match="k.metal:2:22: error: unknown type name 'nothing'") as error:
        smelt.metal.Library(file)
    assert "unknown type name" in error.value.log


def test_wrong_calls(library):
    x, out = np.zeros(256, "i4"), np.zeros(4, "i4")
    f = library.function("sums")
    good = {"buffers": {0: x, 1: out}, "threadgroup_memory": {0: 256}, "grid": 256, "threadgroup": 64}
    for change, error, words in [
        ({"buffers": {0: x}}, ValueError, "buffer 1 .out. .* is not bound"),
        ({"buffers": {0: x, 1: out, 2: x}}, ValueError, "no buffer 2"),
        ({"buffers": {0: x[::2], 1: out}}, ValueError, "contiguous"),
        ({"buffers": {-1: x}}, ValueError, "indices of 0 or more"),
        ({"buffers": {0: "text", 1: out}}, TypeError, "expected an array"),
        ({"threadgroup_memory": {}}, ValueError, "threadgroup memory 0 .partial."),
        ({"threadgroup_memory": {0: 40000}}, ValueError, "32768"),
        ({"threadgroup_memory": {0: -1}}, ValueError, "length"),
        ({"bytes": {0: np.int32(1)}}, ValueError, "bound twice"),
        ({"threadgroup": 2048}, ValueError, "1024"),
        ({"threadgroup": 0}, ValueError, "threadgroup"),
        ({"grid": (1, 2, 3, 4)}, ValueError, "three integers"),
        ({"grid_unit": "lanes"}, ValueError, "grid_unit"),
    ]:
        with pytest.raises(error, match=words):
            f(**{**good, **change})
    g = library.function("apply", {0: True, 3: 1})
    with pytest.raises(ValueError, match="at least 12 bytes, got 4"):
        g(buffers={0: np.zeros(4, "f4"), 1: np.zeros(4, "f4")}, bytes={2: np.float32(1)})
    with pytest.raises(TypeError, match="np.uint32"):
        g(buffers={0: np.zeros(4, "f4"), 1: np.zeros(4, "f4")}, bytes={2: 5})
    with pytest.raises(ValueError, match="aligned struct"):
        g(buffers={0: np.zeros(4, "f4"), 1: np.zeros(4, "f4")},
          bytes={2: np.zeros((), [("shift", "i1"), ("scale", "f4"), ("count", "u2")])[()]})  # fmt: skip


def test_arguments_that_constants_switch():
    text = """constant bool masked [[function_constant(20)]];
    kernel void k(device const float *x [[buffer(0)]], const device float *mask [[buffer(1), function_constant(masked)]],
                  device float *y [[buffer(2)]], uint i [[thread_position_in_grid]]) { y[i] = masked ? x[i] * mask[i] : x[i]; }"""
    library = smelt.metal.Library("#include <metal_stdlib>\nusing namespace metal;\n" + text)
    x, y = np.arange(8, dtype="f4"), np.zeros(8, "f4")
    f, g = library.function("k", {20: False}), library.function("k", {20: True})
    assert [b.name for b in f.bindings] == ["x", "y"] and [b.name for b in g.bindings] == ["x", "mask", "y"]
    f(buffers={0: x, 2: y}, grid=8, threadgroup=8)
    assert np.array_equal(y, x)
    g(buffers={0: x, 1: x, 2: y}, grid=8, threadgroup=8)
    assert np.array_equal(y, x * x)
    with pytest.raises(ValueError, match="buffer 1 .mask. .* is not bound"):
        g(buffers={0: x, 2: y}, grid=8, threadgroup=8)
    with pytest.raises(ValueError, match=r"function constant 20 \(masked\) has no value"):
        library.function("k")


def test_wrong_libraries():
    for source, more, error in [(5, {}, TypeError), ("a\0b", {}, ValueError), ("", {"math_mode": "precise"}, ValueError),
                                ("", {"device": "tpu"}, ValueError), ("", {"device": "cuda"}, smelt.UnsupportedError),
                                ("", {"check": True}, smelt.UnsupportedError), ("", {"defines": 5}, TypeError)]:  # fmt: skip
        with pytest.raises(error):
            smelt.metal.Library(source, **more)
    assert smelt.metal.Library("").functions == []
    library = smelt.metal.Library("constant int n [[function_constant(0)]];\nkernel void k(device int *x) { x[0] = n; }")
    with pytest.raises(ValueError, match="function constant 0"):
        library.function("k")
    for value in ("text", None, 2**40, [1]):
        with pytest.raises((TypeError, ValueError)):
            library.function("k", {0: value})
