/* SPDX-License-Identifier: Apache-2.0 */
/* Language and library corners: unions, lambdas, variadic templates, tables, bit tricks, all kinds of vectors. */
#include <metal_stdlib>
#include <metal_matrix>
#include <metal_pack>
#include <metal_uniform>
#include <metal_compute>
#include <metal_quadgroup>
#include <metal_simdgroup_matrix>
#include <simd/simd.h>

using namespace metal;

enum class Mode : uchar { Nearest, Linear };
struct Particle {
    packed_float3 position;
    float mass;
    packed_half4 colour;
    simd_float4x4 transform;
    vector_uint2 cell;
    simd::float2 uv;
    bool alive;
};
union Bits {
    float f;
    uint u;
    uchar4 bytes;
};
constant float3 kLuma = float3(0.2126, 0.7152, 0.0722);
constant half kHalf = 0.5h;
constant uchar table[4][2] = {{1, 2}, {3, 4}, {5, 6}, {7, 8}};
constant float2 corners[] = {{-1.0f, -1.0f}, {1.0f, -1.0f}, float2(0)};
constexpr constant uint kSize = 16;
constant float kWeights [[maybe_unused]] = 1.0 / 3.0;

template <typename... T> float sum_all(T... values) { return (... + static_cast<float>(values)); }
template <typename F> void each(uint n, thread const F &f)
{
    for (uint i = 0; i < n; i++) f(i);
}
static inline uint pcg(uint v)
{
    uint state = v * 747796405u + 2891336453u;
    uint word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}
inline uint2 philox(uint2 counter, uint key)
{
    for (int i = 0; i < 10; i++) {
        uint hi = mulhi(0xD256D193u, counter.x), lo = 0xD256D193u * counter.x;
        counter = uint2(hi ^ key ^ counter.y, lo);
        key += 0x9E3779B9u;
    }
    return counter;
}
inline uchar to_fp8(float f)
{
    uint bits = as_type<uint>(f), sign = bits >> 24 & 0x80u;
    bits &= 0x7fffffffu;
    int e = (int)extract_bits(bits, 23u, 8u) - 127;
    return e < -9 ? (uchar)sign : e > 8 ? uchar(sign | 0x7e) : static_cast<uchar>(sign | insert_bits((bits >> 20) & 7u, (uint)(e + 7), 3u, 4u));
}
int fallthrough(int x)
{
    int r = 0;
    switch (x & 3) {
        case 0: r += 1;
        case 1: r += 2; break;
        case 2: return -1;
        default: r = 9;
    }
    return r;
}

kernel void particles(device Particle *p [[buffer(0)]], constant Mode &mode [[buffer(1)]], constant float4x4 &camera [[buffer(2)]],
                      threadgroup float4 *shared [[threadgroup(0)]], uint3 gid3 [[thread_position_in_grid]], ushort2 lid [[thread_position_in_threadgroup]],
                      uint lane [[thread_index_in_simdgroup]], ushort quad [[thread_index_in_quadgroup]])
{
    uint gid = gid3.x;
    threadgroup atomic_int counter;
    if (lid.x == 0) atomic_store_explicit(&counter, 0, memory_order_relaxed);
    threadgroup_barrier(mem_flags::mem_threadgroup | mem_flags::mem_device);
    device Particle &me = p[gid];
    float3 force = 0;
    for (uint tile = 0; tile < kSize; ++tile) {
        shared[lid.x] = float4(p[tile].position, p[tile].mass);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint j = 0; j < kSize; j++) {
            float3 r = shared[j].xyz - me.position;
            float distSqr = dot(r, r) + 0.01f;
            float inv = rsqrt(distSqr);
            force += r * (shared[j].w * inv * inv * inv);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    me.position += force * 0.01f;
    me.colour = half4(half3(force), 1.0h);
    me.colour.rgb = me.colour.bgr * kHalf;
    float4 world = camera * me.transform * float4(me.position, 1);
    me.uv = world.xy / world.w * corners[gid % 3] + float2(world.zz);
    me.cell = vector_uint2(clamp(int2(floor(me.uv * 8.0f)), 0, 7));
    me.alive = all(isfinite(world)) && any(world.xyz != 0.0f) && !any(isnan(me.uv));
    if (mode == Mode::Linear) atomic_fetch_or_explicit(&counter, 1 << lid.y, memory_order_relaxed);
    Bits b;
    b.f = length(force) + simd_sum(me.mass) + quad_sum(float(quad)) + dot(kLuma, saturate(force)) + quad_broadcast(me.mass, 0);
    b.u ^= 0x80000000u;
    me.mass = b.f + float(b.bytes.w) + sum_all(1, 2.5f, 3.0h) + table[gid & 3][1] + fallthrough(gid);
}

kernel void bits(device uint *out [[buffer(0)]], device uchar *fp8 [[buffer(1)]], device packed_uchar4 *rgba [[buffer(2)]], device half *h [[buffer(3)]],
                 device ulong *wide [[buffer(4)]], uint gid [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]])
{
    uint x = pcg(gid);
    const uniform<int> iterations = make_uniform(64) / make_uniform(8) + 1;
    for (int i = 0; i < iterations; i++) x ^= x << 1;
    uint2 r = philox(uint2(gid, x), 42);
    auto uniform01 = [](uint v) -> float { return as_type<float>((v >> 9) | 0x3f800000u) - 1.0f; };
    each(4, [&](uint i) { x += popcount(x >> i) + clz(x | 1u) + ctz(x | 0x80000000u) + reverse_bits(x); });
    simd_vote vote = simd_ballot(x & 1);
    ulong mask = (simd_vote::vote_t)vote;
    uint rank = popcount(mask & ((1ul << lane) - 1));
    uint scan = simd_prefix_exclusive_sum(x & 0xffu), best = simd_max(rank);
    float fill = simd_shuffle_and_fill_up(uniform01(r.x), 0.0f, ushort(1)), rot = simd_shuffle_rotate_down(fill, ushort(3));
    out[gid] = rotate(x, 5u) + absdiff(3, -4) + addsat(x, best) + hadd(x, scan) + mad24(x, 3u, 1u) + (simd_is_first() ? 1u : 0u) + pack_float_to_unorm4x8(float4(fill, rot, 0, 1));
    fp8[gid] = to_fp8(uniform01(r.y));
    uchar4 c = uchar4(rgba[gid]);
    c = min(c + uchar4(10), uchar4(200)) | (uchar)1;
    rgba[gid] = c.bgra;
    rgba[gid].x = c[gid & 3] >> 1;
    ushort4 s = ushort4(c) << 4;
    int4 wide4 = int4(s) - 8;
    wide4 = select(wide4, -wide4, wide4 < 0);
    h[gid] = half(wide4.x + wide4.y) * 0.125h + as_type<half>(ushort(s.x)) + half2(float2(1, 2)).y + (half)dot(half4(c), half4(0.25h));
    h[gid] += ldexp(1.0h, int(gid)) + fma(h[gid], 2.0h, kHalf) + fmin(h[gid], HALF_MAX) + max3(h[gid], 1.0h, kHalf);
    int exponent;
    float fraction = frexp(float(x), exponent), whole, cosine, sine = sincos(fraction, cosine), part = modf(fraction * 3, whole);
    wide[gid] = ulong(mulhi(wide[gid], 0x9E3779B97F4A7C15ul)) ^ wide[gid] >> 33 ^ (ulong)(whole + sine + cosine + part + exponent) ^ make_uniform(7ul);
    half3x3 m = half3x3(half3(1, 0, 0), half3(0, 1, 0), half3(0, 0, 1)) * 2.0h;
    float2x2 rotation = float2x2(float2(cosine, sine), float2(-sine, cosine));
    float2 turned = rotation * float2(1, 0) + transpose(rotation)[1] + float2(determinant(m), m[1][1]);
    h[gid] = half(turned.x) + half(powr(turned.y, 2.0f)) + half(fast::exp(turned.x)) + half(atan2(turned.x, turned.y)) + half(smoothstep(0.0f, 1.0f, turned.x)) + half(sign(turned.y)) + half(step(0.5f, fract(turned.x)));
    bool4 k = bool4(true, false, x > 3, uniform01(x) >= 0.5);
    if (all(k.xy) || any(k.zw) && !all(!k)) h[gid] = 0;
    atomic_thread_fence(mem_flags::mem_device, memory_order_seq_cst, thread_scope_device);
}
