/* SPDX-License-Identifier: Apache-2.0 */
/* The style of quantised inference: packed blocks, 4x4 registers, dequantisers as template arguments, simdgroup
   matrices over threadgroup memory that comes as bytes. */
#include <metal_stdlib>

#define MAX(x, y) ((x) > (y) ? (x) : (y))
#define SWAP(x, y) { auto tmp = (x); (x) = (y); (y) = tmp; }
#define FOR_UNROLL(x) _Pragma("clang loop unroll(full)") for (x)
#define N_SIMDWIDTH 32
#define PAD2(x, n) (((x) + (n) - 1) & ~((n) - 1))

using namespace metal;

typedef matrix<bfloat, 4, 4> bfloat4x4;
typedef matrix<bfloat, 2, 4> bfloat2x4;

#define QK 32
typedef struct {
    half d;
    uint8_t qs[QK / 2];
} block_q4;
typedef struct {
    half d;
    int8_t qs[QK];
} block_q8;
static_assert(sizeof(block_q4) == sizeof(half) + QK / 2, "wrong block size");

typedef struct {
    int32_t ne00;
    int32_t ne02;
    uint64_t nb01;
    uint64_t nb02;
    int32_t ne0;
    int16_t r2;
    float scale;
} kargs;

constexpr constant static float kvalues[16] = {-127.f, -104.f, -83.f, -65.f, -49.f, -35.f, -22.f, -10.f, 1.f, 13.f, 25.f, 38.f, 53.f, 69.f, 89.f, 113.f};
constant short NSG [[function_constant(600)]];
constant bool is_gelu [[function_constant(601)]];

template <typename type4x4> void dequantize_q4(device const block_q4 *xb, short il, thread type4x4 &reg)
{
    device const uint16_t *qs = ((device const uint16_t *)xb + 1);
    const float d1 = il ? (xb->d / 16.h) : xb->d;
    const float d2 = d1 / 256.f;
    const float md = -8.h * xb->d;
    const ushort mask0 = il ? 0x00F0 : 0x000F;
    const ushort mask1 = mask0 << 8;
    float4x4 reg_f;
    for (int i = 0; i < 8; i++) {
        reg_f[i / 2][2 * (i % 2) + 0] = d1 * (qs[i] & mask0) + md;
        reg_f[i / 2][2 * (i % 2) + 1] = d2 * (qs[i] & mask1) + md;
    }
    reg = (type4x4)reg_f;
}
template <typename type4x4> void dequantize_q8(device const block_q8 *xb, short il, thread type4x4 &reg)
{
    device const int8_t *qs = ((device const int8_t *)xb->qs);
    const float d = xb->d;
    float4x4 reg_f;
    for (int i = 0; i < 16; i++) reg_f[i / 4][i % 4] = (qs[i + 16 * il] * d);
    reg = (type4x4)reg_f;
}
template <typename type4x4> void dequantize_f16(device const half4x4 *src, short il, thread type4x4 &reg) { reg = (type4x4)(*src); }
template <typename type4> void dequantize_lut(device const block_q4 *xb, short il, thread type4 &reg)
{
    uint32_t aux32 = *(device const uint16_t *)(xb->qs + 2 * il);
    thread const uint8_t *q8 = (thread const uint8_t *)&aux32;
    reg = (float)xb->d * float4(kvalues[q8[0] & 15], kvalues[q8[0] >> 4], kvalues[q8[1] & 15], kvalues[q8[1] >> 4]);
}
template <typename T4> kernel void lut_rows(device const block_q4 *src, device T4 *dst, uint i [[thread_position_in_grid]])
{
    T4 r;
    dequantize_lut(src + i / 8, i % 8, r);
    dst[i] = r;
}
typedef decltype(lut_rows<float4>) lut_t;
template [[host_name("lut_rows_f32")]] kernel lut_t lut_rows<float4>;

kernel void kernel_gelu_4(constant kargs &args, device const float4 *src0, device float4 *dst, uint tpig [[thread_position_in_grid]])
{
    device const float4 &x = src0[tpig];
    const float4 t = precise::tanh(0.79788456080286535587989211986876f * x * (1.0f + 0.044715f * x * x));
    dst[tpig] = is_gelu ? 0.5f * x * (1.0f + t) : x / (1.0f + exp(-x));
}

template <typename T>
kernel void kernel_soft_max_4(constant kargs &args, device const char *src0, device const char *src1, device char *dst,
                              threadgroup float *buf [[threadgroup(0)]], uint3 tgpig [[threadgroup_position_in_grid]],
                              uint sgitg [[simdgroup_index_in_threadgroup]], uint tiisg [[thread_index_in_simdgroup]],
                              uint3 tpitg [[thread_position_in_threadgroup]], uint3 tptg [[threads_per_threadgroup]])
{
    const int32_t i01 = tgpig.x;
    device const float4 *psrc4 = (device const float4 *)(src0 + i01 * args.nb01);
    device const T *pmask = src1 != src0 ? (device const T *)(src1 + i01 * args.nb02) : nullptr;
    device float4 *pdst4 = (device float4 *)(dst + i01 * args.nb01);
    float4 lmax4 = -INFINITY;
    for (int i00 = tpitg.x; i00 < args.ne00 / 4; i00 += tptg.x)
        lmax4 = fmax(lmax4, psrc4[i00] * args.scale + (float4)((pmask ? args.scale * pmask[i00] : 0.0f)));
    const float lmax = MAX(MAX(lmax4[0], lmax4[1]), MAX(lmax4[2], lmax4[3]));
    float max_val = simd_max(lmax);
    if (tptg.x > N_SIMDWIDTH) {
        if (sgitg == 0) buf[tiisg] = -INFINITY;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (tiisg == 0) buf[sgitg] = max_val;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        max_val = simd_max(buf[tiisg]);
    }
    float4 lsum4 = 0.0f;
    for (int i00 = tpitg.x; i00 < args.ne00 / 4; i00 += tptg.x) {
        const float4 exp_psrc4 = exp((psrc4[i00] * args.scale) - max_val);
        lsum4 += exp_psrc4;
        pdst4[i00] = exp_psrc4;
    }
    const float sum = simd_sum(lsum4[0] + lsum4[1] + lsum4[2] + lsum4[3]);
    const float inv_sum = 1.0f / sum;
    for (int i00 = tpitg.x; i00 < args.ne00 / 4; i00 += tptg.x) pdst4[i00] *= inv_sum;
}
typedef decltype(kernel_soft_max_4<half4>) kernel_soft_max_4_t;
template [[host_name("kernel_soft_max_f32_4")]] kernel kernel_soft_max_4_t kernel_soft_max_4<float4>;
template [[host_name("kernel_soft_max_f16_4")]] kernel void kernel_soft_max_4<float>(constant kargs &, device const char *, device const char *, device char *, threadgroup float *, uint3, uint, uint, uint3, uint3);

template <typename S0, typename S0_4x4, typename S0_8x8, typename S1, typename S1_2x4, typename S1_8x8, typename block_q, short nl,
          void (*dequantize_func)(device const block_q *, short, thread S0_4x4 &)>
kernel void kernel_mul_mm(constant kargs &args, device const char *src0, device const char *src1, device char *dst,
                          threadgroup char *shmem [[threadgroup(0)]], uint3 tgpig [[threadgroup_position_in_grid]],
                          ushort tiitg [[thread_index_in_threadgroup]], ushort sgitg [[simdgroup_index_in_threadgroup]])
{
    threadgroup S0 *sa = (threadgroup S0 *)(shmem);
    threadgroup S1 *sb = (threadgroup S1 *)(shmem + 4096);
    constexpr int NR0 = 64;
    const short lr0 = ((short)tiitg / 2) < NR0 ? ((short)tiitg / 2) : NR0 - 1;
    short il = tiitg % nl;
    S0_8x8 ma[4];
    S1_8x8 mb[2];
    simdgroup_float8x8 mc[8];
    for (short i = 0; i < 8; i++) mc[i] = make_filled_simdgroup_matrix<float, 8>(0.f);
    device const block_q *x = (device const block_q *)(src0 + args.nb01 * (tgpig.y * NR0 + lr0)) + il / nl;
    device const float *y = (device const float *)(src1 + args.nb02 * tgpig.x);
    for (int loop_k = 0; loop_k < args.ne00; loop_k += 32) {
        S0_4x4 temp_a;
        dequantize_func(x, il, temp_a);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        FOR_UNROLL(short i = 0; i < 16; i++) *(sa + 64 * (i / 8) + 8 * (lr0 % 8) + (i % 8)) = temp_a[i / 4][i % 4];
        *(threadgroup S1_2x4 *)(sb + 8 * lr0) = (S1_2x4)(*((device float2x4 *)y));
        il = (il + 2 < nl) ? il + 2 : il % 2;
        x = (il < 2) ? x + (2 + nl - 1) / nl : x;
        y += 32;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        threadgroup const S0 *lsma = (sa + 4 * 64 * (sgitg % 2));
        threadgroup const S1 *lsmb = (sb + 2 * 64 * (sgitg / 2));
        FOR_UNROLL(short ik = 0; ik < 4; ik++)
        {
            simdgroup_barrier(mem_flags::mem_none);
            FOR_UNROLL(short i = 0; i < 4; i++) simdgroup_load(ma[i], lsma + 64 * i, 8, 0, false);
            FOR_UNROLL(short i = 0; i < 2; i++) simdgroup_load(mb[i], lsmb + 64 * i, 8, 0, true);
            FOR_UNROLL(short i = 0; i < 8; i++) simdgroup_multiply_accumulate(mc[i], mb[i / 4], ma[i % 4], mc[i]);
            lsma += 8 * 64;
            lsmb += 4 * 64;
        }
    }
    device float *C = (device float *)dst + (tgpig.y * NR0) + 32 * (sgitg & 1);
    for (short i = 0; i < 8; i++) simdgroup_store(mc[i], C + 8 * (i % 4) + 8 * args.ne0 * (i / 4), args.ne0, ulong2(0, 0));
}
typedef decltype(kernel_mul_mm<half, half4x4, simdgroup_half8x8, half, half2x4, simdgroup_half8x8, half4x4, 1, dequantize_f16>) mul_mm_t;
template [[host_name("kernel_mul_mm_f16")]] kernel mul_mm_t kernel_mul_mm<half, half4x4, simdgroup_half8x8, half, half2x4, simdgroup_half8x8, half4x4, 1, dequantize_f16>;
template [[host_name("kernel_mul_mm_q4")]] kernel mul_mm_t kernel_mul_mm<half, half4x4, simdgroup_half8x8, half, half2x4, simdgroup_half8x8, block_q4, 2, dequantize_q4>;
template [[host_name("kernel_mul_mm_q8")]] kernel mul_mm_t kernel_mul_mm<half, half4x4, simdgroup_half8x8, float, float2x4, simdgroup_float8x8, block_q8, 2, dequantize_q8>;
template [[host_name("kernel_mul_mm_bf16")]] kernel mul_mm_t kernel_mul_mm<bfloat, bfloat4x4, simdgroup_bfloat8x8, bfloat, bfloat2x4, simdgroup_bfloat8x8, block_q8, 2, dequantize_q8>;

inline float block_q_n_dot_y(device const block_q4 *qb, float sumy, thread float *yl, int il)
{
    float d = qb->d;
    float acc[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    device const uint16_t *qs = ((device const uint16_t *)qb + 1 + il / 2);
    for (int i = 0; i < 8; i += 2) {
        acc[0] += yl[i + 0] * (qs[i / 2] & 0x000F);
        acc[1] += yl[i + 1] * (qs[i / 2] & 0x0F00);
        acc[2] += yl[i + 8] * (qs[i / 2] & 0x00F0);
        acc[3] += yl[i + 9] * (qs[i / 2] & 0xF000);
    }
    return d * (sumy * -8.f + acc[0] + acc[1] + acc[2] + acc[3]);
}
template <int NR0> kernel void mul_mv(constant kargs &args, device const block_q4 *x, device const float *yy, device float *dst,
                                      uint3 tgpig [[threadgroup_position_in_grid]], ushort tiisg [[thread_index_in_simdgroup]],
                                      ushort sgitg [[simdgroup_index_in_threadgroup]])
{
    float yl[16];
    float sumf[NR0] = {0.f};
    device const block_q4 *ax[NR0];
    FOR_UNROLL(int row = 0; row < NR0; ++row) ax[row] = x + ((tgpig.x * NSG + sgitg) * NR0 + row) * (args.ne00 / QK);
    for (int ib = tiisg / 2; ib < args.ne00 / QK; ib += 16) {
        float sumy[2] = {0.f, 0.f};
        FOR_UNROLL(short i = 0; i < 8; i += 2)
        {
            sumy[0] += yy[i + 0] + yy[i + 1];
            yl[i + 0] = yy[i + 0];
            yl[i + 1] = yy[i + 1] / 256.f;
            sumy[1] += yy[i + 16] + yy[i + 17];
            yl[i + 8] = yy[i + 16] / 16.f;
            yl[i + 9] = yy[i + 17] / 4096.f;
        }
        FOR_UNROLL(short row = 0; row < NR0; row++) sumf[row] += block_q_n_dot_y(ax[row] + ib, sumy[0] + sumy[1], yl, 8 * (tiisg % 2));
    }
    for (int row = 0; row < NR0; ++row) {
        const float tot = simd_sum(sumf[row]);
        if (tiisg == 0) dst[row] = tot;
    }
}
template [[host_name("mul_mv_q4")]] kernel decltype(mul_mv<4>) mul_mv<4>;
