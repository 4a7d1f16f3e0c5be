/* SPDX-License-Identifier: Apache-2.0 */
/* Partial linearisation (after Moll and Hack): uniform branches stay branches; behind one that parts lanes
   the blocks run one after the other in source order, each under the mask of the lanes that wait at it. A
   block's mask lies in a slot (a register later) that edges add to and the block empties. `deferred` holds
   the blocks at which lanes may be waiting; what runs next is always the first of them. Beside each block
   stands its full version, for when all lanes are there: masks are constants in it. A branch that parts lanes
   leads from it to the masked blocks, and a join where all have met leads back. */
#include "engine.h"
#include <stdlib.h>
#include <string.h>
#include <llvm-c/DebugInfo.h>

/* Larger kernels are written once, under masks: twice would take twice as long to compile. */
enum { MOST_VALUES_TWICE = 12000 };

static void defer(uint64_t *set, uint32_t block) { set[block / 64] |= UINT64_C(1) << (block % 64); }

static uint32_t first_of(const struct engine *e, const uint64_t *set)
{
    for (uint32_t w = 0; w < e->deferred_words; w++)
        if (set[w]) return w * 64 + (uint32_t)__builtin_ctzll(set[w]);
    return e->block_count;
}

/* Where control goes with lanes waiting at `set`: its first block, the others stay deferred there. */
static LLVMBasicBlockRef next_of(struct engine *e, const uint64_t *set, uint32_t certain,
                                 LLVMBasicBlockRef exit)
{
    uint32_t next = first_of(e, set);
    if (next >= e->block_count) return exit;
    struct block *b = &e->blocks[next];
    for (uint32_t w = 0; w < e->deferred_words; w++) b->deferred[w] |= set[w];
    b->deferred[next / 64] &= ~(UINT64_C(1) << (next % 64));
    b->reached = true;
    if (next != certain) b->maybe_empty = true;
    return b->target;
}

static LLVMValueRef no_lanes(struct engine *e) { return LLVMConstNull(e->mask_type); }

static void add_lanes(struct engine *e, uint32_t to, LLVMValueRef lanes)
{
    if (to >= e->block_count) return;
    LLVMValueRef slot = e->blocks[to].mask_slot;
    LLVMValueRef old = LLVMBuildLoad2(e->builder, e->mask_type, slot, "");
    LLVMBuildStore(e->builder, LLVMBuildOr(e->builder, old, lanes, ""), slot);
}

static LLVMValueRef incoming_on(LLVMValueRef phi, LLVMBasicBlockRef from)
{
    for (unsigned i = 0; i < LLVMCountIncoming(phi); i++)
        if (LLVMGetIncomingBlock(phi, i) == from) return LLVMGetIncomingValue(phi, i);
    return NULL;
}

/* The phis of the edge's target take their values, all read before any is written. */
void carry_values(struct engine *e, const struct edge *edge, LLVMValueRef lanes)
{
    if (edge->phi_block == NO_BLOCK || edge->phi_block >= e->block_count) return;
    const struct block *to = &e->blocks[edge->phi_block];
    if (!to->source) return;
    uint32_t count = 0;
    for (LLVMValueRef i = LLVMGetFirstInstruction(to->source); LLVMIsAPHINode(i);
         i = LLVMGetNextInstruction(i))
        count++;
    if (!count) return;
    LLVMValueRef *carried = must_allocate(count, sizeof *carried);
    uint32_t k = 0;
    for (LLVMValueRef i = LLVMGetFirstInstruction(to->source); LLVMIsAPHINode(i);
         i = LLVMGetNextInstruction(i), k++) {
        LLVMValueRef incoming = incoming_on(i, edge->phi_from);
        carried[k] =
            value_of(e, i)->shape.kind == SHAPE_VARYING ? vector_of(e, incoming) : scalar_of(e, incoming);
    }
    k = 0;
    for (LLVMValueRef i = LLVMGetFirstInstruction(to->source); LLVMIsAPHINode(i);
         i = LLVMGetNextInstruction(i), k++) {
        struct value *v = value_of(e, i);
        LLVMTypeRef type = LLVMTypeOf(carried[k]);
        if (!v->incoming_slot) v->incoming_slot = entry_slot(e, type, "in");
        if (v->shape.kind == SHAPE_VARYING && to->join) {
            LLVMValueRef old = LLVMBuildLoad2(e->builder, type, v->incoming_slot, "");
            carried[k] = LLVMBuildSelect(e->builder, lanes, carried[k], old, "");
        }
        LLVMBuildStore(e->builder, carried[k], v->incoming_slot);
    }
    free(carried);
}

/* Few, harmless instructions are run with no lane active rather than jumped over. */
static bool is_cheap(const struct engine *e, const struct block *b)
{
    if (!b->source) return true;
    if (b->edge_count > 1 && !b->divergent) return false;
    uint32_t count = 0;
    for (LLVMValueRef i = LLVMGetFirstInstruction(b->source); i; i = LLVMGetNextInstruction(i)) {
        LLVMOpcode opcode = LLVMGetInstructionOpcode(i);
        if (LLVMIsATerminatorInst(i)) return opcode == LLVMBr && count <= 12;
        if (opcode == LLVMPHI) continue;
        bool harmless = LLVMIsABinaryOperator(i) || LLVMIsACastInst(i) || opcode == LLVMICmp ||
                        opcode == LLVMFCmp || opcode == LLVMSelect || opcode == LLVMGetElementPtr ||
                        opcode == LLVMFNeg || opcode == LLVMFreeze;
        if (opcode == LLVMUDiv || opcode == LLVMSDiv || opcode == LLVMURem || opcode == LLVMSRem)
            harmless = false;
        if (opcode == LLVMCall) {
            LLVMValueRef callee = LLVMGetCalledValue(i);
            harmless = LLVMIsAFunction(callee) && LLVMGetIntrinsicID(callee) != 0 && value_of(e, i) != NULL &&
                       LLVMGetTypeKind(LLVMTypeOf(i)) != LLVMVoidTypeKind;
        }
        if (!harmless) return false;
        count++;
    }
    return false;
}

/* The conditions under which each edge of a branch that parts lanes is taken. */
void parted_lanes(struct engine *e, const struct block *b, LLVMValueRef *lanes)
{
    LLVMValueRef end = LLVMGetBasicBlockTerminator(b->source);
    if (LLVMGetInstructionOpcode(end) == LLVMBr) {
        LLVMValueRef condition = vector_of(e, LLVMGetCondition(end));
        lanes[0] = LLVMBuildAnd(e->builder, e->mask, condition, "");
        lanes[1] = LLVMBuildAnd(e->builder, e->mask, LLVMBuildNot(e->builder, condition, ""), "");
        return;
    }
    LLVMValueRef selector = vector_of(e, LLVMGetOperand(end, 0)), rest = e->mask;
    for (uint32_t i = 1; i < b->edge_count; i++) {
        LLVMValueRef label = splat(e, LLVMGetOperand(end, 2 * i));
        LLVMValueRef same = LLVMBuildICmp(e->builder, LLVMIntEQ, selector, label, "");
        lanes[i] = LLVMBuildAnd(e->builder, e->mask, same, "");
        rest = LLVMBuildAnd(e->builder, rest, LLVMBuildNot(e->builder, same, ""), "");
    }
    lanes[0] = rest;
}

void part_lanes(struct engine *e, uint32_t index, LLVMValueRef *lanes, LLVMBasicBlockRef exit)
{
    struct block *b = &e->blocks[index];
    uint64_t *set = must_allocate(e->deferred_words, sizeof *set);
    if (!e->full) memcpy(set, b->deferred, e->deferred_words * sizeof *set);
    for (uint32_t i = 0; i < b->edge_count; i++) {
        const struct edge *edge = &e->edges[b->first_edge + i];
        carry_values(e, edge, lanes[i]);
        add_lanes(e, edge->to, lanes[i]);
        if (edge->to < e->block_count) defer(set, edge->to);
    }
    LLVMBuildBr(e->builder, next_of(e, set, NO_BLOCK, exit));
    free(set);
}

static void part_block(struct engine *e, uint32_t index, LLVMBasicBlockRef exit)
{
    struct block *b = &e->blocks[index];
    LLVMValueRef *lanes = must_allocate(b->edge_count, sizeof *lanes);
    parted_lanes(e, b, lanes);
    part_lanes(e, index, lanes, exit);
    free(lanes);
}

/* One way for all lanes. `certain`: some lane is active. */
static void take_edge(struct engine *e, uint32_t index, const struct edge *edge, bool certain,
                      LLVMBasicBlockRef exit)
{
    if (e->full) {
        carry_values(e, edge, e->mask);
        LLVMBuildBr(e->builder, full_target(e, edge->to, exit));
        return;
    }
    uint64_t *set = must_allocate(e->deferred_words, sizeof *set);
    memcpy(set, e->blocks[index].deferred, e->deferred_words * sizeof *set);
    carry_values(e, edge, e->mask);
    add_lanes(e, edge->to, e->mask);
    if (edge->to < e->block_count) defer(set, edge->to);
    LLVMBuildBr(e->builder, next_of(e, set, certain ? edge->to : NO_BLOCK, exit));
    free(set);
}

/* Each way of a uniform branch in a block of its own; the branch or switch itself is cloned. */
static void branch_uniformly(struct engine *e, uint32_t index, bool certain, LLVMBasicBlockRef exit)
{
    struct block *b = &e->blocks[index];
    LLVMValueRef end = LLVMGetBasicBlockTerminator(b->source);
    bool is_switch = LLVMGetInstructionOpcode(end) == LLVMSwitch;
    LLVMValueRef condition = scalar_of(e, is_switch ? LLVMGetOperand(end, 0) : LLVMGetCondition(end));
    LLVMBasicBlockRef *ways = must_allocate(b->edge_count, sizeof *ways);
    for (uint32_t i = 0; i < b->edge_count; i++) ways[i] = new_block(e, "way");
    if (is_switch) {
        LLVMValueRef made = LLVMBuildSwitch(e->builder, condition, ways[0], b->edge_count - 1);
        for (uint32_t i = 1; i < b->edge_count; i++) LLVMAddCase(made, LLVMGetOperand(end, 2 * i), ways[i]);
    } else {
        LLVMBuildCondBr(e->builder, condition, ways[0], ways[1]);
    }
    for (uint32_t i = 0; i < b->edge_count; i++) {
        LLVMPositionBuilderAtEnd(e->builder, ways[i]);
        e->epoch++; /* nothing loaded in one way dominates the next */
        take_edge(e, index, &e->edges[b->first_edge + i], certain, exit);
    }
    free(ways);
}

/* A loop that need not be fast: its full version is what runs, and code takes time to compile. */
static void forbid_unrolling(struct engine *e, LLVMValueRef branch)
{
    static const char name[] = "llvm.loop.unroll.disable";
    LLVMMetadataRef text = LLVMMDStringInContext2(e->context, name, sizeof name - 1);
    LLVMMetadataRef parts[2] = {LLVMTemporaryMDNode(e->context, NULL, 0),
                                LLVMMDNodeInContext2(e->context, &text, 1)};
    LLVMMetadataRef whole = LLVMMDNodeInContext2(e->context, parts, 2);
    LLVMMetadataReplaceAllUsesWith(parts[0], whole); /* a loop's node begins with itself */
    LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(e->context, "llvm.loop", 9),
                    LLVMMetadataAsValue(e->context, whole));
}

/* What the source says about a loop goes to the branch that closes it. Private arrays become registers only
   when all loops over them unroll. */
static void hint_loop(struct engine *e, uint32_t latch, LLVMValueRef branch)
{
    uint32_t header = e->edges[e->blocks[latch].first_edge].to;
    unsigned kind = LLVMGetMDKindIDInContext(e->context, "llvm.loop", 9);
    if (e->has_full && !e->full && e->private_count == 0) {
        forbid_unrolling(e, branch);
        return;
    }
    for (uint32_t x = latch; x-- > 0 && x + 1 > header;) {
        if (!e->blocks[x].source) continue;
        LLVMValueRef hint = LLVMGetMetadata(LLVMGetBasicBlockTerminator(e->blocks[x].source), kind);
        if (hint) LLVMSetMetadata(branch, kind, hint);
        break;
    }
}

/* The only edge back to a header: taken while a lane waits at the latch. */
static void close_loop(struct engine *e, uint32_t index, bool certain, LLVMBasicBlockRef exit)
{
    struct block *b = &e->blocks[index], *header = &e->blocks[e->edges[b->first_edge].to];
    for (uint32_t w = 0; w < e->deferred_words; w++)
        if (b->deferred[w] & ~header->deferred[w])
            engine_fail(e, NULL, "lanes that wait behind a uniform loop");
    add_lanes(e, e->edges[b->first_edge].to, e->mask);
    LLVMValueRef branch;
    if (certain) {
        branch = LLVMBuildBr(e->builder, header->target);
    } else {
        LLVMValueRef any = any_lane(e, e->mask);
        branch = LLVMBuildCondBr(e->builder, any, header->target, next_of(e, b->deferred, NO_BLOCK, exit));
    }
    hint_loop(e, index, branch);
}

/* Lanes that leave a loop at different times wait behind it from its first block on. */
static void await_exits(struct engine *e, uint32_t index)
{
    struct block *b = &e->blocks[index];
    if (b->loop == NO_BLOCK || e->loops[b->loop].header != index || !e->loops[b->loop].divergent) return;
    for (uint32_t x = index; x <= e->loops[b->loop].latch; x++)
        for (uint32_t i = 0; i < e->blocks[x].edge_count; i++) {
            uint32_t to = e->edges[e->blocks[x].first_edge + i].to;
            if (to > e->loops[b->loop].latch && to < e->block_count) defer(b->deferred, to);
        }
}

static void emit_instructions(struct engine *e, const struct block *b)
{
    if (!b->source) return;
    for (LLVMValueRef i = LLVMGetFirstInstruction(b->source); i && !e->failed; i = LLVMGetNextInstruction(i))
        if (!LLVMIsATerminatorInst(i)) emit_instruction(e, i);
}

static void emit_block(struct engine *e, uint32_t index, LLVMBasicBlockRef exit)
{
    struct block *b = &e->blocks[index];
    e->current = index;
    e->epoch++;
    e->full = false;
    LLVMPositionBuilderAtEnd(e->builder, b->target);
    e->mask = LLVMBuildLoad2(e->builder, e->mask_type, b->mask_slot, "mask");
    LLVMBuildStore(e->builder, no_lanes(e), b->mask_slot);
    if (b->join && e->has_full) { /* perhaps all have met again */
        LLVMBasicBlockRef some = new_block(e, "some");
        LLVMBuildCondBr(e->builder, is_full(e, e->mask), full_target(e, index, exit), some);
        LLVMPositionBuilderAtEnd(e->builder, some);
    }
    bool certain = !b->maybe_empty;
    if (!certain && !is_cheap(e, b)) {
        LLVMBasicBlockRef body = new_block(e, "lanes");
        LLVMValueRef any = any_lane(e, e->mask);
        LLVMBuildCondBr(e->builder, any, body, next_of(e, b->deferred, NO_BLOCK, exit));
        LLVMPositionBuilderAtEnd(e->builder, body);
        certain = true;
    }
    await_exits(e, index);
    emit_instructions(e, b);
    if (e->failed) return;
    if (b->edge_count == 1 && e->edges[b->first_edge].back)
        close_loop(e, index, certain, exit);
    else if (b->edge_count == 1)
        take_edge(e, index, &e->edges[b->first_edge], certain, exit);
    else if (b->divergent)
        part_block(e, index, exit);
    else
        branch_uniformly(e, index, certain, exit);
}

static void emit_full_block(struct engine *e, uint32_t index, LLVMBasicBlockRef exit)
{
    struct block *b = &e->blocks[index];
    e->current = index;
    e->epoch++;
    e->full = true;
    LLVMPositionBuilderAtEnd(e->builder, b->full_target);
    e->mask = LLVMConstAllOnes(e->mask_type);
    emit_instructions(e, b);
    if (e->failed) return;
    if (b->edge_count == 1 && e->edges[b->first_edge].back)
        hint_loop(e, index, LLVMBuildBr(e->builder, full_target(e, e->edges[b->first_edge].to, exit)));
    else if (b->edge_count == 1)
        take_edge(e, index, &e->edges[b->first_edge], true, exit);
    else if (b->divergent)
        part_full_block(e, index, exit);
    else
        branch_uniformly(e, index, true, exit);
}

/* The block, or one that is never come to. */
static void emit_both(struct engine *e, uint32_t index, LLVMBasicBlockRef exit)
{
    struct block *b = &e->blocks[index];
    if (b->reached) {
        emit_block(e, index, exit);
    } else {
        LLVMPositionBuilderAtEnd(e->builder, b->target);
        LLVMBuildUnreachable(e->builder);
    }
    if (e->failed || !b->full_target) return;
    if (b->full_reached) {
        emit_full_block(e, index, exit);
    } else {
        LLVMPositionBuilderAtEnd(e->builder, b->full_target);
        LLVMBuildUnreachable(e->builder);
    }
}

/* Neighbours in memory, on registers that have masks of their own: as fast with a mask as without. */
static bool is_plain_access(const struct engine *e, LLVMValueRef i)
{
    bool store = LLVMGetInstructionOpcode(i) == LLVMStore;
    LLVMTypeRef type = LLVMTypeOf(store ? LLVMGetOperand(i, 0) : i);
    struct shape shape = shape_at(e, LLVMGetOperand(i, store), value_of(e, i)->block);
    return e->lanes_per_register == 16 && !shape.conditional &&
           (uint64_t)shape.stride == LLVMStoreSizeOfType(LLVMGetModuleDataLayout(e->module), type);
}

/* Whether a version without masks would be faster: there is a branch that parts lanes, or an access or a call
   with a value that differs, other than neighbours in memory, the elements of a simdgroup_matrix and a
   thread's own variables. */
static bool suffers_from_masks(const struct engine *e)
{
    if (e->parts) return true;
    for (uint32_t k = 0; k < e->value_count; k++) {
        LLVMValueRef i = e->values[k].source;
        LLVMOpcode opcode = LLVMGetInstructionOpcode(i);
        bool access = opcode == LLVMLoad || opcode == LLVMStore, harmless;
        if (!access && opcode != LLVMAtomicRMW && opcode != LLVMCall) continue;
        if (opcode == LLVMCall)
            harmless = is_matrix_call(i) || LLVMGetIntrinsicID(LLVMGetCalledValue(i)) != 0;
        else
            harmless =
                access && (private_of(e, LLVMGetOperand(i, opcode == LLVMStore)) || is_plain_access(e, i));
        for (int n = 0; n < LLVMGetNumOperands(i) && !harmless; n++)
            if (shape_at(e, LLVMGetOperand(i, (unsigned)n), e->values[k].block).kind != SHAPE_UNIFORM)
                return true;
    }
    return false;
}

void engine_emit(struct engine *e)
{
    for (uint32_t b = 0; b < e->block_count; b++) e->parts |= e->blocks[b].divergent;
    e->has_full = e->value_count <= MOST_VALUES_TWICE && suffers_from_masks(e);
    LLVMBasicBlockRef exit = e->exit = new_block(e, "exit");
    e->deferred_words = e->block_count / 64 + 1;
    for (uint32_t b = 0; b < e->block_count; b++) {
        e->blocks[b].target = new_block(e, "b");
        if (e->has_full) e->blocks[b].full_target = new_block(e, "f");
        e->blocks[b].deferred = must_allocate(e->deferred_words, sizeof(uint64_t));
        e->blocks[b].mask_slot = entry_slot(e, e->mask_type, "mask");
    }
    open_simdgroups(e);
    for (uint32_t b = 1; b < e->block_count; b++)
        LLVMBuildStore(e->builder, no_lanes(e), e->blocks[b].mask_slot);
    LLVMBuildStore(e->builder, e->mask, e->blocks[0].mask_slot);
    e->blocks[0].reached = true;
    if (e->has_full)
        LLVMBuildCondBr(e->builder, is_full(e, e->mask), full_target(e, 0, exit), e->blocks[0].target);
    else
        LLVMBuildBr(e->builder, e->blocks[0].target);
    for (uint32_t b = 0; b < e->block_count && !e->failed; b++) emit_both(e, b, exit);
    LLVMPositionBuilderAtEnd(e->builder, exit);
    close_simdgroups(e);
}
