/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_sdpa (and its gradient) with device tensors: against the reference, inside a CUDA graph, with the
 * caller's workspace, and the errors of wrong memory. */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <smelt/smelt.h>

#include "ref/ref.h"
#include "support.h"

enum { kBatch = 2, kHeads = 4, kHeadsKv = 2, kMaxElements = 1 << 19 };

static int failures;

static void expect(int condition, const char *what)
{
    if (condition) return;
    failures++;
    printf("FAILED %s (%s)\n", what, smelt_last_error());
}

/* A float tensor (B, H, T, D) and its copy on the device; on the device laid out (B, T, H, D). */
struct pair {
    int64_t shape[4], strides[4];
    float *host;
    DLTensor reference, device;
};

static void make(struct pair *pair, int64_t heads, int64_t length, int64_t dim)
{
    const int64_t shape[4] = {kBatch, heads, length, dim},
                  strides[4] = {length * heads * dim, dim, heads * dim, 1};
    memcpy(pair->shape, shape, sizeof(shape));
    memcpy(pair->strides, strides, sizeof(strides));
    const size_t bytes = sizeof(float) * (size_t)(kBatch * heads * length * dim);
    pair->host = malloc(bytes);
    for (size_t i = 0; i < bytes / sizeof(float); i++) pair->host[i] = random_normal();
    pair->reference = (DLTensor){.data = pair->host,
                                 .device = {kDLCPU, 0},
                                 .ndim = 4,
                                 .dtype = {kDLFloat, 32, 1},
                                 .shape = pair->shape,
                                 .strides = pair->strides};
    pair->device = pair->reference;
    pair->device.device = (DLDevice){kDLCUDA, 0};
    pair->device.data = device_alloc(bytes);
    device_upload(pair->device.data, pair->host, bytes);
}

static void drop(struct pair *pair)
{
    free(pair->host);
    device_free(pair->device.data);
}

/* Replaces the data on both sides by what bfloat16 holds of it; the device then has bfloat16. */
static void to_bfloat(struct pair *pair)
{
    const size_t count = (size_t)(pair->shape[0] * pair->shape[1] * pair->shape[2] * pair->shape[3]);
    uint16_t *bits = malloc(2 * count);
    for (size_t i = 0; i < count; i++) {
        bits[i] = bits_from_float(pair->host[i], 1);
        pair->host[i] = float_from_bits(bits[i], 1);
    }
    device_upload(pair->device.data, bits, 2 * count);
    pair->device.dtype = (DLDataType){kDLBfloat, 16, 1};
    free(bits);
}

static double worst(const struct pair *got, int bfloat)
{
    const size_t count = (size_t)(got->shape[0] * got->shape[1] * got->shape[2] * got->shape[3]);
    void *copy = malloc(4 * count);
    device_download(copy, got->device.data, (bfloat ? 2 : 4) * count);
    double error = 0;
    for (size_t i = 0; i < count; i++) {
        const float value = bfloat ? float_from_bits(((uint16_t *)copy)[i], 1) : ((float *)copy)[i];
        const double own = fabs((double)value - got->host[i]) / (1 + fabs((double)got->host[i]));
        error = fmax(error, own == own ? own : INFINITY);
    }
    free(copy);
    return error;
}

typedef CUresult (*capture_function)(CUstream, CUstreamCaptureMode);
typedef CUresult (*end_function)(CUstream, CUgraph *);
typedef CUresult (*instantiate_function)(CUgraphExec *, CUgraph, unsigned long long);
typedef CUresult (*graph_function)(CUgraphExec, CUstream);
typedef CUresult (*stream_function)(CUstream *, unsigned);

typedef void (*any_function)(void);

static any_function symbol(const char *name)
{
    void *found = dlsym(dlopen("libcuda.so.1", RTLD_NOW), name);
    any_function function;
    memcpy(&function, &found, sizeof(function));
    return function;
}

/* Captures work of `issue`, and replays it twice. */
static void capture(smelt_status (*issue)(void *argument, const smelt_stream *stream), void *argument,
                    void (*spoil)(void *argument))
{
    CUstream stream;
    CUgraph graph;
    CUgraphExec executable;
    device_check(((stream_function)symbol("cuStreamCreate"))(&stream, CU_STREAM_NON_BLOCKING), "stream");
    device_check(((capture_function)symbol("cuStreamBeginCapture_v2"))(stream, CU_STREAM_CAPTURE_MODE_GLOBAL),
                 "capture");
    smelt_stream run = SMELT_STREAM_INIT;
    run.cuda_stream = stream;
    expect(issue(argument, &run) == SMELT_OK, "captured call");
    device_check(((end_function)symbol("cuStreamEndCapture"))(stream, &graph), "end of capture");
    device_check(((instantiate_function)symbol("cuGraphInstantiateWithFlags"))(&executable, graph, 0),
                 "graph");
    spoil(argument);
    device_wait();
    for (int i = 0; i < 2; i++)
        device_check(((graph_function)symbol("cuGraphLaunch"))(executable, stream), "replay");
    device_wait();
}

struct forward {
    struct pair *out, *q, *k, *v;
};

static smelt_status issue_forward(void *argument, const smelt_stream *stream)
{
    const struct forward *f = argument;
    return smelt_sdpa(&f->out->device, NULL, &f->q->device, &f->k->device, &f->v->device, NULL, stream);
}

static void spoil_forward(void *argument)
{
    device_fill(((const struct forward *)argument)->out->device.data, 0xFF, 64);
}

/* One call, captured and replayed. */
static void check_graph(struct pair *out, struct pair *q, struct pair *k, struct pair *v, int bfloat,
                        double limit)
{
    struct forward forward = {out, q, k, v};
    capture(issue_forward, &forward, spoil_forward);
    expect(worst(out, bfloat) <= limit, "replayed graph");
}

enum { kQ, kK, kV, kOut, kDout, kDq, kDk, kDv, kTensors };

struct backward {
    struct pair pairs[kTensors];
    DLTensor lse;
};

static smelt_status issue_backward(void *argument, const smelt_stream *stream)
{
    struct backward *b = argument;
    struct pair *p = b->pairs;
    return smelt_sdpa_vjp(&p[kDq].device, &p[kDk].device, &p[kDv].device, NULL, NULL, &p[kQ].device,
                          &p[kK].device, &p[kV].device, &p[kOut].device, &b->lse, &p[kDout].device, NULL,
                          NULL, stream);
}

static void spoil_backward(void *argument)
{
    struct backward *b = argument;
    for (int i = kDq; i < kTensors; i++) device_fill(b->pairs[i].device.data, 0xFF, 64);
}

/* The gradient, captured before its kernels were ever loaded, and then called. */
static void check_gradient(int bfloat)
{
    struct backward b;
    int64_t shape[3] = {kBatch, kHeads, 200};
    for (int i = 0; i < kTensors; i++) {
        const int keys = i == kK || i == kV || i == kDk || i == kDv;
        make(&b.pairs[i], keys ? kHeadsKv : kHeads, keys ? 300 : 200, 128);
        if (bfloat) to_bfloat(&b.pairs[i]);
    }
    b.lse = (DLTensor){.data = device_alloc(sizeof(float) * kBatch * kHeads * 200),
                       .device = {kDLCUDA, 0},
                       .ndim = 3,
                       .dtype = {kDLFloat, 32, 1},
                       .shape = shape};
    expect(smelt_sdpa(&b.pairs[kOut].device, &b.lse, &b.pairs[kQ].device, &b.pairs[kK].device,
                      &b.pairs[kV].device, NULL, NULL) == SMELT_OK,
           "forward");
    capture(issue_backward, &b, spoil_backward);
    for (int i = kDq; i < kTensors; i++) { /* the replay's bits are the reference of the call */
        const size_t count = (size_t)(kBatch * b.pairs[i].shape[1] * b.pairs[i].shape[2] * 128);
        uint16_t *bits = malloc(4 * count);
        device_download(bits, b.pairs[i].device.data, (bfloat ? 2 : 4) * count);
        for (size_t j = 0; j < count; j++)
            b.pairs[i].host[j] =
                bfloat ? float_from_bits(bits[j], 1) : ((const float *)(const void *)bits)[j];
        free(bits);
    }
    spoil_backward(&b);
    expect(issue_backward(&b, NULL) == SMELT_OK, "gradient");
    device_wait();
    for (int i = kDq; i < kTensors; i++) expect(worst(&b.pairs[i], bfloat) == 0, "gradient and its replay");
    for (int i = 0; i < kTensors; i++) drop(&b.pairs[i]);
    device_free(b.lse.data);
}

static void check_shape(int64_t q_length, int64_t k_length, int64_t dim, int bfloat)
{
    struct pair q, k, v, out;
    const double limit = bfloat ? 5e-3 : 2e-5;
    make(&q, kHeads, q_length, dim);
    make(&k, kHeadsKv, k_length, dim);
    make(&v, kHeadsKv, k_length, dim);
    make(&out, kHeads, q_length, dim);
    if (bfloat) to_bfloat(&q), to_bfloat(&k), to_bfloat(&v), to_bfloat(&out);
    smelt_sdpa_options options = SMELT_SDPA_OPTIONS_INIT;
    ref_sdpa(&out.reference, NULL, &q.reference, &k.reference, &v.reference, &options);
    expect(smelt_sdpa(&out.device, NULL, &q.device, &k.device, &v.device, &options, NULL) == SMELT_OK,
           "call");
    device_wait();
    char what[128];
    snprintf(what, sizeof(what), "q %lld, k %lld, D %lld, %s: error %.2e", (long long)q_length,
             (long long)k_length, (long long)dim, bfloat ? "bfloat16" : "float32", worst(&out, bfloat));
    expect(worst(&out, bfloat) <= limit, what);
    size_t bytes = 0;
    expect(smelt_sdpa_workspace_size(&bytes, &out.device, NULL, &q.device, &k.device, &v.device, NULL,
                                     NULL) == SMELT_OK,
           "workspace size");
    smelt_stream run = SMELT_STREAM_INIT;
    run.workspace = device_alloc(bytes + 256), run.workspace_size = bytes;
    device_fill(out.device.data, 0xFF, 64);
    expect(smelt_sdpa(&out.device, NULL, &q.device, &k.device, &v.device, NULL, &run) == SMELT_OK,
           "workspace");
    device_wait();
    expect(worst(&out, bfloat) <= limit, "with a workspace");
    device_free(run.workspace);
    check_graph(&out, &q, &k, &v, bfloat, limit);
    DLTensor wrong = k.device;
    wrong.data = k.host;
    expect(smelt_sdpa(&out.device, NULL, &q.device, &wrong, &v.device, NULL, NULL) == SMELT_INVALID_ARGUMENT,
           "a host pointer is refused");
    struct pair in_place = out;
    in_place.device = q.device;
    expect(smelt_sdpa(&q.device, NULL, &q.device, &k.device, &v.device, NULL, NULL) == SMELT_OK, "in place");
    device_wait();
    expect(worst(&in_place, bfloat) <= limit, "in place");
    drop(&q), drop(&k), drop(&v), drop(&out);
}

int main(void)
{
    device_start();
    check_gradient(1);
    check_gradient(0);
    check_shape(300, 500, 128, 1);
    check_shape(1, 3000, 128, 1);
    check_shape(77, 90, 64, 0);
    check_shape(5, 1, 33, 0);
    printf("sdpa_api: %d failed\n", failures);
    return failures != 0;
}
