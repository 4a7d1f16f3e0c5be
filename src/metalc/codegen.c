/* SPDX-License-Identifier: Apache-2.0 */
/* Around the engine: the target, the simdgroup function's frame, and LLVM's own passes to an object file. */
#include "compile.h"
#include <stdlib.h>
#include <string.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include "abi.h"
#include "engine.h"

static void start_llvm(void)
{
    static bool started;
    if (started) return;
    started = true;
#if defined(__aarch64__)
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
#else
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
#endif
    /* neither is a parameter of its pass in 19; a loop over a private array has to unroll, however wide its
       vectors, or the array stays in memory */
    const char *const flags[] = {"smelt-metalc", "-scalarize-load-store", "-unroll-threshold=6000"};
    LLVMParseCommandLineOptions(3, flags, "");
}

bool target_open(struct target *target, const char *triple, const char *cpu, const char *features,
                 struct text *log)
{
    LLVMTargetRef description;
    char *message = NULL;
    if (target->machine && !strcmp(target->cpu, cpu) && !strcmp(target->features, features)) return true;
    start_llvm();
    if (target->machine) LLVMDisposeTargetMachine(target->machine);
    free(target->cpu);
    free(target->features);
    *target = (struct target){strdup(cpu), strdup(features), NULL};
    if (LLVMGetTargetFromTriple(triple, &description, &message)) {
        text_print(log, "error: %s\n", message);
        LLVMDisposeMessage(message);
        return false;
    }
    target->machine = LLVMCreateTargetMachine(description, triple, cpu, features, LLVMCodeGenLevelDefault,
                                              LLVMRelocPIC, LLVMCodeModelSmall);
    return target->machine != NULL;
}

static void set_attribute(LLVMValueRef function, const char *name, const char *value)
{
    LLVMContextRef context = LLVMGetTypeContext(LLVMTypeOf(function));
    LLVMAttributeRef attribute =
        LLVMCreateStringAttribute(context, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attribute);
}

static void open_function(struct engine *e, const struct target *target)
{
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), &e->pointer, 1, 0);
    e->target = LLVMAddFunction(e->module, "smelt_kernel", type);
    set_attribute(e->target, "target-cpu", target->cpu);
    set_attribute(e->target, "target-features", target->features);
    set_attribute(e->target, "min-legal-vector-width", "512");
    set_attribute(e->target, "prefer-vector-width", "512");
    set_attribute(e->target, "no-jump-tables", "true");
    LLVMAddAttributeAtIndex(
        e->target, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
        LLVMCreateEnumAttribute(e->context, LLVMGetEnumAttributeKindForName("nounwind", 8), 0));
    e->simdgroup = LLVMGetParam(e->target, 0);
    e->entry = LLVMAppendBasicBlockInContext(e->context, e->target, "entry");
    LLVMPositionBuilderAtEnd(e->slots, e->entry);
}

static void engine_open(struct engine *e, LLVMModuleRef module, LLVMValueRef source, struct text *log)
{
    LLVMContextRef c = LLVMGetModuleContext(module);
    *e = (struct engine){.context = c, .module = module, .source = source, .log = log};
    e->builder = LLVMCreateBuilderInContext(c);
    e->slots = LLVMCreateBuilderInContext(c);
    e->i1 = LLVMInt1TypeInContext(c);
    e->i8 = LLVMInt8TypeInContext(c);
    e->i16 = LLVMInt16TypeInContext(c);
    e->i32 = LLVMInt32TypeInContext(c);
    e->i64 = LLVMInt64TypeInContext(c);
    e->f32 = LLVMFloatTypeInContext(c);
    e->pointer = LLVMPointerTypeInContext(c, 0);
    e->mask_type = LLVMVectorType(e->i1, LANES);
}

static void engine_close(struct engine *e)
{
    for (uint32_t b = 0; b < e->block_count; b++) free(e->blocks[b].deferred);
    free(e->blocks);
    free(e->edges);
    free(e->loops);
    free(e->values);
    free(e->value_index);
    free(e->privates);
    LLVMDisposeBuilder(e->builder);
    LLVMDisposeBuilder(e->slots);
}

static void dump(LLVMModuleRef module, const char *stage, struct text *ir)
{
    if (!ir) return;
    char *text = LLVMPrintModuleToString(module);
    text_print(ir, "; ---- %s\n", stage);
    text_append(ir, text, strlen(text));
    LLVMDisposeMessage(text);
}

static bool vectorise(struct engine *e, const struct target *target)
{
    if (!engine_draw(e) || !engine_index_values(e)) return false;
    find_privates(e);
    if (e->failed) return false;
    engine_classify(e);
    open_function(e, target);
    engine_emit(e);
    return !e->failed;
}

static bool write_object(LLVMModuleRef module, const struct target *target, struct text *object,
                         struct text *log)
{
    char *message = NULL;
    LLVMMemoryBufferRef buffer = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(target->machine, module, LLVMObjectFile, &message, &buffer)) {
        text_print(log, "error: %s\n", message);
        LLVMDisposeMessage(message);
        return false;
    }
    text_append(object, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
    LLVMDisposeMemoryBuffer(buffer);
    return true;
}

/* After the engine: slots become registers, constant masks vanish, loops with private arrays unroll. */
static const char finish[] =
    "function(sroa,early-cse<memssa>,sccp,correlated-propagation,instcombine<no-verify-fixpoint>,simplifycfg,"
    "loop-mssa(loop-rotate,licm,simple-loop-unswitch),loop(indvars,loop-deletion,loop-unroll-full),sroa,"
    "early-cse<memssa>,instcombine<no-verify-fixpoint>,gvn,sccp,correlated-propagation,bdce,instcombine<no-"
    "verify-fixpoint>,"
    "dse,loop-mssa(licm),simplifycfg<sink-common-insts>,loop-unroll<O2>,instcombine<no-verify-fixpoint>,"
    "loop-mssa(licm),sink,dce),globaldce";

bool compile_module(LLVMModuleRef module, const char *entry, bool rows, const struct target *target,
                    struct text *object, struct kernel_report *report, struct text *log, struct text *ir)
{
    LLVMValueRef source = LLVMGetNamedFunction(module, entry);
    struct engine e;
    char *message = NULL;
    if (!source) {
        text_print(log, "error: the kernel has no entry point\n");
        return false;
    }
    dump(module, "clang", ir);
    if (!prepare_module(module, source, target, &report->threadgroup_bytes, log)) return false;
    dump(module, "scalar", ir);
    report->missing_constant = !constants_are_known(module, source, log);
    if (report->missing_constant) return false;
    engine_open(&e, module, source, log);
    e.rows = rows;
    e.lanes_per_register = !strcmp(target->cpu, "skylake-avx512") ? 16 : 8;
    bool good = vectorise(&e, target);
    report->has_barrier = e.has_barrier;
    report->private_bytes = e.private_bytes;
    report->has_loop = e.has_loop;
    report->vector_accesses = e.vector_accesses;
    report->gather_accesses = e.gather_accesses;
    report->scalar_accesses = e.scalar_accesses;
    report->serial_operations = e.serial_operations;
    engine_close(&e);
    if (!good) return false;
    LLVMDeleteFunction(source);
    dump(module, "lanes", ir);
    if (LLVMVerifyModule(module, LLVMReturnStatusAction, &message)) {
        text_print(log, "error: the engine made wrong code: %s\n", message);
        LLVMDisposeMessage(message);
        return false;
    }
    LLVMDisposeMessage(message);
    if (!run_passes(module, finish, target, log)) return false;
    join_strides(e.target, e.lanes_per_register * 4);
    if (!run_passes(module, "function(early-cse,instcombine<no-verify-fixpoint>,dce)", target, log))
        return false;
    dump(module, "finished", ir);
    return write_object(module, target, object, log);
}
