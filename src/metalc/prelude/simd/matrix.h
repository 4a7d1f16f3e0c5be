/* SPDX-License-Identifier: Apache-2.0 */
/* <simd/matrix.h>: all of simd. */
#include "simd.h"
