/* SPDX-License-Identifier: Apache-2.0 */
/* <simd/vector_types.h>: all of simd. */
#include "simd.h"
