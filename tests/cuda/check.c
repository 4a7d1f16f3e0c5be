/* SPDX-License-Identifier: Apache-2.0 */
/* cuda_check [OP...]: the cases of `smelt check` with tensors on the device. */
#include <stdlib.h>
#include <string.h>

#include "../check/check.h"
#include "support.h"

static const char *const operations[] = {
    "rms_norm",      "rms_norm_vjp",      "layer_norm", "layer_norm_vjp", "norm_add", "norm_add_vjp",
    "residual_norm", "residual_norm_vjp", "glu",        "glu_vjp",        "rope",     "rope_vjp",
    "moe_routing",   "moe_routing_vjp",   "sdpa_merge", "sdpa",           "sdpa_vjp"};
enum { OPERATIONS = sizeof operations / sizeof *operations };

static void report(const struct check *c, bool passed)
{
    printf("%-32s %-9s %4d cases  %5.1f %% of tolerance  %s%s%s\n", c->row, smelt_dtype_name(c->dtype),
           c->done, 100 * c->worst, passed ? "ok" : "FAILED", passed ? "" : ": ", c->failure);
    fflush(stdout);
}

/* SMELT_CHECK_CASES and SMELT_CHECK_SEED: other cases than the usual ones. */
static int64_t number(const char *name, int64_t usual)
{
    const char *text = getenv(name);
    return text ? strtoll(text, NULL, 10) : usual;
}

int main(int argc, char **argv)
{
    device_start();
    struct check_request request = {.operations = argc > 1 ? (const char *const *)argv + 1 : operations,
                                    .operation_count = argc > 1 ? argc - 1 : OPERATIONS,
                                    .isa = (int)smelt_isa_used(), /* one round: the tensors are elsewhere */
                                    .dtype = -1,
                                    .seed = (uint64_t)number("SMELT_CHECK_SEED", 1),
                                    .cases = (int)number("SMELT_CHECK_CASES", 0)};
    int rows = 0;
    const int failed = check_run(&request, report, &rows);
    printf("cuda_check: %d of %d rows failed\n", failed, rows);
    return failed != 0;
}
