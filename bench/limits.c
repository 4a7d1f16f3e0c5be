/* SPDX-License-Identifier: Apache-2.0 */
/* Which limit a row has, its buffers and its samples. */
#include "limits.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/cpu.h"

enum { LARGE_PAGE = 2 << 20, GRAIN = 256 /* floats that every share is a multiple of */ };

void *bench_allocate(size_t size)
{
    size_t align = size >= LARGE_PAGE ? LARGE_PAGE : 4096;
    void *memory = aligned_alloc(align, (size + align - 1) & ~(align - 1));
#ifdef MADV_HUGEPAGE
    if (memory && align == LARGE_PAGE) madvise(memory, (size + align - 1) & ~(align - 1), MADV_HUGEPAGE);
#endif
    return memory;
}

static void touch(void *argument, int64_t begin, int64_t end, int slot)
{
    struct limit *limit = argument;
    (void)slot;
    int streams = limit->loop.inputs + limit->loop.outputs;
    for (int s = 0; s < streams; s++)
        for (int64_t i = begin * GRAIN; i < end * GRAIN; i++)
            limit->loop.stream[s][i] = 0.001f * (float)(i & 1023);
}

static void walk(void *argument, int64_t begin, int64_t end, int slot)
{
    struct limit *limit = argument;
    limit_walk *best = limit_best_walk();
    (void)slot;
    for (int r = 0; r < limit->repeat; r++) best(&limit->loop, begin * GRAIN, end * GRAIN);
}

/* In the cache a thread walks its whole share again and again: pieces of it would lie in the first level. */
static void walk_shares(void *argument, int64_t begin, int64_t end, int slot)
{
    struct limit *limit = argument;
    int64_t grains = limit->length / GRAIN, shares = limit->run.slots;
    for (int64_t i = begin; i < end; i++)
        walk(argument, grains * i / shares, grains * (i + 1) / shares, slot);
}
static void walk_all(struct limit *limit)
{
    if (limit->kind == BENCH_CACHE)
        smelt_parallel(&limit->run, SMELT_EVEN, limit->run.slots, walk_shares, limit);
    else
        smelt_parallel(&limit->run, SMELT_EVEN, limit->length / GRAIN, walk, limit);
}

static bool allocate(struct limit *limit)
{
    int streams = limit->loop.inputs + limit->loop.outputs;
    double bytes = limit->work->bytes > (double)limit->least ? limit->work->bytes : (double)limit->least;
    limit->length = (int64_t)(bytes / 4 / streams / GRAIN) * GRAIN;
    if (limit->length < GRAIN) limit->length = GRAIN;
    for (int s = 0; s < streams; s++) {
        /* A kilobyte further each: the same low bits of addresses would make loads wait for stores. */
        limit->memory[s] = bench_allocate((size_t)limit->length * 4 + LIMIT_STREAMS * 1024);
        if (!limit->memory[s]) return false;
        limit->loop.stream[s] = (float *)((char *)limit->memory[s] + s * 1024);
    }
    smelt_parallel(&limit->run, SMELT_EVEN, limit->length / GRAIN, touch, limit);
    return true;
}

bool limit_begin(struct limit *limit, const struct bench_work *work)
{
    memset(limit, 0, sizeof *limit);
    limit->work = work, limit->kind = work->limit, limit->repeat = 1;
    if (smelt_run_init(&limit->run, "bench", NULL) != SMELT_OK) return false;
    switch (limit->kind) {
    case BENCH_MEMORY:
        limit->loop.inputs = work->inputs, limit->loop.outputs = work->outputs;
        limit->warm = work->bytes < 4.0 * (double)smelt_last_level_cache_bytes();
        break;
    case BENCH_CACHE:
        limit->loop.inputs = limit->loop.outputs = 1;
        limit->repeat = (int)(200e6 / work->bytes) + 1; /* about a millisecond */
        break;
    case BENCH_READ:
        limit->loop.inputs = 1;
        limit->least =
            4 * smelt_last_level_cache_bytes(); /* small inputs too are measured by the memory's pace */
        break;
    case BENCH_DOT:
        if (!limit_run_chains(LIMIT_DOT, 1)) limit->kind = BENCH_FMA;
        return true;
    case BENCH_FMA:
    case BENCH_CALL: return true;
    }
    bool ready = allocate(limit);
    for (int s = 0; s < LIMIT_STREAMS && !ready; s++) free(limit->memory[s]);
    return ready;
}

static void chains(void *argument, int64_t begin, int64_t end, int slot)
{
    struct limit *limit = argument;
    (void)begin, (void)end, (void)slot;
    limit_run_chains(limit->kind == BENCH_DOT ? LIMIT_DOT : LIMIT_FMA, limit->repeat);
}

static void sample_chains(struct limit *limit)
{
    enum limit_chain chain = limit->kind == BENCH_DOT ? LIMIT_DOT : LIMIT_FMA;
    limit->repeat = 1;
    double each = limit_run_chains(chain, 1);
    limit->repeat = (int)(0.2e9 / each) * 4; /* some milliseconds */
    double start = measure_now();
    smelt_parallel(&limit->run, SMELT_EVEN, limit->run.slots, chains, limit);
    series_add(&limit->rate[0], (measure_now() - start) / (each * limit->repeat * limit->run.slots));
}

void limit_sample(struct limit *limit)
{
    if (limit->kind == BENCH_CALL) return;
    if (limit->kind == BENCH_FMA || limit->kind == BENCH_DOT) {
        sample_chains(limit);
        return;
    }
    int streams = limit->loop.inputs + limit->loop.outputs;
    double bytes = 4.0 * (double)limit->length * streams * limit->repeat;
    for (int loop = 0; loop < (limit->kind == BENCH_MEMORY ? 2 : 1); loop++) {
        limit->loop.past_cache = loop == 1;
        if (limit->warm) walk_all(limit);
        double start = measure_now();
        walk_all(limit);
        series_add(&limit->rate[loop], (measure_now() - start) / bytes);
    }
}

void limit_end(struct limit *limit, struct bench_result *result)
{
    static const char *const names[] = {[BENCH_MEMORY] = "stream",    [BENCH_CACHE] = "copy in cache",
                                        [BENCH_READ] = "read",        [BENCH_FMA] = "float32 multiply-add",
                                        [BENCH_DOT] = "bfloat16 dot", [BENCH_CALL] = "none"};
    result->limit = 0, result->limit_name = names[limit->kind];
    double plain = series_median(&limit->rate[0]), past = series_median(&limit->rate[1]);
    bool streaming = past > 0 && past < plain;
    double best = streaming ? past : plain;
    if (best > 0) result->limit = 1e-9 / best;
    if (limit->kind == BENCH_MEMORY)
        result->limit_name = streaming ? "stream, streaming stores" : "stream, ordinary stores";
    for (int s = 0; s < LIMIT_STREAMS; s++) free(limit->memory[s]);
}

static void one_limit(struct bench_machine_limit *at, const char *name, const struct bench_work *work,
                      int loop, bool quick)
{
    struct limit limit;
    at->name = name, at->unit = bench_counts_flops(work) ? "GFLOP/s" : "GB/s", at->value = 0;
    if (!limit_begin(&limit, work)) return;
    for (int i = 0; i < (quick ? 3 : 7); i++) limit_sample(&limit);
    double median = series_median(&limit.rate[loop]);
    if (median > 0) at->value = 1e-9 / median;
    struct bench_result unused;
    limit_end(&limit, &unused);
}

int bench_machine_limits(struct bench_machine_limit limits[BENCH_MACHINE_LIMITS], bool quick)
{
    double stream = quick ? 64e6 : 128e6; /* bytes of one stream */
    const struct bench_work read = {.limit = BENCH_READ, .bytes = stream},
                            copy = {.limit = BENCH_MEMORY, .inputs = 1, .outputs = 1, .bytes = 2 * stream},
                            triad = {.limit = BENCH_MEMORY, .inputs = 2, .outputs = 1, .bytes = 3 * stream},
                            cache = {.limit = BENCH_CACHE, .bytes = 512 << 10}, fma = {.limit = BENCH_FMA},
                            dot = {.limit = BENCH_DOT};
    int count = 0;
    one_limit(&limits[count++], "read", &read, 0, quick);
    one_limit(&limits[count++], "copy, ordinary stores", &copy, 0, quick);
    one_limit(&limits[count++], "copy, streaming stores", &copy, 1, quick);
    one_limit(&limits[count++], "triad, ordinary stores", &triad, 0, quick);
    one_limit(&limits[count++], "triad, streaming stores", &triad, 1, quick);
    one_limit(&limits[count++], "copy in L2", &cache, 0, quick);
    one_limit(&limits[count++], "float32 multiply-add", &fma, 0, quick);
    if (limit_run_chains(LIMIT_DOT, 1)) one_limit(&limits[count++], "bfloat16 dot", &dot, 0, quick);
    return count;
}
