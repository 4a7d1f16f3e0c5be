/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of smelt demo that are written in Metal: examples/metal, compiled here and compared with the
   built-in operations, in results and in speed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <smelt/metal.h>

#include "demo.h"
#include "demo_texts.h"
#include "output.h"

enum { ROUNDS = 9, MOST_OUTPUTS = 2 };

struct both {
    const char *name, *function, *text;
    smelt_status (*built_in)(const struct both *);
    DLTensor *tensor[8]; /* the built-in operation's outputs, then its inputs, as the kernel's buffers are */
    DLTensor *made[MOST_OUTPUTS]; /* the kernel's outputs */
    int outputs, tensors;
    unsigned char values[8]; /* of the kernel's struct */
    smelt_metal_function *kernel;
    int64_t rows;
};

static smelt_status run_norm_add(const struct both *b)
{
    return smelt_norm_add(b->tensor[0], b->tensor[1], b->tensor[2], b->tensor[3], NULL, NULL, NULL);
}
static smelt_status run_residual_norm(const struct both *b)
{
    return smelt_residual_norm(b->tensor[0], b->tensor[1], b->tensor[2], b->tensor[3], b->tensor[4], NULL,
                               NULL, NULL);
}
static smelt_status run_routing(const struct both *b)
{
    return smelt_moe_routing(b->tensor[0], b->tensor[1], b->tensor[2], b->tensor[3], NULL, NULL);
}

static smelt_status run_kernel(const struct both *b)
{
    smelt_metal_buffer buffers[8];
    smelt_metal_bytes bytes = {(uint32_t)b->tensors, b->values, sizeof b->values};
    smelt_metal_launch launch = SMELT_METAL_LAUNCH_INIT;
    for (int k = 0; k < b->tensors; k++)
        buffers[k] = (smelt_metal_buffer){(uint32_t)k, k < b->outputs ? b->made[k] : b->tensor[k], NULL, 0};
    launch.buffers = buffers, launch.buffer_count = (size_t)b->tensors;
    launch.bytes = &bytes, launch.bytes_count = 1;
    launch.grid_in_threadgroups = 1;
    launch.grid[0] = (uint32_t)b->rows, launch.threadgroup[0] = 32; /* a simdgroup a row */
    return smelt_metal_dispatch(b->kernel, &launch, NULL);
}

static double seconds_of(smelt_status (*run)(const struct both *), const struct both *b)
{
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    run(b);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The medians of both, by turns. */
static void time_both(const struct both *b, double *kernel, double *built_in)
{
    double times[2][ROUNDS];
    for (int k = 0; k < ROUNDS; k++)
        times[0][k] = seconds_of(run_kernel, b), times[1][k] = seconds_of(b->built_in, b);
    for (int k = 0; k < 2; k++) qsort(times[k], ROUNDS, sizeof(double), by_size);
    *kernel = times[0][ROUNDS / 2], *built_in = times[1][ROUNDS / 2];
}

/* The largest difference of all elements, relative to 1 + the value; infinite for a NaN. */
static double difference(const struct both *b)
{
    double largest = 0;
    for (int k = 0; k < b->outputs; k++)
        for (int64_t i = 0, count = ref_count(b->tensor[k]); i < count; i++) {
            double want = ref_load(b->tensor[k], i), got = ref_load(b->made[k], i);
            double error = fabs(got - want) / (1 + fabs(want));
            if (!(error <= largest)) largest = error == error ? error : INFINITY;
        }
    return largest;
}

static smelt_status compile(struct both *b)
{
    smelt_metal_library *library = NULL;
    smelt_status status = smelt_metal_library_create(&library, b->text, NULL);
    if (status == SMELT_OK) status = smelt_metal_function_create(&b->kernel, library, b->function, NULL, 0);
    smelt_metal_library_destroy(library);
    return status;
}

/* False where there is no compiler. */
static bool row(struct demo *d, struct both *b, const char *shape, double tolerance)
{
    char time[TIME_TEXT];
    double kernel = 0, built_in = 0;
    smelt_status status = compile(b);
    progress_clear();
    if (status == SMELT_UNSUPPORTED) {
        printf("Metal kernels are left out: %s\n", smelt_last_error());
        return false;
    }
    if (status == SMELT_OK) status = b->built_in(b);
    if (status == SMELT_OK) status = run_kernel(b);
    double error = status == SMELT_OK ? difference(b) : INFINITY;
    if (status == SMELT_OK) time_both(b, &kernel, &built_in);
    bool good = status == SMELT_OK && error <= tolerance;
    if (status != SMELT_OK)
        printf("%-14s FAILED: %s\n", b->name, smelt_last_error());
    else
        printf("%-14s %-34s %9s  %6.0f %% of the built-in  %s%.1e\n", b->name, shape, time_text(time, kernel),
               100 * built_in / kernel, good ? "" : "FAILED: ", error);
    fflush(stdout);
    smelt_metal_function_destroy(b->kernel);
    d->rows++;
    d->failed += !good;
    return true;
}

static bool norm_rows(struct demo *d)
{
    char text[32];
    const int64_t shape[] = {PROMPT, HIDDEN}, dim[] = {HIDDEN};
    const struct {
        uint32_t length;
        float eps;
    } values = {HIDDEN, 1e-5f};
    snprintf(text, sizeof text, "%d x %d", PROMPT, HIDDEN);
    struct both add = {"norm_add",   "norm_add_bfloat", text_residual_norms, run_norm_add,
                       .outputs = 1, .tensors = 4,      .rows = PROMPT};
    struct both norm = {"residual_norm", "residual_norm_bfloat", text_residual_norms, run_residual_norm,
                        .outputs = 2,    .tensors = 5,           .rows = PROMPT};
    demo_begin(d, "norms in Metal", text);
    DLTensor *residual = demo_input(d, SMELT_BF16, 2, shape), *x = demo_input(d, SMELT_BF16, 2, shape);
    DLTensor *weight = demo_input(d, SMELT_BF16, 1, dim);
    for (int k = 0; k < MOST_OUTPUTS; k++) {
        norm.tensor[k] = demo_output(d, SMELT_BF16, 2, shape);
        norm.made[k] = demo_output(d, SMELT_BF16, 2, shape);
    }
    norm.tensor[2] = residual, norm.tensor[3] = x, norm.tensor[4] = weight;
    add.tensor[0] = norm.tensor[0], add.tensor[1] = residual, add.tensor[2] = x, add.tensor[3] = weight;
    add.made[0] = norm.made[0];
    memcpy(add.values, &values, sizeof values);
    memcpy(norm.values, &values, sizeof values);
    return row(d, &add, text, 1e-2) && row(d, &norm, text, 1e-2);
}

static bool router_row(struct demo *d)
{
    char text[32];
    const int64_t shape[] = {PROMPT, EXPERTS}, chosen[] = {PROMPT, TOP_K}, experts[] = {EXPERTS};
    const uint32_t values[] = {EXPERTS, TOP_K};
    snprintf(text, sizeof text, "%d x %d, top %d", PROMPT, EXPERTS, TOP_K);
    demo_begin(d, "router in Metal", text);
    struct both b = {"moe_routing", "moe_router", text_moe_router, run_routing,
                     .outputs = 2,  .tensors = 4, .rows = PROMPT};
    b.tensor[0] = demo_output(d, SMELT_I32, 2, chosen), b.tensor[1] = demo_output(d, SMELT_F32, 2, chosen);
    b.made[0] = demo_output(d, SMELT_I32, 2, chosen), b.made[1] = demo_output(d, SMELT_F32, 2, chosen);
    b.tensor[2] = demo_input(d, SMELT_BF16, 2, shape), b.tensor[3] = demo_input(d, SMELT_BF16, 1, experts);
    memcpy(b.values, values, sizeof values);
    return row(d, &b, text, 1e-5);
}

void demo_metal(struct demo *d)
{
    printf("\nThe same as kernels in Metal (examples/metal), compiled for this processor; error: against the "
           "built-in\n"
           "operation, over all elements:\n");
    if (norm_rows(d)) router_row(d);
}
