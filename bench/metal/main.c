/* SPDX-License-Identifier: Apache-2.0 */
/* bench_metal [KERNEL...]: the kernels of kernels.metal beside hand-written loops of the same algorithms, on
   one thread, by turns, for AVX-512 and AVX2. Prints medians and the ratio hand-written / kernel: 1 is as
   fast. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "core/cpu.h"
#include "loops.h"
#include <smelt/smelt.h>

enum { ROWS = 4096, DIM = 4096, COUNT = ROWS * DIM, HEADS = 32, HEAD = 128, SIDE = 1024, SAMPLES = 64 };
#define SECONDS_PER_CASE 1.2

struct arrays {
    float *x, *y, *expected, *weight, *bias, *scratch;
};

struct bench_case {
    const char *name, *kernel;
    uint32_t grid[3], threadgroup[3]; /* threads */
    int buffers;                      /* how many of `bound` below */
    uint32_t count;                   /* bytes behind the buffers; 0: none */
    int64_t outputs;
    void (*hand)(const struct metal_loops *, const struct arrays *);
    double flops; /* counted instead of a hand-written loop */
};

static void hand_exp(const struct metal_loops *l, const struct arrays *a)
{
    l->exponential(a->x, a->expected, COUNT);
}
static void hand_rms(const struct metal_loops *l, const struct arrays *a)
{
    l->rms_norm(a->x, a->weight, a->expected, ROWS, DIM);
}
static void hand_layer(const struct metal_loops *l, const struct arrays *a)
{
    l->layer_norm(a->x, a->weight, a->bias, a->expected, ROWS, DIM);
}
static void hand_softmax(const struct metal_loops *l, const struct arrays *a)
{
    l->softmax(a->x, a->expected, ROWS, DIM);
}
static void hand_rope(const struct metal_loops *l, const struct arrays *a)
{
    l->rope(a->x, a->weight, a->bias, a->expected, COUNT / HEADS / HEAD, HEADS, HEAD);
}
static void hand_q4(const struct metal_loops *l, const struct arrays *a)
{
    l->q4_matvec((const uint32_t *)a->x, a->weight, a->bias, a->expected, ROWS, DIM, a->scratch);
}

/* Buffers in the order of x, weight, bias, y; a kernel with two has x and y, with three x, weight, y. */
static const struct bench_case cases[] = {
    {"exp of 16 M", "vexp", {COUNT, 1, 1}, {256, 1, 1}, 2, 0, COUNT, hand_exp, 0},
    {"rms_norm, tree", "rms_tree", {ROWS * 256, 1, 1}, {256, 1, 1}, 3, DIM, COUNT, hand_rms, 0},
    {"rms_norm, simd_sum", "rms_simd", {ROWS * 256, 1, 1}, {256, 1, 1}, 3, DIM, COUNT, hand_rms, 0},
    {"layer_norm, float4", "layer_norm", {ROWS * 256, 1, 1}, {256, 1, 1}, 4, DIM, COUNT, hand_layer, 0},
    {"softmax", "softmax", {ROWS * 32, 1, 1}, {32, 1, 1}, 2, DIM, COUNT, hand_softmax, 0},
    {"rope", "rope", {HEAD / 2, HEADS, COUNT / HEADS / HEAD}, {HEAD / 2, 4, 1}, 4, 0, COUNT, hand_rope, 0},
    {"q4 matvec", "q4_matvec", {ROWS * 32, 1, 1}, {32, 1, 1}, 4, DIM, ROWS, hand_q4, 0},
    {"gemm of 1024",
     "gemm",
     {SIDE, SIDE / 32, 1},
     {32, 1, 1},
     3,
     SIDE,
     SIDE *SIDE,
     NULL,
     2.0 * SIDE *SIDE *SIDE},
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *samples, int count)
{
    qsort(samples, (size_t)count, sizeof *samples, ascending);
    return samples[count / 2];
}

static float *allocate(size_t count, float low, float high, uint32_t seed)
{
    float *memory = aligned_alloc(2 << 20, (count * sizeof *memory + (2 << 20) - 1) >> 21 << 21);
    if (!memory) exit(1);
    madvise(memory, count * sizeof *memory, MADV_HUGEPAGE);
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        memory[i] = low + (high - low) * (float)(seed >> 8) / 16777216.0f;
    }
    return memory;
}

static void must(smelt_status status)
{
    if (status == SMELT_OK) return;
    fprintf(stderr, "bench_metal: %s\n", smelt_last_error());
    exit(1);
}

static void run_kernel(smelt_metal_function *f, const struct bench_case *c, const struct arrays *a)
{
    float *bound[4] = {a->x, a->weight, a->bias, a->y};
    smelt_metal_buffer buffers[4];
    smelt_metal_launch launch = SMELT_METAL_LAUNCH_INIT;
    smelt_stream stream = SMELT_STREAM_INIT;
    smelt_metal_bytes bytes = {(uint32_t)c->buffers, &c->count, sizeof c->count};
    for (int k = 0; k < c->buffers; k++)
        buffers[k] = (smelt_metal_buffer){(uint32_t)k, NULL, k == c->buffers - 1 ? a->y : bound[k],
                                          (size_t)COUNT * sizeof(float)};
    memcpy(launch.grid, c->grid, sizeof launch.grid);
    memcpy(launch.threadgroup, c->threadgroup, sizeof launch.threadgroup);
    launch.buffers = buffers, launch.buffer_count = (size_t)c->buffers;
    launch.bytes = &bytes, launch.bytes_count = c->count != 0;
    stream.num_threads = 1;
    must(smelt_metal_dispatch(f, &launch, &stream));
}

/* The largest difference, relative to the largest number. */
static double difference(const struct bench_case *c, const struct arrays *a)
{
    double most = 0, size = 0;
    for (int64_t i = 0; i < c->outputs; i++) {
        most = fmax(most, fabs((double)a->y[i] - (double)a->expected[i]));
        size = fmax(size, fabs((double)a->expected[i]));
    }
    return most / size;
}

static void measure(const struct bench_case *c, const struct metal_loops *loops, const struct arrays *a,
                    smelt_metal_library *library, const char *isa)
{
    double kernel[SAMPLES], hand[SAMPLES], begin = now();
    smelt_metal_function *f;
    int count = 0;
    must(smelt_metal_function_create(&f, library, c->kernel, NULL, 0));
    run_kernel(f, c, a);
    if (c->hand) c->hand(loops, a);
    double wrong = c->hand ? difference(c, a) : 0;
    for (begin = now(); count < SAMPLES && (count < 5 || now() - begin < SECONDS_PER_CASE); count++) {
        double start = now();
        run_kernel(f, c, a);
        double middle = now();
        double work = 0;
        if (c->hand)
            c->hand(loops, a);
        else
            work = loops->multiply_add(1 << 18);
        hand[count] = now() - middle;
        kernel[count] = middle - start;
        if (!c->hand) hand[count] *= c->flops / work; /* the same work at the peak of multiply-add */
    }
    smelt_metal_function_destroy(f);
    double ours = median(kernel, count), theirs = median(hand, count);
    printf("%-7s %-20s %9.3f ms %9.3f ms %7.2f%s\n", isa, c->name, 1e3 * ours, 1e3 * theirs, theirs / ours,
           wrong > 1e-5 ? "   WRONG"
           : c->hand    ? ""
                        : "   of the FMA peak");
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    if (!file || !text || !fread(text, 1, (1 << 20) - 1, file)) {
        fprintf(stderr, "bench_metal: cannot read %s\n", path);
        exit(1);
    }
    fclose(file);
    return text;
}

static int wanted(const char *name, int count, char **names)
{
    for (int k = 1; k < count; k++)
        if (!strcmp(names[k], name)) return 1;
    return count < 2;
}

int main(int count, char **names)
{
    static const struct {
        const char *name;
        enum smelt_isa isa;
        const struct metal_loops *loops;
    } isas[] = {
#if defined(__aarch64__)
        {"neon", SMELT_ISA_NEON, &metal_loops_neon},
#elif defined(__x86_64__)
        {"avx512", SMELT_ISA_AVX512, &metal_loops_avx512},
        {"avx2", SMELT_ISA_AVX2, &metal_loops_avx2},
#endif
    };
    struct arrays a = {allocate(COUNT, -1, 1, 1),      allocate(COUNT, 0, 0, 2),  allocate(COUNT, 0, 0, 3),
                       allocate(COUNT, 0.5f, 1.5f, 4), allocate(COUNT, -1, 1, 5), allocate(DIM, 0, 0, 6)};
    char *text = read_file(BENCH_METAL_KERNELS);
    smelt_metal_library *library;
    printf("%-7s %-20s %12s %12s %7s\n", "ISA", "kernel", "kernel", "by hand", "ratio");
    enum smelt_isa found = smelt_isa_used();
    for (size_t k = 0; k < sizeof isas / sizeof *isas; k++) {
        if (found < isas[k].isa) continue;
        smelt_isa_limit(isas[k].isa);
        must(smelt_metal_library_create(&library, text, NULL));
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            if (wanted(cases[i].kernel, count, names))
                measure(&cases[i], isas[k].loops, &a, library, isas[k].name);
        smelt_metal_library_destroy(library);
    }
    return 0;
}
