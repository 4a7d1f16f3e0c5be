/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong calls of sdpa_merge, and the merge of nothing. */
#include <math.h>

#include "unit.h"

static DLTensor *out, *lse, *outs, *lses;
static smelt_status call(DLTensor *o, DLTensor *l, const DLTensor *os, const DLTensor *ls)
{
    return smelt_sdpa_merge(o, l, os, ls, NULL);
}
#define INVALID(call, ...)     UNIT_ERROR(call, SMELT_INVALID_ARGUMENT, "sdpa_merge: ", __VA_ARGS__)
#define UNSUPPORTED(call, ...) UNIT_ERROR(call, SMELT_UNSUPPORTED, "sdpa_merge: ", __VA_ARGS__)

static void wrong(void)
{
    INVALID(call(NULL, lse, outs, lses), "out", "NULL");
    INVALID(call(out, lse, NULL, lses), "outs", "NULL");
    INVALID(call(out, lse, outs, NULL), "lses", "NULL");
    INVALID(call(out, lse, out, lses), "outs", "rank 5");
    INVALID(call(unit_output(SMELT_F32, 4, 1, 2, 4, 9), lse, outs, lses), "out", "(1, 2, 4, 8)",
            "(1, 2, 4, 9)");
    INVALID(call(out, unit_output(SMELT_F32, 4, 1, 2, 4, 1), outs, lses), "lse", "(1, 2, 4)");
    INVALID(call(out, lse, outs, unit_tensor(SMELT_F32, 4, 2, 1, 2, 4)), "lses", "(3, 1, 2, 4)",
            "(2, 1, 2, 4)");
    INVALID(call(unit_output(SMELT_F16, 4, 1, 2, 4, 8), lse, outs, lses), "out", "float16");
    UNSUPPORTED(call(out, unit_output(SMELT_F16, 3, 1, 2, 4), outs, lses), "lse", "float16");
    UNSUPPORTED(call(out, lse, outs, unit_tensor(SMELT_BF16, 4, 3, 1, 2, 4)), "lses", "bfloat16");
    UNSUPPORTED(call(out, lse, unit_tensor(SMELT_F64, 5, 3, 1, 2, 4, 8), lses), "outs", "float64");
    DLTensor *bad = unit_twin(outs); /* the first chunk as the output */
    bad->ndim = 4;
    for (int i = 0; i < 4; i++) bad->shape[i] = outs->shape[i + 1], bad->strides[i] = outs->strides[i + 1];
    INVALID(call(bad, lse, outs, lses), "out", "outs");
    bad = unit_twin(out);
    bad->strides[2] = 4;
    INVALID(call(bad, lse, outs, lses), "out", "share memory");
}

static void nothing(void)
{
    DLTensor *o = unit_output(SMELT_F32, 4, 1, 2, 4, 8), *l = unit_output(SMELT_F32, 3, 1, 2, 4);
    UNIT_OK(call(o, l, unit_tensor(SMELT_F32, 5, 0, 1, 2, 4, 8), unit_tensor(SMELT_F32, 4, 0, 1, 2, 4)));
    int right = 1;
    for (int i = 0; i < 64; i++) right &= ((float *)o->data)[i] == 0;
    for (int i = 0; i < 8; i++) right &= ((float *)l->data)[i] == -INFINITY;
    UNIT(right);
    /* no value features: the logsumexp is still written */
    UNIT_OK(call(unit_output(SMELT_F32, 4, 1, 2, 4, 0), l, unit_tensor(SMELT_F32, 5, 3, 1, 2, 4, 0), lses));
    UNIT(fabsf(((float *)l->data)[0] - logf(3)) < 1e-6f);
}

int main(void)
{
    outs = unit_tensor(SMELT_F32, 5, 3, 1, 2, 4, 8), lses = unit_tensor(SMELT_F32, 4, 3, 1, 2, 4);
    out = unit_output(SMELT_F32, 4, 1, 2, 4, 8), lse = unit_output(SMELT_F32, 3, 1, 2, 4);
    wrong();
    nothing();
    return unit_end();
}
