/* SPDX-License-Identifier: Apache-2.0 */
/* Loads, stores and what must be done lane by lane. An address that is the same in all lanes is one scalar
   access; neighbouring elements are one vector; anything else is a gather or scatter. Every access is masked.
 */
#include "engine.h"
#include <string.h>

static uint64_t size_of(struct engine *e, LLVMTypeRef type)
{
    return LLVMStoreSizeOfType(LLVMGetModuleDataLayout(e->module), type);
}

static bool can_vectorise(LLVMTypeRef type)
{
    LLVMTypeKind kind = LLVMGetTypeKind(type);
    if (kind == LLVMIntegerTypeKind) {
        unsigned width = LLVMGetIntTypeWidth(type);
        return width == 8 || width == 16 || width == 32 || width == 64;
    }
    return kind == LLVMHalfTypeKind || kind == LLVMBFloatTypeKind || kind == LLVMFloatTypeKind ||
           kind == LLVMDoubleTypeKind || kind == LLVMPointerTypeKind;
}

static LLVMValueRef alignment_of(struct engine *e, LLVMValueRef i)
{
    unsigned alignment = LLVMGetAlignment(i);
    return LLVMConstInt(e->i32, alignment ? alignment : 1, 0);
}

static LLVMValueRef contiguous_load(struct engine *e, LLVMValueRef i, LLVMValueRef base)
{
    LLVMTypeRef overloads[2] = {vector_type(LLVMTypeOf(i)), e->pointer};
    LLVMValueRef arguments[4] = {base, alignment_of(e, i), e->mask, LLVMGetPoison(overloads[0])};
    return call_intrinsic(e, "llvm.masked.load", overloads, 2, arguments, 4);
}

static LLVMValueRef gather_load(struct engine *e, LLVMValueRef i, LLVMValueRef addresses)
{
    LLVMTypeRef overloads[2] = {vector_type(LLVMTypeOf(i)), LLVMTypeOf(addresses)};
    LLVMValueRef arguments[4] = {addresses, alignment_of(e, i), e->mask, LLVMGetPoison(overloads[0])};
    return call_intrinsic(e, "llvm.masked.gather", overloads, 2, arguments, 4);
}

/* Addresses at a known distance from each other: their differences stay constants, which strides.c looks for.
 */
static LLVMValueRef spread_addresses(struct engine *e, LLVMValueRef base, int64_t stride)
{
    LLVMValueRef offsets = lane_numbers(e, e->i64, stride);
    return LLVMBuildGEP2(e->builder, e->i8, base, &offsets, 1, "");
}

static LLVMValueRef near_load(struct engine *e, LLVMValueRef i, LLVMValueRef base, int64_t stride,
                              bool neighbours)
{
    return neighbours ? contiguous_load(e, i, base) : gather_load(e, i, spread_addresses(e, base, stride));
}

/* An access whose address may wrap within the simdgroup: `test` says whether it does not. Opens both ways;
   the caller fills the near way, then the far one, then continues at `after`. */
struct fork {
    LLVMBasicBlockRef ways[2], after;
};

static struct fork open_fork(struct engine *e, LLVMValueRef test)
{
    struct fork f = {{new_block(e, "near"), new_block(e, "far")}, new_block(e, "then")};
    LLVMBuildCondBr(e->builder, test, f.ways[0], f.ways[1]);
    LLVMPositionBuilderAtEnd(e->builder, f.ways[0]);
    return f;
}

void emit_load(struct engine *e, LLVMValueRef i)
{
    struct value *v = value_of(e, i);
    LLVMValueRef pointer = LLVMGetOperand(i, 0);
    struct private_array *array = private_of(e, pointer);
    if (array) {
        private_load(e, i, array);
        return;
    }
    struct shape shape = shape_at(e, pointer, e->current);
    if (shape.kind == SHAPE_UNIFORM) {
        e->scalar_accesses += !e->full;
        define_scalar(e, v, clone_scalar(e, i, false), NULL);
        return;
    }
    if (LLVMGetOrdering(i) != LLVMAtomicOrderingNotAtomic) {
        emit_serial(e, i);
        return;
    }
    if (!can_vectorise(LLVMTypeOf(i))) {
        engine_fail(e, i, "a load of a type that lanes cannot hold");
        return;
    }
    bool neighbours = shape.kind == SHAPE_AFFINE && (uint64_t)shape.stride == size_of(e, LLVMTypeOf(i));
    if (neighbours)
        e->vector_accesses += !e->full;
    else
        e->gather_accesses += !e->full;
    if (shape.kind != SHAPE_AFFINE) {
        define_vector(e, v, gather_load(e, i, vector_of(e, pointer)));
        return;
    }
    LLVMValueRef test = test_of(e, pointer), base = scalar_of(e, pointer);
    if (!test) {
        define_vector(e, v, near_load(e, i, base, shape.stride, neighbours));
        return;
    }
    LLVMValueRef addresses = vector_of(e, pointer);
    struct fork f = open_fork(e, test);
    LLVMValueRef results[2];
    results[0] = near_load(e, i, base, shape.stride, neighbours);
    LLVMBuildBr(e->builder, f.after);
    LLVMPositionBuilderAtEnd(e->builder, f.ways[1]);
    results[1] = gather_load(e, i, addresses);
    LLVMBuildBr(e->builder, f.after);
    LLVMPositionBuilderAtEnd(e->builder, f.after);
    LLVMValueRef both = LLVMBuildPhi(e->builder, LLVMTypeOf(results[0]), "");
    LLVMAddIncoming(both, results, f.ways, 2);
    define_vector(e, v, both);
}

static void contiguous_store(struct engine *e, LLVMValueRef i, LLVMValueRef value, LLVMValueRef base)
{
    LLVMTypeRef overloads[2] = {LLVMTypeOf(value), e->pointer};
    LLVMValueRef arguments[4] = {value, base, alignment_of(e, i), e->mask};
    call_intrinsic(e, "llvm.masked.store", overloads, 2, arguments, 4);
}

static void scatter_store(struct engine *e, LLVMValueRef i, LLVMValueRef value, LLVMValueRef addresses)
{
    LLVMTypeRef overloads[2] = {LLVMTypeOf(value), LLVMTypeOf(addresses)};
    LLVMValueRef arguments[4] = {value, addresses, alignment_of(e, i), e->mask};
    call_intrinsic(e, "llvm.masked.scatter", overloads, 2, arguments, 4);
}

static void near_store(struct engine *e, LLVMValueRef i, LLVMValueRef value, LLVMValueRef base,
                       int64_t stride, bool neighbours)
{
    if (neighbours)
        contiguous_store(e, i, value, base);
    else
        scatter_store(e, i, value, spread_addresses(e, base, stride));
}

/* All active lanes write one place: the last of them wins. */
static void store_one(struct engine *e, LLVMValueRef i)
{
    LLVMValueRef stored = LLVMGetOperand(i, 0), value;
    if (shape_at(e, stored, e->current).kind == SHAPE_UNIFORM) {
        value = scalar_of(e, stored);
    } else {
        LLVMValueRef arguments[2] = {mask_bits(e, e->mask), LLVMConstInt(e->i1, 0, 0)};
        LLVMValueRef zeros = call_intrinsic(e, "llvm.ctlz", &e->i32, 1, arguments, 2);
        LLVMValueRef last = LLVMBuildSub(e->builder, LLVMConstInt(e->i32, LANES - 1, 0), zeros, "");
        last = LLVMBuildAnd(e->builder, last, LLVMConstInt(e->i32, LANES - 1, 0), "");
        value = LLVMBuildExtractElement(e->builder, vector_of(e, stored), last, "");
    }
    LLVMValueRef copy = LLVMInstructionClone(i);
    LLVMSetOperand(copy, 0, value);
    LLVMSetOperand(copy, 1, scalar_of(e, LLVMGetOperand(i, 1)));
    LLVMInsertIntoBuilder(e->builder, copy);
    e->scalar_accesses += !e->full;
}

void emit_store(struct engine *e, LLVMValueRef i)
{
    LLVMValueRef pointer = LLVMGetOperand(i, 1), stored = LLVMGetOperand(i, 0);
    struct private_array *array = private_of(e, pointer);
    if (array) {
        private_store(e, i, array);
        return;
    }
    struct shape shape = shape_at(e, pointer, e->current);
    if (shape.kind == SHAPE_UNIFORM) {
        store_one(e, i);
        return;
    }
    if (LLVMGetOrdering(i) != LLVMAtomicOrderingNotAtomic) {
        emit_serial(e, i);
        return;
    }
    if (!can_vectorise(LLVMTypeOf(stored))) {
        engine_fail(e, i, "a store of a type that lanes cannot hold");
        return;
    }
    LLVMValueRef value = vector_of(e, stored);
    bool neighbours = shape.kind == SHAPE_AFFINE && (uint64_t)shape.stride == size_of(e, LLVMTypeOf(stored));
    if (neighbours)
        e->vector_accesses += !e->full;
    else
        e->gather_accesses += !e->full;
    if (shape.kind != SHAPE_AFFINE) {
        scatter_store(e, i, value, vector_of(e, pointer));
        return;
    }
    LLVMValueRef test = test_of(e, pointer), base = scalar_of(e, pointer);
    if (!test) {
        near_store(e, i, value, base, shape.stride, neighbours);
        return;
    }
    LLVMValueRef addresses = vector_of(e, pointer);
    struct fork f = open_fork(e, test);
    near_store(e, i, value, base, shape.stride, neighbours);
    LLVMBuildBr(e->builder, f.after);
    LLVMPositionBuilderAtEnd(e->builder, f.ways[1]);
    scatter_store(e, i, value, addresses);
    LLVMBuildBr(e->builder, f.after);
    LLVMPositionBuilderAtEnd(e->builder, f.after);
}

/* A vector laid into memory, an element a lane; i1 as bytes. */
static LLVMValueRef lay_out(struct engine *e, LLVMValueRef vector)
{
    if (LLVMGetElementType(LLVMTypeOf(vector)) == e->i1)
        vector = LLVMBuildZExt(e->builder, vector, LLVMVectorType(e->i8, LANES), "");
    LLVMValueRef slot = entry_slot(e, LLVMTypeOf(vector), "row");
    LLVMBuildStore(e->builder, vector, slot);
    return slot;
}

static LLVMValueRef element_of(struct engine *e, LLVMTypeRef type, LLVMValueRef slot, LLVMValueRef lane)
{
    bool bit = type == e->i1;
    LLVMTypeRef held = bit ? e->i8 : type;
    LLVMValueRef address = LLVMBuildGEP2(e->builder, held, slot, &lane, 1, "");
    LLVMValueRef value = LLVMBuildLoad2(e->builder, held, address, "");
    return bit ? LLVMBuildTrunc(e->builder, value, e->i1, "") : value;
}

/* The results of a serial loop, gathered member by member: cmpxchg gives a pair. */
struct results {
    LLVMTypeRef type;
    unsigned count;
    LLVMTypeRef members[2];
    LLVMValueRef slots[2];
};

static void open_results(struct engine *e, struct results *r, LLVMTypeRef type)
{
    r->type = type;
    bool pair = LLVMGetTypeKind(type) == LLVMStructTypeKind;
    r->count = LLVMGetTypeKind(type) == LLVMVoidTypeKind ? 0 : pair ? 2 : 1;
    for (unsigned k = 0; k < r->count; k++) {
        r->members[k] = pair ? LLVMStructGetTypeAtIndex(type, k) : type;
        LLVMTypeRef held = r->members[k] == e->i1 ? e->i8 : r->members[k];
        r->slots[k] = entry_slot(e, LLVMVectorType(held, LANES), "row");
    }
}

static void add_result(struct engine *e, const struct results *r, LLVMValueRef made, LLVMValueRef lane)
{
    for (unsigned k = 0; k < r->count; k++) {
        LLVMValueRef part = r->count == 2 ? LLVMBuildExtractValue(e->builder, made, k, "") : made;
        if (r->members[k] == e->i1) part = LLVMBuildZExt(e->builder, part, e->i8, "");
        LLVMBuildStore(e->builder, part,
                       LLVMBuildGEP2(e->builder, LLVMTypeOf(part), r->slots[k], &lane, 1, ""));
    }
}

static LLVMValueRef close_results(struct engine *e, const struct results *r)
{
    LLVMValueRef whole = r->count == 2 ? LLVMGetPoison(vector_type(r->type)) : NULL;
    for (unsigned k = 0; k < r->count; k++) {
        LLVMTypeRef held = r->members[k] == e->i1 ? e->i8 : r->members[k];
        LLVMValueRef part = LLVMBuildLoad2(e->builder, LLVMVectorType(held, LANES), r->slots[k], "");
        if (r->members[k] == e->i1) part = LLVMBuildTrunc(e->builder, part, e->mask_type, "");
        whole = r->count == 2 ? LLVMBuildInsertValue(e->builder, whole, part, k, "") : part;
    }
    return whole;
}

/* The instruction once for every active lane, lowest first. */
void emit_serial(struct engine *e, LLVMValueRef i)
{
    LLVMBuilderRef b = e->builder;
    unsigned count = (unsigned)LLVMGetNumOperands(i);
    LLVMValueRef slots[8] = {0};
    if (count > 8) {
        engine_fail(e, i, "a call of more than seven arguments");
        return;
    }
    for (unsigned k = 0; k < count; k++) {
        LLVMValueRef operand = LLVMGetOperand(i, k);
        if (!LLVMIsAInstruction(operand)) continue;
        if (shape_at(e, operand, e->current).kind == SHAPE_UNIFORM)
            scalar_of(e, operand);
        else
            slots[k] = lay_out(e, vector_of(e, operand));
    }
    struct results results;
    open_results(e, &results, LLVMTypeOf(i));
    LLVMBasicBlockRef before = LLVMGetInsertBlock(b), body = new_block(e, "each"),
                      after = new_block(e, "done");
    LLVMValueRef bits = mask_bits(e, e->mask);
    LLVMBuildCondBr(b, any_lane(e, e->mask), body, after);
    LLVMPositionBuilderAtEnd(b, body);
    LLVMValueRef left = LLVMBuildPhi(b, e->i32, "");
    LLVMValueRef arguments[2] = {left, LLVMConstInt(e->i1, 1, 0)};
    LLVMValueRef lane = call_intrinsic(e, "llvm.cttz", &e->i32, 1, arguments, 2);
    LLVMValueRef copy = LLVMInstructionClone(i);
    for (unsigned k = 0; k < count; k++) {
        LLVMValueRef operand = LLVMGetOperand(i, k);
        if (slots[k])
            LLVMSetOperand(copy, k, element_of(e, LLVMTypeOf(operand), slots[k], lane));
        else if (LLVMIsAInstruction(operand))
            LLVMSetOperand(copy, k, scalar_of(e, operand));
    }
    LLVMInsertIntoBuilder(b, copy);
    add_result(e, &results, copy, lane);
    LLVMValueRef rest = LLVMBuildAnd(b, left, LLVMBuildSub(b, left, LLVMConstInt(e->i32, 1, 0), ""), "");
    LLVMValueRef incoming[2] = {bits, rest};
    LLVMBasicBlockRef from[2] = {before, body};
    LLVMAddIncoming(left, incoming, from, 2);
    LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntNE, rest, LLVMConstInt(e->i32, 0, 0), ""), body, after);
    LLVMPositionBuilderAtEnd(b, after);
    e->serial_operations += !e->full;
    if (results.count) define_vector(e, value_of(e, i), close_results(e, &results));
}
