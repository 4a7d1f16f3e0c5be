/* SPDX-License-Identifier: Apache-2.0 */
/* The gated activation and its gradient against MLX. */
#include <stddef.h>

#include "golden.h"
#include "ref/ref.h"

void golden_glu(void)
{
    DLTensor *gate = golden_wave(SMELT_F32, 0.9, -1, 2, 2, 6),
             *up = golden_wave(SMELT_F32, 0.33, 0.8, 2, 2, 6);
    DLTensor *dout = golden_wave(SMELT_F32, 0.5, 0.2, 2, 2, 6);
    DLTensor *out = golden_output("swiglu"), *dgate = golden_output("swiglu_vjp_gate");
    DLTensor *dup = golden_output("swiglu_vjp_up");
    golden_status(smelt_glu(out, gate, up, SMELT_SILU, NULL));
    golden_status(smelt_glu_vjp(dgate, dup, gate, up, dout, SMELT_SILU, NULL));
    golden_compare("swiglu", out);
    golden_compare("swiglu_vjp_gate", dgate);
    golden_compare("swiglu_vjp_up", dup);
    ref_glu(out, gate, up, SMELT_SILU);
    ref_glu_vjp(dgate, dup, gate, up, dout, SMELT_SILU);
    golden_compare("swiglu", out);
    golden_compare("swiglu_vjp_gate", dgate);
    golden_compare("swiglu_vjp_up", dup);
}
