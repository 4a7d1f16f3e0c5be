/* SPDX-License-Identifier: Apache-2.0 */
/* Element access and rounding of the reference. */
#include "ref/ref.h"

#include <math.h>

int64_t ref_count(const DLTensor *tensor)
{
    int64_t count = 1;
    for (int i = 0; i < tensor->ndim; i++) count *= tensor->shape[i];
    return count;
}

enum smelt_dtype ref_dtype(const DLTensor *tensor) { return smelt_dtype_of(tensor->dtype); }

static char *address(const DLTensor *tensor, int64_t flat)
{
    int64_t offset = 0, row_major = 1;
    for (int i = tensor->ndim - 1; i >= 0; i--) {
        offset += flat % tensor->shape[i] * (tensor->strides ? tensor->strides[i] : row_major);
        flat /= tensor->shape[i];
        row_major *= tensor->shape[i];
    }
    return (char *)tensor->data + tensor->byte_offset + offset * smelt_dtype_size(ref_dtype(tensor));
}

double ref_load(const DLTensor *tensor, int64_t flat)
{
    const void *p = address(tensor, flat);
    enum smelt_dtype dtype = ref_dtype(tensor);
    double value;
    if (dtype == SMELT_F64) return memcpy(&value, p, sizeof value), value;
    if (dtype < SMELT_FLOAT_DTYPES) return smelt_load_float(dtype, p);
    return (double)smelt_load_integer(dtype, p);
}

/* Rounds to `digits` bits of mantissa, subnormal below 2^`least`, infinite above the largest finite value. */
static double round_to(double value, int digits, int least, double largest)
{
    if (value == 0 || isnan(value) || isinf(value)) return value;
    int exponent;
    frexp(value, &exponent);
    if (exponent < least) exponent = least;
    double unit = ldexp(1.0, exponent - digits), rounded = nearbyint(value / unit) * unit;
    return fabs(rounded) > largest ? copysign(INFINITY, value) : rounded;
}

double ref_round(enum smelt_dtype dtype, double value)
{
    switch (dtype) {
    case SMELT_F32: return (float)value;
    case SMELT_F16: return round_to(value, 11, -13, 65504.0);
    case SMELT_BF16: return round_to(value, 8, -125, 0x1.fep127);
    default: return value;
    }
}

#define STORE(type)                                                                                          \
    {                                                                                                        \
        type stored = (type)value;                                                                           \
        memcpy(p, &stored, sizeof stored);                                                                   \
        return;                                                                                              \
    }
void ref_store(DLTensor *tensor, int64_t flat, double value)
{
    void *p = address(tensor, flat);
    enum smelt_dtype dtype = ref_dtype(tensor);
    switch (dtype) {
    case SMELT_F64: STORE(double)
    case SMELT_F32:
    case SMELT_F16:
    case SMELT_BF16: smelt_store_float(dtype, p, (float)ref_round(dtype, value)); return;
    case SMELT_BOOL:
    case SMELT_U8: STORE(uint8_t)
    case SMELT_I8: STORE(int8_t)
    case SMELT_I16: STORE(int16_t)
    case SMELT_U16: STORE(uint16_t)
    case SMELT_I32: STORE(int32_t)
    case SMELT_U32: STORE(uint32_t)
    case SMELT_I64: STORE(int64_t)
    case SMELT_U64: STORE(uint64_t)
    default: return;
    }
}
