/* SPDX-License-Identifier: Apache-2.0 */
/* The fused residual norms of one decoder layer. A threadgroup a row, of any number of whole simdgroups; float32
   throughout, rounded once. */
#include <metal_stdlib>
using namespace metal;

struct Row {
    uint length;
    float eps;
};

/* 1 / sqrt(mean of squares + eps), from every thread's share of the squares. */
static float inverse_root(float squares, Row row, threadgroup float *partial, uint lane, uint simdgroup, uint simdgroups)
{
    squares = simd_sum(squares);
    if (simdgroups > 1) {
        if (lane == 0) partial[simdgroup] = squares;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        squares = simd_sum(lane < simdgroups ? partial[lane] : 0.0f);
    }
    return rsqrt(squares / row.length + row.eps);
}

/* out = residual + norm(x) * weight */
template <typename T>
kernel void norm_add(device T *out [[buffer(0)]], device const T *residual [[buffer(1)]], device const T *x [[buffer(2)]],
                     device const T *weight [[buffer(3)]], constant Row &row [[buffer(4)]],
                     uint group [[threadgroup_position_in_grid]], uint thread_index [[thread_index_in_threadgroup]],
                     uint threads [[threads_per_threadgroup]], uint lane [[thread_index_in_simdgroup]],
                     uint simdgroup [[simdgroup_index_in_threadgroup]], uint simdgroups [[simdgroups_per_threadgroup]])
{
    threadgroup float partial[32];
    size_t begin = size_t(group) * row.length;
    float squares = 0;
    for (uint i = thread_index; i < row.length; i += threads) {
        float value = float(x[begin + i]);
        squares += value * value;
    }
    float scale = inverse_root(squares, row, partial, lane, simdgroup, simdgroups);
    for (uint i = thread_index; i < row.length; i += threads)
        out[begin + i] = T(float(residual[begin + i]) + float(x[begin + i]) * scale * float(weight[i]));
}

/* sum = residual + x; out = norm(sum) * weight, of the sum before it is rounded */
template <typename T>
kernel void residual_norm(device T *out [[buffer(0)]], device T *sum [[buffer(1)]], device const T *residual [[buffer(2)]],
                          device const T *x [[buffer(3)]], device const T *weight [[buffer(4)]],
                          constant Row &row [[buffer(5)]], uint group [[threadgroup_position_in_grid]],
                          uint thread_index [[thread_index_in_threadgroup]], uint threads [[threads_per_threadgroup]],
                          uint lane [[thread_index_in_simdgroup]], uint simdgroup [[simdgroup_index_in_threadgroup]],
                          uint simdgroups [[simdgroups_per_threadgroup]])
{
    threadgroup float partial[32];
    size_t begin = size_t(group) * row.length;
    float squares = 0;
    for (uint i = thread_index; i < row.length; i += threads) {
        float value = float(residual[begin + i]) + float(x[begin + i]);
        squares += value * value;
    }
    float scale = inverse_root(squares, row, partial, lane, simdgroup, simdgroups);
    for (uint i = thread_index; i < row.length; i += threads) {
        float value = float(residual[begin + i]) + float(x[begin + i]);
        sum[begin + i] = T(value);
        out[begin + i] = T(value * scale * float(weight[i]));
    }
}

template [[host_name("norm_add_bfloat")]] kernel void norm_add<bfloat>(device bfloat *, device const bfloat *,
    device const bfloat *, device const bfloat *, constant Row &, uint, uint, uint, uint, uint, uint);
template [[host_name("residual_norm_bfloat")]] kernel void residual_norm<bfloat>(device bfloat *, device bfloat *,
    device const bfloat *, device const bfloat *, device const bfloat *, constant Row &, uint, uint, uint, uint, uint, uint);
