/* SPDX-License-Identifier: Apache-2.0 */
/* The style of an array library: templates instantiated by host_name, functors, several reads a thread. */
#include <metal_common>
#include <metal_math>
#include <metal_simdgroup>
#include <metal_stdlib>

using namespace metal;

#define LOOP_UNROLL _Pragma("clang loop unroll(full)")
static constant constexpr const int SIMD_WIDTH = 32;
constant bool has_weight [[function_constant(20)]];
constant int traditional [[function_constant(21)]];

struct Sigmoid {
    template <typename T> T operator()(T x) thread const
    {
        auto y = 1 / (1 + metal::precise::exp(metal::abs(x)));
        return (x < 0) ? y : 1 - y;
    }
};
struct Square {
    template <typename T> T operator()(T x) { return x * x; }
};
struct LogAddExp {
    template <typename T> T operator()(T x, T y)
    {
        if (metal::isnan(x) || metal::isnan(y)) return metal::numeric_limits<T>::quiet_NaN();
        constexpr T inf = metal::numeric_limits<T>::infinity();
        T maxval = metal::max(x, y);
        T minval = metal::min(x, y);
        return (minval == -inf || maxval == inf) ? maxval : (maxval + T(metal::log(1.0f + metal::exp(float(minval - maxval)))));
    }
};
struct Remainder {
    template <typename T> metal::enable_if_t<metal::is_integral_v<T> & !metal::is_signed_v<T>, T> operator()(T x, T y) { return x % y; }
    template <typename T> metal::enable_if_t<metal::is_integral_v<T> & metal::is_signed_v<T>, T> operator()(T x, T y)
    {
        auto r = x % y;
        if (r != 0 && (r < 0 != y < 0)) r += y;
        return r;
    }
    template <typename T> metal::enable_if_t<!metal::is_integral_v<T>, T> operator()(T x, T y)
    {
        T r = metal::fmod(x, y);
        if (r != 0 && (r < 0 != y < 0)) r += y;
        return r;
    }
};

template <typename T, typename U, typename Op>
[[kernel]] void unary(device const T *in, device U *out, uint index [[thread_position_in_grid]])
{
    out[index] = static_cast<U>(Op()(in[index]));
}
template <typename T, typename Op>
[[kernel]] void binary(device const T *a [[buffer(0)]], device const T *b [[buffer(1)]], device T *c [[buffer(2)]],
                       constant const size_t &stride [[buffer(3)]], uint2 index [[thread_position_in_grid]],
                       uint2 grid_dim [[threads_per_grid]])
{
    auto out_idx = index.x + (int64_t)grid_dim.x * index.y;
    c[out_idx] = Op()(a[out_idx * stride], b[out_idx]);
}

template <typename T, int N_READS = 4>
[[kernel]] void rms(const device T *x, const device T *w, device T *out, constant float &eps, constant uint &axis_size,
                    constant uint &w_stride, uint gid [[threadgroup_position_in_grid]], uint lid [[thread_position_in_threadgroup]],
                    uint simd_lane_id [[thread_index_in_simdgroup]], uint simd_group_id [[simdgroup_index_in_threadgroup]])
{
    threadgroup float local_inv_mean[1];
    threadgroup float local_sums[SIMD_WIDTH];
    float acc = 0;
    x += gid * size_t(axis_size) + lid * N_READS;
    w += w_stride * lid * N_READS;
    if (lid * N_READS + N_READS <= axis_size) {
        LOOP_UNROLL
        for (int i = 0; i < N_READS; i++) {
            float xi = x[i];
            acc += xi * xi;
        }
    } else {
        for (int i = 0; i < N_READS; i++) {
            if ((lid * N_READS + i) < axis_size) {
                float xi = x[i];
                acc += xi * xi;
            }
        }
    }
    acc = simd_sum(acc);
    if (simd_group_id == 0) local_sums[simd_lane_id] = 0;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (simd_lane_id == 0) local_sums[simd_group_id] = acc;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (simd_group_id == 0) {
        acc = simd_sum(local_sums[simd_lane_id]);
        if (simd_lane_id == 0) local_inv_mean[0] = metal::precise::rsqrt(acc / axis_size + eps);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    out += gid * size_t(axis_size) + lid * N_READS;
    for (int i = 0; i < N_READS; i++)
        if ((lid * N_READS + i) < axis_size) out[i] = w[w_stride * i] * static_cast<T>(x[i] * local_inv_mean[0]);
}

template <typename T> inline void rope_core(const device T *in, device T *out, constant const int &offset, constant const float &base,
                                            uint2 pos, uint2 grid)
{
    float d = static_cast<float>(pos.x) / static_cast<float>(grid.x);
    float theta = static_cast<float>(pos.y + offset) * metal::exp2(-d * base);
    float costheta = metal::fast::cos(theta);
    float sintheta = metal::fast::sin(theta);
    size_t i1 = traditional ? 2 * pos.x : pos.x, i2 = i1 + (traditional ? 1 : grid.x);
    float x1 = static_cast<float>(in[i1]);
    float x2 = static_cast<float>(in[i2]);
    out[i1] = static_cast<T>(x1 * costheta - x2 * sintheta);
    out[i2] = static_cast<T>(x1 * sintheta + x2 * costheta);
}
template <typename T>
[[kernel]] void rope(const device T *in [[buffer(0)]], device T *out [[buffer(1)]], constant const int &offset, constant const float &base,
                     uint2 pos [[thread_position_in_grid]], uint2 grid [[threads_per_grid]])
{
    if (has_weight) rope_core<T>(in, out, offset, base, pos, grid);
}

template <typename U> struct IndexValPair {
    uint32_t index;
    U val;
};
template <typename U> struct ArgMax {
    static constexpr constant U init = -metal::numeric_limits<U>::infinity();
    IndexValPair<U> reduce(IndexValPair<U> best, IndexValPair<U> current)
    {
        return best.val < current.val || (best.val == current.val && best.index > current.index) ? current : best;
    }
};
template <typename U> IndexValPair<U> simd_shuffle_down(IndexValPair<U> data, uint16_t delta)
{
    return IndexValPair<U>{simd_shuffle_down(data.index, delta), simd_shuffle_down(data.val, delta)};
}
template <typename T, typename Op>
[[kernel]] void arg_reduce(const device T *in [[buffer(0)]], device uint32_t *out [[buffer(1)]], const constant size_t &n [[buffer(2)]],
                           uint lid [[thread_position_in_threadgroup]], uint lsize [[threads_per_threadgroup]],
                           uint simd_size [[threads_per_simdgroup]])
{
    Op op;
    IndexValPair<T> best{0, Op::init};
    for (uint r = lid; r < n; r += lsize) best = op.reduce(best, IndexValPair<T>{r, in[r]});
    for (uint16_t offset = simd_size / 2; offset > 0; offset /= 2) {
        IndexValPair<T> neighbor = simd_shuffle_down(best, offset);
        best = op.reduce(best, neighbor);
    }
    if (lid == 0) out[0] = best.index;
}

#define instantiate_kernel(name, func, ...) \
    template [[host_name(name)]] [[kernel]] decltype(func<__VA_ARGS__>) func<__VA_ARGS__>;
#define instantiate_types(tname, type) \
    instantiate_kernel("sigmoid_" #tname, unary, type, type, Sigmoid) instantiate_kernel("square_" #tname, unary, type, type, Square) \
        instantiate_kernel("logaddexp_" #tname, binary, type, LogAddExp) instantiate_kernel("rms_" #tname, rms, type) \
            instantiate_kernel("rope_" #tname, rope, type) instantiate_kernel("remainder_" #tname, binary, type, Remainder) \
                instantiate_kernel("argmax_" #tname, arg_reduce, type, ArgMax<type>)
// clang-format off
instantiate_types(float32, float)
instantiate_types(float16, half)
instantiate_types(bfloat16, bfloat) // clang-format on
instantiate_kernel("remainder_i32", binary, int32_t, Remainder)
instantiate_kernel("remainder_u8", binary, uint8_t, Remainder)
