/* SPDX-License-Identifier: Apache-2.0 */
/* The library's threads: every item once, no slot twice at a time, for many callers at once and in the child
 * of a fork; and a call ends without threads that are busy elsewhere. */
#include "core/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/parallel.h"
#include "unit.h"

#ifdef __SANITIZE_THREAD__
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void) { return "die_after_fork=0"; }
#endif

enum { ITEMS = 5000, SLOTS = 6, CALLERS = 4, CALLS = 300 };

struct count {
    _Atomic int times[ITEMS], inside[SLOTS];
    _Atomic int twice;
};

static void count_items(void *argument, int64_t begin, int64_t end, int slot)
{
    struct count *count = argument;
    if (atomic_fetch_add(&count->inside[slot], 1)) count->twice = 1;
    for (int64_t i = begin; i < end; i++) atomic_fetch_add(&count->times[i], 1);
    atomic_fetch_sub(&count->inside[slot], 1);
}

/* Calls of all sizes; the number of faults. */
static int count_calls(int calls)
{
    int faults = 0;
    struct smelt_run run = {.slots = SLOTS};
    for (int call = 0; call < calls; call++) {
        static _Thread_local struct count count;
        int64_t items = call % 7 == 0 ? ITEMS : call % 50;
        memset(&count, 0, sizeof count);
        smelt_parallel(&run, call % 2 ? SMELT_EVEN : SMELT_DYNAMIC, items, count_items, &count);
        for (int64_t i = 0; i < ITEMS; i++) faults += count.times[i] != (i < items);
        faults += count.twice;
    }
    return faults;
}

static void *caller(void *faults)
{
    *(int *)faults = count_calls(CALLS);
    return NULL;
}

static void many_callers(void)
{
    pthread_t thread[CALLERS];
    int faults[CALLERS];
    for (int i = 0; i < CALLERS; i++) UNIT(!pthread_create(&thread[i], NULL, caller, &faults[i]));
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(thread[i], NULL);
        UNIT(!faults[i]);
    }
}

static void child_of_a_fork(void)
{
#ifdef UNIT_EMULATED
    return; /* qemu-user aborts in the child of a program with threads */
#endif
    pid_t child = fork();
    if (!child) {
        alarm(60);
        _exit(count_calls(CALLS) != 0);
    }
    int status = -1;
    UNIT(waitpid(child, &status, 0) == child && status == 0);
}

/* Slot 0 waits until the others have begun; they hold their threads until `go`. */
static _Atomic int begun, go;
static void hold(void *argument, int64_t slot)
{
    (void)argument;
    if (slot) atomic_fetch_add(&begun, 1);
    while (slot ? !go : begun < SLOTS - 1) sched_yield();
}
static void *holder(void *argument)
{
    smelt_pool_run(SLOTS, hold, argument);
    return NULL;
}

/* All threads of the pool are held; with more slots than threads there are, the rest is the caller's too. */
static void threads_that_do_not_come(void)
{
    pthread_t thread;
    UNIT(!pthread_create(&thread, NULL, holder, NULL));
    while (begun < SLOTS - 1) sched_yield();
    UNIT(!count_calls(20));
    go = 1;
    pthread_join(thread, NULL);
    UNIT(begun == SLOTS - 1);
}

int main(void)
{
    UNIT(!count_calls(CALLS));
    many_callers();
    threads_that_do_not_come();
    child_of_a_fork();
    many_callers();
    return unit_end();
}
