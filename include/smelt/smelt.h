/* SPDX-License-Identifier: Apache-2.0 */
/* The whole of smelt: the fused transformer kernels of mlx.fast on x86-64, Arm and NVIDIA. */
#ifndef SMELT_SMELT_H
#define SMELT_SMELT_H

#include "base.h"
#include "glu.h"
#include "metal.h"
#include "moe.h"
#include "norm.h"
#include "rope.h"
#include "sdpa.h"

#endif
