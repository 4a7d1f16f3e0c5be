/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the cases of every family, and fails for a vector that none of them covered. */
#include "golden.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "ref/ref.h"

enum { VECTORS = 128, TENSORS = 512 };
static struct golden_vector vectors[VECTORS];
static int vector_count, failed;
static struct golden_tensor {
    DLTensor tensor;
    int64_t shape[8];
} * tensors[TENSORS];
static int tensor_count;

static struct golden_vector *find(const char *name)
{
    for (int i = 0; i < vector_count; i++)
        if (!strcmp(vectors[i].name, name)) return &vectors[i];
    fprintf(stderr, "%s: no such vector\n", name);
    exit(1);
}

static enum smelt_dtype dtype_named(const char *name)
{
    for (int i = 0; i < SMELT_DTYPES; i++)
        if (!strcmp(smelt_dtype_name((enum smelt_dtype)i), name)) return (enum smelt_dtype)i;
    fprintf(stderr, "%s: no such dtype\n", name);
    exit(1);
}

DLTensor *golden_empty(enum smelt_dtype dtype, int rank, const int64_t *shape)
{
    struct golden_tensor *t = calloc(1, sizeof *t);
    if (!t || tensor_count == TENSORS || rank > 8) abort();
    tensors[tensor_count++] = t;
    int64_t count = 1;
    for (int i = 0; i < rank; i++) t->shape[i] = shape[i], count *= shape[i];
    size_t size = (size_t)(count * smelt_dtype_size(dtype) + 64) / 64 * 64;
    t->tensor = (DLTensor){.data = aligned_alloc(64, size),
                           .device = {kDLCPU, 0},
                           .ndim = rank,
                           .dtype = smelt_dl_type(dtype),
                           .shape = t->shape};
    if (!t->tensor.data) abort();
    memset(t->tensor.data, 0xa5, size);
    return &t->tensor;
}

DLTensor *golden_wave(enum smelt_dtype dtype, double a, double b, int rank, ...)
{
    int64_t shape[8];
    va_list sizes;
    va_start(sizes, rank);
    for (int i = 0; i < rank; i++) shape[i] = va_arg(sizes, int);
    va_end(sizes);
    DLTensor *tensor = golden_empty(dtype, rank, shape);
    for (int64_t i = 0, count = ref_count(tensor); i < count; i++)
        ref_store(tensor, i, (float)sin(a * (double)i + b));
    return tensor;
}

DLTensor *golden_values(enum smelt_dtype dtype, int rank, const int64_t *shape, const double *values)
{
    DLTensor *tensor = golden_empty(dtype, rank, shape);
    for (int64_t i = 0, count = ref_count(tensor); i < count; i++) ref_store(tensor, i, values[i]);
    return tensor;
}

DLTensor *golden_output_as(const char *name, enum smelt_dtype dtype)
{
    const struct golden_vector *vector = find(name);
    return golden_empty(dtype, vector->rank, vector->shape);
}

DLTensor *golden_output(const char *name) { return golden_output_as(name, dtype_named(find(name)->dtype)); }

void golden_status(smelt_status status)
{
    if (status == SMELT_OK) return;
    failed++;
    fprintf(stderr, "%s: %s\n", smelt_status_string(status), smelt_last_error());
}

void golden_compare_from(const char *name, const DLTensor *got, int64_t first)
{
    struct golden_vector *vector = find(name);
    enum smelt_dtype dtype = dtype_named(vector->dtype);
    double tolerance = dtype == SMELT_F32 ? 1e-5 : dtype == SMELT_F16 ? 2e-3 : dtype == SMELT_BF16 ? 1e-2 : 0;
    vector->covered = true;
    if (ref_count(got) != vector->count || (dtype <= SMELT_F64 && ref_dtype(got) != dtype)) {
        failed++;
        fprintf(stderr, "%s: the case has another shape or dtype\n", name);
        return;
    }
    for (int64_t i = first; i < vector->count; i++) {
        double value = ref_load(got, i);
        if (fabs(value - vector->data[i]) <= tolerance) continue;
        failed++;
        fprintf(stderr, "%s: element %lld: expected %.9g, got %.9g\n", name, (long long)i, vector->data[i],
                value);
        return;
    }
}

void golden_compare(const char *name, const DLTensor *got) { golden_compare_from(name, got, 0); }

#define GOLDEN(family) void golden_##family(void);
#include "golden.inc"
#undef GOLDEN

/* golden FOLDER: the folder holds the two files. */
int main(int argc, char **argv)
{
    const char *const files[] = {"golden.json", "golden_fused.json"};
    for (int i = 0; i < 2; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argc > 1 ? argv[1] : ".", files[i]);
        vector_count = golden_read(path, vectors, vector_count, VECTORS);
        if (vector_count < 0) return 1;
    }
#define GOLDEN(family) golden_##family();
#include "golden.inc"
#undef GOLDEN
    for (int i = 0; i < vector_count; i++) {
        if (!vectors[i].covered) failed++, fprintf(stderr, "%s: no case covers it\n", vectors[i].name);
        free(vectors[i].data);
    }
    for (int i = 0; i < tensor_count; i++) free(tensors[i]->tensor.data), free(tensors[i]);
    printf("%d vectors, %d failures\n", vector_count, failed);
    return failed != 0;
}
