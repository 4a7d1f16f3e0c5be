/* SPDX-License-Identifier: Apache-2.0 */
/* glu, compiled once per ISA. */
#include "cpu/glu/glu_kernel.h"

#include <smelt/glu.h>

#include "cpu/vec/math.h"

VEC vf activate(smelt_activation activation, vf gate)
{
    (void)activation;
    return vec_div(gate, vec_add(vec_set(1.0f), vec_exp(vec_negate(gate))));
}

VEC vf glu(smelt_activation activation, vf gate, vf up) { return vec_mul(activate(activation, gate), up); }

VEC void glu_part(smelt_activation a, enum smelt_dtype t, void *out, const void *gate, const void *up,
                  int64_t i, int64_t n)
{
    vf value = glu(a, vec_load_part(t, gate, i, n), vec_load_part(t, up, i, n));
    vec_store_part(t, out, i, value, n);
}

VEC void glu_loop(smelt_activation a, enum smelt_dtype t, void *out, const void *gate, const void *up,
                  int64_t n, bool stream)
{
    int64_t i = 0;
    if (stream) { /* up to the first whole vector of the output's memory, then whole vectors past the cache */
        int64_t head = vec_stream_head(t, out);
        if (head > n) head = n;
        if (head) glu_part(a, t, out, gate, up, 0, head);
        for (i = head; i + VEC_WIDTH <= n; i += VEC_WIDTH)
            vec_stream(t, out, i, glu(a, vec_load(t, gate, i), vec_load(t, up, i)));
        vec_stream_fence();
    }
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        vec_store(t, out, i, glu(a, vec_load(t, gate, i), vec_load(t, up, i)));
    if (i < n) glu_part(a, t, out, gate, up, i, n - i);
}

#define KERNEL(activation, dtype)                                                                            \
    static void glu_##activation##_##dtype(void *out, const void *gate, const void *up, int64_t n,           \
                                           bool stream)                                                      \
    {                                                                                                        \
        glu_loop(SMELT_##activation, SMELT_##dtype, out, gate, up, n, stream);                               \
    }
#define DTYPES(activation) KERNEL(activation, F32) KERNEL(activation, F16) KERNEL(activation, BF16)
DTYPES(SILU)

#define ROW(activation)                                                                                      \
    [SMELT_##activation] = {glu_##activation##_F32, glu_##activation##_F16, glu_##activation##_BF16}
const struct smelt_glu_kernels SMELT_ISA_NAME(smelt_glu) = {.forward = {ROW(SILU)}};
