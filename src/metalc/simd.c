/* SPDX-License-Identifier: Apache-2.0 */
/* Operations between the lanes, each over the lanes that are active where it stands: reductions are fixed
   trees, shuffles by a shared distance are five conditional steps that fold to one once the distance is a
   constant. */
#include "abi.h"
#include "engine.h"
#include <string.h>

enum { QUAD = 4 };

/* "__smelt_simd_sum_f32" -> group 32, operation "sum", type 'f'. Votes have no type. */
struct collective {
    unsigned group;
    char operation[40];
    char type; /* i, u, f, or 0 */
};

static bool parse(const char *name, struct collective *c)
{
    if (strncmp(name, "__smelt_simd_", 13) == 0)
        c->group = LANES;
    else if (strncmp(name, "__smelt_quad_", 13) == 0)
        c->group = QUAD;
    else
        return false;
    name += 13;
    size_t length = strlen(name);
    c->type = 0;
    if (length > 4 && name[length - 4] == '_' && strchr("iuf", name[length - 3]) && name[length - 2] < 'A') {
        c->type = name[length - 3];
        length -= 4;
    }
    if (length >= sizeof c->operation) return false;
    memcpy(c->operation, name, length);
    c->operation[length] = 0;
    return true;
}

static bool is(const struct collective *c, const char *operation)
{
    return strcmp(c->operation, operation) == 0;
}

static bool is_one_of(const struct collective *c, const char *const *list)
{
    for (; *list; list++)
        if (is(c, *list)) return true;
    return false;
}

static const char *const reductions[] = {"sum", "product", "min", "max", "and", "or", "xor", NULL};
static const char *const votes[] = {"all", "any", "ballot", "active_threads_mask", NULL};

bool shape_of_call(const struct engine *e, LLVMValueRef call, const char *name, struct shape *shape)
{
    struct collective c;
    *shape = (struct shape){.kind = SHAPE_UNIFORM};
    if (!strcmp(name, "__smelt_argument") || !strcmp(name, "__smelt_word") || !strcmp(name, "__smelt_arena"))
        return true;
    if (!strcmp(name, "__smelt_lane")) {
        *shape = (struct shape){SHAPE_AFFINE, 1, false, true};
        return true;
    }
    if (!strcmp(name, "__smelt_position") || !strcmp(name, "__smelt_grid_position")) {
        bool x = LLVMConstIntGetZExtValue(LLVMGetOperand(call, 0)) == 0;
        if (!e->rows)
            shape->kind = SHAPE_VARYING;
        else if (x)
            *shape = (struct shape){SHAPE_AFFINE, 1, false, true};
        return true;
    }
    if (!strncmp(name, "__smelt_matrix_", 15)) {
        shape->kind = SHAPE_VARYING;
        return true;
    }
    if (!parse(name, &c)) return false;
    bool uniform =
        c.group == LANES && (is_one_of(&c, reductions) || is_one_of(&c, votes) || is(&c, "broadcast_first"));
    if (c.group == LANES && is(&c, "broadcast"))
        uniform = shape_at(e, LLVMGetOperand(call, 1), value_of(e, call)->block).kind <= SHAPE_UNIFORM;
    if (is(&c, "is_helper_thread")) uniform = true;
    if (!uniform) shape->kind = SHAPE_VARYING;
    return true;
}

static LLVMValueRef number(struct engine *e, uint64_t n) { return LLVMConstInt(e->i32, n, 0); }

/* A shuffle whose pattern is known here: lane L takes from[L]; LANES + n means element n of the second
 * vector. */
static LLVMValueRef rearrange(struct engine *e, LLVMValueRef a, LLVMValueRef b, const unsigned *from,
                              unsigned count)
{
    LLVMValueRef pattern[LANES];
    for (unsigned i = 0; i < count; i++) pattern[i] = number(e, from[i]);
    return LLVMBuildShuffleVector(e->builder, a, b, LLVMConstVector(pattern, count), "");
}

static LLVMValueRef combine(struct engine *e, const struct collective *c, LLVMValueRef a, LLVMValueRef b)
{
    LLVMBuilderRef w = e->builder;
    bool real = c->type == 'f';
    if (strstr(c->operation, "sum")) return real ? LLVMBuildFAdd(w, a, b, "") : LLVMBuildAdd(w, a, b, "");
    if (strstr(c->operation, "product")) return real ? LLVMBuildFMul(w, a, b, "") : LLVMBuildMul(w, a, b, "");
    if (is(c, "and")) return LLVMBuildAnd(w, a, b, "");
    if (is(c, "or")) return LLVMBuildOr(w, a, b, "");
    if (is(c, "xor")) return LLVMBuildXor(w, a, b, "");
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef both[2] = {a, b};
    bool least = is(c, "min");
    const char *name = real             ? (least ? "llvm.minnum" : "llvm.maxnum")
                       : c->type == 'i' ? (least ? "llvm.smin" : "llvm.smax")
                                        : (least ? "llvm.umin" : "llvm.umax");
    return call_intrinsic(e, name, &type, 1, both, 2);
}

/* What an inactive lane contributes. */
static LLVMValueRef identity(const struct collective *c, LLVMTypeRef type)
{
    bool real = c->type == 'f';
    if (strstr(c->operation, "sum")) return real ? LLVMConstReal(type, -0.0) : LLVMConstNull(type);
    if (strstr(c->operation, "product")) return real ? LLVMConstReal(type, 1) : LLVMConstInt(type, 1, 0);
    if (is(c, "and")) return LLVMConstAllOnes(type);
    if (is(c, "or") || is(c, "xor")) return LLVMConstNull(type);
    if (real) return LLVMConstReal(type, __builtin_nan("")); /* loses against every number */
    uint64_t top = UINT64_MAX >> (64 - LLVMGetIntTypeWidth(type));
    if (c->type == 'u') return LLVMConstInt(type, is(c, "min") ? top : 0, 0);
    return LLVMConstInt(type, is(c, "min") ? top >> 1 : (top >> 1) + 1, 0);
}

static LLVMValueRef reduce_simd(struct engine *e, const struct collective *c, LLVMValueRef vector)
{
    for (unsigned half = LANES / 2; half; half /= 2) {
        unsigned low[LANES], high[LANES];
        for (unsigned i = 0; i < half; i++) low[i] = i, high[i] = half + i;
        LLVMValueRef none = LLVMGetPoison(LLVMTypeOf(vector));
        vector = combine(e, c, rearrange(e, vector, none, low, half), rearrange(e, vector, none, high, half));
    }
    return LLVMBuildExtractElement(e->builder, vector, number(e, 0), "");
}

static LLVMValueRef reduce_quad(struct engine *e, const struct collective *c, LLVMValueRef vector)
{
    for (unsigned step = 1; step < QUAD; step *= 2) {
        unsigned from[LANES];
        for (unsigned i = 0; i < LANES; i++) from[i] = i ^ step;
        vector = combine(e, c, vector, rearrange(e, vector, vector, from, LANES));
    }
    return vector;
}

/* Lane L takes from L - step within its group, else `filling`. */
static LLVMValueRef shifted(struct engine *e, LLVMValueRef vector, LLVMValueRef filling, unsigned step,
                            unsigned group)
{
    unsigned from[LANES];
    for (unsigned i = 0; i < LANES; i++) from[i] = i % group >= step ? i - step : LANES + i;
    return rearrange(e, vector, splat(e, filling), from, LANES);
}

static LLVMValueRef prefix(struct engine *e, const struct collective *c, LLVMValueRef vector)
{
    LLVMValueRef nothing = identity(c, LLVMGetElementType(LLVMTypeOf(vector)));
    for (unsigned step = 1; step < c->group; step *= 2)
        vector = combine(e, c, shifted(e, vector, nothing, step, c->group), vector);
    if (!strstr(c->operation, "exclusive")) return vector;
    if (c->type == 'f' && strstr(c->operation, "sum")) nothing = LLVMConstReal(LLVMTypeOf(nothing), 0);
    return shifted(e, vector, nothing, 1, c->group);
}

static LLVMValueRef half_of(struct engine *e, LLVMValueRef vector, unsigned half)
{
    unsigned from[LANES / 2];
    for (unsigned i = 0; i < LANES / 2; i++) from[i] = half * (LANES / 2) + i;
    return rearrange(e, vector, vector, from, LANES / 2);
}

/* AVX-512 picks from two registers, which hold 32 lanes of up to 32 bits. */
static LLVMValueRef pick_from_registers(struct engine *e, LLVMValueRef vector, LLVMValueRef indices)
{
    LLVMBuilderRef b = e->builder;
    LLVMTypeRef type = LLVMTypeOf(vector), words = LLVMVectorType(e->i32, LANES);
    bool narrow = LLVMStoreSizeOfType(LLVMGetModuleDataLayout(e->module), LLVMGetElementType(type)) == 2;
    LLVMTypeRef bits = narrow ? LLVMVectorType(e->i16, LANES) : words;
    vector = LLVMBuildZExt(b, LLVMBuildBitCast(b, vector, bits, ""), words, "");
    LLVMValueRef low = half_of(e, vector, 0), high = half_of(e, vector, 1), halves[2];
    for (unsigned k = 0; k < 2; k++) {
        LLVMValueRef arguments[3] = {low, half_of(e, indices, k), high};
        halves[k] = call_intrinsic(e, "llvm.x86.avx512.vpermi2var.d.512", NULL, 0, arguments, 3);
    }
    unsigned all[LANES];
    for (unsigned i = 0; i < LANES; i++) all[i] = i;
    LLVMValueRef picked = rearrange(e, halves[0], halves[1], all, LANES);
    return LLVMBuildBitCast(b, LLVMBuildTrunc(b, picked, bits, ""), type, "");
}

static bool fits_registers(const struct engine *e, LLVMTypeRef element)
{
    uint64_t size = LLVMStoreSizeOfType(LLVMGetModuleDataLayout(e->module), element);
    return e->lanes_per_register == LANES / 2 && (size == 2 || size == 4);
}

/* Lane L takes v of lane indices[L]: where no instruction does it for 32 lanes, through memory. */
static LLVMValueRef pick(struct engine *e, LLVMValueRef first, LLVMValueRef second, LLVMValueRef indices)
{
    LLVMTypeRef type = LLVMTypeOf(first), element = LLVMGetElementType(type);
    if (fits_registers(e, element)) {
        LLVMValueRef a = pick_from_registers(e, first, indices);
        if (!second) return a;
        LLVMValueRef from_second = LLVMBuildICmp(
            e->builder, LLVMIntNE, LLVMBuildAnd(e->builder, indices, splat(e, number(e, LANES)), ""),
            splat(e, number(e, 0)), "");
        return LLVMBuildSelect(e->builder, from_second, pick_from_registers(e, second, indices), a, "");
    }
    LLVMValueRef slot = entry_slot(e, LLVMArrayType2(type, 2), "picked"), one = number(e, 1);
    LLVMSetAlignment(slot, 64);
    LLVMBuildStore(e->builder, first, slot);
    if (second) LLVMBuildStore(e->builder, second, LLVMBuildGEP2(e->builder, type, slot, &one, 1, ""));
    indices = LLVMBuildAnd(e->builder, indices, splat(e, number(e, second ? 2 * LANES - 1 : LANES - 1)), "");
    LLVMValueRef addresses = LLVMBuildGEP2(e->builder, element, slot, &indices, 1, "");
    LLVMTypeRef overloads[2] = {type, LLVMTypeOf(addresses)};
    LLVMValueRef all = LLVMConstAllOnes(e->mask_type);
    LLVMValueRef arguments[4] = {addresses,
                                 number(e, LLVMABISizeOfType(LLVMGetModuleDataLayout(e->module), element)),
                                 all, LLVMGetPoison(type)};
    return call_intrinsic(e, "llvm.masked.gather", overloads, 2, arguments, 4);
}

/* The source lane of the moves that all lanes make by the same distance. */
static unsigned source_lane(const struct collective *c, unsigned lane, unsigned step)
{
    unsigned start = lane / c->group * c->group, at = lane % c->group;
    if (is(c, "shuffle_xor")) return start + ((at ^ step) % c->group);
    if (is(c, "shuffle_rotate_up")) return start + (at + c->group - step) % c->group;
    if (is(c, "shuffle_rotate_down")) return start + (at + step) % c->group;
    return lane;
}

static LLVMValueRef move_together(struct engine *e, const struct collective *c, LLVMValueRef vector,
                                  LLVMValueRef distance)
{
    for (unsigned step = 1; step < c->group; step *= 2) {
        unsigned from[LANES];
        for (unsigned i = 0; i < LANES; i++) from[i] = source_lane(c, i, step);
        LLVMValueRef moved = rearrange(e, vector, vector, from, LANES);
        LLVMValueRef bit =
            LLVMBuildAnd(e->builder, distance, LLVMConstInt(LLVMTypeOf(distance), step, 0), "");
        LLVMValueRef set = LLVMBuildICmp(e->builder, LLVMIntNE, bit, LLVMConstNull(LLVMTypeOf(distance)), "");
        vector = LLVMBuildSelect(e->builder, set, moved, vector, "");
    }
    return vector;
}

static LLVMValueRef own_lanes(struct engine *e) { return lane_numbers(e, e->i32, 1); }

/* Up and down: a rotation, and the lanes that no other reaches keep their own. */
static LLVMValueRef move_or_keep(struct engine *e, struct collective c, LLVMValueRef vector,
                                 LLVMValueRef distance, bool same)
{
    LLVMBuilderRef b = e->builder;
    bool up = is(&c, "shuffle_up");
    LLVMValueRef by = same ? splat(e, distance) : distance, lanes = own_lanes(e);
    LLVMValueRef at = LLVMBuildAnd(b, lanes, splat(e, number(e, c.group - 1)), ""), moved;
    LLVMValueRef room = up ? at : LLVMBuildSub(b, splat(e, number(e, c.group - 1)), at, "");
    if (same) {
        strcpy(c.operation, up ? "shuffle_rotate_up" : "shuffle_rotate_down");
        moved = move_together(e, &c, vector, distance);
    } else {
        moved = pick(e, vector, NULL, up ? LLVMBuildSub(b, lanes, by, "") : LLVMBuildAdd(b, lanes, by, ""));
    }
    return LLVMBuildSelect(b, LLVMBuildICmp(b, LLVMIntUGE, room, by, ""), moved, vector, "");
}

/* The lane each lane takes from, for distances that differ by lane. */
static LLVMValueRef source_lanes(struct engine *e, const struct collective *c, LLVMValueRef by)
{
    LLVMBuilderRef b = e->builder;
    LLVMValueRef lanes = own_lanes(e), in = splat(e, number(e, c->group - 1));
    LLVMValueRef start = LLVMBuildAnd(b, lanes, LLVMBuildNot(b, in, ""), ""), to;
    if (is(c, "shuffle_xor"))
        to = LLVMBuildXor(b, lanes, by, "");
    else if (is(c, "shuffle_rotate_up"))
        to = LLVMBuildSub(b, lanes, by, "");
    else if (is(c, "shuffle_rotate_down"))
        to = LLVMBuildAdd(b, lanes, by, "");
    else
        to = by; /* shuffle, broadcast */
    return LLVMBuildOr(b, start, LLVMBuildAnd(b, to, in, ""), "");
}

static LLVMValueRef move_and_fill(struct engine *e, const struct collective *c, LLVMValueRef *operands)
{
    LLVMBuilderRef b = e->builder;
    bool up = is(c, "shuffle_and_fill_up");
    LLVMValueRef lanes = own_lanes(e), by = operands[2], run = operands[3], one = splat(e, number(e, 1));
    LLVMValueRef last = LLVMBuildSub(b, run, one, ""), at = LLVMBuildAnd(b, lanes, last, "");
    LLVMValueRef room = up ? at : LLVMBuildSub(b, last, at, "");
    LLVMValueRef inside = LLVMBuildICmp(b, LLVMIntUGE, room, by, "");
    LLVMValueRef from = up ? LLVMBuildSub(b, lanes, by, "") : LLVMBuildAdd(b, lanes, by, "");
    LLVMValueRef filled = up ? LLVMBuildAdd(b, from, run, "") : LLVMBuildSub(b, from, run, "");
    LLVMValueRef lane_mask = splat(e, number(e, LANES - 1));
    filled = LLVMBuildOr(b, LLVMBuildAnd(b, filled, lane_mask, ""), splat(e, number(e, LANES)), "");
    from = LLVMBuildSelect(b, inside, LLVMBuildAnd(b, from, lane_mask, ""), filled, "");
    return pick(e, operands[0], operands[1], from);
}

/* The lanes of each lane's quad that are active, as bits 0 to 3. */
static LLVMValueRef quad_bits(struct engine *e, LLVMValueRef bits)
{
    LLVMBuilderRef b = e->builder;
    LLVMValueRef start = LLVMBuildAnd(b, own_lanes(e), splat(e, number(e, LANES - QUAD)), "");
    return LLVMBuildAnd(b, LLVMBuildLShr(b, splat(e, bits), start, ""), splat(e, number(e, 15)), "");
}

static LLVMValueRef first_lane(struct engine *e, LLVMValueRef bits)
{
    LLVMTypeRef type = LLVMTypeOf(bits);
    LLVMValueRef arguments[2] = {bits, LLVMConstInt(e->i1, 0, 0)};
    LLVMValueRef lane = call_intrinsic(e, "llvm.cttz", &type, 1, arguments, 2);
    LLVMValueRef in = number(e, LANES - 1);
    return LLVMBuildAnd(e->builder, lane, type == e->i32 ? in : splat(e, in), "");
}

/* Votes: a scalar for the simdgroup, a vector for quads. */
static LLVMValueRef vote(struct engine *e, const struct collective *c, LLVMValueRef call)
{
    LLVMBuilderRef b = e->builder;
    bool asks = LLVMGetNumArgOperands(call) > 0, quad = c->group == QUAD;
    LLVMValueRef lanes = e->mask, value = asks ? vector_of(e, LLVMGetOperand(call, 0)) : NULL;
    if (is(c, "all"))
        lanes = LLVMBuildAnd(b, lanes, LLVMBuildNot(b, value, ""), "");
    else if (asks)
        lanes = LLVMBuildAnd(b, lanes, value, "");
    LLVMValueRef bits = mask_bits(e, lanes);
    if (is(c, "is_first")) {
        if (!quad) return LLVMBuildICmp(b, LLVMIntEQ, own_lanes(e), splat(e, first_lane(e, bits)), "");
        LLVMValueRef at = LLVMBuildAnd(b, own_lanes(e), splat(e, number(e, QUAD - 1)), "");
        return LLVMBuildICmp(b, LLVMIntEQ, at, first_lane(e, quad_bits(e, bits)), "");
    }
    if (quad) bits = quad_bits(e, bits);
    if (is(c, "all")) return LLVMBuildICmp(b, LLVMIntEQ, bits, LLVMConstNull(LLVMTypeOf(bits)), "");
    if (is(c, "any")) return LLVMBuildICmp(b, LLVMIntNE, bits, LLVMConstNull(LLVMTypeOf(bits)), "");
    return bits;
}

static LLVMValueRef move(struct engine *e, const struct collective *c, LLVMValueRef call, LLVMValueRef vector)
{
    LLVMBuilderRef b = e->builder;
    LLVMValueRef bits = mask_bits(e, e->mask);
    if (is(c, "broadcast_first")) {
        if (c->group == LANES) return LLVMBuildExtractElement(b, vector, first_lane(e, bits), "");
        return pick(e, vector, NULL, source_lanes(e, c, first_lane(e, quad_bits(e, bits))));
    }
    LLVMValueRef operand = LLVMGetOperand(call, 1);
    bool same = shape_at(e, operand, e->current).kind == SHAPE_UNIFORM;
    if (strstr(c->operation, "fill")) {
        LLVMValueRef operands[4] = {vector};
        for (unsigned k = 1; k < 4; k++) operands[k] = vector_of(e, LLVMGetOperand(call, k));
        return move_and_fill(e, c, operands);
    }
    LLVMValueRef by = same ? scalar_of(e, operand) : vector_of(e, operand);
    if (is(c, "shuffle_up") || is(c, "shuffle_down")) return move_or_keep(e, *c, vector, by, same);
    if (is(c, "shuffle_xor") || strstr(c->operation, "rotate"))
        return same ? move_together(e, c, vector, by) : pick(e, vector, NULL, source_lanes(e, c, by));
    if (same && c->group == LANES) { /* broadcast, or a shuffle that all make from one lane */
        LLVMValueRef lane = LLVMBuildAnd(b, by, number(e, LANES - 1), "");
        LLVMValueRef one = LLVMBuildExtractElement(b, vector, lane, "");
        return is(c, "broadcast") ? one : splat(e, one);
    }
    return pick(e, vector, NULL, source_lanes(e, c, same ? splat(e, by) : by));
}

static bool emit_context(struct engine *e, LLVMValueRef call, const char *name)
{
    struct value *v = value_of(e, call);
    uint64_t index = LLVMGetNumArgOperands(call) && LLVMIsAConstantInt(LLVMGetOperand(call, 0))
                         ? LLVMConstIntGetZExtValue(LLVMGetOperand(call, 0))
                         : 0;
    if (!strcmp(name, "__smelt_argument")) {
        LLVMValueRef table = load_field(e, e->pointer, offsetof(struct smelt_simdgroup, arguments), 8);
        LLVMValueRef at = LLVMConstInt(e->i64, index, 0);
        LLVMValueRef address = LLVMBuildGEP2(e->builder, e->pointer, table, &at, 1, "");
        LLVMValueRef argument = LLVMBuildLoad2(e->builder, e->pointer, address, "");
        mark_invariant(e, argument);
        define_scalar(e, v, argument, NULL);
    } else if (!strcmp(name, "__smelt_word")) {
        bool own = index == WORD_SIMDGROUP_INDEX;
        define_scalar(
            e, v, own ? LLVMBuildLoad2(e->builder, e->i32, e->index_slot, "") : load_word(e, (unsigned)index),
            NULL);
    } else if (!strcmp(name, "__smelt_arena")) {
        LLVMValueRef base = load_field(e, e->pointer, offsetof(struct smelt_simdgroup, threadgroup), 8);
        LLVMValueRef at = LLVMConstInt(e->i64, index, 0);
        define_scalar(e, v, LLVMBuildGEP2(e->builder, e->i8, base, &at, 1, ""), NULL);
    } else if (!strcmp(name, "__smelt_lane")) {
        define_scalar(e, v, LLVMConstNull(e->i32), NULL);
    } else if (!strcmp(name, "__smelt_position") || !strcmp(name, "__smelt_grid_position")) {
        bool grid = strstr(name, "grid") != NULL;
        size_t row = (grid ? offsetof(struct smelt_simdgroup, grid_positions)
                           : offsetof(struct smelt_simdgroup, positions)) +
                     sizeof(uint32_t[LANES]) * index;
        if (!e->rows) {
            define_vector(e, v, load_field(e, LLVMVectorType(e->i32, LANES), row, 4));
            return true;
        }
        LLVMValueRef base = LLVMBuildLoad2(e->builder, e->i32, e->position_slots[index], "");
        if (grid) base = LLVMBuildAdd(e->builder, base, load_word(e, WORD_ORIGIN + (unsigned)index), "");
        define_scalar(e, v, base, NULL);
    } else {
        return false;
    }
    return true;
}

static void emit_barrier(struct engine *e)
{
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), &e->pointer, 1, 0);
    LLVMValueRef function = LLVMGetNamedFunction(e->module, "smelt_kernel_barrier");
    if (!function) function = LLVMAddFunction(e->module, "smelt_kernel_barrier", type);
    LLVMBuildCall2(e->builder, type, function, &e->simdgroup, 1, "");
    e->has_barrier = true;
}

bool emit_simd_call(struct engine *e, LLVMValueRef call, const char *name)
{
    struct collective c;
    struct value *v = value_of(e, call);
    if (emit_context(e, call, name)) return true;
    if (!strcmp(name, "__smelt_threadgroup_barrier")) {
        emit_barrier(e);
        return true;
    }
    if (!strcmp(name, "__smelt_simdgroup_barrier")) return true; /* lanes run in lock step */
    if (!parse(name, &c)) return false;
    LLVMValueRef made;
    bool is_prefix = strncmp(c.operation, "prefix", 6) == 0;
    if (is(&c, "is_helper_thread")) {
        made = LLVMConstInt(e->i1, 0, 0);
    } else if (is_one_of(&c, votes) || is(&c, "is_first")) {
        made = vote(e, &c, call);
    } else {
        LLVMValueRef vector = vector_of(e, LLVMGetOperand(call, 0));
        if (is_one_of(&c, reductions) || is_prefix) {
            LLVMValueRef nothing = splat(e, identity(&c, LLVMTypeOf(call)));
            vector = LLVMBuildSelect(e->builder, e->mask, vector, nothing, "");
            made = is_prefix          ? prefix(e, &c, vector)
                   : c.group == LANES ? reduce_simd(e, &c, vector)
                                      : reduce_quad(e, &c, vector);
        } else {
            made = move(e, &c, call, vector);
        }
    }
    bool is_vector = LLVMGetTypeKind(LLVMTypeOf(made)) == LLVMVectorTypeKind;
    if (is_vector)
        define_vector(e, v, made);
    else
        define_scalar(e, v, made, NULL);
    return true;
}
