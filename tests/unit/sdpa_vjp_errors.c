/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong calls of sdpa_vjp; what it shares with sdpa is in sdpa_errors.c. */
#include "unit.h"

static DLTensor *dq, *dk, *dv, *q, *k, *v, *out, *lse, *dout, *dlse;

#define INVALID(call, ...)     UNIT_ERROR(call, SMELT_INVALID_ARGUMENT, "sdpa_vjp: ", __VA_ARGS__)
#define UNSUPPORTED(call, ...) UNIT_ERROR(call, SMELT_UNSUPPORTED, "sdpa_vjp: ", __VA_ARGS__)

static smelt_status gradients(DLTensor *to_q, DLTensor *to_k, DLTensor *to_v)
{
    return smelt_sdpa_vjp(to_q, to_k, to_v, NULL, NULL, q, k, v, out, lse, dout, NULL, NULL, NULL);
}
static smelt_status given(const DLTensor *o, const DLTensor *l, const DLTensor *d_out, const DLTensor *d_lse)
{
    return smelt_sdpa_vjp(dq, dk, dv, NULL, NULL, q, k, v, o, l, d_out, d_lse, NULL, NULL);
}
static smelt_status with(DLTensor *dmask, DLTensor *dsinks, const smelt_sdpa_options *options)
{
    return smelt_sdpa_vjp(dq, dk, dv, dmask, dsinks, q, k, v, out, lse, dout, NULL, options, NULL);
}

static void outputs(void)
{
    INVALID(gradients(unit_output(SMELT_F32, 4, 2, 4, 3, 6), dk, dv), "dq", "(2, 4, 3, 8)", "(2, 4, 3, 6)");
    INVALID(gradients(dq, unit_output(SMELT_F32, 4, 2, 4, 5, 8), dv), "dk", "(2, 2, 5, 8)");
    INVALID(gradients(dq, dk, unit_output(SMELT_F32, 3, 2, 5, 6)), "dv", "(2, 2, 5, 6)");
    INVALID(gradients(unit_output(SMELT_F16, 4, 2, 4, 3, 8), dk, dv), "dq", "float32", "float16");
    UNSUPPORTED(gradients(dq, unit_output(SMELT_F64, 4, 2, 2, 5, 8), dv), "dk", "float64");
    DLTensor *shared = unit_twin(dq);
    shared->data = q->data;
    INVALID(gradients(shared, dk, dv), "dq", "shares memory with q");
    shared = unit_twin(dk);
    shared->strides[1] = shared->strides[2];
    INVALID(gradients(dq, shared, dv), "dk", "share memory");
    shared = unit_twin(dq);
    shared->data = dout->data;
    INVALID(gradients(shared, dk, dv), "dq", "shares memory with dout");
}

static void cotangents(void)
{
    INVALID(given(NULL, lse, dout, NULL), "out", "NULL");
    INVALID(given(out, NULL, dout, NULL), "lse", "NULL");
    INVALID(given(out, lse, NULL, NULL), "dout", "NULL");
    INVALID(given(unit_tensor(SMELT_F32, 4, 2, 4, 3, 8), lse, dout, NULL), "out", "(2, 4, 3, 6)");
    INVALID(given(unit_tensor(SMELT_F16, 4, 2, 4, 3, 6), lse, dout, NULL), "out", "float32", "float16");
    INVALID(given(out, unit_tensor(SMELT_F32, 3, 2, 3, 4), dout, NULL), "lse", "(2, 4, 3)");
    UNSUPPORTED(given(out, unit_tensor(SMELT_BF16, 3, 2, 4, 3), dout, NULL), "lse", "bfloat16");
    INVALID(given(out, lse, unit_tensor(SMELT_BF16, 4, 2, 4, 3, 6), NULL), "dout", "float32", "bfloat16");
    INVALID(given(out, lse, unit_tensor(SMELT_F32, 4, 2, 4, 2, 6), NULL), "dout", "(2, 4, 2, 6)");
    INVALID(given(out, lse, NULL, unit_tensor(SMELT_F32, 2, 2, 4)), "dlse", "(2, 4, 3)", "(2, 4)");
    UNIT_OK(smelt_sdpa_vjp(NULL, NULL, NULL, NULL, NULL, q, k, v, out, lse, NULL, dlse, NULL, NULL));
}

static void options(void)
{
    smelt_sdpa_options o = SMELT_SDPA_OPTIONS_INIT;
    DLTensor *dmask = unit_output(SMELT_F32, 2, 3, 5), *dsinks = unit_output(SMELT_F32, 1, 4);
    INVALID(with(dmask, NULL, NULL), "dmask", "floating options.mask");
    INVALID(with(NULL, dsinks, &o), "dsinks", "options.sinks");
    o.mask = unit_tensor(SMELT_BOOL, 2, 3, 5);
    INVALID(with(dmask, NULL, &o), "dmask", "floating options.mask");
    o.mask = unit_tensor(SMELT_F32, 3, 1, 3, 5);
    INVALID(with(dmask, NULL, &o), "dmask", "(1, 3, 5)", "(3, 5)");
    o.mask = unit_tensor(SMELT_F16, 2, 3, 5);
    INVALID(with(dmask, NULL, &o), "dmask", "float16", "float32");
    o.mask = NULL;
    o.sinks = unit_tensor(SMELT_F32, 1, 4);
    INVALID(with(NULL, unit_output(SMELT_F32, 1, 2), &o), "dsinks", "(4,)", "(2,)");
    o.softcap = -2;
    INVALID(with(NULL, NULL, &o), "options.softcap", "-2");
}

int main(void)
{
    q = unit_tensor(SMELT_F32, 4, 2, 4, 3, 8), k = unit_tensor(SMELT_F32, 4, 2, 2, 5, 8);
    v = unit_tensor(SMELT_F32, 4, 2, 2, 5, 6), out = unit_tensor(SMELT_F32, 4, 2, 4, 3, 6);
    lse = unit_tensor(SMELT_F32, 3, 2, 4, 3), dlse = unit_tensor(SMELT_F32, 3, 2, 4, 3);
    dout = unit_tensor(SMELT_F32, 4, 2, 4, 3, 6);
    dq = unit_output(SMELT_F32, 4, 2, 4, 3, 8), dk = unit_output(SMELT_F32, 4, 2, 2, 5, 8);
    dv = unit_output(SMELT_F32, 4, 2, 2, 5, 6);
    outputs();
    cotangents();
    options();
    return unit_end();
}
