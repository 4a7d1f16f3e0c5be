/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of rms_norm, layer_norm, norm_add and residual_norm. */
#include "golden.h"

static DLTensor *x(enum smelt_dtype dtype) { return golden_wave(dtype, .37, .1, 2, 2, 5); }
static DLTensor *weight(enum smelt_dtype dtype) { return golden_wave(dtype, .9, .4, 1, 5); }
static DLTensor *bias(enum smelt_dtype dtype) { return golden_wave(dtype, 1.3, -.2, 1, 5); }
static DLTensor *cotangent(void) { return golden_wave(SMELT_F32, .53, .7, 2, 2, 5); }

static void rms(const char *name, const DLTensor *input, const DLTensor *w)
{
    DLTensor *out = golden_output(name);
    golden_status(smelt_rms_norm(out, input, w, NULL, NULL));
    golden_compare(name, out);
}

static void layer(const char *name, const DLTensor *input, const DLTensor *w, const DLTensor *b)
{
    DLTensor *out = golden_output(name);
    golden_status(smelt_layer_norm(out, input, w, b, NULL, NULL));
    golden_compare(name, out);
}

static void gradients(void)
{
    DLTensor *dx = golden_output("rms_vjp_x"), *dweight = golden_output("rms_vjp_w");
    golden_status(smelt_rms_norm_vjp(dx, dweight, x(SMELT_F32), weight(SMELT_F32), cotangent(), NULL, NULL));
    golden_compare("rms_vjp_x", dx);
    golden_compare("rms_vjp_w", dweight);
    dx = golden_output("rms_vjp_x_now");
    golden_status(smelt_rms_norm_vjp(dx, NULL, x(SMELT_F32), NULL, cotangent(), NULL, NULL));
    golden_compare("rms_vjp_x_now", dx);
    DLTensor *dbias = golden_output("ln_vjp_b");
    dx = golden_output("ln_vjp_x"), dweight = golden_output("ln_vjp_w");
    golden_status(
        smelt_layer_norm_vjp(dx, dweight, dbias, x(SMELT_F32), weight(SMELT_F32), cotangent(), NULL, NULL));
    golden_compare("ln_vjp_x", dx);
    golden_compare("ln_vjp_w", dweight);
    golden_compare("ln_vjp_b", dbias);
}

static void fused(void)
{
    smelt_norm_options options = SMELT_NORM_OPTIONS_INIT;
    options.eps = 1e-6f;
    const int64_t one = 1;
    const double three_quarters = .75;
    const DLTensor *residual = golden_wave(SMELT_F32, .37, .1, 2, 2, 6),
                   *input = golden_wave(SMELT_F32, .29, -.4, 2, 2, 6);
    const DLTensor *w = golden_wave(SMELT_F32, .9, .4, 1, 6), *vector = golden_wave(SMELT_F32, .6, 1., 1, 6);
    const DLTensor *single = golden_values(SMELT_F32, 1, &one, &three_quarters);
    const struct {
        const char *name;
        const DLTensor *weight, *scalar;
    } add[] = {{"fused_norm_add", w, NULL},
               {"fused_norm_add_no_weight", NULL, NULL},
               {"fused_norm_add_scalar(1)", w, single},
               {"fused_norm_add_scalar(vec)", w, vector}};
    for (int i = 0; i < 4; i++) {
        DLTensor *out = golden_output(add[i].name);
        golden_status(smelt_norm_add(out, residual, input, add[i].weight, add[i].scalar, &options, NULL));
        golden_compare(add[i].name, out);
    }
    DLTensor *out = golden_output("fused_residual_norm.normed"),
             *sum = golden_output("fused_residual_norm.sum");
    golden_status(smelt_residual_norm(out, sum, residual, input, w, NULL, &options, NULL));
    golden_compare("fused_residual_norm.normed", out);
    golden_compare("fused_residual_norm.sum", sum);
    const char *const scaled[] = {"fused_residual_norm_scalar(1)", "fused_residual_norm_scalar(vec)"};
    for (int i = 0; i < 2; i++) {
        out = golden_output(scaled[i]);
        golden_status(
            smelt_residual_norm(out, NULL, residual, input, w, i ? vector : single, &options, NULL));
        golden_compare(scaled[i], out);
    }
}

void golden_norm(void)
{
    rms("rms_w", x(SMELT_F32), weight(SMELT_F32));
    rms("rms_now", x(SMELT_F32), NULL);
    rms("rms_f16", x(SMELT_F16), weight(SMELT_F16));
    rms("rms_bf16", x(SMELT_BF16), weight(SMELT_BF16));
    rms("rms_bf16x_f32w", x(SMELT_BF16), weight(SMELT_F32));
    layer("ln_wb", x(SMELT_F32), weight(SMELT_F32), bias(SMELT_F32));
    layer("ln_w", x(SMELT_F32), weight(SMELT_F32), NULL);
    layer("ln_b", x(SMELT_F32), NULL, bias(SMELT_F32));
    layer("ln_none", x(SMELT_F32), NULL, NULL);
    layer("ln_f16_bias_f32_noweight", x(SMELT_F16), NULL, bias(SMELT_F32));
    gradients();
    fused();
}
