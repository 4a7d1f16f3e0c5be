/* SPDX-License-Identifier: Apache-2.0 */
/* The first stage of the build: no precompiled headers yet. */
#include "answer.h"

struct embedded_file embedded_precompiled[3] = {0};
