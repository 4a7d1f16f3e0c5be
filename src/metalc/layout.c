/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the order of the blocks through LLVM's inliner, which joins a block to its only predecessor and moves the only
   return of a function behind the call: either would carry code out of, or into, the loop that it stands in. So
   every return goes to one block at the end, and a jump to a block with no other predecessor becomes a branch whose
   condition nobody can see through. Undone after inlining. */
#include "compile.h"
#include <stdlib.h>
#include <string.h>

#define OPAQUE "__smelt_always"

static LLVMValueRef opaque_function(LLVMModuleRef module, LLVMTypeRef *type)
{
    LLVMContextRef context = LLVMGetModuleContext(module);
    *type = LLVMFunctionType(LLVMInt1TypeInContext(context), NULL, 0, 0);
    LLVMValueRef f = LLVMGetNamedFunction(module, OPAQUE);
    return f ? f : LLVMAddFunction(module, OPAQUE, *type);
}

static void gather_returns(LLVMBuilderRef b, LLVMValueRef function)
{
    LLVMContextRef context = LLVMGetTypeContext(LLVMTypeOf(function));
    LLVMTypeRef type = LLVMGetReturnType(LLVMGlobalGetValueType(function));
    bool has_value = LLVMGetTypeKind(type) != LLVMVoidTypeKind;
    LLVMBasicBlockRef end = LLVMAppendBasicBlockInContext(context, function, "leave");
    LLVMPositionBuilderAtEnd(b, end);
    LLVMValueRef phi = has_value ? LLVMBuildPhi(b, type, "") : NULL;
    if (has_value) LLVMBuildRet(b, phi);
    else LLVMBuildRetVoid(b);
    unsigned count = 0;
    for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block != end; block = LLVMGetNextBasicBlock(block)) {
        LLVMValueRef i = LLVMGetBasicBlockTerminator(block);
        if (LLVMGetInstructionOpcode(i) != LLVMRet) continue;
        if (has_value) {
            LLVMValueRef value = LLVMGetOperand(i, 0);
            LLVMAddIncoming(phi, &value, &block, 1);
        }
        LLVMInstructionEraseFromParent(i);
        LLVMPositionBuilderAtEnd(b, block);
        LLVMBuildBr(b, end);
        count++;
    }
    if (count) return;
    /* a function that never returns: the block must go, as a phi without values is no phi */
    LLVMDeleteBasicBlock(end);
}

static bool has_one_predecessor(LLVMBasicBlockRef block)
{
    unsigned count = 0;
    for (LLVMUseRef use = LLVMGetFirstUse(LLVMBasicBlockAsValue(block)); use; use = LLVMGetNextUse(use))
        count += LLVMIsATerminatorInst(LLVMGetUser(use)) != NULL;
    return count == 1;
}

/* No phi may list the dead block twice over; it has none, and no way out. */
static void hide_jumps(LLVMBuilderRef b, LLVMValueRef function)
{
    LLVMModuleRef module = LLVMGetGlobalParent(function);
    LLVMBasicBlockRef dead = NULL;
    LLVMTypeRef type;
    LLVMValueRef opaque = opaque_function(module, &type);
    for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function), next; block; block = next) {
        next = LLVMGetNextBasicBlock(block);
        LLVMValueRef i = LLVMGetBasicBlockTerminator(block);
        if (block == dead || LLVMGetInstructionOpcode(i) != LLVMBr || LLVMIsConditional(i)) continue;
        LLVMBasicBlockRef to = LLVMGetSuccessor(i, 0);
        if (to == next || !has_one_predecessor(to)) continue;
        if (!dead) {
            dead = LLVMAppendBasicBlockInContext(LLVMGetModuleContext(module), function, "dead");
            LLVMPositionBuilderAtEnd(b, dead);
            LLVMBuildUnreachable(b);
        }
        LLVMPositionBuilderBefore(b, i);
        LLVMValueRef always = LLVMBuildCall2(b, type, opaque, NULL, 0, "");
        LLVMValueRef made = LLVMBuildCondBr(b, always, to, dead);
        unsigned kind = LLVMGetMDKindIDInContext(LLVMGetModuleContext(module), "llvm.loop", 9);
        if (LLVMGetMetadata(i, kind)) LLVMSetMetadata(made, kind, LLVMGetMetadata(i, kind));
        LLVMInstructionEraseFromParent(i);
    }
}

void protect_layout(LLVMValueRef function)
{
    LLVMBuilderRef b = LLVMCreateBuilderInContext(LLVMGetTypeContext(LLVMTypeOf(function)));
    gather_returns(b, function);
    hide_jumps(b, function);
    LLVMDisposeBuilder(b);
}

void release_layout(LLVMValueRef function)
{
    LLVMModuleRef module = LLVMGetGlobalParent(function);
    LLVMValueRef opaque = LLVMGetNamedFunction(module, OPAQUE);
    LLVMBuilderRef b = LLVMCreateBuilderInContext(LLVMGetModuleContext(module));
    for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block && opaque; block = LLVMGetNextBasicBlock(block)) {
        LLVMValueRef i = LLVMGetBasicBlockTerminator(block);
        if (LLVMGetInstructionOpcode(i) != LLVMBr || !LLVMIsConditional(i)) continue;
        LLVMValueRef condition = LLVMGetCondition(i);
        if (!LLVMIsACallInst(condition) || LLVMGetCalledValue(condition) != opaque) continue;
        LLVMPositionBuilderBefore(b, i);
        LLVMValueRef made = LLVMBuildBr(b, LLVMGetSuccessor(i, 0));
        unsigned kind = LLVMGetMDKindIDInContext(LLVMGetModuleContext(module), "llvm.loop", 9);
        if (LLVMGetMetadata(i, kind)) LLVMSetMetadata(made, kind, LLVMGetMetadata(i, kind));
        LLVMInstructionEraseFromParent(i);
        LLVMInstructionEraseFromParent(condition);
    }
    LLVMDisposeBuilder(b);
}
