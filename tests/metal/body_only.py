# SPDX-License-Identifier: Apache-2.0
"""mx.fast.metal_kernel's form: generated signatures, attributes, templates, strides, init_value, errors."""

import numpy as np

import smelt_metal
from smelt_metal import COMPILE_ERROR, INVALID_ARGUMENT, Error, Kernel

r = np.random.default_rng(1)


def basic():
    k = Kernel("basic", ["a"], ["out1"], "uint elem = thread_position_in_grid.x;\nout1[elem] = a[elem];")
    a = r.normal(size=(2, 2)).astype(np.float32)
    (out,) = k([a], [(2, 2)], [np.float32], (4, 1, 1), (2, 1, 1))
    assert np.array_equal(out, a)


def args():
    k = Kernel("arg_test", ["a", "b", "c", "d"], ["out1", "out2"], """
        uint elem = thread_position_in_grid.x;
        T tmp = a[0];
        if (e) {
            out1[elem] = a[1] + b[2] + c[1] + d + f;
        } else {
            out1[elem] = 1;
        }
        out2[elem] = a[1] + b[2] + c[1] - d;""")
    a, b, c = r.normal(size=(3, 6)).astype(np.float32), np.array([3, 4, 5], np.int32), r.normal(size=(2, 2)).astype(np.float16)
    out1, out2 = k([a, b, c, 7.3], [(3, 2), (3, 2)], [np.float32, np.int32], (6, 1, 1), (2, 1, 1),
                   template=[("e", True), ("f", 3), ("T", np.float16)])
    one = a[0, 1] + np.float32(5) + np.float32(c[0, 1])
    assert np.allclose(out1, one + np.float32(7.3) + 3, rtol=1e-6), (out1, one)
    assert (out2 == int(one - np.float32(7.3))).all()


def strides():
    source = """
        uint elem = thread_position_in_grid.x;
        uint loc = elem_to_loc(elem, inp_shape, inp_strides, inp_ndim);
        T tmp = inp[loc];
        out[elem] = metal::precise::exp(tmp) * threads_per_simdgroup;"""
    plain = """
        uint elem = thread_position_in_grid.x;
        T tmp = inp[elem];
        out[elem] = metal::precise::exp(tmp) * threads_per_simdgroup;"""
    a = np.tile(r.normal(size=(4, 16)).astype(np.float32)[::2], (4, 1))[::2]
    for contiguous, text in [(False, source), (True, source), (True, plain)]:
        k = Kernel("myexp", ["inp"], ["out"], text, ensure_row_contiguous=contiguous)
        (out,) = k([a], [a.shape], [a.dtype], (a.size, 1, 1), (16, 1, 1), template=[("T", np.float32)])
        assert np.allclose(out, np.exp(a) * 32, rtol=1e-6), contiguous


def helper():
    k = Kernel("helper", ["a"], ["out1"], "uint elem = thread_position_in_grid.x;\nout1[elem] = do_exp(a[elem]);", header="""
        template <typename T>
        T do_exp(T x) {
            return metal::precise::exp(x);
        }""")
    a = r.normal(size=(2, 2)).astype(np.float32)
    (out,) = k([a], [(2, 2)], [np.float32], (4, 1, 1), (2, 1, 1))
    assert np.allclose(out, np.exp(a), rtol=1e-6)


ATTRIBUTES = ["thread_position_in_grid.x", "threads_per_grid.x", "grid_size.x", "grid_origin.x",
              "thread_position_in_threadgroup.x", "thread_index_in_threadgroup", "threadgroup_position_in_grid.x",
              "threadgroups_per_grid.x", "threads_per_threadgroup.x", "dispatch_threads_per_threadgroup.x",
              "thread_execution_width", "threads_per_simdgroup", "thread_index_in_simdgroup", "simdgroup_index_in_threadgroup",
              "simdgroups_per_threadgroup", "dispatch_simdgroups_per_threadgroup", "thread_index_in_quadgroup",
              "quadgroup_index_in_threadgroup", "quadgroups_per_threadgroup", "dispatch_quadgroups_per_threadgroup"]


def attributes():
    body = "".join(f"out[thread_position_in_grid.x * 20 + {i}] = {a};\n" for i, a in enumerate(ATTRIBUTES))
    k = Kernel("attributes", [], ["out"], body)
    n, group = 150, 64
    (out,) = k([], [(n, 20)], [np.uint32], (n, 1, 1), (group, 1, 1))
    t = np.arange(n)
    local, g = t % group, t // group
    size = np.where(g == n // group, n % group, group)
    one = np.ones(n, int)
    want = [t, one * n, one * n, one * 0, local, local, g, one * 3, size, one * group, one * 32, one * 32, local % 32, local // 32,
            (size + 31) // 32, one * 2, local % 4, local // 4, (size + 3) // 4, one * 16]
    for i, w in enumerate(want):
        assert np.array_equal(out[:, i], w), (ATTRIBUTES[i], out[:, i], w)


def positions():
    """Three axes, groups that are no multiple of 32, edges: exactly the threads asked for."""
    k = Kernel("positions", [], ["count", "where"], """
        uint3 p = thread_position_in_grid;
        uint i = (p.z * threads_per_grid.y + p.y) * threads_per_grid.x + p.x;
        count[i] += 1;
        uint3 q = threadgroup_position_in_grid * dispatch_threads_per_threadgroup + thread_position_in_threadgroup;
        where[i] = q.x + 100 * q.y + 10000 * q.z;""")
    for grid, group in [((7, 5, 3), (4, 2, 2)), ((40, 3, 1), (32, 2, 1)), ((33, 1, 1), (1024, 1, 1)), ((1, 1, 1), (1, 1, 1)),
                        ((5, 9, 2), (3, 3, 3)), ((64, 4, 1), (64, 4, 1))]:
        count, where = k([], [grid[::-1]] * 2, [np.uint32] * 2, grid, group)
        z, y, x = np.meshgrid(*[np.arange(n) for n in grid[::-1]], indexing="ij")
        assert (count == 1).all() and np.array_equal(where, x + 100 * y + 10000 * z), (grid, group)


def modes():
    source = "uint i = thread_position_in_grid.x;\nout[i] = a[i] * a[i] - c[i];\nb[i] = (s[i] + 1.0f) - s[i];\nn[i] = isnan(q[i]);"
    a = np.full(40, 1 + 2.0**-12, np.float32)
    c = np.full(40, 1 + 2.0**-11, np.float32)
    s, q = np.full(40, 1e8, np.float32), np.full(40, np.nan, np.float32)
    for mode, product, total, isnan in [("safe", 0, 0, 1), ("relaxed", 2.0**-24, 1, 1), ("fast", 2.0**-24, 1, 0)]:
        k = Kernel("modes", ["a", "c", "s", "q"], ["out", "b", "n"], source, math_mode=mode)
        out, b, n = k([a, c, s, q], [(40,)] * 3, [np.float32] * 3, (40, 1, 1), (32, 1, 1))
        assert (out == product).all() and (b == total).all() and (n == isnan).all(), (mode, out[0], b[0], n[0])
    for mode in ("safe", "relaxed"):
        k = Kernel("masked", ["a"], ["out"], "out[thread_position_in_grid.x] = metal::exp(a[thread_position_in_grid.x]);",
                   math_mode=mode)
        (out,) = k([np.full(8, -np.inf, np.float32)], [(8,)], [np.float32], (8, 1, 1), (8, 1, 1))
        assert (out == 0).all(), mode


def atomics():
    k = Kernel("atomics", ["a"], ["out"], """
        uint i = thread_position_in_grid.x;
        atomic_fetch_add_explicit(&out[a[i]], 1, memory_order_relaxed);""", atomic_outputs=True)
    a = r.integers(0, 5, 1000).astype(np.int32)
    (out,) = k([a], [(5,)], [np.int32], (1000, 1, 1), (100, 1, 1), init_value=3)
    assert np.array_equal(out, np.bincount(a, minlength=5) + 3)


def dtypes():
    k = Kernel("convert", ["a"], ["out"], "out[thread_position_in_grid.x] = a[thread_position_in_grid.x] + 1;")
    for t in ["bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4"]:
        for n in (3, 40):
            a = (np.arange(n) % 2).astype(t)
            (out,) = k([a], [(n,)], [a.dtype], (n, 1, 1), (32, 1, 1))
            assert np.array_equal(out, (a.astype("i4") + 1).astype(t)), (t, n, out)


def same_name():
    one = Kernel("same", ["a"], ["o"], "o[thread_position_in_grid.x] = a[thread_position_in_grid.x] + 1;")
    two = Kernel("same", ["a"], ["o"], "o[thread_position_in_grid.x] = a[thread_position_in_grid.x] + 2;")
    a = np.zeros(9, np.float32)
    for k, add in [(one, 1), (two, 2), (one, 1)]:
        assert (k([a], [(9,)], [np.float32], (9, 1, 1), (9, 1, 1))[0] == add).all()


def fails(status, words, function):
    try:
        function()
    except Error as error:
        assert error.status == status and words in str(error), (error.status, str(error))
        return
    raise AssertionError("no error: " + words)


def errors():
    a = np.zeros(8, np.float32)
    call = lambda k, **more: k([a], [(8,)], [np.float32], **{"grid": (8, 1, 1), "threadgroup": (8, 1, 1), **more})
    k = Kernel("bad", ["a"], ["o"], "uint i = 0;\n  o[i] = nothing;")
    fails(COMPILE_ERROR, "bad.source:2:10: error: use of undeclared identifier 'nothing'", lambda: call(k))
    fails(COMPILE_ERROR, "closes the generated function", lambda: call(Kernel("bad", ["a"], ["o"], "} void f() {")))
    fails(COMPILE_ERROR, "bad.header:1:", lambda: call(Kernel("bad", ["a"], ["o"], "", header="int f( {")))
    fails(COMPILE_ERROR, "goto", lambda: call(Kernel("bad", ["a"], ["o"], "x: goto x;")))
    fails(COMPILE_ERROR, "assembly", lambda: call(Kernel("bad", ["a"], ["o"], "asm(\"nop\");")))
    fails(COMPILE_ERROR, "error", lambda: call(Kernel("bad", ["a"], ["o"], "#include \"/etc/passwd\"\n")))
    k = Kernel("good", ["a"], ["o"], "o[thread_position_in_grid.x] = 1;")
    fails(INVALID_ARGUMENT, "Expected `inputs` to have size 1 but got size 2",
          lambda: k([a, a], [(8,)], [np.float32], (8, 1, 1), (8, 1, 1)))
    fails(INVALID_ARGUMENT, "1024", lambda: call(k, threadgroup=(64, 64, 1)))
    fails(INVALID_ARGUMENT, "at least one output", lambda: Kernel("k", ["a"], [], ""))
    fails(INVALID_ARGUMENT, "input_names[0]", lambda: Kernel("k", ["a b"], ["o"], ""))
    assert (call(k)[0] == 1).all()


TESTS = [basic, args, strides, helper, attributes, positions, modes, atomics, dtypes, same_name, errors]

if __name__ == "__main__":
    smelt_metal.main(TESTS)
