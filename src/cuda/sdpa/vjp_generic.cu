/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of attention for everything that the Hopper kernels do not take, and for tiles of theirs that
 * met values which are not finite: float32 arithmetic, any type, head size and strides, any card from sm_80
 * on. One pass for each gradient; hidden keys are left out of every sum, whatever they hold. */
#include "vjp_prepare.cuh"

namespace smelt
{

/* What a tile of scores becomes: probabilities, their changes, or those with the slope of the soft cap. */
enum Wanted { kProbability, kChange, kSlopedChange };

struct VjpTile {
    int batch, head, first_row, first_column; /* the head is one of queries */
    Range range;
};

/* Thread's part of A B^T, by slices of the depth. */
__device__ __forceinline__ void multiply_tile(float (&tile)[8][4], GenericShared &shared,
                                              const smelt_sdpa_view &a, int a_type, int64_t a_base,
                                              int a_first, int a_rows, const smelt_sdpa_view &b, int b_type,
                                              int64_t b_base, int b_first, int b_rows, int depth)
{
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) tile[i][j] = 0;
    for (int start = 0; start < depth; start += kDepth) {
        __syncthreads();
        load_slice(shared.query, a, a_type, a_base, a_first, a_rows, start, depth);
        load_slice(shared.key, b, b_type, b_base, b_first, b_rows, start, depth);
        __syncthreads();
        multiply_slice(tile, shared, threadIdx.x % 16, threadIdx.x / 16);
    }
}

__device__ __forceinline__ int64_t line_of(const smelt_sdpa_view &view, int batch, int head)
{
    return batch * view.batch + head * view.head;
}

/* One element; -0 where the key is hidden. */
template <Wanted kWanted>
__device__ __forceinline__ float finish_element(const smelt_sdpa_vjp_params &g, const VjpTile &tile,
                                                int query, int key, float raw, float slope_sum)
{
    const smelt_sdpa_params &p = g.forward;
    const Range &range = tile.range;
    if (query >= p.q_length || key >= range.length || key > query + range.right || key < query + range.left)
        return -0.0f;
    const int64_t row = (static_cast<int64_t>(tile.batch) * p.heads_q + tile.head) * g.q_padded + query;
    const float lse = g.lse[row];
    float slope, score = cap_with_slope(p, raw, &slope);
    score = mask_score(p, score, tile.batch, mask_row(p, tile.batch, tile.head, query), key);
    if (lse == INFINITY || score == -INFINITY) return -0.0f;
    const float weight = exp2f(score - lse);
    if (kWanted == kProbability) return weight;
    const float change = weight * (slope_sum + g.left[row]);
    return (kWanted == kChange ? change : change * slope) + 0.0f;
}

/* 64 by 64 elements; rows are queries, or keys. */
template <Wanted kWanted, bool kKeyRows>
__device__ __forceinline__ void compute_tile(float (&tile)[8][4], const smelt_sdpa_vjp_params &g,
                                             GenericShared &shared, const VjpTile &at)
{
    const smelt_sdpa_params &p = g.forward;
    const int x = threadIdx.x % 16, y = threadIdx.x / 16, key_head = at.head / p.group;
    const int64_t q = line_of(p.q, at.batch, at.head), k = line_of(p.k, at.batch, key_head);
    const int64_t dout = line_of(g.dout, at.batch, at.head), v = line_of(p.v, at.batch, key_head);
    const int queries = p.q_length, keys = at.range.length;
    float sums[8][4] = {};
    if (kKeyRows)
        multiply_tile(tile, shared, p.k, p.k_type, k, at.first_row, keys, p.q, p.q_type, q, at.first_column,
                      queries, p.head_dim);
    else
        multiply_tile(tile, shared, p.q, p.q_type, q, at.first_row, queries, p.k, p.k_type, k,
                      at.first_column, keys, p.head_dim);
    if (kWanted != kProbability && g.dout.data) {
        if (kKeyRows)
            multiply_tile(sums, shared, p.v, p.v_type, v, at.first_row, keys, g.dout, p.type, dout,
                          at.first_column, queries, p.value_dim);
        else
            multiply_tile(sums, shared, g.dout, p.type, dout, at.first_row, queries, p.v, p.v_type, v,
                          at.first_column, keys, p.value_dim);
    }
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int row = at.first_row + 8 * y + i, column = at.first_column + 4 * x + j;
            tile[i][j] = finish_element<kWanted>(g, at, kKeyRows ? column : row, kKeyRows ? row : column,
                                                 tile[i][j], sums[i][j]);
        }
}

/* output += tile times 64 rows of `view`, of which `rows` exist. */
__device__ __forceinline__ void add_product(float (&output)[8][8], const float (&tile)[8][4],
                                            GenericShared &shared, const smelt_sdpa_view &view, int type,
                                            int64_t base, int first, int rows, int first_column, int columns)
{
    const int x = threadIdx.x % 16, y = threadIdx.x / 16;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) shared.weight[4 * x + j][8 * y + i] = tile[i][j];
    if (load_values(shared, view, type, base, first, rows, first_column, columns))
        multiply_values<true>(output, shared, x, y);
    else
        multiply_values<false>(output, shared, x, y);
}

__device__ __forceinline__ void store_tile(const smelt_sdpa_view &view, int type, int64_t base, int first,
                                           int rows, int first_column, int columns, float factor,
                                           const float (&output)[8][8], bool all)
{
    const int x = threadIdx.x % 16, y = threadIdx.x / 16;
    for (int i = 0; i < 8; i++) {
        const int row = first + 8 * y + i;
        if (row >= rows) return;
        for (int j = 0; j < 8; j++) {
            const int column = first_column + j / 4 * 64 + 4 * x + j % 4;
            if (column < columns && (all || !isfinite(output[i][j])))
                store_float(view, type, base + row * view.row + column * view.column, output[i][j] * factor);
        }
    }
}

__device__ __forceinline__ void query_tile(const smelt_sdpa_vjp_params &g, GenericShared &shared, int index)
{
    const smelt_sdpa_params &p = g.forward;
    const int column_tiles = (p.head_dim + kColumns - 1) / kColumns, tiles = (p.q_length + kRows - 1) / kRows;
    const int first_column = index % column_tiles * kColumns, lead = index / column_tiles / tiles;
    VjpTile tile;
    tile.first_row = (tiles - 1 - index / column_tiles % tiles) * kRows;
    tile.batch = lead / p.heads_q, tile.head = lead % p.heads_q;
    if (g.repair &&
        !g.query_flags[static_cast<int64_t>(lead) * g.query_blocks + tile.first_row / SMELT_VJP_FLAG_ROWS])
        return;
    tile.range = key_range(p, tile.batch);
    key_tiles(tile.range, tile.first_row, min(tile.first_row + kRows, p.q_length) - 1, kKeys);
    float output[8][8] = {}, changes[8][4];
    for (int n = tile.range.begin; n < tile.range.end; n++) {
        tile.first_column = n * kKeys;
        compute_tile<kSlopedChange, false>(changes, g, shared, tile);
        add_product(output, changes, shared, p.k, p.k_type, line_of(p.k, tile.batch, tile.head / p.group),
                    tile.first_column, tile.range.length, first_column, p.head_dim);
    }
    store_tile(g.dq, p.q_type, line_of(g.dq, tile.batch, tile.head), tile.first_row, p.q_length, first_column,
               p.head_dim, g.scale, output, !g.repair);
}

/* Gradient of keys, or of values. */
template <bool kValues>
__device__ __forceinline__ void key_tile(const smelt_sdpa_vjp_params &g, GenericShared &shared, int index)
{
    const smelt_sdpa_params &p = g.forward;
    const int columns = kValues ? p.value_dim : p.head_dim;
    const int column_tiles = (columns + kColumns - 1) / kColumns, tiles = (p.k_length + kRows - 1) / kRows;
    const int first_column = index % column_tiles * kColumns, lead = index / column_tiles / tiles;
    const int key_head = lead % p.heads_kv;
    VjpTile tile;
    tile.first_row = index / column_tiles % tiles * kRows;
    tile.batch = lead / p.heads_kv;
    if (g.repair &&
        !g.key_flags[static_cast<int64_t>(lead) * g.key_blocks + tile.first_row / SMELT_VJP_FLAG_ROWS])
        return;
    tile.range = key_range(p, tile.batch);
    const int last_key = min(tile.first_row + kRows, tile.range.length) - 1;
    const int first_query = max(0, tile.first_row - tile.range.right) / kKeys * kKeys;
    const int last_query = last_key < tile.first_row ? -1 : min(p.q_length - 1, last_key - tile.range.left);
    float output[8][8] = {}, weights[8][4];
    const smelt_sdpa_view &other = kValues ? g.dout : p.q;
    for (tile.head = key_head * p.group; tile.head < (key_head + 1) * p.group; tile.head++)
        for (int query = first_query; query <= last_query && other.data; query += kKeys) {
            tile.first_column = query;
            compute_tile<kValues ? kProbability : kSlopedChange, true>(weights, g, shared, tile);
            add_product(output, weights, shared, other, kValues ? p.type : p.q_type,
                        line_of(other, tile.batch, tile.head), query, p.q_length, first_column, columns);
        }
    const smelt_sdpa_view &view = kValues ? g.dv : g.dk;
    store_tile(view, kValues ? p.v_type : p.k_type, line_of(view, tile.batch, key_head), tile.first_row,
               p.k_length, first_column, columns, kValues ? 1.0f : g.scale, output, !g.repair);
}

/* The changes of one tile of the mask, summed over all that it is broadcast over, in one fixed order. */
__device__ __forceinline__ void mask_tile(const smelt_sdpa_vjp_params &g, GenericShared &shared, int index)
{
    const smelt_sdpa_params &p = g.forward;
    const int *length = g.dmask_length, x = threadIdx.x % 16, y = threadIdx.x / 16;
    const int row_tiles = (length[2] + kRows - 1) / kRows, column_tiles = (length[3] + kKeys - 1) / kKeys;
    const int column = index % column_tiles * kKeys, row = index / column_tiles % row_tiles * kRows;
    const int lead = index / column_tiles / row_tiles, head = lead % length[1], batch = lead / length[1];
    const int last_row = length[2] == 1 ? p.q_length : row + 1;
    const int last_column = length[3] == 1 ? p.k_length : column + 1;
    float sums[8][4] = {}, changes[8][4];
    VjpTile tile;
    for (tile.batch = batch; tile.batch < (length[0] == 1 ? p.batch : batch + 1); tile.batch++) {
        tile.range = key_range(p, tile.batch);
        for (tile.head = head; tile.head < (length[1] == 1 ? p.heads_q : head + 1); tile.head++)
            for (tile.first_row = row; tile.first_row < last_row; tile.first_row += kRows)
                for (tile.first_column = column; tile.first_column < last_column;
                     tile.first_column += kKeys) {
                    const Range &range = tile.range;
                    if (tile.first_column > min(tile.first_row + kRows - 1 + range.right, range.length - 1) ||
                        tile.first_column + kKeys <= tile.first_row + range.left)
                        continue;
                    compute_tile<kChange, false>(changes, g, shared, tile);
#pragma unroll
                    for (int i = 0; i < 8; i++)
#pragma unroll
                        for (int j = 0; j < 4; j++) sums[i][j] += changes[i][j];
                }
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) shared.weight[4 * x + j][8 * y + i] = sums[i][j];
    __syncthreads();
    const int64_t base = line_of(g.dmask, batch, head);
    for (int i = threadIdx.x; i < kRows * kKeys; i += kBlock) {
        const int r = i / kKeys, c = i % kKeys;
        if (row + r >= length[2] || column + c >= length[3]) continue;
        float sum = 0;
        for (int rr = r; rr < (length[2] == 1 ? kRows : r + 1); rr++)
            for (int cc = c; cc < (length[3] == 1 ? kKeys : c + 1); cc++) sum += shared.weight[cc][rr];
        store_float(g.dmask, p.mask_type, base + (row + r) * g.dmask.row + (column + c) * g.dmask.column,
                    sum);
    }
}

/* Every gradient's tiles in one launch: which of them are flagged is not known before. */
__device__ __forceinline__ void repair_tile(const smelt_sdpa_vjp_params &g, GenericShared &shared, int index)
{
    if (index < g.query_grid)
        query_tile(g, shared, index);
    else if (index - g.query_grid < g.key_grid)
        key_tile<false>(g, shared, index - g.query_grid);
    else
        key_tile<true>(g, shared, index - g.query_grid - g.key_grid);
}

} // namespace smelt

extern "C" __global__ __launch_bounds__(smelt::kPrepareThreads) void smelt_vjp_prepare(
    const __grid_constant__ smelt_sdpa_vjp_params g)
{
    smelt::prepare(g);
}

extern "C" __global__
__launch_bounds__(smelt::kSinkThreads) void smelt_vjp_sinks(const __grid_constant__ smelt_sdpa_vjp_params g)
{
    smelt::sink_gradient(g);
}

#define SMELT_ENTRY(name, function)                                                                          \
    extern "C" __global__ __launch_bounds__(smelt::kBlock) void name(                                        \
        const __grid_constant__ smelt_sdpa_vjp_params g)                                                     \
    {                                                                                                        \
        extern __shared__ __align__(16) unsigned char memory[];                                              \
        smelt::function(g, *reinterpret_cast<smelt::GenericShared *>(memory), blockIdx.x);                   \
    }
SMELT_ENTRY(smelt_vjp_queries, query_tile)
SMELT_ENTRY(smelt_vjp_keys, key_tile<false>)
SMELT_ENTRY(smelt_vjp_values, key_tile<true>)
SMELT_ENTRY(smelt_vjp_mask, mask_tile)
SMELT_ENTRY(smelt_vjp_repair, repair_tile)
