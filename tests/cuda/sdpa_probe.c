/* SPDX-License-Identifier: Apache-2.0 */
/* Tile by tile: the descriptors of both products against a plain product, and the rate of products alone.
 * Usage: sdpa_probe IMAGE */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../src/cuda/sdpa/launch.h"
#include "sdpa_case.h"
#include "support.h"

static CUmodule module;
static CUfunction function;
static smelt_sdpa_params params;
static const struct smelt_sdpa_kernel *row;

static unsigned char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) exit(2);
    fseek(file, 0, SEEK_END);
    const long size = ftell(file);
    rewind(file);
    unsigned char *data = malloc((size_t)size + 1);
    if (fread(data, 1, (size_t)size, file) != (size_t)size) exit(2);
    fclose(file);
    return data;
}

static void launch(void *argument)
{
    (void)argument;
    CUlaunchConfig config = {
        .gridDimX = params.splits ? 132 : 1, .gridDimY = 1, .gridDimZ = 1, .blockDimY = 1, .blockDimZ = 1};
    config.blockDimX = (unsigned)(128 * (row->consumers + 1));
    config.sharedMemBytes = (unsigned)smelt_sdpa_shared_bytes(row);
    void *arguments[] = {&params};
    device_check(smelt_cuda_driver()->LaunchKernelEx(&config, function, arguments, NULL), "launch");
}

static double worst_error(const struct sdpa_problem *problem, const float *got)
{
    const int rows = 64 * row->consumers, keys = row->keys, dim = row->head_dim;
    const uint16_t *q = problem->host.q.data, *k = problem->host.k.data, *v = problem->host.v.data;
    double worst[2] = {0, 0};
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < keys; j++) {
            double dot = 0;
            for (int d = 0; d < dim; d++)
                dot += (double)float_from_bits(q[i * dim + d], 1) * float_from_bits(k[j * dim + d], 1);
            worst[0] = fmax(worst[0], fabs(dot - got[i * keys + j]) / (1 + fabs(dot)));
        }
    for (int i = 0; i < rows; i++)
        for (int d = 0; d < row->value_dim; d++) {
            double dot = 0;
            for (int j = 0; j < keys; j++)
                dot += (double)float_from_bits(bits_from_float(got[i * keys + j], 1), 1) *
                       float_from_bits(v[j * row->value_dim + d], 1);
            const double error = fabs(dot - got[rows * keys + i * row->value_dim + d]) / (1 + fabs(dot));
            worst[1] = fmax(worst[1], error == error ? error : INFINITY);
        }
    printf("  Q K^T %.1e, P V %.1e", worst[0], worst[1]);
    return fmax(worst[0], worst[1]);
}

static int probe(int index)
{
    row = &smelt_sdpa_kernels[index];
    const int rows = 64 * row->consumers;
    struct sdpa_case what = {"probe",
                             .batch = 1,
                             .heads_q = 1,
                             .heads_kv = 1,
                             .q_length = rows,
                             .k_length = row->keys,
                             .type = SMELT_TYPE_BF16,
                             .transposed = 1,
                             .window_left = -1,
                             .window_right = -1};
    what.head_dim = row->head_dim, what.value_dim = row->value_dim;
    struct sdpa_problem problem;
    sdpa_problem_create(&problem, &what, 11);
    params = problem.device;
    const size_t count = (size_t)(rows * (row->keys + row->value_dim));
    float *got = malloc(4 * count);
    params.partial = device_alloc(4 * count);
    params.splits = 0;
    char name[96];
    snprintf(name, sizeof(name), "probe_d%d_v%d_w%d_n%d_s%d_c%d_g%d_p%d", row->head_dim, row->value_dim,
             row->consumers, row->keys, row->stages, row->cluster, row->general, row->pingpong);
    device_check(smelt_cuda_driver()->ModuleGetFunction(&function, module, name), name);
    device_check(smelt_cuda_driver()->FuncSetAttribute(
                     function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, smelt_sdpa_shared_bytes(row)),
                 "shared memory");
    device_check(smelt_sdpa_encode_maps(&params, row), "tensor maps");
    launch(NULL);
    device_wait();
    device_download(got, params.partial, 4 * count);
    printf("%-40s", name);
    const int bad = !(worst_error(&problem, got) < 1e-3);
    params.splits = 2000;
    const double ms = device_time(launch, NULL, 5);
    const double work = 132.0 * params.splits * 2.0 * rows * row->keys * (row->head_dim + row->value_dim);
    printf("  products alone %6.1f TFLOP/s%s\n", work / ms * 1e-9, bad ? "  WRONG" : "");
    fflush(stdout);
    free(got);
    device_free(params.partial);
    sdpa_problem_destroy(&problem);
    return bad;
}

int main(int count, char **arguments)
{
    if (count != 2) return 2;
    device_start();
    device_check(smelt_cuda_driver()->ModuleLoadData(&module, read_file(arguments[1])), "module");
    int bad = 0;
    for (int i = 0; i < smelt_sdpa_kernel_count; i++)
        if (smelt_sdpa_kernels[i].family == SMELT_SDPA_FORWARD) bad += probe(i);
    return bad != 0;
}
