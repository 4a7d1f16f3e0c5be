// SPDX-License-Identifier: Apache-2.0
// The kernels that bench/metal measures against hand-written loops.
#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;

[[kernel]] void vexp(device const float *x [[buffer(0)]], device float *y [[buffer(1)]],
                     uint i [[thread_position_in_grid]])
{
    y[i] = exp(x[i]);
}

// A threadgroup a row, tree reduction in threadgroup memory.
[[kernel]] void rms_tree(device const float *x [[buffer(0)]], device const float *w [[buffer(1)]],
                         device float *y [[buffer(2)]], constant uint &n [[buffer(3)]],
                         uint row [[threadgroup_position_in_grid]], uint lid [[thread_position_in_threadgroup]],
                         uint size [[threads_per_threadgroup]])
{
    threadgroup float shared[1024];
    x += (size_t)row * n;
    y += (size_t)row * n;
    float sum = 0;
    for (uint i = lid; i < n; i += size) sum += x[i] * x[i];
    shared[lid] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint step = size / 2; step > 0; step /= 2) {
        if (lid < step) shared[lid] += shared[lid + step];
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    float scale = rsqrt(shared[0] / n + 1e-5f);
    for (uint i = lid; i < n; i += size) y[i] = x[i] * scale * w[i];
}

// The same with simd_sum, one value a simdgroup through threadgroup memory.
[[kernel]] void rms_simd(device const float *x [[buffer(0)]], device const float *w [[buffer(1)]],
                         device float *y [[buffer(2)]], constant uint &n [[buffer(3)]],
                         uint row [[threadgroup_position_in_grid]], uint lid [[thread_position_in_threadgroup]],
                         uint size [[threads_per_threadgroup]], uint lane [[thread_index_in_simdgroup]],
                         uint group [[simdgroup_index_in_threadgroup]], uint groups [[simdgroups_per_threadgroup]])
{
    threadgroup float shared[32];
    x += (size_t)row * n;
    y += (size_t)row * n;
    float sum = 0;
    for (uint i = lid; i < n; i += size) sum += x[i] * x[i];
    sum = simd_sum(sum);
    if (lane == 0) shared[group] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    sum = simd_sum(lane < groups ? shared[lane] : 0.0f);
    float scale = rsqrt(sum / n + 1e-5f);
    for (uint i = lid; i < n; i += size) y[i] = x[i] * scale * w[i];
}

// 32 x 32 of the result a simdgroup, 4 x 4 matrices of 8 x 8.
[[kernel]] void gemm(device const float *a [[buffer(0)]], device const float *b [[buffer(1)]],
                     device float *c [[buffer(2)]], constant uint &n [[buffer(3)]],
                     uint2 tile [[threadgroup_position_in_grid]])
{
    simdgroup_float8x8 sum[4][4];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) sum[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    device const float *left = a + tile.y * 32 * n, *right = b + tile.x * 32;
    for (uint k = 0; k < n; k += 8) {
        simdgroup_float8x8 x[4], y[4];
        for (int i = 0; i < 4; i++) simdgroup_load(x[i], left + i * 8 * n + k, n);
        for (int j = 0; j < 4; j++) simdgroup_load(y[j], right + k * n + j * 8, n);
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) simdgroup_multiply_accumulate(sum[i][j], x[i], y[j], sum[i][j]);
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) simdgroup_store(sum[i][j], c + (tile.y * 32 + i * 8) * n + tile.x * 32 + j * 8, n);
}

// Softmax of a row by one simdgroup, in three passes.
[[kernel]] void softmax(device const float *x [[buffer(0)]], device float *y [[buffer(1)]], constant uint &n [[buffer(2)]],
                        uint row [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]])
{
    x += (size_t)row * n;
    y += (size_t)row * n;
    float top = -INFINITY, sum = 0;
    for (uint i = lane; i < n; i += 32) top = max(top, x[i]);
    top = simd_max(top);
    for (uint i = lane; i < n; i += 32) sum += exp(x[i] - top);
    sum = simd_sum(sum);
    for (uint i = lane; i < n; i += 32) y[i] = exp(x[i] - top) / sum;
}

// Four neighbours a thread, as float4; two reductions over the threadgroup.
static float sum_over_threadgroup(float v, threadgroup float *shared, uint lane, uint group, uint groups)
{
    v = simd_sum(v);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (lane == 0) shared[group] = v;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    return simd_sum(lane < groups ? shared[lane] : 0.0f);
}

[[kernel]] void layer_norm(device const float4 *x [[buffer(0)]], device const float4 *w [[buffer(1)]],
                           device const float4 *b [[buffer(2)]], device float4 *y [[buffer(3)]],
                           constant uint &n [[buffer(4)]], uint row [[threadgroup_position_in_grid]],
                           uint lid [[thread_position_in_threadgroup]], uint size [[threads_per_threadgroup]],
                           uint lane [[thread_index_in_simdgroup]], uint group [[simdgroup_index_in_threadgroup]],
                           uint groups [[simdgroups_per_threadgroup]])
{
    threadgroup float shared[32];
    uint count = n / 4;
    x += (size_t)row * count;
    y += (size_t)row * count;
    float sum = 0, square = 0;
    for (uint i = lid; i < count; i += size) sum += x[i].x + x[i].y + x[i].z + x[i].w;
    float mean = sum_over_threadgroup(sum, shared, lane, group, groups) / n;
    for (uint i = lid; i < count; i += size) {
        float4 d = x[i] - mean;
        square += dot(d, d);
    }
    float scale = rsqrt(sum_over_threadgroup(square, shared, lane, group, groups) / n + 1e-5f);
    for (uint i = lid; i < count; i += size) y[i] = (x[i] - mean) * scale * w[i] + b[i];
}

// A thread a pair; x (rows, heads, 2 * half), cosines and sines (rows, half).
[[kernel]] void rope(device const float *x [[buffer(0)]], device const float *cosines [[buffer(1)]],
                     device const float *sines [[buffer(2)]], device float *y [[buffer(3)]],
                     uint3 at [[thread_position_in_grid]], uint3 size [[threads_per_grid]])
{
    uint half_dim = size.x, angle = at.z * half_dim + at.x;
    ulong first = ((ulong)at.z * size.y + at.y) * 2 * half_dim + at.x;
    float a = x[first], b = x[first + half_dim], c = cosines[angle], s = sines[angle];
    y[first] = a * c - b * s;
    y[first + half_dim] = a * s + b * c;
}

// 4-bit weights, 8 to a word, a scale for every 32; a row of the matrix a simdgroup.
[[kernel]] void q4_matvec(device const uint *w [[buffer(0)]], device const float *scales [[buffer(1)]],
                          device const float *x [[buffer(2)]], device float *y [[buffer(3)]],
                          constant uint &n [[buffer(4)]], uint row [[threadgroup_position_in_grid]],
                          uint lane [[thread_index_in_simdgroup]])
{
    float sum = 0;
    for (uint k = lane * 8; k < n; k += 256) {
        uint word = w[(row * n + k) / 8];
        float part = 0;
        for (uint q = 0; q < 8; q++) part += (float(word >> (4 * q) & 15u) - 8.0f) * x[k + q];
        sum += part * scales[(row * n + k) / 32];
    }
    sum = simd_sum(sum);
    if (lane == 0) y[row] = sum;
}
