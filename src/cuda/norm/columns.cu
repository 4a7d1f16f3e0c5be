/* SPDX-License-Identifier: Apache-2.0 */
/* The gradients of weight, bias and scalar from the sums of all teams, added in a fixed order. */
#include "../common.cuh"
#include "params.h"

namespace smelt
{

enum { kColumns = 32, kParts = 32 };

__device__ __forceinline__ float column_at(const smelt_norm_column &column, int64_t i, float absent)
{
    return column.data ? load_element(column.data + i * column.step, column.type) : absent;
}

/* A thread adds every 32nd team's; then those of a column are added, one after the other. */
__device__ __forceinline__ float total(const float *sums, int64_t teams, int64_t dim, int64_t column,
                                       float (&parts)[kParts][kColumns + 1])
{
    float sum = 0;
    if (sums && column < dim) {
#pragma unroll 8
        for (int64_t team = threadIdx.y; team < teams; team += kParts) sum += sums[team * dim + column];
    }
    __syncthreads();
    parts[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    sum = 0;
    if (threadIdx.y == 0)
        for (int i = 0; i < kParts; i++) sum += parts[i][threadIdx.x];
    return sum;
}

} // namespace smelt

extern "C" __global__ void __launch_bounds__(1024)
    smelt_norm_columns(const __grid_constant__ smelt_norm_columns_params p)
{
    using namespace smelt;
    __shared__ float parts[kParts][kColumns + 1];
    const int64_t column = static_cast<int64_t>(blockIdx.x) * kColumns + threadIdx.x;
    begin_kernel();
    const float by_norm = total(p.by_norm, p.teams, p.dim, column, parts);
    const float by_dout = total(p.by_dout, p.teams, p.dim, column, parts);
    if (threadIdx.y > 0 || column >= p.dim) return;
    if (p.dweight.data)
        store_element(p.dweight.data + column * p.dweight.step, p.dweight.type,
                      by_norm * column_at(p.scalar, column, 1));
    if (p.dbias.data) store_element(p.dbias.data + column * p.dbias.step, p.dbias.type, by_dout);
    const float gain = p.weight.data ? column_at(p.weight, column, 0) + p.weight_offset : 1.0f;
    const float dscalar = fmaf(by_norm, gain, by_dout);
    if (p.terms)
        p.terms[column] = dscalar;
    else if (p.dscalar.data)
        store_element(p.dscalar.data + column * p.dscalar.step, p.dscalar.type, dscalar);
}

/* One block: the sum of the terms of a scalar of length 1. */
extern "C" __global__ void __launch_bounds__(1024)
    smelt_norm_scalar(const __grid_constant__ smelt_norm_columns_params p)
{
    using namespace smelt;
    __shared__ float parts[1024];
    float sum = 0;
    begin_kernel();
#pragma unroll 8
    for (int64_t i = threadIdx.x; i < p.dim; i += 1024) sum += p.terms[i];
    parts[threadIdx.x] = sum;
    for (int half = 512; half; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
    }
    if (threadIdx.x == 0) store_element(p.dscalar.data, p.dscalar.type, parts[0]);
}
