/* SPDX-License-Identifier: Apache-2.0 */
/* Included before each file of tests/check when that harness is built for CUDA: its calls of the library go
 * through on_device.c, which moves the tensors there and back, guard bands and all. */
#ifndef SMELT_TESTS_CUDA_ON_DEVICE_H
#define SMELT_TESTS_CUDA_ON_DEVICE_H

#include <smelt/smelt.h>

#ifndef SMELT_ON_DEVICE             /* that file itself */
#    define SMELT_CHECK_ON_DEVICE   /* sums are in another order for another type */

#    define smelt_rms_norm          device_rms_norm
#    define smelt_rms_norm_vjp      device_rms_norm_vjp
#    define smelt_layer_norm        device_layer_norm
#    define smelt_layer_norm_vjp    device_layer_norm_vjp
#    define smelt_norm_add          device_norm_add
#    define smelt_norm_add_vjp      device_norm_add_vjp
#    define smelt_residual_norm     device_residual_norm
#    define smelt_residual_norm_vjp device_residual_norm_vjp
#    define smelt_rope              device_rope
#    define smelt_rope_vjp          device_rope_vjp
#    define smelt_glu               device_glu
#    define smelt_glu_vjp           device_glu_vjp
#    define smelt_moe_routing       device_moe_routing
#    define smelt_moe_routing_vjp   device_moe_routing_vjp
#    define smelt_sdpa              device_sdpa
#    define smelt_sdpa_vjp          device_sdpa_vjp
#    define smelt_sdpa_merge        device_sdpa_merge
#endif

smelt_status device_rms_norm(DLTensor *, const DLTensor *, const DLTensor *, const smelt_norm_options *,
                             const smelt_stream *);
smelt_status device_layer_norm(DLTensor *, const DLTensor *, const DLTensor *, const DLTensor *,
                               const smelt_norm_options *, const smelt_stream *);
smelt_status device_norm_add(DLTensor *, const DLTensor *, const DLTensor *, const DLTensor *,
                             const DLTensor *, const smelt_norm_options *, const smelt_stream *);
smelt_status device_residual_norm(DLTensor *, DLTensor *, const DLTensor *, const DLTensor *,
                                  const DLTensor *, const DLTensor *, const smelt_norm_options *,
                                  const smelt_stream *);
smelt_status device_rms_norm_vjp(DLTensor *, DLTensor *, const DLTensor *, const DLTensor *, const DLTensor *,
                                 const smelt_norm_options *, const smelt_stream *);
smelt_status device_layer_norm_vjp(DLTensor *, DLTensor *, DLTensor *, const DLTensor *, const DLTensor *,
                                   const DLTensor *, const smelt_norm_options *, const smelt_stream *);
smelt_status device_norm_add_vjp(DLTensor *, DLTensor *, DLTensor *, DLTensor *, const DLTensor *,
                                 const DLTensor *, const DLTensor *, const DLTensor *, const DLTensor *,
                                 const smelt_norm_options *, const smelt_stream *);
smelt_status device_residual_norm_vjp(DLTensor *, DLTensor *, DLTensor *, DLTensor *, const DLTensor *,
                                      const DLTensor *, const DLTensor *, const DLTensor *, const DLTensor *,
                                      const DLTensor *, const smelt_norm_options *, const smelt_stream *);
smelt_status device_rope(DLTensor *, const DLTensor *, const smelt_rope_options *, const smelt_stream *);
smelt_status device_rope_vjp(DLTensor *, const DLTensor *, const smelt_rope_options *, const smelt_stream *);
smelt_status device_glu(DLTensor *, const DLTensor *, const DLTensor *, smelt_activation,
                        const smelt_stream *);
smelt_status device_glu_vjp(DLTensor *, DLTensor *, const DLTensor *, const DLTensor *, const DLTensor *,
                            smelt_activation, const smelt_stream *);
smelt_status device_moe_routing(DLTensor *, DLTensor *, const DLTensor *, const DLTensor *,
                                const smelt_moe_options *, const smelt_stream *);
smelt_status device_moe_routing_vjp(DLTensor *, DLTensor *, const DLTensor *, const DLTensor *,
                                    const DLTensor *, const DLTensor *, const smelt_moe_options *,
                                    const smelt_stream *);
smelt_status device_sdpa(DLTensor *, DLTensor *, const DLTensor *, const DLTensor *, const DLTensor *,
                         const smelt_sdpa_options *, const smelt_stream *);
smelt_status device_sdpa_vjp(DLTensor *, DLTensor *, DLTensor *, DLTensor *, DLTensor *, const DLTensor *,
                             const DLTensor *, const DLTensor *, const DLTensor *, const DLTensor *,
                             const DLTensor *, const DLTensor *, const smelt_sdpa_options *,
                             const smelt_stream *);
smelt_status device_sdpa_merge(DLTensor *, DLTensor *, const DLTensor *, const DLTensor *,
                               const smelt_stream *);

#endif
