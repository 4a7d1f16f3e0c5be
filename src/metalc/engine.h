/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU engine: turns a scalar kernel, written for one thread, into a function for a simdgroup of 32 lanes.
   blocks.c draws the control flow in source order, uniformity.c says what differs between lanes, linearise.c
   walks the blocks under masks and once more for all lanes at once, full.c says when they all go one way, and
   lanes.c, memory.c, simd.c and matrix.c write the instructions. */
#ifndef SMELT_METALC_ENGINE_H
#define SMELT_METALC_ENGINE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include "text.h"

enum { LANES = 32, MOST_VECTOR_SLOTS = 1024 };
#define NO_BLOCK UINT32_MAX

/* How a value differs between the lanes of a simdgroup, from the least to the most. */
enum shape_kind {
    SHAPE_NONE,    /* not known yet */
    SHAPE_UNIFORM, /* one value for all active lanes: a scalar */
    SHAPE_AFFINE,  /* base + lane * stride, modulo the width of the type: a scalar holds the base */
    SHAPE_VARYING, /* a vector */
};

struct shape {
    enum shape_kind kind;
    int64_t stride;
    bool conditional; /* affine only while a scalar test holds (an extension whose source may wrap) */
    bool bounded;     /* affine, and known not to wrap in any active lane */
};

struct value {
    LLVMValueRef source;
    uint32_t block; /* where it is defined */
    struct shape shape;
    bool crosses;      /* used in another block */
    bool leaves_loop;  /* used after a loop that its lanes leave at different times */
    int private_index; /* alloca: its row in engine.privates, else -1 */
    LLVMValueRef scalar_slot, vector_slot, test_slot, late_slot, incoming_slot;
    LLVMValueRef scalar, vector, test; /* as defined: good in the rest of its own block */
    uint32_t epoch; /* the three below, loaded or derived, are good while this is the engine's */
    LLVMValueRef cached_scalar, cached_vector, cached_test;
};

struct edge {
    uint32_t from, to;
    uint32_t phi_block;         /* whose phis take values on this edge, or NO_BLOCK */
    LLVMBasicBlockRef phi_from; /* under which predecessor they list them */
    bool back;
};

struct block {
    LLVMBasicBlockRef source;        /* NULL: a node without instructions */
    uint32_t first_edge, edge_count; /* out of it; in the order of the terminator's successors */
    uint32_t in_count;               /* forward edges into it */
    uint32_t loop;                   /* innermost, or NO_BLOCK */
    uint32_t postdominator;          /* over forward edges; block_count = the exit */
    bool divergent;                  /* its terminator sends lanes different ways */
    bool join;                       /* lanes arrive over different edges */
    /* linearise.c */
    LLVMBasicBlockRef target;
    LLVMValueRef mask_slot, mask;
    uint64_t *deferred;
    bool reached, maybe_empty;
    LLVMBasicBlockRef full_target; /* the same block with all lanes active, which needs no masks */
    bool full_reached;
};

struct loop {
    uint32_t header, latch; /* the loop is exactly the blocks header..latch */
    uint32_t parent;
    bool divergent; /* its lanes may leave at different times */
};

/* An alloca whose every access is known: lane-interleaved in granules. */
struct private_array {
    LLVMValueRef storage;
    uint32_t granule; /* bytes; 0: each lane has a contiguous copy */
    uint64_t size;
};

struct engine {
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder, slots; /* slots: at the end of the entry block's allocas */
    LLVMValueRef source, target;
    LLVMValueRef simdgroup; /* the target's only argument, struct simdgroup of abi.h */
    bool rows;              /* the 32 lanes are neighbours in x */
    bool fast_sums;

    struct block *blocks;
    uint32_t block_count, block_capacity;
    struct edge *edges;
    uint32_t edge_count, edge_capacity;
    struct loop *loops;
    uint32_t loop_count;
    uint32_t deferred_words;

    struct value *values;
    uint32_t value_count;
    uint32_t *value_index; /* open addressing, by address */
    uint32_t index_size;

    struct private_array *privates;
    uint32_t private_count;
    uint64_t private_bytes;

    uint32_t current, epoch;
    LLVMValueRef mask; /* of the current block, <32 x i1> */
    bool full;         /* the block is written for all lanes: nobody waits anywhere else */
    bool has_full;
    bool parts; /* some branch parts lanes */
    LLVMBasicBlockRef entry, before, begin, start,
        exit; /* begin: of a simdgroup, where a loop comes back to */
    uint32_t vector_accesses, gather_accesses, scalar_accesses, serial_operations;
    bool has_barrier;
    bool has_loop; /* over the simdgroups of a threadgroup */
    LLVMValueRef index_slot, position_slots[3];
    LLVMValueRef vector_slots[MOST_VECTOR_SLOTS]; /* what no simdgroup may hand on to the next */
    uint32_t vector_slot_count;
    LLVMValueRef second_element; /* matrix.c */
    unsigned lanes_per_register; /* of 32 bits */
    struct text *log;
    bool failed;
    LLVMTypeRef i1, i8, i16, i32, i64, f32, pointer, mask_type;
};

/* blocks.c */
bool engine_draw(struct engine *e);
bool in_loop(const struct engine *e, uint32_t loop, uint32_t block);
uint32_t block_of(const struct engine *e, LLVMBasicBlockRef source);
/* uniformity.c */
void engine_classify(struct engine *e);
struct value *value_of(const struct engine *e, LLVMValueRef source);
struct shape shape_at(const struct engine *e, LLVMValueRef operand, uint32_t use_block);
bool engine_index_values(struct engine *e);
bool parts_between(const struct engine *e, uint32_t from, uint32_t to);
/* linearise.c */
void engine_emit(struct engine *e);
void carry_values(struct engine *e, const struct edge *edge, LLVMValueRef lanes);
void parted_lanes(struct engine *e, const struct block *b, LLVMValueRef *lanes);
void part_lanes(struct engine *e, uint32_t index, LLVMValueRef *lanes, LLVMBasicBlockRef exit);
/* full.c: a branch that parts lanes, where all of them are there */
void part_full_block(struct engine *e, uint32_t index, LLVMBasicBlockRef exit);
LLVMBasicBlockRef full_target(struct engine *e, uint32_t to, LLVMBasicBlockRef exit);
LLVMValueRef is_full(struct engine *e, LLVMValueRef mask);
/* simdgroups.c: the loop over simdgroups around a kernel */
void open_simdgroups(struct engine *e);
void close_simdgroups(struct engine *e);
LLVMValueRef load_field(struct engine *e, LLVMTypeRef type, uint64_t offset, unsigned alignment);
LLVMValueRef load_word(struct engine *e, unsigned word);
void mark_invariant(struct engine *e, LLVMValueRef load);
/* lanes.c */
void emit_instruction(struct engine *e, LLVMValueRef instruction);
LLVMValueRef scalar_of(struct engine *e, LLVMValueRef operand);
LLVMValueRef vector_of(struct engine *e, LLVMValueRef operand);
LLVMValueRef test_of(struct engine *e, LLVMValueRef operand);
LLVMValueRef clone_scalar(struct engine *e, LLVMValueRef instruction, bool base);
void define_scalar(struct engine *e, struct value *v, LLVMValueRef scalar, LLVMValueRef test);
void define_vector(struct engine *e, struct value *v, LLVMValueRef vector);
LLVMTypeRef vector_type(LLVMTypeRef element);
LLVMValueRef splat(struct engine *e, LLVMValueRef scalar);
LLVMValueRef lane_numbers(struct engine *e, LLVMTypeRef integer, int64_t stride);
LLVMValueRef call_intrinsic(struct engine *e, const char *name, LLVMTypeRef *overloads,
                            unsigned overload_count, LLVMValueRef *arguments, unsigned argument_count);
LLVMValueRef entry_slot(struct engine *e, LLVMTypeRef type, const char *name);
LLVMValueRef any_lane(struct engine *e, LLVMValueRef mask);
LLVMValueRef mask_bits(struct engine *e, LLVMValueRef mask);
LLVMBasicBlockRef new_block(struct engine *e, const char *name);
void engine_fail(struct engine *e, LLVMValueRef where, const char *format, ...);
/* memory.c */
void emit_load(struct engine *e, LLVMValueRef instruction);
void emit_store(struct engine *e, LLVMValueRef instruction);
void emit_serial(struct engine *e, LLVMValueRef instruction);
/* private.c */
void emit_alloca(struct engine *e, LLVMValueRef instruction);
void find_privates(struct engine *e);
struct private_array *private_of(const struct engine *e, LLVMValueRef pointer);
void private_load(struct engine *e, LLVMValueRef load, struct private_array *array);
void private_store(struct engine *e, LLVMValueRef store, struct private_array *array);
/* simd.c, matrix.c: true when the call was one of theirs */
bool shape_of_call(const struct engine *e, LLVMValueRef call, const char *name, struct shape *shape);
bool emit_simd_call(struct engine *e, LLVMValueRef call, const char *name);
bool is_matrix_call(LLVMValueRef call);
bool emit_matrix_call(struct engine *e, LLVMValueRef call, const char *name);

#endif
