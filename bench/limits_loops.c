/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of the limits, for the best ISA of this processor. They stand apart from src/cpu/vec because they
 * are compiled for several ISAs in one file, and because the chains are spelled out as instructions, so that
 * the compiler neither folds nor spills them. */
#include "core/cpu.h"
#include "limits.h"

static volatile float sink; /* what is read must be used */

#if defined(__x86_64__)
#    include <immintrin.h>
static inline void fence(void) { _mm_sfence(); }
#else
static inline void fence(void) {}
#endif

/* Sums `inputs` streams into every one of `outputs`, four vectors of each at a time. The counts are constants
 * where this is inlined; `l` is a copy, so that no store can change its pointers. */
#define WALK_COUNTS(name, target, vector, width, zero, load, add, store, stream_store)                       \
    static inline __attribute__((always_inline)) target void name##_counts(                                  \
        struct limit_loop l, int inputs, int outputs, bool past_cache, int64_t begin, int64_t end)           \
    {                                                                                                        \
        vector total[4] = {zero, zero, zero, zero};                                                          \
        for (int64_t i = begin; i < end; i += 4 * width) {                                                   \
            vector v[4];                                                                                     \
            for (int u = 0; u < 4; u++) v[u] = load(l.stream[0] + i + u * width);                            \
            for (int s = 1; s < inputs; s++)                                                                 \
                for (int u = 0; u < 4; u++) v[u] = add(v[u], load(l.stream[s] + i + u * width));             \
            for (int s = inputs; s < inputs + outputs; s++)                                                  \
                for (int u = 0; u < 4; u++)                                                                  \
                    if (past_cache)                                                                          \
                        stream_store(l.stream[s] + i + u * width, v[u]);                                     \
                    else                                                                                     \
                        store(l.stream[s] + i + u * width, v[u]);                                            \
            for (int u = 0; u < 4 && !outputs; u++) total[u] = add(total[u], v[u]);                          \
        }                                                                                                    \
        if (past_cache) fence();                                                                             \
        float last[width];                                                                                   \
        store(last, add(add(total[0], total[1]), add(total[2], total[3])));                                  \
        sink = last[0];                                                                                      \
    }
#define WALK_CASE(name, inputs, outputs)                                                                     \
    case 4 * inputs + outputs:                                                                               \
        if (outputs && loop->past_cache)                                                                     \
            name##_counts(*loop, inputs, outputs, true, begin, end);                                         \
        else                                                                                                 \
            name##_counts(*loop, inputs, outputs, false, begin, end);                                        \
        break;
#define WALK(name, target, vector, width, zero, load, add, store, stream_store)                              \
    WALK_COUNTS(name, target, vector, width, zero, load, add, store, stream_store)                           \
    target static void name(const struct limit_loop *loop, int64_t begin, int64_t end)                       \
    {                                                                                                        \
        switch (4 * loop->inputs + loop->outputs) {                                                          \
            WALK_CASE(name, 1, 0)                                                                            \
            WALK_CASE(name, 1, 1)                                                                            \
            WALK_CASE(name, 1, 2)                                                                            \
            WALK_CASE(name, 2, 1)                                                                            \
            WALK_CASE(name, 2, 2)                                                                            \
            WALK_CASE(name, 2, 3)                                                                            \
            WALK_CASE(name, 3, 1)                                                                            \
            WALK_CASE(name, 3, 2)                                                                            \
            WALK_CASE(name, 3, 3)                                                                            \
            WALK_CASE(name, 4, 1)                                                                            \
            WALK_CASE(name, 4, 2)                                                                            \
            WALK_CASE(name, 4, 3)                                                                            \
        }                                                                                                    \
    }

/* Twelve chains keep every unit busy: each waits only for itself. */
#define CHAINS(instruction, constraint)                                                                      \
    for (int64_t i = 0; i < repetitions; i++)                                                                \
        __asm__ volatile(instruction(0) instruction(1) instruction(2) instruction(3) instruction(4)          \
                             instruction(5) instruction(6) instruction(7) instruction(8) instruction(9)      \
                                 instruction(10) instruction(11)                                             \
                         : constraint(x0), constraint(x1), constraint(x2), constraint(x3), constraint(x4),   \
                           constraint(x5), constraint(x6), constraint(x7), constraint(x8), constraint(x9),   \
                           constraint(x10), constraint(x11)                                                  \
                         : OPERAND(m));
#define REGISTERS(vector, zero)                                                                              \
    vector m = zero, x0 = m, x1 = m, x2 = m, x3 = m, x4 = m, x5 = m, x6 = m, x7 = m, x8 = m, x9 = m,         \
           x10 = m, x11 = m

#if defined(__x86_64__)
#    define TARGET_AVX2   __attribute__((target("avx2,fma")))
#    define TARGET_AVX512 __attribute__((target("avx512f")))
WALK(walk_sse, , __m128, 4, _mm_setzero_ps(), _mm_loadu_ps, _mm_add_ps, _mm_storeu_ps, _mm_stream_ps)
WALK(walk_avx2, TARGET_AVX2, __m256, 8, _mm256_setzero_ps(), _mm256_loadu_ps, _mm256_add_ps, _mm256_storeu_ps,
     _mm256_stream_ps)
WALK(walk_avx512, TARGET_AVX512, __m512, 16, _mm512_setzero_ps(), _mm512_loadu_ps, _mm512_add_ps,
     _mm512_storeu_ps, _mm512_stream_ps)

limit_walk *limit_best_walk(void)
{
    if (smelt_isa_found() >= SMELT_ISA_AVX512) return walk_avx512;
    return smelt_isa_found() == SMELT_ISA_AVX2 ? walk_avx2 : walk_sse;
}

#    define OPERAND(m) "v"(m)
#    define FMA(i)     "vfmadd231ps %12, %12, %" #    i "\n\t"
#    define DOT(i)     "vdpbf16ps %12, %12, %" #    i "\n\t"
#    define MULADD(i)  "mulps %12, %" #    i "\n\taddps %12, %" #    i "\n\t"
static void chains_sse(int64_t repetitions)
{
    REGISTERS(__m128, _mm_setzero_ps());
    CHAINS(MULADD, "+x")
}
TARGET_AVX2 static void chains_avx2(int64_t repetitions)
{
    REGISTERS(__m256, _mm256_setzero_ps());
    CHAINS(FMA, "+x")
}
TARGET_AVX512 static void chains_avx512(int64_t repetitions)
{
    REGISTERS(__m512, _mm512_setzero_ps());
    CHAINS(FMA, "+v")
}
TARGET_AVX512 static void chains_dot(int64_t repetitions)
{
    REGISTERS(__m512, _mm512_setzero_ps());
    CHAINS(DOT, "+v")
}

double limit_run_chains(enum limit_chain chain, int64_t repetitions)
{
    enum smelt_isa isa = smelt_isa_found();
    double lanes = isa >= SMELT_ISA_AVX512 ? 16 : isa == SMELT_ISA_AVX2 ? 8 : 4;
    if (chain == LIMIT_DOT) {
        if (isa < SMELT_ISA_AVX512BF16) return 0;
        chains_dot(repetitions);
        lanes = 32;
    } else if (isa >= SMELT_ISA_AVX512) {
        chains_avx512(repetitions);
    } else if (isa == SMELT_ISA_AVX2) {
        chains_avx2(repetitions);
    } else {
        chains_sse(repetitions);
    }
    return 2 * 12 * lanes * (double)repetitions;
}
#elif defined(__aarch64__)
#    include <arm_neon.h>
/* Arm has no streaming store that bypasses the caches as x86 does; ordinary stores that fill whole lines are
 * what processors detect. */
WALK(walk_neon, , float32x4_t, 4, vdupq_n_f32(0), vld1q_f32, vaddq_f32, vst1q_f32, vst1q_f32)
limit_walk *limit_best_walk(void) { return walk_neon; }

#    define OPERAND(m) "w"(m)
#    define FMA(i)     "fmla %" #    i ".4s, %12.4s, %12.4s\n\t"
double limit_run_chains(enum limit_chain chain, int64_t repetitions)
{
    if (chain == LIMIT_DOT) return 0;
    REGISTERS(float32x4_t, vdupq_n_f32(0));
    CHAINS(FMA, "+w")
    return 2 * 12 * 4 * (double)repetitions;
}
#else
static inline float load(const float *p) { return *p; }
static inline float add(float a, float b) { return a + b; }
static inline void store(float *p, float v) { *p = v; }
WALK(walk_scalar, , float, 1, 0.0f, load, add, store, store)
limit_walk *limit_best_walk(void) { return walk_scalar; }

double limit_run_chains(enum limit_chain chain, int64_t repetitions)
{
    if (chain == LIMIT_DOT) return 0;
    float x[12] = {0}, m = sink;
    for (int64_t i = 0; i < repetitions; i++)
        for (int k = 0; k < 12; k++) x[k] = x[k] * m + m;
    for (int k = 0; k < 12; k++) sink = x[k];
    return 2 * 12 * (double)repetitions;
}
#endif
