/* SPDX-License-Identifier: Apache-2.0 */
/* <simd/matrix_types.h>: all of simd. */
#include "simd.h"
