/* SPDX-License-Identifier: Apache-2.0 */
/* Makes one function of the kernel: everything inlined, variables in registers, threadgroup variables in the arena.
   Only passes that leave the order of the blocks alone may run here (see blocks.c). */
#include "compile.h"
#include <stdlib.h>
#include <string.h>
#include <llvm-c/Transforms/PassBuilder.h>

bool run_passes(LLVMModuleRef module, const char *passes, const struct target *target, struct text *log)
{
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMPassBuilderOptionsSetLoopVectorization(options, 0);
    LLVMPassBuilderOptionsSetSLPVectorization(options, 0);
    LLVMPassBuilderOptionsSetLoopUnrolling(options, 1);
    LLVMErrorRef error = LLVMRunPasses(module, passes, target->machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (!error) return true;
    char *message = LLVMGetErrorMessage(error);
    text_print(log, "error: %s\n", message);
    LLVMDisposeErrorMessage(message);
    return false;
}

static void drop_attribute(LLVMValueRef function, const char *name)
{
    LLVMRemoveEnumAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                                   LLVMGetEnumAttributeKindForName(name, strlen(name)));
}

static void mark_functions(LLVMModuleRef module, LLVMValueRef entry)
{
    LLVMContextRef context = LLVMGetModuleContext(module);
    unsigned always = LLVMGetEnumAttributeKindForName("alwaysinline", 12);
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
        if (LLVMIsDeclaration(f)) continue;
        drop_attribute(f, "noinline");
        drop_attribute(f, "optnone");
        sanitise_function(f);
        protect_layout(f);
        if (f == entry) continue;
        LLVMSetLinkage(f, LLVMInternalLinkage);
        LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                                LLVMCreateEnumAttribute(context, always, 0));
    }
}

/* Threadgroup variables: an offset into the arena each. Their addresses are built anew at the top of the kernel,
   also where clang folded them into constants. */
struct arena {
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMValueRef entry;
    LLVMValueRef *variables;
    uint64_t *offsets;
    size_t count;
    uint64_t size;
    struct text *log;
    bool failed;
};

static void place_variables(struct arena *a)
{
    LLVMTargetDataRef layout = LLVMGetModuleDataLayout(a->module);
    for (LLVMValueRef g = LLVMGetFirstGlobal(a->module); g; g = LLVMGetNextGlobal(g)) {
        const char *section = LLVMGetSection(g);
        if (!section || strcmp(section, "smelt.threadgroup") != 0) continue;
        uint64_t alignment = LLVMGetAlignment(g) > 16 ? LLVMGetAlignment(g) : 16;
        a->variables = must_grow(a->variables, a->count + 1, sizeof *a->variables);
        a->offsets = must_grow(a->offsets, a->count + 1, sizeof *a->offsets);
        a->variables[a->count] = g;
        a->offsets[a->count++] = a->size = (a->size + alignment - 1) / alignment * alignment;
        a->size += LLVMABISizeOfType(layout, LLVMGlobalGetValueType(g));
    }
}

static size_t variable_of(const struct arena *a, LLVMValueRef v)
{
    size_t k = 0;
    while (k < a->count && a->variables[k] != v) k++;
    return k;
}

static bool mentions_variable(const struct arena *a, LLVMValueRef v)
{
    if (LLVMIsAGlobalVariable(v)) return variable_of(a, v) < a->count;
    if (!LLVMIsAConstantExpr(v)) return false;
    for (int k = 0; k < LLVMGetNumOperands(v); k++)
        if (mentions_variable(a, LLVMGetOperand(v, (unsigned)k))) return true;
    return false;
}

static LLVMValueRef arena_address(struct arena *a, LLVMValueRef v)
{
    LLVMContextRef context = LLVMGetModuleContext(a->module);
    if (!mentions_variable(a, v)) return v;
    if (LLVMIsAGlobalVariable(v)) {
        LLVMTypeRef i32 = LLVMInt32TypeInContext(context);
        LLVMTypeRef type = LLVMFunctionType(LLVMPointerTypeInContext(context, 0), &i32, 1, 0);
        LLVMValueRef function = LLVMGetNamedFunction(a->module, "__smelt_arena");
        if (!function) function = LLVMAddFunction(a->module, "__smelt_arena", type);
        LLVMValueRef offset = LLVMConstInt(i32, a->offsets[variable_of(a, v)], 0);
        return LLVMBuildCall2(a->builder, type, function, &offset, 1, "");
    }
    LLVMValueRef operands[16];
    int count = LLVMGetNumOperands(v);
    if (LLVMGetConstOpcode(v) != LLVMGetElementPtr || count > 16) {
        a->failed = true;
        return v;
    }
    for (int k = 0; k < count; k++) operands[k] = arena_address(a, LLVMGetOperand(v, (unsigned)k));
    return LLVMBuildGEP2(a->builder, LLVMGetGEPSourceElementType(v), operands[0], operands + 1, (unsigned)count - 1, "");
}

/* Phis cannot take an instruction per use elsewhere than at the top, which is where all of them go. */
static bool place_threadgroup(LLVMModuleRef module, LLVMValueRef entry, uint64_t *bytes, struct text *log)
{
    struct arena a = {.module = module, .entry = entry, .log = log};
    a.builder = LLVMCreateBuilderInContext(LLVMGetModuleContext(module));
    place_variables(&a);
    LLVMValueRef top = LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(entry));
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(entry); b && a.count; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
            for (int k = 0; k < LLVMGetNumOperands(i); k++) {
                LLVMValueRef operand = LLVMGetOperand(i, (unsigned)k);
                if (!LLVMIsAConstant(operand) || LLVMIsAPHINode(i) || !mentions_variable(&a, operand)) continue;
                LLVMPositionBuilderBefore(a.builder, top);
                LLVMSetOperand(i, (unsigned)k, arena_address(&a, operand));
            }
    LLVMDisposeBuilder(a.builder);
    free(a.variables);
    free(a.offsets);
    *bytes = a.size;
    if (a.failed) text_print(log, "error: the address of a threadgroup variable is used as a constant\n");
    return !a.failed;
}

static bool all_inlined(LLVMValueRef entry, struct text *log)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(entry); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i)) {
            if (LLVMGetInstructionOpcode(i) != LLVMCall) continue;
            LLVMValueRef callee = LLVMGetCalledValue(i);
            if (!LLVMIsAFunction(callee) || LLVMIsDeclaration(callee)) continue;
            size_t length;
            text_print(log, "error: the function %s calls itself; Metal has no recursion\n",
                       LLVMGetValueName2(callee, &length));
            return false;
        }
    return true;
}

bool prepare_module(LLVMModuleRef module, LLVMValueRef entry, const struct target *target, uint64_t *threadgroup_bytes,
                    struct text *log)
{
    LLVMValueRef annotations = LLVMGetNamedGlobal(module, "llvm.global.annotations");
    if (annotations) LLVMDeleteGlobal(annotations); /* it would keep every kernel alive */
    mark_functions(module, entry);
    /* before registers, as phis hold no threadgroup address yet */
    if (!run_passes(module, "always-inline", target, log) || !all_inlined(entry, log)) return false;
    release_layout(entry);
    if (!place_threadgroup(module, entry, threadgroup_bytes, log)) return false;
    LLVMSetLinkage(entry, LLVMExternalLinkage);
    if (!run_passes(module,
                    "globaldce,function(sroa<preserve-cfg>,early-cse,instcombine<no-verify-fixpoint>,"
                    "sroa<preserve-cfg>)",
                    target, log))
        return false;
    expand_copies(entry);
    return run_passes(module,
                      "function(sroa<preserve-cfg>,scalarizer,sccp,early-cse,"
                      "instcombine<no-verify-fixpoint>,dce)",
                      target, log);
}
