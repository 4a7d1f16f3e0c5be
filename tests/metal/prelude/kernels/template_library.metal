/* SPDX-License-Identifier: Apache-2.0 */
/* The style of tensor frameworks: macros that make kernels, functors with traits, strided indices, complex numbers as
   float2, atomics for scatter. */
#include <metal_atomic>
#include <metal_limits>
#include <metal_stdlib>
#include <metal_type_traits>

using namespace metal;

METAL_FUNC uint nonzero(uint n) { return n == 0 ? 1 : n; }
template <uint N> constexpr uint nonzero() { return N == 0 ? 1 : N; }
template <typename T> constexpr ushort granularity() { return nonzero<vec_elements<T>::value>(); }
METAL_FUNC uint next_p2(uint x) { return 1 << (32 - clz(x - 1)); }
METAL_FUNC uint get_strided_index(uint idx, constant const size_t &num_dims, constant const size_t *dims, constant const size_t *strides)
{
    uint strided_i = 0;
    for (uint d = 0; d < num_dims; d++) {
        uint dim_idx = num_dims - 1 - d;
        strided_i += (idx % dims[dim_idx]) * strides[dim_idx];
        idx /= dims[dim_idx];
    }
    return strided_i;
}

struct Max {
    template <typename T> METAL_FUNC T operator()(T a, T b) { return metal::max(a, b); }
    template <typename T> METAL_FUNC static constexpr T init() { return numeric_limits<T>::lowest(); }
    METAL_FUNC half4 operator()(half4 a, half4 b) { return metal::max(a, b); }
};
struct Sum {
    template <typename T, typename V> METAL_FUNC V operator()(T a, V b) { return a + b; }
    template <typename T> METAL_FUNC static constexpr T init() { return 0; }
};
template <typename T> struct is_valid_simd_type {
    static constant constexpr bool value = is_same_v<T, float> || is_same_v<T, half> || is_same_v<T, int>;
};
template <> struct is_valid_simd_type<bfloat> {
    static constant constexpr bool value = true;
};
template <typename Op, typename T> METAL_FUNC enable_if_t<is_valid_simd_type<T>::value, T> simd_reduce(Op op, T value)
{
#pragma clang loop unroll(full)
    for (ushort s = 16; s > 0; s >>= 1) value = op(value, T(simd_shuffle_down(value, s)));
    return value;
}
template <typename Op, typename T> METAL_FUNC enable_if_t<!is_valid_simd_type<T>::value, T> simd_reduce(Op, T value) { return value; }

template <typename T, typename R, typename OP, ushort BLOCKSIZE>
METAL_FUNC void reduce(constant size_t &num_elements, device const T *input, device R *output, threadgroup R *shared, uint tid, uint dst_id)
{
    OP op;
    R value = OP::template init<R>();
    const uint offset = dst_id * num_elements;
    for (uint i = tid; i < num_elements; i += BLOCKSIZE) value = op(value, static_cast<R>(input[offset + i]));
    shared[tid] = value;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (ushort s = BLOCKSIZE / 2; s >= 32; s >>= 1) {
        if (tid < s) shared[tid] = op(shared[tid], shared[tid + s]);
        threadgroup_barrier(mem_flags::mem_none);
    }
    value = simd_reduce(op, shared[tid]);
    if (tid == 0) output[dst_id] = value;
}
#define reduce_case(OP, T, R, N)                                                                     \
    case N: {                                                                                        \
        threadgroup R shared[N];                                                                     \
        reduce<T, R, OP, N>(num_elements, input, output, shared, tid, dst_id);                       \
        break;                                                                                       \
    }
#define impl_reduce(NAME, OP, T)                                                                     \
    kernel void NAME(constant size_t &num_elements, device const T *input, device T *output,         \
                     uint tid [[thread_index_in_threadgroup]], uint dst_id [[threadgroup_position_in_grid]], \
                     uint block_dim [[threads_per_threadgroup]])                                     \
    {                                                                                                \
        switch (next_p2(block_dim)) {                                                                \
            reduce_case(OP, T, T, 1024) reduce_case(OP, T, T, 256) reduce_case(OP, T, T, 64)         \
        }                                                                                            \
    }
impl_reduce(reduce_max_f32, Max, float) impl_reduce(reduce_max_f16, Max, half) impl_reduce(reduce_sum_bf16, Sum, bfloat)
impl_reduce(reduce_sum_u32, Sum, uint) impl_reduce(reduce_max_i64, Max, int64_t) impl_reduce(reduce_max_u8, Max, uint8_t)

template <typename T> METAL_FUNC T gelu(T x)
{
    if (x > 5) return x;
    T x_sq = x * x;
    T x_cube = x_sq * x;
    T alpha = x + static_cast<T>(0.044715) * x_cube;
    T beta = (static_cast<T>(M_2_SQRTPI_F * M_SQRT1_2_F) * alpha);
    return static_cast<T>(0.5) * x * (static_cast<T>(1.0) + T(precise::tanh(beta)));
}
#define UNARY(FN, TYPENAME, OUT, NAME)                                                               \
    kernel void NAME(constant size_t &dim, device const TYPENAME *input, device OUT *output, uint tid [[thread_position_in_grid]]) \
    {                                                                                                \
        if (tid >= dim) return;                                                                      \
        output[tid] = OUT(FN(float(input[tid])));                                                    \
    }
UNARY(gelu, float, float, gelu_f32) UNARY(gelu, half, half, gelu_f16) UNARY(rsqrt, bfloat, bfloat, rsqrt_bf16) UNARY(abs, uint8_t, uint8_t, abs_u8)
template <typename T, typename U> METAL_FUNC void cast_kernel(device const T *in, device U *out, uint tid) { out[tid] = static_cast<U>(in[tid]); }
#define CAST(NAME, T, U) kernel void NAME(device const T *in, device U *out, uint tid [[thread_position_in_grid]]) { cast_kernel<T, U>(in, out, tid); }
CAST(cast_u32_f32, uint32_t, float) CAST(cast_f32_u8, float, uint8_t) CAST(cast_bf16_i64, bfloat, int64_t) CAST(cast_f16_bf16, half, bfloat)

namespace c
{
namespace metal
{
namespace detail
{
template <typename T> struct OpMathType {
    using type = T;
};
template <> struct OpMathType<half> {
    using type = float;
};
template <> struct OpMathType<bfloat> {
    using type = float;
};
} // namespace detail
template <typename T> using opmath_t = typename detail::OpMathType<T>::type;
template <typename T> constexpr constant bool is_complex_v = ::metal::is_same_v<T, float2> || ::metal::is_same_v<T, half2>;
template <typename T> constexpr constant bool is_scalar_floating_point_v = ::metal::is_floating_point_v<T> && ::metal::is_scalar_v<T>;
template <typename T, ::metal::enable_if_t<!is_complex_v<T>, bool> = true> inline T mul(const T x, const T y) { return x * y; }
template <typename T, ::metal::enable_if_t<is_complex_v<T>, bool> = true> inline T mul(const T x, const T y)
{
    return T(x.x * y.x - x.y * y.y, x.x * y.y + x.y * y.x);
}
template <typename T> ::metal::enable_if_t<is_scalar_floating_point_v<T>, T> max(T a, T b) { return ::metal::isunordered(a, b) ? NAN : ::metal::max(a, b); }
template <typename F, typename... Args> using result_of = decltype(::metal::declval<F>()(::metal::declval<Args>()...));
} // namespace metal
} // namespace c
struct exp_functor {
    template <typename T> inline ::metal::enable_if_t<::metal::is_floating_point_v<T> && ::metal::is_scalar_v<T>, T> operator()(const T x) { return T(::metal::precise::exp(x)); }
    template <typename T> inline ::metal::enable_if_t<::metal::is_integral_v<T>, float> operator()(const T x) { return ::metal::precise::exp(static_cast<float>(x)); }
    template <typename T> inline ::metal::enable_if_t<c::metal::is_complex_v<T>, T> operator()(const T x)
    {
        return T(::metal::precise::exp(x.x) * ::metal::precise::cos(x.y), ::metal::precise::exp(x.x) * ::metal::precise::sin(x.y));
    }
};
template <typename T, typename F> kernel void unary_dense(device c::metal::result_of<F, T> *output [[buffer(0)]], constant T *input [[buffer(1)]], uint index [[thread_position_in_grid]])
{
    F f;
    output[index] = f(input[index]);
}
#define REGISTER(NAME, IN, OUT) template [[host_name(#NAME "_dense_" #IN)]] kernel void ::unary_dense<IN, NAME##_functor>(device OUT *output, constant IN *input, uint index)
REGISTER(exp, float, float);
REGISTER(exp, half, half);
REGISTER(exp, bfloat, bfloat);
REGISTER(exp, int, float);
REGISTER(exp, float2, float2);

template <typename T> kernel void scatter_add(device const T *in [[buffer(0)]], device const uint *idx [[buffer(1)]], device atomic<T> *out [[buffer(2)]], device atomic_uint *count [[buffer(3)]],
                                             uint i [[thread_position_in_grid]])
{
    atomic_fetch_add_explicit(&out[idx[i]], in[i], memory_order_relaxed);
    if (atomic_fetch_add_explicit(count, 1u, memory_order_relaxed) == 0xffffffffu) atomic_store_explicit(count, 0u, memory_order_relaxed);
}
template [[host_name("scatter_add_f32")]] kernel void scatter_add<float>(device const float *, device const uint *, device atomic<float> *, device atomic_uint *, uint);
template [[host_name("scatter_add_i32")]] kernel void scatter_add<int>(device const int *, device const uint *, device atomic<int> *, device atomic_uint *, uint);
kernel void atomic_max_float(device atomic_uint *out, device const float *in, uint i [[thread_position_in_grid]])
{
    uint expected = atomic_load_explicit(out, memory_order_relaxed);
    float value = in[i];
    while (as_type<float>(expected) < value) {
        if (atomic_compare_exchange_weak_explicit(out, &expected, as_type<uint>(value), memory_order_relaxed, memory_order_relaxed)) break;
    }
}
