/* SPDX-License-Identifier: Apache-2.0 */
/* From a masked score to the exponent of 2, for both kinds of attention. */
#ifndef SMELT_CPU_SDPA_EXPONENT_H
#define SMELT_CPU_SDPA_EXPONENT_H

#include "cpu/vec/math.h"

/* A score times `after`, kept finite where it was: masks of the lowest float are usual. It is rounded here,
 * once, so that scores of -1e30 differ from their largest by exactly what they differ, and not by the error
 * of a product. */
VEC vf softmax_exponent(vf score, float after)
{
    vf most = vec_set(0x1.fffffep127f), bounded = vec_min(most, vec_mul(score, vec_set(after)));
    bounded = vec_max(vec_negate(most), bounded);
    return vec_select(vec_equal(vec_abs(score), vec_set(INFINITY)), score, bounded);
}

#endif
