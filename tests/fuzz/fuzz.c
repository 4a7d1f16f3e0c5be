/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target for the argument checks of every function. Without libFuzzer (-DSMELT_FUZZ_STANDALONE) the
 * same file is a program that runs a given number of pseudo-random inputs: fuzz [RUNS] [SEED]. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"

#define RUN(f, name, ...)                                                                                    \
    do {                                                                                                     \
        fuzz_before(f);                                                                                      \
        fuzz_after(f, #name, smelt_##name(__VA_ARGS__));                                                     \
    } while (0)

static enum smelt_dtype other_dtype(struct fuzz *f)
{
    return fuzz_chance(f, 32) ? (enum smelt_dtype)(fuzz_byte(f) % SMELT_FLOAT_DTYPES) : f->dtype;
}

static void norms(struct fuzz *f)
{
    int rank = 1 + (int)(fuzz_byte(f) % 3);
    int64_t shape[3] = {fuzz_size(f), fuzz_size(f), fuzz_size(f)}, dim = shape[rank - 1], one = 1;
    unsigned which = fuzz_byte(f) % 8;
    bool single = fuzz_chance(f, 128);
    smelt_norm_options options = SMELT_NORM_OPTIONS_INIT;
    options.struct_size = fuzz_struct_size(f, sizeof options);
    options.eps = fuzz_float(f), options.weight_offset = fuzz_float(f),
    options.round_once = (int)(fuzz_byte(f) % 2);
    const DLTensor *x = fuzz_tensor(f, f->dtype, rank, shape, false),
                   *r = fuzz_tensor(f, f->dtype, rank, shape, false);
    const DLTensor *weight = fuzz_maybe(f, other_dtype(f), 1, &dim, false);
    const DLTensor *bias = fuzz_maybe(f, other_dtype(f), 1, &dim, false);
    const DLTensor *scalar = fuzz_maybe(f, other_dtype(f), 1, single ? &one : &dim, false);
    const DLTensor *dout = fuzz_tensor(f, f->dtype, rank, shape, false),
                   *dsum = fuzz_maybe(f, f->dtype, rank, shape, false);
    DLTensor *out = fuzz_tensor(f, f->dtype, rank, shape, true),
             *sum = fuzz_maybe(f, f->dtype, rank, shape, true);
    DLTensor *dweight = fuzz_maybe(f, weight ? f->dtype : SMELT_F32, 1, &dim, true),
             *dbias = fuzz_maybe(f, f->dtype, 1, &dim, true);
    const smelt_stream *stream = fuzz_stream(f);
    switch (which) {
    case 0: RUN(f, rms_norm, out, x, weight, &options, stream); break;
    case 1: RUN(f, layer_norm, out, x, weight, bias, &options, stream); break;
    case 2: RUN(f, norm_add, out, r, x, weight, scalar, &options, stream); break;
    case 3: RUN(f, residual_norm, out, sum, r, x, weight, scalar, &options, stream); break;
    case 4: RUN(f, rms_norm_vjp, out, dweight, x, weight, dout, &options, stream); break;
    case 5: RUN(f, layer_norm_vjp, out, dweight, dbias, x, weight, dout, &options, stream); break;
    case 6:
        RUN(f, norm_add_vjp, out, sum, dweight, dbias, r, x, weight, scalar, dout, &options, stream);
        break;
    default:
        RUN(f, residual_norm_vjp, out, sum, dweight, dbias, r, x, weight, scalar, dout, dsum, &options,
            stream);
    }
}

static void rope(struct fuzz *f)
{
    int64_t shape[4] = {fuzz_size(f), fuzz_size(f), fuzz_size(f), 2 * fuzz_size(f)}, half = shape[3] / 2;
    enum smelt_dtype integer = (enum smelt_dtype)(SMELT_I8 + fuzz_byte(f) % 8);
    smelt_rope_options options = SMELT_ROPE_OPTIONS_INIT;
    options.struct_size = fuzz_struct_size(f, sizeof options);
    options.dims = fuzz_chance(f, 32)   ? (int32_t)fuzz_hostile(f)
                   : fuzz_chance(f, 64) ? (int32_t)half / 2 * 2
                                        : 0;
    options.traditional = (int)(fuzz_byte(f) % 2);
    options.sequence_axis = fuzz_chance(f, 32) ? (int32_t)fuzz_hostile(f) : fuzz_chance(f, 64) ? 1 : -2;
    if (fuzz_chance(f, 160)) options.base = fuzz_chance(f, 16) ? fuzz_float(f) : 10000;
    if (fuzz_chance(f, 32)) options.scale = fuzz_float(f), options.cos_sin_scale = fuzz_float(f);
    if (fuzz_chance(f, 32)) options.offset = fuzz_hostile(f);
    if (fuzz_chance(f, 32)) options.offsets = fuzz_tensor(f, integer, 1, shape, false);
    if (fuzz_chance(f, 32))
        options.positions = fuzz_tensor(f, integer, 2, (int64_t[]){shape[0], shape[2]}, false);
    if (fuzz_chance(f, 32)) options.freqs = fuzz_tensor(f, SMELT_F32, 1, &half, false);
    if (fuzz_chance(f, 32)) options.inverse_freqs = fuzz_tensor(f, SMELT_F32, 1, &half, false);
    const DLTensor *x = fuzz_tensor(f, f->dtype, 4, shape, false);
    DLTensor *out = fuzz_tensor(f, f->dtype, 4, shape, true);
    const smelt_stream *stream = fuzz_stream(f);
    const smelt_rope_options *given = fuzz_chance(f, 4) ? NULL : &options;
    if (fuzz_chance(f, 64))
        RUN(f, rope_vjp, out, x, given, stream);
    else
        RUN(f, rope, out, x, given, stream);
}

static void glu(struct fuzz *f)
{
    int rank = (int)(fuzz_byte(f) % 4);
    int64_t shape[3] = {fuzz_size(f), fuzz_size(f), fuzz_size(f)};
    smelt_activation activation = (smelt_activation)(fuzz_chance(f, 8) ? 9 : fuzz_byte(f) % 3);
    const DLTensor *gate = fuzz_tensor(f, f->dtype, rank, shape, false),
                   *up = fuzz_tensor(f, f->dtype, rank, shape, false);
    const DLTensor *dout = fuzz_tensor(f, f->dtype, rank, shape, false);
    DLTensor *out = fuzz_tensor(f, f->dtype, rank, shape, true),
             *dup = fuzz_maybe(f, f->dtype, rank, shape, true);
    const smelt_stream *stream = fuzz_stream(f);
    if (fuzz_chance(f, 100))
        RUN(f, glu_vjp, out, dup, gate, up, dout, activation, stream);
    else
        RUN(f, glu, out, gate, up, activation, stream);
}

static void moe(struct fuzz *f)
{
    int64_t experts = fuzz_size(f), top = fuzz_chance(f, 16) ? fuzz_hostile(f) : 1 + experts / 2,
            rows = fuzz_size(f);
    int64_t in[2] = {rows, experts}, chosen[2] = {rows, top < 0 || top > 4096 ? 1 : top};
    enum smelt_dtype ids = (enum smelt_dtype)(SMELT_I32 + fuzz_byte(f) % 4);
    smelt_moe_options options = SMELT_MOE_OPTIONS_INIT;
    options.struct_size = fuzz_struct_size(f, sizeof options), options.renormalize = (int)(fuzz_byte(f) % 2);
    const DLTensor *logits = fuzz_tensor(f, f->dtype, 2, in, false),
                   *scale = fuzz_maybe(f, f->dtype, 1, &experts, false);
    bool backward = fuzz_chance(f, 100);
    DLTensor *expert_ids = fuzz_tensor(f, ids, 2, chosen, !backward),
             *weights = fuzz_tensor(f, SMELT_F32, 2, chosen, !backward);
    DLTensor *dlogits = backward ? fuzz_maybe(f, f->dtype, 2, in, true) : NULL;
    DLTensor *dscale = backward ? fuzz_maybe(f, f->dtype, 1, &experts, true) : NULL;
    const smelt_stream *stream = fuzz_stream(f);
    if (backward)
        RUN(f, moe_routing_vjp, dlogits, dscale, logits, scale, expert_ids, weights, &options, stream);
    else
        RUN(f, moe_routing, expert_ids, weights, logits, scale, &options, stream);
}

static void merge(struct fuzz *f)
{
    int64_t outs[5] = {fuzz_size(f), fuzz_size(f), fuzz_size(f), fuzz_size(f), fuzz_size(f)};
    const DLTensor *o = fuzz_tensor(f, f->dtype, 5, outs, false),
                   *l = fuzz_tensor(f, SMELT_F32, 4, outs, false);
    DLTensor *out = fuzz_tensor(f, f->dtype, 4, outs + 1, true),
             *lse = fuzz_maybe(f, SMELT_F32, 3, outs + 1, true);
    RUN(f, sdpa_merge, out, lse, o, l, fuzz_stream(f));
}

static void sdpa_options(struct fuzz *f, smelt_sdpa_options *options, const int64_t *scores, int64_t batch)
{
    options->struct_size = fuzz_struct_size(f, sizeof *options);
    if (fuzz_chance(f, 32)) options->scale = fuzz_float(f);
    options->causal = fuzz_chance(f, 100);
    if (fuzz_chance(f, 32)) options->kv_offset = fuzz_hostile(f);
    if (fuzz_chance(f, 32)) options->window_left = fuzz_hostile(f);
    if (fuzz_chance(f, 32)) options->window_right = fuzz_hostile(f);
    if (fuzz_chance(f, 32)) options->softcap = fuzz_float(f);
    int skip = (int)(fuzz_byte(f) % 5);
    enum smelt_dtype mask = fuzz_chance(f, 128) ? SMELT_BOOL : fuzz_chance(f, 16) ? SMELT_I32 : f->dtype;
    if (fuzz_chance(f, 64)) options->mask = fuzz_tensor(f, mask, 4 - skip, scores + skip, false);
    if (fuzz_chance(f, 48))
        options->key_mask = fuzz_tensor(f, SMELT_BOOL, 2, (int64_t[]){batch, scores[3]}, false);
    if (fuzz_chance(f, 48)) options->sinks = fuzz_tensor(f, f->dtype, 1, scores + 1, false);
    if (fuzz_chance(f, 24)) options->kv_lengths = fuzz_tensor(f, SMELT_I32, 1, &batch, false);
    if (fuzz_chance(f, 24)) options->kv_offsets = fuzz_tensor(f, SMELT_I32, 1, &batch, false);
}

static void sdpa(struct fuzz *f)
{
    int64_t B = fuzz_size(f), Hkv = fuzz_size(f), Hq = Hkv * (1 + fuzz_byte(f) % 3), T = fuzz_size(f),
            S = fuzz_size(f);
    int64_t D = fuzz_size(f), Dv = fuzz_chance(f, 32) ? fuzz_size(f) : D;
    int64_t q_shape[4] = {B, Hq, T, D}, k_shape[4] = {B, Hkv, S, D}, v_shape[4] = {B, Hkv, S, Dv};
    int64_t out_shape[4] = {B, Hq, T, Dv}, scores[4] = {B, Hq, T, S};
    unsigned which = fuzz_byte(f) % 4;
    bool backward = which == 0;
    smelt_sdpa_options options = SMELT_SDPA_OPTIONS_INIT;
    sdpa_options(f, &options, scores, B);
    const DLTensor *q = fuzz_tensor(f, other_dtype(f), 4, q_shape, false),
                   *k = fuzz_tensor(f, f->dtype, 4, k_shape, false);
    const DLTensor *v = fuzz_tensor(f, f->dtype, 4, v_shape, false);
    DLTensor *out = fuzz_tensor(f, f->dtype, 4, out_shape, !backward);
    DLTensor *lse = backward ? fuzz_tensor(f, SMELT_F32, 3, out_shape, false)
                             : fuzz_maybe(f, SMELT_F32, 3, out_shape, true);
    const smelt_stream *stream = fuzz_stream(f);
    if (backward) {
        const DLTensor *dout = fuzz_maybe(f, f->dtype, 4, out_shape, false),
                       *dlse = fuzz_maybe(f, SMELT_F32, 3, out_shape, false);
        DLTensor *dq = fuzz_maybe(f, f->dtype, 4, q_shape, true),
                 *dk = fuzz_maybe(f, f->dtype, 4, k_shape, true);
        DLTensor *dv = fuzz_maybe(f, f->dtype, 4, v_shape, true),
                 *dsinks = fuzz_maybe(f, f->dtype, 1, &Hq, true);
        DLTensor *dmask = fuzz_maybe(f, f->dtype, 4, scores, true);
        RUN(f, sdpa_vjp, dq, dk, dv, dmask, dsinks, q, k, v, out, lse, dout, dlse, &options, stream);
    } else if (which == 1) {
        size_t bytes = 0;
        fuzz_before(f);
        smelt_status status = smelt_sdpa_workspace_size(&bytes, out, lse, q, k, v, &options, stream);
        fuzz_after(f, "sdpa_workspace_size", status);
    } else {
        RUN(f, sdpa, out, lse, q, k, v, &options, stream);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static void (*const families[])(struct fuzz *) = {norms, norms, rope, glu, moe, merge, sdpa, sdpa};
    struct fuzz f = {.bytes = bytes, .left = size};
    for (size_t i = 0; i < FUZZ_ARENA;
         i += 2) { /* small numbers in every floating dtype, odd ones as integers */
        uint16_t value = (uint16_t)(i / 2 * 2654435761u >> 16 & 0x8fff) | 0x3000;
        memcpy(fuzz_arena + i, &value, 2);
    }
    f.dtype = (enum smelt_dtype)(fuzz_byte(&f) % SMELT_FLOAT_DTYPES);
    families[fuzz_byte(&f) % (sizeof families / sizeof *families)](&f);
    return 0;
}

#ifdef SMELT_FUZZ_STANDALONE
int main(int argc, char **argv)
{
    long runs = argc > 1 ? atol(argv[1]) : 20000;
    uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    for (long run = 0; run < runs; run++) {
        uint8_t bytes[512];
        for (size_t i = 0; i < sizeof bytes; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (uint8_t)(state >> 56);
        }
        LLVMFuzzerTestOneInput(bytes, sizeof bytes);
    }
    printf("%ld passed, 0 failed\n", runs);
    return 0;
}
#endif
