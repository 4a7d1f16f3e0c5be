/* SPDX-License-Identifier: Apache-2.0 */
/* Entry points of the Hopper kernels of the gradient: rows of vjp_rows.h, given as SMELT_KEYS and
 * SMELT_QUERIES, for both element types. */
#include "vjp_keys.cuh"
#include "vjp_queries.cuh"
#include "vjp_rows.h"

#define SMELT_ENTRY(D, DV, N, S, W, A, G, function, type, Element)                                           \
    extern "C" __global__ __launch_bounds__(smelt::kVjpThreads, 1) void                                      \
        smelt_vjp_sm90_d##D##_v##DV##_n##N##_s##S##_w##W##_a##A##_g##G##_##type(                             \
            const __grid_constant__ smelt_sdpa_vjp_params g)                                                 \
    {                                                                                                        \
        smelt::function<smelt::VjpLayout<D, DV, N, S, W, A, G, smelt::Element>>(g);                          \
    }
#define SMELT_KEY_ROW(D, DV, N, S, W, A, G)                                                                  \
    SMELT_ENTRY(D, DV, N, S, W, A, G, key_gradients, bf16, Bfloat)                                           \
    SMELT_ENTRY(D, DV, N, S, W, A, G, key_gradients, f16, Half)
#define SMELT_QUERY_ROW(D, DV, N, S, A, G)                                                                   \
    SMELT_ENTRY(D, DV, N, S, 0, A, G, query_gradients, bf16, Bfloat)                                         \
    SMELT_ENTRY(D, DV, N, S, 0, A, G, query_gradients, f16, Half)

SMELT_KEYS(SMELT_KEY_ROW)
SMELT_QUERIES(SMELT_QUERY_ROW)
