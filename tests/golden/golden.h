/* SPDX-License-Identifier: Apache-2.0 */
/* Reference vectors of real systems (golden.json, golden_fused.json) against the library. One file per family
 * beside this one, listed in golden.inc; the program fails where a vector has no case.
 *
 *     void golden_glu(void)
 *     {
 *         DLTensor *gate = golden_wave(SMELT_F32, 0.9, -1, 2, 2, 6), *up = golden_wave(...);
 *         DLTensor *out = golden_output("swiglu");
 *         golden_status(smelt_glu(out, gate, up, SMELT_SILU, NULL));
 *         golden_compare("swiglu", out);
 *     }
 *
 * Tensors live until the program ends. */
#ifndef SMELT_TESTS_GOLDEN_H
#define SMELT_TESTS_GOLDEN_H

#include <smelt/smelt.h>

#include "core/dtype.h"

/* S(shape, a, b): element i of the row-major order is float32(sin(a i + b)), cast to the dtype. Sizes are
 * ints. */
DLTensor *golden_wave(enum smelt_dtype dtype, double a, double b, int rank, ...);
/* The values given as doubles, row-major, for the sizes in `shape`. */
DLTensor *golden_values(enum smelt_dtype dtype, int rank, const int64_t *shape, const double *values);
/* Poison in the shape and dtype of a vector; uint32 vectors may be asked for in another integer dtype. */
DLTensor *golden_output(const char *name);
DLTensor *golden_output_as(const char *name, enum smelt_dtype dtype);
/* Poison in any shape. */
DLTensor *golden_empty(enum smelt_dtype dtype, int rank, const int64_t *shape);

void golden_status(smelt_status status);
/* Marks the vector as covered, and compares: float32 at 1e-5, float16 at 2e-3, bfloat16 at 1e-2, absolute;
 * integers exactly. The second form leaves out the elements before `first`. */
void golden_compare(const char *name, const DLTensor *got);
void golden_compare_from(const char *name, const DLTensor *got, int64_t first);

#endif
