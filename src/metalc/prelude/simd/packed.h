/* SPDX-License-Identifier: Apache-2.0 */
/* <simd/packed.h>: all of simd. */
#include "simd.h"
