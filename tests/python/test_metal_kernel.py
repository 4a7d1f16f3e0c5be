# SPDX-License-Identifier: Apache-2.0
"""smelt.fast.metal_kernel: arrays of every library, dtypes, templates, strides, modes, errors, and what threads see."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from conftest import BFLOAT16, Library

import smelt

if smelt.info()["compiler"] is None:
    pytest.skip("the Metal compiler is not built", allow_module_level=True)

COPY = "out[thread_position_in_grid.x] = inp[thread_position_in_grid.x];"
DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "bfloat16", "float32"]


def kernel(source, inputs=("inp",), outputs=("out",), **more):
    return smelt.fast.metal_kernel(name="test", input_names=list(inputs), output_names=list(outputs), source=source, **more)


def run(k, inputs, shapes, dtypes, grid=None, threadgroup=(32, 1, 1), **more):
    grid = grid or (int(np.prod(shapes[0])), 1, 1)
    return k(inputs=inputs, output_shapes=shapes, output_dtypes=dtypes, grid=grid, threadgroup=threadgroup, **more)


def test_results_belong_to_the_library(library):
    """Every dtype goes in and comes out, by the array's own dtype and by name, small arrays and larger ones."""
    k = kernel(COPY)
    for name in DTYPES:
        for count in (5, 70):
            values = np.arange(count) % 2 if name == "bool" else np.arange(count)
            a = library.array(values, name)
            for dtype in (a.dtype, name):
                (out,) = run(k, [a], [(count,)], [dtype])
                assert library.owns(out) and tuple(out.shape) == (count,) and out.dtype == a.dtype, (name, out)
                assert np.array_equal(library.numpy(out).astype("f8"), library.numpy(a).astype("f8")), name


def test_numpy_bfloat16_is_that_of_ml_dtypes():
    (out,) = run(kernel(COPY), [np.arange(9, dtype="f4")], [(9,)], ["bfloat16"])
    assert out.dtype == BFLOAT16 and np.array_equal(out.astype("f4"), np.arange(9))
    (out,) = run(kernel(COPY), [out], [(9,)], [BFLOAT16.type])
    assert out.dtype == BFLOAT16


def test_without_arrays_the_dtypes_tell_the_library(library):
    dtype = library.array(np.zeros(1, "f4")).dtype
    (out,) = run(kernel("out[thread_position_in_grid.x] = x + 0.5f;", ["x"]), [3], [(4,)], [dtype])
    assert np.array_equal(library.numpy(out), np.full(4, 3.5)) and (library.name == "jax" or library.owns(out))


def test_numbers():
    """Python's numbers are int32, float32 and bool; NumPy's keep their type; all come by reference."""
    source = "out[0] = sizeof(x); out[1] = is_same_v<decltype(x), const constant T&>; out[2] = uint(x);"
    header = "#include <metal_type_traits>\nusing metal::is_same_v;"
    for value, dtype in [(7, "int32"), (7.9, "float32"), (True, "bool"), (np.uint8(7), "uint8"), (np.float16(7), "float16"),
                         (np.array(7, np.int64), "int64"), (BFLOAT16.type(7), "bfloat16")]:  # fmt: skip
        (out,) = run(kernel(source, ["x"], header=header), [value], [(3,)], ["uint32"], (1, 1, 1), template=[("T", dtype)])
        assert list(out) == [np.dtype(BFLOAT16 if dtype == "bfloat16" else dtype).itemsize, 1, 1 if dtype == "bool" else 7]


def test_scalar_array_stays_in_the_library(library):
    one, many = library.array(np.float32(2)), library.array(np.arange(40, dtype="f4"))
    (out,) = run(kernel("out[thread_position_in_grid.x] = a * b[thread_position_in_grid.x] + c;", "abc"),
                 [one, many, 1], [(40,)], ["float32"])  # fmt: skip
    assert library.owns(out) and np.array_equal(library.numpy(out), np.arange(40) * 2 + 1)


def test_templates():
    source = "out[thread_position_in_grid.x] = flag ? T(number) / 2 : T(0);"
    for flag, number, dtype, want in [(True, 7, "float32", 3.5), (True, 7, np.int32, 3), (False, 7, np.float16, 0),
                                      (True, -3, np.dtype("f4"), -1.5), (True, -3, BFLOAT16, -1.5)]:  # fmt: skip
        (out,) = run(kernel(source, []), [], [(3,)], ["float32"],
                     template=[("flag", flag), ("number", number), ("T", dtype)])  # fmt: skip
        assert (out == want).all(), (dtype, out)


def test_strides(random):
    base = random.standard_normal((8, 6, 4)).astype("f4")
    loc = "int64_t i = thread_position_in_grid.x; out[i] = inp[elem_to_loc(i, inp_shape, inp_strides, inp_ndim)];"
    for a in (base, base[::2], base.transpose(2, 0, 1), base[:, ::-1], np.broadcast_to(base[0, 0], (3, 4)), base[:, 2:3]):
        for source, contiguous in [(loc, False), (loc, True), (COPY, True)]:
            (out,) = run(kernel(source, ensure_row_contiguous=contiguous), [a], [a.shape], ["float32"])
            assert np.array_equal(out, a), (a.strides, contiguous)


def test_shapes_by_name():
    source = "out[0] = a_ndim; out[1] = a_shape[0]; out[2] = a_shape[1]; out[3] = int(a_strides[0]); out[4] = int(a_strides[1]);"
    (out,) = run(kernel(source, ["a"]), [np.zeros((3, 5), "f4")], [(5,)], ["int32"], (1, 1, 1))
    assert list(out) == [2, 3, 5, 5, 1]


def test_many_outputs_without_attributes():
    """MLX closes the parameter list too early here."""
    outs = run(kernel("for (int i = 0; i < a_shape[0]; i++) { x[i] = a[i]; y[i] = -a[i]; }", ["a"], ["x", "y"]),
               [np.arange(9, dtype="f4")], [(9,), (9,)], ["float32", "int32"], (1, 1, 1))  # fmt: skip
    assert isinstance(outs, list) and np.array_equal(outs[0], np.arange(9)) and np.array_equal(outs[1], -np.arange(9))


def test_atomic_outputs_and_init_value():
    k = kernel("atomic_fetch_add_explicit(&out[inp[thread_position_in_grid.x]], 1, memory_order_relaxed);", atomic_outputs=True)
    where = np.arange(1000, dtype=np.int32) % 7
    for dtype in ("int32", "uint32", "float32"):
        (out,) = run(k, [where], [(7,)], [dtype], (1000, 1, 1), init_value=2)
        assert np.array_equal(out, np.bincount(where) + 2), dtype


def test_grid():
    source = "uint3 p = thread_position_in_grid; out[(p.z * threads_per_grid.y + p.y) * threads_per_grid.x + p.x] += 1;"
    for grid, group in [((5, 3, 2), (4, 2, 1)), ((33, 1, 1), (1024, 1, 1)), ((1, 7, 1), (1, 3, 1)), ((0, 1, 1), (1, 1, 1))]:
        shape = grid[::-1]
        (out,) = run(kernel(source, []), [], [shape], ["int32"], grid, group, init_value=0)
        assert (out == 1).all() and out.shape == shape


def test_math_modes():
    """`isnan(NaN)` is 1, 1, 0; `(1e8 + 1) - 1e8` is 0, 1, 1; `exp(-inf)` is 0 where infinities are kept."""
    source = "out[0] = isnan(inp[0]); out[1] = (inp[1] + 1.0f) - inp[1]; out[2] = exp(inp[2]);"
    a = np.array([np.nan, 1e8, -np.inf], "f4")
    for mode, want in [("safe", [1, 0, 0]), ("relaxed", [1, 1, 0]), ("fast", [0, 1, None]), (None, [1, 0, 0])]:
        for k in (kernel(source, math_mode=mode), kernel(source, compile_options={"math_mode": mode} if mode else {})):
            (out,) = run(k, [a], [(3,)], ["float32"], (1, 1, 1))
            assert all(w is None or w == o for w, o in zip(want, out)), (mode, out)
    kernel(source, math_mode="fast", compile_options={"math_mode": "fast"})
    with pytest.raises(ValueError, match="math_mode is given twice"):
        kernel(source, math_mode="fast", compile_options={"math_mode": "safe"})
    with pytest.raises(ValueError, match="'safe', 'relaxed', or 'fast'"):
        kernel(source, math_mode="precise")
    with pytest.raises(ValueError, match="Unknown compile option `speed`"):
        kernel(source, compile_options={"speed": 1})
    with pytest.raises(ValueError, match="`compile_options` to be a dict"):
        kernel(source, compile_options="safe")


def test_verbose(capsys):
    k = kernel("out[thread_position_in_grid.x] = twice(inp[thread_position_in_grid.x]);",
               header="template <typename U> U twice(U x) { return x * T(2); }")  # fmt: skip
    run(k, [np.zeros(9, "f4")], [(9,)], ["float32"], template=[("T", "float32")], verbose=True)
    text = capsys.readouterr().out
    assert text.startswith("Generated source code for `test`:") and "U twice(U x)" in text and "[[buffer(1)]]" in text
    run(k, [np.zeros(9, "f4")], [(9,)], ["float32"], template=[("T", "float32")])
    assert not capsys.readouterr().out


def test_same_name_different_sources():
    a = np.zeros(9, "f4")
    kernels = [kernel(f"out[thread_position_in_grid.x] = {i};") for i in range(3)]
    assert [run(k, [a], [(9,)], ["float32"])[0][0] for k in kernels + kernels[::-1]] == [0, 1, 2, 2, 1, 0]


def test_counts():
    k, a = kernel(COPY), np.zeros(8, "f4")
    call = {"inputs": [a], "output_shapes": [(8,)], "output_dtypes": ["float32"], "grid": (8, 1, 1), "threadgroup": (8, 1, 1)}
    for what in ("inputs", "output_shapes", "output_dtypes"):
        for count in (0, 2):
            with pytest.raises(ValueError) as error:
                k(**{**call, what: call[what] * count})
            assert str(error.value) == f"[metal_kernel] Expected `{what}` to have size 1 but got size {count}."
    with pytest.raises(ValueError, match=r"\[metal_kernel\] Must specify at least one output."):
        kernel(COPY, outputs=[])
    with pytest.raises(ValueError, match=r"Thread group size \(4096\) is greater .* \(1024\)"):
        k(**{**call, "threadgroup": (64, 64, 1)})


@pytest.mark.parametrize("value", [1.5, "seven", None, [1], np.zeros(3), 2**40, object()])
def test_template_kinds(value):
    with pytest.raises(ValueError, match="emplate"):
        run(kernel(COPY), [np.zeros(9, "f4")], [(9,)], ["float32"], template=[("N", value)])


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"inputs": ["text"]}, TypeError, "expected arrays and numbers"),
        ({"inputs": [np.zeros(8)]}, ValueError, "float64"),
        ({"inputs": [2**40]}, ValueError, "32 bits"),
        ({"output_dtypes": ["float99"]}, ValueError, "expected a dtype"),
        ({"output_dtypes": [None]}, ValueError, "expected a dtype"),
        ({"output_shapes": [(-1,)]}, ValueError, "no negative number"),
        ({"output_shapes": ["ab"]}, TypeError, "tuples of integers"),
        ({"grid": (8, 1)}, ValueError, "three integers"),
        ({"grid": (8.0, 1, 1)}, TypeError, "three integers"),
        ({"grid": (-8, 1, 1)}, ValueError, "no negative number"),
        ({"grid": (2**40, 1, 1)}, ValueError, "grid"),
        ({"threadgroup": (0, 1, 1)}, ValueError, "threadgroup"),
        ({"init_value": "x"}, TypeError, "real number"),
        ({"template": [1]}, TypeError, "pairs"),
        ({"unknown": 1}, TypeError, "unknown"),
    ],
)
def test_wrong_calls(change, error, words):
    call = {"inputs": [np.zeros(8, "f4")], "output_shapes": [(8,)], "output_dtypes": ["float32"], "grid": (8, 1, 1),
            "threadgroup": (8, 1, 1)}  # fmt: skip
    with pytest.raises(error, match=words):
        kernel(COPY)(**{**call, **change})


def test_wrong_descriptions():
    for change, error in [({"source": 5}, TypeError), ({"name": ""}, ValueError), ({"source": "a\0b"}, ValueError),
                          ({"input_names": "inp"}, TypeError), ({"input_names": ["a b"]}, ValueError),
                          ({"output_names": [1]}, TypeError), ({"header": None}, TypeError),
                          ({"input_names": [f"a{i}" for i in range(70)]}, ValueError)]:  # fmt: skip
        with pytest.raises(error):
            smelt.fast.metal_kernel(**{"name": "x", "input_names": ["inp"], "output_names": ["out"], "source": "", **change})


def test_compile_errors():
    a = np.zeros(9, "f4")
    with pytest.raises(smelt.CompileError, match="test.source:2:8: error: use of undeclared identifier 'nothing'") as error:
        run(kernel("\nout[0]=nothing;"), [a], [(9,)], ["float32"])
    assert "nothing" in error.value.log and isinstance(error.value, RuntimeError)
    with pytest.raises(smelt.CompileError, match="test.header:1:"):
        run(kernel(COPY, header="int f( {"), [a], [(9,)], ["float32"])
    with pytest.raises(smelt.CompileError, match="closes the generated function"):
        run(kernel("} void f() {"), [a], [(9,)], ["float32"])
    assert (run(kernel(COPY), [a], [(9,)], ["float32"])[0] == 0).all()


def test_threads():
    k, wrong = kernel(COPY), []

    def work(seed):
        for i in range(30):
            a = np.arange(100 + i, dtype="f4") + seed
            if not np.array_equal(run(k, [a], [a.shape], ["float32"])[0], a):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(s,)) for s in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong


def test_two_processes_at_once(tmp_path):
    """Both compile the same text into an empty cache; a third reads it without a compiler."""
    code = (
        "import numpy as np, smelt\n"
        "k = smelt.fast.metal_kernel('p', ['a'], ['o'], 'o[thread_position_in_grid.x] = a[thread_position_in_grid.x] * 3;')\n"
        "o, = k(inputs=[np.ones(50, 'f4')], output_shapes=[(50,)], output_dtypes=['float32'], grid=(50, 1, 1),"
        " threadgroup=(32, 1, 1))\nassert (o == 3).all()"
    )
    environment = {**os.environ, "SMELT_CACHE_DIR": str(tmp_path)}
    started = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(2)]
    assert [p.wait(120) for p in started] == [0, 0]
    environment["SMELT_METALC"] = "/nowhere/smelt-metalc"
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
    environment["SMELT_CACHE_DIR"] = str(tmp_path / "other")
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 1 and "install" in result.stderr and "UnsupportedError" in result.stderr
    assert subprocess.run([sys.executable, "-c", "import numpy, smelt; smelt.rms_norm(numpy.ones((2, 8), 'f4'), None, 1e-5)"],
                          env=environment).returncode == 0  # fmt: skip


def test_arrays_of_two_libraries():
    other = Library("mlx") if smelt and __import__("importlib").util.find_spec("mlx") else Library("torch")
    with pytest.raises(TypeError, match="expected an array of numpy"):
        run(kernel("out[0] = a[0] + b[0];", "ab"), [np.zeros(9, "f4"), other.array(np.zeros(9, "f4"))], [(9,)], ["float32"])
