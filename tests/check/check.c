/* SPDX-License-Identifier: Apache-2.0 */
/* Rows, cases and verdicts of the harness. */
#include "check.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#define CHECK(op) void check_##op(struct check *c);
#include "check.inc"
#undef CHECK

static const struct {
    const char *name;
    void (*run)(struct check *);
} operations[] = {
#define CHECK(op) {#op, check_##op},
#include "check.inc"
#undef CHECK
};

enum { OPERATIONS = sizeof operations / sizeof *operations, USUAL_CASES = 24 };

bool check_begin(struct check *c, const char *variant)
{
    snprintf(c->row, sizeof c->row, "%s%s%s", c->operation, *variant ? " " : "", variant);
    c->done = 0, c->worst = 0, c->error = 0, c->failure[0] = 0, c->tensors = 0;
    return true;
}

bool check_case(struct check *c)
{
    if (c->done) check_guards(c);
    if (c->done == c->cases || c->failure[0]) {
        bool passed = !c->failure[0];
        c->rows++, c->failed += !passed;
        smelt_last_level_cache_limit(0);
        c->report(c, passed);
        return false;
    }
    uint64_t state = c->seed * 1000003 + (uint64_t)c->done * 7919 + (uint64_t)c->dtype;
    for (const char *p = c->row; *p; p++) state = state * 131 + (unsigned char)*p;
    c->random = state; /* the same for every ISA */
    c->plain = c->done % 3 == 0;
    smelt_last_level_cache_limit(c->done % 4 == 1 ? 1 : 0); /* streaming stores, whatever the size */
    c->done++;
    return true;
}

void check_fail(struct check *c, const char *format, ...)
{
    if (c->failure[0]) return;
    int at = snprintf(c->failure, sizeof c->failure, "case %d: ", c->done - 1);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->failure + at, sizeof c->failure - (size_t)at, format, arguments);
    va_end(arguments);
}

void check_status(struct check *c, smelt_status status)
{
    if (status != SMELT_OK) check_fail(c, "%s: %s", smelt_status_string(status), smelt_last_error());
}

static void element_text(char *text, size_t size, const DLTensor *tensor, int64_t flat)
{
    int64_t index[CHECK_RANK];
    for (int i = tensor->ndim - 1; i >= 0; i--) index[i] = flat % tensor->shape[i], flat /= tensor->shape[i];
    int at = snprintf(text, size, "[");
    for (int i = 0; i < tensor->ndim; i++)
        at += snprintf(text + at, size - (size_t)at, i ? ", %lld of %lld" : "%lld of %lld",
                       (long long)index[i], (long long)tensor->shape[i]);
    snprintf(text + at, size - (size_t)at, "]");
}

void check_close(struct check *c, DLTensor *output, double absolute, double relative)
{
    const DLTensor *wide = check_wide(c, output);
    enum smelt_dtype dtype = ref_dtype(output);
    int64_t count = ref_count(output);
    for (int64_t i = 0; i < count && !c->failure[0]; i++) {
        double got = ref_load(output, i), exact = ref_load(wide, i), nearest = ref_round(dtype, exact);
        if (got == nearest || (isnan(got) && isnan(exact))) continue;
        double error = fabs(got - exact), allowed = absolute + relative * fabs(exact);
        if (isinf(nearest) && !isinf(exact))
            error = fabs(got) >= (dtype == SMELT_F16 ? 65000 : 3.3e38) ? 0 : error;
        if (error <= allowed) {
            if (error > c->error) c->error = error;
            if (error / allowed > c->worst) c->worst = error / allowed;
            continue;
        }
        char where[256];
        element_text(where, sizeof where, output, i);
        check_fail(c, "element %s: expected %.9g, got %.9g, tolerance %.3g", where, exact, got, allowed);
    }
}

bool check_has(const char *operation)
{
    for (int op = 0; op < OPERATIONS; op++)
        if (!strcmp(operation, operations[op].name)) return true;
    return false;
}

static bool wanted(const struct check_request *request, const char *operation)
{
    for (int i = 0; i < request->operation_count; i++)
        if (!strcmp(request->operations[i], operation)) return true;
    return !request->operation_count;
}

int check_run(const struct check_request *request, void (*report)(const struct check *, bool), int *rows)
{
    static struct check c;
    enum smelt_isa best = smelt_isa_used();
    c = (struct check){
        .seed = request->seed, .cases = request->cases ? request->cases : USUAL_CASES, .report = report};
    for (int op = 0; op < OPERATIONS; op++) {
        if (!wanted(request, operations[op].name)) continue;
        c.operation = operations[op].name;
        for (int isa = 0; isa < SMELT_ISA_COUNT; isa++) {
            bool asked = request->isa < 0 ? isa <= (int)best : isa == request->isa;
            if (!asked || !smelt_isa_runs((enum smelt_isa)isa)) continue;
            c.isa = (enum smelt_isa)isa;
            smelt_isa_limit(c.isa);
            for (int dtype = 0; dtype < SMELT_FLOAT_DTYPES; dtype++) {
                if (request->dtype >= 0 && request->dtype != dtype) continue;
                c.dtype = (enum smelt_dtype)dtype;
                operations[op].run(&c);
            }
        }
    }
    smelt_isa_limit(best);
    *rows = c.rows;
    return c.failed;
}
