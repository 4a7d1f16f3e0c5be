/* SPDX-License-Identifier: Apache-2.0 */
/* One decoding step of a small attention layer with smelt: the residual is added and normalised, queries and
 * keys are rotated, the new key and value go into the cache, and the query attends to what the cache holds so
 * far. Nothing is copied: heads, cache slices and the (batch, token, head, feature) order are strides.
 *
 *     cc decoder_step.c $(pkg-config --cflags --libs smelt) -lm && ./a.out */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <smelt/smelt.h>

enum { HEADS = 8, KV_HEADS = 2, DIM = 64, HIDDEN = HEADS * DIM, CACHE = 256, STEPS = 100 };

static void check(smelt_status status)
{
    if (status == SMELT_OK) return;
    fprintf(stderr, "%s: %s\n", smelt_status_string(status), smelt_last_error());
    exit(1);
}

/* A float32 tensor over memory of ours. A descriptor is a few words on the stack: nothing is allocated. */
struct tensor {
    DLTensor dl;
    int64_t shape[4], strides[4];
};
static struct tensor *describe(struct tensor *t, float *data, int rank, const int64_t *shape,
                               const int64_t *strides)
{
    memcpy(t->shape, shape, (size_t)rank * sizeof *shape);
    memcpy(t->strides, strides, (size_t)rank * sizeof *strides);
    t->dl = (DLTensor){.data = data,
                       .device = {kDLCPU, 0},
                       .ndim = rank,
                       .dtype = {kDLFloat, 32, 1},
                       .shape = t->shape,
                       .strides = t->strides};
    return t;
}

static float residual[HIDDEN], x[HIDDEN], weight[HIDDEN], normed[HIDDEN];
static float query[HEADS * DIM], key[KV_HEADS * DIM], value[KV_HEADS * DIM], attended[HEADS * DIM],
    lse[HEADS];
static float key_cache[KV_HEADS][CACHE][DIM], value_cache[KV_HEADS][CACHE][DIM];

static void add_and_normalise(void)
{
    struct tensor r, i, w, o;
    const int64_t row[] = {1, HIDDEN}, row_strides[] = {HIDDEN, 1}, dim[] = {HIDDEN}, unit[] = {1};
    smelt_norm_options options = SMELT_NORM_OPTIONS_INIT;
    options.eps = 1e-6f;
    describe(&r, residual, 2, row, row_strides), describe(&i, x, 2, row, row_strides);
    describe(&w, weight, 1, dim, unit), describe(&o, normed, 2, row, row_strides);
    /* The sum goes back into the residual, in place. */
    check(smelt_residual_norm(&o.dl, &r.dl, &r.dl, &i.dl, &w.dl, NULL, &options, NULL));
}

static void rotate(float *data, int heads, int position)
{
    struct tensor t;
    const int64_t shape[] = {1, heads, 1, DIM}, strides[] = {heads * DIM, DIM, DIM, 1};
    smelt_rope_options options = SMELT_ROPE_OPTIONS_INIT;
    options.base = 10000.0f;
    options.offset = position;
    describe(&t, data, 4, shape, strides);
    check(smelt_rope(&t.dl, &t.dl, &options, NULL)); /* in place */
}

static void attend(int length)
{
    struct tensor q, k, v, o, l;
    const int64_t q_shape[] = {1, HEADS, 1, DIM}, q_strides[] = {HEADS * DIM, DIM, DIM, 1};
    const int64_t kv_shape[] = {1, KV_HEADS, length, DIM}; /* the part of the cache in use */
    const int64_t kv_strides[] = {KV_HEADS * CACHE * DIM, CACHE * DIM, DIM, 1};
    const int64_t l_shape[] = {1, HEADS, 1}, l_strides[] = {HEADS, 1, 1};
    describe(&q, query, 4, q_shape, q_strides), describe(&o, attended, 4, q_shape, q_strides);
    describe(&k, &key_cache[0][0][0], 4, kv_shape, kv_strides);
    describe(&v, &value_cache[0][0][0], 4, kv_shape, kv_strides);
    describe(&l, lse, 3, l_shape, l_strides);
    check(smelt_sdpa(&o.dl, &l.dl, &q.dl, &k.dl, &v.dl, NULL, NULL));
}

int main(void)
{
    for (int i = 0; i < HIDDEN; i++) weight[i] = 1.0f;
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < HIDDEN; i++) x[i] = sinf(0.37f * (float)(i + step));
        add_and_normalise();
        memcpy(query, normed, sizeof query); /* a model multiplies by its weights here */
        memcpy(key, normed, sizeof key);
        memcpy(value, normed, sizeof value);
        rotate(query, HEADS, step);
        rotate(key, KV_HEADS, step);
        for (int h = 0; h < KV_HEADS; h++) {
            memcpy(key_cache[h][step], key + h * DIM, DIM * sizeof(float));
            memcpy(value_cache[h][step], value + h * DIM, DIM * sizeof(float));
        }
        attend(step + 1);
    }
    double sum = 0;
    for (int i = 0; i < HIDDEN; i++) sum += (double)attended[i] * attended[i];
    printf("smelt %s: %d steps, |attention|^2 = %.4f, logsumexp of head 0 = %.4f\n", smelt_version(), STEPS,
           sum, lse[0]);
    return isfinite(sum) && isfinite(lse[0]) ? 0 : 1;
}
