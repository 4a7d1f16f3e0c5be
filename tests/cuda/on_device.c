/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of tests/check with device tensors: the whole allocation of each tensor goes to the device and
 * comes back, so that the harness sees what was written beside the elements, and to inputs. Calls take turns
 * at the default stream, a stream of their own with and without a workspace, and a CUDA graph, which is
 * replayed twice: the second time must give the same bits. Every third call has very few blocks, each of
 * which then goes over many rows, and norms take turns at the vectors of a thread and at clusters. */
#define SMELT_ON_DEVICE
#include "on_device.h"

#include <stdlib.h>
#include <string.h>

#include "../check/check.h"
#include "capture.h"
#include "cuda/norm/norm.h"

enum { ARENA = 512 << 20, WORKSPACE = 64 << 20, MOST = 24 };
enum way { DEFAULT_STREAM, OWN_STREAM, WITH_WORKSPACE, GRAPH, WAYS };

struct moved {
    struct check_tensor *of;
    char *at; /* of its allocation, on the device */
    DLTensor tensor;
};
static struct moved moved[MOST];
static int count;
static char *arena, *workspace;
static size_t used;
static CUstream stream;
static unsigned calls;

static void begin(smelt_stream *run)
{
    if (!arena) {
        arena = device_alloc(ARENA), workspace = device_alloc(WORKSPACE);
        stream = capture_stream();
    }
    count = 0, used = 0;
    smelt_cuda_most_blocks = calls % 3 ? 0 : 1 + calls % 2;
    smelt_norm_tuning = (struct smelt_norm_tuning){.vectors = calls % 5 < 2 ? 1 + (int)(calls % 5) : 0,
                                                   .cluster = calls % 7 ? 0 : 2};
    *run = (smelt_stream)SMELT_STREAM_INIT;
    const enum way way = calls % WAYS;
    if (way != DEFAULT_STREAM) run->cuda_stream = stream;
    if (way == WITH_WORKSPACE) run->workspace = workspace, run->workspace_size = WORKSPACE;
}

static DLTensor *move(const DLTensor *tensor)
{
    if (!tensor) return NULL;
    struct check_tensor *of = (struct check_tensor *)(uintptr_t)tensor; /* its first member */
    for (int i = 0; i < count; i++)
        if (moved[i].of == of) return &moved[i].tensor;
    if (count == MOST) abort();
    struct moved *m = &moved[count++];
    m->of = of;
    m->at = arena + used + (uintptr_t)of->memory % 256;
    used = (size_t)(m->at - arena) + (of->size + 511) / 256 * 256;
    if (used > ARENA) abort();
    m->tensor = of->tensor;
    m->tensor.device = (DLDevice){kDLCUDA, 0};
    m->tensor.data = m->at + ((char *)of->tensor.data - (char *)of->memory);
    return &m->tensor;
}

static void upload(void)
{
    for (int i = 0; i < count; i++) device_upload(moved[i].at, moved[i].of->memory, moved[i].of->size);
    device_fill(workspace, 0xFF, WORKSPACE); /* NaN */
    device_wait();
    if (calls % WAYS == GRAPH) capture_begin(stream);
}

static void download(unsigned char *copies[])
{
    device_wait();
    for (int i = 0; i < count; i++)
        device_download(copies ? copies[i] : moved[i].of->memory, moved[i].at, moved[i].of->size);
}

/* Replays, keeps the results, starts again from the same contents, replays. */
static smelt_status finish_graph(smelt_status status)
{
    unsigned char *copies[MOST];
    CUgraphExec graph = capture_end(stream);
    capture_replay(graph, stream);
    for (int i = 0; i < count; i++) copies[i] = malloc(moved[i].of->size);
    download(copies);
    for (int i = 0; i < count; i++) device_upload(moved[i].at, moved[i].of->memory, moved[i].of->size);
    device_wait();
    capture_replay(graph, stream);
    download(NULL);
    for (int i = 0; i < count; i++) {
        if (memcmp(copies[i], moved[i].of->memory, moved[i].of->size)) {
            printf("FAILED tensor %d: two replays of a graph differ\n", i);
            exit(1);
        }
        free(copies[i]);
    }
    capture_destroy(graph);
    return status;
}

static smelt_status end(smelt_status status)
{
    const enum way way = calls++ % WAYS;
    if (way == GRAPH) return finish_graph(status);
    download(NULL);
    return status;
}

/* Tensors are moved first; then the call is made with the copies. */
#define MOVE(...)                                                                                            \
    smelt_stream run;                                                                                        \
    begin(&run);                                                                                             \
    const DLTensor *const all[] = {__VA_ARGS__};                                                             \
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) move(all[i]);                                    \
    upload();                                                                                                \
    (void)ignored

smelt_status device_rms_norm(DLTensor *out, const DLTensor *x, const DLTensor *weight,
                             const smelt_norm_options *options, const smelt_stream *ignored)
{
    MOVE(out, x, weight);
    return end(smelt_rms_norm(move(out), move(x), move(weight), options, &run));
}

smelt_status device_rms_norm_vjp(DLTensor *dx, DLTensor *dweight, const DLTensor *x, const DLTensor *weight,
                                 const DLTensor *dout, const smelt_norm_options *options,
                                 const smelt_stream *ignored)
{
    MOVE(dx, dweight, x, weight, dout);
    return end(smelt_rms_norm_vjp(move(dx), move(dweight), move(x), move(weight), move(dout), options, &run));
}

smelt_status device_layer_norm(DLTensor *out, const DLTensor *x, const DLTensor *weight, const DLTensor *bias,
                               const smelt_norm_options *options, const smelt_stream *ignored)
{
    MOVE(out, x, weight, bias);
    return end(smelt_layer_norm(move(out), move(x), move(weight), move(bias), options, &run));
}

smelt_status device_layer_norm_vjp(DLTensor *dx, DLTensor *dweight, DLTensor *dbias, const DLTensor *x,
                                   const DLTensor *weight, const DLTensor *dout,
                                   const smelt_norm_options *options, const smelt_stream *ignored)
{
    MOVE(dx, dweight, dbias, x, weight, dout);
    return end(smelt_layer_norm_vjp(move(dx), move(dweight), move(dbias), move(x), move(weight), move(dout),
                                    options, &run));
}

smelt_status device_norm_add(DLTensor *out, const DLTensor *residual, const DLTensor *x,
                             const DLTensor *weight, const DLTensor *scalar,
                             const smelt_norm_options *options, const smelt_stream *ignored)
{
    MOVE(out, residual, x, weight, scalar);
    return end(smelt_norm_add(move(out), move(residual), move(x), move(weight), move(scalar), options, &run));
}

smelt_status device_norm_add_vjp(DLTensor *dresidual, DLTensor *dx, DLTensor *dweight, DLTensor *dscalar,
                                 const DLTensor *residual, const DLTensor *x, const DLTensor *weight,
                                 const DLTensor *scalar, const DLTensor *dout,
                                 const smelt_norm_options *options, const smelt_stream *ignored)
{
    MOVE(dresidual, dx, dweight, dscalar, residual, x, weight, scalar, dout);
    return end(smelt_norm_add_vjp(move(dresidual), move(dx), move(dweight), move(dscalar), move(residual),
                                  move(x), move(weight), move(scalar), move(dout), options, &run));
}

smelt_status device_residual_norm(DLTensor *out, DLTensor *sum, const DLTensor *residual, const DLTensor *x,
                                  const DLTensor *weight, const DLTensor *scalar,
                                  const smelt_norm_options *options, const smelt_stream *ignored)
{
    MOVE(out, sum, residual, x, weight, scalar);
    return end(smelt_residual_norm(move(out), move(sum), move(residual), move(x), move(weight), move(scalar),
                                   options, &run));
}

smelt_status device_residual_norm_vjp(DLTensor *dresidual, DLTensor *dx, DLTensor *dweight, DLTensor *dscalar,
                                      const DLTensor *residual, const DLTensor *x, const DLTensor *weight,
                                      const DLTensor *scalar, const DLTensor *dout, const DLTensor *dsum,
                                      const smelt_norm_options *options, const smelt_stream *ignored)
{
    MOVE(dresidual, dx, dweight, dscalar, residual, x, weight, scalar, dout, dsum);
    return end(smelt_residual_norm_vjp(move(dresidual), move(dx), move(dweight), move(dscalar),
                                       move(residual), move(x), move(weight), move(scalar), move(dout),
                                       move(dsum), options, &run));
}

typedef smelt_status rope_function(DLTensor *, const DLTensor *, const smelt_rope_options *,
                                   const smelt_stream *);

static smelt_status rope(rope_function *function, DLTensor *out, const DLTensor *x,
                         const smelt_rope_options *options, const smelt_stream *ignored)
{
    MOVE(out, x, options->offsets, options->positions, options->freqs, options->inverse_freqs);
    smelt_rope_options copy = *options;
    copy.offsets = move(options->offsets), copy.positions = move(options->positions);
    copy.freqs = move(options->freqs), copy.inverse_freqs = move(options->inverse_freqs);
    return end(function(move(out), move(x), &copy, &run));
}

smelt_status device_rope(DLTensor *out, const DLTensor *x, const smelt_rope_options *options,
                         const smelt_stream *ignored)
{
    return rope(smelt_rope, out, x, options, ignored);
}

smelt_status device_rope_vjp(DLTensor *dx, const DLTensor *dout, const smelt_rope_options *options,
                             const smelt_stream *ignored)
{
    return rope(smelt_rope_vjp, dx, dout, options, ignored);
}

smelt_status device_glu(DLTensor *out, const DLTensor *gate, const DLTensor *up, smelt_activation activation,
                        const smelt_stream *ignored)
{
    MOVE(out, gate, up);
    return end(smelt_glu(move(out), move(gate), move(up), activation, &run));
}

smelt_status device_glu_vjp(DLTensor *dgate, DLTensor *dup, const DLTensor *gate, const DLTensor *up,
                            const DLTensor *dout, smelt_activation activation, const smelt_stream *ignored)
{
    MOVE(dgate, dup, gate, up, dout);
    return end(smelt_glu_vjp(move(dgate), move(dup), move(gate), move(up), move(dout), activation, &run));
}

smelt_status device_moe_routing(DLTensor *ids, DLTensor *weights, const DLTensor *logits,
                                const DLTensor *scale, const smelt_moe_options *options,
                                const smelt_stream *ignored)
{
    MOVE(ids, weights, logits, scale);
    return end(smelt_moe_routing(move(ids), move(weights), move(logits), move(scale), options, &run));
}

smelt_status device_moe_routing_vjp(DLTensor *dlogits, DLTensor *dscale, const DLTensor *logits,
                                    const DLTensor *scale, const DLTensor *ids, const DLTensor *dweights,
                                    const smelt_moe_options *options, const smelt_stream *ignored)
{
    MOVE(dlogits, dscale, logits, scale, ids, dweights);
    return end(smelt_moe_routing_vjp(move(dlogits), move(dscale), move(logits), move(scale), move(ids),
                                     move(dweights), options, &run));
}

/* The options with their tensors on the device; after the tensors have been moved. */
static smelt_sdpa_options sdpa_options(const smelt_sdpa_options *options)
{
    smelt_sdpa_options copy = *options;
    copy.mask = move(options->mask), copy.key_mask = move(options->key_mask);
    copy.sinks = move(options->sinks);
    copy.kv_lengths = move(options->kv_lengths), copy.kv_offsets = move(options->kv_offsets);
    return copy;
}

smelt_status device_sdpa(DLTensor *out, DLTensor *lse, const DLTensor *q, const DLTensor *k,
                         const DLTensor *v, const smelt_sdpa_options *options, const smelt_stream *ignored)
{
    static const smelt_sdpa_options defaults = SMELT_SDPA_OPTIONS_INIT;
    const smelt_sdpa_options *o = options ? options : &defaults;
    MOVE(out, lse, q, k, v, o->mask, o->key_mask, o->sinks, o->kv_lengths, o->kv_offsets);
    const smelt_sdpa_options copy = sdpa_options(o);
    return end(smelt_sdpa(move(out), move(lse), move(q), move(k), move(v), &copy, &run));
}

smelt_status device_sdpa_vjp(DLTensor *dq, DLTensor *dk, DLTensor *dv, DLTensor *dmask, DLTensor *dsinks,
                             const DLTensor *q, const DLTensor *k, const DLTensor *v, const DLTensor *out,
                             const DLTensor *lse, const DLTensor *dout, const DLTensor *dlse,
                             const smelt_sdpa_options *options, const smelt_stream *ignored)
{
    static const smelt_sdpa_options defaults = SMELT_SDPA_OPTIONS_INIT;
    const smelt_sdpa_options *o = options ? options : &defaults;
    MOVE(dq, dk, dv, dmask, dsinks, q, k, v, out, lse, dout, dlse, o->mask, o->key_mask, o->sinks,
         o->kv_lengths, o->kv_offsets);
    const smelt_sdpa_options copy = sdpa_options(o);
    return end(smelt_sdpa_vjp(move(dq), move(dk), move(dv), move(dmask), move(dsinks), move(q), move(k),
                              move(v), move(out), move(lse), move(dout), move(dlse), &copy, &run));
}

smelt_status device_sdpa_merge(DLTensor *out, DLTensor *lse, const DLTensor *outs, const DLTensor *lses,
                               const smelt_stream *ignored)
{
    MOVE(out, lse, outs, lses);
    return end(smelt_sdpa_merge(move(out), move(lse), move(outs), move(lses), &run));
}
