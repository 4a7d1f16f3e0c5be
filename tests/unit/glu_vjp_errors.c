/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong calls of glu_vjp. */
#include "unit.h"

#define INVALID(call, ...)     UNIT_ERROR(call, SMELT_INVALID_ARGUMENT, "glu_vjp: ", __VA_ARGS__)
#define UNSUPPORTED(call, ...) UNIT_ERROR(call, SMELT_UNSUPPORTED, "glu_vjp: ", __VA_ARGS__)

int main(void)
{
    DLTensor *gate = unit_tensor(SMELT_F32, 2, 4, 8), *up = unit_tensor(SMELT_F32, 2, 4, 8);
    DLTensor *dout = unit_tensor(SMELT_F32, 2, 4, 8), *wide = unit_tensor(SMELT_F64, 2, 4, 8);
    DLTensor *dgate = unit_output(SMELT_F32, 2, 4, 8), *dup = unit_output(SMELT_F32, 2, 4, 8);
    DLTensor *small = unit_tensor(SMELT_F32, 2, 4, 7), *half = unit_tensor(SMELT_F16, 2, 4, 8);
    INVALID(smelt_glu_vjp(dgate, dup, NULL, up, dout, SMELT_SILU, NULL), "gate", "NULL");
    INVALID(smelt_glu_vjp(dgate, dup, gate, NULL, dout, SMELT_SILU, NULL), "up", "NULL");
    INVALID(smelt_glu_vjp(dgate, dup, gate, up, NULL, SMELT_SILU, NULL), "dout", "NULL");
    INVALID(smelt_glu_vjp(dgate, dup, gate, small, dout, SMELT_SILU, NULL), "up", "(4, 7)");
    INVALID(smelt_glu_vjp(dgate, dup, gate, up, small, SMELT_SILU, NULL), "dout", "(4, 7)");
    INVALID(smelt_glu_vjp(dgate, dup, gate, up, half, SMELT_SILU, NULL), "dout", "float32", "float16");
    UNSUPPORTED(smelt_glu_vjp(dgate, dup, wide, up, dout, SMELT_SILU, NULL), "gate", "float64");
    INVALID(smelt_glu_vjp(unit_output(SMELT_F32, 1, 32), dup, gate, up, dout, SMELT_SILU, NULL), "dgate",
            "(32,)");
    INVALID(smelt_glu_vjp(dgate, unit_output(SMELT_BF16, 2, 4, 8), gate, up, dout, SMELT_SILU, NULL), "dup",
            "bfloat16");
    INVALID(smelt_glu_vjp(dgate, dgate, gate, up, dout, SMELT_SILU, NULL), "dgate", "dup");
    INVALID(smelt_glu_vjp(gate, dup, gate, up, dout, SMELT_SILU, NULL), "dgate", "gate");
    INVALID(smelt_glu_vjp(dgate, dout, gate, up, dout, SMELT_SILU, NULL), "dup", "dout");
    INVALID(smelt_glu_vjp(dgate, dup, gate, up, dout, (smelt_activation)7, NULL), "activation", "7");
    UNIT_OK(smelt_glu_vjp(NULL, NULL, gate, up, dout, SMELT_GELU, NULL));
    return unit_end();
}
