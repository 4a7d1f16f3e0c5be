/* SPDX-License-Identifier: Apache-2.0 */
/* The control flow in source order. clang lays out the blocks of unoptimised code as the text stands, and no pass
   before this one moves them; so the order of the blocks is the structure of the source: a branch joins at the
   first block behind both arms, and a loop is every block from its header to its latch, also those that leave it
   and that a graph alone would put outside (`simd_sum` before `break`). */
#include "engine.h"
#include <stdlib.h>
#include <string.h>

static uint32_t add_block(struct engine *e, LLVMBasicBlockRef source)
{
    if (e->block_count == e->block_capacity) {
        e->block_capacity = e->block_capacity ? e->block_capacity * 2 : 64;
        e->blocks = must_grow(e->blocks, e->block_capacity, sizeof *e->blocks);
    }
    e->blocks[e->block_count] = (struct block){.source = source, .loop = NO_BLOCK};
    return e->block_count++;
}

static void add_edge(struct engine *e, struct edge edge)
{
    if (e->edge_count == e->edge_capacity) {
        e->edge_capacity = e->edge_capacity ? e->edge_capacity * 2 : 128;
        e->edges = must_grow(e->edges, e->edge_capacity, sizeof *e->edges);
    }
    e->edges[e->edge_count++] = edge;
}

/* Sorted by address, to find a block's place in the layout. */
struct place {
    LLVMBasicBlockRef source;
    uint32_t position;
};

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct place *)a)->source, y = (uintptr_t)((const struct place *)b)->source;
    return x < y ? -1 : x > y;
}

static uint32_t find_place(const struct place *places, uint32_t count, LLVMBasicBlockRef source)
{
    struct place key = {source, 0};
    const struct place *found = bsearch(&key, places, count, sizeof *places, by_address);
    return found ? found->position : NO_BLOCK;
}

/* The layout as LLVM has it: reachable blocks, and for each the last position that jumps back to it. */
struct layout {
    LLVMBasicBlockRef *order;
    struct place *places;
    bool *reachable;
    uint32_t *last_back; /* by position of the header; NO_BLOCK: none */
    uint32_t *back_count, *forward_count;
    uint32_t count;
};

static void layout_free(struct layout *l)
{
    free(l->order);
    free(l->places);
    free(l->reachable);
    free(l->last_back);
    free(l->back_count);
    free(l->forward_count);
}

static void mark_reachable(struct layout *l)
{
    uint32_t *stack = must_allocate(l->count, sizeof *stack), depth = 0;
    stack[depth++] = 0;
    l->reachable[0] = true;
    while (depth) {
        LLVMValueRef end = LLVMGetBasicBlockTerminator(l->order[stack[--depth]]);
        for (unsigned i = 0; i < LLVMGetNumSuccessors(end); i++) {
            uint32_t to = find_place(l->places, l->count, LLVMGetSuccessor(end, i));
            if (l->reachable[to]) continue;
            l->reachable[to] = true;
            stack[depth++] = to;
        }
    }
    free(stack);
}

static void read_layout(struct engine *e, struct layout *l)
{
    l->count = LLVMCountBasicBlocks(e->source);
    l->order = must_allocate(l->count, sizeof *l->order);
    l->places = must_allocate(l->count, sizeof *l->places);
    l->reachable = must_allocate(l->count, sizeof *l->reachable);
    l->last_back = must_allocate(l->count, sizeof *l->last_back);
    l->back_count = must_allocate(l->count, sizeof *l->back_count);
    l->forward_count = must_allocate(l->count, sizeof *l->forward_count);
    LLVMGetBasicBlocks(e->source, l->order);
    for (uint32_t i = 0; i < l->count; i++) {
        l->places[i] = (struct place){l->order[i], i};
        l->last_back[i] = NO_BLOCK;
    }
    qsort(l->places, l->count, sizeof *l->places, by_address);
    mark_reachable(l);
    for (uint32_t i = 0; i < l->count; i++) {
        if (!l->reachable[i]) continue;
        LLVMValueRef end = LLVMGetBasicBlockTerminator(l->order[i]);
        for (unsigned s = 0; s < LLVMGetNumSuccessors(end); s++) {
            uint32_t to = find_place(l->places, l->count, LLVMGetSuccessor(end, s));
            if (to <= i) {
                l->last_back[to] = i;
                l->back_count[to]++;
            } else {
                l->forward_count[to]++;
            }
        }
    }
}

/* Our own nodes in layout order: every reachable block; before a header with several ways in a node that gathers
   them; after the last block that jumps back to a header a latch, the only node that does. */
struct nodes {
    uint32_t *block, *before, *latch; /* by position */
};

static void lay_nodes(struct engine *e, const struct layout *l, struct nodes *n)
{
    n->block = must_allocate(l->count, sizeof *n->block);
    n->before = must_allocate(l->count, sizeof *n->before);
    n->latch = must_allocate(l->count, sizeof *n->latch);
    for (uint32_t i = 0; i < l->count; i++) {
        n->before[i] = n->latch[i] = n->block[i] = NO_BLOCK;
        if (!l->reachable[i]) continue;
        if (l->last_back[i] != NO_BLOCK && l->forward_count[i] > 1) n->before[i] = add_block(e, NULL);
        n->block[i] = add_block(e, l->order[i]);
        /* inner loops end first: their headers stand later */
        for (uint32_t h = i + 1; h-- > 0;)
            if (l->last_back[h] == i && l->reachable[h]) n->latch[h] = add_block(e, NULL);
    }
}

static void draw_edges(struct engine *e, const struct layout *l, const struct nodes *n)
{
    uint32_t *position = must_allocate(e->block_count, sizeof *position);
    uint8_t *role = must_allocate(e->block_count, 1); /* 0 block, 1 before, 2 latch */
    for (uint32_t i = 0; i < l->count; i++) {
        if (n->block[i] != NO_BLOCK) position[n->block[i]] = i;
        if (n->before[i] != NO_BLOCK) position[n->before[i]] = i, role[n->before[i]] = 1;
        if (n->latch[i] != NO_BLOCK) position[n->latch[i]] = i, role[n->latch[i]] = 2;
    }
    for (uint32_t b = 0; b < e->block_count; b++) {
        e->blocks[b].first_edge = e->edge_count;
        uint32_t at = position[b];
        if (role[b]) {
            add_edge(e, (struct edge){b, n->block[at], NO_BLOCK, NULL, role[b] == 2});
        } else {
            LLVMValueRef end = LLVMGetBasicBlockTerminator(l->order[at]);
            for (unsigned s = 0; s < LLVMGetNumSuccessors(end); s++) {
                uint32_t to = find_place(l->places, l->count, LLVMGetSuccessor(end, s));
                uint32_t node = to <= at ? n->latch[to] : n->before[to] != NO_BLOCK ? n->before[to] : n->block[to];
                add_edge(e, (struct edge){b, node, n->block[to], l->order[at], false});
            }
            if (LLVMGetNumSuccessors(end) == 0)
                add_edge(e, (struct edge){b, UINT32_MAX - 1, NO_BLOCK, NULL, false});
        }
        e->blocks[b].edge_count = e->edge_count - e->blocks[b].first_edge;
    }
    for (uint32_t i = 0; i < e->edge_count; i++) {
        if (e->edges[i].to == UINT32_MAX - 1) e->edges[i].to = e->block_count;
        else if (!e->edges[i].back) e->blocks[e->edges[i].to].in_count++;
    }
    free(position);
    free(role);
}

bool in_loop(const struct engine *e, uint32_t loop, uint32_t block)
{
    return block >= e->loops[loop].header && block <= e->loops[loop].latch;
}

/* Nesting, innermost loops, and no way into a loop but its header. */
static bool find_loops(struct engine *e)
{
    e->loops = must_allocate(e->block_count, sizeof *e->loops);
    for (uint32_t i = 0; i < e->edge_count; i++)
        if (e->edges[i].back) e->loops[e->loop_count++] = (struct loop){e->edges[i].to, e->edges[i].from, NO_BLOCK, false};
    for (uint32_t k = 0; k < e->loop_count; k++)
        for (uint32_t b = e->loops[k].header; b <= e->loops[k].latch; b++) {
            uint32_t old = e->blocks[b].loop;
            if (old == NO_BLOCK || e->loops[old].latch - e->loops[old].header >
                                       e->loops[k].latch - e->loops[k].header)
                e->blocks[b].loop = k;
        }
    for (uint32_t k = 0; k < e->loop_count; k++)
        for (uint32_t m = 0; m < e->loop_count; m++) {
            struct loop *inner = &e->loops[k], *outer = &e->loops[m];
            if (k == m || !in_loop(e, m, inner->header) || inner->header == outer->header) continue;
            if (inner->latch > outer->latch) {
                engine_fail(e, NULL, "loops that overlap without nesting");
                return false;
            }
            if (inner->parent == NO_BLOCK || e->loops[inner->parent].header < outer->header) inner->parent = m;
        }
    for (uint32_t i = 0; i < e->edge_count; i++)
        for (uint32_t k = e->edges[i].to < e->block_count ? e->blocks[e->edges[i].to].loop : NO_BLOCK; k != NO_BLOCK;
             k = e->loops[k].parent)
            if (!in_loop(e, k, e->edges[i].from) && e->edges[i].to != e->loops[k].header) {
                engine_fail(e, NULL, "a jump into the middle of a loop (a case label inside a loop)");
                return false;
            }
    return true;
}

/* Over forward edges, with the latch joined to wherever its loop may go: what leaves a loop early meets the rest
   behind it. The layout is a topological order, so one sweep from the end suffices. */
static uint32_t meet(const struct engine *e, uint32_t a, uint32_t b)
{
    while (a != b) {
        if (a < b) a = e->blocks[a].postdominator;
        else b = e->blocks[b].postdominator;
    }
    return a;
}

static void find_postdominators(struct engine *e)
{
    for (uint32_t b = e->block_count; b-- > 0;) {
        uint32_t found = NO_BLOCK;
        for (uint32_t i = 0; i < e->blocks[b].edge_count; i++) {
            const struct edge *edge = &e->edges[e->blocks[b].first_edge + i];
            if (!edge->back) {
                found = found == NO_BLOCK ? edge->to : meet(e, found, edge->to);
                continue;
            }
            for (uint32_t x = edge->to; x <= b; x++)
                for (uint32_t k = 0; k < e->blocks[x].edge_count; k++) {
                    uint32_t to = e->edges[e->blocks[x].first_edge + k].to;
                    if (to > b) found = found == NO_BLOCK ? to : meet(e, found, to);
                }
        }
        e->blocks[b].postdominator = found == NO_BLOCK ? e->block_count : found;
    }
}

uint32_t block_of(const struct engine *e, LLVMBasicBlockRef source)
{
    const struct value *first = value_of(e, LLVMGetBasicBlockTerminator(source));
    return first ? first->block : NO_BLOCK;
}

bool engine_draw(struct engine *e)
{
    struct layout layout = {0};
    struct nodes nodes = {0};
    read_layout(e, &layout);
    lay_nodes(e, &layout, &nodes);
    draw_edges(e, &layout, &nodes);
    layout_free(&layout);
    free(nodes.block);
    free(nodes.before);
    free(nodes.latch);
    if (!find_loops(e)) return false;
    find_postdominators(e);
    return true;
}
