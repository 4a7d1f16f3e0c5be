/* SPDX-License-Identifier: Apache-2.0 */
/* Copies between strided and packed elements, for layouts that kernels do not read themselves. */
#ifndef SMELT_CORE_STRIDED_H
#define SMELT_CORE_STRIDED_H

#include <stdint.h>
#include <string.h>

/* packed[i] = strided[i * step], n elements of `item` bytes (2 or 4); step in bytes, any sign. */
static inline void smelt_gather(void *packed, const void *strided, int64_t step, int64_t item, int64_t n)
{
    const char *from = strided;
    char *to = packed;
    if (item == 2)
        for (int64_t i = 0; i < n; i++) memcpy(to + 2 * i, from + i * step, 2);
    else
        for (int64_t i = 0; i < n; i++) memcpy(to + 4 * i, from + i * step, 4);
}

/* strided[i * step] = packed[i] */
static inline void smelt_scatter(void *strided, int64_t step, const void *packed, int64_t item, int64_t n)
{
    const char *from = packed;
    char *to = strided;
    if (item == 2)
        for (int64_t i = 0; i < n; i++) memcpy(to + i * step, from + 2 * i, 2);
    else
        for (int64_t i = 0; i < n; i++) memcpy(to + i * step, from + 4 * i, 4);
}

#endif
