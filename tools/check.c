/* SPDX-License-Identifier: Apache-2.0 */
/* smelt check: the harness of tests/check as a command. */
#include <stdio.h>

#include "../tests/check/check.h"
#include "arguments.h"
#include "commands.h"
#include "output.h"

static int64_t rows; /* reported so far */

static void report_text(const struct check *c, bool passed)
{
    progress_clear();
    printf("%-32s %-9s %-11s %4d cases  %5.1f %% of tolerance  %s%s%s\n", c->row, smelt_dtype_name(c->dtype),
           smelt_isa_name(c->isa), c->done, 100 * c->worst, passed ? "ok" : "FAILED", passed ? "" : ": ",
           c->failure);
    progress_show("%lld rows checked", (long long)++rows);
}

static void report_json(const struct check *c, bool passed)
{
    printf(rows++ ? ",\n  {\"row\": " : "\n  {\"row\": ");
    json_string(stdout, c->row);
    printf(", \"operation\": \"%s\", \"dtype\": \"%s\", \"isa\": \"%s\", \"cases\": %d, \"passed\": %s, "
           "\"share_of_tolerance\": ",
           c->operation, smelt_dtype_name(c->dtype), smelt_isa_name(c->isa), c->done,
           passed ? "true" : "false");
    json_number(stdout, c->worst);
    printf(", \"largest_error\": ");
    json_number(stdout, c->error);
    printf(", \"failure\": ");
    json_string(stdout, c->failure);
    printf("}");
    progress_show("%lld rows checked", (long long)rows);
}

int command_check(int argc, char **argv)
{
    int isa = -1, dtype = -1;
    int64_t seed = 1, cases = 0;
    bool all = false, json = false;
    const struct argument options[] = {
        {"--all", ARGUMENT_FLAG, &all, NULL, "every operation, as without any named"},
        {"--isa", ARGUMENT_ISA, &isa, "I", "kernels of this ISA only"},
        {"--dtype", ARGUMENT_DTYPE, &dtype, "T", "float32, float16 or bfloat16 only"},
        {"--seed", ARGUMENT_NUMBER, &seed, "N", "other random cases (1)"},
        {"--cases", ARGUMENT_NUMBER, &cases, "N", "cases of every row (24)"},
        {"--json", ARGUMENT_FLAG, &json, NULL, "a JSON object instead of the table"},
        {0},
    };
    const struct arguments arguments = {
        "check",
        "[OP...] [OPTION...]",
        "Every kernel against the reference on random shapes and layouts, one "
        "row for each operation, dtype and ISA.",
        options,
        check_has,
        "operation"};
    struct words words;
    int code = arguments_read(&arguments, argc, argv, &words);
    if (code != ARGUMENTS_READ) return code;

    struct check_request request = {words.word, all ? 0 : words.count, isa,
                                    dtype,      (uint64_t)seed,        (int)cases};
    int total = 0;
    if (json) printf("{\"schema\": \"smelt-check/1\", \"seed\": %lld, \"rows\": [", (long long)seed);
    int failed = check_run(&request, json ? report_json : report_text, &total);
    progress_clear();
    printf(json ? "\n], \"passed\": %d, \"failed\": %d}\n" : "%d passed, %d failed\n", total - failed,
           failed);
    return failed ? 1 : 0;
}
