/* SPDX-License-Identifier: Apache-2.0 */
/* What the norm family shares on the CPU: rows over threads, layouts and mixed dtypes, weights as float32
 * columns, and sums over rows for the gradients. The loops themselves are in src/cpu/<op>/. */
#ifndef SMELT_CPU_NORM_H
#define SMELT_CPU_NORM_H

#include <smelt/norm.h>

#include "core/call.h"
#include "cpu/rows.h"

/* The row tensors of a call. In a gradient OUT and SUM are the cotangents dout and dsum. */
enum smelt_norm_operand {
    SMELT_NORM_X,
    SMELT_NORM_RESIDUAL,
    SMELT_NORM_OUT,
    SMELT_NORM_SUM,
    SMELT_NORM_DX,
    SMELT_NORM_DRESIDUAL,
    SMELT_NORM_OPERANDS,
};
enum { SMELT_NORM_WIDEST = 32 }; /* floats that a kernel takes at once, at most */

/* Element i of a column is values[i & mask]: mask -1, or 0 for SMELT_NORM_WIDEST times the same value.
 * Float32 but where the job says otherwise. */
struct smelt_norm_column {
    const void *values;
    int64_t mask;
};

/* Short rows are worked on in groups, so that the statistics of one do not wait for those of another. */
enum { SMELT_NORM_GROUP = 4 };
static inline int64_t smelt_norm_group(int64_t dim)
{
    const int64_t fit = 2048 / dim; /* elements that the first level of the cache holds beside the rest */
    return fit < 1 ? 1 : fit < SMELT_NORM_GROUP ? fit : SMELT_NORM_GROUP;
}

/* Rows as a kernel gets them: elements of a row are neighbours, rows stand `step` bytes apart. */
struct smelt_norm_rows {
    char *data[SMELT_NORM_OPERANDS]; /* of the first row; NULL for an operand that is not there */
    int64_t step[SMELT_NORM_OPERANDS];
    int64_t rows, dim;
    struct smelt_norm_column gain;  /* weight + offset, or 1; in a gradient times the scalar */
    struct smelt_norm_column scale; /* scalar, or 1 */
    struct smelt_norm_column shift; /* bias, or -0 */
    float *row;                     /* room for a group of rows, `row_step` floats apart */
    int64_t row_step;
    float *by_norm, *by_dout; /* gradients: sums over rows, added to, or NULL; see smelt_norm_vjp() */
    float eps;
    bool stream; /* write past the cache */
};
typedef void smelt_norm_kernel(const struct smelt_norm_rows *rows);

/* Kernels by round_once and the dtypes of residual (of x, where there is none), x and out. Those of the
 * residual family that are NULL run in float32 on converted rows. */
struct smelt_norm_kernels {
    smelt_norm_kernel *run[2][SMELT_FLOAT_DTYPES][SMELT_FLOAT_DTYPES][SMELT_FLOAT_DTYPES];
};

/* A call, forward or gradient, for the driver. */
struct smelt_norm_job {
    const char *operation;
    const struct smelt_run *run;
    const struct smelt_norm_kernels *kernels;
    const struct smelt_view *view[SMELT_NORM_OPERANDS]; /* NULL where absent */
    unsigned outputs;                                   /* bit set of operands */
    const struct smelt_view *weight, *bias, *scalar;    /* columns; NULL where absent */
    struct smelt_norm_options options;
    enum smelt_dtype gain_dtype;   /* weight + offset is rounded to it; float32: not rounded */
    enum smelt_dtype bias_dtype;   /* likewise */
    enum smelt_dtype column_dtype; /* that of the columns that the kernel gets, in a forward call */
    bool row;                      /* the kernel wants smelt_norm_rows.row */
    /* Gradients of columns, each NULL or a view. by_norm is the sum over rows of dout times the normalised
     * row; dweight is that times the scalar, dscalar that times weight + offset. by_dout is the sum that the
     * kernel says (of dout for layer_norm, of dout * residual for norm_add): all of dbias, added to dscalar.
     */
    const struct smelt_view *dweight, *dbias, *dscalar;
    bool dscalar_by_dout;
};

smelt_status smelt_norm_forward(const struct smelt_norm_job *job);
smelt_status smelt_norm_vjp(const struct smelt_norm_job *job);

#endif
