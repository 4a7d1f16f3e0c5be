/* SPDX-License-Identifier: Apache-2.0 */
/* <simd/math.h>: all of simd. */
#include "simd.h"
