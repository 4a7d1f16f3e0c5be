/* SPDX-License-Identifier: Apache-2.0 */
/* glu and its gradient, compiled once per ISA. */
#include "cpu/glu/glu_kernel.h"

#include <smelt/glu.h>

#include "cpu/vec/math.h"

enum { UNROLL = 4 };

/* 2 sqrt(2/pi) (g + 0.044715 g^3): gelu_tanh(g) = g sigmoid(this). */
VEC vf tanh_argument(vf g)
{
    vf slope = vec_fma(vec_mul(g, g), vec_set(0x1.2444f2p-4f), vec_set(0x1.988454p+0f));
    return vec_mul(g, slope);
}
/* Its derivative. Beyond 30 it is multiplied by 0: the bound only keeps the square finite. */
VEC vf tanh_slope(vf g)
{
    vf near = vec_max(vec_set(-30.0f), vec_min(vec_set(30.0f), g));
    return vec_fma(vec_mul(near, near), vec_set(0x1.b6676cp-3f), vec_set(0x1.988454p+0f));
}

#ifdef VEC_HAS_SCALE
/* log2 of (1 - Phi(g)) / Phi(g), where Phi is the integral of the normal distribution: an odd function, to
 * 2^-13 of the result for bfloat16 and 2^-14 for float16. Below -5.8 Phi is smaller than 4e-9 and only its
 * order counts. */
VEC vf normal_odds(enum smelt_dtype t, vf g)
{
    vf size = vec_min(vec_set(5.8f), vec_abs(g)), p;
    if (t == SMELT_BF16) {
        p = vec_fma(vec_set(0x1.a3693ep-15f), size, vec_set(-0x1.1dc138p-10f));
        p = vec_fma(p, size, vec_set(0x1.192da0p-7f));
        p = vec_fma(p, size, vec_set(-0x1.66a73ep-6f));
        p = vec_fma(p, size, vec_set(-0x1.4573dep-4f));
        p = vec_fma(p, size, vec_set(-0x1.913baap-7f));
        p = vec_fma(p, size, vec_set(-0x1.267bf0p+1f));
        return vec_mul(g, p);
    }
    p = vec_fma(vec_set(-0x1.7c539ap-19f), size, vec_set(0x1.283a3ap-14f));
    p = vec_fma(p, size, vec_set(-0x1.62905ap-11f));
    p = vec_fma(p, size, vec_set(0x1.79ab1ep-9f));
    p = vec_fma(p, size, vec_set(-0x1.f34c2ep-9f));
    p = vec_fma(p, size, vec_set(0x1.b2ad80p-16f));
    p = vec_fma(p, size, vec_set(-0x1.98d2e4p-4f));
    p = vec_fma(p, size, vec_set(-0x1.12b29ap-8f));
    p = vec_fma(p, size, vec_set(-0x1.26908ep+1f));
    return vec_mul(g, p);
}

/* tanh_argument() times -log2 e. */
VEC vf tanh_argument_16(vf g)
{
    vf slope = vec_fma(vec_mul(g, g), vec_set(-0x1.a5a7dp-4f), vec_set(-0x1.26aec2p+1f));
    return vec_mul(g, slope);
}

/* gate_factor() for results that are rounded to 16 bits: as far as the rounding hides it. */
VEC vf gate_factor_16(smelt_activation activation, enum smelt_dtype t, vf g)
{
    if (activation == SMELT_GELU) return vec_sigmoid_16(t, normal_odds(t, g));
    if (activation == SMELT_SILU) return vec_sigmoid_16(t, vec_mul(g, vec_set(-0x1.715476p+0f)));
    return vec_sigmoid_16(t, tanh_argument_16(g));
}

/* gate_derivative() likewise. */
VEC vf gate_derivative_16(smelt_activation activation, enum smelt_dtype t, vf g, vf *derivative)
{
    vf factor, rest;
    if (activation == SMELT_GELU) { /* the density is exp(-g^2 / 2) / sqrt(2 pi) */
        vf density = vec_exp2_16(t, vec_mul(vec_mul(g, g), vec_set(-0x1.715476p-1f)));
        factor = vec_sigmoid_16(t, normal_odds(t, g));
        *derivative = vec_fma(vec_mul(g, density), vec_set(0x1.988454p-2f), factor);
        return factor;
    }
    if (activation == SMELT_SILU) {
        factor = vec_sigmoid_pair_16(t, vec_mul(g, vec_set(-0x1.715476p+0f)), &rest);
        *derivative = vec_mul(factor, vec_fma(g, rest, vec_set(1.0f)));
        return factor;
    }
    factor = vec_sigmoid_pair_16(t, tanh_argument_16(g), &rest);
    *derivative = vec_fma(vec_mul(g, vec_mul(factor, rest)), tanh_slope(g), factor);
    return factor;
}
#endif

/* activation(g) = g times this. */
VEC vf gate_factor(smelt_activation activation, enum smelt_dtype t, vf g)
{
#ifdef VEC_HAS_SCALE
    if (t != SMELT_F32) return gate_factor_16(activation, t, g);
#endif
    (void)t;
    if (activation == SMELT_SILU) return vec_sigmoid(g);
    if (activation == SMELT_GELU_TANH) return vec_sigmoid(tanh_argument(g));
    vf integral, density;
    vec_normal(g, &integral, &density);
    return integral;
}

/* The same with the derivative of the activation. */
VEC vf gate_derivative(smelt_activation activation, enum smelt_dtype t, vf g, vf *derivative)
{
#ifdef VEC_HAS_SCALE
    if (t != SMELT_F32) return gate_derivative_16(activation, t, g, derivative);
#endif
    (void)t;
    vf factor, rest;
    if (activation == SMELT_GELU) { /* density without its 1 / sqrt(2 pi) */
        vec_normal(g, &factor, &rest);
        *derivative = vec_fma(vec_mul(g, rest), vec_set(0x1.988454p-2f), factor);
        return factor;
    }
    if (activation == SMELT_SILU) {
        vec_sigmoid_pair(g, &factor, &rest);
        *derivative = vec_mul(factor, vec_fma(g, rest, vec_set(1.0f)));
        return factor;
    }
    vec_sigmoid_pair(tanh_argument(g), &factor, &rest);
    *derivative = vec_fma(vec_mul(g, vec_mul(factor, rest)), tanh_slope(g), factor);
    return factor;
}

VEC vf glu(smelt_activation activation, enum smelt_dtype t, vf gate, vf up)
{
    return vec_mul(vec_mul(gate, gate_factor(activation, t, gate)), up);
}

VEC void glu_part(smelt_activation a, enum smelt_dtype t, void *out, const void *gate, const void *up,
                  int64_t i, int64_t n)
{
    vf value = glu(a, t, vec_load_part(t, gate, i, n), vec_load_part(t, up, i, n));
    vec_store_part(t, out, i, value, n);
}

/* Whole vectors from i on, one or several pairs at a time: one alone is a long chain of dependent steps, and
 * a processor does not look far enough ahead to fill its units with the next ones. Returns where it stopped.
 */
VEC int64_t glu_pairs(smelt_activation a, enum smelt_dtype t, void *out, const void *gate, const void *up,
                      int64_t i, int64_t n, bool stream)
{
    for (; i + UNROLL * VEC_WIDTH <= n; i += UNROLL * VEC_WIDTH) {
        vf g[UNROLL], u[UNROLL];
        for (int v = 0; v < UNROLL; v += 2) {
            vec_load_pair(t, gate, i + v * VEC_WIDTH, &g[v]);
            vec_load_pair(t, up, i + v * VEC_WIDTH, &u[v]);
        }
        for (int v = 0; v < UNROLL; v++) g[v] = glu(a, t, g[v], u[v]);
        for (int v = 0; v < UNROLL; v += 2) vec_store_pair(t, out, i + v * VEC_WIDTH, &g[v], stream);
    }
    return i;
}
VEC int64_t glu_singles(smelt_activation a, enum smelt_dtype t, void *out, const void *gate, const void *up,
                        int64_t i, int64_t n)
{
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        vec_store(t, out, i, glu(a, t, vec_load(t, gate, i), vec_load(t, up, i)));
    if (i < n) glu_part(a, t, out, gate, up, i, n - i);
    return n;
}

VEC void glu_loop(smelt_activation a, enum smelt_dtype t, void *out, const void *gate, const void *up,
                  int64_t n, bool stream)
{
    int64_t i = 0;
    if (stream) { /* up to the first whole pair of the output's memory, then whole pairs past the cache */
        int64_t head = vec_pair_head(t, out);
        if (head) i = glu_singles(a, t, out, gate, up, 0, head < n ? head : n);
        i = glu_pairs(a, t, out, gate, up, i, n, true);
        vec_stream_fence();
    }
    i = glu_pairs(a, t, out, gate, up, i, n, false);
    glu_singles(a, t, out, gate, up, i, n);
}

VEC void vjp_values(smelt_activation a, enum smelt_dtype t, vf gate, vf up, vf dout, vf *dgate, vf *dup)
{
    vf derivative, factor = gate_derivative(a, t, gate, &derivative);
    *dgate = vec_mul(dout, vec_mul(up, derivative)), *dup = vec_mul(dout, vec_mul(gate, factor));
}

/* Whole pairs of vectors from element i on; returns where it stopped. Either output may be NULL. */
VEC int64_t vjp_pairs(smelt_activation a, enum smelt_dtype t, const struct smelt_glu_vjp_piece *p, int64_t i,
                      int64_t n, bool stream)
{
    for (; i + 2 * VEC_WIDTH <= n; i += 2 * VEC_WIDTH) {
        vf gate[2], up[2], dout[2], dgate[2], dup[2];
        vec_load_pair(t, p->gate, i, gate);
        vec_load_pair(t, p->up, i, up);
        vec_load_pair(t, p->dout, i, dout);
        for (int v = 0; v < 2; v++) vjp_values(a, t, gate[v], up[v], dout[v], &dgate[v], &dup[v]);
        if (p->dgate) vec_store_pair(t, p->dgate, i, dgate, stream);
        if (p->dup) vec_store_pair(t, p->dup, i, dup, stream);
    }
    return i;
}
VEC void vjp_rest(smelt_activation a, enum smelt_dtype t, const struct smelt_glu_vjp_piece *p, int64_t i,
                  int64_t end)
{
    for (; i < end; i += VEC_WIDTH) {
        int64_t n = end - i < VEC_WIDTH ? end - i : VEC_WIDTH;
        vf dgate, dup, gate = vec_load_part(t, p->gate, i, n), up = vec_load_part(t, p->up, i, n);
        vjp_values(a, t, gate, up, vec_load_part(t, p->dout, i, n), &dgate, &dup);
        if (p->dgate) vec_store_part(t, p->dgate, i, dgate, n);
        if (p->dup) vec_store_part(t, p->dup, i, dup, n);
    }
}

VEC void vjp_loop(smelt_activation a, enum smelt_dtype t, const struct smelt_glu_vjp_piece *p, int64_t n,
                  bool stream)
{
    int64_t head = vec_pair_head(t, p->dgate ? p->dgate : p->dup);
    stream = stream && (!p->dup || vec_pair_head(t, p->dup) == head);
    if (!stream) head = 0;
    if (head > n) head = n;
    vjp_rest(a, t, p, 0, head);
    int64_t i = vjp_pairs(a, t, p, head, n, stream);
    vjp_rest(a, t, p, i, n);
    if (stream) vec_stream_fence();
}

#define KERNEL(activation, dtype)                                                                            \
    static void glu_##activation##_##dtype(void *out, const void *gate, const void *up, int64_t n,           \
                                           bool stream)                                                      \
    {                                                                                                        \
        glu_loop(SMELT_##activation, SMELT_##dtype, out, gate, up, n, stream);                               \
    }                                                                                                        \
    static void vjp_##activation##_##dtype(const struct smelt_glu_vjp_piece *piece, int64_t n, bool stream)  \
    {                                                                                                        \
        struct smelt_glu_vjp_piece p = *piece;                                                               \
        vjp_loop(SMELT_##activation, SMELT_##dtype, &p, n, stream);                                          \
    }
#define DTYPES(activation) KERNEL(activation, F32) KERNEL(activation, F16) KERNEL(activation, BF16)
DTYPES(SILU)
DTYPES(GELU)
DTYPES(GELU_TANH)

#define ROW(kind, activation)                                                                                \
    [SMELT_##activation] = {kind##_##activation##_F32, kind##_##activation##_F16, kind##_##activation##_BF16}
const struct smelt_glu_kernels SMELT_ISA_NAME(smelt_glu) = {
    .forward = {ROW(glu, SILU), ROW(glu, GELU), ROW(glu, GELU_TANH)},
    .vjp = {ROW(vjp, SILU), ROW(vjp, GELU), ROW(vjp, GELU_TANH)}};
