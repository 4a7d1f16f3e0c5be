/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of glu and its gradient. */
#ifndef SMELT_CPU_GLU_KERNEL_H
#define SMELT_CPU_GLU_KERNEL_H

#include <stdbool.h>

#include "cpu/rows.h"
#include "core/dtype.h"

enum { SMELT_ACTIVATIONS = 3 };

/* out[i] = activation(gate[i]) * up[i] for n neighbours; out may be gate or up. `stream`: past the cache. */
typedef void smelt_glu_kernel(void *out, const void *gate, const void *up, int64_t n, bool stream);

/* The gradients for n neighbours; dgate or dup may be NULL. */
struct smelt_glu_vjp_piece {
    void *dgate, *dup;
    const void *gate, *up, *dout;
};
typedef void smelt_glu_vjp_kernel(const struct smelt_glu_vjp_piece *piece, int64_t n, bool stream);

struct smelt_glu_kernels {
    smelt_glu_kernel *forward[SMELT_ACTIVATIONS][SMELT_FLOAT_DTYPES];
    smelt_glu_vjp_kernel *vjp[SMELT_ACTIVATIONS][SMELT_FLOAT_DTYPES];
};
SMELT_DECLARE_KERNELS(struct smelt_glu_kernels, smelt_glu);

#endif
