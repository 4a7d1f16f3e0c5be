/* SPDX-License-Identifier: Apache-2.0 */
/* The style of generated code: vector loads through casts, matrix products through thread_elements, everything in
   long expressions. */
#include <metal_stdlib>
using namespace metal;
#define M_LOG2E 1.4426950408889634f
float2 __WMMA_8_8_8_float_float(float2 a, float2 b, float2 c)
{
    simdgroup_float8x8 mat_a, mat_b;
    simdgroup_float8x8 mat_c;
    mat_a.thread_elements()[0] = a[0];
    mat_b.thread_elements()[0] = b[0];
    mat_c.thread_elements()[0] = c[0];
    mat_a.thread_elements()[1] = a[1];
    mat_b.thread_elements()[1] = b[1];
    mat_c.thread_elements()[1] = c[1];
    simdgroup_multiply_accumulate(mat_c, mat_a, mat_b, mat_c);
    return float2(mat_c.thread_elements()[0], mat_c.thread_elements()[1]);
}
kernel void r_2_32_8_16_4(device float *data0_4096, const device float *data1_4096, const device half *data2_4096, constant int &start_pos,
                          uint3 gid [[threadgroup_position_in_grid]], uint3 lid [[thread_position_in_threadgroup]])
{
    threadgroup __attribute__((aligned(16))) float temp0[64];
    float acc0[4];
    int gidx0 = gid.x; /* 2 */
    int lidx0 = lid.x; /* 32 */
    *(acc0 + 0) = 0.0f;
    *(acc0 + 1) = 0.0f;
    int alu0 = (lidx0 & 1) << 1 | ((lidx0 >> 3) & 1);
    bool alu1 = (start_pos < (gidx0 + 1)) != 1;
    for (int ridx0 = 0; ridx0 < 8; ridx0++) {
        float4 val0 = (*((device float4 *)((data1_4096 + (gidx0 * 512 + ridx0 * 4)))));
        half4 val1 = (*((const device half4 *)((data2_4096 + (alu0 * 512)))));
        float2 wmma0 = __WMMA_8_8_8_float_float(float2(val0.x, val0.y), float2(((float)(val1.x)), ((float)(val1.y))), float2((*(acc0 + 0)), (*(acc0 + 1))));
        *(acc0 + 0) = wmma0.x;
        *(acc0 + 1) = wmma0.y + (alu1 ? val0.z : 0.0f);
    }
    *(temp0 + lidx0) = (*(acc0 + 0));
    threadgroup_barrier(mem_flags::mem_threadgroup);
    float cast0 = (float)((half)((*(temp0 + (lidx0 ^ 1)))));
    unsigned int bits = as_type<unsigned int>(cast0);
    unsigned char byte0 = (unsigned char)((bits >> 24u) & 255u);
    float alu2 = (1 / (1.0f + exp2((cast0 * -1.4426950408889634f))));
    float alu3 = (precise::sin(alu2) + sqrt(alu2)) * log2(((0.0f < cast0) ? cast0 : (-cast0)));
    *((device float4 *)((data0_4096 + (gidx0 * 128 + lidx0 * 4)))) = float4(alu2, alu3, (float)byte0, ((bool)(cast0) ? 1.0f : 0.0f));
}
kernel void E_4_bf(device bfloat *data0, const device bfloat *data1, const device uchar *data2, device int *data3, uint3 gid [[threadgroup_position_in_grid]],
                   uint3 lid [[thread_position_in_threadgroup]])
{
    int i = gid.x * 4 + lid.x;
    bfloat val = (*(data1 + i));
    *(data0 + i) = ((bfloat)((((float)(val)) * 2.0f)));
    *(data0 + i + 4) = (val * ((bfloat)(0.5f)) + val);
    *(data3 + i) = (int)(((long)(*(data2 + i)) * 2654435769l) >> 32l) + (int)(((unsigned short)(3u)) << 2) + as_type<short>(val) % 7;
    *(data3 + i + 4) = max(min((*(data3 + i)), 100), -100) / 3 * ((*(data2 + i)) < (unsigned char)(3u));
}

// the style of a shader cross-compiler
template <typename T, size_t Num> struct spvUnsafeArray {
    T elements[Num ? Num : 1];
    thread T &operator[](size_t pos) thread { return elements[pos]; }
    constexpr const thread T &operator[](size_t pos) const thread { return elements[pos]; }
};
struct _13 {
    uint _m0;
    packed_float3 _m1;
    float4x4 _m2;
};
constant uint3 gl_WorkGroupSize [[maybe_unused]] = uint3(8u, 8u, 1u);
constant spvUnsafeArray<float, 3> _table = spvUnsafeArray<float, 3>({0.25f, 0.5f, 0.25f});
static inline __attribute__((always_inline)) float4 _20(thread const float4 &v, constant _13 &_21)
{
    return _21._m2 * float4(v.xyz + float3(_21._m1), 1.0);
}
kernel void main0(constant _13 &_21 [[buffer(0)]], device float4 *_30 [[buffer(1)]], uint3 gl_GlobalInvocationID [[thread_position_in_grid]],
                  uint gl_LocalInvocationIndex [[thread_index_in_threadgroup]])
{
    threadgroup spvUnsafeArray<float4, 64> shared_data;
    float4 _41 = _30[gl_GlobalInvocationID.x];
    _30[gl_GlobalInvocationID.x] = fast::clamp(_20(_41, _21), float4(0.0), float4(1.0)) * _table.elements[gl_LocalInvocationIndex % 3u];
    _30[0].xyz = mix(_41.xyz, _41.zyx, float3(0.5)) + select(float3(0.0), _41.www, _41.xyz > float3(0.5));
    _30[1] = float4(as_type<float4>(uint4(1u, 2u, 3u, 4u)).xy, float2(half2(_41.zw)));
    spvUnsafeArray<float4, 2> local = spvUnsafeArray<float4, 2>({_41, _41.wzyx});
    _30[2] = local[gl_LocalInvocationIndex & 1u] + float4(fast::normalize(_41.xyz), fast::max(_41.x, 0.0));
}
