/* SPDX-License-Identifier: Apache-2.0 */
/* From clang's module to an object file. */
#ifndef SMELT_METALC_COMPILE_H
#define SMELT_METALC_COMPILE_H
#include <stdbool.h>
#include <stdint.h>
#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include "text.h"

struct target {
    char *cpu, *features;
    LLVMTargetMachineRef machine;
};

struct kernel_report {
    uint64_t threadgroup_bytes; /* of the kernel's own variables */
    uint64_t private_bytes;     /* of stack that its thread variables need */
    bool has_barrier, has_loop;
    bool missing_constant; /* why there is no object */
    uint32_t vector_accesses, gather_accesses, scalar_accesses, serial_operations;
};

/* prepare.c: everything inlined into `entry`, C++'s undefined operations given Metal's meaning. */
bool prepare_module(LLVMModuleRef module, LLVMValueRef entry, const struct target *target,
                    uint64_t *threadgroup_bytes, struct text *log);
bool run_passes(LLVMModuleRef module, const char *passes, const struct target *target, struct text *log);

/* codegen.c */
/* Leaves a target that is this one already as it is: to make one costs as much as a small kernel. */
bool target_open(struct target *target, const char *triple, const char *cpu, const char *features,
                 struct text *log);
/* Turns the function `entry` of the module into a simdgroup function and writes its object; `ir`, where not
   NULL, receives the module as text at each stage. */
bool compile_module(LLVMModuleRef module, const char *entry, bool rows, const struct target *target,
                    struct text *object, struct kernel_report *report, struct text *log, struct text *ir);
/* strides.c: gathers of neighbours become wide loads and shuffles, scatters likewise. */
void join_strides(LLVMValueRef function, unsigned register_bytes);
/* expand.c: memcpy and the like of known length become loads and stores. */
void expand_copies(LLVMValueRef function);
/* layout.c */
void protect_layout(LLVMValueRef function);
void release_layout(LLVMValueRef function);
/* constants.c: false, with a message, where the kernel reads a constant that the caller did not give. */
bool constants_are_known(LLVMModuleRef module, LLVMValueRef entry, struct text *log);
/* sanitise.c */
void sanitise_function(LLVMValueRef function);

#endif
