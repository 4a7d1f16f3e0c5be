/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between the lanes: shapes of values, branches that part lanes, blocks where lanes meet that
   came different ways, and loops that lanes leave at different times. All grow together to a fixed point. */
#include "engine.h"
#include <stdlib.h>
#include <string.h>

static uint32_t slot_of(const struct engine *e, LLVMValueRef source)
{
    uint64_t hash = (uint64_t)(uintptr_t)source * UINT64_C(0x9E3779B97F4A7C15);
    uint32_t at = (uint32_t)(hash >> 32) & (e->index_size - 1);
    while (e->value_index[at] && e->values[e->value_index[at] - 1].source != source)
        at = (at + 1) & (e->index_size - 1);
    return at;
}

struct value *value_of(const struct engine *e, LLVMValueRef source)
{
    uint32_t found = e->value_index[slot_of(e, source)];
    return found ? &e->values[found - 1] : NULL;
}

/* One row for every instruction. */
bool engine_index_values(struct engine *e)
{
    uint32_t count = 0;
    for (uint32_t b = 0; b < e->block_count; b++)
        if (e->blocks[b].source)
            for (LLVMValueRef i = LLVMGetFirstInstruction(e->blocks[b].source); i;
                 i = LLVMGetNextInstruction(i))
                count++;
    e->index_size = 64;
    while (e->index_size < count * 2) e->index_size *= 2;
    e->values = must_allocate(count, sizeof *e->values);
    e->value_index = must_allocate(e->index_size, sizeof *e->value_index);
    for (uint32_t b = 0; b < e->block_count; b++)
        if (e->blocks[b].source)
            for (LLVMValueRef i = LLVMGetFirstInstruction(e->blocks[b].source); i;
                 i = LLVMGetNextInstruction(i)) {
                e->values[e->value_count] = (struct value){.source = i, .block = b, .private_index = -1};
                e->value_index[slot_of(e, i)] = ++e->value_count;
            }
    return true;
}

/* True when a loop that lanes leave at different times holds `from` and not `to`. */
bool parts_between(const struct engine *e, uint32_t from, uint32_t to)
{
    for (uint32_t k = e->blocks[from].loop; k != NO_BLOCK && !in_loop(e, k, to); k = e->loops[k].parent)
        if (e->loops[k].divergent) return true;
    return false;
}

static const struct shape uniform = {.kind = SHAPE_UNIFORM}, varying = {.kind = SHAPE_VARYING};

struct shape shape_at(const struct engine *e, LLVMValueRef operand, uint32_t use_block)
{
    if (!LLVMIsAInstruction(operand)) return uniform;
    const struct value *v = value_of(e, operand);
    if (!v) return uniform; /* in unreachable code */
    if (v->shape.kind != SHAPE_NONE && parts_between(e, v->block, use_block)) return varying;
    return v->shape;
}

static struct shape affine(int64_t stride, bool conditional)
{
    if (stride == 0) return uniform;
    return (struct shape){SHAPE_AFFINE, stride, conditional, false};
}

static bool small_constant(LLVMValueRef v, int64_t *number)
{
    if (!LLVMIsAConstantInt(v) || LLVMGetIntTypeWidth(LLVMTypeOf(v)) > 64) return false;
    *number = LLVMConstIntGetSExtValue(v);
    return *number > -(INT64_C(1) << 31) && *number < INT64_C(1) << 31;
}

/* Sum, difference, product and shift keep an affine value affine; the rest of arithmetic does not. */
static struct shape shape_of_arithmetic(const struct engine *e, LLVMValueRef v, uint32_t block)
{
    LLVMValueRef left = LLVMGetOperand(v, 0), right = LLVMGetOperand(v, 1);
    struct shape a = shape_at(e, left, block), b = shape_at(e, right, block);
    if (a.kind == SHAPE_NONE || b.kind == SHAPE_NONE) return (struct shape){0};
    if (a.kind == SHAPE_UNIFORM && b.kind == SHAPE_UNIFORM) return uniform;
    if (a.kind == SHAPE_VARYING || b.kind == SHAPE_VARYING) return varying;
    bool conditional = a.conditional || b.conditional;
    int64_t number;
    switch (LLVMGetInstructionOpcode(v)) {
    case LLVMAdd: return affine(a.stride + b.stride, conditional);
    case LLVMSub: return affine(a.stride - b.stride, conditional);
    case LLVMOr: return LLVMGetIsDisjoint(v) ? affine(a.stride + b.stride, conditional) : varying;
    case LLVMMul:
        if (a.kind == SHAPE_AFFINE && small_constant(right, &number))
            return affine(a.stride * number, conditional);
        if (b.kind == SHAPE_AFFINE && small_constant(left, &number))
            return affine(b.stride * number, conditional);
        return varying;
    case LLVMShl:
        if (a.kind == SHAPE_AFFINE && small_constant(right, &number) && number >= 0 && number < 24)
            return affine(a.stride * (INT64_C(1) << number), conditional);
        return varying;
    default: return varying;
    }
}

static struct shape shape_of_extension(const struct engine *e, LLVMValueRef v, uint32_t block)
{
    struct shape a = shape_at(e, LLVMGetOperand(v, 0), block);
    unsigned width = LLVMGetIntTypeWidth(LLVMTypeOf(LLVMGetOperand(v, 0)));
    if (a.kind != SHAPE_AFFINE) return a;
    int64_t reach = (LANES - 1) * (a.stride < 0 ? -a.stride : a.stride);
    if (width < 16 || width > 32 || reach >= INT64_C(1) << (width - 2)) return varying;
    if (!a.bounded) a.conditional = true;
    return a;
}

/* A right shift by whole lanes: (base + 8 * lane) >> 3 is (base >> 3) + lane while no lane wraps. */
static struct shape shape_of_right_shift(const struct engine *e, LLVMValueRef v, uint32_t block)
{
    struct shape a = shape_at(e, LLVMGetOperand(v, 0), block), b = shape_at(e, LLVMGetOperand(v, 1), block);
    unsigned width = LLVMGetIntTypeWidth(LLVMTypeOf(v));
    int64_t number;
    if (a.kind == SHAPE_NONE || b.kind == SHAPE_NONE) return (struct shape){0};
    if (a.kind == SHAPE_UNIFORM && b.kind == SHAPE_UNIFORM) return uniform;
    if (a.kind != SHAPE_AFFINE || !small_constant(LLVMGetOperand(v, 1), &number) || number < 1 ||
        number > 16 || a.stride <= 0 || a.stride % (INT64_C(1) << number) || (width != 32 && width != 64) ||
        (LANES - 1) * a.stride >= INT64_C(1) << 30)
        return varying;
    return affine(a.stride >> number, true);
}

static struct shape shape_of_address(const struct engine *e, LLVMValueRef v, uint32_t block)
{
    struct shape sum = shape_at(e, LLVMGetOperand(v, 0), block);
    if (sum.kind == SHAPE_NONE) return sum;
    LLVMTargetDataRef layout = LLVMGetModuleDataLayout(e->module);
    LLVMTypeRef type = LLVMGetGEPSourceElementType(v);
    for (unsigned i = 1; i < (unsigned)LLVMGetNumOperands(v); i++) {
        LLVMValueRef index = LLVMGetOperand(v, i);
        struct shape a = shape_at(e, index, block);
        if (a.kind == SHAPE_NONE) return a;
        if (i > 1) {
            if (LLVMGetTypeKind(type) == LLVMStructTypeKind) {
                type = LLVMStructGetTypeAtIndex(type, (unsigned)LLVMConstIntGetZExtValue(index));
                continue;
            }
            type = LLVMGetElementType(type);
        }
        if (a.kind == SHAPE_VARYING || sum.kind == SHAPE_VARYING) {
            sum = varying;
            continue;
        }
        if (a.kind == SHAPE_UNIFORM) continue;
        /* an index narrower than a pointer is extended with its sign: clang extends before, so never affine
         * here */
        if (LLVMGetIntTypeWidth(LLVMTypeOf(index)) != 64)
            sum = varying;
        else
            sum = affine(sum.stride + a.stride * (int64_t)LLVMABISizeOfType(layout, type),
                         sum.conditional || a.conditional);
    }
    return sum;
}

static struct shape merge(struct shape a, struct shape b)
{
    if (a.kind == SHAPE_NONE) return b;
    if (b.kind == SHAPE_NONE) return a;
    if (a.kind == SHAPE_VARYING || b.kind == SHAPE_VARYING || a.kind != b.kind || a.stride != b.stride ||
        a.conditional || b.conditional)
        return varying;
    a.bounded = a.bounded && b.bounded;
    return a;
}

static struct shape shape_of_phi(const struct engine *e, LLVMValueRef v, uint32_t block)
{
    struct shape sum = {0};
    if (e->blocks[block].join) return varying;
    for (unsigned i = 0; i < LLVMCountIncoming(v); i++) {
        uint32_t from = block_of(e, LLVMGetIncomingBlock(v, i));
        if (from == NO_BLOCK) continue;
        LLVMValueRef incoming = LLVMGetIncomingValue(v, i);
        struct shape a = shape_at(e, incoming, from);
        if (parts_between(e, from, block)) a = varying; /* even a constant: lanes take different edges */
        if (a.kind == SHAPE_UNIFORM && LLVMIsUndef(incoming)) continue;
        sum = merge(sum, a);
    }
    return sum;
}

static struct shape shape_of_operands(const struct engine *e, LLVMValueRef v, uint32_t block)
{
    int count = LLVMGetNumOperands(v);
    struct shape sum = uniform;
    for (int i = 0; i < count; i++) {
        LLVMValueRef operand = LLVMGetOperand(v, (unsigned)i);
        if (LLVMIsABasicBlock(operand) || LLVMIsAFunction(operand)) continue;
        struct shape a = shape_at(e, operand, block);
        if (a.kind == SHAPE_NONE) return a;
        if (a.kind != SHAPE_UNIFORM) sum = varying;
    }
    return sum;
}

static struct shape shape_of(const struct engine *e, LLVMValueRef v, uint32_t block)
{
    struct shape a;
    switch (LLVMGetInstructionOpcode(v)) {
    case LLVMPHI: return shape_of_phi(e, v, block);
    case LLVMAlloca: {
        const struct private_array *array = &e->privates[value_of(e, v)->private_index];
        return array->granule ? uniform : affine((int64_t)array->size, false);
    }
    case LLVMAdd:
    case LLVMSub:
    case LLVMMul:
    case LLVMShl:
    case LLVMOr: return shape_of_arithmetic(e, v, block);
    case LLVMLShr: return shape_of_right_shift(e, v, block);
    case LLVMZExt:
    case LLVMSExt: return shape_of_extension(e, v, block);
    case LLVMTrunc:
        a = shape_at(e, LLVMGetOperand(v, 0), block);
        if (a.kind == SHAPE_AFFINE && (a.conditional || LLVMGetIntTypeWidth(LLVMTypeOf(v)) < 16))
            return varying;
        a.bounded = false;
        return a;
    case LLVMFreeze: return shape_at(e, LLVMGetOperand(v, 0), block);
    case LLVMGetElementPtr: return shape_of_address(e, v, block);
    case LLVMLoad:
        a = shape_at(e, LLVMGetOperand(v, 0), block);
        if (a.kind == SHAPE_AFFINE || private_of(e, LLVMGetOperand(v, 0))) return varying;
        return a;
    case LLVMSelect: {
        struct shape c = shape_at(e, LLVMGetOperand(v, 0), block);
        if (c.kind == SHAPE_NONE) return c;
        if (c.kind != SHAPE_UNIFORM) return varying;
        return merge(shape_at(e, LLVMGetOperand(v, 1), block), shape_at(e, LLVMGetOperand(v, 2), block));
    }
    case LLVMAtomicRMW:
    case LLVMAtomicCmpXchg: return varying;
    case LLVMCall: {
        LLVMValueRef callee = LLVMGetCalledValue(v);
        size_t length;
        if (LLVMIsAFunction(callee) && shape_of_call(e, v, LLVMGetValueName2(callee, &length), &a)) return a;
        return shape_of_operands(e, v, block);
    }
    default: return shape_of_operands(e, v, block);
    }
}

static bool branch_parts(const struct engine *e, uint32_t b)
{
    if (!e->blocks[b].source || e->blocks[b].edge_count < 2) return false;
    LLVMValueRef end = LLVMGetBasicBlockTerminator(e->blocks[b].source);
    LLVMValueRef condition =
        LLVMGetInstructionOpcode(end) == LLVMSwitch ? LLVMGetOperand(end, 0) : LLVMGetCondition(end);
    enum shape_kind kind = shape_at(e, condition, b).kind;
    return kind == SHAPE_AFFINE || kind == SHAPE_VARYING;
}

/* Labels flow from the successors of a branch that parts lanes; a block that two labels reach is a join and
   starts a label of its own. */
static void give_label(struct engine *e, uint32_t *label, uint32_t to, uint32_t mark)
{
    if (to >= e->block_count) return;
    if (label[to] == NO_BLOCK)
        label[to] = mark;
    else if (label[to] != mark && label[to] != to) {
        label[to] = to;
        e->blocks[to].join = true;
    }
}

static void part_at(struct engine *e, uint32_t b, uint32_t *label)
{
    uint32_t end = e->blocks[b].postdominator;
    for (uint32_t x = b + 1; x <= end && x < e->block_count; x++) label[x] = NO_BLOCK;
    for (uint32_t i = 0; i < e->blocks[b].edge_count; i++) {
        const struct edge *edge = &e->edges[e->blocks[b].first_edge + i];
        give_label(e, label, edge->to, e->block_count + i); /* no block's number: those mark joins */
    }
    for (uint32_t x = b + 1; x < end && x < e->block_count; x++) {
        if (label[x] == NO_BLOCK) continue;
        for (uint32_t i = 0; i < e->blocks[x].edge_count; i++) {
            const struct edge *edge = &e->edges[e->blocks[x].first_edge + i];
            if (!edge->back) {
                give_label(e, label, edge->to, label[x]);
                continue;
            }
            for (uint32_t y = edge->to; y <= x; y++)
                for (uint32_t k = 0; k < e->blocks[y].edge_count; k++) {
                    uint32_t to = e->edges[e->blocks[y].first_edge + k].to;
                    if (to > x) give_label(e, label, to, label[x]);
                }
        }
    }
    for (uint32_t k = e->blocks[b].loop; k != NO_BLOCK; k = e->loops[k].parent)
        if (end > e->loops[k].latch) e->loops[k].divergent = true;
}

/* What crosses blocks needs a slot; what a loop's lanes carry out at different times needs a blended one. */
static void find_uses(struct engine *e)
{
    for (uint32_t k = 0; k < e->value_count; k++) {
        struct value *v = &e->values[k];
        for (LLVMUseRef use = LLVMGetFirstUse(v->source); use; use = LLVMGetNextUse(use)) {
            LLVMValueRef user = LLVMGetUser(use);
            const struct value *u = LLVMIsAInstruction(user) ? value_of(e, user) : NULL;
            if (!u) continue;
            if (!LLVMIsAPHINode(user)) {
                if (u->block == v->block) continue;
                v->crosses = true;
                v->leaves_loop |= parts_between(e, v->block, u->block);
                continue;
            }
            for (unsigned i = 0; i < LLVMCountIncoming(user); i++) {
                if (LLVMGetIncomingValue(user, i) != v->source) continue;
                uint32_t from = block_of(e, LLVMGetIncomingBlock(user, i));
                if (from == NO_BLOCK || from == v->block) continue;
                v->crosses = true;
                v->leaves_loop |= parts_between(e, v->block, from);
            }
        }
    }
}

void engine_classify(struct engine *e)
{
    uint32_t *label = must_allocate(e->block_count + 1, sizeof *label);
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t k = 0; k < e->value_count; k++) {
            struct value *v = &e->values[k];
            struct shape now = shape_of(e, v->source, v->block);
            /* only upwards, so that the sweep ends */
            if (now.kind < v->shape.kind)
                now = v->shape;
            else if (now.kind == v->shape.kind && v->shape.kind == SHAPE_AFFINE &&
                     (now.stride != v->shape.stride || (v->shape.conditional && !now.conditional)))
                now = varying;
            if (memcmp(&now, &v->shape, sizeof now) != 0) {
                changed |= now.kind != v->shape.kind || now.stride != v->shape.stride ||
                           now.conditional != v->shape.conditional || now.bounded != v->shape.bounded;
                v->shape = now;
            }
        }
        for (uint32_t b = 0; b < e->block_count; b++) {
            if (e->blocks[b].divergent || !branch_parts(e, b)) continue;
            e->blocks[b].divergent = changed = true;
            part_at(e, b, label);
        }
    }
    free(label);
    for (uint32_t k = 0; k < e->value_count; k++)
        if (e->values[k].shape.kind == SHAPE_NONE) e->values[k].shape = uniform;
    find_uses(e);
}
