/* SPDX-License-Identifier: Apache-2.0 */
/* The contract between the prelude and the engine: every operation that a lane cannot do alone.
   Nothing here is defined in C++: the engine replaces each call. */
#ifndef SMELT_INTRINSICS_H
#define SMELT_INTRINSICS_H

/* Rules for all of them
   - Scalars only, a closed set of types: i32 i64 (any signedness, two's complement), u32 u64 (only where the
     sign matters: min and max), f32, f16. The prelude widens bool, char and short to i32 or u32, sends bfloat
     values through f32 (arithmetic) or i32 (moves), and does vectors element by element.
   - "Active" means the lanes that execute this very call. Results of reductions and votes are over those.
   - Not marked pure on purpose: the result depends on the mask, which LLVM cannot see. */
#define SMELT_COLLECTIVE extern "C" __attribute__((convergent, nothrow))

/* Reductions: every active lane receives the result; a fixed tree for f32 and f16.
   prefix_exclusive starts from 0 (sum) or 1 (product); lanes count from the lowest active one. */
#define SMELT_DECLARE_ARITHMETIC(scope, type, suffix)                                                        \
    SMELT_COLLECTIVE type __smelt_##scope##_sum_##suffix(type value);                                        \
    SMELT_COLLECTIVE type __smelt_##scope##_product_##suffix(type value);                                    \
    SMELT_COLLECTIVE type __smelt_##scope##_prefix_inclusive_sum_##suffix(type value);                       \
    SMELT_COLLECTIVE type __smelt_##scope##_prefix_exclusive_sum_##suffix(type value);                       \
    SMELT_COLLECTIVE type __smelt_##scope##_prefix_inclusive_product_##suffix(type value);                   \
    SMELT_COLLECTIVE type __smelt_##scope##_prefix_exclusive_product_##suffix(type value);

/* f32 and f16: a NaN loses against a number, as in fmin and fmax. */
#define SMELT_DECLARE_EXTREMA(scope, type, suffix)                                                           \
    SMELT_COLLECTIVE type __smelt_##scope##_min_##suffix(type value);                                        \
    SMELT_COLLECTIVE type __smelt_##scope##_max_##suffix(type value);

#define SMELT_DECLARE_BITWISE(scope, type, suffix)                                                           \
    SMELT_COLLECTIVE type __smelt_##scope##_and_##suffix(type value);                                        \
    SMELT_COLLECTIVE type __smelt_##scope##_or_##suffix(type value);                                         \
    SMELT_COLLECTIVE type __smelt_##scope##_xor_##suffix(type value);

/* Moves between lanes. `lane`, `delta` and `mask` may differ by lane (shuffle only; the others are uniform by
   Metal's rule, but need not be constants). An index outside the group or an inactive source lane gives any
   value, never a fault. Meaning for lane L of a group of G = 32 (simd) or 4 (quad):
     broadcast(v, lane)            v of that lane          broadcast_first(v)        v of the lowest active
   lane shuffle(v, lane)              v of that lane          shuffle_xor(v, mask)      v of L ^ mask
     shuffle_up(v, d)              v of L - d; lanes below d keep their own
     shuffle_down(v, d)            v of L + d; the top d lanes keep their own
     shuffle_rotate_up(v, d)       v of (L - d) mod G      shuffle_rotate_down(v, d) v of (L + d) mod G
     shuffle_and_fill_up(v, f, d, m)    within runs of m lanes (m = 2, 4, ... G): L - d, and for the d lowest
   lanes of the run f of lane L - d + m shuffle_and_fill_down(v, f, d, m)  L + d, and for the d highest lanes
   of the run f of lane L + d - m */
#define SMELT_DECLARE_MOVES(scope, type, suffix)                                                             \
    SMELT_COLLECTIVE type __smelt_##scope##_broadcast_##suffix(type value, unsigned lane);                   \
    SMELT_COLLECTIVE type __smelt_##scope##_broadcast_first_##suffix(type value);                            \
    SMELT_COLLECTIVE type __smelt_##scope##_shuffle_##suffix(type value, unsigned lane);                     \
    SMELT_COLLECTIVE type __smelt_##scope##_shuffle_xor_##suffix(type value, unsigned mask);                 \
    SMELT_COLLECTIVE type __smelt_##scope##_shuffle_up_##suffix(type value, unsigned delta);                 \
    SMELT_COLLECTIVE type __smelt_##scope##_shuffle_down_##suffix(type value, unsigned delta);               \
    SMELT_COLLECTIVE type __smelt_##scope##_shuffle_rotate_up_##suffix(type value, unsigned delta);          \
    SMELT_COLLECTIVE type __smelt_##scope##_shuffle_rotate_down_##suffix(type value, unsigned delta);        \
    SMELT_COLLECTIVE type __smelt_##scope##_shuffle_and_fill_up_##suffix(type value, type filling,           \
                                                                         unsigned delta, unsigned modulo);   \
    SMELT_COLLECTIVE type __smelt_##scope##_shuffle_and_fill_down_##suffix(type value, type filling,         \
                                                                           unsigned delta, unsigned modulo);

/* Votes. The masks have bit L set for lane L (quad: bits 0 to 3). */
#define SMELT_DECLARE_SCOPE(scope)                                                                           \
    SMELT_DECLARE_ARITHMETIC(scope, int, i32)                                                                \
    SMELT_DECLARE_ARITHMETIC(scope, long, i64)                                                               \
    SMELT_DECLARE_ARITHMETIC(scope, float, f32)                                                              \
    SMELT_DECLARE_ARITHMETIC(scope, _Float16, f16)                                                           \
    SMELT_DECLARE_EXTREMA(scope, int, i32)                                                                   \
    SMELT_DECLARE_EXTREMA(scope, unsigned, u32)                                                              \
    SMELT_DECLARE_EXTREMA(scope, long, i64)                                                                  \
    SMELT_DECLARE_EXTREMA(scope, unsigned long, u64)                                                         \
    SMELT_DECLARE_EXTREMA(scope, float, f32)                                                                 \
    SMELT_DECLARE_EXTREMA(scope, _Float16, f16)                                                              \
    SMELT_DECLARE_BITWISE(scope, int, i32)                                                                   \
    SMELT_DECLARE_BITWISE(scope, long, i64)                                                                  \
    SMELT_DECLARE_MOVES(scope, int, i32)                                                                     \
    SMELT_DECLARE_MOVES(scope, long, i64)                                                                    \
    SMELT_DECLARE_MOVES(scope, float, f32)                                                                   \
    SMELT_DECLARE_MOVES(scope, _Float16, f16)                                                                \
    SMELT_COLLECTIVE bool __smelt_##scope##_all(bool value);                                                 \
    SMELT_COLLECTIVE bool __smelt_##scope##_any(bool value);                                                 \
    SMELT_COLLECTIVE bool __smelt_##scope##_is_first(void);                                                  \
    SMELT_COLLECTIVE unsigned __smelt_##scope##_ballot(bool value);                                          \
    SMELT_COLLECTIVE unsigned __smelt_##scope##_active_threads_mask(void);

SMELT_DECLARE_SCOPE(simd)
SMELT_DECLARE_SCOPE(quad)

/* The lane's own number, 0 to 31: what thread_index_in_simdgroup holds. */
extern "C" __attribute__((nothrow, const)) unsigned __smelt_lane(void);

/* Barriers; flags as in mem_flags: 1 device, 2 threadgroup, 4 texture, 8 imageblock, 16 object data. They
   order all memory, whatever the flags. */
SMELT_COLLECTIVE void __smelt_threadgroup_barrier(unsigned flags);
SMELT_COLLECTIVE void __smelt_simdgroup_barrier(unsigned flags);

/* simdgroup_matrix 8x8: two elements a lane, in MLX's lane map. Lane L holds (row, column) and (row, column +
   1): row = ((L >> 4) & 1) * 4 + ((L >> 1) & 3),  column = ((L >> 3) & 1) * 4 + (L & 1) * 2 A function gives
   one of the lane's two elements, chosen by `element` (the constant 0 or 1). The prelude calls it twice in a
   row with otherwise equal arguments: first 0, then 1; the engine computes the pair at the first call. All 32
   lanes take part; pointers and strides are uniform. */
#define SMELT_DECLARE_MATRIX(type, suffix)                                                                   \
    /* element (r, c) from source[r * stride + c], or from source[c * stride + r] when transposed */         \
    SMELT_COLLECTIVE type __smelt_matrix_load_##suffix(const type *source, long stride, bool transposed,     \
                                                       int element);                                         \
    SMELT_COLLECTIVE void __smelt_matrix_store_##suffix(type *destination, long stride, bool transposed,     \
                                                        type first, type second);
SMELT_DECLARE_MATRIX(float, f32)
SMELT_DECLARE_MATRIX(_Float16, f16)
SMELT_DECLARE_MATRIX(unsigned short, u16) /* the bits of bfloat */

/* Element of a * b + c. half and bfloat matrices are widened to f32 before and rounded after by the prelude.
 */
SMELT_COLLECTIVE float __smelt_matrix_multiply_accumulate_f32(float a0, float a1, float b0, float b1,
                                                              float c0, float c1, int element);

/* Not intrinsics
   - Atomics: the prelude uses clang's __atomic built-ins, so the engine sees ordinary atomicrmw, cmpxchg and
   atomic load and store (float add and sub are atomicrmw fadd and fsub; float min, max do not exist in
   Metal 3.2).
   - Heavy maths: functions of floats, `__smelt_math_NAME_f32` (smelt_leaf_*.h), defined in the prelude,
   nothrow, without branches and without memory beyond constants. The engine may inline them, or make one
   vector function of each. Half goes through f32. __smelt_math_fast_NAME_f32 are the fast:: forms. sin, cos,
   tan and fmod have one branch, on
     __smelt_simd_any, around a slow part that few arguments need; the others are marked const.
   - Everything else is ordinary IR or LLVM's own element-wise intrinsics: sqrt fma floor ceil trunc rint
   round roundeven fabs copysign minnum maxnum ctpop ctlz cttz bitreverse bswap fshl fshr sadd.sat uadd.sat
   ssub.sat usub.sat abs smin smax umin umax is.fpclass. */

#undef SMELT_DECLARE_MATRIX
#undef SMELT_DECLARE_SCOPE
#undef SMELT_DECLARE_MOVES
#undef SMELT_DECLARE_BITWISE
#undef SMELT_DECLARE_EXTREMA
#undef SMELT_DECLARE_ARITHMETIC
#endif
