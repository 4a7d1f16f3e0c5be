/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa_vjp, compiled once per ISA. */
#include "cpu/sdpa_vjp/sdpa_vjp_kernel.h"

#include "cpu/vec/math.h"

/* The sums of a micro-tile fill the registers but for one row of the right side and one broadcast. */
#if VEC_WIDTH == 16
#    define ROWS    12
#    define VECTORS 2
#elif VEC_WIDTH == 8
#    define ROWS    6
#    define VECTORS 2
#elif VEC_WIDTH == 4
#    define ROWS    6
#    define VECTORS 4
#else
#    define ROWS    4
#    define VECTORS 4
#endif
#define PANEL (VECTORS * VEC_WIDTH)
#define BLOCK SMELT_SDPA_VJP_BLOCK

/* c (ROWS, vectors) = or += the sum over n of a(row, n) * b(n, column), where a(row, n) lies at row * a_row +
 * n * a_step. */
VEC void multiply(int vectors, bool add, float *c, int64_t c_row, const float *a, int64_t a_row,
                  int64_t a_step, const float *b, int64_t n)
{
    vf sum[ROWS][VECTORS];
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[r][v] = add ? vec_load_f32(c + r * c_row + v * VEC_WIDTH) : vec_zero();
    for (int64_t i = 0; i < n; i++, a += a_step, b += PANEL) {
        vf right[VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) right[v] = vec_load_f32(b + v * VEC_WIDTH);
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; r++) {
            vf left = vec_set(a[r * a_row]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sum[r][v] = vec_fma(left, right[v], sum[r][v]);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) vec_store_f32(c + r * c_row + v * VEC_WIDTH, sum[r][v]);
}

static void scores(float *to, const float *queries, const float *keys, int64_t query_count, int64_t key_count,
                   int64_t depth)
{
    for (int64_t j = 0; j < key_count; j += PANEL)
        for (int64_t i = 0; i < query_count; i += ROWS)
            multiply(VECTORS, false, to + i * BLOCK + j, BLOCK, queries + i * depth, 1, ROWS,
                     keys + j * depth, depth);
}

/* One panel of columns, which may end in vectors that hold nothing. */
VEC void sum_panel(int64_t columns, float *sums, const float *weights, int64_t a_row, int64_t a_step,
                   const float *rows, int64_t count, int64_t n)
{
    for (int64_t i = 0; i < count; i += ROWS) {
        float *to = sums + i * PANEL;
        const float *from = weights + i * a_row;
        if (columns > PANEL / 2)
            multiply(VECTORS, true, to, PANEL, from, a_row, a_step, rows, n);
        else
            multiply(VECTORS / 2, true, to, PANEL, from, a_row, a_step, rows, n);
    }
}

static void sum_queries(float *sums, const float *weights, const float *rows, int64_t query_count,
                        int64_t key_count, int64_t columns)
{
    for (; columns > 0; columns -= PANEL, sums += BLOCK * PANEL, rows += BLOCK * PANEL)
        sum_panel(columns, sums, weights, 1, BLOCK, rows, key_count, query_count);
}

static void sum_keys(float *sums, const float *weights, const float *rows, int64_t query_count,
                     int64_t key_count, int64_t columns)
{
    for (; columns > 0; columns -= PANEL, sums += BLOCK * PANEL, rows += BLOCK * PANEL)
        sum_panel(columns, sums, weights, BLOCK, 1, rows, query_count, key_count);
}

VEC void derive_tile(const struct smelt_sdpa_vjp_tile *tile, bool masked, bool cap)
{
    vf softcap = vec_set(tile->softcap), one = vec_set(1.0f), minus = vec_set(-INFINITY);
    for (int64_t i = 0; i < tile->queries; i++) {
        float *scores = tile->scores + i * BLOCK, *slopes = tile->slopes + i * BLOCK;
        const float *bias = masked ? tile->bias + i * BLOCK : NULL;
        vf lse = vec_set(tile->lse[i]), left = vec_set(tile->left[i]);
        for (int64_t j = 0; j < tile->keys; j += VEC_WIDTH) {
            vf score = vec_load_f32(scores + j), ratio = one, added = minus;
            if (cap) ratio = vec_tanh(vec_div(score, softcap)), score = vec_mul(ratio, softcap);
            if (masked) added = vec_load_f32(bias + j), score = vec_add(score, added);
            /* Not above 1: at -1e9, where a row sees nothing better, the rounding of lse alone would be. */
            vf p = vec_min(vec_set(1.0f), vec_exp2(vec_mul(vec_sub(score, lse), vec_set(0x1.715476p+0f))));
            vf slope = vec_mul(p, vec_add(vec_load_f32(slopes + j), left));
            if (cap && !tile->capped) slope = vec_mul(slope, vec_fnma(ratio, ratio, one));
            if (masked) { /* whatever came out of hidden keys and queries */
                vm hidden = vec_equal(added, minus);
                p = vec_select(hidden, vec_zero(), p), slope = vec_select(hidden, vec_zero(), slope);
            }
            vec_store_f32(scores + j, p);
            vec_store_f32(slopes + j, slope);
        }
    }
}

static void derive(const struct smelt_sdpa_vjp_tile *tile)
{
    if (tile->softcap > 0)
        derive_tile(tile, tile->bias, true);
    else if (tile->bias)
        derive_tile(tile, true, false);
    else
        derive_tile(tile, false, false);
}

VEC bool load_row(enum smelt_dtype t, float *to, const void *from, int64_t n)
{
    vf poison = vec_zero(); /* becomes NaN where an element is not finite */
    int64_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) {
        vf x = vec_load(t, from, i);
        poison = vec_fma(x, vec_zero(), poison);
        vec_store_f32(to + i, x);
    }
    if (i < n) {
        vf x = vec_load_part(t, from, i, n - i);
        poison = vec_fma(x, vec_zero(), poison);
        vec_store_part_f32(to + i, x, n - i);
    }
    return !vec_any(vec_is_nan(poison));
}

static bool load(float *to, const void *from, enum smelt_dtype dtype, int64_t n)
{
    return dtype == SMELT_F32   ? load_row(SMELT_F32, to, from, n)
           : dtype == SMELT_F16 ? load_row(SMELT_F16, to, from, n)
                                : load_row(SMELT_BF16, to, from, n);
}

VEC void store_row(enum smelt_dtype t, void *to, const float *from, float factor, int64_t n)
{
    int64_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        vec_store(t, to, i, vec_mul(vec_load_f32(from + i), vec_set(factor)));
    if (i < n) vec_store_part(t, to, i, vec_mul(vec_load_part_f32(from + i, n - i), vec_set(factor)), n - i);
}

static void store(void *to, enum smelt_dtype dtype, const float *from, float factor, int64_t n)
{
    if (dtype == SMELT_F32)
        store_row(SMELT_F32, to, from, factor, n);
    else if (dtype == SMELT_F16)
        store_row(SMELT_F16, to, from, factor, n);
    else
        store_row(SMELT_BF16, to, from, factor, n);
}

static float dot(const float *a, const float *b, int64_t n)
{
    vf sum = vec_zero();
    int64_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) sum = vec_fma(vec_load_f32(a + i), vec_load_f32(b + i), sum);
    if (i < n) sum = vec_fma(vec_load_part_f32(a + i, n - i), vec_load_part_f32(b + i, n - i), sum);
    return vec_sum(sum);
}

const struct smelt_sdpa_vjp_kernels SMELT_ISA_NAME(smelt_sdpa_vjp) = {
    .deep_rows = ROWS,
    .panel = PANEL,
    .load = load,
    .store = store,
    .dot = dot,
    .scores = scores,
    .derive = derive,
    .sum_queries = sum_queries,
    .sum_keys = sum_keys,
};
