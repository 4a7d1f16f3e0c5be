/* SPDX-License-Identifier: Apache-2.0 */
/* What the launcher says about a simdgroup, and the loop over the simdgroups of a threadgroup, which stands
   in the compiled function so that what they share is computed once: addresses, sizes, constants. Kernels
   with barriers have a fiber for each instead, and one call. */
#include "abi.h"
#include "engine.h"
#include <string.h>

void mark_invariant(struct engine *e, LLVMValueRef load)
{
    LLVMSetMetadata(load, LLVMGetMDKindIDInContext(e->context, "invariant.load", 14),
                    LLVMMetadataAsValue(e->context, LLVMMDNodeInContext2(e->context, NULL, 0)));
}

LLVMValueRef load_field(struct engine *e, LLVMTypeRef type, uint64_t offset, unsigned alignment)
{
    LLVMValueRef at = LLVMConstInt(e->i64, offset, 0);
    LLVMValueRef address = LLVMBuildGEP2(e->builder, e->i8, e->simdgroup, &at, 1, "");
    LLVMValueRef loaded = LLVMBuildLoad2(e->builder, type, address, "");
    LLVMSetAlignment(loaded, alignment);
    mark_invariant(e, loaded);
    return loaded;
}

LLVMValueRef load_word(struct engine *e, unsigned word)
{
    return load_field(e, e->i32, offsetof(struct smelt_simdgroup, words) + 4 * word, 4);
}

static LLVMValueRef number(struct engine *e, uint64_t n) { return LLVMConstInt(e->i32, n, 0); }

static bool has_barrier(const struct engine *e)
{
    for (uint32_t k = 0; k < e->value_count; k++) {
        size_t length;
        LLVMValueRef i = e->values[k].source;
        if (LLVMGetInstructionOpcode(i) == LLVMCall && LLVMIsAFunction(LLVMGetCalledValue(i)) &&
            !strcmp(LLVMGetValueName2(LLVMGetCalledValue(i), &length), "__smelt_threadgroup_barrier"))
            return true;
    }
    return false;
}

/* Lanes of simdgroup `index` that exist. */
static LLVMValueRef active_lanes(struct engine *e, LLVMValueRef index)
{
    LLVMBuilderRef b = e->builder;
    LLVMValueRef threads = load_field(e, e->i32, offsetof(struct smelt_simdgroup, threads), 4);
    LLVMValueRef left = LLVMBuildSub(b, threads, LLVMBuildMul(b, index, number(e, LANES), ""), "");
    LLVMValueRef some = LLVMBuildNot(b, LLVMBuildShl(b, number(e, UINT32_MAX), left, ""), "");
    LLVMValueRef whole = LLVMBuildICmp(b, LLVMIntUGE, left, number(e, LANES), "");
    some = LLVMBuildFreeze(b, some, "");
    LLVMValueRef bits = LLVMBuildSelect(b, whole, number(e, UINT32_MAX), some, "active");
    return LLVMBuildBitCast(b, bits, e->mask_type, "");
}

/* Leaves the builder where a simdgroup begins, and its mask in e->mask. Every variable of the engine that a
   thread may read before it is written begins as nothing: else the last simdgroup's would be carried along.
 */
void open_simdgroups(struct engine *e)
{
    LLVMBuilderRef b = e->builder;
    LLVMBasicBlockRef before = new_block(e, "before");
    e->has_loop = e->rows && e->private_count == 0 && !has_barrier(e);
    e->index_slot = entry_slot(e, e->i32, "index");
    LLVMPositionBuilderAtEnd(b, before);
    LLVMBuildStore(b, load_word(e, WORD_SIMDGROUP_INDEX), e->index_slot);
    for (unsigned k = 0; k < 3; k++) {
        e->position_slots[k] = entry_slot(e, e->i32, "position");
        LLVMBuildStore(b, load_word(e, WORD_BASE_POSITION + k), e->position_slots[k]);
    }
    e->begin = new_block(e, "simdgroup");
    LLVMBuildBr(b, e->begin);
    LLVMBasicBlockRef start = new_block(e, "start");
    LLVMPositionBuilderAtEnd(b, start);
    e->mask = active_lanes(e, LLVMBuildLoad2(b, e->i32, e->index_slot, ""));
    e->before = before;
    e->start = start;
}

/* The next simdgroup stands 32 threads on in the row, or at the start of the next row. */
static void step_positions(struct engine *e)
{
    LLVMBuilderRef b = e->builder;
    LLVMValueRef carry = number(e, LANES);
    for (unsigned k = 0; k < 3; k++) {
        LLVMValueRef moved = LLVMBuildAdd(b, LLVMBuildLoad2(b, e->i32, e->position_slots[k], ""), carry, "");
        LLVMValueRef size = load_word(e, WORD_THREADS_PER_THREADGROUP + k);
        LLVMValueRef over = LLVMBuildICmp(b, LLVMIntUGE, moved, size, "");
        if (k < 2) {
            moved = LLVMBuildSelect(b, over, number(e, 0), moved, "");
            carry = LLVMBuildZExt(b, over, e->i32, "");
        }
        LLVMBuildStore(b, moved, e->position_slots[k]);
    }
}

/* From the block where a simdgroup has come to its end. */
void close_simdgroups(struct engine *e)
{
    LLVMBuilderRef b = e->builder;
    if (e->has_loop) {
        LLVMBasicBlockRef finished = new_block(e, "finished");
        LLVMValueRef next = LLVMBuildAdd(b, LLVMBuildLoad2(b, e->i32, e->index_slot, ""), number(e, 1), "");
        LLVMBuildStore(b, next, e->index_slot);
        step_positions(e);
        LLVMValueRef end = load_field(e, e->i32, offsetof(struct smelt_simdgroup, end), 4);
        LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntULT, next, end, ""), e->begin, finished);
        LLVMPositionBuilderAtEnd(b, finished);
    }
    LLVMBuildRetVoid(b);
    LLVMPositionBuilderAtEnd(b, e->begin);
    for (uint32_t k = 0; k < e->vector_slot_count && e->has_loop; k++)
        LLVMBuildStore(b, LLVMGetPoison(LLVMGetAllocatedType(e->vector_slots[k])), e->vector_slots[k]);
    LLVMBuildBr(b, e->start);
    LLVMPositionBuilderAtEnd(e->slots, e->entry);
    LLVMBuildBr(e->slots, e->before);
}
