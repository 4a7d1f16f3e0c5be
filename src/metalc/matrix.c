/* SPDX-License-Identifier: Apache-2.0 */
/* simdgroup_matrix: 64 elements as two vectors, element 0 and element 1 of each lane, in MLX's lane map. In
   this map every factor of a product is a permutation within one half of a vector, one instruction on
   AVX-512. */
#include "abi.h"
#include "engine.h"
#include <string.h>

enum { SIDE = 8 };

static unsigned row_of(unsigned lane) { return (lane >> 4 & 1) * 4 + (lane >> 1 & 3); }
static unsigned column_of(unsigned lane) { return (lane >> 3 & 1) * 4 + (lane & 1) * 2; }

/* The lane that holds (row, column) in its element column % 2. */
static unsigned lane_of(unsigned row, unsigned column)
{
    return (row >> 2) << 4 | (column >> 2) << 3 | (row & 3) << 1 | (column >> 1 & 1);
}

static LLVMValueRef rearrange(struct engine *e, LLVMValueRef a, LLVMValueRef b, const unsigned *from,
                              unsigned count)
{
    LLVMValueRef pattern[SIDE * SIDE];
    for (unsigned i = 0; i < count; i++) pattern[i] = LLVMConstInt(e->i32, from[i], 0);
    return LLVMBuildShuffleVector(e->builder, a, b, LLVMConstVector(pattern, count), "");
}

/* Two vectors one behind the other. */
static LLVMValueRef join(struct engine *e, LLVMValueRef a, LLVMValueRef b)
{
    unsigned from[SIDE * SIDE], count = 2 * LLVMGetVectorSize(LLVMTypeOf(a));
    for (unsigned i = 0; i < count; i++) from[i] = i;
    return rearrange(e, a, b, from, count);
}

static LLVMValueRef row_address(struct engine *e, LLVMTypeRef element, LLVMValueRef base, LLVMValueRef stride,
                                unsigned row)
{
    LLVMValueRef at = LLVMBuildMul(e->builder, stride, LLVMConstInt(e->i64, row, 0), "");
    return LLVMBuildGEP2(e->builder, element, base, &at, 1, "");
}

/* The pair of vectors is made at the first of two calls; the second takes what the first left. */
static void define_pair(struct engine *e, LLVMValueRef call, LLVMValueRef first, LLVMValueRef second)
{
    define_vector(e, value_of(e, call), first);
    e->second_element = second;
}

static bool take_second(struct engine *e, LLVMValueRef call, unsigned operand)
{
    if (LLVMConstIntGetZExtValue(LLVMGetOperand(call, operand)) == 0) return false;
    if (!e->second_element)
        engine_fail(e, call, "a matrix operation without its first half");
    else
        define_vector(e, value_of(e, call), e->second_element);
    e->second_element = NULL;
    return true;
}

static bool shared(struct engine *e, LLVMValueRef call, unsigned count)
{
    for (unsigned k = 0; k < count; k++)
        if (shape_at(e, LLVMGetOperand(call, k), e->current).kind != SHAPE_UNIFORM) {
            engine_fail(e, call,
                        "the address and stride of a simdgroup_matrix must be the same in all threads of the "
                        "simdgroup");
            return false;
        }
    return true;
}

static void load_matrix(struct engine *e, LLVMValueRef call)
{
    if (take_second(e, call, 3) || !shared(e, call, 3)) return;
    LLVMTypeRef element = LLVMTypeOf(call), row = LLVMVectorType(element, SIDE);
    LLVMValueRef base = scalar_of(e, LLVMGetOperand(call, 0)), stride = scalar_of(e, LLVMGetOperand(call, 1)),
                 rows[SIDE];
    for (unsigned r = 0; r < SIDE; r++) {
        rows[r] = LLVMBuildLoad2(e->builder, row, row_address(e, element, base, stride, r), "");
        LLVMSetAlignment(rows[r], (unsigned)LLVMABISizeOfType(LLVMGetModuleDataLayout(e->module), element));
    }
    for (unsigned width = SIDE; width > 1; width /= 2)
        for (unsigned k = 0; k < width / 2; k++) rows[k] = join(e, rows[2 * k], rows[2 * k + 1]);
    LLVMValueRef pair[2], turned = scalar_of(e, LLVMGetOperand(call, 2));
    for (unsigned k = 0; k < 2; k++) {
        unsigned straight[LANES], across[LANES];
        for (unsigned lane = 0; lane < LANES; lane++) {
            straight[lane] = row_of(lane) * SIDE + column_of(lane) + k;
            across[lane] = (column_of(lane) + k) * SIDE + row_of(lane);
        }
        LLVMValueRef a = rearrange(e, rows[0], rows[0], straight, LANES),
                     b = rearrange(e, rows[0], rows[0], across, LANES);
        pair[k] = LLVMBuildSelect(e->builder, turned, b, a, "");
    }
    define_pair(e, call, pair[0], pair[1]);
}

static void store_matrix(struct engine *e, LLVMValueRef call)
{
    if (!shared(e, call, 3)) return;
    LLVMValueRef base = scalar_of(e, LLVMGetOperand(call, 0)), stride = scalar_of(e, LLVMGetOperand(call, 1));
    LLVMValueRef first = vector_of(e, LLVMGetOperand(call, 3)),
                 second = vector_of(e, LLVMGetOperand(call, 4));
    LLVMValueRef turned = scalar_of(e, LLVMGetOperand(call, 2));
    LLVMTypeRef element = LLVMGetElementType(LLVMTypeOf(first));
    for (unsigned r = 0; r < SIDE; r++) {
        unsigned straight[SIDE], across[SIDE];
        for (unsigned c = 0; c < SIDE; c++) {
            straight[c] = lane_of(r, c) + (c & 1) * LANES;
            across[c] = lane_of(c, r) + (r & 1) * LANES;
        }
        LLVMValueRef a = rearrange(e, first, second, straight, SIDE),
                     b = rearrange(e, first, second, across, SIDE);
        LLVMValueRef made = LLVMBuildStore(e->builder, LLVMBuildSelect(e->builder, turned, b, a, ""),
                                           row_address(e, element, base, stride, r));
        LLVMSetAlignment(made, (unsigned)LLVMABISizeOfType(LLVMGetModuleDataLayout(e->module), element));
    }
}

/* A branch that always goes on and that no pass can see through: LLVM schedules and assigns registers block
   by block, and over many products at once it would keep no sum in a register. The way never taken uses the
   sums, so that they are not moved behind it. */
static void cut_block(struct engine *e, LLVMValueRef sums[2])
{
    LLVMValueRef at = LLVMConstInt(e->i64, offsetof(struct smelt_simdgroup, arguments), 0);
    LLVMValueRef address = LLVMBuildGEP2(e->builder, e->i8, e->simdgroup, &at, 1, "");
    LLVMValueRef table = LLVMBuildLoad2(e->builder, e->i64, address, "");
    LLVMSetVolatile(table, 1);
    LLVMBasicBlockRef next = new_block(e, "product"), never = new_block(e, "never");
    LLVMValueRef there = LLVMBuildICmp(e->builder, LLVMIntNE, table, LLVMConstInt(e->i64, 0, 0), "");
    LLVMBuildCondBr(e->builder, there, next, never);
    LLVMPositionBuilderAtEnd(e->builder, never);
    for (unsigned k = 0; k < 2; k++)
        LLVMSetVolatile(LLVMBuildStore(e->builder, sums[k], LLVMConstNull(e->pointer)), 1);
    LLVMBuildBr(e->builder, e->exit);
    LLVMPositionBuilderAtEnd(e->builder, next);
}

/* Lanes [start, start + count) of a vector of 32. */
static LLVMValueRef piece_of(struct engine *e, LLVMValueRef vector, unsigned start, unsigned count)
{
    unsigned from[LANES];
    for (unsigned i = 0; i < count; i++) from[i] = start + i;
    return rearrange(e, vector, vector, from, count);
}

/* The two elements of a * b + c, a register's width of lanes at a time. In a piece a factor depends on the
   rows of its lanes alone, or on their columns alone: pieces of the same rows, or columns, share it, and so
   do other products with the same matrix, as equal instructions. */
static void multiply_matrices(struct engine *e, LLVMValueRef call)
{
    if (take_second(e, call, 6)) return;
    LLVMValueRef in[6], sums[2][LANES / 8];
    unsigned width = e->lanes_per_register < LANES / 2 ? 8 : 16, pieces = LANES / width;
    for (unsigned k = 0; k < 6; k++) in[k] = vector_of(e, LLVMGetOperand(call, k));
    LLVMTypeRef type = LLVMVectorType(e->f32, width);
    for (unsigned piece = 0; piece < pieces; piece++) {
        unsigned start = piece * width;
        LLVMValueRef sum[2] = {piece_of(e, in[4], start, width), piece_of(e, in[5], start, width)};
        for (unsigned k = 0; k < SIDE; k++) {
            unsigned left[LANES], right[LANES];
            for (unsigned i = 0; i < width; i++) {
                left[i] = lane_of(row_of(start + i), k);
                right[i] = lane_of(k, column_of(start + i));
            }
            LLVMValueRef a = rearrange(e, in[k & 1], in[k & 1], left, width);
            for (unsigned element = 0; element < 2; element++) {
                LLVMValueRef b = in[2 + element];
                LLVMValueRef operands[3] = {a, rearrange(e, b, b, right, width), sum[element]};
                sum[element] = call_intrinsic(e, "llvm.fma", &type, 1, operands, 3);
            }
        }
        sums[0][piece] = sum[0], sums[1][piece] = sum[1];
    }
    for (unsigned element = 0; element < 2; element++)
        for (unsigned count = pieces; count > 1; count /= 2)
            for (unsigned k = 0; k < count / 2; k++)
                sums[element][k] = join(e, sums[element][2 * k], sums[element][2 * k + 1]);
    LLVMValueRef pair[2] = {sums[0][0], sums[1][0]};
    cut_block(e, pair);
    define_pair(e, call, pair[0], pair[1]);
}

bool is_matrix_call(LLVMValueRef call)
{
    size_t length;
    return strncmp(LLVMGetValueName2(LLVMGetCalledValue(call), &length), "__smelt_matrix_", 15) == 0;
}

bool emit_matrix_call(struct engine *e, LLVMValueRef call, const char *name)
{
    if (strncmp(name, "__smelt_matrix_", 15) != 0) return false;
    name += 15;
    if (!strncmp(name, "load", 4))
        load_matrix(e, call);
    else if (!strncmp(name, "store", 5))
        store_matrix(e, call);
    else if (!strncmp(name, "multiply", 8))
        multiply_matrices(e, call);
    else
        return false;
    return true;
}
