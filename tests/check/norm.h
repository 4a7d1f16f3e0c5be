/* SPDX-License-Identifier: Apache-2.0 */
/* Random cases of the norm family. */
#ifndef SMELT_TESTS_CHECK_NORM_H
#define SMELT_TESTS_CHECK_NORM_H

#include <math.h>

#include "check.h"

struct norm_case {
    int rank;
    int64_t shape[CHECK_RANK], dim;
    double size; /* of x */
    smelt_norm_options options;
};

/* Lengths around vectors and pieces, sizes of 0, magnitudes, options. */
void norm_case(struct check *c, struct norm_case *k);
/* A few long rows: several pieces of every sum, and more than one thread. */
void norm_long_case(struct check *c, struct norm_case *k);
/* Values of about `size`, not near 0 in short rows, where a gradient would be a difference of large numbers.
 */
DLTensor *norm_input(struct check *c, const struct norm_case *k, enum smelt_dtype dtype, double size);
/* Likewise; an output that stands for this input as well, where it may be written in place. */
DLTensor *norm_in_place(struct check *c, const struct norm_case *k, enum smelt_dtype dtype, double size);
/* Length dim, or 1 where `single`; values of 0.25 to 2, of either sign. */
DLTensor *norm_column(struct check *c, const struct norm_case *k, enum smelt_dtype dtype, bool single);
DLTensor *norm_output(struct check *c, const struct norm_case *k, enum smelt_dtype dtype);
DLTensor *norm_column_output(struct check *c, const DLTensor *like);
/* The dtype of the round, or now and then another one. */
enum smelt_dtype norm_dtype(struct check *c);
/* NULL stays NULL. */
DLTensor *norm_wide(struct check *c, DLTensor *output);
/* Zeros, infinities, NaN or subnormal numbers in some rows. */
void norm_special(struct check *c, const struct norm_case *k, DLTensor *x);

/* One rounding of float32 arithmetic around 1, times `size`. */
void norm_close(struct check *c, DLTensor *output, double size);
/* Every element equals round(expected[i]) bit for bit. */
void norm_equal(struct check *c, DLTensor *output, const float *expected);

#endif
