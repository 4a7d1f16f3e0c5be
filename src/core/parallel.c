/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: OpenMP, or the caller's own pool. Scratch: the caller's, or a buffer per thread. */
#include "core/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#ifdef _OPENMP
#    include <omp.h>
#endif

#include "core/cpu.h"
#include "core/options.h"

enum { MOST_SLOTS = 1024 };

static int default_threads(void)
{
    static _Atomic int cached = 0;
    int threads = atomic_load_explicit(&cached, memory_order_relaxed);
    if (threads) return threads;
    const char *text = getenv("SMELT_NUM_THREADS");
    long named = text ? strtol(text, NULL, 10) : 0;
    threads = named > 0 && named <= MOST_SLOTS ? (int)named : smelt_core_count();
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
    run->slots = threads < MOST_SLOTS ? threads : MOST_SLOTS;
    run->llc_bytes = smelt_last_level_cache_bytes();
    return SMELT_OK;
}

void smelt_run_limit(struct smelt_run *run, int64_t bytes)
{
    enum { BYTES_PER_THREAD = 64 << 10 }; /* about 2 us of work in cache: what a fork and join cost */
    int64_t useful = bytes / BYTES_PER_THREAD + 1;
    if (useful < run->slots) run->slots = (int)useful;
}

struct job {
    smelt_task *task;
    void *argument;
    int64_t items;
    int slots;
    enum smelt_schedule schedule;
    _Atomic int64_t next;
};

static void work(void *argument, int64_t slot)
{
    struct job *job = argument;
    if (job->schedule == SMELT_EVEN) {
        int64_t share = job->items / job->slots, rest = job->items % job->slots;
        int64_t begin = slot * share + (slot < rest ? slot : rest), end = begin + share + (slot < rest);
        if (begin < end) job->task(job->argument, begin, end, (int)slot);
        return;
    }
    for (;;) {
        int64_t item = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
        if (item >= job->items) return;
        job->task(job->argument, item, item + 1, (int)slot);
    }
}

void smelt_parallel(const struct smelt_run *run, enum smelt_schedule schedule, int64_t items,
                    smelt_task *task, void *argument)
{
    int slots = items < run->slots ? (int)items : run->slots;
    struct job job = {task, argument, items, slots, schedule, 0};
    if (slots <= 0) return;
    if (slots == 1) {
        work(&job, 0);
    } else if (run->stream.parallel_for) {
        run->stream.parallel_for(run->stream.pool, slots, work, &job);
    } else {
#ifdef _OPENMP
/* A static loop, not one iteration per thread number: inside another parallel region the team may be smaller.
 */
#    pragma omp parallel for num_threads(slots) schedule(static, 1)
#endif
        for (int slot = 0; slot < slots; slot++) work(&job, slot);
    }
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
