/* SPDX-License-Identifier: Apache-2.0 */
/* <simd/geometry.h>: all of simd. */
#include "simd.h"
