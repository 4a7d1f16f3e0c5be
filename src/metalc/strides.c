/* SPDX-License-Identifier: Apache-2.0 */
/* Gathers and scatters that together touch every element of a stretch of memory, such as the four members of
   float4 in each lane, or the turns of an unrolled loop over neighbours: as wide loads or stores and
   shuffles. Runs on the finished code, where all lanes are active and addresses have settled. */
#include <stdlib.h>
#include <string.h>
#include "compile.h"
#include "engine.h"

enum { MOST_MEMBERS = 8, MOST_OPEN = 64 };

/* base + index * scale + offset + lane * stride, bytes */
struct address {
    LLVMValueRef base, index; /* index: NULL where there is none */
    int64_t scale, offset, stride;
};

struct access {
    LLVMValueRef call;
    LLVMTypeRef element;
    uint64_t size;
    unsigned alignment;
    struct address at;
    bool done;
};

struct strides {
    LLVMModuleRef module;
    LLVMContextRef context;
    LLVMBuilderRef builder;
    LLVMTargetDataRef layout;
    unsigned register_bytes;
    struct access open[MOST_OPEN]; /* of one kind, with nothing between them that could matter */
    unsigned count;
    bool stores;
};

static bool constant_lanes(LLVMValueRef index, int64_t *first, int64_t *step)
{
    if (LLVMIsAConstantInt(index)) return *first = LLVMConstIntGetSExtValue(index), *step = 0, true;
    if (!LLVMIsAConstant(index) || LLVMGetTypeKind(LLVMTypeOf(index)) != LLVMVectorTypeKind) return false;
    int64_t lanes[LANES];
    for (unsigned k = 0; k < LANES; k++) {
        LLVMValueRef one = LLVMGetAggregateElement(index, k);
        if (!one || !LLVMIsAConstantInt(one)) return false;
        lanes[k] = LLVMConstIntGetSExtValue(one);
    }
    *first = lanes[0], *step = lanes[1] - lanes[0];
    for (unsigned k = 2; k < LANES; k++)
        if (lanes[k] - lanes[k - 1] != *step) return false;
    return true;
}

static LLVMValueRef splat_source(LLVMValueRef v)
{
    if (!LLVMIsAShuffleVectorInst(v)) return NULL;
    LLVMValueRef insert = LLVMGetOperand(v, 0);
    for (unsigned k = 0; k < LLVMGetNumMaskElements(v); k++)
        if (LLVMGetMaskValue(v, k) != 0) return NULL;
    return LLVMIsAInsertElementInst(insert) ? LLVMGetOperand(insert, 1) : NULL;
}

/* The index as something plus a constant. */
static LLVMValueRef read_index(LLVMValueRef index, int64_t *constant)
{
    bool sum = LLVMIsAInstruction(index) &&
               (LLVMGetInstructionOpcode(index) == LLVMAdd ||
                (LLVMGetInstructionOpcode(index) == LLVMOr && LLVMGetIsDisjoint(index)));
    *constant = 0;
    if (!sum || !LLVMIsAConstantInt(LLVMGetOperand(index, 1))) return index;
    *constant = LLVMConstIntGetSExtValue(LLVMGetOperand(index, 1));
    return LLVMGetOperand(index, 0);
}

/* Takes constant steps, and one step that is the same for all lanes, off a pointer until something is left
   that is the same for all lanes, too. */
static bool read_address(const struct strides *s, LLVMValueRef pointer, struct address *a)
{
    *a = (struct address){.base = pointer};
    while (LLVMIsAGetElementPtrInst(a->base) && LLVMGetNumOperands(a->base) == 2) {
        LLVMValueRef index = LLVMGetOperand(a->base, 1);
        int64_t first, step,
            size = (int64_t)LLVMABISizeOfType(s->layout, LLVMGetGEPSourceElementType(a->base));
        if (!constant_lanes(index, &first, &step)) {
            if (a->index || LLVMTypeOf(index) != LLVMInt64TypeInContext(s->context)) break;
            a->index = read_index(index, &first);
            a->scale = size, step = 0;
        }
        a->offset += first * size, a->stride += step * size;
        a->base = LLVMGetOperand(a->base, 0);
        LLVMValueRef one = splat_source(a->base);
        if (one) a->base = one;
    }
    return LLVMGetTypeKind(LLVMTypeOf(a->base)) == LLVMPointerTypeKind;
}

static bool same_stretch(const struct address *a, const struct address *b)
{
    return a->base == b->base && a->index == b->index && a->scale == b->scale && a->stride == b->stride;
}

static const char *intrinsic_name(LLVMValueRef i)
{
    size_t length;
    if (LLVMGetInstructionOpcode(i) != LLVMCall || !LLVMIsAFunction(LLVMGetCalledValue(i))) return NULL;
    return LLVMGetValueName2(LLVMGetCalledValue(i), &length);
}

static bool is_all_ones(LLVMValueRef mask)
{
    return LLVMIsAConstant(mask) && mask == LLVMConstAllOnes(LLVMTypeOf(mask));
}

static bool read_access(const struct strides *s, LLVMValueRef call, struct access *a)
{
    const char *name = intrinsic_name(call);
    bool load = name && !strncmp(name, "llvm.masked.gather.", 19),
         store = name && !strncmp(name, "llvm.masked.scatter.", 20);
    if (!load && !store) return false;
    unsigned at = store; /* operands of a scatter begin with the value */
    LLVMTypeRef vector = store ? LLVMTypeOf(LLVMGetOperand(call, 0)) : LLVMTypeOf(call);
    if (LLVMGetVectorSize(vector) != LANES || !is_all_ones(LLVMGetOperand(call, at + 2))) return false;
    *a = (struct access){.call = call, .element = LLVMGetElementType(vector)};
    a->size = LLVMStoreSizeOfType(s->layout, a->element);
    a->alignment = (unsigned)LLVMConstIntGetZExtValue(LLVMGetOperand(call, at + 1));
    if (!read_address(s, LLVMGetOperand(call, at), &a->at)) return false;
    int64_t members = a->at.stride / (int64_t)a->size;
    return a->at.stride % (int64_t)a->size == 0 && (members == 2 || members == 4 || members == MOST_MEMBERS);
}

static LLVMValueRef shuffle(struct strides *s, LLVMValueRef a, LLVMValueRef b, const unsigned *from,
                            unsigned count)
{
    LLVMValueRef pattern[2 * LANES];
    LLVMTypeRef i32 = LLVMInt32TypeInContext(s->context);
    for (unsigned k = 0; k < count; k++) pattern[k] = LLVMConstInt(i32, from[k], 0);
    return LLVMBuildShuffleVector(s->builder, a, b, LLVMConstVector(pattern, count), "");
}

/* Every second element of a and b behind each other, from the first or the second on. */
static LLVMValueRef every_second(struct strides *s, LLVMValueRef a, LLVMValueRef b, unsigned width,
                                 unsigned start)
{
    unsigned from[LANES];
    for (unsigned k = 0; k < width; k++) from[k] = 2 * k + start;
    return shuffle(s, a, b, from, width);
}

/* Elements of a and b by turns: the first or the second half of the result. */
static LLVMValueRef by_turns(struct strides *s, LLVMValueRef a, LLVMValueRef b, unsigned width, unsigned half)
{
    unsigned from[LANES];
    for (unsigned k = 0; k < width; k++) from[k] = (k & 1) * width + half * width / 2 + k / 2;
    return shuffle(s, a, b, from, width);
}

/* `count` vectors of interleaved members become a vector for each member, in order. */
static void take_apart(struct strides *s, LLVMValueRef *v, unsigned count, unsigned width)
{
    LLVMValueRef made[MOST_MEMBERS];
    if (count == 1) return;
    for (unsigned k = 0; k < count / 2; k++) {
        made[k] = every_second(s, v[2 * k], v[2 * k + 1], width, 0);
        made[count / 2 + k] = every_second(s, v[2 * k], v[2 * k + 1], width, 1);
    }
    take_apart(s, made, count / 2, width);
    take_apart(s, made + count / 2, count / 2, width);
    for (unsigned k = 0; k < count; k++) v[k] = made[k % 2 * (count / 2) + k / 2];
}

static void put_together(struct strides *s, LLVMValueRef *v, unsigned count, unsigned width)
{
    LLVMValueRef half[MOST_MEMBERS];
    if (count == 1) return;
    for (unsigned k = 0; k < count; k++) half[k % 2 * (count / 2) + k / 2] = v[k];
    put_together(s, half, count / 2, width);
    put_together(s, half + count / 2, count / 2, width);
    for (unsigned k = 0; k < count / 2; k++) {
        v[2 * k] = by_turns(s, half[k], half[count / 2 + k], width, 0);
        v[2 * k + 1] = by_turns(s, half[k], half[count / 2 + k], width, 1);
    }
}

static LLVMValueRef place(struct strides *s, const struct access *a, uint64_t bytes)
{
    LLVMTypeRef i64 = LLVMInt64TypeInContext(s->context);
    LLVMValueRef at = LLVMConstInt(i64, (uint64_t)a->at.offset + bytes, 1);
    if (a->at.index) {
        LLVMValueRef scale = LLVMConstInt(i64, (uint64_t)a->at.scale, 1);
        at = LLVMBuildAdd(s->builder, LLVMBuildMul(s->builder, a->at.index, scale, ""), at, "");
    }
    return LLVMBuildGEP2(s->builder, LLVMInt8TypeInContext(s->context), a->at.base, &at, 1, "");
}

static unsigned width_of(const struct strides *s, const struct access *a)
{
    uint64_t width = s->register_bytes / a->size;
    return width > LANES ? LANES : (unsigned)width;
}

static void load_group(struct strides *s, struct access *const *group, unsigned members)
{
    const struct access *a = group[0];
    unsigned width = width_of(s, a), pieces = LANES / width;
    LLVMTypeRef type = LLVMVectorType(a->element, width);
    LLVMValueRef v[LANES][MOST_MEMBERS];
    for (unsigned p = 0; p < pieces; p++) {
        for (unsigned k = 0; k < members; k++) {
            uint64_t bytes = (uint64_t)(p * members + k) * width * a->size;
            v[p][k] = LLVMBuildLoad2(s->builder, type, place(s, a, bytes), "");
            LLVMSetAlignment(v[p][k], a->alignment);
        }
        take_apart(s, v[p], members, width);
    }
    for (unsigned k = 0; k < members; k++) {
        for (unsigned count = pieces, size = width; count > 1; count /= 2, size *= 2)
            for (unsigned p = 0; p < count / 2; p++) {
                unsigned from[LANES];
                for (unsigned i = 0; i < 2 * size; i++) from[i] = i;
                v[p][k] = shuffle(s, v[2 * p][k], v[2 * p + 1][k], from, 2 * size);
            }
        LLVMReplaceAllUsesWith(group[k]->call, v[0][k]);
    }
}

static void store_group(struct strides *s, struct access *const *group, unsigned members)
{
    const struct access *a = group[0];
    unsigned width = width_of(s, a);
    for (unsigned p = 0; p < LANES / width; p++) {
        LLVMValueRef v[MOST_MEMBERS];
        for (unsigned k = 0; k < members; k++) {
            unsigned from[LANES];
            LLVMValueRef whole = LLVMGetOperand(group[k]->call, 0);
            for (unsigned i = 0; i < width; i++) from[i] = p * width + i;
            v[k] = shuffle(s, whole, whole, from, width);
        }
        put_together(s, v, members, width);
        for (unsigned k = 0; k < members; k++) {
            uint64_t bytes = (uint64_t)(p * members + k) * width * a->size;
            LLVMSetAlignment(LLVMBuildStore(s->builder, v[k], place(s, a, bytes)), a->alignment);
        }
    }
}

/* The open access `offset` bytes behind a's that could stand in its group. */
static struct access *find_member(struct strides *s, const struct access *a, int64_t offset)
{
    for (unsigned k = 0; k < s->count; k++) {
        struct access *b = &s->open[k];
        if (!b->done && same_stretch(&b->at, &a->at) && b->element == a->element &&
            b->at.offset == a->at.offset + offset)
            return b;
    }
    return NULL;
}

/* Nothing more can join the open accesses: loads move up to the first of them, stores down to the last. */
static void close_accesses(struct strides *s)
{
    if (s->count > 1) LLVMPositionBuilderBefore(s->builder, s->open[s->stores ? s->count - 1 : 0].call);
    for (unsigned k = 0; k < s->count; k++) {
        struct access *group[MOST_MEMBERS] = {&s->open[k]};
        unsigned members = (unsigned)(s->open[k].at.stride / (int64_t)s->open[k].size), found = 1;
        if (s->open[k].done) continue;
        while (found < members &&
               (group[found] = find_member(s, group[0], (int64_t)(found * s->open[k].size))) != NULL)
            found++;
        if (found < members) continue;
        if (!s->stores) /* the first of the group: addresses are known there */
            for (unsigned n = 0; n < s->count; n++)
                if (same_stretch(&s->open[n].at, &group[0]->at)) {
                    LLVMPositionBuilderBefore(s->builder, s->open[n].call);
                    break;
                }
        if (s->stores)
            store_group(s, group, members);
        else
            load_group(s, group, members);
        for (unsigned n = 0; n < members; n++) group[n]->done = true;
    }
    for (unsigned k = 0; k < s->count; k++)
        if (s->open[k].done && s->open[k].call != NULL) LLVMInstructionEraseFromParent(s->open[k].call);
    s->count = 0;
}

/* What may not stand between the accesses of a group: writes for loads, any access for stores. */
static bool separates(const struct strides *s, LLVMValueRef i)
{
    switch (LLVMGetInstructionOpcode(i)) {
    case LLVMStore:
    case LLVMAtomicRMW:
    case LLVMAtomicCmpXchg:
    case LLVMFence: return true;
    case LLVMLoad:
        return s->stores || LLVMGetVolatile(i) || LLVMGetOrdering(i) != LLVMAtomicOrderingNotAtomic;
    case LLVMCall: break;
    default: return LLVMIsATerminatorInst(i) != NULL;
    }
    const char *name = intrinsic_name(i);
    if (!name || strncmp(name, "llvm.", 5) != 0 || !strncmp(name, "llvm.mem", 8)) return true;
    if (!strncmp(name, "llvm.masked.", 12)) {
        bool load = !strncmp(name, "llvm.masked.load", 16) || !strncmp(name, "llvm.masked.gather", 18);
        return s->stores || !load;
    }
    return false;
}

/* Stores that could overlap keep their order: only different members of one stretch are open together. */
static bool may_overlap(const struct strides *s, const struct access *a)
{
    for (unsigned k = 0; k < s->count; k++) {
        const struct access *b = &s->open[k];
        int64_t distance = b->at.offset - a->at.offset;
        if (!same_stretch(&b->at, &a->at) || b->element != a->element || distance % (int64_t)a->size != 0 ||
            distance == 0 || distance >= a->at.stride || -distance >= a->at.stride)
            return true;
    }
    return false;
}

void join_strides(LLVMValueRef function, unsigned register_bytes)
{
    struct strides s = {.module = LLVMGetGlobalParent(function), .register_bytes = register_bytes};
    s.context = LLVMGetModuleContext(s.module);
    s.builder = LLVMCreateBuilderInContext(s.context);
    s.layout = LLVMGetModuleDataLayout(s.module);
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b)) {
        for (LLVMValueRef i = LLVMGetFirstInstruction(b), next; i; i = next) {
            struct access a;
            next = LLVMGetNextInstruction(i);
            bool found = read_access(&s, i, &a);
            bool stores = found && LLVMGetTypeKind(LLVMTypeOf(i)) == LLVMVoidTypeKind;
            if (s.count && (found ? stores != s.stores : separates(&s, i))) close_accesses(&s);
            if (s.count == MOST_OPEN || (stores && may_overlap(&s, &a))) close_accesses(&s);
            if (!found) continue;
            s.stores = stores;
            s.open[s.count++] = a;
        }
        close_accesses(&s);
    }
    LLVMDisposeBuilder(s.builder);
}
