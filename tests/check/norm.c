/* SPDX-License-Identifier: Apache-2.0 */
/* Random cases of the norm family. */
#include "norm.h"

static void options(struct check *c, struct norm_case *k)
{
    static const float eps[] = {1e-5f, 1e-6f, 1e-3f, 1e-1f};
    k->options = (smelt_norm_options)SMELT_NORM_OPTIONS_INIT;
    k->options.eps = eps[check_range(c, 0, 3)];
    k->options.weight_offset = check_chance(c, 40) ? 1 : 0;
    k->options.round_once = check_chance(c, 40);
}

void norm_case(struct check *c, struct norm_case *k)
{
    k->rank = (int)check_range(c, 1, 4);
    k->dim = check_length(c, 5000);
    check_shape(c, k->rank, k->dim, check_chance(c, 10) ? 300 : 40, k->shape);
    if (check_chance(c, 6)) k->shape[check_range(c, 0, k->rank - 1)] = 0;
    k->dim = k->shape[k->rank - 1];
    k->size = pow(10, check_uniform(c, -1, 1.5));
    options(c, k);
}

void norm_long_case(struct check *c, struct norm_case *k)
{
    k->rank = 2;
    k->shape[0] = check_range(c, 1, 2);
    k->dim = k->shape[1] = check_range(c, 4097, 20000);
    k->size = 1;
    options(c, k);
}

static void fill(struct check *c, const struct norm_case *k, DLTensor *x, double size)
{
    int64_t count = ref_count(x);
    for (int64_t i = 0; i < count; i++) {
        double value = check_normal(c);
        if (k->dim < 16) value += copysign(1, value);
        ref_store(x, i, value * size);
    }
    check_filled(c, x);
}

DLTensor *norm_input(struct check *c, const struct norm_case *k, enum smelt_dtype dtype, double size)
{
    DLTensor *x = check_input(c, dtype, k->rank, k->shape);
    fill(c, k, x, size);
    return x;
}

DLTensor *norm_in_place(struct check *c, const struct norm_case *k, enum smelt_dtype dtype, double size)
{
    DLTensor *x = check_output(c, dtype, k->rank, k->shape);
    fill(c, k, x, size);
    return x;
}

DLTensor *norm_column(struct check *c, const struct norm_case *k, enum smelt_dtype dtype, bool single)
{
    int64_t length = single ? 1 : k->dim;
    DLTensor *column = check_input(c, dtype, 1, &length);
    for (int64_t i = 0; i < length; i++)
        ref_store(column, i, check_uniform(c, 0.25, 2) * (check_chance(c, 50) ? 1 : -1));
    check_filled(c, column);
    return column;
}

DLTensor *norm_output(struct check *c, const struct norm_case *k, enum smelt_dtype dtype)
{
    return check_output(c, dtype, k->rank, k->shape);
}

DLTensor *norm_column_output(struct check *c, const DLTensor *like)
{
    return check_output(c, ref_dtype(like), 1, like->shape);
}

enum smelt_dtype norm_dtype(struct check *c)
{
    return check_chance(c, 65) ? c->dtype : (enum smelt_dtype)check_range(c, 0, SMELT_FLOAT_DTYPES - 1);
}

DLTensor *norm_wide(struct check *c, DLTensor *output) { return output ? check_wide(c, output) : NULL; }

void norm_special(struct check *c, const struct norm_case *k, DLTensor *x)
{
    if (!k->dim) return;
    int64_t rows = ref_count(x) / k->dim;
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = r * k->dim + check_range(c, 0, k->dim - 1);
        switch (check_range(c, 0, 5)) {
        case 0: ref_store(x, at, NAN); break;
        case 1: ref_store(x, at, check_chance(c, 50) ? INFINITY : -INFINITY); break;
        case 2:
            for (int64_t i = 0; i < k->dim; i++)
                ref_store(x, r * k->dim + i, check_chance(c, 50) ? 0.0 : -0.0);
            break;
        case 3: /* subnormal */
            for (int64_t i = 0; i < k->dim; i++)
                ref_store(x, r * k->dim + i, check_normal(c) * (ref_dtype(x) == SMELT_F16 ? 1e-6 : 1e-39));
            break;
        default: /* squares overflow float16 and need bfloat16's range, never more than float32's */
            for (int64_t i = 0; i < k->dim; i++)
                ref_store(x, r * k->dim + i, check_normal(c) * (ref_dtype(x) == SMELT_F16 ? 1e4 : 1e15));
        }
    }
    check_filled(c, x);
}

void norm_close(struct check *c, DLTensor *output, double size)
{
    static const double unit[] = {2e-6, 5e-4, 4e-3};
    if (output) check_close(c, output, 4e-6 * size, unit[ref_dtype(output)]);
}

void norm_equal(struct check *c, DLTensor *output, const float *expected)
{
    enum smelt_dtype dtype = ref_dtype(output);
    int64_t count = ref_count(output);
#ifdef SMELT_CHECK_ON_DEVICE
    int64_t apart = 0;
#endif
    for (int64_t i = 0; i < count && !c->failure[0]; i++) {
        double got = ref_load(output, i), wanted = (double)smelt_round_float(dtype, expected[i]);
        if (got == wanted || (isnan(got) && isnan(wanted))) continue;
#ifdef SMELT_CHECK_ON_DEVICE
        /* the sums behind `expected` are of float32 rows: a value may round to its neighbour, of 16 bits now
         * and then */
        static const double unit[] = {4e-7, 2e-3, 1.6e-2};
        if (fabs(got - wanted) <= unit[dtype] * fabs(wanted) &&
            (dtype == SMELT_F32 || ++apart <= 2 + count / 500))
            continue;
#endif
        check_fail(c, "element %lld: expected exactly %.9g, got %.9g", (long long)i, wanted, got);
    }
}
