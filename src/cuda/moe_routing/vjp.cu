/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of moe_routing: a warp a row. Ids that are no experts count for nothing; an expert that a row
 * names twice gets the sum. */
#include "row.cuh"

namespace smelt
{

/* The choices of one row, and what they have in common: w_k = scale p_k / total. */
struct Chosen {
    const smelt_moe_params &p;
    const Lines &lines;
    const Softmax &softmax;
    float total, mean;

    __device__ __forceinline__ int64_t id(int64_t k) const
    {
        const char *const at = lines.data[SMELT_MOE_IDS] + k * p.step[SMELT_MOE_IDS];
        const int64_t found = p.id_bytes == 8 ? *reinterpret_cast<const int64_t *>(at)
                                              : static_cast<int64_t>(*reinterpret_cast<const int32_t *>(at));
        return found >= 0 && found < p.experts ? found : -1;
    }
    __device__ __forceinline__ float dweight(int64_t k) const
    {
        return *reinterpret_cast<const float *>(lines.data[SMELT_MOE_WEIGHTS] +
                                                k * p.step[SMELT_MOE_WEIGHTS]);
    }
    __device__ __forceinline__ float probability(int64_t expert) const
    {
        return softmax.probability(lines.logit(p, expert));
    }
    __device__ __forceinline__ float share(int64_t expert) const
    {
        return total > 0.0f ? probability(expert) / total : 0.0f;
    }

    __device__ __forceinline__ Chosen(const smelt_moe_params &p_, const Lines &lines_,
                                      const Softmax &softmax_)
        : p(p_), lines(lines_), softmax(softmax_), total(1), mean(0)
    {
        float sum = 0;
        for (int64_t k = threadIdx.x % 32; k < p.chosen; k += 32)
            if (id(k) >= 0) sum += probability(id(k));
        if (p.renormalize) total = warp_sum(sum);
        sum = 0;
        for (int64_t k = threadIdx.x % 32; k < p.chosen; k += 32)
            if (id(k) >= 0) sum += share(id(k)) * dweight(k) * scale_of(p, id(k));
        mean = warp_sum(sum);
    }
    /* The gradient of a logit that nothing chose. */
    __device__ __forceinline__ float unchosen(int64_t expert) const
    {
        return p.renormalize ? 0.0f : -probability(expert) * mean;
    }
};

__device__ __forceinline__ void put(const smelt_moe_params &p, const Lines &lines, int64_t expert,
                                    float value)
{
    store_element(lines.data[SMELT_MOE_DLOGITS] + expert * p.step[SMELT_MOE_DLOGITS], p.type, value);
}

__device__ __forceinline__ void run_row(const smelt_moe_params &p, int64_t row, float *dscale)
{
    const int lane = threadIdx.x % 32;
    const Lines lines(p, row);
    const Softmax softmax(p, lines);
    const bool usual = softmax.usual(), wanted = p.data[SMELT_MOE_DLOGITS];
    if (!usual) {
        for (int64_t e = lane; wanted && e < p.experts; e += 32) put(p, lines, e, 0.0f);
        return;
    }
    const Chosen chosen(p, lines, softmax);
    for (int64_t e = lane; wanted && e < p.experts; e += 32) put(p, lines, e, chosen.unchosen(e));
    __syncwarp();
    for (int64_t k = lane; k < p.chosen; k += 32) {
        const int64_t id = chosen.id(k);
        if (id < 0) continue;
        const float share = chosen.share(id), scale = scale_of(p, id);
        float gradient = chosen.unchosen(id), by_scale = 0;
        bool first = true;
        for (int64_t j = 0; j < p.chosen; j++) {
            if (chosen.id(j) != id) continue;
            const float direct = chosen.dweight(j) * scale;
            gradient += share * (p.renormalize ? direct - chosen.mean : direct);
            by_scale += share * chosen.dweight(j);
            first = first && j >= k;
        }
        if (wanted) put(p, lines, id, gradient);
        if (dscale && first) dscale[id] += by_scale;
    }
    __syncwarp();
}

} // namespace smelt

extern "C" __global__ void __launch_bounds__(SMELT_MOE_THREADS)
    smelt_moe_routing_vjp(const __grid_constant__ smelt_moe_params p)
{
    using namespace smelt;
    const int64_t warp = static_cast<int64_t>(blockIdx.x) * (SMELT_MOE_THREADS / 32) + threadIdx.x / 32;
    const int64_t warps = static_cast<int64_t>(gridDim.x) * (SMELT_MOE_THREADS / 32);
    float *const dscale = p.dscale ? p.dscale + warp * p.experts : nullptr;
    begin_kernel();
    for (int64_t e = threadIdx.x % 32; dscale && e < p.experts; e += 32) dscale[e] = 0;
    __syncwarp();
    for (int64_t row = warp; row < p.walk.rows; row += warps) run_row(p, row, dscale);
}
