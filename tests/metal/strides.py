# SPDX-License-Identifier: Apache-2.0
"""Accesses that become wide loads, wide stores and shuffles, against NumPy: full, partial and in-place, and
the branches of a simdgroup whose lanes are all there."""
import numpy as np

from smelt_metal import Library

library = Library("""
#include <metal_stdlib>
using namespace metal;
[[kernel]] void turn4(device float4 *v [[buffer(0)]], uint i [[thread_position_in_grid]]) { v[i] = v[i].wxyz * 2.0f; }
[[kernel]] void turn2(device half2 *v [[buffer(0)]], uint i [[thread_position_in_grid]]) { v[i] = v[i].yx; }
[[kernel]] void twice(device int *v [[buffer(0)]], uint i [[thread_position_in_grid]])
{
    v[2 * i] = 1; v[2 * i + 1] = 2; v[2 * i] = 3; v[2 * i + 2] = 4;
}
[[kernel]] void eight(device const int *x [[buffer(0)]], device int *out [[buffer(1)]], uint i [[thread_position_in_grid]])
{
    int sum = 0;
    for (uint q = 0; q < 8; q++) sum = sum * 3 + x[i * 8 + q];
    out[i] = sum;
}
[[kernel]] void packed(device const uint *x [[buffer(0)]], device uint *out [[buffer(1)]], constant uint &first [[buffer(2)]],
                       uint i [[thread_position_in_grid]])
{
    out[i] = x[((first + i * 8) >> 3) & 0x1fffffffu];
}
[[kernel]] void bounded(device const int *x [[buffer(0)]], device int *out [[buffer(1)]], constant int &n [[buffer(2)]],
                        uint lane [[thread_index_in_simdgroup]], uint i [[thread_position_in_grid]])
{
    int sum = 0;
    for (int k = lane; k < n; k += 32) {
        if (x[k] < 0) continue;
        sum += x[k];
        if (x[k] > 90) break;
    }
    out[i] = simd_sum(sum);
}
""", file_name="strides.metal")
r = np.random.default_rng(3)


def run(name, buffers, n, **more):
    library.function(name)(buffers=buffers, grid=(n,), threadgroup=(96,), **more)


for n in (1, 31, 32, 64, 77, 96, 200):
    v = r.standard_normal((n + 2, 4)).astype(np.float32)
    want = v.copy()
    want[:n] = v[:n][:, [3, 0, 1, 2]] * 2
    run("turn4", {0: v}, n)
    assert np.array_equal(v, want), ("turn4", n)

    h = r.standard_normal((n + 2, 2)).astype(np.float16)
    want = h.copy()
    want[:n] = h[:n][:, ::-1]
    run("turn2", {0: h}, n)
    assert np.array_equal(h, want), ("turn2", n)

    x = np.zeros(2 * n + 4, np.int32)
    run("twice", {0: x}, n)
    # lanes of a simdgroup go in step: the last statement is what stays, but for the first element of each
    want = np.zeros_like(x)
    for start in range(0, n, 96):
        for s in range(start, min(start + 96, n), 32):
            for add, value in ((0, 1), (1, 2), (0, 3), (2, 4)):
                for i in range(s, min(s + 32, start + 96, n)):
                    want[2 * i + add] = value
    assert np.array_equal(x, want), ("twice", n)

    x, out = r.integers(-9, 9, 8 * n).astype(np.int32), np.zeros(n + 2, np.int32)
    run("eight", {0: x, 1: out}, n)
    want = np.zeros(n, np.int64)
    for q in range(8):
        want = want * 3 + x.reshape(n, 8)[:, q]
    assert np.array_equal(out[:n], want) and not out[n:].any(), ("eight", n)

    for first in (0, 5, 16):
        where = (first + np.arange(n) * 8) >> 3
        table, out = r.integers(0, 1 << 30, where[-1] + 1).astype(np.uint32), np.zeros(n, np.uint32)
        run("packed", {0: table, 1: out}, n, bytes={2: np.uint32(first)})
        assert np.array_equal(out, table[where]), ("packed", n, first)

    x, out = r.integers(-20, 100, 300).astype(np.int32), np.zeros(n, np.int32)
    for count in (-5, 0, 1, 32, 33, 100, 256, 300):
        run("bounded", {0: x, 1: out}, n, bytes={2: np.int32(count)})
        for s in range(0, n, 96):
            for g in range(s, min(s + 96, n), 32):
                want = 0
                for lane in range(min(32, min(s + 96, n) - g)):
                    for k in range(lane, count, 32):
                        if x[k] < 0:
                            continue
                        want += x[k]
                        if x[k] > 90:
                            break
                assert out[g] == want, ("bounded", n, count, g)
print("strides agree")
