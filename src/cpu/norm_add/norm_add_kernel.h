/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of norm_add and of its gradient. */
#ifndef SMELT_CPU_NORM_ADD_KERNEL_H
#define SMELT_CPU_NORM_ADD_KERNEL_H

#include "cpu/norm/norm.h"

SMELT_DECLARE_KERNELS(struct smelt_norm_kernels, smelt_norm_add);
SMELT_DECLARE_KERNELS(struct smelt_norm_kernels, smelt_norm_add_vjp);

#endif
