/* SPDX-License-Identifier: Apache-2.0 */
/* What C++ leaves undefined and Metal defines: shift counts modulo the width, float to integer that saturates,
   integer division that cannot trap. Done before any pass could take advantage. */
#include "compile.h"
#include <string.h>

static LLVMValueRef call(LLVMBuilderRef b, LLVMValueRef i, const char *name, LLVMTypeRef *types, unsigned type_count,
                         LLVMValueRef *arguments, unsigned count)
{
    LLVMModuleRef module = LLVMGetGlobalParent(LLVMGetBasicBlockParent(LLVMGetInstructionParent(i)));
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(module, id, types, type_count);
    return LLVMBuildCall2(b, LLVMIntrinsicGetType(LLVMGetModuleContext(module), id, types, type_count), f, arguments, count,
                          "");
}

static unsigned scalar_width(LLVMTypeRef type)
{
    if (LLVMGetTypeKind(type) == LLVMVectorTypeKind) type = LLVMGetElementType(type);
    return LLVMGetTypeKind(type) == LLVMIntegerTypeKind ? LLVMGetIntTypeWidth(type) : 0;
}

static LLVMValueRef constant(LLVMTypeRef type, uint64_t n)
{
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind) return LLVMConstInt(type, n, 0);
    LLVMValueRef parts[64], one = LLVMConstInt(LLVMGetElementType(type), n, 0);
    unsigned size = LLVMGetVectorSize(type) > 64 ? 64 : LLVMGetVectorSize(type);
    for (unsigned i = 0; i < size; i++) parts[i] = one;
    return LLVMConstVector(parts, size);
}

static LLVMTypeRef same_shape(LLVMTypeRef like, LLVMTypeRef element)
{
    return LLVMGetTypeKind(like) == LLVMVectorTypeKind ? LLVMVectorType(element, LLVMGetVectorSize(like)) : element;
}

static void mask_shift(LLVMBuilderRef b, LLVMValueRef i)
{
    LLVMValueRef count = LLVMGetOperand(i, 1);
    LLVMTypeRef type = LLVMTypeOf(count);
    unsigned width = scalar_width(type);
    if (width & (width - 1)) return; /* bit-fields' odd widths are shifted by constants only */
    LLVMSetOperand(i, 1, LLVMBuildAnd(b, count, constant(type, width - 1), ""));
}

static LLVMValueRef saturate(LLVMBuilderRef b, LLVMValueRef i)
{
    LLVMTypeRef types[2] = {LLVMTypeOf(i), LLVMTypeOf(LLVMGetOperand(i, 0))};
    LLVMValueRef argument = LLVMGetOperand(i, 0);
    const char *name = LLVMGetInstructionOpcode(i) == LLVMFPToSI ? "llvm.fptosi.sat" : "llvm.fptoui.sat";
    return call(b, i, name, types, 2, &argument, 1);
}

static LLVMValueRef choose(LLVMBuilderRef b, LLVMValueRef condition, LLVMValueRef yes, LLVMValueRef no)
{
    return LLVMBuildSelect(b, condition, yes, no, "");
}

/* Up to 32 bits a double holds both operands exactly, and the quotient of two such integers rounds to a double on
   the right side of every integer: so one vector division does, and zero divides to something without a trap. */
static LLVMValueRef divide_as_double(LLVMBuilderRef b, LLVMValueRef i, bool is_signed, bool remainder)
{
    LLVMContextRef context = LLVMGetTypeContext(LLVMTypeOf(i));
    LLVMTypeRef type = LLVMTypeOf(i), real = same_shape(type, LLVMDoubleTypeInContext(context));
    LLVMTypeRef wide = same_shape(type, LLVMInt64TypeInContext(context));
    LLVMValueRef x = LLVMGetOperand(i, 0), y = LLVMGetOperand(i, 1);
    LLVMOpcode widen = is_signed ? LLVMSIToFP : LLVMUIToFP;
    LLVMValueRef zero = LLVMBuildICmp(b, LLVMIntEQ, y, constant(type, 0), "");
    LLVMValueRef safe = choose(b, zero, constant(type, 1), y);
    LLVMValueRef quotient = LLVMBuildFDiv(b, LLVMBuildCast(b, widen, x, real, ""), LLVMBuildCast(b, widen, safe, real, ""), "");
    /* a quotient fits 33 bits with its sign: INT_MIN / -1 wraps as it is narrowed */
    quotient = LLVMBuildTrunc(b, LLVMBuildFPToSI(b, quotient, wide, ""), type, "");
    if (!remainder) return quotient;
    return LLVMBuildSub(b, x, LLVMBuildMul(b, quotient, safe, ""), "");
}

static LLVMValueRef divide_wide(LLVMBuilderRef b, LLVMValueRef i, bool is_signed)
{
    LLVMTypeRef type = LLVMTypeOf(i);
    LLVMValueRef x = LLVMGetOperand(i, 0), y = LLVMGetOperand(i, 1), zero = constant(type, 0);
    LLVMValueRef bad = LLVMBuildICmp(b, LLVMIntEQ, y, zero, "");
    if (is_signed) {
        LLVMValueRef least = constant(type, UINT64_C(1) << (scalar_width(type) - 1));
        LLVMValueRef wraps = LLVMBuildAnd(b, LLVMBuildICmp(b, LLVMIntEQ, x, least, ""),
                                          LLVMBuildICmp(b, LLVMIntEQ, y, LLVMConstAllOnes(type), ""), "");
        bad = LLVMBuildOr(b, bad, wraps, "");
    }
    return LLVMBuildBinOp(b, LLVMGetInstructionOpcode(i), x, choose(b, bad, constant(type, 1), y), "");
}

static LLVMValueRef divide(LLVMBuilderRef b, LLVMValueRef i)
{
    LLVMOpcode opcode = LLVMGetInstructionOpcode(i);
    bool is_signed = opcode == LLVMSDiv || opcode == LLVMSRem, remainder = opcode == LLVMURem || opcode == LLVMSRem;
    LLVMValueRef y = LLVMGetOperand(i, 1);
    if (LLVMIsAConstantInt(y) && LLVMConstIntGetZExtValue(y) != 0 && LLVMConstIntGetSExtValue(y) != -1) return NULL;
    if (scalar_width(LLVMTypeOf(i)) <= 32) return divide_as_double(b, i, is_signed, remainder);
    return divide_wide(b, i, is_signed);
}

/* bfloat: every operation in float, and rounded to nearest even by integers, as no instruction set before AVX512-BF16
   does it and LLVM would call a function for each lane. */
static bool is_bfloat(LLVMTypeRef type)
{
    if (LLVMGetTypeKind(type) == LLVMVectorTypeKind) type = LLVMGetElementType(type);
    return LLVMGetTypeKind(type) == LLVMBFloatTypeKind;
}

static LLVMTypeRef integers(LLVMTypeRef like, unsigned width)
{
    return same_shape(like, LLVMIntTypeInContext(LLVMGetTypeContext(like), width));
}

static LLVMTypeRef floats(LLVMTypeRef like) { return same_shape(like, LLVMFloatTypeInContext(LLVMGetTypeContext(like))); }

static LLVMValueRef widen_bfloat(LLVMBuilderRef b, LLVMValueRef v)
{
    LLVMTypeRef type = LLVMTypeOf(v), wide = integers(type, 32);
    LLVMValueRef bits = LLVMBuildZExt(b, LLVMBuildBitCast(b, v, integers(type, 16), ""), wide, "");
    return LLVMBuildBitCast(b, LLVMBuildShl(b, bits, constant(wide, 16), ""), floats(type), "");
}

static LLVMValueRef narrow_to_bfloat(LLVMBuilderRef b, LLVMValueRef v, LLVMTypeRef type)
{
    LLVMTypeRef wide = integers(type, 32);
    LLVMValueRef bits = LLVMBuildBitCast(b, v, wide, ""), high = LLVMBuildLShr(b, bits, constant(wide, 16), "");
    LLVMValueRef even = LLVMBuildAdd(b, LLVMBuildAnd(b, high, constant(wide, 1), ""), constant(wide, 0x7fff), "");
    LLVMValueRef rounded = LLVMBuildLShr(b, LLVMBuildAdd(b, bits, even, ""), constant(wide, 16), "");
    LLVMValueRef magnitude = LLVMBuildAnd(b, bits, constant(wide, 0x7fffffff), "");
    LLVMValueRef is_nan = LLVMBuildICmp(b, LLVMIntUGT, magnitude, constant(wide, 0x7f800000), "");
    rounded = choose(b, is_nan, LLVMBuildOr(b, high, constant(wide, 0x40), ""), rounded);
    return LLVMBuildBitCast(b, LLVMBuildTrunc(b, rounded, integers(type, 16), ""), type, "");
}

static LLVMValueRef convert_bfloat(LLVMBuilderRef b, LLVMValueRef i, LLVMOpcode opcode)
{
    LLVMValueRef v = LLVMGetOperand(i, 0);
    LLVMTypeRef to = LLVMTypeOf(i);
    if (is_bfloat(LLVMTypeOf(v))) {
        v = widen_bfloat(b, v);
        if (is_bfloat(to)) return narrow_to_bfloat(b, v, to);
        if (opcode != LLVMFPExt && opcode != LLVMFPTrunc) return LLVMBuildCast(b, opcode, v, to, "");
        return LLVMBuildFPCast(b, v, to, "");
    }
    if (opcode == LLVMFPTrunc || opcode == LLVMFPExt) v = LLVMBuildFPCast(b, v, floats(to), "");
    else v = LLVMBuildCast(b, opcode, v, floats(to), "");
    return narrow_to_bfloat(b, v, to);
}

static LLVMValueRef lower_bfloat(LLVMBuilderRef b, LLVMValueRef i)
{
    LLVMOpcode opcode = LLVMGetInstructionOpcode(i);
    LLVMValueRef x = LLVMGetOperand(i, 0), y = LLVMGetNumOperands(i) > 1 ? LLVMGetOperand(i, 1) : NULL, made;
    switch (opcode) {
    case LLVMFAdd: case LLVMFSub: case LLVMFMul: case LLVMFDiv: case LLVMFRem:
        made = LLVMBuildBinOp(b, opcode, widen_bfloat(b, x), widen_bfloat(b, y), "");
        break;
    case LLVMFNeg: made = LLVMBuildFNeg(b, widen_bfloat(b, x), ""); break;
    case LLVMFCmp:
        return LLVMBuildFCmp(b, LLVMGetFCmpPredicate(i), widen_bfloat(b, x), widen_bfloat(b, y), "");
    default: return convert_bfloat(b, i, opcode);
    }
    return narrow_to_bfloat(b, made, LLVMTypeOf(i));
}

static bool touches_bfloat(LLVMValueRef i)
{
    switch (LLVMGetInstructionOpcode(i)) {
    case LLVMFAdd: case LLVMFSub: case LLVMFMul: case LLVMFDiv: case LLVMFRem: case LLVMFNeg: case LLVMFCmp:
    case LLVMFPExt: case LLVMFPTrunc: case LLVMFPToSI: case LLVMFPToUI: case LLVMSIToFP: case LLVMUIToFP:
        return is_bfloat(LLVMTypeOf(i)) || is_bfloat(LLVMTypeOf(LLVMGetOperand(i, 0)));
    default: return false;
    }
}

/* Annotations have done their work in the frontend. */
static bool is_annotation(LLVMValueRef i)
{
    size_t length;
    if (LLVMGetInstructionOpcode(i) != LLVMCall || !LLVMIsAFunction(LLVMGetCalledValue(i))) return false;
    const char *name = LLVMGetValueName2(LLVMGetCalledValue(i), &length);
    return !strncmp(name, "llvm.var.annotation", 19);
}

void sanitise_function(LLVMValueRef function)
{
    LLVMBuilderRef b = LLVMCreateBuilderInContext(LLVMGetTypeContext(LLVMTypeOf(function)));
    for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block; block = LLVMGetNextBasicBlock(block)) {
        for (LLVMValueRef i = LLVMGetFirstInstruction(block), next; i; i = next) {
            LLVMValueRef made = NULL;
            next = LLVMGetNextInstruction(i);
            LLVMPositionBuilderBefore(b, i);
            if (is_annotation(i)) {
                LLVMInstructionEraseFromParent(i);
                continue;
            }
            if (touches_bfloat(i)) {
                made = lower_bfloat(b, i);
                LLVMReplaceAllUsesWith(i, made);
                LLVMInstructionEraseFromParent(i);
                i = made; /* float to integer comes up again below, as the next instruction would */
                if (!LLVMIsAInstruction(i) || (LLVMGetInstructionOpcode(i) != LLVMFPToSI && LLVMGetInstructionOpcode(i) != LLVMFPToUI))
                    continue;
                made = NULL;
                LLVMPositionBuilderBefore(b, i);
            }
            switch (LLVMGetInstructionOpcode(i)) {
            case LLVMShl: case LLVMLShr: case LLVMAShr: mask_shift(b, i); break;
            case LLVMFPToSI: case LLVMFPToUI: made = saturate(b, i); break;
            case LLVMUDiv: case LLVMSDiv: case LLVMURem: case LLVMSRem: made = divide(b, i); break;
            default: break;
            }
            if (!made) continue;
            LLVMReplaceAllUsesWith(i, made);
            LLVMInstructionEraseFromParent(i);
        }
    }
    LLVMDisposeBuilder(b);
}
