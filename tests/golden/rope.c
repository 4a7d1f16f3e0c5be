/* SPDX-License-Identifier: Apache-2.0 */
/* rope and its gradient against MLX. */
#include <stddef.h>
#include <stdio.h>

#include "golden.h"
#include "ref/ref.h"

/* Library and reference. */
static void run(const char *name, const DLTensor *x, const smelt_rope_options *options)
{
    DLTensor *out = golden_output(name);
    golden_status(smelt_rope(out, x, options, NULL));
    golden_compare(name, out);
    ref_rope(out, x, options);
    golden_compare(name, out);
}

static void run_vjp(const char *name, const DLTensor *dout, const smelt_rope_options *options)
{
    DLTensor *dx = golden_output(name);
    golden_status(smelt_rope_vjp(dx, dout, options, NULL));
    golden_compare(name, dx);
    ref_rope_vjp(dx, dout, options);
    golden_compare(name, dx);
}

static void family(const DLTensor *x, const DLTensor *dout, int traditional, int dims)
{
    const int64_t two = 2;
    const double starts[] = {1, 7};
    smelt_rope_options options = SMELT_ROPE_OPTIONS_INIT;
    const char *kind = traditional ? "trad" : "split";
    char name[48];
    options.base = 1e4f, options.offset = 5, options.traditional = traditional, options.dims = dims;
    snprintf(name, sizeof name, "rope_%s_d%d", kind, dims);
    run(name, x, &options);
    snprintf(name, sizeof name, "rope_vjp_%s_d%d", kind, dims);
    run_vjp(name, dout, &options);
    options.offset = 0, options.offsets = golden_values(SMELT_I32, 1, &two, starts), options.scale = 0.5f;
    snprintf(name, sizeof name, "rope_vec_%s_d%d", kind, dims);
    run(name, x, &options);
}

void golden_rope(void)
{
    DLTensor *x = golden_wave(SMELT_F32, 0.21, 0.3, 4, 2, 2, 3, 8);
    DLTensor *dout = golden_wave(SMELT_F32, 0.17, 0.9, 4, 2, 2, 3, 8);
    for (int traditional = 0; traditional < 2; traditional++)
        for (int dims = 4; dims <= 8; dims += 4) family(x, dout, traditional, dims);

    const int64_t four = 4;
    const double divisors[] = {1, 3, 9, 27};
    smelt_rope_options options = SMELT_ROPE_OPTIONS_INIT;
    options.offset = 2, options.freqs = golden_values(SMELT_F32, 1, &four, divisors);
    run("rope_freqs", x, &options);
    options.freqs = NULL, options.base = 1e6f;
    run("rope_3d", golden_wave(SMELT_F32, 0.21, 0.3, 3, 2, 3, 8), &options);
    options.base = 1e4f, options.offset = 5;
    run("rope_f16", golden_wave(SMELT_F16, 0.21, 0.3, 4, 2, 2, 3, 8), &options);
}
