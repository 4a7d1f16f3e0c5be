/* SPDX-License-Identifier: Apache-2.0 */
/* The definition of every operation: scalar C in double precision, on any strides, in no hurry. Arguments are
 * those of the public functions, assumed legal. Outputs may be float64, so that a check sees them unrounded;
 * where a rule rounds in between, the reference rounds there too. */
#ifndef SMELT_REF_REF_H
#define SMELT_REF_REF_H

#include <smelt/smelt.h>

#include "core/dtype.h"

/* Element number `flat` of the row-major order of the shape. */
double ref_load(const DLTensor *tensor, int64_t flat);
void ref_store(DLTensor *tensor, int64_t flat, double value);
int64_t ref_count(const DLTensor *tensor);
enum smelt_dtype ref_dtype(const DLTensor *tensor);
/* To the nearest value of the dtype, ties to even, straight from double. */
double ref_round(enum smelt_dtype dtype, double value);

void ref_glu(DLTensor *out, const DLTensor *gate, const DLTensor *up, smelt_activation activation);

#endif
