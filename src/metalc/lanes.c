/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions on lanes: a uniform one stays as it is, an affine one computes its base, the others become the
   same operation on vectors of 32. */
#include "engine.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void engine_fail(struct engine *e, LLVMValueRef where, const char *format, ...)
{
    char message[400];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    if (!e->failed) {
        unsigned line = where && LLVMIsAInstruction(where) ? LLVMGetDebugLocLine(where) : 0;
        unsigned length = 0;
        const char *file = line ? LLVMGetDebugLocFilename(where, &length) : NULL;
        if (file)
            text_print(e->log, "%.*s:%u: error: %s\n", (int)length, file, line, message);
        else
            text_print(e->log, "error: %s\n", message);
    }
    e->failed = true;
}

LLVMTypeRef vector_type(LLVMTypeRef element)
{
    LLVMTypeRef members[16];
    if (LLVMGetTypeKind(element) == LLVMArrayTypeKind)
        return LLVMArrayType2(vector_type(LLVMGetElementType(element)), LLVMGetArrayLength2(element));
    if (LLVMGetTypeKind(element) != LLVMStructTypeKind) return LLVMVectorType(element, LANES);
    unsigned count = LLVMCountStructElementTypes(element);
    if (count > 16) count = 16; /* the check of types refuses larger ones */
    for (unsigned i = 0; i < count; i++) members[i] = vector_type(LLVMStructGetTypeAtIndex(element, i));
    return LLVMStructTypeInContext(LLVMGetTypeContext(element), members, count, 0);
}

LLVMBasicBlockRef new_block(struct engine *e, const char *name)
{
    return LLVMAppendBasicBlockInContext(e->context, e->target, name);
}

LLVMValueRef entry_slot(struct engine *e, LLVMTypeRef type, const char *name)
{
    LLVMValueRef slot = LLVMBuildAlloca(e->slots, type, name);
    if (LLVMGetTypeKind(type) == LLVMVectorTypeKind && e->vector_slot_count < MOST_VECTOR_SLOTS)
        e->vector_slots[e->vector_slot_count++] = slot;
    return slot;
}

LLVMValueRef call_intrinsic(struct engine *e, const char *name, LLVMTypeRef *overloads,
                            unsigned overload_count, LLVMValueRef *arguments, unsigned argument_count)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef function = LLVMGetIntrinsicDeclaration(e->module, id, overloads, overload_count);
    LLVMTypeRef type = LLVMIntrinsicGetType(e->context, id, overloads, overload_count);
    return LLVMBuildCall2(e->builder, type, function, arguments, argument_count, "");
}

LLVMValueRef splat(struct engine *e, LLVMValueRef scalar)
{
    LLVMTypeRef type = LLVMTypeOf(scalar);
    if (LLVMGetTypeKind(type) == LLVMStructTypeKind || LLVMGetTypeKind(type) == LLVMArrayTypeKind) {
        bool is_struct = LLVMGetTypeKind(type) == LLVMStructTypeKind;
        unsigned count = is_struct ? LLVMCountStructElementTypes(type) : (unsigned)LLVMGetArrayLength2(type);
        LLVMValueRef whole = LLVMGetPoison(vector_type(type));
        for (unsigned i = 0; i < count; i++) {
            LLVMValueRef part = LLVMBuildExtractValue(e->builder, scalar, i, "");
            whole = LLVMBuildInsertValue(e->builder, whole, splat(e, part), i, "");
        }
        return whole;
    }
    if (LLVMIsConstant(scalar)) {
        LLVMValueRef copies[LANES];
        for (int i = 0; i < LANES; i++) copies[i] = scalar;
        return LLVMConstVector(copies, LANES);
    }
    LLVMValueRef first = LLVMBuildInsertElement(e->builder, LLVMGetPoison(vector_type(type)), scalar,
                                                LLVMConstInt(e->i32, 0, 0), "");
    return LLVMBuildShuffleVector(e->builder, first, LLVMGetPoison(vector_type(type)),
                                  LLVMConstNull(LLVMVectorType(e->i32, LANES)), "");
}

LLVMValueRef lane_numbers(struct engine *e, LLVMTypeRef integer, int64_t stride)
{
    (void)e;
    LLVMValueRef numbers[LANES];
    for (int i = 0; i < LANES; i++) numbers[i] = LLVMConstInt(integer, (unsigned long long)(i * stride), 1);
    return LLVMConstVector(numbers, LANES);
}

LLVMValueRef mask_bits(struct engine *e, LLVMValueRef mask)
{
    return LLVMBuildBitCast(e->builder, mask, e->i32, "");
}

LLVMValueRef any_lane(struct engine *e, LLVMValueRef mask)
{
    return LLVMBuildICmp(e->builder, LLVMIntNE, mask_bits(e, mask), LLVMConstInt(e->i32, 0, 0), "any");
}

/* Definitions: kept for the rest of the block, and stored where other blocks look. */
static void keep(struct engine *e, LLVMValueRef *slot, LLVMValueRef value, const char *name)
{
    if (!*slot) *slot = entry_slot(e, LLVMTypeOf(value), name);
    LLVMBuildStore(e->builder, value, *slot);
}

static void keep_late(struct engine *e, struct value *v, LLVMValueRef vector)
{
    LLVMTypeRef type = LLVMTypeOf(vector);
    if (!v->late_slot) v->late_slot = entry_slot(e, type, "late");
    LLVMValueRef old = LLVMBuildLoad2(e->builder, type, v->late_slot, "");
    LLVMBuildStore(e->builder, LLVMBuildSelect(e->builder, e->mask, vector, old, ""), v->late_slot);
}

void define_scalar(struct engine *e, struct value *v, LLVMValueRef scalar, LLVMValueRef test)
{
    v->scalar = scalar;
    v->test = test;
    v->vector = NULL;
    if (v->crosses) keep(e, &v->scalar_slot, scalar, "s");
    if (v->crosses && test) keep(e, &v->test_slot, test, "t");
    if (v->leaves_loop && !v->shape.conditional) keep_late(e, v, vector_of(e, v->source));
}

void define_vector(struct engine *e, struct value *v, LLVMValueRef vector)
{
    v->vector = vector;
    if (v->crosses) keep(e, &v->vector_slot, vector, "v");
    if (v->leaves_loop) keep_late(e, v, vector);
}

/* Uses. */
static LLVMTypeRef shaped_type(const struct value *v) { return vector_type(LLVMTypeOf(v->source)); }

static void refresh(struct engine *e, struct value *v)
{
    if (v->epoch == e->epoch) return;
    v->epoch = e->epoch;
    v->cached_scalar = v->cached_vector = v->cached_test = NULL;
}

LLVMValueRef scalar_of(struct engine *e, LLVMValueRef operand)
{
    struct value *v = LLVMIsAInstruction(operand) ? value_of(e, operand) : NULL;
    if (!v) return LLVMIsAInstruction(operand) ? LLVMGetPoison(LLVMTypeOf(operand)) : operand;
    if (v->block == e->current && v->scalar) return v->scalar;
    refresh(e, v);
    if (!v->cached_scalar)
        v->cached_scalar = v->scalar_slot
                               ? LLVMBuildLoad2(e->builder, LLVMTypeOf(operand), v->scalar_slot, "")
                               : LLVMGetPoison(LLVMTypeOf(operand));
    return v->cached_scalar;
}

LLVMValueRef test_of(struct engine *e, LLVMValueRef operand)
{
    struct value *v = LLVMIsAInstruction(operand) ? value_of(e, operand) : NULL;
    if (!v || v->shape.kind != SHAPE_AFFINE || !v->shape.conditional) return NULL;
    if (v->block == e->current && v->test) return v->test;
    refresh(e, v);
    if (!v->cached_test)
        v->cached_test =
            v->test_slot ? LLVMBuildLoad2(e->builder, e->i1, v->test_slot, "") : LLVMGetUndef(e->i1);
    return v->cached_test;
}

static LLVMValueRef spread(struct engine *e, const struct value *v, LLVMValueRef base)
{
    LLVMTypeRef type = LLVMTypeOf(base);
    if (v->shape.kind == SHAPE_UNIFORM) return splat(e, base);
    if (LLVMGetTypeKind(type) == LLVMPointerTypeKind) {
        LLVMValueRef offsets = lane_numbers(e, e->i64, v->shape.stride);
        return LLVMBuildGEP2(e->builder, e->i8, base, &offsets, 1, "");
    }
    return LLVMBuildAdd(e->builder, splat(e, base), lane_numbers(e, type, v->shape.stride), "");
}

LLVMValueRef vector_of(struct engine *e, LLVMValueRef operand)
{
    if (!LLVMIsAInstruction(operand)) {
        if (LLVMIsUndef(operand)) return LLVMGetUndef(vector_type(LLVMTypeOf(operand)));
        return splat(e, operand);
    }
    struct value *v = value_of(e, operand);
    if (!v) return LLVMGetPoison(vector_type(LLVMTypeOf(operand)));
    if (v->block == e->current && v->vector) return v->vector;
    refresh(e, v);
    if (v->cached_vector) return v->cached_vector;
    bool whole = v->shape.kind == SHAPE_VARYING || v->shape.conditional;
    LLVMValueRef slot = NULL;
    if (parts_between(e, v->block, e->current))
        slot = v->late_slot;
    else if (whole)
        slot = v->vector_slot;
    if (slot) {
        v->cached_vector = LLVMBuildLoad2(e->builder, shaped_type(v), slot, "");
    } else if (whole) {
        v->cached_vector = LLVMGetPoison(shaped_type(v));
    } else {
        v->cached_vector = spread(e, v, scalar_of(e, operand));
    }
    return v->cached_vector;
}

/* The instruction again with scalar operands. An affine base is lane 0's, which may be inactive: what LLVM
   knows about the result of an active lane does not hold for it. */
LLVMValueRef clone_scalar(struct engine *e, LLVMValueRef i, bool base)
{
    LLVMOpcode opcode = LLVMGetInstructionOpcode(i);
    if (base && opcode == LLVMOr)
        return LLVMBuildAdd(e->builder, scalar_of(e, LLVMGetOperand(i, 0)),
                            scalar_of(e, LLVMGetOperand(i, 1)), "");
    LLVMValueRef copy = LLVMInstructionClone(i);
    for (unsigned k = 0; k < (unsigned)LLVMGetNumOperands(i); k++) {
        LLVMValueRef operand = LLVMGetOperand(i, k);
        if (LLVMIsAInstruction(operand)) LLVMSetOperand(copy, k, scalar_of(e, operand));
    }
    LLVMInsertIntoBuilder(e->builder, copy);
    if (!base) return copy;
    if (opcode == LLVMAdd || opcode == LLVMSub || opcode == LLVMMul || opcode == LLVMShl ||
        opcode == LLVMTrunc) {
        if (opcode != LLVMTrunc) LLVMSetNUW(copy, 0), LLVMSetNSW(copy, 0);
    } else if (opcode == LLVMZExt) {
        LLVMSetNNeg(copy, 0);
    } else if (opcode == LLVMLShr) {
        LLVMSetExact(copy, 0);
    } else if (opcode == LLVMGetElementPtr) {
        LLVMSetIsInBounds(copy, 0);
    }
    return copy;
}

/* Whether base + 31 * stride stays in the range of the operand's type, so that extending or shifting each
   lane is the same as doing so to the base. */
static LLVMValueRef test_extension(struct engine *e, LLVMValueRef i, const struct value *v)
{
    LLVMValueRef source = LLVMGetOperand(i, 0), old = test_of(e, source);
    if (!v->shape.conditional) return NULL;
    struct value *from = value_of(e, source);
    if (from && from->shape.bounded) return old;
    LLVMTypeRef type = LLVMTypeOf(source);
    unsigned width = LLVMGetIntTypeWidth(type);
    int64_t reach = (LANES - 1) * (from ? from->shape.stride : v->shape.stride);
    bool is_signed = LLVMGetInstructionOpcode(i) == LLVMSExt;
    uint64_t top = is_signed ? (UINT64_C(1) << (width - 1)) - 1 : (UINT64_C(1) << width) - 1;
    uint64_t bottom = is_signed ? UINT64_C(1) << (width - 1) : 0;
    LLVMIntPredicate predicate =
        reach > 0 ? (is_signed ? LLVMIntSLE : LLVMIntULE) : (is_signed ? LLVMIntSGE : LLVMIntUGE);
    uint64_t limit = reach > 0 ? top - (uint64_t)reach : bottom + (uint64_t)-reach;
    LLVMValueRef test =
        LLVMBuildICmp(e->builder, predicate, scalar_of(e, source), LLVMConstInt(type, limit, 0), "fits");
    return old ? LLVMBuildAnd(e->builder, old, test, "") : test;
}

static LLVMValueRef joined_tests(struct engine *e, LLVMValueRef i)
{
    LLVMValueRef all = NULL;
    for (unsigned k = 0; k < (unsigned)LLVMGetNumOperands(i); k++) {
        LLVMValueRef test = test_of(e, LLVMGetOperand(i, k));
        if (test) all = all ? LLVMBuildAnd(e->builder, all, test, "") : test;
    }
    return all;
}

static LLVMValueRef vector_address(struct engine *e, LLVMValueRef i)
{
    LLVMValueRef indices[16], pointer = LLVMGetOperand(i, 0);
    unsigned count = (unsigned)LLVMGetNumOperands(i) - 1;
    if (count > 16) {
        engine_fail(e, i, "an address with more than 16 indices");
        return NULL;
    }
    bool some = false;
    for (unsigned k = 0; k < count; k++) {
        LLVMValueRef index = LLVMGetOperand(i, k + 1);
        bool same = shape_at(e, index, e->current).kind == SHAPE_UNIFORM;
        indices[k] = same ? scalar_of(e, index) : vector_of(e, index);
        some |= !same;
    }
    bool same = shape_at(e, pointer, e->current).kind == SHAPE_UNIFORM && some;
    LLVMValueRef base = same ? scalar_of(e, pointer) : vector_of(e, pointer);
    return LLVMBuildGEP2(e->builder, LLVMGetGEPSourceElementType(i), base, indices, count, "");
}

/* Element-wise intrinsics: which of their types are overloaded, and which operands stay scalar. */
static LLVMValueRef vector_intrinsic(struct engine *e, LLVMValueRef i, LLVMValueRef callee)
{
    size_t length;
    const char *name = LLVMIntrinsicGetName(LLVMGetIntrinsicID(callee), &length);
    unsigned count = LLVMGetNumArgOperands(i);
    bool last_scalar = !strcmp(name, "llvm.ctlz") || !strcmp(name, "llvm.cttz") ||
                       !strcmp(name, "llvm.abs") || !strcmp(name, "llvm.is.fpclass") ||
                       !strcmp(name, "llvm.powi");
    bool overload_operand = !strcmp(name, "llvm.is.fpclass");
    bool two =
        !strcmp(name, "llvm.fptosi.sat") || !strcmp(name, "llvm.fptoui.sat") || !strcmp(name, "llvm.ldexp");
    bool with_overflow = strstr(name, ".with.overflow") != NULL;
    LLVMValueRef arguments[4];
    if (count > 4 || !LLVMIntrinsicIsOverloaded(LLVMGetIntrinsicID(callee)) || !strcmp(name, "llvm.powi")) {
        engine_fail(e, i, "the built-in function %s is not available", name);
        return NULL;
    }
    for (unsigned k = 0; k < count; k++) {
        LLVMValueRef operand = LLVMGetOperand(i, k);
        arguments[k] = last_scalar && k == count - 1 ? operand : vector_of(e, operand);
    }
    LLVMTypeRef overloads[2] = {vector_type(LLVMTypeOf(i)), NULL};
    if (overload_operand || with_overflow) overloads[0] = LLVMTypeOf(arguments[0]);
    if (two) overloads[1] = LLVMTypeOf(arguments[!strcmp(name, "llvm.ldexp")]);
    LLVMValueRef made = call_intrinsic(e, name, overloads, two ? 2 : 1, arguments, count);
    if (LLVMCanValueUseFastMathFlags(i) && LLVMCanValueUseFastMathFlags(made))
        LLVMSetFastMathFlags(made, LLVMGetFastMathFlags(i));
    return made;
}

static LLVMValueRef vector_form(struct engine *e, LLVMValueRef i)
{
    LLVMOpcode opcode = LLVMGetInstructionOpcode(i);
    LLVMBuilderRef b = e->builder;
    LLVMValueRef made;
    if (LLVMIsABinaryOperator(i)) {
        made = LLVMBuildBinOp(b, opcode, vector_of(e, LLVMGetOperand(i, 0)),
                              vector_of(e, LLVMGetOperand(i, 1)), "");
    } else if (LLVMIsACastInst(i)) {
        made = LLVMBuildCast(b, opcode, vector_of(e, LLVMGetOperand(i, 0)), vector_type(LLVMTypeOf(i)), "");
    } else
        switch (opcode) {
        case LLVMICmp:
            made = LLVMBuildICmp(b, LLVMGetICmpPredicate(i), vector_of(e, LLVMGetOperand(i, 0)),
                                 vector_of(e, LLVMGetOperand(i, 1)), "");
            break;
        case LLVMFCmp:
            made = LLVMBuildFCmp(b, LLVMGetFCmpPredicate(i), vector_of(e, LLVMGetOperand(i, 0)),
                                 vector_of(e, LLVMGetOperand(i, 1)), "");
            break;
        case LLVMFNeg: made = LLVMBuildFNeg(b, vector_of(e, LLVMGetOperand(i, 0)), ""); break;
        case LLVMFreeze: made = LLVMBuildFreeze(b, vector_of(e, LLVMGetOperand(i, 0)), ""); break;
        case LLVMSelect: {
            LLVMValueRef c = LLVMGetOperand(i, 0);
            bool same = shape_at(e, c, e->current).kind == SHAPE_UNIFORM;
            made =
                LLVMBuildSelect(b, same ? scalar_of(e, c) : vector_of(e, c),
                                vector_of(e, LLVMGetOperand(i, 1)), vector_of(e, LLVMGetOperand(i, 2)), "");
            break;
        }
        case LLVMGetElementPtr: return vector_address(e, i);
        case LLVMExtractValue: {
            LLVMValueRef part = vector_of(e, LLVMGetOperand(i, 0));
            for (unsigned k = 0; k < LLVMGetNumIndices(i); k++)
                part = LLVMBuildExtractValue(b, part, LLVMGetIndices(i)[k], "");
            return part;
        }
        case LLVMInsertValue:
            if (LLVMGetNumIndices(i) != 1) {
                engine_fail(e, i, "a nested aggregate value");
                return NULL;
            }
            return LLVMBuildInsertValue(b, vector_of(e, LLVMGetOperand(i, 0)),
                                        vector_of(e, LLVMGetOperand(i, 1)), LLVMGetIndices(i)[0], "");
        case LLVMCall: return vector_intrinsic(e, i, LLVMGetCalledValue(i));
        default: engine_fail(e, i, "an operation the engine does not know (%d)", (int)opcode); return NULL;
        }
    if (LLVMCanValueUseFastMathFlags(i) && LLVMIsAInstruction(made) && LLVMCanValueUseFastMathFlags(made))
        LLVMSetFastMathFlags(made, LLVMGetFastMathFlags(i));
    return made;
}

static void emit_phi(struct engine *e, struct value *v)
{
    bool whole = v->shape.kind == SHAPE_VARYING;
    LLVMTypeRef type = whole ? shaped_type(v) : LLVMTypeOf(v->source);
    if (!v->incoming_slot) v->incoming_slot = entry_slot(e, type, "in");
    LLVMValueRef now = LLVMBuildLoad2(e->builder, type, v->incoming_slot, "");
    if (whole)
        define_vector(e, v, now);
    else
        define_scalar(e, v, now, NULL);
}

/* Calls: ours by name, LLVM's element-wise ones, and nothing else: everything was inlined. */
static bool emit_call(struct engine *e, LLVMValueRef i)
{
    LLVMValueRef callee = LLVMGetCalledValue(i);
    size_t length;
    if (!LLVMIsAFunction(callee)) {
        engine_fail(e, i, "a call through a function pointer");
        return true;
    }
    const char *name = LLVMGetValueName2(callee, &length);
    if (LLVMGetIntrinsicID(callee) != 0) {
        bool silent = !strncmp(name, "llvm.lifetime", 13) || !strncmp(name, "llvm.assume", 11) ||
                      !strncmp(name, "llvm.dbg", 8) || !strncmp(name, "llvm.experimental.noalias", 25);
        if (!strncmp(name, "llvm.mem", 8))
            emit_serial(e, i);
        else if (!strcmp(name, "llvm.trap") || !strcmp(name, "llvm.debugtrap"))
            silent = true;
        else
            return silent;
        return true;
    }
    if (emit_simd_call(e, i, name) || emit_matrix_call(e, i, name)) return true;
    engine_fail(e, i, "the function %s is not available in a kernel", name);
    return true;
}

void emit_instruction(struct engine *e, LLVMValueRef i)
{
    struct value *v = value_of(e, i);
    switch (LLVMGetInstructionOpcode(i)) {
    case LLVMPHI: emit_phi(e, v); return;
    case LLVMLoad: emit_load(e, i); return;
    case LLVMStore: emit_store(e, i); return;
    case LLVMAlloca: emit_alloca(e, i); return;
    case LLVMAtomicRMW:
    case LLVMAtomicCmpXchg: emit_serial(e, i); return;
    case LLVMFence: clone_scalar(e, i, false); return;
    case LLVMCall:
        if (emit_call(e, i)) return;
        break;
    default: break;
    }
    if (v->shape.kind == SHAPE_UNIFORM) {
        define_scalar(e, v, clone_scalar(e, i, false), NULL);
        return;
    }
    if (v->shape.kind == SHAPE_AFFINE) {
        LLVMOpcode opcode = LLVMGetInstructionOpcode(i);
        LLVMValueRef test = opcode == LLVMZExt || opcode == LLVMSExt || opcode == LLVMLShr
                                ? test_extension(e, i, v)
                                : joined_tests(e, i);
        define_scalar(e, v, clone_scalar(e, i, true), v->shape.conditional ? test : NULL);
        if (!v->shape.conditional) return;
    }
    LLVMValueRef made = vector_form(e, i);
    if (made) define_vector(e, v, made);
}
