/* SPDX-License-Identifier: Apache-2.0 */
/* rope on the CPU. Cosines and sines are computed once per token of a chunk and serve all heads (and all
 * sequences with the same positions); chunks go over threads. */
#include "api/rope.h"
#include "core/loop.h"
#include "core/strided.h"
#include "cpu/rope/rope_kernel.h"

enum { TABLE_BYTES = 64 << 10, LANES = 16, PIECE = 256 /* pairs */ };

struct job {
    const struct smelt_rope_args *args;
    const struct smelt_rope_kernels *kernels;
    struct smelt_loop
        loop; /* the rows that share positions: all axes but tokens, features, and own sequences */
    int64_t tokens, half, padded;
    int64_t groups, chunks, chunk, blocks; /* items: groups of positions, chunks of tokens, blocks of rows */
    int64_t out_token, x_token;            /* bytes */
    const float *inverse;
    float *tables; /* one per slot: chunk rows of `padded` cosines and `padded` sines */
    bool token_major, packed, stream;
};

/* base^(-i/half) by products of double, anew from exp2 every so often: far within float32. */
static void fill_inverse(const struct smelt_rope_args *args, float *inverse, int64_t half)
{
    enum { ANEW = 64 };
    const struct smelt_view *given = args->freqs ? args->freqs : args->inverse_freqs;
    double power = args->base, ratio = 1, value = 1;
    if (!given) power = log2(args->base), ratio = exp2(-power / (double)half);
    for (int64_t i = 0; i < half; i++) {
        if (given) {
            float f = smelt_load_float(given->dtype, given->data + i * given->stride[0] * given->item);
            inverse[i] = args->freqs ? (float)(1.0 / f) : f;
        } else {
            value = i % ANEW ? value * ratio : exp2(-((double)i / (double)half) * power);
            inverse[i] = (float)value;
        }
    }
}

/* One row whose features are not neighbours: pairs through packed pieces, the rest element by element. */
static void run_strided(const struct job *job, char *out, const char *x, const float *table)
{
    _Alignas(64) char packed[2 * PIECE * 4];
    const struct smelt_rope_args *a = job->args;
    int last = a->x->rank - 1;
    int64_t item = a->x->item, out_step = a->out->stride[last] * item, x_step = a->x->stride[last] * item;
    int64_t pair = a->traditional ? 2 : 1, second = a->traditional ? 1 : job->half;
    struct smelt_rope_rows rows = {
        .out = packed, .x = packed, .sines = job->padded, .rows = 1, .second = PIECE};
    for (int64_t i = 0; i < job->half; i += PIECE) {
        int64_t n = job->half - i < PIECE ? job->half - i : PIECE;
        const char *from = x + i * pair * x_step;
        char *to = out + i * pair * out_step, *high = packed + PIECE * item;
        smelt_gather(packed, from, pair * x_step, item, n);
        smelt_gather(high, from + second * x_step, pair * x_step, item, n);
        rows.table = table + i, rows.half = n;
        job->kernels->rows[0][a->x->dtype](&rows);
        smelt_scatter(to, pair * out_step, packed, item, n);
        smelt_scatter(to + second * out_step, pair * out_step, high, item, n);
    }
    for (int64_t i = a->dims, size = a->x->shape[last]; i < size; i += PIECE) {
        int64_t n = size - i < PIECE ? size - i : PIECE;
        smelt_gather(packed, x + i * x_step, x_step, item, n);
        smelt_scatter(out + i * out_step, out_step, packed, item, n);
    }
}

static void run_rows(const struct job *job, const struct smelt_rope_rows *rows)
{
    const struct smelt_rope_args *a = job->args;
    if (job->packed) {
        job->kernels->rows[a->traditional][a->x->dtype](rows);
        return;
    }
    for (int64_t i = 0; i < rows->rows; i++)
        run_strided(job, rows->out + i * rows->out_step, rows->x + i * rows->x_step,
                    rows->table + i * rows->table_step);
}

/* Rows [begin, end) of the loop, at tokens [first, first + count), whose table is ready. */
static void run_block(const struct job *job, char *out, const char *x, const float *table, int64_t count,
                      int64_t begin, int64_t end)
{
    const struct smelt_rope_args *a = job->args;
    struct smelt_rope_rows rows = {.half = job->half,
                                   .sines = job->padded,
                                   .second = job->half,
                                   .rest = (a->x->shape[a->x->rank - 1] - a->dims) * a->x->item,
                                   .stream = job->stream};
    int64_t passes = job->token_major ? count : 1;
    for (int64_t t = 0; t < passes; t++)
        for (struct smelt_span s = smelt_loop_span(&job->loop, begin, end); s.count;
             smelt_loop_next(&job->loop, &s)) {
            rows.table = table + t * 2 * job->padded;
            rows.out = out + s.offset[0] + t * job->out_token, rows.x = x + s.offset[1] + t * job->x_token;
            if (job->token_major) {
                rows.rows = s.count, rows.table_step = 0;
                rows.out_step = job->loop.step[0], rows.x_step = job->loop.step[1];
                run_rows(job, &rows);
                continue;
            }
            rows.rows = count, rows.table_step = 2 * job->padded;
            rows.out_step = job->out_token, rows.x_step = job->x_token;
            for (int64_t i = 0; i < s.count; i++) {
                run_rows(job, &rows);
                rows.out += job->loop.step[0], rows.x += job->loop.step[1];
            }
        }
}

static void task(void *argument, int64_t begin, int64_t end, int slot)
{
    const struct job *job = argument;
    const struct smelt_rope_args *a = job->args;
    float *table = job->tables + (int64_t)slot * job->chunk * 2 * job->padded;
    float sine_scale = a->backward ? -a->cos_sin_scale : a->cos_sin_scale;
    int64_t filled = -1; /* the chunk that the table holds */
    for (int64_t i = begin; i < end; i++) {
        int64_t block = i % job->blocks, chunk = i / job->blocks % job->chunks;
        int64_t group = i / job->blocks / job->chunks, first = chunk * job->chunk;
        int64_t count = job->tokens - first < job->chunk ? job->tokens - first : job->chunk;
        for (int64_t t = 0; t < count && filled != i / job->blocks; t++) {
            float position = (float)smelt_rope_position(a, group, first + t) * a->scale, *row;
            row = table + t * 2 * job->padded;
            job->kernels->table(row, row + job->padded, job->inverse, job->half, position, a->cos_sin_scale,
                                sine_scale);
        }
        filled = i / job->blocks;
        char *out = a->out->data + first * job->out_token;
        const char *x = a->x->data + first * job->x_token;
        if (job->groups > 1) {
            out += group * a->out->stride[0] * a->out->item;
            x += group * a->x->stride[0] * a->x->item;
        }
        int64_t rows = job->loop.items;
        run_block(job, out, x, table, count, rows * block / job->blocks, rows * (block + 1) / job->blocks);
    }
    if (job->stream) job->kernels->fence();
}

/* The axes of `view` whose rows share positions. */
static struct smelt_view shared_axes(const struct smelt_view *view, int sequence, bool own)
{
    struct smelt_view shared = *view;
    shared.rank = 0;
    for (int i = own ? 1 : 0; i < view->rank - 1; i++) {
        if (i == sequence) continue;
        shared.shape[shared.rank] = view->shape[i];
        shared.stride[shared.rank++] = view->stride[i];
    }
    return shared;
}

static void divide(struct job *job, const struct smelt_run *run)
{
    const struct smelt_rope_args *a = job->args;
    int64_t most = TABLE_BYTES / (2 * job->padded * (int64_t)sizeof(float));
    if (most < 1) most = 1;
    job->chunks = (job->tokens + most - 1) / most;
    if (job->groups < run->slots) /* a multiple of the threads, so that they end together */
        job->chunks = (job->chunks + run->slots - 1) / run->slots * run->slots;
    if (job->chunks > job->tokens) job->chunks = job->tokens;
    job->chunk = (job->tokens + job->chunks - 1) / job->chunks;
    job->chunks = (job->tokens + job->chunk - 1) / job->chunk;
    int64_t items = job->groups * job->chunks;
    job->blocks = items < run->slots ? (run->slots + items - 1) / items : 1;
    if (job->blocks > job->loop.items) job->blocks = job->loop.items;
    int64_t token = job->out_token < 0 ? -job->out_token : job->out_token;
    int64_t step = job->loop.step[0] < 0 ? -job->loop.step[0] : job->loop.step[0];
    job->token_major = job->tokens == 1 || (step < token && job->loop.items > 1);
    job->stream = a->out->elements * a->out->item > run->llc_bytes;
}

smelt_status smelt_cpu_rope(const struct smelt_rope_args *args)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_rope);
    const struct smelt_view *x = args->x, *out = args->out;
    int last = x->rank - 1;
    if (!x->elements) return SMELT_OK;
    bool own = smelt_rope_per_sequence(args);
    struct smelt_view shared[2] = {shared_axes(out, args->sequence, own),
                                   shared_axes(x, args->sequence, own)};
    const struct smelt_view *views[2] = {&shared[0], &shared[1]};
    struct job job = {.args = args,
                      .kernels = smelt_best_kernels(tables),
                      .tokens = x->shape[args->sequence],
                      .half = args->dims / 2,
                      .padded = (args->dims / 2 + LANES - 1) / LANES * LANES,
                      .groups = own ? x->shape[0] : 1,
                      .out_token = out->stride[args->sequence] * out->item,
                      .x_token = x->stride[args->sequence] * x->item,
                      .packed = x->stride[last] == 1 && out->stride[last] == 1};
    smelt_loop_init(&job.loop, 2, views, shared[0].rank, true);
    struct smelt_run run = *args->run;
    smelt_run_limit(&run, 2 * x->elements * x->item);
    divide(&job, &run);

    size_t bytes = ((size_t)job.padded + (size_t)(run.slots * job.chunk * 2 * job.padded)) * sizeof(float);
    void *memory;
    SMELT_TRY(smelt_scratch(&run, args->backward ? "rope_vjp" : "rope", bytes, &memory));
    job.inverse = memory, job.tables = (float *)memory + job.padded;
    fill_inverse(args, memory, job.half);
    smelt_parallel(&run, SMELT_EVEN, job.groups * job.chunks * job.blocks, task, &job);
    return SMELT_OK;
}
