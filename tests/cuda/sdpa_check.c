/* SPDX-License-Identifier: Apache-2.0 */
/* Attention on the card against double precision: every kernel, every option, hidden NaN, repeatability. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/cuda/sdpa/launch.h"
#include "sdpa_case.h"
#include "support.h"

#define BF                     SMELT_TYPE_BF16
#define HF                     SMELT_TYPE_F16
#define SHAPE(b, hq, hk, q, k) .batch = b, .heads_q = hq, .heads_kv = hk, .q_length = q, .k_length = k
#define OPEN                   .window_left = -1, .window_right = -1

static const struct sdpa_case cases[] = {
    {"plain", SHAPE(1, 2, 2, 256, 512), .type = BF, OPEN},
    {"decode", SHAPE(3, 8, 2, 1, 900), .type = BF, OPEN},
    {"decode, lengths", SHAPE(3, 8, 2, 1, 900), .type = HF, OPEN, .lengths = 1, .sinks = 1, .poison = 1},
    {"few queries", SHAPE(2, 6, 2, 7, 700), .type = BF, OPEN, .causal = 1},
    {"odd lengths", SHAPE(2, 2, 2, 131, 397), .type = BF, OPEN},
    {"one key", SHAPE(1, 2, 1, 5, 1), .type = BF, OPEN},
    {"float16 strides", SHAPE(2, 4, 2, 200, 333), .type = HF, OPEN, .transposed = 1},
    {"causal", SHAPE(1, 4, 2, 400, 400), .type = BF, OPEN, .causal = 1},
    {"causal chunk", SHAPE(1, 2, 2, 131, 600), .type = HF, OPEN, .causal = 1},
    {"causal, more queries", SHAPE(1, 2, 2, 300, 170), .type = BF, OPEN, .causal = 1},
    {"causal offset 0", SHAPE(1, 2, 2, 150, 300), .type = BF, OPEN, .causal = 1, .has_offset = 1},
    {"window", SHAPE(1, 2, 2, 500, 500), .type = BF, .window_left = 70, .window_right = 30},
    {"causal window", SHAPE(1, 2, 1, 450, 700), .type = BF, .window_left = 200, .window_right = -1,
     .causal = 1},
    {"sinks", SHAPE(1, 4, 2, 140, 200), .type = BF, OPEN, .sinks = 1, .causal = 1},
    {"sinks alone", SHAPE(1, 2, 2, 60, 30), .type = BF, OPEN, .sinks = 1, .causal = 1},
    {"lengths", SHAPE(3, 2, 1, 40, 500), .type = BF, OPEN, .lengths = 1, .poison = 1},
    {"lengths, causal", SHAPE(3, 2, 1, 40, 500), .type = HF, OPEN, .lengths = 1, .causal = 1, .poison = 1},
    {"offsets", SHAPE(3, 2, 1, 70, 300), .type = BF, OPEN, .offsets = 1, .lengths = 1, .causal = 1},
    {"hidden NaN", SHAPE(1, 2, 2, 100, 400), .type = BF, OPEN, .causal = 1, .has_offset = 1, .poison = 1},
    {"NaN for some", SHAPE(1, 2, 2, 300, 300), .type = BF, OPEN, .causal = 1, .hostile = 1},
    {"softcap", SHAPE(1, 2, 2, 150, 260), .type = BF, OPEN, .softcap = 5, .causal = 1},
    {"negative scale", SHAPE(1, 2, 2, 90, 200), .type = BF, OPEN, .scale = -0.1f},
    {"boolean mask", SHAPE(2, 4, 2, 150, 300), .type = BF, OPEN, .mask_type = SMELT_TYPE_BOOL},
    {"boolean mask shared", SHAPE(2, 2, 2, 150, 300), .type = HF, OPEN, .mask_type = SMELT_TYPE_BOOL,
     .mask_shared = 1},
    {"additive mask", SHAPE(2, 4, 2, 150, 300), .type = BF, OPEN, .mask_type = BF},
    {"additive float32", SHAPE(1, 2, 2, 150, 300), .type = HF, OPEN, .mask_type = SMELT_TYPE_F32,
     .mask_shared = 1},
    {"boolean mask, wide lines", SHAPE(2, 4, 2, 150, 304), .type = BF, OPEN, .mask_type = SMELT_TYPE_BOOL},
    {"boolean mask, wide, causal", SHAPE(2, 2, 1, 300, 304), .type = HF, OPEN, .mask_type = SMELT_TYPE_BOOL,
     .mask_shared = 1, .causal = 1, .lengths = 1, .poison = 1, .sinks = 1},
    {"additive mask, wide lines", SHAPE(2, 4, 2, 150, 304), .type = BF, OPEN, .mask_type = BF},
    {"additive mask, wide, window", SHAPE(1, 4, 2, 300, 304), .type = HF, .window_left = 90,
     .window_right = 40, .mask_type = HF, .mask_shared = 1, .sinks = 1},
    {"additive mask, wide, NaN", SHAPE(2, 2, 2, 200, 400), .type = BF, OPEN, .causal = 1, .mask_type = BF,
     .lengths = 1, .hostile = 1},
    {"key mask", SHAPE(2, 2, 2, 150, 300), .type = BF, OPEN, .key_mask = 1, .poison = 1},
    {"everything", SHAPE(2, 4, 2, 170, 310), .type = BF, .window_left = 150, .window_right = -1, .causal = 1,
     .key_mask = 1, .sinks = 1, .mask_type = SMELT_TYPE_BOOL, .softcap = 10, .lengths = 1},
};

static int failures, runs;
static const struct smelt_sdpa_card card = {9, 0, 132};

/* Runs one kernel with splits as planned, or as many as given. */
static CUresult run_kernel(const smelt_sdpa_params *problem, int index, int splits)
{
    smelt_sdpa_params params = *problem;
    size_t bytes = smelt_sdpa_plan(&params, index, &card);
    if (splits && smelt_sdpa_kernels[index].family == SMELT_SDPA_SPLIT) {
        params.splits = splits;
        bytes = (size_t)splits * (size_t)(params.batch * params.heads_q * params.q_length) *
                (size_t)(params.value_dim + 2) * sizeof(float);
    }
    void *scratch = bytes ? device_alloc(bytes) : NULL;
    if (scratch) device_fill(scratch, 0xFF, bytes);
    params.partial = scratch;
    const CUresult result = smelt_sdpa_launch(&params, index, &card, NULL);
    if (!result) device_wait();
    if (scratch) device_free(scratch);
    return result;
}

/* Output bits of a run, downloaded. */
static void *snapshot(const struct sdpa_problem *problem, size_t bytes)
{
    void *copy = malloc(bytes);
    device_download(copy, problem->device.out.data, bytes);
    return copy;
}

/* Without logsumexp, and a second time: the same bits. */
static int repeats_exactly(struct sdpa_problem *problem, int index, int splits)
{
    const smelt_sdpa_view *out = &problem->host.out;
    const size_t bytes =
        (problem->what.type == SMELT_TYPE_F32 ? 4 : 2) * (size_t)(problem->what.batch * out->batch);
    void *first = snapshot(problem, bytes);
    smelt_sdpa_params params = problem->device;
    params.lse = NULL;
    device_fill((void *)(uintptr_t)params.out.data, 0xFF, bytes);
    const int ran = run_kernel(&params, index, splits) == CUDA_SUCCESS;
    void *second = snapshot(problem, bytes);
    const int same = ran && memcmp(first, second, bytes) == 0;
    free(first);
    free(second);
    return same;
}

static void run_case(const struct sdpa_case *what, int index, int splits)
{
    const struct smelt_sdpa_kernel *kernel = &smelt_sdpa_kernels[index];
    struct sdpa_problem problem;
    struct sdpa_case sized = *what;
    if (!sized.head_dim) sized.head_dim = kernel->head_dim ? kernel->head_dim : 72;
    if (!sized.value_dim) sized.value_dim = kernel->value_dim ? kernel->value_dim : 200;
    sdpa_problem_create(&problem, &sized, 7);
    if (smelt_sdpa_can(&problem.device, index, &card)) {
        const double tolerance = what->type == BF ? 5e-3 : what->type == HF ? 1e-3 : 2e-5;
        double error = INFINITY;
        int same = 0;
        const CUresult result = run_kernel(&problem.device, index, splits);
        if (!result) {
            error = sdpa_problem_error(&problem, tolerance, 1);
            same = repeats_exactly(&problem, index, splits);
        }
        runs++;
        if (!(error <= 1) || !same) {
            failures++;
            printf(
                "FAILED family %d d%d v%d w%d n%d c%d g%d splits %d type %d %s: error %.3g of tolerance%s, "
                "result %d; row %lld column %lld is %g, not %g\n",
                kernel->family, kernel->head_dim, kernel->value_dim, kernel->consumers, kernel->keys,
                kernel->cluster, kernel->general, splits, what->type, what->name, error,
                same ? "" : ", bits differ between runs", (int)result, (long long)problem.worst_row,
                (long long)problem.worst_column, problem.worst_got, problem.worst_want);
            fflush(stdout);
        }
    }
    sdpa_problem_destroy(&problem);
}

static void run_kernel_cases(int index)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sdpa_case what = cases[i];
        const int family = smelt_sdpa_kernels[index].family;
        if (family == SMELT_SDPA_GENERIC) run_case(&what, index, 0);
        if (family == SMELT_SDPA_GENERIC || family == SMELT_SDPA_FLOAT32) {
            what.type = SMELT_TYPE_F32;
            if (what.mask_type == BF || what.mask_type == HF) what.mask_type = SMELT_TYPE_F32;
        }
        run_case(&what, index, 0);
        if (smelt_sdpa_kernels[index].family == SMELT_SDPA_SPLIT)
            for (int splits = 1; splits <= 3; splits += 2) run_case(&what, index, splits);
    }
}

/* Head sizes between the rows: the copy engine fills with zeros. */
static void run_odd_sizes(void)
{
    static const int sizes[][2] = {{8, 8},     {40, 64},   {72, 72}, {80, 80},   {120, 40},
                                   {192, 128}, {224, 256}, {33, 7},  {512, 300}, {1, 1}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (int few = 0; few < 2; few++) {
            struct sdpa_case what = {"odd size", SHAPE(1, 2, 1, 70, 90), .type = BF, OPEN, .causal = 1};
            if (few) what.q_length = 3;
            what.head_dim = sizes[i][0], what.value_dim = sizes[i][1];
            struct sdpa_problem problem;
            sdpa_problem_create(&problem, &what, 3);
            const int chosen = smelt_sdpa_choose(&problem.device, &card);
            sdpa_problem_destroy(&problem);
            run_case(&what, chosen, 0);
            what.type = SMELT_TYPE_F32;
            run_case(&what, smelt_sdpa_kernel_count - 2, 0); /* where that can do it */
        }
}

/* Usage: no argument for everything, a kernel's number for its cases, "odd" for head sizes between. */
int main(int count, char **arguments)
{
    device_start();
    const int odd = count > 1 && strcmp(arguments[1], "odd") == 0;
    if (count == 1 || odd) run_odd_sizes();
    const int first = count > 1 ? atoi(arguments[1]) : 0,
              last = count > 1 ? first : smelt_sdpa_kernel_count - 1;
    for (int index = first; !odd && index <= last && index < smelt_sdpa_kernel_count; index++)
        run_kernel_cases(index);
    printf("sdpa_check %s: %d of %d failed\n", count > 1 ? arguments[1] : "all", failures, runs);
    return failures != 0;
}
