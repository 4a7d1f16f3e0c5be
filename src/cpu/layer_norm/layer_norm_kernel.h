/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of layer_norm and of its gradient. */
#ifndef SMELT_CPU_LAYER_NORM_KERNEL_H
#define SMELT_CPU_LAYER_NORM_KERNEL_H

#include "cpu/norm/norm.h"

SMELT_DECLARE_KERNELS(struct smelt_norm_kernels, smelt_layer_norm);
SMELT_DECLARE_KERNELS(struct smelt_norm_kernels, smelt_layer_norm_vjp);

#endif
