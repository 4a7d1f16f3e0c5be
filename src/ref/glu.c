/* SPDX-License-Identifier: Apache-2.0 */
/* out = activation(gate) * up */
#include <math.h>

#include "ref/ref.h"

static double activate(smelt_activation activation, double g)
{
    switch (activation) {
    case SMELT_SILU: return g / (1 + exp(-g));
    case SMELT_GELU: return 0.5 * g * erfc(-g / sqrt(2.0));
    case SMELT_GELU_TANH: return 0.5 * g * (1 + tanh(sqrt(2 / M_PI) * (g + 0.044715 * g * g * g)));
    }
    return NAN;
}

void ref_glu(DLTensor *out, const DLTensor *gate, const DLTensor *up, smelt_activation activation)
{
    int64_t count = ref_count(out);
    for (int64_t i = 0; i < count; i++)
        ref_store(out, i, activate(activation, ref_load(gate, i)) * ref_load(up, i));
}
