/* SPDX-License-Identifier: Apache-2.0 */
/* glu and its gradient: 16 bytes of each tensor at a time, one or two a thread; an element a thread where the
 * layout allows no more. Compiled once per type, SMELT_TYPE. */
#include "activation.cuh"

namespace smelt
{

typedef Vector<SMELT_TYPE> Elements;
enum { kCount = Elements::kCount, kItem = 16 / kCount };

template <bool kGradient> struct Operands {
    enum { kTensors = kGradient ? SMELT_GLU_TENSORS : SMELT_GLU_OUT + 1 };
    int64_t at[kTensors];

    /* Element `column` of row `row`. */
    __device__ __forceinline__ void find(const smelt_glu_params &p, int64_t row, int64_t column)
    {
        locate(p.walk, row, at);
#pragma unroll
        for (int t = 0; t < kTensors; t++) at[t] += column * kItem;
    }
};

template <int kActivation>
__device__ __forceinline__ void forward(const uint4 &gate, const uint4 &up, uint4 &out)
{
    float g[kCount], u[kCount];
    Elements::unpack(gate, g), Elements::unpack(up, u);
#pragma unroll
    for (int i = 0; i < kCount; i++) g[i] = activation<SMELT_TYPE, kActivation>(g[i]) * u[i];
    out = Elements::pack(g);
}

template <int kActivation>
__device__ __forceinline__ void gradient(const uint4 &gate, const uint4 &up, const uint4 &dout, uint4 &dgate,
                                         uint4 &dup)
{
    float g[kCount], u[kCount], d[kCount];
    Elements::unpack(gate, g), Elements::unpack(up, u), Elements::unpack(dout, d);
#pragma unroll
    for (int i = 0; i < kCount; i++) {
        float derivative;
        const float factor = slope<SMELT_TYPE, kActivation>(g[i], derivative);
        u[i] = d[i] * u[i] * derivative;
        d[i] = d[i] * (g[i] * factor);
    }
    dgate = Elements::pack(u), dup = Elements::pack(d);
}

/* One element: any strides, and the tails of rows. */
template <bool kGradient, int kActivation>
__device__ __forceinline__ void element(const smelt_glu_params &p, const int64_t *at)
{
    const float g = load_element(p.data[SMELT_GLU_GATE] + at[SMELT_GLU_GATE], SMELT_TYPE);
    const float u = load_element(p.data[SMELT_GLU_UP] + at[SMELT_GLU_UP], SMELT_TYPE);
    char *const out = p.data[SMELT_GLU_OUT] + at[SMELT_GLU_OUT];
    if (!kGradient) {
        store_element(out, SMELT_TYPE, activation<SMELT_TYPE, kActivation>(g) * u);
        return;
    }
    float derivative;
    const float d = load_element(out, SMELT_TYPE), factor = slope<SMELT_TYPE, kActivation>(g, derivative);
    if (p.data[SMELT_GLU_DGATE])
        store_element(p.data[SMELT_GLU_DGATE] + at[SMELT_GLU_DGATE], SMELT_TYPE, d * u * derivative);
    if (p.data[SMELT_GLU_DUP])
        store_element(p.data[SMELT_GLU_DUP] + at[SMELT_GLU_DUP], SMELT_TYPE, d * (g * factor));
}

template <bool kGradient, int kActivation>
__device__ __forceinline__ void run_elements(const smelt_glu_params &p)
{
    const int64_t step = static_cast<int64_t>(gridDim.x) * SMELT_GLU_THREADS;
    begin_kernel();
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * SMELT_GLU_THREADS + threadIdx.x; i < p.walk.rows;
         i += step) {
        Operands<kGradient> operands;
        operands.find(p, i, 0);
        element<kGradient, kActivation>(p, operands.at);
    }
}

template <bool kGradient, int kActivation, int kVectors>
__device__ __forceinline__ void run_vectors(const smelt_glu_params &p)
{
    const int64_t first = static_cast<int64_t>(blockIdx.x) * (SMELT_GLU_THREADS * kVectors) + threadIdx.x;
    Operands<kGradient> operands[kVectors];
    uint4 gate[kVectors], up[kVectors], dout[kVectors];
    int64_t column[kVectors];
    bool whole[kVectors], part[kVectors];
    begin_kernel();
#pragma unroll
    for (int v = 0; v < kVectors; v++) {
        const int64_t number = first + v * SMELT_GLU_THREADS;
        int64_t row = 0;
        column[v] = number;
        if (p.walk.rows > 1) {
            row = p.narrow ? static_cast<uint32_t>(number) / static_cast<uint32_t>(p.vectors)
                           : number / p.vectors;
            column[v] = number - row * p.vectors;
        }
        column[v] *= kCount;
        const bool inside = row < p.walk.rows && column[v] < p.length;
        whole[v] = inside && column[v] + kCount <= p.length, part[v] = inside && !whole[v];
        operands[v].find(p, row, column[v]);
        if (!whole[v]) continue;
        gate[v] = load_once(p.data[SMELT_GLU_GATE] + operands[v].at[SMELT_GLU_GATE]);
        up[v] = load_once(p.data[SMELT_GLU_UP] + operands[v].at[SMELT_GLU_UP]);
        if (kGradient) dout[v] = load_once(p.data[SMELT_GLU_OUT] + operands[v].at[SMELT_GLU_OUT]);
    }
#pragma unroll
    for (int v = 0; v < kVectors; v++) {
        if (part[v]) {
            for (int64_t i = column[v]; i < p.length; i++) {
                element<kGradient, kActivation>(p, operands[v].at);
                for (int t = 0; t < Operands<kGradient>::kTensors; t++) operands[v].at[t] += kItem;
            }
        }
        if (!whole[v]) continue;
        if constexpr (kGradient) {
            uint4 dgate, dup;
            gradient<kActivation>(gate[v], up[v], dout[v], dgate, dup);
            if (p.data[SMELT_GLU_DGATE])
                store(p.data[SMELT_GLU_DGATE] + operands[v].at[SMELT_GLU_DGATE], dgate, p.streaming);
            if (p.data[SMELT_GLU_DUP])
                store(p.data[SMELT_GLU_DUP] + operands[v].at[SMELT_GLU_DUP], dup, p.streaming);
        } else {
            uint4 out;
            forward<kActivation>(gate[v], up[v], out);
            store(p.data[SMELT_GLU_OUT] + operands[v].at[SMELT_GLU_OUT], out, p.streaming);
        }
    }
}

template <bool kGradient, int kActivation, int kVectors>
__device__ __forceinline__ void run(const smelt_glu_params &p)
{
    if constexpr (kVectors == 0)
        run_elements<kGradient, kActivation>(p);
    else
        run_vectors<kGradient, kActivation, kVectors>(p);
}

} // namespace smelt

#define SMELT_FORWARD(name, activation, vectors)                                                             \
    extern "C" __global__ void __launch_bounds__(SMELT_GLU_THREADS)                                          \
        name(const __grid_constant__ smelt_glu_params p)                                                     \
    {                                                                                                        \
        smelt::run<false, activation, vectors>(p);                                                           \
    }
#define SMELT_GRADIENT(name, activation, vectors)                                                            \
    extern "C" __global__ void __launch_bounds__(SMELT_GLU_THREADS)                                          \
        name(const __grid_constant__ smelt_glu_params p)                                                     \
    {                                                                                                        \
        smelt::run<true, activation, vectors>(p);                                                            \
    }
SMELT_GLU_ROWS(SMELT_FORWARD)
SMELT_GLU_VJP_ROWS(SMELT_GRADIENT)
