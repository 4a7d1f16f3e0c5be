/* SPDX-License-Identifier: Apache-2.0 */
/* Threadgroups over threads, simdgroups within them. */
#include "metal/launch.h"

#include <stdatomic.h>
#include <string.h>
#include "metal/fiber.h"

enum { LANES = 32, THREADS_PER_ITEM = 4096, PLAIN_STACK = 64 << 10 };

smelt_status smelt_grid_init(struct smelt_grid *grid, const char *operation, const uint32_t count[3],
                             const uint32_t threadgroup[3], bool in_threadgroups)
{
    static const char *const axes = "xyz";
    uint64_t product = (uint64_t)threadgroup[0] * threadgroup[1];
    product = product > SMELT_MOST_THREADS ? product : product * threadgroup[2];
    for (int k = 0; k < 3; k++)
        if (threadgroup[k] == 0)
            return smelt_fail(SMELT_INVALID_ARGUMENT, "%s: threadgroup: expected 1 or more along %c, got 0",
                              operation, axes[k]);
    if (product > SMELT_MOST_THREADS)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "%s: threadgroup: expected at most %d threads, got %llu",
                          operation, SMELT_MOST_THREADS, (unsigned long long)product);
    for (int k = 0; k < 3; k++) {
        uint64_t threads = in_threadgroups ? (uint64_t)count[k] * threadgroup[k] : count[k];
        if (threads > UINT64_C(0x7fff0000))
            return smelt_fail(SMELT_INVALID_ARGUMENT,
                              "%s: grid: expected at most 2147418112 threads along %c, got %llu", operation,
                              axes[k], (unsigned long long)threads);
        grid->threads[k] = (uint32_t)threads;
        grid->threadgroup[k] = threadgroup[k];
        grid->groups[k] = (uint32_t)((threads + threadgroup[k] - 1) / threadgroup[k]);
    }
    return SMELT_OK;
}

bool smelt_grid_has_rows(const struct smelt_grid *g)
{
    if (g->threadgroup[1] == 1 && g->threadgroup[2] == 1) return true;
    return g->threadgroup[0] % LANES == 0 && g->threads[0] % g->threadgroup[0] % LANES == 0;
}

struct job {
    const struct smelt_launch *launch;
    size_t threadgroup_offset[SMELT_MOST_BINDINGS], threadgroup_bytes, stack_bytes;
    int64_t groups, groups_per_item;
    bool fibers, rows;
    _Atomic int failed;
};

static void set_words(struct smelt_simdgroup *s, int first, const uint32_t words[3])
{
    memcpy(&s->words[first], words, 3 * sizeof *words);
}

/* A place in a threadgroup, stepped through in the order of its threads. */
struct place {
    uint32_t at[3];
};

static inline void step(struct place *p, uint32_t by, const uint32_t size[3])
{
    for (p->at[0] += by; p->at[0] >= size[0]; p->at[0] -= size[0])
        if (++p->at[1] == size[1]) {
            p->at[1] = 0;
            p->at[2]++;
        }
}

/* The positions of a simdgroup's lanes; leaves `p` at the first of the next. */
static void set_positions(struct smelt_simdgroup *s, struct place *p, const uint32_t size[3],
                          const uint32_t origin[3], bool rows)
{
    for (int k = 0; k < 3; k++) {
        s->words[WORD_BASE_POSITION + k] = p->at[k];
    }
    if (rows) {
        step(p, LANES, size);
        return;
    }
    for (int lane = 0; lane < LANES; lane++) {
        for (int k = 0; k < 3; k++) {
            s->positions[k][lane] = p->at[k];
            s->grid_positions[k][lane] = p->at[k] + origin[k];
        }
        step(p, 1, size);
    }
}

static void run_group(const struct job *job, struct smelt_worker *worker, const uint32_t group[3])
{
    const struct smelt_grid *g = &job->launch->grid;
    struct smelt_fiber *fibers = smelt_worker_fibers(worker);
    uint32_t size[3], origin[3];
    for (int k = 0; k < 3; k++) {
        origin[k] = group[k] * g->threadgroup[k];
        size[k] =
            g->threads[k] - origin[k] < g->threadgroup[k] ? g->threads[k] - origin[k] : g->threadgroup[k];
    }
    uint32_t threads = size[0] * size[1] * size[2], count = (threads + LANES - 1) / LANES;
    struct place place = {{0, 0, 0}};
    for (uint32_t k = 0; k < count; k++) {
        struct smelt_simdgroup *s = &fibers[job->fibers ? k : 0].simdgroup;
        if (k == 0 || job->fibers) {
            s->words[WORD_SIMDGROUPS] = count;
            s->threads = threads;
            s->end = count;
            set_words(s, WORD_THREADGROUP_POSITION, group);
            set_words(s, WORD_THREADS_PER_THREADGROUP, size);
            set_words(s, WORD_ORIGIN, origin);
        }
        s->words[WORD_SIMDGROUP_INDEX] = k;
        set_positions(s, &place, size, origin, job->rows);
        if (job->fibers) continue;
        job->launch->code->function(s);
        if (job->launch->code->report.has_loop) break;
    }
    if (job->fibers) smelt_worker_run(worker, job->launch->code->function, count);
}

static void run_items(void *argument, int64_t begin, int64_t end, int slot)
{
    struct job *job = argument;
    const struct smelt_launch *l = job->launch;
    (void)slot;
    struct smelt_worker *worker = smelt_worker_get(job->stack_bytes, job->threadgroup_bytes);
    if (!worker) {
        atomic_store(&job->failed, 1);
        return;
    }
    void *arguments[SMELT_MOST_BINDINGS];
    unsigned char *threadgroup = smelt_worker_threadgroup(worker);
    for (unsigned k = 0; k < l->argument_count; k++)
        arguments[k] = l->threadgroup_length[k] ? threadgroup + job->threadgroup_offset[k] : l->arguments[k];
    struct smelt_fiber *fibers = smelt_worker_fibers(worker);
    const uint32_t *t = l->grid.threadgroup;
    for (int k = 0; k < (job->fibers ? SMELT_MOST_SIMDGROUPS : 1); k++) {
        struct smelt_simdgroup *s = &fibers[k].simdgroup;
        s->arguments = arguments;
        s->threadgroup = threadgroup;
        set_words(s, WORD_THREADS_PER_GRID, l->grid.threads);
        set_words(s, WORD_THREADGROUPS_PER_GRID, l->grid.groups);
        set_words(s, WORD_DISPATCH_THREADS, t);
        s->words[WORD_DISPATCH_SIMDGROUPS] = (t[0] * t[1] * t[2] + LANES - 1) / LANES;
    }
    for (int64_t item = begin; item < end; item++) {
        int64_t first = item * job->groups_per_item, last = first + job->groups_per_item;
        const uint32_t *n = l->grid.groups;
        struct place group = {
            {(uint32_t)(first % n[0]), (uint32_t)(first / n[0] % n[1]), (uint32_t)(first / n[0] / n[1])}};
        for (int64_t k = first; k < last && k < job->groups; k++, step(&group, 1, n))
            run_group(job, worker, group.at);
    }
}

smelt_status smelt_launch_run(const struct smelt_launch *l, const struct smelt_run *run)
{
    const struct smelt_grid *g = &l->grid;
    struct job job = {.launch = l, .threadgroup_bytes = l->code->report.threadgroup_bytes};
    job.groups = (int64_t)g->groups[0] * g->groups[1] * g->groups[2];
    if (job.groups <= 0) return SMELT_OK;
    for (unsigned k = 0; k < l->argument_count; k++) {
        if (!l->threadgroup_length[k]) continue;
        job.threadgroup_offset[k] = job.threadgroup_bytes = (job.threadgroup_bytes + 15) / 16 * 16;
        job.threadgroup_bytes += l->threadgroup_length[k];
    }
    if (job.threadgroup_bytes > SMELT_MOST_THREADGROUP_MEMORY)
        return smelt_fail(SMELT_INVALID_ARGUMENT,
                          "%s: threadgroup memory: expected at most %d bytes, got %zu", l->operation,
                          SMELT_MOST_THREADGROUP_MEMORY, job.threadgroup_bytes);
    uint32_t threads = g->threadgroup[0] * g->threadgroup[1] * g->threadgroup[2];
    size_t frame = l->code->report.private_bytes;
    job.rows = smelt_grid_has_rows(g);
    job.fibers = (l->code->report.has_barrier && threads > LANES) || frame > PLAIN_STACK;
    job.stack_bytes = job.fibers ? PLAIN_STACK * 2 + frame * 2 : 0;
    job.groups_per_item = THREADS_PER_ITEM / threads;
    if (job.groups_per_item > job.groups / (4 * run->slots))
        job.groups_per_item = job.groups / (4 * run->slots);
    if (job.groups_per_item < 1) job.groups_per_item = 1;
    smelt_parallel(run, SMELT_DYNAMIC, (job.groups + job.groups_per_item - 1) / job.groups_per_item,
                   run_items, &job);
    if (atomic_load(&job.failed))
        return smelt_fail(SMELT_OUT_OF_MEMORY, "%s: no memory for a threadgroup", l->operation);
    return SMELT_OK;
}
