/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: the library's, or the caller's own pool. Scratch: the caller's, or a buffer per thread. */
#include "core/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/cpu.h"
#include "core/options.h"
#include "core/pool.h"

static int default_threads(void)
{
    static _Atomic int cached = 0;
    int threads = atomic_load_explicit(&cached, memory_order_relaxed);
    if (threads) return threads;
    const char *text = getenv("SMELT_NUM_THREADS");
    long named = text ? strtol(text, NULL, 10) : 0;
    threads = named > 0 && named <= SMELT_MOST_SLOTS ? (int)named : smelt_core_count();
    atomic_store_explicit(&cached, threads, memory_order_relaxed);
    return threads;
}

smelt_status smelt_run_init(struct smelt_run *run, const char *operation, const smelt_stream *stream)
{
    static const smelt_stream defaults = SMELT_STREAM_INIT;
    SMELT_TRY(smelt_read_options(operation, "stream", &run->stream, stream, &defaults, sizeof defaults));
    if (run->stream.num_threads < 0)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "%s: stream.num_threads: expected 0 or more, got %d",
                          operation, run->stream.num_threads);
    int threads = run->stream.num_threads ? run->stream.num_threads : default_threads();
    run->slots = threads < SMELT_MOST_SLOTS ? threads : SMELT_MOST_SLOTS;
    run->llc_bytes = smelt_last_level_cache_bytes();
    return SMELT_OK;
}

void smelt_run_limit(struct smelt_run *run, int64_t bytes)
{
    enum { BYTES_PER_THREAD = 64 << 10 }; /* about 2 us of work in cache: what a fork and join cost */
    int64_t useful = bytes / BYTES_PER_THREAD + 1;
    if (useful < run->slots) run->slots = (int)useful;
}

/* Items in shares of neighbours, one a slot, each claimed piece by piece: first by the slot it belongs to,
 * then by those that have finished their own. A dynamic schedule is one share for all, and pieces of one
 * item. */
struct job {
    smelt_task *task;
    void *argument;
    int64_t items, share, piece;
    int shares;
    _Atomic int64_t next[SMELT_MOST_SLOTS]; /* of each share, items that are claimed */
};

static void work(void *argument, int64_t slot)
{
    struct job *job = argument;
    for (int i = 0; i < job->shares; i++) {
        int64_t at = (slot + i) % job->shares, first = at * job->share, left = job->items - first;
        int64_t size = left < job->share ? left : job->share;
        while (atomic_load_explicit(&job->next[at], memory_order_relaxed) < size) {
            int64_t begin = atomic_fetch_add_explicit(&job->next[at], job->piece, memory_order_relaxed);
            int64_t end = begin + job->piece < size ? begin + job->piece : size;
            if (begin < end) job->task(job->argument, first + begin, first + end, (int)slot);
        }
    }
}

/* Shares and pieces of many items are multiples of ALIGNED, so that elements keep their place in vectors. */
static void divide(struct job *job, int slots, enum smelt_schedule schedule)
{
    enum { PIECES = 8, ALIGNED = 256 };
    bool even = schedule == SMELT_EVEN;
    job->shares = even ? slots : 1;
    job->share = (job->items - 1) / job->shares + 1;
    job->piece = even ? (job->share - 1) / PIECES + 1 : 1;
    if (job->piece >= 4 * ALIGNED) {
        job->piece = (job->piece + ALIGNED - 1) / ALIGNED * ALIGNED;
        job->share = (job->share + ALIGNED - 1) / ALIGNED * ALIGNED;
    }
    for (int i = 0; i < job->shares; i++) atomic_init(&job->next[i], 0);
}

void smelt_parallel(const struct smelt_run *run, enum smelt_schedule schedule, int64_t items,
                    smelt_task *task, void *argument)
{
    int slots = items < run->slots ? (int)items : run->slots;
    if (slots <= 0) return;
    if (slots == 1) {
        task(argument, 0, items, 0);
        return;
    }
    struct job job; /* `next` is set as far as it is used */
    job.task = task, job.argument = argument, job.items = items;
    divide(&job, slots, schedule);
    if (run->stream.parallel_for)
        run->stream.parallel_for(run->stream.pool, slots, work, &job);
    else
        smelt_pool_run(slots, work, &job);
}

struct buffer {
    void *memory;
    size_t size;
};
static pthread_key_t buffer_key;
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;

static void buffer_free(void *value)
{
    struct buffer *buffer = value;
    free(buffer->memory);
    free(buffer);
}
static void buffer_create_key(void) { pthread_key_create(&buffer_key, buffer_free); }

smelt_status smelt_expect_workspace(const struct smelt_run *run, const char *operation, size_t bytes)
{
    if (!run->stream.workspace) return SMELT_OK;
    if (run->stream.workspace_size < bytes)
        return smelt_fail(SMELT_INVALID_ARGUMENT,
                          "%s: stream.workspace_size: expected at least %zu bytes, got %zu", operation, bytes,
                          run->stream.workspace_size);
    if ((uintptr_t)run->stream.workspace % 64)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "%s: stream.workspace: expected a multiple of 64, got %p",
                          operation, run->stream.workspace);
    return SMELT_OK;
}

smelt_status smelt_scratch(const struct smelt_run *run, const char *operation, size_t bytes, void **memory)
{
    if (run->stream.workspace && run->stream.workspace_size >= bytes &&
        !((uintptr_t)run->stream.workspace % 64)) {
        *memory = run->stream.workspace;
        return SMELT_OK;
    }
    pthread_once(&buffer_once, buffer_create_key);
    struct buffer *buffer = pthread_getspecific(buffer_key);
    if (!buffer) {
        buffer = calloc(1, sizeof *buffer);
        if (!buffer || pthread_setspecific(buffer_key, buffer)) {
            free(buffer);
            return smelt_fail(SMELT_OUT_OF_MEMORY, "%s: no memory for %zu bytes of scratch", operation,
                              bytes);
        }
    }
    if (buffer->size < bytes) {
        size_t size =
            (bytes + (bytes >> 2) + 4095) & ~(size_t)4095; /* a quarter more, so that slow growth is rare */
        void *grown = size < bytes ? NULL : aligned_alloc(4096, size);
        if (!grown)
            return smelt_fail(SMELT_OUT_OF_MEMORY, "%s: no memory for %zu bytes of scratch", operation,
                              bytes);
        free(buffer->memory);
        buffer->memory = grown;
        buffer->size = size;
    }
    *memory = buffer->memory;
    return SMELT_OK;
}
