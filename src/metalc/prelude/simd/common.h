/* SPDX-License-Identifier: Apache-2.0 */
/* <simd/common.h>: all of simd. */
#include "simd.h"
