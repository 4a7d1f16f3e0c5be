/* SPDX-License-Identifier: Apache-2.0 */
/* Fibers: a stack and a switch. At a barrier a simdgroup hands over to the next in the ring of those that
   still run; when all have come to it, the first goes on. One that has returned leaves the ring. */
#include "metal/fiber.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "metal/loader.h"

struct smelt_worker {
    struct smelt_fiber *fibers; /* SMELT_MOST_SIMDGROUPS */
    smelt_simdgroup_function *function;
    void *scheduler; /* stack pointer of smelt_worker_run */
    unsigned char *stacks, *threadgroup;
    size_t stack_bytes, stacks_size, threadgroup_size;
};

/* Saves the callee's registers on the stack, stores the stack pointer, and takes up another. */
void smelt_fiber_switch(void **save, void *load);
void smelt_fiber_begin(void);

#if defined(__aarch64__)
__asm__(".text\n.globl smelt_fiber_switch\n.hidden smelt_fiber_switch\n.type smelt_fiber_switch, %function\n"
        "smelt_fiber_switch:\n"
        "sub sp, sp, #160\n"
        "stp x19, x20, [sp]\nstp x21, x22, [sp, #16]\nstp x23, x24, [sp, #32]\nstp x25, x26, [sp, #48]\n"
        "stp x27, x28, [sp, #64]\nstp x29, x30, [sp, #80]\nstp d8, d9, [sp, #96]\nstp d10, d11, [sp, #112]\n"
        "stp d12, d13, [sp, #128]\nstp d14, d15, [sp, #144]\n"
        "mov x9, sp\nstr x9, [x0]\nmov sp, x1\n"
        "ldp x19, x20, [sp]\nldp x21, x22, [sp, #16]\nldp x23, x24, [sp, #32]\nldp x25, x26, [sp, #48]\n"
        "ldp x27, x28, [sp, #64]\nldp x29, x30, [sp, #80]\nldp d8, d9, [sp, #96]\nldp d10, d11, [sp, #112]\n"
        "ldp d12, d13, [sp, #128]\nldp d14, d15, [sp, #144]\n"
        "add sp, sp, #160\nret\n"
        ".globl smelt_fiber_begin\n.hidden smelt_fiber_begin\nsmelt_fiber_begin:\nmov x0, x19\nbr x20\n");
enum { FRAME_WORDS = 20, FRAME_ARGUMENT = 0, FRAME_ENTRY = 1, FRAME_RETURN = 11 };
#else
__asm__(".text\n.globl smelt_fiber_switch\n.hidden smelt_fiber_switch\n.type smelt_fiber_switch, @function\n"
        "smelt_fiber_switch:\n"
        "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "movq %rsp, (%rdi)\nmovq %rsi, %rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
        ".globl smelt_fiber_begin\n.hidden smelt_fiber_begin\n"
        /* the stack pointer is a multiple of 16 before a call */
        "smelt_fiber_begin:\nsubq $8, %rsp\nmovq %r12, %rdi\ncallq *%r13\nud2\n");
enum { FRAME_WORDS = 8, FRAME_ARGUMENT = 3, FRAME_ENTRY = 2, FRAME_RETURN = 6 };
#endif

static pthread_key_t worker_key;
static pthread_once_t worker_once = PTHREAD_ONCE_INIT;
static int worker_key_error;

static void unmap(unsigned char *memory, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (memory) munmap(memory - page, size + 2 * page);
}

/* Zeroed memory with an unreadable page before and behind it. */
static unsigned char *map(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *memory =
        mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    if (!mprotect(memory + page, size, PROT_READ | PROT_WRITE)) return memory + page;
    munmap(memory, size + 2 * page);
    return NULL;
}

static void destroy_worker(void *argument)
{
    struct smelt_worker *w = argument;
    unmap(w->stacks, w->stacks_size);
    unmap(w->threadgroup, w->threadgroup_size);
    free(w->fibers);
    free(w);
}

static void make_key(void) { worker_key_error = pthread_key_create(&worker_key, destroy_worker); }

static bool grow(unsigned char **memory, size_t *size, size_t wanted)
{
    if (*size >= wanted && *memory) return true;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    wanted = (wanted + page - 1) / page * page;
    unmap(*memory, *size);
    *memory = map(wanted ? wanted : page);
    *size = *memory ? (wanted ? wanted : page) : 0;
    return *memory != NULL;
}

struct smelt_worker *smelt_worker_get(size_t stack_bytes, size_t threadgroup_bytes)
{
    pthread_once(&worker_once, make_key);
    if (worker_key_error) return NULL;
    struct smelt_worker *w = pthread_getspecific(worker_key);
    if (!w) {
        w = calloc(1, sizeof *w);
        if (!w) return NULL;
        w->fibers = aligned_alloc(64, (SMELT_MOST_SIMDGROUPS * sizeof *w->fibers + 63) / 64 * 64);
        if (!w->fibers || pthread_setspecific(worker_key, w)) {
            free(w->fibers);
            free(w);
            return NULL;
        }
        memset(w->fibers, 0, SMELT_MOST_SIMDGROUPS * sizeof *w->fibers);
        for (int k = 0; k < SMELT_MOST_SIMDGROUPS; k++) w->fibers[k].worker = w;
    }
    /* stacks touch each other: an overflow would have to cross a whole one; the outer pages are guarded */
    stack_bytes = (stack_bytes + 4095) / 4096 * 4096;
    if (w->stack_bytes < stack_bytes) {
        if (!grow(&w->stacks, &w->stacks_size, stack_bytes * SMELT_MOST_SIMDGROUPS)) {
            w->stack_bytes = 0;
            return NULL;
        }
        w->stack_bytes = stack_bytes;
    }
    return grow(&w->threadgroup, &w->threadgroup_size, threadgroup_bytes) ? w : NULL;
}

struct smelt_fiber *smelt_worker_fibers(struct smelt_worker *worker) { return worker->fibers; }

/* Between two unreadable pages: an access far outside faults rather than reach other memory. */
unsigned char *smelt_worker_threadgroup(struct smelt_worker *worker) { return worker->threadgroup; }

static void fiber_main(struct smelt_fiber *fiber)
{
    struct smelt_worker *w = fiber->worker;
    w->function(&fiber->simdgroup);
    struct smelt_fiber *next = fiber->next;
    fiber->previous->next = next;
    next->previous = fiber->previous;
    smelt_fiber_switch(&fiber->stack_pointer, next == fiber ? w->scheduler : next->stack_pointer);
    __builtin_unreachable();
}

void smelt_kernel_barrier(struct smelt_simdgroup *simdgroup)
{
    struct smelt_fiber *fiber = (struct smelt_fiber *)simdgroup;
    if (fiber->stack_pointer && fiber->next != fiber)
        smelt_fiber_switch(&fiber->stack_pointer, fiber->next->stack_pointer);
}

static void prepare_stack(struct smelt_worker *w, unsigned index)
{
    struct smelt_fiber *fiber = &w->fibers[index];
    void **top = (void **)(w->stacks + (size_t)(index + 1) * w->stack_bytes - 64);
    top -= FRAME_WORDS;
    memset(top, 0, FRAME_WORDS * sizeof *top);
    top[FRAME_ARGUMENT] = fiber;
    top[FRAME_ENTRY] = (void *)(intptr_t)&fiber_main;
    top[FRAME_RETURN] = (void *)(intptr_t)&smelt_fiber_begin;
    fiber->stack_pointer = top;
}

void smelt_worker_run(struct smelt_worker *w, smelt_simdgroup_function *function, unsigned count)
{
    w->function = function;
    for (unsigned k = 0; k < count; k++) {
        prepare_stack(w, k);
        w->fibers[k].next = &w->fibers[(k + 1) % count];
        w->fibers[k].previous = &w->fibers[(k + count - 1) % count];
    }
    smelt_fiber_switch(&w->scheduler, w->fibers[0].stack_pointer);
    for (unsigned k = 0; k < count; k++) w->fibers[k].stack_pointer = NULL;
}
