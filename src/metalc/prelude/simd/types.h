/* SPDX-License-Identifier: Apache-2.0 */
/* <simd/types.h>: all of simd. */
#include "simd.h"
