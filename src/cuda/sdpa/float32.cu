/* SPDX-License-Identifier: Apache-2.0 */
/* Attention in float32 (no TF32) for heads of up to 128 with rows of whole 16 bytes: as fast as the
 * multipliers allow. A block of 256 threads has 128 queries; the next keys come in while values are
 * multiplied, and values while scores are. Thread (x, y) of 16 by 16 holds rows y + 16 j, keys x + 16 i, and
 * columns 4 x .. 4 x + 3 and 64 + 4 x .. 64 + 4 x + 3: with rows of 132 numbers no two lanes of a load meet
 * in a bank. */
#include "hopper.cuh"
#include "row_end.cuh"

namespace smelt
{

enum { kRows = 128, kKeys = 64, kThreads = 256, kPitch = 132, kWeightPitch = 68 };

struct FloatShared {
    float query[kRows][kPitch], key[kKeys][kPitch], value[kKeys][128], weight[kRows][kWeightPitch];
};

/* Sixteen bytes to shared memory in the background; zeros where the source does not exist. */
__device__ __forceinline__ void copy_sixteen(float *to, const float *from, bool exists)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
                 "r"(exists ? 16 : 0)
                 : "memory");
}

__device__ __forceinline__ void copies_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int kPending> __device__ __forceinline__ void copies_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

/* Rows first .. first + kCount - 1 of one head, zeros beyond `rows` and `columns`. */
template <int kCount, int kWidth>
__device__ __forceinline__ void copy_rows(float (*to)[kWidth], const smelt_sdpa_view &view, int64_t base,
                                          int first, int rows, int columns)
{
    const float *from = static_cast<const float *>(view.data) + base;
#pragma unroll 4
    for (int i = threadIdx.x; i < kCount * 32; i += kThreads) {
        const int row = i / 32, column = i % 32 * 4;
        const bool exists = first + row < rows && column < columns;
        copy_sixteen(&to[row][column], exists ? from + (first + row) * view.row + column : from, exists);
    }
}

struct FloatTile {
    int batch, head, first_query;
    Range range;
};

/* kWide: more than 64 value columns. kCareful: values may not be finite, hidden ones are left out. */
template <bool kWide, bool kCareful> struct FloatAttention {
    static constexpr int kColumns = kWide ? 8 : 4;
    const smelt_sdpa_params &p;
    FloatShared &shared;
    const FloatTile &tile;
    int x, y;
    float scores[8][4], output[8][kColumns], maximum[8], sum[8];

    __device__ __forceinline__ FloatAttention(const smelt_sdpa_params &p, FloatShared &shared,
                                              const FloatTile &tile)
        : p(p), shared(shared), tile(tile), x(threadIdx.x % 16), y(threadIdx.x / 16)
    {
#pragma unroll
        for (int j = 0; j < 8; j++) {
            maximum[j] = -INFINITY, sum[j] = 0;
#pragma unroll
            for (int c = 0; c < kColumns; c++) output[j][c] = 0;
        }
    }

    __device__ __forceinline__ void multiply_keys()
    {
#pragma unroll
        for (int j = 0; j < 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) scores[j][i] = 0;
#pragma unroll 1
        for (int d = 0; d < p.head_dim; d += 4) {
            float4 key[4];
#pragma unroll
            for (int i = 0; i < 4; i++)
                key[i] = *reinterpret_cast<const float4 *>(&shared.key[x + 16 * i][d]);
#pragma unroll
            for (int j = 0; j < 8; j++) {
                const float4 query = *reinterpret_cast<const float4 *>(&shared.query[y + 16 * j][d]);
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    scores[j][i] = fmaf(query.x, key[i].x, scores[j][i]);
                    scores[j][i] = fmaf(query.y, key[i].y, scores[j][i]);
                    scores[j][i] = fmaf(query.z, key[i].z, scores[j][i]);
                    scores[j][i] = fmaf(query.w, key[i].w, scores[j][i]);
                }
            }
        }
    }

    /* Raw scores -> units of log 2, -inf where hidden. */
    __device__ __forceinline__ void mask(int first_key)
    {
        const Range &range = tile.range;
        const bool plain = p.mask_type == SMELT_TYPE_NONE && !p.key_mask && p.softcap == 0.0f;
        const bool uncut = tile.first_query + kRows - 1 + range.left <= first_key &&
                           first_key + kKeys - 1 <= tile.first_query + range.right &&
                           first_key + kKeys <= range.length;
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const int query = tile.first_query + y + 16 * j;
            if (plain) {
#pragma unroll
                for (int i = 0; i < 4; i++) scores[j][i] *= p.scale_log2;
            } else {
                const int64_t line = mask_row(p, tile.batch, tile.head, query);
                for (int i = 0; i < 4; i++) {
                    const int key = first_key + x + 16 * i;
                    if (key < range.length)
                        scores[j][i] = mask_score(p, cap_score(p, scores[j][i]), tile.batch, line, key);
                }
            }
            if (uncut) continue;
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int key = first_key + x + 16 * i;
                if (key >= range.length || key > query + range.right || key < query + range.left)
                    scores[j][i] = -INFINITY;
            }
        }
    }

    /* Online softmax; the lanes of a row are half a warp. Hidden keys weigh -0. */
    __device__ __forceinline__ void weigh()
    {
#pragma unroll
        for (int j = 0; j < 8; j++) {
            float top = fmaxf(fmaxf(scores[j][0], scores[j][1]), fmaxf(scores[j][2], scores[j][3]));
#pragma unroll
            for (int step = 8; step; step /= 2) top = fmaxf(top, __shfl_xor_sync(0xFFFFFFFF, top, step));
            const float next = fmaxf(maximum[j], top), offset = next == -INFINITY ? 0.0f : next;
            const float rescale = exp2f(maximum[j] - offset);
            maximum[j] = next;
            float more = 0;
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float weight = exp2f(scores[j][i] - offset);
                more += weight;
                shared.weight[y + 16 * j][x + 16 * i] =
                    kCareful && scores[j][i] == -INFINITY ? -0.0f : weight;
            }
            sum[j] = fmaf(sum[j], rescale, more);
#pragma unroll
            for (int c = 0; c < kColumns; c++) output[j][c] *= rescale;
        }
    }

    __device__ __forceinline__ void add_value(int j, float weight, const float (&value)[kColumns])
    {
        if (kCareful && __float_as_uint(weight) == 0x80000000u) return;
#pragma unroll
        for (int c = 0; c < kColumns; c++) output[j][c] = fmaf(weight, value[c], output[j][c]);
    }

    __device__ __forceinline__ void multiply_values()
    {
#pragma unroll 1
        for (int key = 0; key < kKeys; key += 4) {
            float value[4][kColumns];
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int half = 0; half < kColumns / 4; half++) {
                    const float4 v =
                        *reinterpret_cast<const float4 *>(&shared.value[key + i][64 * half + 4 * x]);
                    value[i][4 * half] = v.x, value[i][4 * half + 1] = v.y;
                    value[i][4 * half + 2] = v.z, value[i][4 * half + 3] = v.w;
                }
#pragma unroll
            for (int j = 0; j < 8; j++) {
                const float4 w = *reinterpret_cast<const float4 *>(&shared.weight[y + 16 * j][key]);
                add_value(j, w.x, value[0]);
                add_value(j, w.y, value[1]);
                add_value(j, w.z, value[2]);
                add_value(j, w.w, value[3]);
            }
        }
    }

    __device__ __forceinline__ void run()
    {
        const int64_t q = tile.batch * p.q.batch + tile.head * p.q.head;
        const int64_t k = tile.batch * p.k.batch + tile.head / p.group * p.k.head;
        const int64_t v = tile.batch * p.v.batch + tile.head / p.group * p.v.head;
        const int begin = tile.range.begin, end = tile.range.end, length = tile.range.length;
        copy_rows<kRows>(shared.query, p.q, q, tile.first_query, p.q_length, p.head_dim);
        copy_rows<kKeys>(shared.key, p.k, k, begin * kKeys, length, p.head_dim);
        copies_commit();
#pragma unroll 1
        for (int n = begin; n < end; n++) {
            copy_rows<kKeys>(shared.value, p.v, v, n * kKeys, length, p.value_dim);
            copies_commit();
            copies_wait<1>();
            __syncthreads();
            multiply_keys();
            __syncthreads();
            if (n + 1 < end) copy_rows<kKeys>(shared.key, p.k, k, (n + 1) * kKeys, length, p.head_dim);
            copies_commit();
            mask(n * kKeys);
            weigh();
            copies_wait<1>();
            __syncthreads();
            multiply_values();
            __syncthreads();
        }
        copies_wait<0>();
    }

    __device__ __forceinline__ bool finite() const
    {
        float poison = 0;
#pragma unroll
        for (int j = 0; j < 8; j++)
#pragma unroll
            for (int c = 0; c < kColumns; c++) poison = fmaf(output[j][c], 0.0f, poison);
        return poison == poison;
    }

    __device__ __forceinline__ void store()
    {
        float *out = static_cast<float *>(const_cast<void *>(p.out.data));
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const int query = tile.first_query + y + 16 * j;
            float total = sum[j];
#pragma unroll
            for (int step = 8; step; step /= 2) total += __shfl_xor_sync(0xFFFFFFFF, total, step);
            if (query >= p.q_length) continue;
            const RowEnd end = finish_row(p, tile.head, maximum[j], total);
            float *line = out + tile.batch * p.out.batch + tile.head * p.out.head + query * p.out.row;
#pragma unroll
            for (int c = 0; c < kColumns; c++) {
                const int column = c / 4 * 64 + 4 * x + c % 4;
                if (column < p.value_dim) line[column * p.out.column] = output[j][c] * end.factor;
            }
            if (p.lse && x == 0)
                p.lse[tile.batch * p.lse_batch + tile.head * p.lse_head + query * p.lse_row] = end.lse;
        }
    }
};

/* Once more with care where some result is not finite: that may have come from a hidden key. */
template <bool kWide>
__device__ __forceinline__ void attend(const smelt_sdpa_params &p, FloatShared &shared, const FloatTile &tile)
{
    {
        FloatAttention<kWide, false> fast(p, shared, tile);
        fast.run();
        if (!__syncthreads_or(!fast.finite())) {
            fast.store();
            return;
        }
    }
    FloatAttention<kWide, true> careful(p, shared, tile);
    careful.run();
    careful.store();
}

} // namespace smelt

extern "C" __global__
__launch_bounds__(smelt::kThreads, 1) void smelt_sdpa_float32(const __grid_constant__ smelt_sdpa_params p)
{
    extern __shared__ __align__(16) unsigned char memory[];
    smelt::FloatShared &shared = *reinterpret_cast<smelt::FloatShared *>(memory);
    /* the longest rows of a causal mask first */
    const int lead = blockIdx.x / p.m_tiles;
    smelt::FloatTile tile = {lead / p.heads_q, lead % p.heads_q,
                             (p.m_tiles - 1 - static_cast<int>(blockIdx.x) % p.m_tiles) * smelt::kRows};
    tile.range = smelt::key_range(p, tile.batch);
    smelt::key_tiles(tile.range, tile.first_query, min(tile.first_query + smelt::kRows, p.q_length) - 1,
                     smelt::kKeys);
    if (p.value_dim > 64)
        smelt::attend<true>(p, shared, tile);
    else
        smelt::attend<false>(p, shared, tile);
}
