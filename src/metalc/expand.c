/* SPDX-License-Identifier: Apache-2.0 */
/* memcpy, memmove and memset of a known, moderate length become loads and stores, which lanes can do together. */
#include "compile.h"
#include <string.h>

enum { LONGEST = 1024 };

static unsigned known_alignment(LLVMValueRef call, unsigned argument)
{
    LLVMContextRef context = LLVMGetTypeContext(LLVMTypeOf(call));
    (void)context;
    unsigned kind = LLVMGetEnumAttributeKindForName("align", 5);
    LLVMAttributeRef attribute = LLVMGetCallSiteEnumAttribute(call, argument + 1, kind);
    return attribute ? (unsigned)LLVMGetEnumAttributeValue(attribute) : 1;
}

static LLVMValueRef at(LLVMBuilderRef b, LLVMTypeRef byte, LLVMValueRef base, uint64_t offset)
{
    LLVMValueRef index = LLVMConstInt(LLVMInt64TypeInContext(LLVMGetTypeContext(byte)), offset, 0);
    return offset ? LLVMBuildGEP2(b, byte, base, &index, 1, "") : base;
}

static void expand(LLVMBuilderRef b, LLVMValueRef call, bool fill)
{
    LLVMContextRef context = LLVMGetTypeContext(LLVMTypeOf(LLVMGetOperand(call, 0)));
    LLVMTypeRef byte = LLVMInt8TypeInContext(context);
    LLVMValueRef to = LLVMGetOperand(call, 0), from = LLVMGetOperand(call, 1), parts[LONGEST];
    uint64_t length = LLVMConstIntGetZExtValue(LLVMGetOperand(call, 2));
    unsigned alignment = known_alignment(call, 0);
    if (!fill && known_alignment(call, 1) < alignment) alignment = known_alignment(call, 1);
    unsigned unit = alignment > 4 ? 4 : alignment ? alignment : 1;
    while (length % unit) unit /= 2;
    LLVMTypeRef type = LLVMIntTypeInContext(context, unit * 8);
    uint64_t count = length / unit;
    if (fill && !LLVMIsAConstantInt(from)) unit = 1, type = byte, count = length;
    for (uint64_t k = 0; k < count; k++) {
        if (fill && LLVMIsAConstantInt(from)) {
            parts[k] = LLVMConstInt(type, LLVMConstIntGetZExtValue(from) * UINT64_C(0x0101010101010101), 0);
        } else if (fill) {
            parts[k] = from;
        } else {
            parts[k] = LLVMBuildLoad2(b, type, at(b, byte, from, k * unit), "");
            LLVMSetAlignment(parts[k], unit);
        }
    }
    for (uint64_t k = 0; k < count; k++)
        LLVMSetAlignment(LLVMBuildStore(b, parts[k], at(b, byte, to, k * unit)), unit);
}

void expand_copies(LLVMValueRef function)
{
    LLVMBuilderRef b = LLVMCreateBuilderInContext(LLVMGetTypeContext(LLVMTypeOf(function)));
    for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block; block = LLVMGetNextBasicBlock(block)) {
        for (LLVMValueRef i = LLVMGetFirstInstruction(block), next; i; i = next) {
            next = LLVMGetNextInstruction(i);
            if (LLVMGetInstructionOpcode(i) != LLVMCall || !LLVMIsAFunction(LLVMGetCalledValue(i))) continue;
            size_t size;
            const char *name = LLVMGetValueName2(LLVMGetCalledValue(i), &size);
            bool copy = !strncmp(name, "llvm.memcpy", 11) || !strncmp(name, "llvm.memmove", 12);
            bool fill = !strncmp(name, "llvm.memset", 11);
            if ((!copy && !fill) || !LLVMIsAConstantInt(LLVMGetOperand(i, 2)) ||
                LLVMConstIntGetZExtValue(LLVMGetOperand(i, 2)) > LONGEST)
                continue;
            LLVMPositionBuilderBefore(b, i);
            expand(b, i, fill);
            LLVMInstructionEraseFromParent(i);
        }
    }
    LLVMDisposeBuilder(b);
}
