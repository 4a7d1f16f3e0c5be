/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that look for open calls: awake for a moment after the last one, asleep afterwards. */
#include "core/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#if defined(__x86_64__)
#    include <immintrin.h>
static void relax(void) { _mm_pause(); }
#elif defined(__aarch64__)
static void relax(void) { __asm__ volatile("yield"); }
#else
static void relax(void) {}
#endif

enum { AWAKE_NANOSECONDS = 100000, SPINS = 64 /* between two looks at the clock */ };

/* A call that threads may join: on the stack of its caller, in the list while it is open. */
struct open_call {
    struct open_call *next;
    void (*work)(void *argument, int64_t slot);
    void *argument;
    int slots, free; /* slots that nobody has */
    uint64_t taken[SMELT_MOST_SLOTS / 64];
    _Atomic int active; /* threads of the pool in `work` */
};

static struct {
    pthread_mutex_t lock; /* of what follows, but the atomic counts */
    pthread_cond_t opened, ended;
    struct open_call *calls;
    int threads, asleep;
    _Atomic unsigned posted; /* calls so far: what threads that are awake look at */
    _Atomic int waiting;     /* callers asleep until `ended` */
} pool = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

static int64_t nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The wanted slot, so that a thread meets the same part of the same memory again, or the first that is free.
 */
static int take_slot(struct open_call *call, int wanted)
{
    int slot = wanted;
    if (slot >= call->slots || (call->taken[slot / 64] >> slot % 64 & 1)) {
        int word = 0;
        while (!~call->taken[word]) word++;
        slot = word * 64 + __builtin_ctzll(~call->taken[word]);
    }
    call->taken[slot / 64] |= (uint64_t)1 << slot % 64;
    call->free--;
    return slot;
}

/* Joins an open call, with the lock held, which is let go meanwhile. */
static bool help(int wanted)
{
    struct open_call *call = pool.calls;
    while (call && !call->free) call = call->next;
    if (!call) return false;
    int slot = take_slot(call, wanted);
    atomic_fetch_add_explicit(&call->active, 1, memory_order_relaxed);
    pthread_mutex_unlock(&pool.lock);
    call->work(call->argument, slot);
    /* From here on the call may be gone. */
    bool last = atomic_fetch_sub(&call->active, 1) == 1 && atomic_load(&pool.waiting);
    pthread_mutex_lock(&pool.lock);
    if (last) pthread_cond_broadcast(&pool.ended);
    return true;
}

static void stay_awake(unsigned seen)
{
    int64_t until = nanoseconds() + AWAKE_NANOSECONDS;
    do {
        for (int i = 0; i < SPINS; i++) {
            if (atomic_load_explicit(&pool.posted, memory_order_acquire) != seen) return;
            relax();
        }
    } while (nanoseconds() < until);
}

static void *thread_main(void *argument)
{
    int wanted = (int)(intptr_t)argument;
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        unsigned seen = atomic_load_explicit(&pool.posted, memory_order_relaxed);
        if (help(wanted)) continue;
        pthread_mutex_unlock(&pool.lock);
        stay_awake(seen);
        pthread_mutex_lock(&pool.lock);
        if (help(wanted)) continue; /* opened, and not yet posted */
        pool.asleep++;
        pthread_cond_wait(&pool.opened, &pool.lock);
        pool.asleep--;
    }
    return NULL;
}

/* A child has only the thread that forked: it starts anew. */
static void before_fork(void) { pthread_mutex_lock(&pool.lock); }
static void after_fork(void) { pthread_mutex_unlock(&pool.lock); }
static void in_child(void)
{
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.opened, NULL);
    pthread_cond_init(&pool.ended, NULL);
    pool.calls = NULL;
    pool.threads = pool.asleep = 0;
    atomic_store(&pool.waiting, 0);
}
static void watch_forks(void) { pthread_atfork(before_fork, after_fork, in_child); }

/* So many threads at least, as far as the system lets. They take no signals of the program. */
static void grow(int threads)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.threads < threads) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, thread_main, (void *)(intptr_t)(pool.threads + 1))) break;
        pthread_detach(thread);
        pool.threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void open_call(struct open_call *call, int slots)
{
    call->slots = slots, call->free = slots - 1;
    call->taken[0] = 1; /* the caller's */
    pthread_mutex_lock(&pool.lock);
    if (pool.threads < slots - 1) grow(slots - 1);
    call->next = pool.calls, pool.calls = call;
    int wake = pool.asleep < slots - 1 ? pool.asleep : slots - 1;
    pthread_mutex_unlock(&pool.lock);
    atomic_fetch_add_explicit(&pool.posted, 1, memory_order_release);
    for (int i = 0; i < wake; i++) pthread_cond_signal(&pool.opened);
}

static void close_call(struct open_call *call)
{
    pthread_mutex_lock(&pool.lock);
    struct open_call **at = &pool.calls;
    while (*at != call) at = &(*at)->next;
    *at = call->next;
    pthread_mutex_unlock(&pool.lock);
    int64_t until = 0;
    for (int i = 0; atomic_load_explicit(&call->active, memory_order_acquire); i++) {
        relax();
        if (i % SPINS) continue;
        if (!until) until = nanoseconds() + AWAKE_NANOSECONDS;
        if (nanoseconds() < until) continue;
        pthread_mutex_lock(&pool.lock);
        atomic_fetch_add(&pool.waiting, 1);
        while (atomic_load(&call->active)) pthread_cond_wait(&pool.ended, &pool.lock);
        atomic_fetch_sub(&pool.waiting, 1);
        pthread_mutex_unlock(&pool.lock);
    }
}

void smelt_pool_run(int slots, void (*work)(void *argument, int64_t slot), void *argument)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    struct open_call call = {.work = work, .argument = argument};
    open_call(&call, slots < SMELT_MOST_SLOTS ? slots : SMELT_MOST_SLOTS);
    work(argument, 0);
    close_call(&call);
}
