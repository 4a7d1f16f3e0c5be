/* SPDX-License-Identifier: Apache-2.0 */
/* moe_routing, compiled once per ISA. */
#include "cpu/moe_routing/moe_routing_kernel.h"

#include "cpu/vec/math.h"

enum { UNROLL = 4 }; /* exponentials at a time: each is a long chain of dependent steps */

/* Rows become columns: a perfect shuffle of the vectors, once per bit of their width. */
VEC void transpose(vf v[VEC_WIDTH])
{
    for (int round = 1; round < VEC_WIDTH; round *= 2) {
        vf next[VEC_WIDTH];
        for (int i = 0; i < VEC_WIDTH / 2; i++) {
            next[2 * i] = vec_zip_low(v[i], v[i + VEC_WIDTH / 2]);
            next[2 * i + 1] = vec_zip_high(v[i], v[i + VEC_WIDTH / 2]);
        }
        for (int i = 0; i < VEC_WIDTH; i++) v[i] = next[i];
    }
}

/* Logits as float32, one vector of rows per expert; lanes without a row repeat the last one. Returns the
 * maxima. */
VEC vf load_columns(enum smelt_dtype t, const struct smelt_moe_lanes *r)
{
    vf largest = vec_set(-INFINITY);
    for (int64_t e = 0; e < r->experts; e += VEC_WIDTH) {
        int64_t n = r->experts - e < VEC_WIDTH ? r->experts - e : VEC_WIDTH;
        vf v[VEC_WIDTH];
        for (int i = 0; i < VEC_WIDTH; i++) {
            const char *row = r->logits + (i < r->rows ? i : r->rows - 1) * r->row_step;
            v[i] = n == VEC_WIDTH ? vec_load(t, row, e) : vec_load_part(t, row, e, n);
        }
        transpose(v);
        for (int i = 0; i < VEC_WIDTH; i++)
            if (i < n) {
                largest = vec_max(largest, v[i]);
                vec_store_f32(r->work + (e + i) * VEC_WIDTH, v[i]);
            }
    }
    return largest;
}

/* The same, element by element, for experts that are not neighbours in memory. */
static vf load_strided(const struct smelt_moe_lanes *r)
{
    vf largest = vec_set(-INFINITY);
    for (int64_t e = 0; e < r->experts; e++) {
        float *lanes = r->work + e * VEC_WIDTH;
        for (int64_t i = 0; i < VEC_WIDTH; i++) {
            const char *row = r->logits + (i < r->rows ? i : r->rows - 1) * r->row_step;
            lanes[i] = smelt_load_float(r->dtype, row + e * r->expert_step);
        }
        largest = vec_max(largest, vec_load_f32(lanes));
    }
    return largest;
}

static vf load_rows(const struct smelt_moe_lanes *r)
{
    if (r->expert_step != smelt_dtype_size(r->dtype)) return load_strided(r);
    if (r->dtype == SMELT_F16) return load_columns(SMELT_F16, r);
    if (r->dtype == SMELT_BF16) return load_columns(SMELT_BF16, r);
    return load_columns(SMELT_F32, r);
}

/* Lists of the largest values, in descending order, as experts come by in ascending order. A value goes
 * behind all that are as large, so ties keep the lower index. */
VEC void insert(vf *values, vf *ids, int64_t chosen, vf value, vf id)
{
    for (int64_t k = chosen - 1; k > 0; k--) {
        vm here = vec_less(values[k], value), above = vec_less(values[k - 1], value);
        ids[k] = vec_select(above, ids[k - 1], vec_select(here, id, ids[k]));
        values[k] = vec_max(values[k], vec_min(values[k - 1], value));
    }
    ids[0] = vec_select(vec_less(values[0], value), id, ids[0]);
    values[0] = vec_max(values[0], value);
}

/* Into r->weights and r->ids; `chosen` is a constant and no smaller than r->chosen. */
VEC void select_short(const struct smelt_moe_lanes *r, vf inverse_sum, int chosen)
{
    vf values[16], ids[16];
    for (int k = 0; k < chosen; k++) values[k] = vec_set(-1), ids[k] = vec_zero();
    for (int64_t e = 0; e < r->experts; e++) {
        vf value = vec_mul(vec_load_f32(r->work + e * VEC_WIDTH), inverse_sum);
        if (vec_any(vec_less(values[chosen - 1], value)))
            insert(values, ids, chosen, value, vec_of_bits(vec_int_set((int32_t)e)));
    }
    for (int k = 0; k < chosen; k++) {
        vec_store_f32(r->weights + k * VEC_WIDTH, values[k]);
        memcpy(r->ids + k * VEC_WIDTH, &ids[k], sizeof ids[k]);
    }
}

/* Long lists, in memory. */
static void select_long(const struct smelt_moe_lanes *r, vf inverse_sum)
{
    int64_t last = r->chosen - 1;
    for (int64_t k = 0; k <= last; k++) vec_store_f32(r->weights + k * VEC_WIDTH, vec_set(-1));
    memset(r->ids, 0, (size_t)r->chosen * VEC_WIDTH * sizeof *r->ids);
    for (int64_t e = 0; e < r->experts; e++) {
        vf value = vec_mul(vec_load_f32(r->work + e * VEC_WIDTH), inverse_sum);
        vf id = vec_of_bits(vec_int_set((int32_t)e));
        for (int64_t k = last; k >= 0; k--) { /* until no lane moves any more */
            float *at = r->weights + k * VEC_WIDTH;
            int32_t *id_at = r->ids + k * VEC_WIDTH;
            vf old = vec_load_f32(at), old_id, above = vec_set(INFINITY), above_id = id;
            memcpy(&old_id, id_at, sizeof old_id);
            vm here = vec_less(old, value);
            if (!vec_any(here)) break;
            if (k > 0) {
                above = vec_load_f32(at - VEC_WIDTH);
                memcpy(&above_id, id_at - VEC_WIDTH, sizeof above_id);
            }
            vf new_id = vec_select(vec_less(above, value), above_id, vec_select(here, id, old_id));
            vec_store_f32(at, vec_max(old, vec_min(above, value)));
            memcpy(id_at, &new_id, sizeof new_id);
        }
    }
}

static void choose(const struct smelt_moe_lanes *r, vf inverse_sum)
{
    if (r->chosen == 1)
        select_short(r, inverse_sum, 1);
    else if (r->chosen == 2)
        select_short(r, inverse_sum, 2);
    else if (r->chosen <= 4)
        select_short(r, inverse_sum, 4);
    else if (r->chosen <= 8)
        select_short(r, inverse_sum, 8);
    else if (r->chosen <= 16)
        select_short(r, inverse_sum, 16);
    else
        select_long(r, inverse_sum);
}

/* Weights from the probabilities; rows without probabilities get experts 0 to K-1 and weights 0. */
static void finish(const struct smelt_moe_lanes *r, vm bad)
{
    vf sum = vec_zero(), one = vec_set(1.0f);
    for (int64_t k = 0; k < r->chosen; k++) sum = vec_add(sum, vec_load_f32(r->weights + k * VEC_WIDTH));
    vf divisor = r->renormalize ? sum : one;
    for (int64_t k = 0; k < r->chosen; k++) {
        float *weights = r->weights + k * VEC_WIDTH, scale[VEC_WIDTH];
        int32_t *ids = r->ids + k * VEC_WIDTH;
        vf weight = vec_div(vec_load_f32(weights), divisor), id;
        if (r->scale) {
            for (int i = 0; i < VEC_WIDTH; i++) scale[i] = r->scale[ids[i]];
            weight = vec_mul(weight, vec_load_f32(scale));
        }
        vec_store_f32(weights, vec_select(bad, vec_zero(), weight));
        memcpy(&id, ids, sizeof id);
        id = vec_select(bad, vec_of_bits(vec_int_set((int32_t)k)), id);
        memcpy(ids, &id, sizeof id);
    }
}

#ifdef VEC_HAS_KEEP
enum { FEW = 8, MOST_EXPERTS = 256 };

typedef float square[VEC_WIDTH][VEC_WIDTH];

VEC void load_square(vf v[VEC_WIDTH], square rows)
{
    for (int i = 0; i < VEC_WIDTH; i++) v[i] = vec_load_f32(rows[i]);
    transpose(v);
}

/* exp(logit - the largest) of the rows to r->work, the largest of every lane of a row to `lanes`. Every step
 * is done for all rows before the next one: within a row each waits for the last. Returns the sums. */
VEC vf power_rows(enum smelt_dtype t, const struct smelt_moe_lanes *r, square lanes)
{
    float ends[VEC_WIDTH];
    square sums;
    const char *row[VEC_WIDTH];
    int64_t n = r->experts;
    vf v[VEC_WIDTH], end = vec_set(-INFINITY), sum = vec_zero();
    for (int i = 0; i < VEC_WIDTH; i++) {
        vf most[UNROLL];
        row[i] = r->logits + (i < r->rows ? i : r->rows - 1) * r->row_step;
        for (int u = 0; u < UNROLL; u++) most[u] = vec_load(t, row[i], u * VEC_WIDTH);
        for (int64_t e = UNROLL * VEC_WIDTH; e < n; e += UNROLL * VEC_WIDTH)
            for (int u = 0; u < UNROLL; u++)
                most[u] = vec_max(most[u], vec_load(t, row[i], e + u * VEC_WIDTH));
        vec_store_f32(lanes[i], vec_max(vec_max(most[0], most[1]), vec_max(most[2], most[3])));
    }
    load_square(v, lanes);
    for (int i = 0; i < VEC_WIDTH; i++) end = vec_max(end, v[i]);
    vec_store_f32(ends, end);
    for (int i = 0; i < VEC_WIDTH; i++) {
        vf top = vec_set(ends[i]), part = vec_zero(), most = vec_zero();
        for (int64_t e = 0; e < n; e += UNROLL * VEC_WIDTH) {
            vf power[UNROLL];
            for (int u = 0; u < UNROLL; u++)
                power[u] = vec_exp(vec_sub(vec_load(t, row[i], e + u * VEC_WIDTH), top));
            for (int u = 0; u < UNROLL; u++) {
                part = vec_add(part, power[u]);
                most = vec_max(most, power[u]);
                vec_store_f32(r->work + i * n + e + u * VEC_WIDTH, power[u]);
            }
        }
        vec_store_f32(sums[i], part);
        vec_store_f32(lanes[i], most);
    }
    load_square(v, sums);
    for (int i = 0; i < VEC_WIDTH; i++) sum = vec_add(sum, v[i]);
    return sum;
}

/* The powers from `bound` on, with their experts; returns how many. */
VEC int64_t keep_large(float *work, int32_t *ids, int64_t n, float bound)
{
    int64_t kept = 0;
    for (int64_t e = 0; e < n; e += VEC_WIDTH) { /* in place: writing never overtakes reading */
        vf p = vec_load_f32(work + e),
           id = vec_of_bits(vec_int_add(vec_int_lanes(), vec_int_set((int32_t)e)));
        vm large = vec_less_equal(vec_set(bound), p);
        vec_store_f32(work + kept, vec_keep(large, p));
        vec_store_f32(ids + kept, vec_keep(large, id));
        kept += vec_count(large);
    }
    return kept;
}

/* A bound that at least eight powers of a row reach, about twelve of 128: the eighth largest of the maxima of
 * the lanes. It is lowered by more than what rounding can hide, because powers that differ may become equal
 * probabilities, of which the first counts; where such numbers are too small for that, by all. */
VEC vf bound_of_eight(square maxima)
{
    vf v[VEC_WIDTH], list[FEW];
    load_square(v, maxima);
    for (int k = 0; k < FEW; k++) list[k] = vec_set(-1);
    for (int i = 0; i < VEC_WIDTH; i++)
        for (int k = 0; k < FEW; k++) {
            vf above = list[k];
            list[k] = vec_max(v[i], above), v[i] = vec_min(v[i], above);
        }
    vf lowered = vec_mul(list[FEW - 1], vec_set(1 - 0x1p-20f));
    return vec_select(vec_less(lowered, vec_set(0x1p-90f)), vec_zero(), lowered);
}

/* The lists of a few rows and their ids, one row after the other: 16 floats each, of which the ids are the
 * second half. */
static struct smelt_moe_lists turn_lists(const struct smelt_moe_lanes *r)
{
    vf v[VEC_WIDTH];
    for (int k = 0; k < FEW; k++) {
        v[k] = vec_load_f32(r->weights + k * VEC_WIDTH);
        v[FEW + k] = vec_load_f32(r->ids + k * VEC_WIDTH);
    }
    transpose(v);
    for (int i = 0; i < VEC_WIDTH; i++) vec_store_f32(r->weights + i * VEC_WIDTH, v[i]);
    return (struct smelt_moe_lists){r->weights, (const int32_t *)(const void *)(r->weights + FEW), VEC_WIDTH,
                                    1};
}

/* Short lists out of whole vectors of experts: only what is large enough is moved into the lanes and sorted.
 */
VEC vf route_few(enum smelt_dtype t, const struct smelt_moe_lanes *r)
{
    square maxima;
    float bounds[VEC_WIDTH];
    int32_t ids[VEC_WIDTH][MOST_EXPERTS];
    int64_t n = r->experts, kept[VEC_WIDTH], most = 0;
    vf sum = power_rows(t, r, maxima), inverse = vec_div(vec_set(1.0f), sum);
    vec_store_f32(bounds, bound_of_eight(maxima));
    for (int64_t i = 0; i < VEC_WIDTH; i++) {
        kept[i] = keep_large(r->work + i * n, ids[i], n, bounds[i]);
        if (kept[i] > most) most = kept[i];
    }
    vf values[FEW], places[FEW];
    for (int k = 0; k < FEW; k++) values[k] = vec_set(-1), places[k] = vec_zero();
    for (int64_t first = 0; first < most; first += VEC_WIDTH) {
        vf p[VEC_WIDTH], id[VEC_WIDTH];
        for (int64_t i = 0; i < VEC_WIDTH; i++) {
            vm some = vec_mask_first(kept[i] > first ? kept[i] - first : 0);
            p[i] = vec_select(some, vec_load_f32(r->work + i * n + first), vec_set(-1));
            id[i] = vec_load_f32(&ids[i][first]);
        }
        transpose(p);
        transpose(id);
        for (int64_t i = 0; i < VEC_WIDTH && first + i < most; i++)
            insert(values, places, FEW, vec_mul(p[i], inverse), id[i]);
    }
    for (int64_t k = 0; k < r->chosen; k++) {
        vec_store_f32(r->weights + k * VEC_WIDTH, values[k]);
        vec_store_f32(r->ids + k * VEC_WIDTH, places[k]);
    }
    return sum;
}

/* Whether it did the work depends on the shape alone, so that the rows that share the vectors do not matter.
 */
static bool route_quickly(const struct smelt_moe_lanes *r, struct smelt_moe_lists *lists)
{
    if (r->experts % (UNROLL * VEC_WIDTH) || r->experts > MOST_EXPERTS || r->chosen > FEW ||
        r->expert_step != smelt_dtype_size(r->dtype))
        return false;
    vf sum = r->dtype == SMELT_F16    ? route_few(SMELT_F16, r)
             : r->dtype == SMELT_BF16 ? route_few(SMELT_BF16, r)
                                      : route_few(SMELT_F32, r);
    finish(r, vec_is_nan(sum));
    *lists = turn_lists(r);
    return true;
}
#else
static bool route_quickly(const struct smelt_moe_lanes *r, struct smelt_moe_lists *lists)
{
    return (void)r, (void)lists, false;
}
#endif

static struct smelt_moe_lists route(const struct smelt_moe_lanes *rows)
{
    struct smelt_moe_lists lists = {rows->weights, rows->ids, 1, VEC_WIDTH};
    if (route_quickly(rows, &lists)) return lists;
    vf largest = load_rows(rows), sum = vec_zero();
    int64_t e = 0;
    for (; e + UNROLL <= rows->experts; e += UNROLL) {
        vf power[UNROLL];
        for (int i = 0; i < UNROLL; i++)
            power[i] = vec_exp(vec_sub(vec_load_f32(rows->work + (e + i) * VEC_WIDTH), largest));
        for (int i = 0; i < UNROLL; i++) {
            sum = vec_add(sum, power[i]);
            vec_store_f32(rows->work + (e + i) * VEC_WIDTH, power[i]);
        }
    }
    for (; e < rows->experts; e++) {
        vf power = vec_exp(vec_sub(vec_load_f32(rows->work + e * VEC_WIDTH), largest));
        sum = vec_add(sum, power);
        vec_store_f32(rows->work + e * VEC_WIDTH, power);
    }
    choose(rows, vec_div(vec_set(1.0f), sum));
    finish(rows, vec_is_nan(sum)); /* any NaN or +inf makes it so, and -inf - -inf too */
    return lists;
}

VEC bool softmax_row(float *probabilities, enum smelt_dtype t, const void *logits, int64_t n)
{
    vf largest = vec_set(-INFINITY), sum = vec_zero();
    int64_t whole = n / VEC_WIDTH * VEC_WIDTH, rest = n - whole;
    for (int64_t i = 0; i < whole; i += VEC_WIDTH) largest = vec_max(largest, vec_load(t, logits, i));
    float top = vec_largest(largest);
    for (int64_t i = whole; i < n; i++) {
        float value = smelt_load_float(t, vec_at(t, logits, i));
        if (value > top) top = value;
    }
    for (int64_t i = 0; i < whole; i += VEC_WIDTH) {
        vf power = vec_exp(vec_sub(vec_load(t, logits, i), vec_set(top)));
        sum = vec_add(sum, power);
        vec_store_f32(probabilities + i, power);
    }
    if (rest) {
        vf power = vec_exp(vec_sub(vec_load_part(t, logits, whole, rest), vec_set(top)));
        vec_store_part(SMELT_F32, probabilities, whole, power, rest);
        sum = vec_add(sum, vec_load_part(SMELT_F32, probabilities, whole, rest));
    }
    float total = vec_sum(sum);
    if (total != total) return false;
    vf inverse = vec_set(1 / total);
    for (int64_t i = 0; i < whole; i += VEC_WIDTH)
        vec_store_f32(probabilities + i, vec_mul(vec_load_f32(probabilities + i), inverse));
    for (int64_t i = whole; i < n; i++) probabilities[i] *= 1 / total;
    return true;
}

static bool softmax(float *probabilities, enum smelt_dtype dtype, const void *logits, int64_t experts)
{
    if (dtype == SMELT_F16) return softmax_row(probabilities, SMELT_F16, logits, experts);
    if (dtype == SMELT_BF16) return softmax_row(probabilities, SMELT_BF16, logits, experts);
    return softmax_row(probabilities, SMELT_F32, logits, experts);
}

VEC void convert_row(enum smelt_dtype t, void *out, const float *in, int64_t n)
{
    int64_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) vec_store(t, out, i, vec_load_f32(in + i));
    if (i < n) vec_store_part(t, out, i, vec_load_part(SMELT_F32, in, i, n - i), n - i);
}

static void convert(enum smelt_dtype dtype, void *out, const float *in, int64_t n)
{
    if (dtype == SMELT_F16)
        convert_row(SMELT_F16, out, in, n);
    else if (dtype == SMELT_BF16)
        convert_row(SMELT_BF16, out, in, n);
    else
        memcpy(out, in, (size_t)n * sizeof *in);
}

const struct smelt_moe_kernels SMELT_ISA_NAME(smelt_moe) = {VEC_WIDTH, route, softmax, convert};
