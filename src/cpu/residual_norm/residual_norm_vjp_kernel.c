/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of residual_norm, compiled once per ISA. */
#include "cpu/norm/rms_vjp_vec.h"
#include "cpu/residual_norm/residual_norm_kernel.h"

#define KERNEL(residual, x, out) RMS_VJP_KERNEL(RMS_VJP_RESIDUAL, residual, x, out)
KERNEL(F32, F32, F32)
KERNEL(F16, F16, F16)
KERNEL(F16, F16, F32)
KERNEL(F32, F16, F32)
KERNEL(BF16, BF16, BF16)
KERNEL(BF16, BF16, F32)
KERNEL(F32, BF16, F32)

#define ROW RMS_VJP_ROW
const struct smelt_norm_kernels SMELT_ISA_NAME(smelt_residual_norm_vjp) = {
    .run = {[1] = {ROW(F32, F32, F32), ROW(F16, F16, F16), ROW(F16, F16, F32), ROW(F32, F16, F32),
                   ROW(BF16, BF16, BF16), ROW(BF16, BF16, F32), ROW(F32, BF16, F32)}}};
