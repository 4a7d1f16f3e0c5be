/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of rms_norm, compiled once per ISA. */
#include "cpu/norm/rms_vjp_vec.h"
#include "cpu/rms_norm/rms_norm_kernel.h"

#define KERNEL(x, out) RMS_VJP_KERNEL(RMS_VJP_PLAIN, x, x, out)
KERNEL(F32, F32)
KERNEL(F16, F16)
KERNEL(F16, F32)
KERNEL(BF16, BF16)
KERNEL(BF16, F32)

#define ROW(x, out) RMS_VJP_ROW(x, x, out)
#define ROWS                                                                                                 \
    {                                                                                                        \
        ROW(F32, F32), ROW(F16, F16), ROW(F16, F32), ROW(BF16, BF16), ROW(BF16, F32)                         \
    }
const struct smelt_norm_kernels SMELT_ISA_NAME(smelt_rms_norm_vjp) = {.run = {[1] = ROWS}};
