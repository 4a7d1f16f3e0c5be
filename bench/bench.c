/* SPDX-License-Identifier: Apache-2.0 */
/* Rows and tensors of the harness, and the walk over operations and dtypes. */
#include "bench.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "limits.h"
#include "measure.h"
#include "rivals.h"

#define BENCH(op) void bench_##op(struct bench *b);
#include "bench.inc"
#undef BENCH

static const struct {
    const char *name;
    void (*run)(struct bench *);
} operations[] = {
#define BENCH(op) {#op, bench_##op},
#include "bench.inc"
#undef BENCH
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

static void drop_tensors(struct bench *b)
{
    for (int i = 0; i < b->tensors; i++) free(b->tensor[i].memory);
    b->tensors = 0;
}

bool bench_begin(struct bench *b, const char *operation, const char *shape_format, ...)
{
    drop_tensors(b);
    memset(&b->row, 0, sizeof b->row);
    b->row.dtype = b->dtype;
    snprintf(b->row.operation, sizeof b->row.operation, "%s", operation);
    va_list arguments;
    va_start(arguments, shape_format);
    vsnprintf(b->row.shape, sizeof b->row.shape, shape_format, arguments);
    va_end(arguments);
    return true;
}

static DLTensor *make(struct bench *b, enum smelt_dtype dtype, int rank, const int64_t *shape)
{
    if (b->tensors == BENCH_TENSORS || rank > BENCH_RANK) abort();
    struct bench_tensor *t = &b->tensor[b->tensors];
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= t->shape[i] = shape[i];
    t->size = (size_t)(count * smelt_dtype_size(dtype));
    t->memory = bench_allocate(t->size ? t->size : 1);
    if (!t->memory) {
        fprintf(stderr, "smelt bench: no memory for %zu bytes\n", t->size);
        exit(1);
    }
    b->tensors++;
    t->tensor = (DLTensor){.data = t->memory,
                           .device = {kDLCPU, 0},
                           .ndim = rank,
                           .dtype = smelt_dl_type(dtype),
                           .shape = t->shape};
    return &t->tensor;
}

/* A page's worth of elements per item: threads touch first what they will work on. */
enum { PIECE = 2048 };

struct fill {
    const struct bench_tensor *tensor;
    enum smelt_dtype dtype;
    int64_t count;
    bool random;
};

static void fill_task(void *argument, int64_t begin, int64_t end, int slot)
{
    const struct fill *fill = argument;
    (void)slot;
    int64_t item = smelt_dtype_size(fill->dtype),
            last = end * PIECE < fill->count ? end * PIECE : fill->count;
    char *memory = fill->tensor->memory;
    if (!fill->random) {
        memset(memory + begin * PIECE * item, 0, (size_t)((last - begin * PIECE) * item));
        return;
    }
    for (int64_t i = begin * PIECE; i < last; i++) {
        uint64_t z = ((uint64_t)i + (uint64_t)fill->count) * 0x9e3779b97f4a7c15u; /* splitmix64 */
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        smelt_store_float(fill->dtype, memory + i * item, (float)(int32_t)(z >> 16) * 0x1p-31f);
    }
}

static DLTensor *fill(struct bench *b, DLTensor *tensor, enum smelt_dtype dtype, bool random)
{
    struct bench_tensor *t = &b->tensor[b->tensors - 1];
    struct fill fill = {t, dtype, (int64_t)t->size / smelt_dtype_size(dtype), random};
    struct smelt_run run;
    if (smelt_run_init(&run, "bench", NULL) == SMELT_OK)
        smelt_parallel(&run, SMELT_EVEN, (fill.count + PIECE - 1) / PIECE, fill_task, &fill);
    return tensor;
}

DLTensor *bench_input(struct bench *b, enum smelt_dtype dtype, int rank, const int64_t *shape)
{
    return fill(b, make(b, dtype, rank, shape), dtype, dtype < SMELT_FLOAT_DTYPES);
}

DLTensor *bench_output(struct bench *b, enum smelt_dtype dtype, int rank, const int64_t *shape)
{
    return fill(b, make(b, dtype, rank, shape), dtype, false);
}

double bench_bytes(const DLTensor *tensor)
{
    double bytes = (double)smelt_dtype_size(smelt_dtype_of(tensor->dtype));
    for (int i = 0; i < tensor->ndim; i++) bytes *= (double)tensor->shape[i];
    return bytes;
}

void bench_time(struct bench *b, const struct bench_work *work, smelt_status (*call)(void *), void *argument)
{
    struct budget budget = b->quick ? (struct budget){0.1, 3, 2} : (struct budget){0.8, 5, 2};
    b->row.work = *work;
    if (b->request->begin) b->request->begin(&b->row, b->request->user);
    if (b->request->rivals) rivals_begin(&b->row);
    smelt_status status = measure(&b->row.result, work, budget, call, argument,
                                  b->request->rivals ? rivals_sample : NULL, NULL);
    if (b->request->rivals) rivals_end(&b->row);
    if (status != SMELT_OK) {
        b->failed++;
        snprintf(b->row.failure, sizeof b->row.failure, "%s: %s", smelt_status_string(status),
                 smelt_last_error());
    }
    b->request->report(&b->row, b->request->user);
}

double bench_rate(const struct bench_row *row, double seconds)
{
    double amount = bench_counts_flops(&row->work) ? row->work.flops : row->work.bytes;
    return seconds > 0 ? 1e-9 * amount / seconds : 0;
}

double bench_share(const struct bench_row *row)
{
    return row->result.limit > 0 ? bench_rate(row, row->result.seconds) / row->result.limit : 0;
}

bool bench_has(const char *operation)
{
    for (int op = 0; op < OPERATIONS; op++)
        if (!strcmp(operation, operations[op].name)) return true;
    return false;
}

static bool wanted(const struct bench_request *request, const char *name)
{
    for (int i = 0; i < request->operation_count; i++)
        if (!strcmp(request->operations[i], name)) return true;
    return !request->operation_count;
}

int bench_run(const struct bench_request *request)
{
    static struct bench b;
    if (request->rivals && !rivals_start()) return 1;
    b = (struct bench){.quick = request->quick, .request = request};
    for (int op = 0; op < OPERATIONS; op++) {
        if (!wanted(request, operations[op].name)) continue;
        for (int dtype = 0; dtype < SMELT_FLOAT_DTYPES; dtype++) {
            if (request->dtype >= 0 && request->dtype != dtype) continue;
            b.dtype = (enum smelt_dtype)dtype;
            operations[op].run(&b);
        }
    }
    drop_tensors(&b);
    if (request->rivals) rivals_stop();
    return b.failed;
}
