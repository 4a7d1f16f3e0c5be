/* SPDX-License-Identifier: Apache-2.0 */
/* Branches in the full version of a block: mostly all lanes go one way, and where a comparison of an affine
   value decides, one scalar comparison knows. Only else do they part and go on under masks. */
#include "engine.h"
#include <stdlib.h>

LLVMValueRef is_full(struct engine *e, LLVMValueRef mask)
{
    return LLVMBuildICmp(e->builder, LLVMIntEQ, mask_bits(e, mask), LLVMConstInt(e->i32, UINT32_MAX, 0),
                         "full");
}

LLVMBasicBlockRef full_target(struct engine *e, uint32_t to, LLVMBasicBlockRef exit)
{
    if (to >= e->block_count) return exit;
    e->blocks[to].full_reached = true;
    return e->blocks[to].full_target;
}

/* `left predicate right` in the form where left is affine with a positive stride and right uniform. */
struct comparison {
    LLVMValueRef left, right;
    LLVMIntPredicate predicate;
    uint64_t reach; /* from lane 0 to lane 31 */
    bool inverted;  /* the branch is taken where it does not hold */
};

static LLVMIntPredicate swapped(LLVMIntPredicate p)
{
    switch (p) {
    case LLVMIntULT: return LLVMIntUGT;
    case LLVMIntULE: return LLVMIntUGE;
    case LLVMIntUGT: return LLVMIntULT;
    case LLVMIntUGE: return LLVMIntULE;
    case LLVMIntSLT: return LLVMIntSGT;
    case LLVMIntSLE: return LLVMIntSGE;
    case LLVMIntSGT: return LLVMIntSLT;
    case LLVMIntSGE: return LLVMIntSLE;
    default: return p;
    }
}

static bool is_comparison(struct engine *e, LLVMValueRef condition, struct comparison *c)
{
    const struct value *v = LLVMIsAICmpInst(condition) ? value_of(e, condition) : NULL;
    if (!v || v->block != e->current) return false;
    *c = (struct comparison){LLVMGetOperand(condition, 0), LLVMGetOperand(condition, 1),
                             LLVMGetICmpPredicate(condition), 0, false};
    if (LLVMGetTypeKind(LLVMTypeOf(c->left)) != LLVMIntegerTypeKind) return false;
    struct shape a = shape_at(e, c->left, e->current), b = shape_at(e, c->right, e->current);
    if (b.kind == SHAPE_AFFINE) {
        LLVMValueRef left = c->left;
        struct shape shape = a;
        c->left = c->right, c->right = left, a = b, b = shape;
        c->predicate = swapped(c->predicate);
    }
    if (a.kind != SHAPE_AFFINE || a.conditional || a.stride <= 0 || b.kind != SHAPE_UNIFORM) return false;
    unsigned width = LLVMGetIntTypeWidth(LLVMTypeOf(c->left));
    c->reach = (uint64_t)a.stride * (LANES - 1);
    if (width < 16 || width > 64 || c->reach >> (width - 2)) return false;
    switch (c->predicate) {
    case LLVMIntULT:
    case LLVMIntSLT: return true;
    case LLVMIntUGE: c->predicate = LLVMIntULT; break;
    case LLVMIntSGE: c->predicate = LLVMIntSLT; break;
    default: return false;
    }
    c->inverted = true;
    return true;
}

/* Lane 31 is below the bound, and no lane wraps: base < bound - reach, where that saturates. The right-hand
   side is the same in every turn of a loop. */
static LLVMValueRef all_below(struct engine *e, const struct comparison *c)
{
    LLVMTypeRef type = LLVMTypeOf(c->left);
    LLVMValueRef operands[2] = {scalar_of(e, c->right), LLVMConstInt(type, c->reach, 0)};
    const char *name = c->predicate == LLVMIntULT ? "llvm.usub.sat" : "llvm.ssub.sat";
    LLVMValueRef most = call_intrinsic(e, name, &type, 1, operands, 2);
    return LLVMBuildICmp(e->builder, c->predicate, scalar_of(e, c->left), most, "below");
}

/* Where `test` holds all lanes take edge `way`; the builder goes on where it does not. */
static void go_together(struct engine *e, uint32_t index, uint32_t way, LLVMValueRef test,
                        LLVMBasicBlockRef exit)
{
    const struct edge *edge = &e->edges[e->blocks[index].first_edge + way];
    LLVMBasicBlockRef together = new_block(e, "together"), rest = new_block(e, "rest");
    LLVMBuildCondBr(e->builder, test, together, rest);
    LLVMPositionBuilderAtEnd(e->builder, together);
    e->epoch++; /* nothing loaded in one way dominates the next */
    carry_values(e, edge, e->mask);
    LLVMBuildBr(e->builder, full_target(e, edge->to, exit));
    LLVMPositionBuilderAtEnd(e->builder, rest);
    e->epoch++;
}

void part_full_block(struct engine *e, uint32_t index, LLVMBasicBlockRef exit)
{
    struct block *b = &e->blocks[index];
    LLVMValueRef end = LLVMGetBasicBlockTerminator(b->source);
    struct comparison c;
    uint32_t known = NO_BLOCK;
    if (LLVMGetInstructionOpcode(end) == LLVMBr && is_comparison(e, LLVMGetCondition(end), &c)) {
        known = c.inverted;
        go_together(e, index, known, all_below(e, &c), exit);
    }
    LLVMValueRef *lanes = must_allocate(b->edge_count, sizeof *lanes);
    parted_lanes(e, b, lanes);
    for (uint32_t i = 0; i < b->edge_count; i++)
        if (i != known) go_together(e, index, i, is_full(e, lanes[i]), exit);
    part_lanes(e, index, lanes, exit);
    free(lanes);
}
