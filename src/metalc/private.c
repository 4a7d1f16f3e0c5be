/* SPDX-License-Identifier: Apache-2.0 */
/* Variables in a thread's own memory that no pass could put into registers. One whose accesses are all known
   lies interleaved, the 32 copies of each granule side by side, so that an access at the same offset in every
   lane is one vector; its pointers are then plain byte offsets. Any other is 32 copies in a row, with real
   pointers. */
#include "engine.h"
#include <stdlib.h>
#include <string.h>

struct survey {
    LLVMTargetDataRef layout;
    uint64_t granule;
};

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static void note_access(struct survey *s, LLVMTypeRef type, unsigned alignment)
{
    uint64_t size = LLVMStoreSizeOfType(s->layout, type);
    s->granule = least(s->granule, least(size & -size, alignment ? alignment : 1));
}

static bool plain_element(LLVMTypeRef type)
{
    switch (LLVMGetTypeKind(type)) {
    case LLVMIntegerTypeKind: {
        unsigned width = LLVMGetIntTypeWidth(type);
        return width == 8 || width == 16 || width == 32 || width == 64;
    }
    case LLVMHalfTypeKind:
    case LLVMBFloatTypeKind:
    case LLVMFloatTypeKind:
    case LLVMDoubleTypeKind:
    case LLVMPointerTypeKind: return true;
    default: return false;
    }
}

/* Whether only plain loads and stores reach the memory behind `pointer`. */
static bool is_closed(struct survey *s, LLVMValueRef pointer)
{
    for (LLVMUseRef use = LLVMGetFirstUse(pointer); use; use = LLVMGetNextUse(use)) {
        LLVMValueRef user = LLVMGetUser(use);
        if (!LLVMIsAInstruction(user)) return false;
        switch (LLVMGetInstructionOpcode(user)) {
        case LLVMGetElementPtr:
            if (LLVMGetOperand(user, 0) != pointer || !is_closed(s, user)) return false;
            break;
        case LLVMLoad:
            if (LLVMGetOrdering(user) != LLVMAtomicOrderingNotAtomic || !plain_element(LLVMTypeOf(user)))
                return false;
            note_access(s, LLVMTypeOf(user), LLVMGetAlignment(user));
            break;
        case LLVMStore:
            if (LLVMGetOperand(user, 0) == pointer || LLVMGetOrdering(user) != LLVMAtomicOrderingNotAtomic ||
                !plain_element(LLVMTypeOf(LLVMGetOperand(user, 0))))
                return false;
            note_access(s, LLVMTypeOf(LLVMGetOperand(user, 0)), LLVMGetAlignment(user));
            break;
        case LLVMCall: {
            size_t length;
            const char *name = LLVMGetValueName2(LLVMGetCalledValue(user), &length);
            if (strncmp(name, "llvm.lifetime", 13) != 0) return false;
            break;
        }
        default: return false;
        }
    }
    return true;
}

void find_privates(struct engine *e)
{
    struct survey s = {LLVMGetModuleDataLayout(e->module), 8};
    for (uint32_t k = 0; k < e->value_count; k++) {
        LLVMValueRef i = e->values[k].source;
        if (LLVMGetInstructionOpcode(i) != LLVMAlloca) continue;
        uint64_t align = LLVMGetAlignment(i), size = LLVMABISizeOfType(s.layout, LLVMGetAllocatedType(i));
        if (!LLVMIsAConstantInt(LLVMGetOperand(i, 0))) {
            engine_fail(e, i, "an array of variable length");
            return;
        }
        size *= LLVMConstIntGetZExtValue(LLVMGetOperand(i, 0));
        if (align) size = (size + align - 1) / align * align;
        s.granule = 8;
        bool closed = is_closed(&s, i);
        e->privates = must_grow(e->privates, e->private_count + 1, sizeof *e->privates);
        e->privates[e->private_count] = (struct private_array){NULL, closed ? (uint32_t)s.granule : 0, size};
        e->values[k].private_index = (int)e->private_count++;
        e->private_bytes += size * LANES;
        if (e->private_bytes > 64u << 20) {
            engine_fail(e, i, "more than 2 MiB of variables in a thread");
            return;
        }
    }
}

/* The interleaved array behind a pointer, or NULL. */
struct private_array *private_of(const struct engine *e, LLVMValueRef pointer)
{
    while (LLVMIsAInstruction(pointer) && LLVMGetInstructionOpcode(pointer) == LLVMGetElementPtr)
        pointer = LLVMGetOperand(pointer, 0);
    if (!LLVMIsAInstruction(pointer) || LLVMGetInstructionOpcode(pointer) != LLVMAlloca) return NULL;
    const struct value *v = value_of(e, pointer);
    if (!v || v->private_index < 0 || !e->privates[v->private_index].granule) return NULL;
    return &e->privates[v->private_index];
}

void emit_alloca(struct engine *e, LLVMValueRef i)
{
    struct value *v = value_of(e, i);
    struct private_array *array = &e->privates[v->private_index];
    if (!array->storage) { /* both versions of a block share it */
        array->storage = entry_slot(e, LLVMArrayType2(e->i8, array->size * LANES), "private");
        LLVMSetAlignment(array->storage, 64);
    }
    define_scalar(e, v, array->granule ? LLVMConstNull(e->pointer) : array->storage, NULL);
}

static LLVMTypeRef granule_vector(struct engine *e, const struct private_array *a)
{
    return LLVMVectorType(LLVMIntTypeInContext(e->context, a->granule * 8), LANES);
}

/* Where granule `piece` of an access lies: one address when all lanes share the offset, else one a lane. */
static LLVMValueRef piece_address(struct engine *e, const struct private_array *a, LLVMValueRef pointer,
                                  uint64_t piece, bool same)
{
    LLVMBuilderRef b = e->builder;
    LLVMTypeRef type = same ? e->i64 : vector_type(e->i64);
    LLVMValueRef offset =
        LLVMBuildPtrToInt(b, same ? scalar_of(e, pointer) : vector_of(e, pointer), type, "");
    LLVMValueRef lanes = LLVMConstInt(e->i64, LANES, 0),
                 skip = LLVMConstInt(e->i64, piece * a->granule * LANES, 0);
    offset = LLVMBuildMul(b, offset, same ? lanes : splat(e, lanes), "");
    offset = LLVMBuildAdd(b, offset, same ? skip : splat(e, skip), "");
    if (!same) offset = LLVMBuildAdd(b, offset, lane_numbers(e, e->i64, a->granule), "");
    return LLVMBuildGEP2(b, e->i8, a->storage, &offset, 1, "");
}

static LLVMTypeRef whole_integer(struct engine *e, LLVMTypeRef type)
{
    return LLVMVectorType(
        LLVMIntTypeInContext(e->context,
                             (unsigned)LLVMStoreSizeOfType(LLVMGetModuleDataLayout(e->module), type) * 8),
        LANES);
}

static bool is_pointer(LLVMTypeRef type) { return LLVMGetTypeKind(type) == LLVMPointerTypeKind; }

void private_load(struct engine *e, LLVMValueRef i, struct private_array *a)
{
    LLVMBuilderRef b = e->builder;
    LLVMTypeRef type = LLVMTypeOf(i), part = granule_vector(e, a), whole = whole_integer(e, type);
    LLVMValueRef pointer = LLVMGetOperand(i, 0), sum = NULL;
    bool same = shape_at(e, pointer, e->current).kind == SHAPE_UNIFORM;
    uint64_t pieces = LLVMStoreSizeOfType(LLVMGetModuleDataLayout(e->module), type) / a->granule;
    for (uint64_t k = 0; k < pieces; k++) {
        LLVMValueRef address = piece_address(e, a, pointer, k, same), piece;
        if (same) {
            piece = LLVMBuildLoad2(b, part, address, "");
            LLVMSetAlignment(piece, a->granule * LANES);
        } else {
            LLVMTypeRef overloads[2] = {part, LLVMTypeOf(address)};
            LLVMValueRef arguments[4] = {address, LLVMConstInt(e->i32, a->granule, 0), e->mask,
                                         LLVMGetPoison(part)};
            piece = call_intrinsic(e, "llvm.masked.gather", overloads, 2, arguments, 4);
        }
        if (pieces > 1) {
            piece = LLVMBuildZExt(b, piece, whole, "");
            piece = LLVMBuildShl(
                b, piece, splat(e, LLVMConstInt(LLVMGetElementType(whole), k * a->granule * 8, 0)), "");
        }
        sum = sum ? LLVMBuildOr(b, sum, piece, "") : piece;
    }
    if (is_pointer(type))
        sum = LLVMBuildIntToPtr(b, sum, vector_type(type), "");
    else
        sum = LLVMBuildBitCast(b, sum, vector_type(type), "");
    if (same)
        e->vector_accesses += !e->full;
    else
        e->gather_accesses += !e->full;
    define_vector(e, value_of(e, i), sum);
}

void private_store(struct engine *e, LLVMValueRef i, struct private_array *a)
{
    LLVMBuilderRef b = e->builder;
    LLVMValueRef stored = LLVMGetOperand(i, 0), pointer = LLVMGetOperand(i, 1);
    LLVMTypeRef type = LLVMTypeOf(stored), part = granule_vector(e, a), whole = whole_integer(e, type);
    bool same = shape_at(e, pointer, e->current).kind == SHAPE_UNIFORM;
    uint64_t pieces = LLVMStoreSizeOfType(LLVMGetModuleDataLayout(e->module), type) / a->granule;
    LLVMValueRef value = vector_of(e, stored);
    value = is_pointer(type) ? LLVMBuildPtrToInt(b, value, whole, "") : LLVMBuildBitCast(b, value, whole, "");
    for (uint64_t k = 0; k < pieces; k++) {
        LLVMValueRef address = piece_address(e, a, pointer, k, same), piece = value;
        if (pieces > 1) {
            LLVMValueRef shift = splat(e, LLVMConstInt(LLVMGetElementType(whole), k * a->granule * 8, 0));
            piece = LLVMBuildTrunc(b, LLVMBuildLShr(b, value, shift, ""), part, "");
        }
        if (same) {
            /* read, blend, write: unlike a masked store this can still become a register */
            LLVMValueRef old = LLVMBuildLoad2(b, part, address, "");
            LLVMSetAlignment(old, a->granule * LANES);
            if (e->parts) piece = LLVMBuildSelect(b, e->mask, piece, old, "");
            LLVMValueRef made = LLVMBuildStore(b, piece, address);
            LLVMSetAlignment(made, a->granule * LANES);
        } else {
            LLVMTypeRef overloads[2] = {part, LLVMTypeOf(address)};
            LLVMValueRef arguments[4] = {piece, address, LLVMConstInt(e->i32, a->granule, 0), e->mask};
            call_intrinsic(e, "llvm.masked.scatter", overloads, 2, arguments, 4);
        }
    }
    if (same)
        e->vector_accesses += !e->full;
    else
        e->gather_accesses += !e->full;
}
