# SPDX-License-Identifier: Apache-2.0
"""The language, kernel by kernel of features.metal, against NumPy."""
import os

import numpy as np

import smelt_metal
from smelt_metal import Library

HERE = os.path.dirname(os.path.abspath(__file__))
library = Library(open(os.path.join(HERE, "features.metal")).read(), file_name="features.metal")
r = np.random.default_rng(7)
SIZES = [1, 20, 32, 45, 100]


def groups_of_lanes(n):
    return [np.arange(k, min(k + 32, n)) for k in range(0, n, 32)]


def run(name, t, out, threadgroup=64, **more):
    library.function(name)(buffers={0: t, 1: out}, grid=(len(t),), threadgroup=(threadgroup,), **more)


def each_simdgroup(name, rule):
    for n in SIZES:
        t = r.integers(0, 6, n).astype(np.int32)
        out = np.full(n, -99, np.int32)
        run(name, t, out)
        for lanes in groups_of_lanes(n):
            want = rule(t[lanes])
            assert np.array_equal(out[lanes], want), (n, out[lanes], want)


def counts(t):
    return np.array([(t == v).sum() for v in t])


def sum_before_break():
    each_simdgroup("sum_before_break", counts)


def sum_after_loop():
    each_simdgroup("sum_after_loop", lambda t: len(t) * 100 + t)


def sum_then_return():
    each_simdgroup("sum_then_return", counts)


def endless_with_break():
    each_simdgroup("endless_with_break", counts)


def while_continue():
    def rule(t):
        even = (t % 2 == 0).sum()
        return np.where(t & 1, 0, ((even * 100 + even) * 100 + even) * 100 + even)
    each_simdgroup("while_continue", rule)


def both_arms():
    each_simdgroup("both_arms", lambda t: np.where(t & 1, (t & 1).sum(), -(len(t) - (t & 1).sum())))


def in_a_call():
    def rule(t):
        large, small = (t > 2).sum(), ((t <= 2) & (t != 1)).sum()
        return np.where(t == 1, 0, np.where(t > 2, large, small * 100)) + len(t) * 10000
    each_simdgroup("in_a_call", rule)


def fall_through():
    def rule(t):
        zero, one, rest = (t == 0).sum(), (t == 1).sum(), (t > 2).sum()
        return np.select([t == 0, t == 1, t == 2], [zero + 100 * (zero + one), 100 * (zero + one), -1], rest * 10000)
    each_simdgroup("fall_through", rule)


def tree():
    for size in (1, 7, 32, 33, 64, 100, 256, 1000, 1024):
        x = r.integers(-8, 8, size * 3).astype(np.float32)
        out = np.zeros(3, np.float32)
        library.function("tree")(buffers={0: x, 1: out}, threadgroup_memory={0: 4 * size}, grid=(size * 3,), threadgroup=(size,))
        assert np.array_equal(out, x.reshape(3, size).sum(1)), size


def barriers_in_calls():
    for shape in [(1, 1), (31, 1), (32, 2), (5, 13), (32, 32)]:
        n = shape[0] * shape[1]
        for turns in (0, 1, 5):
            out = np.zeros(n, np.int32)
            library.function("barriers_in_calls")(buffers={0: out}, bytes={1: np.int32(turns)}, grid=shape, threadgroup=shape)
            assert np.array_equal(out, (np.arange(n) + turns) % n), (shape, turns)


def wraps():
    for n in (32, 20):
        x = r.integers(0, 100, n + 1).astype(np.int32)
        out = np.zeros(n, np.int32)
        library.function("wraps")(buffers={0: x, 1: out}, grid=(n,), threadgroup=(32,))
        want = np.concatenate([[-7], x[:n - 1]]) + np.where(np.arange(n) < 31, np.append(x[1:n + 1], 0)[:n], 0)
        assert np.array_equal(out, want), (out, want)
    x, out = r.integers(0, 100, 40).astype(np.int32), np.zeros(32, np.int32)
    library.function("far_wrap")(buffers={0: x[16:], 1: out[16:]}, bytes={2: np.uint32(0)}, grid=(16,), threadgroup=(16,))
    assert np.array_equal(out[16:], x[16:32])
    x, out = r.integers(0, 100, 40).astype(np.int32), np.zeros(40, np.int32)
    library.function("wraps")(buffers={0: x, 1: out}, grid=(1,), threadgroup=(1,))
    assert out[0] == -7 + x[1]


def in_place():
    a = r.integers(0, 100, 77).astype(np.int32)
    b, want = a.copy(), (a + 1) * 2
    library.function("in_place")(buffers={0: b, 1: b}, grid=(77,), threadgroup=(32,))
    assert np.array_equal(b, want), (b, want)


def structures():
    kind = np.dtype([("weight", "f4"), ("where", "f4", 3), ("tag", "u1"), ("pad", "u1", 3)])
    a = np.zeros(50, kind)
    a["weight"], a["where"], a["tag"] = r.normal(size=50), r.normal(size=(50, 3)), r.integers(0, 255, 50)
    out, v = np.zeros_like(a), np.zeros((50, 4), np.float32)
    library.function("structures")(buffers={0: a.view("u1"), 1: out.view("u1"), 2: v}, grid=(50,), threadgroup=(32,))
    assert np.array_equal(out["weight"], a["weight"] + np.float32(1)) and np.array_equal(out["where"][:, 1], a["tag"])
    assert np.array_equal(v, np.stack([out["weight"], out["where"][:, 2], out["where"][:, 1], out["where"][:, 0]], 1) * 2)


def private_arrays():
    x = r.integers(0, 50, 70).astype(np.int32)
    out = np.zeros(70, np.int32)
    run("private_arrays", x, out)
    for i, v in enumerate(x):
        a, b = [int(v) * k for k in range(8)], [1, 2, 3, 4]
        a[v & 7] = -1
        b[v & 3] += 10
        s = 0
        for k in range(8):
            s = s * 3 + a[(k + v) & 7]
        assert out[i] == s + b[0] + 100 * b[1] + 10000 * b[2] + 1000000 * b[3], i


def templates_and_constants():
    table = np.array([3, 1, 4, 1, 5])
    assert {"shifted_float_3", "shifted_half_1", "tree"} <= set(library.functions)
    for name, dtype, n in [("shifted_float_3", np.float32, 3), ("shifted_half_1", np.float16, 1)]:
        for constants, add in [({0: True, 1: 7}, 7), ({0: False, 1: 7}, 0)]:
            x, out = np.arange(40, dtype=dtype), np.zeros(40, dtype)
            library.function(name, constants)(buffers={0: x, 1: out}, grid=(40,), threadgroup=(32,))
            assert np.array_equal(out, x + dtype(n) + table[np.arange(40) % 5].astype(dtype) + dtype(add)), (name, constants)


def constants_that_are_set():
    for constants, want in [({}, 2.5), ({2: 7.5}, 7.5)]:
        out = np.zeros(1, np.float32)
        library.function("defaults", constants)(buffers={0: out})
        assert out[0] == want, (constants, out)


def overloads():
    x, out = np.arange(32, dtype=np.int32), np.zeros(32, np.int32)
    library.function("overloads")(buffers={0: x, 1: out}, grid=(32,), threadgroup=(32,))
    assert np.array_equal(out, x + 2 * (x ^ 1) + 4)


def half_of(f):
    return f.astype(np.float16)


def bfloat_of(f):
    u = f.astype(np.float32).view(np.uint32).astype(np.uint64)
    return (((u + 0x7FFF + (u >> 16 & 1)) >> 16) << 16).astype(np.uint32).view(np.float32)


def numbers():
    f = np.array([1.5, -2.7, 3e9, -3e9, 1e20, -1e20, np.nan, np.inf, 0.1, 255.9], np.float32)
    n = np.array([0, 31, 32, 33, -1, 7, 5, 100, 2, 3], np.int32)
    out, g = np.zeros(40, np.int32), np.zeros(30, np.float32)
    library.function("numbers")(buffers={0: f, 1: n, 2: out, 3: g}, grid=(10,), threadgroup=(10,))
    whole = np.nan_to_num(f.astype(np.float64), nan=0, posinf=1e30, neginf=-1e30)
    assert np.array_equal(out[0::4], np.clip(np.trunc(whole), -2**31, 2**31 - 1).astype(np.int64).astype(np.int32)), out[0::4]
    assert np.array_equal(out[1::4], np.clip(np.trunc(whole), 0, 2**32 - 1).astype(np.uint64).astype(np.uint32).view(np.int32))
    assert np.array_equal(out[2::4], (np.uint32(1) << (n.view(np.uint32) & 31)).view(np.int32)), out[2::4]
    cut = lambda a, b: np.sign(a) * np.sign(b) * (abs(a.astype(np.int64)) // abs(b.astype(np.int64)))
    i = f.view(np.int32).astype(np.int64)
    assert np.array_equal(out[3::4], (cut(n, n | 1) + (i - 1000 * cut(i, np.full(10, 1000)))).astype(np.int32)), out[3::4]
    with np.errstate(all="ignore"):
        h = half_of(f)
        assert np.array_equal(g[0::3], (h * h + np.float16(1)).astype(np.float32), equal_nan=True)
        b = bfloat_of(f[[0, 1, 8, 9]])
        assert np.array_equal(g[1::3][[0, 1, 8, 9]], bfloat_of(b + b))
        assert np.array_equal(g[2::3], np.float32(1) / np.float32(3) * f, equal_nan=True)


def counters():
    x = r.integers(0, 10, 200).astype(np.int32)
    a, f, seen = np.zeros(8, np.int32), np.zeros(1, np.float32), np.zeros(200, np.uint32)
    library.function("counters")(buffers={0: a, 1: f, 2: x, 3: seen}, grid=(200,), threadgroup=(50,))
    assert all(a[k] == x[(x & 3) == k].sum() for k in range(4)) and a[4] == x.max() and a[5] == 200 and f[0] == 100
    assert np.array_equal(np.sort(seen), np.arange(200)) and a[6] == (77 if (x == 9).any() else 0)


def lanes():
    x = r.random(32).astype(np.float32)
    i = np.arange(32)
    for by in (0, 1, 3, 8, 31):
        out = np.zeros((32, 12), np.float32)
        library.function("lanes")(buffers={0: x, 1: out}, bytes={2: np.uint16(by)}, grid=(32,), threadgroup=(32,))
        want = [x[i * 7 & 31], x[i ^ by], np.where(i >= by, x[(i - by) % 32], x), np.where(i + by < 32, x[(i + by) % 32], x),
                x[(i - by) % 32], x[by] + 0 * x, x.max() + 0 * x, None, x[i ^ 1], None,
                sum(1 << k for k in range(16) if x[k] > 0.5) + 0 * x, np.where(i >= by, x[(i - by) % 32], -x[(i - by) % 32])]
        for k, w in enumerate(want):
            if w is not None:
                assert np.array_equal(out[:, k], w), (by, k, out[:, k], w)
        assert np.allclose(out[:, 7], np.cumsum(x), rtol=1e-5)
        assert np.allclose(out[:, 9], x.reshape(8, 4).sum(1).repeat(4), rtol=1e-6)


def matrices():
    a, b = (r.integers(-4, 5, (8, 8)).astype(np.float32) for _ in range(2))
    c, turned, h = np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float16)
    library.function("matrices")(buffers={0: a, 1: b, 2: c, 3: turned, 4: h}, grid=(32,), threadgroup=(32,))
    even = np.arange(8) % 2 == 0
    assert np.array_equal(c, a @ b.T + 1 + 100 * even), c
    assert np.array_equal(turned, a.T) and np.array_equal(h, (a @ b.T).astype(np.float16))


def early_return():
    x, out = r.normal(size=64).astype(np.float32), np.full(64, -5, np.float32)
    run("early_return", x, out, 33)
    for i in range(20):
        s = np.float32(0)
        for k in range(i + 1):
            if x[k] < 0:
                s += np.float32(1)
                if s > 3:
                    break
            s += x[k]
        assert abs(out[i] - (s + np.sin(x[i]) + abs(x[i]) ** 1.5)) < 1e-5, i
    assert (out[20:] == -5).all()


def declarations():
    out = np.zeros(8, np.float32)
    library.function("made_one")(buffers={0: out}, grid=(8,), threadgroup=(8,))
    assert (out == 1).all()
    library.function("listed_float")(buffers={0: out}, threadgroup_memory={0: 32, 1: 32}, grid=(8,), threadgroup=(8,))
    i = np.arange(8) ^ 1
    assert np.array_equal(out, 2 * (1 + 5 + 20 + (i > 2)) + (2 + 5 + 10)), out
    library.function("after")(buffers={0: out}, grid=(8,), threadgroup=(8,))
    diagonal = np.isin(np.arange(8), [0, 5])  # lanes whose first element is on it
    want = 1 + 3 + 3 + 2 * diagonal + 1 + np.where(np.arange(8) == 0, 1, np.sqrt(np.float32(17)))
    assert np.allclose(out, want, rtol=1e-6), (out, want)


TESTS = [sum_before_break, sum_after_loop, sum_then_return, endless_with_break, while_continue, both_arms, in_a_call, fall_through,
         tree, barriers_in_calls, wraps, in_place, structures, private_arrays, templates_and_constants, constants_that_are_set, overloads, numbers, counters,
         lanes, matrices, early_return, declarations]

if __name__ == "__main__":
    smelt_metal.main(TESTS)
