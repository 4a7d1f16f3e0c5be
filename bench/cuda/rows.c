/* SPDX-License-Identifier: Apache-2.0 */
/* cuda_rows [sweep] [small]: the memory-bound operations on a card, in bfloat16, beside a copy of the same
 * run; with `sweep` every way of spreading rows over the card, with `small` few rows by replay of a CUDA
 * graph. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <smelt/smelt.h>

#include "../../src/cuda/norm/norm.h"
#include "../../tests/cuda/capture.h"

enum { MOST_BYTES = 1 << 28, BUFFERS = 6, REPEATS = 15, GRAPH_CALLS = 100 };

static char *buffers[BUFFERS], *column;
static double copy_rate; /* GB/s */

struct shape {
    int64_t rows, dim;
};

typedef smelt_status operation(const struct shape *, const smelt_stream *);

static DLTensor tensor(int buffer, const struct shape *s, int64_t *sizes)
{
    sizes[0] = s->rows, sizes[1] = s->dim;
    return (DLTensor){.data = buffers[buffer],
                      .device = {kDLCUDA, 0},
                      .ndim = 2,
                      .dtype = {kDLBfloat, 16, 1},
                      .shape = sizes};
}
static DLTensor vector(int64_t at, const struct shape *s, int64_t *sizes)
{
    sizes[0] = s->dim;
    return (DLTensor){.data = column + at * (1 << 20),
                      .device = {kDLCUDA, 0},
                      .ndim = 1,
                      .dtype = {kDLBfloat, 16, 1},
                      .shape = sizes};
}

#define TENSORS                                                                                              \
    int64_t sizes[2];                                                                                        \
    DLTensor b0 = tensor(0, s, sizes), b1 = tensor(1, s, sizes), b2 = tensor(2, s, sizes),                   \
             b3 = tensor(3, s, sizes), b4 = tensor(4, s, sizes);                                             \
    int64_t length[1];                                                                                       \
    DLTensor w = vector(0, s, length), bias = vector(1, s, length), dw = vector(2, s, length),               \
             db = vector(3, s, length);                                                                      \
    (void)b0, (void)b1, (void)b2, (void)b3, (void)b4, (void)w, (void)bias, (void)dw, (void)db

static smelt_status rms_norm(const struct shape *s, const smelt_stream *stream)
{
    TENSORS;
    return smelt_rms_norm(&b1, &b0, &w, NULL, stream);
}
static smelt_status layer_norm(const struct shape *s, const smelt_stream *stream)
{
    TENSORS;
    return smelt_layer_norm(&b1, &b0, &w, &bias, NULL, stream);
}
static smelt_status norm_add(const struct shape *s, const smelt_stream *stream)
{
    TENSORS;
    return smelt_norm_add(&b2, &b1, &b0, &w, NULL, NULL, stream);
}
static smelt_status residual_norm(const struct shape *s, const smelt_stream *stream)
{
    TENSORS;
    return smelt_residual_norm(&b2, &b3, &b1, &b0, &w, NULL, NULL, stream);
}
static smelt_status rms_norm_vjp(const struct shape *s, const smelt_stream *stream)
{
    TENSORS;
    return smelt_rms_norm_vjp(&b2, &dw, &b0, &w, &b1, NULL, stream);
}
static smelt_status layer_norm_vjp(const struct shape *s, const smelt_stream *stream)
{
    TENSORS;
    return smelt_layer_norm_vjp(&b2, &dw, &db, &b0, &w, &b1, NULL, stream);
}
static smelt_status norm_add_vjp(const struct shape *s, const smelt_stream *stream)
{
    TENSORS;
    return smelt_norm_add_vjp(&b2, &b3, &dw, NULL, &b4, &b0, &w, NULL, &b1, NULL, stream);
}
static smelt_status residual_norm_vjp(const struct shape *s, const smelt_stream *stream)
{
    TENSORS;
    return smelt_residual_norm_vjp(NULL, &b2, &dw, NULL, &b4, &b0, &w, NULL, &b1, &b3, NULL, stream);
}

/* `streams`: tensors of full size that are read or written. norm_add's gradient needs the residual for
 * dscalar alone. */
static const struct {
    const char *name;
    operation *run;
    int streams, gradient, vectors; /* the last: of a thread, at most */
} operations[] = {
    {"rms_norm", rms_norm, 2, 0, 8},         {"layer_norm", layer_norm, 2, 0, 8},
    {"norm_add", norm_add, 3, 0, 4},         {"residual_norm", residual_norm, 4, 0, 4},
    {"rms_norm_vjp", rms_norm_vjp, 3, 1, 2}, {"layer_norm_vjp", layer_norm_vjp, 3, 1, 2},
    {"norm_add_vjp", norm_add_vjp, 4, 1, 2}, {"residual_norm_vjp", residual_norm_vjp, 5, 1, 2},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

struct timed {
    operation *run;
    struct shape shape;
};
static void call(void *argument)
{
    const struct timed *t = argument;
    const smelt_status status = t->run(&t->shape, NULL);
    if (status == SMELT_OK) return;
    printf("FAILED %s\n", smelt_last_error());
    exit(1);
}
static void copy(void *argument)
{
    (void)argument;
    device_check(smelt_cuda_driver()->MemcpyDtoDAsync((CUdeviceptr)(uintptr_t)buffers[1],
                                                      (CUdeviceptr)(uintptr_t)buffers[0], MOST_BYTES, NULL),
                 "copy");
}

static double rate(int op, int64_t dim)
{
    struct timed t = {operations[op].run, {MOST_BYTES / 2 / dim, dim}};
    const double bytes = (double)operations[op].streams * MOST_BYTES;
    return bytes / device_time(call, &t, REPEATS) * 1e-6;
}

/* The three fastest ways of one shape. */
static void sweep(int op, int64_t dim)
{
    static const int ways[] = {-1, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16};
    struct {
        struct smelt_norm_tuning tuning;
        double rate;
    } best[3] = {0};
    for (int vectors = 1; vectors <= operations[op].vectors; vectors *= 2)
        for (int cluster = 0; cluster <= (dim >= 16384 ? 8 : 0); cluster = cluster ? 2 * cluster : 2)
            for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
                smelt_norm_tuning = (struct smelt_norm_tuning){vectors, 0, cluster, ways[i]};
                if (operations[op].gradient && ways[i] < 0) continue;
                const double found = rate(op, dim);
                for (int k = 0; k < 3; k++) {
                    if (found <= best[k].rate) continue;
                    for (int j = 2; j > k; j--) best[j] = best[j - 1];
                    best[k].tuning = smelt_norm_tuning, best[k].rate = found;
                    break;
                }
            }
    for (int k = 0; k < 3; k++)
        printf("  v%d c%d b%d %.3f", best[k].tuning.vectors, best[k].tuning.cluster, best[k].tuning.blocks,
               best[k].rate / copy_rate);
    smelt_norm_tuning = (struct smelt_norm_tuning){0};
}

static void large(int with_sweep)
{
    for (int op = 0; op < OPERATIONS; op++)
        for (int64_t dim = 1024; dim <= 65536; dim *= 2) {
            const double found = rate(op, dim);
            smelt_cuda_streaming = 0;
            const double plain = rate(op, dim);
            smelt_cuda_streaming = 1;
            printf("%-18s %6lld x %5lld  %7.0f GB/s  %.3f of copy, %.3f with plain stores",
                   operations[op].name, (long long)(MOST_BYTES / 2 / dim), (long long)dim, found,
                   found / copy_rate, plain / copy_rate);
            if (with_sweep) sweep(op, dim);
            printf("\n");
            fflush(stdout);
        }
}

/* The operations that are no norms: bfloat16 but for the float32 logits of moe_routing. */
static DLTensor shaped(char *data, int rank, int64_t *shape, int64_t *strides, DLDataType type)
{
    return (DLTensor){.data = data,
                      .device = {kDLCUDA, 0},
                      .ndim = rank,
                      .dtype = type,
                      .shape = shape,
                      .strides = strides};
}
static const DLDataType kBfloat = {kDLBfloat, 16, 1}, kFloat = {kDLFloat, 32, 1}, kInt = {kDLInt, 32, 1};

struct other {
    int kind, traditional;
    int number; /* of the call: buffers take turns */
};
enum { ROPE, ROPE_BTHD, GLU_SILU, GLU_GELU, GLU_GELU_TANH, GLU_VJP, MOE, MERGE, OTHERS };
static const struct {
    const char *name;
    double bytes;
} others[] = {
    [ROPE] = {"rope B4 H32 T8192 D128", 2.0 * MOST_BYTES},
    [ROPE_BTHD] = {"rope B4 T8192 H32 D128", 2.0 * MOST_BYTES},
    [GLU_SILU] = {"glu silu 32768x4096", 3.0 * MOST_BYTES},
    [GLU_GELU] = {"glu gelu 32768x4096", 3.0 * MOST_BYTES},
    [GLU_GELU_TANH] = {"glu gelu_tanh 32768x4096", 3.0 * MOST_BYTES},
    [GLU_VJP] = {"glu_vjp silu 32768x4096", 5.0 * MOST_BYTES},
    [MOE] = {"moe_routing 65536x128 top 8", 65536.0 * (128 * 4 + 8 * 8)},
    [MERGE] = {"sdpa_merge 7 chunks", 8.0 / 7 * MOST_BYTES},
};

static smelt_status run_other(const struct other *o, const smelt_stream *stream)
{
    if (o->kind <= ROPE_BTHD) {
        int64_t shape[] = {4, 32, 8192, 128}, rows[] = {32 * 8192 * 128, 128, 32 * 128, 1};
        DLTensor x = shaped(buffers[0], 4, shape, o->kind == ROPE ? NULL : rows, kBfloat), out = x;
        smelt_rope_options options = SMELT_ROPE_OPTIONS_INIT;
        options.base = 1e4f, options.traditional = o->traditional, out.data = buffers[1];
        return smelt_rope(&out, &x, &options, stream);
    }
    if (o->kind <= GLU_VJP) {
        int64_t shape[] = {32768, 4096};
        DLTensor t[5];
        for (int i = 0; i < 5; i++) t[i] = shaped(buffers[i], 2, shape, NULL, kBfloat);
        if (o->kind == GLU_VJP) return smelt_glu_vjp(&t[0], &t[1], &t[2], &t[3], &t[4], SMELT_SILU, stream);
        return smelt_glu(&t[0], &t[1], &t[2], (smelt_activation)(o->kind - GLU_SILU), stream);
    }
    if (o->kind == MOE) {
        int64_t shape[] = {65536, 128}, chosen[] = {65536, 8};
        const int64_t turn = o->number % 6;
        DLTensor logits = shaped(buffers[2] + turn * (36 << 20), 2, shape, NULL, kFloat);
        DLTensor weights = shaped(buffers[3] + turn * (4 << 20), 2, chosen, NULL, kFloat), ids = weights;
        ids.data = buffers[4] + turn * (4 << 20), ids.dtype = kInt;
        return smelt_moe_routing(&ids, &weights, &logits, NULL, NULL, stream);
    }
    int64_t shape[] = {7, 1, 32, MOST_BYTES / 7 / 256 / 32, 128};
    DLTensor outs = shaped(buffers[0], 5, shape, NULL, kBfloat),
             lses = shaped(buffers[1], 4, shape, NULL, kFloat);
    DLTensor out = shaped(buffers[2], 4, shape + 1, NULL, kBfloat);
    return smelt_sdpa_merge(&out, NULL, &outs, &lses, stream);
}
static void call_other(void *argument)
{
    struct other *o = argument;
    const smelt_status status = run_other(o, NULL);
    o->number++;
    if (status == SMELT_OK) return;
    printf("FAILED %s\n", smelt_last_error());
    exit(1);
}

/* Real numbers for what is float32: the bits of two bfloat16 are none. */
static void fill_floats(void)
{
    enum { PIECE = 1 << 20 };
    static float floats[PIECE];
    for (int i = 0; i < PIECE; i++) floats[i] = random_normal();
    for (int b = 1; b <= 2; b++)
        for (int64_t at = 0; at < MOST_BYTES; at += 4 * PIECE)
            device_upload(buffers[b] + at, floats, 4 * PIECE);
}

static void large_others(void)
{
    for (int kind = 0; kind < OTHERS; kind++)
        for (int traditional = 0; traditional <= (kind <= ROPE_BTHD); traditional++) {
            struct other o = {kind, traditional, 0};
            if (kind == MOE) fill_floats();
            const double found = others[kind].bytes / device_time(call_other, &o, 30) * 1e-6;
            smelt_cuda_streaming = 0;
            const double plain = others[kind].bytes / device_time(call_other, &o, 30) * 1e-6;
            smelt_cuda_streaming = 1;
            printf("%-28s%s  %7.0f GB/s  %.3f of copy, %.3f with plain stores\n", others[kind].name,
                   traditional ? " traditional" : "", found, found / copy_rate, plain / copy_rate);
        }
}

struct replay {
    CUgraphExec graph;
};
static void replay(void *argument) { capture_replay(((struct replay *)argument)->graph, NULL); }

static double replayed(int op, const struct shape *shape, CUstream stream)
{
    smelt_stream run = SMELT_STREAM_INIT;
    run.cuda_stream = stream;
    capture_begin(stream);
    for (int i = 0; i < GRAPH_CALLS; i++)
        if (operations[op].run(shape, &run) != SMELT_OK) printf("FAILED %s\n", smelt_last_error());
    struct replay r = {capture_end(stream)};
    const double milliseconds = device_time(replay, &r, REPEATS);
    capture_destroy(r.graph);
    return milliseconds * 1e3 / GRAPH_CALLS;
}

static void small(void)
{
    static const int64_t rows[] = {1, 16, 64, 256};
    CUstream stream = capture_stream();
    for (int op = 0; op < OPERATIONS; op++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            const struct shape shape = {rows[i], 4096};
            printf("%-18s %6lld x  4096  %6.2f us", operations[op].name, (long long)rows[i],
                   replayed(op, &shape, stream));
            for (int vectors = 1; vectors <= operations[op].vectors; vectors *= 2) {
                smelt_norm_tuning = (struct smelt_norm_tuning){vectors, 0, 0, 0};
                printf("  v%d %.2f", vectors, replayed(op, &shape, stream));
            }
            smelt_norm_tuning = (struct smelt_norm_tuning){0};
            printf("\n");
            fflush(stdout);
        }
}

static void prepare(void)
{
    enum { PIECE = 1 << 20 };
    static uint16_t words[PIECE];
    random_seed(1);
    for (int i = 0; i < PIECE; i++) words[i] = bits_from_float(random_normal(), 1);
    for (int b = 0; b < BUFFERS; b++) {
        buffers[b] = device_alloc(MOST_BYTES);
        for (int64_t at = 0; at < MOST_BYTES; at += 2 * PIECE)
            device_upload(buffers[b] + at, words, 2 * PIECE);
    }
    column = device_alloc(4 << 20);
    for (int i = 0; i < 2; i++) device_upload(column + i * (1 << 20), words, 1 << 20);
}

static int asked(int argc, char **argv, const char *word)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], word)) return 1;
    return 0;
}

int main(int argc, char **argv)
{
    device_start();
    prepare();
    copy_rate = 2.0 * MOST_BYTES / device_time(copy, NULL, 50) * 1e-6;
    printf("copy %.0f GB/s\n", copy_rate);
    large(asked(argc, argv, "sweep"));
    large_others();
    if (asked(argc, argv, "small")) small();
    return 0;
}
