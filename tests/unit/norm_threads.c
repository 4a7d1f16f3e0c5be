/* SPDX-License-Identifier: Apache-2.0 */
/* The norm family gives the same bits for any number of threads, for the caller's own pool in any order, and
 * with columns of every dtype at any place. */
#include <math.h>

#include "unit.h"

enum { ROWS = 1000, DIM = 515, OUTPUTS = 4 };

static void backwards(void *pool, int64_t tasks, void (*task)(void *, int64_t), void *argument)
{
    (void)pool;
    while (tasks--) task(argument, tasks);
}

static DLTensor *wave(enum smelt_dtype dtype, int rank, double a)
{
    DLTensor *x = unit_make(dtype, 0, rank, rank == 2 ? (const int[]){ROWS, DIM} : (const int[]){DIM});
    int64_t count = rank == 2 ? ROWS * DIM : DIM;
    for (int64_t i = 0; i < count; i++)
        smelt_store_float(dtype, (char *)x->data + i * smelt_dtype_size(dtype),
                          (float)(sin(a * (double)i) + 0.1));
    return x;
}

static DLTensor *residual, *x, *weight, *scalar, *dout, *dsum, *rows[2], *columns[2];
static const smelt_norm_options *no_options;

static smelt_status rms(const smelt_stream *s)
{
    return smelt_rms_norm_vjp(rows[0], columns[0], x, weight, dout, no_options, s);
}
static smelt_status layer(const smelt_stream *s)
{
    return smelt_layer_norm_vjp(rows[0], columns[0], columns[1], x, weight, dout, no_options, s);
}
static smelt_status add(const smelt_stream *s)
{
    return smelt_norm_add_vjp(rows[1], rows[0], columns[0], columns[1], residual, x, weight, scalar, dout,
                              no_options, s);
}
static smelt_status sum(const smelt_stream *s)
{
    return smelt_residual_norm_vjp(rows[1], rows[0], columns[0], columns[1], residual, x, weight, scalar,
                                   dout, dsum, no_options, s);
}
static smelt_status forward(const smelt_stream *s)
{
    return smelt_residual_norm(rows[0], rows[1], residual, x, weight, scalar, no_options, s);
}

static void clear(void)
{
    size_t item = (size_t)smelt_dtype_size(smelt_dtype_of(x->dtype));
    for (int i = 0; i < 2; i++) {
        memset(rows[i]->data, 0, ROWS * DIM * item);
        memset(columns[i]->data, 0, DIM * item);
    }
}

static void same_for_all(smelt_status (*call)(const smelt_stream *))
{
    size_t item = (size_t)smelt_dtype_size(smelt_dtype_of(x->dtype)), row_bytes = ROWS * DIM * item;
    char *first[4] = {malloc(row_bytes), malloc(row_bytes), malloc(DIM * item), malloc(DIM * item)};
    DLTensor *const outputs[4] = {rows[0], rows[1], columns[0], columns[1]};
    for (int run = 0; run < 4; run++) {
        smelt_stream stream = SMELT_STREAM_INIT;
        stream.num_threads = run == 0 ? 1 : run == 1 ? 2 : 7;
        if (run == 3) stream.parallel_for = backwards;
        clear();
        UNIT_OK(call(&stream));
        for (int i = 0; i < OUTPUTS; i++) {
            size_t bytes = i < 2 ? row_bytes : DIM * item;
            if (!run) memcpy(first[i], outputs[i]->data, bytes);
            UNIT(!memcmp(first[i], outputs[i]->data, bytes));
        }
    }
    for (int i = 0; i < 4; i++) free(first[i]);
}

int main(void)
{
    for (enum smelt_dtype dtype = SMELT_F32; dtype <= SMELT_BF16; dtype++) {
        residual = wave(dtype, 2, .37), x = wave(dtype, 2, .73), dout = wave(dtype, 2, 1.1),
        dsum = wave(dtype, 2, .9);
        weight = wave(dtype, 1, .21), scalar = wave(dtype, 1, .53);
        for (int i = 0; i < 2; i++) rows[i] = wave(dtype, 2, 0), columns[i] = wave(dtype, 1, 0);
        same_for_all(rms);
        same_for_all(layer);
        same_for_all(add);
        same_for_all(sum);
        same_for_all(forward);
    }
    return unit_end();
}
