/* SPDX-License-Identifier: Apache-2.0 */
/* out = activation(gate) * up, and its gradient */
#include <math.h>

#include "ref/ref.h"

/* activation(g) = g factor(g) */
static double factor(smelt_activation activation, double g)
{
    switch (activation) {
    case SMELT_SILU: return 1 / (1 + exp(-g));
    case SMELT_GELU: return 0.5 * erfc(-g / sqrt(2.0));
    case SMELT_GELU_TANH: return 1 / (1 + exp(-2 * sqrt(2 / M_PI) * (g + 0.044715 * g * g * g)));
    }
    return NAN;
}

static double factor_derivative(smelt_activation activation, double g)
{
    double f = factor(activation, g);
    switch (activation) {
    case SMELT_SILU: return f * (1 - f);
    case SMELT_GELU: return exp(-g * g / 2) / sqrt(2 * M_PI);
    case SMELT_GELU_TANH: return f * (1 - f) * 2 * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * g * g);
    }
    return NAN;
}

void ref_glu(DLTensor *out, const DLTensor *gate, const DLTensor *up, smelt_activation activation)
{
    int64_t count = ref_count(out);
    for (int64_t i = 0; i < count; i++) {
        double g = ref_load(gate, i);
        ref_store(out, i, g * factor(activation, g) * ref_load(up, i));
    }
}

void ref_glu_vjp(DLTensor *dgate, DLTensor *dup, const DLTensor *gate, const DLTensor *up,
                 const DLTensor *dout, smelt_activation activation)
{
    int64_t count = ref_count(gate);
    for (int64_t i = 0; i < count; i++) {
        double g = ref_load(gate, i), d = ref_load(dout, i), f = factor(activation, g);
        if (dgate) ref_store(dgate, i, d * ref_load(up, i) * (f + g * factor_derivative(activation, g)));
        if (dup) ref_store(dup, i, d * g * f);
    }
}
