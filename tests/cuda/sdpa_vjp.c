/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_sdpa_vjp with device tensors against the reference: every head size that has kernels and sizes
 * between, every option, values that are not finite, repeatability, a CUDA graph's worth of options at once.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <smelt/smelt.h>

#include "ref/ref.h"
#include "support.h"

enum { kTensors = 16, kGradients = 5 };

struct gradient_case {
    const char *name;
    int64_t batch, heads, kv_heads, q_length, k_length;
    int causal, window_left, offset, lengths, key_mask, sinks, transposed;
    int mask; /* 0 none, 1 boolean, 2 floating, 3 floating with rows and batch broadcast, 4 keys alone */
    int dlse, no_dout; /* cotangents */
    float softcap;
    int hidden, seen; /* NaN in what no query sees; in a dout row and a value that only some meet */
};

static const struct gradient_case cases[] = {
    {.name = "plain", .batch = 1, .heads = 2, .kv_heads = 2, .q_length = 200, .k_length = 300},
    {.name = "one each", .batch = 2, .heads = 1, .kv_heads = 1, .q_length = 1, .k_length = 1},
    {.name = "few queries", .batch = 2, .heads = 4, .kv_heads = 2, .q_length = 5, .k_length = 270, .dlse = 1},
    {.name = "causal", .batch = 1, .heads = 2, .kv_heads = 1, .q_length = 290, .k_length = 290, .causal = 1},
    {.name = "causal, transposed",
     .batch = 2,
     .heads = 2,
     .kv_heads = 2,
     .q_length = 130,
     .k_length = 200,
     .causal = 1,
     .transposed = 1,
     .dlse = 1},
    {.name = "causal, more queries",
     .batch = 1,
     .heads = 2,
     .kv_heads = 2,
     .q_length = 260,
     .k_length = 140,
     .causal = 1},
    {.name = "causal, more queries, NaN",
     .batch = 1,
     .heads = 2,
     .kv_heads = 2,
     .q_length = 260,
     .k_length = 140,
     .causal = 1,
     .hidden = 1},
    {.name = "keys that nobody sees",
     .batch = 1,
     .heads = 4,
     .kv_heads = 2,
     .q_length = 100,
     .k_length = 300,
     .causal = 1,
     .offset = 1,
     .hidden = 1},
    {.name = "masked keys, NaN",
     .batch = 1,
     .heads = 2,
     .kv_heads = 2,
     .q_length = 70,
     .k_length = 90,
     .mask = 4,
     .hidden = 1},
    {.name = "lengths of none, NaN",
     .batch = 3,
     .heads = 2,
     .kv_heads = 1,
     .q_length = 70,
     .k_length = 200,
     .lengths = 1,
     .hidden = 1},
    {.name = "window",
     .batch = 1,
     .heads = 2,
     .kv_heads = 1,
     .q_length = 300,
     .k_length = 300,
     .causal = 1,
     .window_left = 70,
     .sinks = 1},
    {.name = "lengths",
     .batch = 3,
     .heads = 2,
     .kv_heads = 1,
     .q_length = 90,
     .k_length = 260,
     .lengths = 1,
     .causal = 1,
     .sinks = 1,
     .hidden = 1},
    {.name = "key mask",
     .batch = 2,
     .heads = 2,
     .kv_heads = 1,
     .q_length = 100,
     .k_length = 200,
     .key_mask = 1,
     .hidden = 1},
    {.name = "softcap",
     .batch = 1,
     .heads = 2,
     .kv_heads = 2,
     .q_length = 150,
     .k_length = 180,
     .causal = 1,
     .softcap = 5,
     .dlse = 1},
    {.name = "boolean mask",
     .batch = 2,
     .heads = 2,
     .kv_heads = 1,
     .q_length = 110,
     .k_length = 170,
     .mask = 1},
    {.name = "additive mask",
     .batch = 2,
     .heads = 2,
     .kv_heads = 1,
     .q_length = 110,
     .k_length = 170,
     .mask = 2,
     .sinks = 1},
    {.name = "additive mask, broadcast",
     .batch = 2,
     .heads = 2,
     .kv_heads = 2,
     .q_length = 110,
     .k_length = 170,
     .mask = 3},
    {.name = "mask of keys",
     .batch = 2,
     .heads = 4,
     .kv_heads = 2,
     .q_length = 70,
     .k_length = 90,
     .mask = 4},
    {.name = "everything",
     .batch = 2,
     .heads = 4,
     .kv_heads = 2,
     .q_length = 140,
     .k_length = 150,
     .causal = 1,
     .window_left = 90,
     .key_mask = 1,
     .sinks = 1,
     .mask = 2,
     .softcap = 10,
     .lengths = 1,
     .dlse = 1},
    {.name = "dlse alone",
     .batch = 1,
     .heads = 2,
     .kv_heads = 1,
     .q_length = 80,
     .k_length = 100,
     .dlse = 1,
     .no_dout = 1},
    {.name = "NaN that some meet",
     .batch = 1,
     .heads = 2,
     .kv_heads = 1,
     .q_length = 280,
     .k_length = 280,
     .causal = 1,
     .seen = 1},
};

/* A tensor on both sides; the host's is row-major in logical order, the device's may be (B, T, H, D). */
struct pair {
    DLTensor host, device;
    int64_t shape[4], host_strides[4], strides[4];
    void *memory;
    size_t bytes;
};

struct problem {
    struct pair pairs[kTensors];
    int count;
    smelt_sdpa_options host, device;
};

static int failures, runs;

static int64_t count_of(const DLTensor *tensor)
{
    int64_t count = 1;
    for (int i = 0; i < tensor->ndim; i++) count *= tensor->shape[i];
    return count;
}

/* Random normal numbers, rounded to the type; `transposed` swaps axes 1 and 2 in the device's memory. */
static struct pair *make(struct problem *problem, DLDataType type, int rank, const int64_t *shape,
                         int transposed)
{
    struct pair *pair = &problem->pairs[problem->count++];
    int64_t stride = 1, swapped = 1;
    static const int order[4] = {3, 1, 2, 0};
    memcpy(pair->shape, shape, (size_t)rank * sizeof(*shape));
    for (int i = rank - 1; i >= 0; i--) pair->host_strides[i] = stride, stride *= shape[i];
    memcpy(pair->strides, pair->host_strides, sizeof(pair->strides));
    for (int i = 0; transposed && i < 4; i++) pair->strides[order[i]] = swapped, swapped *= shape[order[i]];
    pair->bytes = (size_t)stride * type.bits / 8;
    pair->host = (DLTensor){.data = calloc(pair->bytes + 1, 1),
                            .device = {kDLCPU, 0},
                            .ndim = rank,
                            .dtype = type,
                            .shape = pair->shape,
                            .strides = pair->host_strides};
    pair->device = pair->host;
    pair->device.device = (DLDevice){kDLCUDA, 0};
    pair->device.strides = pair->strides;
    pair->memory = device_alloc(pair->bytes);
    pair->device.data = pair->memory;
    for (int64_t i = 0; type.code != kDLInt && type.code != kDLBool && i < stride; i++)
        ref_store(&pair->host, i, random_normal());
    return pair;
}

/* Between the layouts of both sides. */
static void reorder(struct pair *pair, unsigned char *device, int to_device)
{
    const size_t item = pair->host.dtype.bits / 8;
    unsigned char *host = pair->host.data;
    const int64_t count = count_of(&pair->host);
    for (int64_t flat = 0; flat < count; flat++) {
        int64_t rest = flat, at = 0;
        for (int i = pair->host.ndim - 1; i >= 0; i--)
            at += rest % pair->shape[i] * pair->strides[i], rest /= pair->shape[i];
        if (to_device)
            memcpy(device + (size_t)at * item, host + (size_t)flat * item, item);
        else
            memcpy(host + (size_t)flat * item, device + (size_t)at * item, item);
    }
}

static DLTensor *send(struct pair *pair)
{
    unsigned char *bytes = malloc(pair->bytes + 1);
    reorder(pair, bytes, 1);
    device_upload(pair->memory, bytes, pair->bytes);
    free(bytes);
    return &pair->device;
}

static void make_options(struct problem *problem, const struct gradient_case *what, DLDataType type)
{
    const int64_t keys[2] = {what->batch, what->k_length},
                  full[4] = {what->batch, what->heads, what->q_length, what->k_length};
    const int64_t partial[3] = {what->heads, 1, what->k_length};
    smelt_sdpa_options *o = &problem->host;
    *o = (smelt_sdpa_options)SMELT_SDPA_OPTIONS_INIT;
    o->causal = what->causal, o->softcap = what->softcap;
    if (what->offset) o->kv_offset = 0;
    if (what->window_left) o->window_left = what->window_left;
    problem->device = *o;
    if (what->sinks) {
        struct pair *pair = make(problem, type, 1, &what->heads, 0);
        o->sinks = &pair->host, problem->device.sinks = send(pair);
    }
    if (what->lengths) {
        struct pair *pair = make(problem, (DLDataType){kDLInt, 32, 1}, 1, &what->batch, 0);
        for (int64_t i = 0; i < what->batch; i++)
            ref_store(&pair->host, i, i ? (double)random_below((uint32_t)what->k_length + 1) : 0);
        o->kv_lengths = &pair->host, problem->device.kv_lengths = send(pair);
    }
    if (what->key_mask) {
        struct pair *pair = make(problem, (DLDataType){kDLInt, 32, 1}, 2, keys, 0);
        for (int64_t i = 0; i < what->batch * what->k_length; i++)
            ref_store(&pair->host, i, random_below(4) ? 256.0 : 0.0);
        o->key_mask = &pair->host, problem->device.key_mask = send(pair);
    }
    if (what->mask) {
        const DLDataType boolean = {kDLBool, 8, 1};
        struct pair *pair = what->mask == 3   ? make(problem, type, 3, partial, 0)
                            : what->mask == 4 ? make(problem, type, 1, &what->k_length, 0)
                                              : make(problem, what->mask == 1 ? boolean : type, 4, full, 0);
        for (int64_t i = 0; i < count_of(&pair->host); i++) {
            const int drop = random_below(3) == 0;
            if (what->mask == 1) ref_store(&pair->host, i, !drop);
            if (what->mask > 1 && drop) ref_store(&pair->host, i, -INFINITY);
        }
        o->mask = &pair->host, problem->device.mask = send(pair);
    }
}

/* Twice that of the CPU's for bfloat16: probabilities are rounded to it before they are multiplied. */
static double tolerance(DLDataType type)
{
    return type.bits == 32 ? 5e-5 : type.code == kDLBfloat ? 1.6e-2 : 2e-3;
}

static void fail(const struct gradient_case *what, DLDataType type, int64_t dim, const char *text)
{
    failures++;
    printf("FAILED %s, %s, D %lld: %s\n", what->name,
           type.bits == 32          ? "float32"
           : type.code == kDLBfloat ? "bfloat16"
                                    : "float16",
           (long long)dim, text);
    fflush(stdout);
}

static void compare(const struct gradient_case *what, int64_t dim, const char *name, struct pair *got,
                    const DLTensor *wide)
{
    const double limit = tolerance(got->host.dtype);
    double worst = 0;
    int64_t at = 0;
    unsigned char *bytes = malloc(got->bytes + 1);
    device_download(bytes, got->memory, got->bytes);
    reorder(got, bytes, 0);
    free(bytes);
    for (int64_t i = 0; i < count_of(wide); i++) {
        const double own = ref_load(&got->host, i), want = ((const double *)wide->data)[i];
        double error = fabs(own - want) / (limit * (1 + fabs(want)));
        if (want != want || isinf(want)) error = isfinite(own) ? INFINITY : 0;
        if (!(error <= worst)) worst = error == error ? error : INFINITY, at = i;
        if (worst == INFINITY) break;
    }
    if (worst <= 1) return;
    char text[160];
    snprintf(text, sizeof(text), "%s: error %.3g of tolerance, element %lld is %g, not %g", name, worst,
             (long long)at, ref_load(&got->host, at), ((const double *)wide->data)[at]);
    fail(what, got->host.dtype, dim, text);
}

/* NaN in keys and values that no query sees, and in queries that see no key with their
 * dout, on the device alone: no bit may change. */
static void hide_nan(const struct gradient_case *what, struct problem *problem, struct pair *q,
                     struct pair *k, struct pair *v, struct pair *dout, const struct pair *lse)
{
    for (int64_t row = 0; row < count_of(&lse->host); row++) {
        if (ref_load(&lse->host, row) != -INFINITY) continue;
        for (int64_t i = 0; i < q->shape[3]; i++) ref_store(&q->host, row * q->shape[3] + i, NAN);
        for (int64_t i = 0; i < v->shape[3]; i++) ref_store(&dout->host, row * v->shape[3] + i, INFINITY);
    }
    send(q), send(dout);
    const DLTensor *mask = problem->host.key_mask, *lengths = problem->host.kv_lengths;
    const int64_t keys = k->shape[2];
    for (int64_t row = 0; row < k->shape[0] * k->shape[1] * keys; row++) {
        const int64_t batch = row / keys / k->shape[1], key = row % keys;
        const int hidden = (mask && ref_load(mask, batch * keys + key) == 0) ||
                           (lengths && (double)key >= ref_load(lengths, batch)) ||
                           (what->offset && key >= what->q_length) ||
                           (what->mask == 4 && ref_load(problem->host.mask, key) == -INFINITY);
        for (int64_t i = 0; hidden && i < k->shape[3]; i++) ref_store(&k->host, row * k->shape[3] + i, NAN);
        for (int64_t i = 0; hidden && i < v->shape[3]; i++) ref_store(&v->host, row * v->shape[3] + i, NAN);
    }
    send(k);
    send(v);
}

static smelt_status call(struct problem *problem, struct pair *(*to)[kGradients], struct pair *q,
                         struct pair *k, struct pair *v, struct pair *out, struct pair *lse,
                         struct pair *dout, struct pair *dlse)
{
    DLTensor *g[kGradients];
    for (int i = 0; i < kGradients; i++) g[i] = (*to)[i] ? &(*to)[i]->device : NULL;
    const smelt_status status = smelt_sdpa_vjp(
        g[0], g[1], g[2], g[3], g[4], &q->device, &k->device, &v->device, &out->device, &lse->device,
        dout ? &dout->device : NULL, dlse ? &dlse->device : NULL, &problem->device, NULL);
    if (status == SMELT_OK) device_wait();
    return status;
}

/* A second run gives the same bits. */
static void repeat(const struct gradient_case *what, struct problem *problem, struct pair *(*to)[kGradients],
                   struct pair *q, struct pair *k, struct pair *v, struct pair *out, struct pair *lse,
                   struct pair *dout, struct pair *dlse)
{
    unsigned char *before[kGradients] = {0};
    for (int i = 0; i < kGradients; i++) {
        if (!(*to)[i]) continue;
        before[i] = malloc((*to)[i]->bytes + 1);
        device_download(before[i], (*to)[i]->memory, (*to)[i]->bytes);
        device_fill((*to)[i]->memory, 0xFF, (*to)[i]->bytes);
    }
    device_wait();
    call(problem, to, q, k, v, out, lse, dout, dlse);
    for (int i = 0; i < kGradients; i++) {
        if (!before[i]) continue;
        unsigned char *after = malloc((*to)[i]->bytes + 1);
        device_download(after, (*to)[i]->memory, (*to)[i]->bytes);
        if (memcmp(before[i], after, (*to)[i]->bytes)) fail(what, q->host.dtype, q->shape[3], "bits differ");
        free(after);
        free(before[i]);
    }
}

static void run_case(const struct gradient_case *what, DLDataType type, int64_t dim, int64_t value_dim)
{
    static const char *const names[kGradients] = {"dq", "dk", "dv", "dmask", "dsinks"};
    static struct problem problem;
    const int64_t qs[4] = {what->batch, what->heads, what->q_length, dim},
                  ks[4] = {what->batch, what->kv_heads, what->k_length, dim},
                  vs[4] = {what->batch, what->kv_heads, what->k_length, value_dim},
                  os[4] = {what->batch, what->heads, what->q_length, value_dim};
    memset(&problem, 0, sizeof(problem));
    random_seed((uint64_t)(dim * 1000 + what->q_length));
    struct pair *q = make(&problem, type, 4, qs, what->transposed),
                *k = make(&problem, type, 4, ks, what->transposed);
    struct pair *v = make(&problem, type, 4, vs, what->transposed), *out = make(&problem, type, 4, os, 0);
    struct pair *lse = make(&problem, (DLDataType){kDLFloat, 32, 1}, 3, os, 0);
    struct pair *dout = what->no_dout ? NULL : make(&problem, type, 4, os, what->transposed);
    struct pair *dlse = what->dlse ? make(&problem, lse->host.dtype, 3, os, 0) : NULL;
    make_options(&problem, what, type);
    ref_sdpa(&out->host, &lse->host, &q->host, &k->host, &v->host, &problem.host);
    if (what->seen) {
        ref_store(&dout->host, (what->q_length - 90) * value_dim + value_dim / 2, NAN);
        ref_store(&v->host, (what->k_length - 40) * value_dim, INFINITY);
    }
    send(q), send(k), send(v), send(out), send(lse);
    if (dout) send(dout);
    if (dlse) send(dlse);
    const DLTensor *like[kGradients] = {&q->host, &k->host, &v->host,
                                        what->mask > 1 ? problem.host.mask : NULL, problem.host.sinks};
    struct pair *to[kGradients];
    DLTensor wide[kGradients];
    for (int i = 0; i < kGradients; i++) {
        to[i] = like[i]
                    ? make(&problem, like[i]->dtype, like[i]->ndim, like[i]->shape, i < 3 && what->transposed)
                    : NULL;
        if (!to[i]) continue;
        device_fill(to[i]->memory, 0xFF, to[i]->bytes);
        wide[i] = to[i]->host;
        wide[i].dtype = (DLDataType){kDLFloat, 64, 1};
        wide[i].data = calloc((size_t)count_of(&wide[i]) + 1, sizeof(double));
    }
    ref_sdpa_vjp(&wide[0], &wide[1], &wide[2], to[3] ? &wide[3] : NULL, to[4] ? &wide[4] : NULL, &q->host,
                 &k->host, &v->host, &out->host, &lse->host, dout ? &dout->host : NULL,
                 dlse ? &dlse->host : NULL, &problem.host);
    runs++;
    if (call(&problem, &to, q, k, v, out, lse, dout, dlse) != SMELT_OK)
        fail(what, type, dim, smelt_last_error());
    for (int i = 0; i < kGradients; i++)
        if (to[i]) compare(what, dim, names[i], to[i], &wide[i]), free(wide[i].data);
    if (what->hidden) hide_nan(what, &problem, q, k, v, dout, lse);
    repeat(what, &problem, &to, q, k, v, out, lse, dout, dlse);
    for (int i = 0; i < problem.count; i++) {
        free(problem.pairs[i].host.data);
        device_free(problem.pairs[i].memory);
    }
}

/* Usage: no argument for every head size, or one. */
int main(int count, char **arguments)
{
    static const int64_t sizes[][2] = {{64, 64}, {96, 96}, {128, 128}, {192, 192}, {256, 256},
                                       {40, 72}, {33, 7},  {192, 128}, {300, 280}};
    const DLDataType bfloat = {kDLBfloat, 16, 1}, half = {kDLFloat, 16, 1}, single = {kDLFloat, 32, 1};
    device_start();
    const int64_t only = count > 1 ? atoi(arguments[1]) : 0;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        if (only && sizes[s][0] != only) continue;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            run_case(&cases[i], bfloat, sizes[s][0], sizes[s][1]);
            if (i % 3 == 0) run_case(&cases[i], half, sizes[s][0], sizes[s][1]);
            if (s >= 5 || sizes[s][0] == 64) run_case(&cases[i], single, sizes[s][0], sizes[s][1]);
        }
    }
    printf("sdpa_vjp: %d failed in %d runs\n", failures, runs);
    return failures != 0;
}
