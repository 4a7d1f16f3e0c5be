/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: every operation gives the same bits for 1, 2 and 7 threads, on the caller's pool in any order, and
 * when many threads call at once. */
#include <math.h>
#include <pthread.h>

#include "unit.h"

enum {
    ROWS = 96,
    DIM = 200,
    HEADS = 4,
    KV_HEADS = 2,
    T = 70,
    S = 150,
    D = 48,
    EXPERTS = 24,
    TOP = 5,
    CALLERS = 6,
    OPERATIONS = 19
};

/* All tensors of one set of calls. Inputs are shared, outputs are per caller. */
struct outputs {
    DLTensor *row[3], *dim[2], *heads, *q, *k, *v, *lse, *ids, *weights, *logits, *scale, *sinks;
};
static DLTensor *x, *residual, *weight, *scalar, *dout, *heads, *q, *k, *v, *attended, *lse, *dattended,
    *logits, *scale, *ids, *dweights, *outs, *lses, *sinks;

static uint64_t state = 3;
static DLTensor *filled(DLTensor *tensor)
{
    int64_t count = 1;
    for (int i = 0; i < tensor->ndim; i++) count *= tensor->shape[i];
    enum smelt_dtype dtype = smelt_dtype_of(tensor->dtype);
    for (int64_t i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        smelt_store_float(dtype, (char *)tensor->data + i * smelt_dtype_size(dtype),
                          (float)(state >> 40) * 0x1p-23f - 1);
    }
    return tensor;
}

static void make_inputs(enum smelt_dtype t)
{
    x = filled(unit_tensor(t, 2, ROWS, DIM)), residual = filled(unit_tensor(t, 2, ROWS, DIM));
    weight = filled(unit_tensor(t, 1, DIM)), scalar = filled(unit_tensor(t, 1, DIM));
    dout = filled(unit_tensor(t, 2, ROWS, DIM)), heads = filled(unit_tensor(t, 4, 2, HEADS, T, D));
    q = filled(unit_tensor(t, 4, 2, HEADS, T, D)), k = filled(unit_tensor(t, 4, 2, KV_HEADS, S, D));
    v = filled(unit_tensor(t, 4, 2, KV_HEADS, S, D)), attended = unit_tensor(t, 4, 2, HEADS, T, D);
    lse = unit_tensor(SMELT_F32, 3, 2, HEADS, T), dattended = filled(unit_tensor(t, 4, 2, HEADS, T, D));
    logits = filled(unit_tensor(t, 2, ROWS, EXPERTS)), scale = filled(unit_tensor(t, 1, EXPERTS));
    ids = unit_tensor(SMELT_I32, 2, ROWS, TOP), dweights = filled(unit_tensor(SMELT_F32, 2, ROWS, TOP));
    outs = filled(unit_tensor(t, 5, 3, 2, HEADS, T, D)),
    lses = filled(unit_tensor(SMELT_F32, 4, 3, 2, HEADS, T));
    sinks = filled(unit_tensor(t, 1, HEADS));
}

static struct outputs make_outputs(enum smelt_dtype t)
{
    struct outputs o = {.heads = unit_tensor(t, 4, 2, HEADS, T, D), .q = unit_tensor(t, 4, 2, HEADS, T, D)};
    for (int i = 0; i < 3; i++) o.row[i] = unit_tensor(t, 2, ROWS, DIM);
    for (int i = 0; i < 2; i++) o.dim[i] = unit_tensor(t, 1, DIM);
    o.k = unit_tensor(t, 4, 2, KV_HEADS, S, D), o.v = unit_tensor(t, 4, 2, KV_HEADS, S, D);
    o.lse = unit_tensor(SMELT_F32, 3, 2, HEADS, T), o.ids = unit_tensor(SMELT_I32, 2, ROWS, TOP);
    o.weights = unit_tensor(SMELT_F32, 2, ROWS, TOP), o.logits = unit_tensor(t, 2, ROWS, EXPERTS);
    o.scale = unit_tensor(t, 1, EXPERTS), o.sinks = unit_tensor(t, 1, HEADS);
    return o;
}

static smelt_status run_rows(int operation, const struct outputs *o, const smelt_stream *s)
{
    switch (operation) {
    case 0: return smelt_rms_norm(o->row[0], x, weight, NULL, s);
    case 1: return smelt_layer_norm(o->row[0], x, weight, scalar, NULL, s);
    case 2: return smelt_norm_add(o->row[0], residual, x, weight, scalar, NULL, s);
    case 3: return smelt_residual_norm(o->row[0], o->row[1], residual, x, weight, scalar, NULL, s);
    case 4: return smelt_rms_norm_vjp(o->row[0], o->dim[0], x, weight, dout, NULL, s);
    case 5: return smelt_layer_norm_vjp(o->row[0], o->dim[0], o->dim[1], x, weight, dout, NULL, s);
    case 6:
        return smelt_norm_add_vjp(o->row[0], o->row[1], o->dim[0], o->dim[1], residual, x, weight, scalar,
                                  dout, NULL, s);
    case 7:
        return smelt_residual_norm_vjp(o->row[0], o->row[1], o->dim[0], o->dim[1], residual, x, weight,
                                       scalar, dout, x, NULL, s);
    case 8: return smelt_glu(o->row[0], x, residual, SMELT_GELU, s);
    default: return smelt_glu_vjp(o->row[0], o->row[1], x, residual, dout, SMELT_SILU, s);
    }
}

static smelt_status run(int operation, const struct outputs *o, const smelt_stream *s)
{
    smelt_rope_options rope = SMELT_ROPE_OPTIONS_INIT;
    smelt_sdpa_options causal = SMELT_SDPA_OPTIONS_INIT, one = SMELT_SDPA_OPTIONS_INIT;
    rope.base = 10000;
    causal.causal = 1, causal.sinks = sinks;
    DLTensor query = *q, result = *o->heads; /* the decode case: one query */
    int64_t shape[4] = {2, HEADS, 1, D};
    query.shape = result.shape = shape;
    switch (operation) {
    case 10: return smelt_rope(o->heads, heads, &rope, s);
    case 11: return smelt_rope_vjp(o->heads, heads, &rope, s);
    case 12: return smelt_sdpa(o->heads, o->lse, q, k, v, &causal, s);
    case 13: return smelt_sdpa(o->heads, NULL, q, k, v, &one, s);
    case 14: return smelt_sdpa(&result, NULL, &query, k, v, &one, s);
    case 15: return smelt_sdpa_merge(o->heads, o->lse, outs, lses, s);
    case 16:
        return smelt_sdpa_vjp(o->q, o->k, o->v, NULL, o->sinks, q, k, v, attended, lse, dattended, NULL,
                              &causal, s);
    case 17: return smelt_moe_routing(o->ids, o->weights, logits, scale, NULL, s);
    case 18: return smelt_moe_routing_vjp(o->logits, o->scale, logits, scale, ids, dweights, NULL, s);
    default: return run_rows(operation, o, s);
    }
}

/* The caller's pool: three threads that take every third task, the last first. */
struct share {
    int64_t tasks, first;
    void (*task)(void *, int64_t);
    void *argument;
};
static void *run_share(void *argument)
{
    const struct share *share = argument;
    for (int64_t i = share->tasks - 1 - share->first; i >= 0; i -= 3) share->task(share->argument, i);
    return NULL;
}
static int pool_calls;
static void pool_for(void *pool, int64_t tasks, void (*task)(void *, int64_t), void *argument)
{
    pthread_t threads[3];
    struct share shares[3];
    ++*(int *)pool;
    for (int i = 0; i < 3; i++) {
        shares[i] = (struct share){tasks, i, task, argument};
        if (pthread_create(&threads[i], NULL, run_share, &shares[i])) abort();
    }
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
}

static int same(const struct outputs *a, const struct outputs *b)
{
    DLTensor *const *left = (DLTensor *const *)a, *const *right = (DLTensor *const *)b;
    for (size_t i = 0; i < sizeof *a / sizeof(DLTensor *); i++) {
        int64_t bytes = left[i]->dtype.bits / 8;
        for (int j = 0; j < left[i]->ndim; j++) bytes *= left[i]->shape[j];
        if (memcmp(left[i]->data, right[i]->data, (size_t)bytes)) return 0;
    }
    return 1;
}

struct caller {
    struct outputs outputs;
    smelt_status status;
};
static void *call_all(void *argument)
{
    struct caller *caller = argument;
    smelt_stream stream = SMELT_STREAM_INIT;
    stream.num_threads = 2;
    for (int repeat = 0; repeat < 3; repeat++)
        for (int i = 0; i < OPERATIONS && caller->status == SMELT_OK; i++)
            caller->status = run(i, &caller->outputs, &stream);
    return NULL;
}

static void check_dtype(enum smelt_dtype dtype)
{
    static struct outputs first, other;
    static struct caller callers[CALLERS];
    pthread_t threads[CALLERS];
    smelt_stream stream = SMELT_STREAM_INIT;
    make_inputs(dtype);
    first = make_outputs(dtype), other = make_outputs(dtype);
    stream.num_threads = 1;
    smelt_sdpa_options causal = SMELT_SDPA_OPTIONS_INIT;
    causal.causal = 1, causal.sinks = sinks;
    UNIT_OK(smelt_sdpa(attended, lse, q, k, v, &causal, &stream));
    UNIT_OK(smelt_moe_routing(ids, unit_tensor(SMELT_F32, 2, ROWS, TOP), logits, scale, NULL, &stream));
    for (int i = 0; i < OPERATIONS; i++) {
        stream = (smelt_stream)SMELT_STREAM_INIT, stream.num_threads = 1;
        UNIT_OK(run(i, &first, &stream));
        for (int threads_of_call = 2; threads_of_call <= 7; threads_of_call += 5) {
            stream.num_threads = threads_of_call;
            UNIT_OK(run(i, &other, &stream));
            UNIT(same(&first, &other));
        }
        stream.parallel_for = pool_for, stream.pool = &pool_calls;
        UNIT_OK(run(i, &other, &stream));
        UNIT(same(&first, &other));
    }
    UNIT(pool_calls > OPERATIONS / 2);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){make_outputs(dtype), SMELT_OK};
        if (pthread_create(&threads[i], NULL, call_all, &callers[i])) abort();
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        UNIT(callers[i].status == SMELT_OK);
        UNIT(callers[i].status != SMELT_OK || i == 0 || same(&callers[0].outputs, &callers[i].outputs));
    }
}

int main(int argc, char **argv)
{
    check_dtype(argc > 1 && !strcmp(argv[1], "bfloat16") ? SMELT_BF16 : SMELT_F32);
    return unit_end();
}
