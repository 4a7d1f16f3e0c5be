/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of norm_add, compiled once per ISA. */
#include "cpu/norm/rms_vjp_vec.h"
#include "cpu/norm_add/norm_add_kernel.h"

#define KERNEL(residual, x, out) RMS_VJP_KERNEL(RMS_VJP_ADD, residual, x, out)
KERNEL(F32, F32, F32)
KERNEL(F16, F16, F16)
KERNEL(F16, F16, F32)
KERNEL(F32, F16, F32)
KERNEL(BF16, BF16, BF16)
KERNEL(BF16, BF16, F32)
KERNEL(F32, BF16, F32)

#define ROW RMS_VJP_ROW
const struct smelt_norm_kernels SMELT_ISA_NAME(smelt_norm_add_vjp) = {
    .run = {[1] = {ROW(F32, F32, F32), ROW(F16, F16, F16), ROW(F16, F16, F32), ROW(F32, F16, F32),
                   ROW(BF16, BF16, BF16), ROW(BF16, BF16, F32), ROW(F32, BF16, F32)}}};
