/* SPDX-License-Identifier: Apache-2.0 */
/* smelt demo: the table, and the comparison with the reference. */
#include "demo.h"

#include <math.h>
#include <stdlib.h>

#include "arguments.h"
#include "commands.h"
#include "output.h"

static void drop_slices(struct demo *d)
{
    for (int i = 0; i < d->slices; i++) free(d->slice[i].memory);
    d->slices = 0;
}

void demo_continue(struct demo *d, const char *operation, const char *shape)
{
    struct bench_row *row = &d->bench.row;
    *row = (struct bench_row){.dtype = d->bench.dtype};
    snprintf(row->operation, sizeof row->operation, "%s", operation);
    snprintf(row->shape, sizeof row->shape, "%s", shape);
    drop_slices(d);
    d->error = 0, d->failure[0] = 0,
    d->random = 0x736d656c74; /* each row has the same samples on every run */
    progress_show("%d operations done; now %s, %s", d->rows, operation, shape);
}

void demo_begin(struct demo *d, const char *operation, const char *shape)
{
    bench_begin(&d->bench, operation, "%s", shape);
    demo_continue(d, operation, shape);
}

DLTensor *demo_input(struct demo *d, enum smelt_dtype dtype, int rank, const int64_t *shape)
{
    return bench_input(&d->bench, dtype, rank, shape);
}

DLTensor *demo_output(struct demo *d, enum smelt_dtype dtype, int rank, const int64_t *shape)
{
    return bench_output(&d->bench, dtype, rank, shape);
}

static void report(const struct bench_row *row, void *user)
{
    struct demo *d = user;
    char time[TIME_TEXT], speed[48] = "", error[32];
    const char *failure = row->failure[0] ? row->failure : d->failure;
    progress_clear();
    if (row->result.limit > 0)
        snprintf(speed, sizeof speed, "%8.1f %-7s %4.0f %%", bench_rate(row, row->result.seconds),
                 bench_counts_flops(&row->work) ? "GFLOP/s" : "GB/s", 100 * bench_share(row));
    snprintf(error, sizeof error, "%.1e", d->error);
    printf("%-14s %-34s %9s  %-24s %s\n", row->operation, row->shape,
           row->result.samples ? time_text(time, row->result.seconds) : "", speed, *failure ? "" : error);
    if (*failure) printf("%-14s FAILED: %s\n", "", failure), d->failed++;
    fflush(stdout);
    d->rows++;
}

bool demo_run(struct demo *d, smelt_status (*call)(void *), void *argument)
{
    smelt_status status = call(argument);
    if (status == SMELT_OK) return true;
    snprintf(d->failure, sizeof d->failure, "%s: %s", smelt_status_string(status), smelt_last_error());
    report(&d->bench.row, d);
    return false;
}

void demo_time(struct demo *d, const struct bench_work *work, smelt_status (*call)(void *), void *argument)
{
    drop_slices(d);
    bench_time(&d->bench, work, call, argument);
}

int64_t demo_sample(struct demo *d, int s, int64_t count)
{
    d->random = d->random * 6364136223846793005u + 1442695040888963407u;
    return s == 0 ? 0 : s == 1 ? count - 1 : (int64_t)((d->random >> 33) % (uint64_t)count);
}

DLTensor *demo_slice(struct demo *d, const DLTensor *tensor, const int64_t *first, const int64_t *count)
{
    if (d->slices == DEMO_SLICES || tensor->ndim > DEMO_RANK) abort();
    struct demo_slice *s = &d->slice[d->slices++];
    s->tensor = *tensor, s->memory = NULL;
    int64_t row_major = 1, offset = 0;
    for (int i = tensor->ndim - 1; i >= 0; i--) {
        s->shape[i] = count[i];
        s->strides[i] = tensor->strides ? tensor->strides[i] : row_major;
        offset += first[i] * s->strides[i];
        row_major *= tensor->shape[i];
    }
    s->tensor.shape = s->shape, s->tensor.strides = s->strides;
    s->tensor.byte_offset += (uint64_t)(offset * smelt_dtype_size(smelt_dtype_of(tensor->dtype)));
    return &s->tensor;
}

DLTensor *demo_wide(struct demo *d, DLTensor *slice)
{
    for (int i = 0; i < d->slices; i++) {
        struct demo_slice *s = &d->slice[i];
        if (&s->tensor != slice) continue;
        s->memory = calloc((size_t)ref_count(slice) + 1, sizeof(double));
        if (!s->memory) abort();
        s->wide = (DLTensor){.data = s->memory,
                             .device = {kDLCPU, 0},
                             .ndim = slice->ndim,
                             .dtype = smelt_dl_type(SMELT_F64),
                             .shape = s->shape};
        return &s->wide;
    }
    abort();
}

void demo_compare(struct demo *d, double tolerance)
{
    for (int n = 0; n < d->slices; n++) {
        const struct demo_slice *s = &d->slice[n];
        int64_t count = s->memory ? ref_count(&s->tensor) : 0;
        for (int64_t i = 0; i < count && !d->failure[0]; i++) {
            double got = ref_load(&s->tensor, i), exact = s->memory[i], error = fabs(got - exact);
            if (error > d->error) d->error = error;
            if (!(error <= tolerance * (1 + fabs(exact))))
                snprintf(d->failure, sizeof d->failure, "element %lld of a sample: expected %.9g, got %.9g",
                         (long long)i, exact, got);
        }
    }
    drop_slices(d);
}

int command_demo(int argc, char **argv)
{
    const struct argument options[] = {{0}};
    const struct arguments arguments = {
        "demo",
        "",
        "Runs, checks and times the operations of one decoder layer, and of one step of decoding.",
        options,
        NULL,
        NULL};
    struct words words;
    int code = arguments_read(&arguments, argc, argv, &words);
    if (code != ARGUMENTS_READ) return code;

    static struct demo d;
    struct bench_request request = {.quick = true, .report = report, .user = &d};
    d.bench = (struct bench){.dtype = SMELT_BF16, .quick = true, .request = &request};
    printf(
        "One decoder layer on this machine: batch 1, %d tokens, hidden %d, %d query and %d key heads of %d, "
        "%d "
        "experts top %d, bfloat16.\n"
        "Share: of what the same memory traffic or arithmetic reaches without the operation, measured by "
        "turns. "
        "Error: the largest against\nthe float64 reference, on %d rows, heads or queries of each operation "
        "drawn with a fixed seed.\n\n%-14s %-34s %9s %16s %7s  %s\n",
        PROMPT, HIDDEN, HEADS, KV_HEADS, HEAD_DIM, EXPERTS, TOP_K, DEMO_SAMPLES, "operation", "shape", "time",
        "speed", "share", "error");
    demo_norms(&d, PROMPT);
    demo_prefill(&d);
    demo_feed_forward(&d, PROMPT);
    printf("\nOne step of decoding, one token against a cache of %d:\n", CACHE);
    demo_norms(&d, 1);
    demo_decode(&d);
    demo_feed_forward(&d, 1);
    demo_metal(&d);
    bench_begin(&d.bench, "", "%s", "");
    progress_clear();
    printf("\n%d operations, %d failed\n", d.rows, d.failed);
    return d.failed ? 1 : 0;
}
