/* SPDX-License-Identifier: Apache-2.0 */
/* The table of element types. */
#include "core/dtype.h"

static const struct {
    const char *name;
    uint8_t code, bits;
} types[SMELT_DTYPES] = {
    [SMELT_F32] = {"float32", kDLFloat, 32},    [SMELT_F16] = {"float16", kDLFloat, 16},
    [SMELT_BF16] = {"bfloat16", kDLBfloat, 16}, [SMELT_F64] = {"float64", kDLFloat, 64},
    [SMELT_BOOL] = {"bool", kDLBool, 8},        [SMELT_I8] = {"int8", kDLInt, 8},
    [SMELT_U8] = {"uint8", kDLUInt, 8},         [SMELT_I16] = {"int16", kDLInt, 16},
    [SMELT_U16] = {"uint16", kDLUInt, 16},      [SMELT_I32] = {"int32", kDLInt, 32},
    [SMELT_U32] = {"uint32", kDLUInt, 32},      [SMELT_I64] = {"int64", kDLInt, 64},
    [SMELT_U64] = {"uint64", kDLUInt, 64},
};

enum smelt_dtype smelt_dtype_of(DLDataType type)
{
    if (type.lanes != 1) return SMELT_OTHER;
    for (int i = 0; i < SMELT_DTYPES; i++)
        if (types[i].code == type.code && types[i].bits == type.bits) return (enum smelt_dtype)i;
    return SMELT_OTHER;
}

DLDataType smelt_dl_type(enum smelt_dtype dtype)
{
    return (DLDataType){.code = types[dtype].code, .bits = types[dtype].bits, .lanes = 1};
}

int64_t smelt_dtype_size(enum smelt_dtype dtype) { return dtype < SMELT_OTHER ? types[dtype].bits / 8 : 0; }

const char *smelt_dtype_name(enum smelt_dtype dtype)
{
    return dtype < SMELT_OTHER ? types[dtype].name : "another dtype";
}

#define LOAD(type)                                                                                           \
    {                                                                                                        \
        type value;                                                                                          \
        memcpy(&value, p, sizeof value);                                                                     \
        return (int64_t)value;                                                                               \
    }
int64_t smelt_load_integer(enum smelt_dtype dtype, const void *p)
{
    switch (dtype) {
    case SMELT_BOOL: return *(const uint8_t *)p != 0;
    case SMELT_I8: LOAD(int8_t)
    case SMELT_U8: LOAD(uint8_t)
    case SMELT_I16: LOAD(int16_t)
    case SMELT_U16: LOAD(uint16_t)
    case SMELT_I32: LOAD(int32_t)
    case SMELT_U32: LOAD(uint32_t)
    case SMELT_I64: LOAD(int64_t)
    case SMELT_U64: {
        uint64_t value;
        memcpy(&value, p, sizeof value);
        return value > INT64_MAX ? INT64_MAX : (int64_t)value;
    }
    default: return 0;
    }
}
