/* SPDX-License-Identifier: Apache-2.0 */
/* smelt check: the harness of tests/check as a command. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/check/check.h"
#include "commands.h"

static void report(const struct check *c, bool passed)
{
    printf("%-32s %-9s %-11s %4d cases  %5.1f %% of tolerance  %s%s%s\n", c->row, smelt_dtype_name(c->dtype),
           smelt_isa_name(c->isa), c->done, 100 * c->worst, passed ? "ok" : "FAILED", passed ? "" : ": ",
           c->failure);
}

int command_check(int argc, char **argv)
{
    struct check_request request = {.isa = -1, .dtype = -1, .seed = 1};
    int rows = 0, failed;
    if (argc > 1) request.operation = argv[1];
    failed = check_run(&request, report, &rows);
    printf("%d passed, %d failed\n", rows - failed, failed);
    return failed ? 1 : 0;
}
