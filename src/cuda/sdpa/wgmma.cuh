/* SPDX-License-Identifier: Apache-2.0 */
/* Warpgroup matrix multiply: shared-memory descriptors and one wrapper a tile width N.
 *
 * Accumulator of one thread (warp w of four, lane l): element 4 j + e lies at row 16 w + l / 4 + 8 (e / 2),
 * column 8 j + 2 (l % 4) + e % 2. The same order, packed in pairs, is the layout of a register operand A. */
#pragma once

#include <stdint.h>

namespace smelt
{

struct Half {
};
struct Bfloat {
};

/* Where a matrix lies in shared memory. Rows of one chunk are kRowBytes long (128 or 64) and swizzled over
 * their full width, as the tensor copies write them; eight rows are one atom. Only the low word depends on
 * the address, which saves 64-bit arithmetic in front of every instruction. */
template <int kRowBytes> struct Descriptor {
    uint32_t low;

    __device__ __forceinline__ Descriptor(uint32_t address, uint32_t leading_bytes)
        : low((address & 0x3FFFF) / 16 + (leading_bytes / 16 << 16)) /* above that, the block's rank */
    {
        static_assert(kRowBytes == 128 || kRowBytes == 64, "swizzle width");
        /* opaque, or the compiler keeps the descriptor of every step in registers across the loop */
        asm volatile("" : "+r"(low));
    }
    __device__ __forceinline__ uint64_t at(uint32_t bytes) const
    {
        constexpr uint64_t kHigh = static_cast<uint64_t>((kRowBytes == 128 ? 1u : 2u) << 30 | kRowBytes / 2);
        return kHigh << 32 | (low + bytes / 16);
    }
};

__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

__device__ __forceinline__ void wgmma_commit()
{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

template <int kPending> __device__ __forceinline__ void wgmma_wait()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

/* Keeps the compiler from moving reads or writes of accumulators across a wait or an issue. */
template <int kCount> __device__ __forceinline__ void pin(float (&registers)[kCount])
{
#pragma unroll
    for (int i = 0; i < kCount; i++) asm volatile("" : "+f"(registers[i])::"memory");
}

template <int kN, class Element> struct Wgmma;

/* clang-format off */
#define SMELT_R0  "%0,%1,%2,%3,%4,%5,%6,%7"
#define SMELT_R1  "%8,%9,%10,%11,%12,%13,%14,%15"
#define SMELT_R2  "%16,%17,%18,%19,%20,%21,%22,%23"
#define SMELT_R3  "%24,%25,%26,%27,%28,%29,%30,%31"
#define SMELT_R4  "%32,%33,%34,%35,%36,%37,%38,%39"
#define SMELT_R5  "%40,%41,%42,%43,%44,%45,%46,%47"
#define SMELT_R6  "%48,%49,%50,%51,%52,%53,%54,%55"
#define SMELT_R7  "%56,%57,%58,%59,%60,%61,%62,%63"
#define SMELT_R8  "%64,%65,%66,%67,%68,%69,%70,%71"
#define SMELT_R9  "%72,%73,%74,%75,%76,%77,%78,%79"
#define SMELT_R10 "%80,%81,%82,%83,%84,%85,%86,%87"
#define SMELT_R11 "%88,%89,%90,%91,%92,%93,%94,%95"
#define SMELT_R12 "%96,%97,%98,%99,%100,%101,%102,%103"
#define SMELT_R13 "%104,%105,%106,%107,%108,%109,%110,%111"
#define SMELT_R14 "%112,%113,%114,%115,%116,%117,%118,%119"
#define SMELT_R15 "%120,%121,%122,%123,%124,%125,%126,%127"
#define SMELT_L16  SMELT_R0 "," SMELT_R1
#define SMELT_L24  SMELT_L16 "," SMELT_R2
#define SMELT_L32  SMELT_L24 "," SMELT_R3
#define SMELT_L40  SMELT_L32 "," SMELT_R4
#define SMELT_L48  SMELT_L40 "," SMELT_R5
#define SMELT_L56  SMELT_L48 "," SMELT_R6
#define SMELT_L64  SMELT_L56 "," SMELT_R7
#define SMELT_L72  SMELT_L64 "," SMELT_R8
#define SMELT_L80  SMELT_L72 "," SMELT_R9
#define SMELT_L88  SMELT_L80 "," SMELT_R10
#define SMELT_L96  SMELT_L88 "," SMELT_R11
#define SMELT_L128 SMELT_L96 "," SMELT_R12 "," SMELT_R13 "," SMELT_R14 "," SMELT_R15
#define SMELT_O8(b) "+f"(d[b]), "+f"(d[b + 1]), "+f"(d[b + 2]), "+f"(d[b + 3]), \
                    "+f"(d[b + 4]), "+f"(d[b + 5]), "+f"(d[b + 6]), "+f"(d[b + 7])
#define SMELT_O16  SMELT_O8(0), SMELT_O8(8)
#define SMELT_O24  SMELT_O16, SMELT_O8(16)
#define SMELT_O32  SMELT_O24, SMELT_O8(24)
#define SMELT_O40  SMELT_O32, SMELT_O8(32)
#define SMELT_O48  SMELT_O40, SMELT_O8(40)
#define SMELT_O56  SMELT_O48, SMELT_O8(48)
#define SMELT_O64  SMELT_O56, SMELT_O8(56)
#define SMELT_O72  SMELT_O64, SMELT_O8(64)
#define SMELT_O80  SMELT_O72, SMELT_O8(72)
#define SMELT_O88  SMELT_O80, SMELT_O8(80)
#define SMELT_O96  SMELT_O88, SMELT_O8(88)
#define SMELT_O128 SMELT_O96, SMELT_O8(96), SMELT_O8(104), SMELT_O8(112), SMELT_O8(120)

/* p0 to p4 are the numbers of the operands that follow the accumulators. */
#define SMELT_WGMMA(n, count, Element, type, p0, p1, p2, p3, p4, p5)                                        \
template <> struct Wgmma<n, Element> {                                                                      \
    /* d (+)= A B with A (64, 16) and B (16, n), both in shared memory and contiguous along 16 */           \
    static __device__ __forceinline__ void shared(float (&d)[count], uint64_t a, uint64_t b, int keep)      \
    {                                                                                                       \
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " p2 ", 0;\n"                                        \
                     "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." type "." type " {" SMELT_L##count    \
                     "}, " p0 ", " p1 ", p, 1, 1, 0, 0;\n}"                                                 \
                     : SMELT_O##count : "l"(a), "l"(b), "r"(keep));                                         \
    }                                                                                                       \
    /* d += A B with A in registers and B (16, n) in shared memory, contiguous along n */                   \
    static __device__ __forceinline__ void registers(float (&d)[count], uint32_t a0, uint32_t a1,           \
                                                     uint32_t a2, uint32_t a3, uint64_t b)                  \
    {                                                                                                       \
        asm volatile("{\n.reg .pred p;\nsetp.eq.b32 p, 0, 0;\n"                                              \
                     "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." type "." type " {" SMELT_L##count    \
                     "}, {" p0 ", " p1 ", " p2 ", " p3 "}, " p4 ", p, 1, 1, 1;\n}"                         \
                     : SMELT_O##count : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(b));                        \
    }                                                                                                       \
};
#define SMELT_WGMMA_TYPES(n, count, ...)                  \
    SMELT_WGMMA(n, count, Bfloat, "bf16", __VA_ARGS__)    \
    SMELT_WGMMA(n, count, Half, "f16", __VA_ARGS__)

SMELT_WGMMA_TYPES(32, 16, "%16", "%17", "%18", "%19", "%20", "%21")
SMELT_WGMMA_TYPES(48, 24, "%24", "%25", "%26", "%27", "%28", "%29")
SMELT_WGMMA_TYPES(64, 32, "%32", "%33", "%34", "%35", "%36", "%37")
SMELT_WGMMA_TYPES(80, 40, "%40", "%41", "%42", "%43", "%44", "%45")
SMELT_WGMMA_TYPES(96, 48, "%48", "%49", "%50", "%51", "%52", "%53")
SMELT_WGMMA_TYPES(112, 56, "%56", "%57", "%58", "%59", "%60", "%61")
SMELT_WGMMA_TYPES(128, 64, "%64", "%65", "%66", "%67", "%68", "%69")
SMELT_WGMMA_TYPES(144, 72, "%72", "%73", "%74", "%75", "%76", "%77")
SMELT_WGMMA_TYPES(160, 80, "%80", "%81", "%82", "%83", "%84", "%85")
SMELT_WGMMA_TYPES(176, 88, "%88", "%89", "%90", "%91", "%92", "%93")
SMELT_WGMMA_TYPES(192, 96, "%96", "%97", "%98", "%99", "%100", "%101")
SMELT_WGMMA_TYPES(256, 128, "%128", "%129", "%130", "%131", "%132", "%133")
/* clang-format on */

__device__ __forceinline__ uint32_t pack(Bfloat, float low, float high)
{
    uint32_t word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
}

__device__ __forceinline__ uint32_t pack(Half, float low, float high)
{
    uint32_t word;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
}

} // namespace smelt
