/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of residual_norm and of its gradient. */
#ifndef SMELT_CPU_RESIDUAL_NORM_KERNEL_H
#define SMELT_CPU_RESIDUAL_NORM_KERNEL_H

#include "cpu/norm/norm.h"

SMELT_DECLARE_KERNELS(struct smelt_norm_kernels, smelt_residual_norm);
SMELT_DECLARE_KERNELS(struct smelt_norm_kernels, smelt_residual_norm_vjp);

#endif
