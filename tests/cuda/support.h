/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs that test and time CUDA kernels share: device memory, random numbers, conversions. */
#ifndef SMELT_TESTS_CUDA_SUPPORT_H
#define SMELT_TESTS_CUDA_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#include "../../src/cuda/driver.h"

void device_start(void);                              /* context of device 0; exits 77 where there is none */
void device_check(CUresult result, const char *what); /* exits 1 with a sentence */
void *device_alloc(size_t bytes);
void device_free(void *memory);
void device_upload(void *device, const void *host, size_t bytes);
void device_download(void *host, const void *device, size_t bytes);
void device_fill(void *device, unsigned char byte, size_t bytes);
void device_wait(void);

/* Median milliseconds of one call, after warming up. */
double device_time(void (*call)(void *argument), void *argument, int repeats);

uint16_t bits_from_float(float value, int bfloat);
float float_from_bits(uint16_t bits, int bfloat);
void random_seed(uint64_t seed);
float random_normal(void);
uint32_t random_below(uint32_t limit);

#endif
