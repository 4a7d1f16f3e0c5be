/* SPDX-License-Identifier: Apache-2.0 */
/* <simd/vector.h>: all of simd. */
#include "simd.h"
