/* SPDX-License-Identifier: Apache-2.0 */
/* What memory-bound kernels share: types, 16-byte accesses with cache hints, and where a row lies. */
#pragma once

#include "walk.h"

namespace smelt
{

/* The launch before may still run: kernels are started early and wait here, before any access to memory. */
__device__ __forceinline__ void begin_kernel()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;\n\tgriddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* Rows are read once: they pass the first cache by. */
__device__ __forceinline__ uint4 load_once(const char *address)
{
    uint4 v;
    asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(address));
    return v;
}

/* Columns serve every row. */
__device__ __forceinline__ uint4 load_often(const char *address)
{
    uint4 v;
    asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(address));
    return v;
}

/* `streaming`: the output is larger than the cache, so what it displaces is worth more. */
__device__ __forceinline__ void store(char *address, uint4 v, bool streaming)
{
    if (streaming)
        asm volatile("st.global.cs.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(address), "r"(v.x), "r"(v.y),
                     "r"(v.z), "r"(v.w)
                     : "memory");
    else
        asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(address), "r"(v.x), "r"(v.y), "r"(v.z),
                     "r"(v.w)
                     : "memory");
}

__device__ __forceinline__ float float_of_half(uint32_t bits)
{
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(static_cast<uint16_t>(bits)));
    return value;
}

/* Keeps what is computed from `v` inside the loop: outside it would take more registers. */
__device__ __forceinline__ void recompute(uint4 &v)
{
    asm volatile("" : "+r"(v.x), "+r"(v.y), "+r"(v.z), "+r"(v.w));
}

/* Elements of a type in 16 bytes, and between them and float32. */
template <int kType> struct Vector;

template <> struct Vector<SMELT_CUDA_F32> {
    enum { kCount = 4 };
    static __device__ __forceinline__ void unpack(const uint4 &v, float (&f)[4])
    {
        f[0] = __uint_as_float(v.x), f[1] = __uint_as_float(v.y);
        f[2] = __uint_as_float(v.z), f[3] = __uint_as_float(v.w);
    }
    static __device__ __forceinline__ uint4 pack(const float (&f)[4])
    {
        return make_uint4(__float_as_uint(f[0]), __float_as_uint(f[1]), __float_as_uint(f[2]),
                          __float_as_uint(f[3]));
    }
    static __device__ __forceinline__ uint4 multiply(const uint4 &a, const uint4 &b)
    {
        float f[4], g[4];
        unpack(a, f), unpack(b, g);
        for (int i = 0; i < 4; i++) f[i] *= g[i];
        return pack(f);
    }
    static __device__ __forceinline__ uint4 add(const uint4 &a, const uint4 &b)
    {
        float f[4], g[4];
        unpack(a, f), unpack(b, g);
        for (int i = 0; i < 4; i++) f[i] += g[i];
        return pack(f);
    }
};

template <int kType> struct Vector16 {
    enum { kCount = 8 };
    static __device__ __forceinline__ void unpack(uint32_t word, float &low, float &high)
    {
        if (kType == SMELT_CUDA_BF16) {
            low = __uint_as_float(word << 16), high = __uint_as_float(word & 0xFFFF0000u);
        } else {
            low = float_of_half(word & 0xFFFFu), high = float_of_half(word >> 16);
        }
    }
    static __device__ __forceinline__ uint32_t pack(float low, float high)
    {
        uint32_t word;
        if (kType == SMELT_CUDA_BF16)
            asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
        else
            asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
        return word;
    }
    static __device__ __forceinline__ void unpack(const uint4 &v, float (&f)[8])
    {
        unpack(v.x, f[0], f[1]), unpack(v.y, f[2], f[3]);
        unpack(v.z, f[4], f[5]), unpack(v.w, f[6], f[7]);
    }
    static __device__ __forceinline__ uint4 pack(const float (&f)[8])
    {
        return make_uint4(pack(f[0], f[1]), pack(f[2], f[3]), pack(f[4], f[5]), pack(f[6], f[7]));
    }
    /* Products and sums as the type has them: rounded once. */
    static __device__ __forceinline__ uint32_t multiply(uint32_t a, uint32_t b)
    {
        uint32_t word;
        if (kType == SMELT_CUDA_BF16)
            asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(word) : "r"(a), "r"(b), "r"(0x80008000u));
        else
            asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(word) : "r"(a), "r"(b));
        return word;
    }
    static __device__ __forceinline__ uint32_t add(uint32_t a, uint32_t b)
    {
        uint32_t word;
        if (kType == SMELT_CUDA_BF16)
            asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(word) : "r"(a), "r"(0x3F803F80u), "r"(b));
        else
            asm("add.rn.f16x2 %0, %1, %2;" : "=r"(word) : "r"(a), "r"(b));
        return word;
    }
    static __device__ __forceinline__ uint4 multiply(const uint4 &a, const uint4 &b)
    {
        return make_uint4(multiply(a.x, b.x), multiply(a.y, b.y), multiply(a.z, b.z), multiply(a.w, b.w));
    }
    static __device__ __forceinline__ uint4 add(const uint4 &a, const uint4 &b)
    {
        return make_uint4(add(a.x, b.x), add(a.y, b.y), add(a.z, b.z), add(a.w, b.w));
    }
};

template <> struct Vector<SMELT_CUDA_F16> : Vector16<SMELT_CUDA_F16> {
};
template <> struct Vector<SMELT_CUDA_BF16> : Vector16<SMELT_CUDA_BF16> {
};

/* One element of a type that is known when the kernel runs. */
__device__ __forceinline__ float load_element(const char *address, int type)
{
    if (type == SMELT_CUDA_F32) return *reinterpret_cast<const float *>(address);
    const uint32_t bits = *reinterpret_cast<const uint16_t *>(address);
    return type == SMELT_CUDA_BF16 ? __uint_as_float(bits << 16) : float_of_half(bits);
}

__device__ __forceinline__ uint32_t bits_of(float value, int type)
{
    return type == SMELT_CUDA_BF16 ? Vector16<SMELT_CUDA_BF16>::pack(value, 0.0f)
                                   : Vector16<SMELT_CUDA_F16>::pack(value, 0.0f);
}

__device__ __forceinline__ void store_element(char *address, int type, float value)
{
    if (type == SMELT_CUDA_F32)
        *reinterpret_cast<float *>(address) = value;
    else
        *reinterpret_cast<uint16_t *>(address) = static_cast<uint16_t>(bits_of(value, type));
}

__device__ __forceinline__ float round_element(float value, int type)
{
    if (type == SMELT_CUDA_F32) return value;
    const uint32_t bits = bits_of(value, type);
    return type == SMELT_CUDA_BF16 ? __uint_as_float(bits << 16) : float_of_half(bits & 0xFFFFu);
}

/* Bytes from the first element of each tensor to those of row `row`. */
template <int kTensors>
__device__ __forceinline__ void locate(const smelt_walk &walk, int64_t row, int64_t (&at)[kTensors])
{
    if (walk.axes == 1) {
#pragma unroll
        for (int t = 0; t < kTensors; t++) at[t] = row * walk.stride[t][0];
        return;
    }
#pragma unroll
    for (int t = 0; t < kTensors; t++) at[t] = 0;
#pragma unroll 1
    for (int i = walk.axes - 1; i >= 0; i--) {
        int64_t index = row;
        if (i > 0) { /* fewer than 2^31 rows, where there are several axes */
            const uint32_t size = static_cast<uint32_t>(walk.shape[i]),
                           rest = static_cast<uint32_t>(row) / size;
            index = static_cast<uint32_t>(row) - rest * size, row = rest;
        }
#pragma unroll
        for (int t = 0; t < kTensors; t++) at[t] += index * walk.stride[t][i];
    }
}

} // namespace smelt
