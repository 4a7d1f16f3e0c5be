// SPDX-License-Identifier: Apache-2.0
// One kernel a feature of the language; features.py knows what each must give.
#include <metal_stdlib>
#include <metal_simdgroup>
#include <metal_simdgroup_matrix>
using namespace metal;

// Masks that look alike to a control-flow graph.
kernel void sum_before_break(device const int *t [[buffer(0)]], device int *out [[buffer(1)]],
                             uint i [[thread_position_in_grid]])
{
    int r = 0;
    for (int k = 0; k < 10; k++) {
        if (k >= t[i]) {
            r = simd_sum(1);
            break;
        }
    }
    out[i] = r;
}

kernel void sum_after_loop(device const int *t [[buffer(0)]], device int *out [[buffer(1)]],
                           uint i [[thread_position_in_grid]])
{
    int k = 0;
    for (; k < 10; k++) {
        if (k >= t[i]) break;
    }
    out[i] = simd_sum(1) * 100 + k;
}

kernel void sum_then_return(device const int *t [[buffer(0)]], device int *out [[buffer(1)]],
                            uint i [[thread_position_in_grid]])
{
    for (int k = 0;; k++) {
        if (k >= t[i]) {
            out[i] = simd_sum(1);
            return;
        }
    }
}

kernel void endless_with_break(device const int *t [[buffer(0)]], device int *out [[buffer(1)]],
                               uint i [[thread_position_in_grid]])
{
    int c = 0, r = 0;
    for (;;) {
        if (c++ >= t[i]) {
            r = simd_sum(1);
            break;
        }
    }
    out[i] = r;
}

kernel void while_continue(device const int *t [[buffer(0)]], device int *out [[buffer(1)]],
                           uint i [[thread_position_in_grid]])
{
    int k = 0, r = 0;
    while (k < 4) {
        k++;
        if (t[i] & 1) continue;
        r = r * 100 + simd_sum(1);
    }
    out[i] = r;
}

kernel void both_arms(device const int *t [[buffer(0)]], device int *out [[buffer(1)]],
                      uint i [[thread_position_in_grid]])
{
    if (t[i] & 1) out[i] = simd_sum(1);
    else out[i] = -simd_sum(1);
}

static int helper(int x)
{
    if (x > 2) return simd_sum(1);
    return simd_sum(100);
}

kernel void in_a_call(device const int *t [[buffer(0)]], device int *out [[buffer(1)]],
                      uint i [[thread_position_in_grid]])
{
    int r = 0;
    if (t[i] != 1) r = helper(t[i]);
    out[i] = r + simd_sum(10000);
}

kernel void fall_through(device const int *t [[buffer(0)]], device int *out [[buffer(1)]],
                         uint i [[thread_position_in_grid]])
{
    int r = 0;
    switch (t[i]) {
    case 0: r += simd_sum(1);
    case 1: r += simd_sum(100); break;
    case 2: r = -1; break;
    default: r = simd_sum(10000);
    }
    out[i] = r;
}

// Threadgroups.
kernel void tree(device const float *x [[buffer(0)]], device float *out [[buffer(1)]], threadgroup float *room [[threadgroup(0)]],
                 uint i [[thread_position_in_grid]], uint lid [[thread_position_in_threadgroup]],
                 uint size [[threads_per_threadgroup]], uint g [[threadgroup_position_in_grid]])
{
    room[lid] = x[i];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    uint live = size;
    while (live > 1) {
        uint half_size = (live + 1) / 2;
        if (lid < live / 2) room[lid] += room[lid + half_size];
        live = half_size;
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    if (lid == 0) out[g] = room[0];
}

static void rotate(threadgroup int *room, uint lid, uint size)
{
    int v = room[(lid + 1) % size];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    room[lid] = v;
    threadgroup_barrier(mem_flags::mem_threadgroup);
}

kernel void barriers_in_calls(device int *out [[buffer(0)]], constant int &turns [[buffer(1)]],
                              uint lid [[thread_index_in_threadgroup]], uint2 shape [[threads_per_threadgroup]])
{
    threadgroup int room[1024];
    uint size = shape.x * shape.y;
    room[lid] = lid;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (int k = 0; k < turns; k++) rotate(room, lid, size);
    out[lid] = room[lid];
}

// Memory.
kernel void wraps(device const int *x [[buffer(0)]], device int *out [[buffer(1)]], uint i [[thread_position_in_grid]])
{
    out[i] = i > 0 ? x[i - 1u] : -7;
    if (i < 31) out[i] += x[i + 1u];
}

kernel void far_wrap(device const int *x [[buffer(0)]], device int *out [[buffer(1)]], constant uint &start [[buffer(2)]],
                     uint i [[thread_position_in_grid]])
{
    out[i] = x[start + i];
}

kernel void in_place(device int *a [[buffer(0)]], device int *b [[buffer(1)]], uint i [[thread_position_in_grid]])
{
    int old = a[i];
    b[i] = old + 1;
    a[i] = a[i] * 2;
}

struct Item {
    float weight;
    packed_float3 where;
    uchar tag;
};

kernel void structures(device const Item *in [[buffer(0)]], device Item *out [[buffer(1)]], device float4 *v [[buffer(2)]],
                       uint i [[thread_position_in_grid]])
{
    Item item = in[i];
    item.weight += 1;
    item.where.y = item.tag;
    out[i] = item;
    v[i] = float4(item.where, item.weight).wzyx * 2.0f;
}

kernel void private_arrays(device const int *x [[buffer(0)]], device int *out [[buffer(1)]],
                           uint i [[thread_position_in_grid]])
{
    int a[8];
    short b[4] = {1, 2, 3, 4};
    for (int k = 0; k < 8; k++) a[k] = x[i] * k;
    a[x[i] & 7] = -1;
    b[x[i] & 3] += 10;
    int s = 0;
    for (int k = 0; k < 8; k++) s = s * 3 + a[(k + x[i]) & 7];
    out[i] = s + b[0] + 100 * b[1] + 10000 * b[2] + 1000000 * b[3];
}

constant int table[5] = {3, 1, 4, 1, 5};
constant bool flag [[function_constant(0)]];
constant int amount [[function_constant(1)]];
constant float given [[function_constant(2)]];
constant float value = is_function_constant_defined(given) ? given : 2.5;

kernel void defaults(device float *out [[buffer(0)]])
{
    out[0] = value;
}

template <typename T, int N> [[kernel]] void shifted(device const T *x [[buffer(0)]], device T *out [[buffer(1)]],
                                                     uint i [[thread_position_in_grid]])
{
    out[i] = x[i] + T(N) + T(table[i % 5]) + (flag ? T(amount) : T(0));
}
template [[host_name("shifted_float_3")]] [[kernel]] void shifted<float, 3>(device const float *, device float *, uint);
template [[host_name("shifted_half_1")]] [[kernel]] decltype(shifted<half, 1>) shifted<half, 1>;

inline int pick(device const int *p, uint i) { return p[i]; }
inline int pick(threadgroup const int *p, uint i) { return p[i]; }
inline int pick(constant int *p, uint i) { return p[i]; }

kernel void overloads(device const int *x [[buffer(0)]], device int *out [[buffer(1)]], uint i [[thread_position_in_threadgroup]])
{
    threadgroup int room[32];
    room[i] = x[i] * 2;
    simdgroup_barrier(mem_flags::mem_threadgroup);
    auto add = [&](int q) { return q + pick(room, i ^ 1); };
    out[i] = add(pick(x, i)) + pick(table, 2);
}

kernel void numbers(device const float *f [[buffer(0)]], device const int *n [[buffer(1)]], device int *out [[buffer(2)]],
                    device float *g [[buffer(3)]], uint i [[thread_position_in_grid]])
{
    out[4 * i] = int(f[i]);
    out[4 * i + 1] = int(uint(f[i]));
    out[4 * i + 2] = 1 << n[i];
    out[4 * i + 3] = n[i] / (n[i] | 1) + as_type<int>(f[i]) % 1000;
    half h = half(f[i]);
    bfloat b = bfloat(f[i]);
    g[3 * i] = float(h * h + 1.0h);
    g[3 * i + 1] = float(b + b);
    g[3 * i + 2] = 1.0 / 3.0 * f[i];
}

kernel void counters(device atomic_int *a [[buffer(0)]], device atomic_float *f [[buffer(1)]], device const int *x [[buffer(2)]],
                     device uint *seen [[buffer(3)]], uint i [[thread_position_in_grid]])
{
    atomic_fetch_add_explicit(&a[x[i] & 3], x[i], memory_order_relaxed);
    atomic_fetch_max_explicit(&a[4], x[i], memory_order_relaxed);
    atomic_fetch_add_explicit(f, 0.5f, memory_order_relaxed);
    seen[i] = atomic_fetch_add_explicit(&a[5], 1, memory_order_relaxed);
    int want = 0;
    if (x[i] == 9) atomic_compare_exchange_weak_explicit(&a[6], &want, 77, memory_order_relaxed, memory_order_relaxed);
}

kernel void lanes(device const float *x [[buffer(0)]], device float *out [[buffer(1)]], uint i [[thread_position_in_grid]],
                  uint lane [[thread_index_in_simdgroup]], constant ushort &by [[buffer(2)]])
{
    float v = x[i];
    device float *o = out + i * 12;
    o[0] = simd_shuffle(v, ushort((lane * 7) & 31));
    o[1] = simd_shuffle_xor(v, by);
    o[2] = simd_shuffle_up(v, by);
    o[3] = simd_shuffle_down(v, by);
    o[4] = simd_shuffle_rotate_up(v, by);
    o[5] = simd_broadcast(v, by);
    o[6] = simd_max(v);
    o[7] = simd_prefix_inclusive_sum(v);
    o[8] = quad_shuffle_xor(v, 1);
    o[9] = quad_sum(v);
    o[10] = float(simd_ballot(v > 0.5f).operator simd_vote::vote_t() & 0xffff);
    o[11] = simd_shuffle_and_fill_up(v, -v, by);
}

kernel void matrices(device const float *a [[buffer(0)]], device const float *b [[buffer(1)]], device float *c [[buffer(2)]],
                     device float *turned [[buffer(3)]], device half *h [[buffer(4)]])
{
    simdgroup_float8x8 x, y, z = make_filled_simdgroup_matrix<float, 8, 8>(1.0f);
    simdgroup_load(x, a, 8);
    simdgroup_load(y, b, 8, ulong2(0, 0), true);
    simdgroup_multiply_accumulate(z, x, y, z);
    z.thread_elements()[0] += 100;
    simdgroup_store(z, c, 8);
    simdgroup_store(x, turned, 8, ulong2(0, 0), true);
    simdgroup_half8x8 p, q;
    for (int k = 0; k < 2; k++) {
        p.thread_elements()[k] = half(x.thread_elements()[k]);
        q.thread_elements()[k] = half(y.thread_elements()[k]);
    }
    simdgroup_multiply(p, p, q);
    simdgroup_store(p, h, 8);
}

constant int early_limit = 20;
kernel void early_return(device const float *x [[buffer(0)]], device float *out [[buffer(1)]], uint i [[thread_position_in_grid]])
{
    if (i >= uint(early_limit)) return;
    float s = 0;
    for (uint k = 0; k <= i; k++) {
        if (x[k] < 0 && (s += 1) > 3) break;
        s += x[k];
    }
    out[i] = s + sin(x[i]) + pow(fabs(x[i]), 1.5f);
}

// Forms of declaration that public kernels use.
#define instantiate(name, ...) template [[host_name(name)]] [[kernel]] decltype(listed<__VA_ARGS__>) listed<__VA_ARGS__>;
#define MAKE(NAME, N) \
    kernel void NAME(device float *o [[buffer(0)]], ushort i [[thread_position_in_grid]]) { o[i] = N; }
MAKE(made_one, 1)

namespace inner {
struct Step {
    float by;
    float operator()(float x) const thread { return x + by; }
    template <typename T> static METAL_FUNC T twice(T x) { return x * 2; }
};
static constant constexpr float offsets[2] = {10.0f, 20.0f};
constexpr constant int limit = 3;
} // namespace inner

template <typename T, int n, typename Op>
[[kernel, max_total_threads_per_threadgroup(64)]] void listed(device T *o, threadgroup T *room, threadgroup T *other [[threadgroup(1)]],
                                                               const ushort2 i [[thread_position_in_threadgroup]])
{
    Op op = {T(n)};
    thread T yl[4] = {0};
#pragma unroll
    for (int k = 0; k < inner::limit; k++) yl[k] = op(T(k)) + inner::offsets[k & 1];
    room[i.x] = yl[1] + metal::select(T(0), T(1), i.x > 2);
    other[i.x] = inner::Step::twice(room[i.x]);
    threadgroup_barrier(metal::mem_flags::mem_threadgroup | metal::mem_flags::mem_device);
    o[i.x] = other[i.x ^ 1] + yl[2];
}
instantiate("listed_float", float, 5, inner::Step)

[[host_name("after")]] kernel void behind(device float *o [[buffer(0)]], uint i [[thread_position_in_grid]])
    [[max_total_threads_per_threadgroup(32)]]
{
    simdgroup_float8x8 m = simdgroup_float8x8(2.0f);
    float4x4 a(1.0f);
    half4 h = half4(1, 2, 3, 4);
    h[1] += 1.0h;
    float4 v = a * float4(h);
    o[i] = dot(v.xyz, float3(1)) + m.thread_elements()[0] + as_type<float>(0x3f800000u) + (i == 0 ? 1.0 : length(v.xw));
}
