/* SPDX-License-Identifier: Apache-2.0 */
/* A minimum for unit tests: tensors in guarded memory, expectations, a closing line.
 *
 *     int main(void)
 *     {
 *         DLTensor *x = unit_tensor(SMELT_F32, 2, 4, 8), *out = unit_output(SMELT_F32, 2, 4, 8);
 *         UNIT_OK(smelt_glu(out, x, x, SMELT_SILU, NULL));
 *         UNIT_ERROR(smelt_glu(out, NULL, x, SMELT_SILU, NULL), SMELT_INVALID_ARGUMENT, "glu", "gate",
 * "NULL"); return unit_end();
 *     }
 *
 * UNIT_ERROR: the status is the one given, the sentence has every word given, and no output changed. */
#ifndef SMELT_TESTS_UNIT_H
#define SMELT_TESTS_UNIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <smelt/smelt.h>

#include "core/dtype.h"

enum { UNIT_TENSORS = 1024, UNIT_RANK = 33, UNIT_GUARD = 128 };

static struct unit_memory {
    DLTensor tensor;
    int64_t shape[UNIT_RANK], strides[UNIT_RANK];
    unsigned char *memory, *before;
    size_t size;
    int output;
} unit_memory[UNIT_TENSORS];
static int unit_tensors, unit_passed, unit_failed;

static inline void unit_verdict(int passed, const char *file, int line, const char *what, const char *detail)
{
    if (passed) {
        unit_passed++;
        return;
    }
    unit_failed++;
    fprintf(stderr, "%s:%d: %s: %s\n", file, line, what, detail);
}
#define UNIT(condition) unit_verdict(!!(condition), __FILE__, __LINE__, "expected", #condition)
#define UNIT_OK(call)                                                                                        \
    do {                                                                                                     \
        smelt_status unit_status = (call);                                                                   \
        unit_verdict(unit_status == SMELT_OK, __FILE__, __LINE__, #call,                                     \
                     unit_status == SMELT_OK ? "" : smelt_last_error());                                     \
    } while (0)

/* Row-major with the given sizes (int), zeroes inside. */
#define unit_tensor(dtype, rank, ...) unit_make(dtype, 0, rank, (const int[]){__VA_ARGS__ + 0})
/* The same, with poison inside, and watched by UNIT_ERROR. */
#define unit_output(dtype, rank, ...) unit_make(dtype, 1, rank, (const int[]){__VA_ARGS__ + 0})

static inline DLTensor *unit_make(enum smelt_dtype dtype, int output, int rank, const int *shape)
{
    if (unit_tensors == UNIT_TENSORS) abort();
    struct unit_memory *m = &unit_memory[unit_tensors++];
    size_t count = 1;
    for (int i = 0; i < rank; i++) m->shape[i] = shape[i], count *= (size_t)shape[i];
    for (int64_t i = rank - 1, stride = 1; i >= 0; stride *= m->shape[i--]) m->strides[i] = stride;
    m->size = count * (size_t)smelt_dtype_size(dtype) + 2 * UNIT_GUARD;
    m->memory = aligned_alloc(64, (m->size + 63) / 64 * 64);
    m->before = malloc(m->size);
    if (!m->memory || !m->before) abort();
    memset(m->memory, 0xa5, m->size);
    if (!output) memset(m->memory + UNIT_GUARD, 0, m->size - 2 * UNIT_GUARD);
    memcpy(m->before, m->memory, m->size);
    m->output = output;
    m->tensor = (DLTensor){.data = m->memory + UNIT_GUARD,
                           .device = {kDLCPU, 0},
                           .ndim = rank,
                           .dtype = smelt_dl_type(dtype),
                           .shape = m->shape,
                           .strides = m->strides};
    return &m->tensor;
}

/* A copy of a descriptor, to be spoilt: same memory, own shape and strides. */
static inline DLTensor *unit_twin(const DLTensor *tensor)
{
    if (unit_tensors == UNIT_TENSORS) abort();
    struct unit_memory *m = &unit_memory[unit_tensors++];
    m->tensor = *tensor;
    for (int i = 0; i < tensor->ndim; i++) m->shape[i] = tensor->shape[i], m->strides[i] = tensor->strides[i];
    m->tensor.shape = m->shape, m->tensor.strides = m->strides;
    return &m->tensor;
}

static inline int unit_outputs_untouched(void)
{
    for (int i = 0; i < unit_tensors; i++)
        if (unit_memory[i].output &&
            memcmp(unit_memory[i].memory, unit_memory[i].before, unit_memory[i].size))
            return 0;
    return 1;
}

static inline void unit_error(smelt_status got, smelt_status expected, const char *const *words,
                              const char *file, int line, const char *call)
{
    char detail[1400];
    int passed = got == expected;
    snprintf(detail, sizeof detail, "expected status %d, got %d, \"%s\"", (int)expected, (int)got,
             smelt_last_error());
    for (; passed && *words; words++)
        if (!strstr(smelt_last_error(), *words)) {
            passed = 0;
            snprintf(detail, sizeof detail, "no \"%s\" in \"%s\"", *words, smelt_last_error());
        }
    if (passed && !unit_outputs_untouched()) {
        passed = 0;
        snprintf(detail, sizeof detail, "an output changed");
    }
    unit_verdict(passed, file, line, call, detail);
}
#define UNIT_ERROR(call, status, ...)                                                                        \
    unit_error(call, status, (const char *const[]){__VA_ARGS__, NULL}, __FILE__, __LINE__, #call)

static inline int unit_end(void)
{
    for (int i = 0; i < unit_tensors; i++) free(unit_memory[i].memory), free(unit_memory[i].before);
    printf("%d passed, %d failed\n", unit_passed, unit_failed);
    return unit_failed != 0;
}

#endif
