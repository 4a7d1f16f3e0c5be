/* SPDX-License-Identifier: Apache-2.0 */
/* Constants of the text whose value clang did not know: function constants that the caller left out, and what
   is made of them. Their initialisers never run, so a kernel that still reads one is refused. */
#include <stdlib.h>
#include <string.h>
#include "compile.h"

enum { DEEPEST = 8 };

/* The plain name in "_ZL4name", "_ZN5space4nameE" or "_ZL4name_0". */
static void print_name(struct text *out, const char *mangled)
{
    const char *at = mangled, *name = mangled;
    int length = (int)strlen(mangled);
    if (!strncmp(at, "_Z", 2))
        for (at += 2; *at; at++) {
            if (*at < '0' || *at > '9') continue;
            char *end;
            long count = strtol(at, &end, 10);
            if (count <= 0 || (size_t)count > strlen(end)) break;
            name = end, length = (int)count;
            at = end + count - 1;
        }
    text_print(out, "%.*s", length, name);
}

static bool is_unknown(LLVMValueRef v)
{
    if (!LLVMIsAGlobalVariable(v) || LLVMIsGlobalConstant(v)) return false;
    const char *section = LLVMGetSection(v);
    return !section || strcmp(section, "smelt.threadgroup") != 0;
}

/* The global that an address leads into, or NULL. */
static LLVMValueRef global_of(LLVMValueRef address)
{
    for (int depth = 0; depth < DEEPEST; depth++) {
        if (is_unknown(address)) return address;
        bool step = LLVMIsAGetElementPtrInst(address) ||
                    (LLVMIsAConstantExpr(address) && LLVMGetConstOpcode(address) == LLVMGetElementPtr);
        if (!step) return NULL;
        address = LLVMGetOperand(address, 0);
    }
    return NULL;
}

static long index_of(LLVMModuleRef module, LLVMValueRef entry, LLVMValueRef global, int depth);

/* The number of a __smelt_missing() that a value is made of, through constants made of others; -1 where there
 * is none.
 */
static long index_in(LLVMModuleRef module, LLVMValueRef entry, LLVMValueRef value, int depth)
{
    size_t length;
    long found = -1;
    if (depth >= DEEPEST || !LLVMIsAInstruction(value)) return -1;
    if (LLVMIsALoadInst(value) && global_of(LLVMGetOperand(value, 0)))
        return index_of(module, entry, global_of(LLVMGetOperand(value, 0)), depth + 1);
    if (LLVMIsACallInst(value) && LLVMIsAFunction(LLVMGetCalledValue(value)) &&
        !strcmp(LLVMGetValueName2(LLVMGetCalledValue(value), &length), "__smelt_missing") &&
        LLVMIsAConstantInt(LLVMGetOperand(value, 0)))
        return (long)LLVMConstIntGetSExtValue(LLVMGetOperand(value, 0));
    for (int k = 0; k < LLVMGetNumOperands(value) && found < 0; k++)
        found = index_in(module, entry, LLVMGetOperand(value, (unsigned)k), depth + 1);
    return found;
}

/* That of what the initialisers store into `global`. */
static long index_of(LLVMModuleRef module, LLVMValueRef entry, LLVMValueRef global, int depth)
{
    long found = -1;
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f && found < 0; f = LLVMGetNextFunction(f))
        for (LLVMBasicBlockRef b = f == entry ? NULL : LLVMGetFirstBasicBlock(f); b;
             b = LLVMGetNextBasicBlock(b))
            for (LLVMValueRef i = LLVMGetFirstInstruction(b); i && found < 0; i = LLVMGetNextInstruction(i))
                if (LLVMIsAStoreInst(i) && global_of(LLVMGetOperand(i, 1)) == global)
                    found = index_in(module, entry, LLVMGetOperand(i, 0), depth);
    return found;
}

/* The initialisers, which nobody runs. */
static void drop_initialisers(LLVMModuleRef module, LLVMValueRef entry)
{
    LLVMValueRef list = LLVMGetNamedGlobal(module, "llvm.global_ctors"), next;
    if (!list) return;
    LLVMDeleteGlobal(list);
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = next) {
        next = LLVMGetNextFunction(f);
        if (f != entry && !LLVMIsDeclaration(f) && !LLVMGetFirstUse(f)) LLVMDeleteFunction(f);
    }
}

bool constants_are_known(LLVMModuleRef module, LLVMValueRef entry, struct text *log)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(entry); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
            for (int k = 0; k < LLVMGetNumOperands(i); k++) {
                LLVMValueRef global = global_of(LLVMGetOperand(i, (unsigned)k));
                if (!global) continue;
                size_t length;
                long index = index_of(module, entry, global, 0);
                if (index >= 0)
                    text_print(log, "error: the function constant %ld (", index);
                else
                    text_print(log, "error: the constant (");
                print_name(log, LLVMGetValueName2(global, &length));
                text_print(log, ") has no value, and the kernel reads it\n");
                return false;
            }
    drop_initialisers(module, entry);
    return true;
}
