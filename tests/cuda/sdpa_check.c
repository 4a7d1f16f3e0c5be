/* SPDX-License-Identifier: Apache-2.0 */
/* Attention on the card against double precision: every kernel, every option, hidden NaN, repeatability.
 * Usage: sdpa_check [odd | first row [last row]] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/cuda/sdpa/forward.h"
#include "sdpa_case.h"
#include "support.h"

#define BF SMELT_TYPE_BF16
#define HF SMELT_TYPE_F16
#define SHAPE(b, hq, hk, q, k) .batch = b, .heads_q = hq, .heads_kv = hk, .q_length = q, .k_length = k
#define OPEN .window_left = -1, .window_right = -1

static const struct sdpa_case cases[] = {
    {"plain", SHAPE(1, 2, 2, 256, 512), BF, OPEN},
    {"odd lengths", SHAPE(2, 2, 2, 131, 397), BF, OPEN},
    {"one key", SHAPE(1, 2, 1, 5, 1), BF, OPEN},
    {"float16 strides", SHAPE(2, 4, 2, 200, 333), HF, OPEN, .transposed = 1},
    {"causal", SHAPE(1, 4, 2, 400, 400), BF, OPEN, .causal = 1},
    {"causal chunk", SHAPE(1, 2, 2, 131, 600), HF, OPEN, .causal = 1},
    {"causal, more queries", SHAPE(1, 2, 2, 300, 170), BF, OPEN, .causal = 1},
    {"causal offset 0", SHAPE(1, 2, 2, 150, 300), BF, OPEN, .causal = 1, .has_offset = 1},
    {"window", SHAPE(1, 2, 2, 500, 500), BF, .window_left = 70, .window_right = 30},
    {"causal window", SHAPE(1, 2, 1, 450, 700), BF, .window_left = 200, .window_right = -1, .causal = 1},
    {"sinks", SHAPE(1, 4, 2, 140, 200), BF, OPEN, .sinks = 1, .causal = 1},
    {"sinks alone", SHAPE(1, 2, 2, 60, 30), BF, OPEN, .sinks = 1, .causal = 1},
    {"lengths", SHAPE(3, 2, 1, 40, 500), BF, OPEN, .lengths = 1, .poison = 1},
    {"lengths, causal", SHAPE(3, 2, 1, 40, 500), HF, OPEN, .lengths = 1, .causal = 1, .poison = 1},
    {"offsets", SHAPE(3, 2, 1, 70, 300), BF, OPEN, .offsets = 1, .lengths = 1, .causal = 1},
    {"hidden NaN", SHAPE(1, 2, 2, 100, 400), BF, OPEN, .causal = 1, .has_offset = 1, .poison = 1},
    {"NaN for some", SHAPE(1, 2, 2, 300, 300), BF, OPEN, .causal = 1, .hostile = 1},
    {"softcap", SHAPE(1, 2, 2, 150, 260), BF, OPEN, .softcap = 5, .causal = 1},
    {"negative scale", SHAPE(1, 2, 2, 90, 200), BF, OPEN, .scale = -0.1f},
    {"boolean mask", SHAPE(2, 4, 2, 150, 300), BF, OPEN, .mask_type = SMELT_TYPE_BOOL},
    {"boolean mask shared", SHAPE(2, 2, 2, 150, 300), HF, OPEN, .mask_type = SMELT_TYPE_BOOL, .mask_shared = 1},
    {"additive mask", SHAPE(2, 4, 2, 150, 300), BF, OPEN, .mask_type = BF},
    {"additive float32", SHAPE(1, 2, 2, 150, 300), HF, OPEN, .mask_type = SMELT_TYPE_F32, .mask_shared = 1},
    {"key mask", SHAPE(2, 2, 2, 150, 300), BF, OPEN, .key_mask = 1, .poison = 1},
    {"everything", SHAPE(2, 4, 2, 170, 310), BF, .window_left = 150, .window_right = -1, .causal = 1, .key_mask = 1,
     .sinks = 1, .mask_type = SMELT_TYPE_BOOL, .softcap = 10, .lengths = 1},
};

static int failures, runs;

static int row_fits(const struct smelt_sdpa_row *row, const struct sdpa_case *what)
{
    const int general = what->mask_type || what->key_mask || what->softcap != 0 || what->scale < 0;
    return row->general >= general;
}

/* Output bits of a run, downloaded. */
static void *snapshot(const struct sdpa_problem *problem, size_t bytes)
{
    void *copy = malloc(bytes);
    device_download(copy, problem->device.out.data, bytes);
    return copy;
}

/* Without logsumexp, and a second time: the same bits. */
static int repeats_exactly(struct sdpa_problem *problem, int row)
{
    char message[256];
    const smelt_sdpa_view *out = &problem->host.out;
    const size_t bytes = 2 * (size_t)(problem->what.batch * out->batch);
    void *first = snapshot(problem, bytes);
    smelt_sdpa_params params = problem->device;
    params.lse = NULL;
    device_fill((void *)(uintptr_t)params.out.data, 0xFF, bytes);
    if (smelt_cuda_sdpa_forward(&params, row, NULL, message, sizeof(message))) return 0;
    device_wait();
    void *second = snapshot(problem, bytes);
    const int same = memcmp(first, second, bytes) == 0;
    free(first);
    free(second);
    return same;
}

static void run_case(const struct sdpa_case *what, int index)
{
    const struct smelt_sdpa_row *row = &smelt_sdpa_rows[index];
    struct sdpa_problem problem;
    char message[256] = "";
    struct sdpa_case sized = *what;
    sized.head_dim = row->head_dim, sized.value_dim = row->value_dim;
    sdpa_problem_create(&problem, &sized, 7);
    const double tolerance = what->type == BF ? 5e-3 : 1e-3;
    double error = INFINITY;
    int same = 0;
    smelt_sdpa_params params = problem.device;
    if (!smelt_cuda_sdpa_forward(&params, index, NULL, message, sizeof(message))) {
        device_wait();
        error = sdpa_problem_error(&problem, tolerance, 1);
        same = repeats_exactly(&problem, index);
    }
    runs++;
    if (!(error <= 1) || !same) {
        failures++;
        printf("FAILED d%d v%d w%d n%d s%d c%d g%d  %-22s error %.3g of tolerance%s %s\n", row->head_dim,
               row->value_dim, row->consumers, row->keys, row->stages, row->cluster, row->general, what->name,
               error, same ? "" : ", bits differ between runs", message);
        fflush(stdout);
    }
    sdpa_problem_destroy(&problem);
}

/* Head sizes between the rows: the copy engine fills with zeros. */
static void run_odd_sizes(void)
{
    static const int sizes[][2] = {{8, 8}, {40, 64}, {72, 72}, {80, 80}, {120, 40}, {192, 128}, {224, 256}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct sdpa_case what = {"odd size", SHAPE(1, 2, 1, 70, 90), BF, OPEN, .causal = 1};
        what.head_dim = sizes[i][0], what.value_dim = sizes[i][1], what.type = BF;
        struct sdpa_problem problem;
        char message[256] = "";
        sdpa_problem_create(&problem, &what, 3);
        smelt_sdpa_params params = problem.device;
        double error = INFINITY;
        if (!smelt_cuda_sdpa_forward(&params, -1, NULL, message, sizeof(message))) {
            device_wait();
            error = sdpa_problem_error(&problem, 5e-3, 1);
        }
        runs++;
        if (!(error <= 1)) {
            failures++;
            printf("FAILED odd size %d, %d: error %.3g of tolerance %s\n", sizes[i][0], sizes[i][1], error, message);
        }
        sdpa_problem_destroy(&problem);
    }
}

int main(int count, char **arguments)
{
    device_start();
    const int odd_only = count > 1 && strcmp(arguments[1], "odd") == 0;
    const int first = odd_only ? smelt_sdpa_row_count : count > 1 ? atoi(arguments[1]) : 0;
    const int last = count > 2 ? atoi(arguments[2]) : count > 1 ? first : smelt_sdpa_row_count - 1;
    for (int index = first; index <= last && index < smelt_sdpa_row_count; index++)
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
            if (row_fits(&smelt_sdpa_rows[index], &cases[i])) run_case(&cases[i], index);
    if (count == 1 || odd_only) run_odd_sizes();
    printf("sdpa_check rows %d..%d: %d of %d failed\n", first, last, failures, runs);
    return failures != 0;
}
