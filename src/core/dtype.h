/* SPDX-License-Identifier: Apache-2.0 */
/* Element types: names, sizes, promotion, and exact scalar conversion. */
#ifndef SMELT_CORE_DTYPE_H
#define SMELT_CORE_DTYPE_H

#include <stdint.h>
#include <string.h>

#include <smelt/dlpack.h>

enum smelt_dtype {
    SMELT_F32, /* the three that kernels are built for come first: they index tables */
    SMELT_F16,
    SMELT_BF16,
    SMELT_F64, /* reference and harness only */
    SMELT_BOOL,
    SMELT_I8,
    SMELT_U8,
    SMELT_I16,
    SMELT_U16,
    SMELT_I32,
    SMELT_U32,
    SMELT_I64,
    SMELT_U64,
    SMELT_OTHER, /* anything else that DLPack can name */
};
#define SMELT_FLOAT_DTYPES 3
#define SMELT_DTYPES       SMELT_OTHER

/* Sets of dtypes, for argument checks. */
#define SMELT_IS(dtype) (1u << (dtype))
#define SMELT_FLOATING  (SMELT_IS(SMELT_F32) | SMELT_IS(SMELT_F16) | SMELT_IS(SMELT_BF16))
#define SMELT_INTEGERS                                                                                       \
    (SMELT_IS(SMELT_I8) | SMELT_IS(SMELT_U8) | SMELT_IS(SMELT_I16) | SMELT_IS(SMELT_U16) |                   \
     SMELT_IS(SMELT_I32) | SMELT_IS(SMELT_U32) | SMELT_IS(SMELT_I64) | SMELT_IS(SMELT_U64))

enum smelt_dtype smelt_dtype_of(DLDataType type);
DLDataType smelt_dl_type(enum smelt_dtype dtype);
int64_t smelt_dtype_size(enum smelt_dtype dtype);
const char *smelt_dtype_name(enum smelt_dtype dtype);

/* Of floating dtypes: equal stays, anything else is float32. */
static inline enum smelt_dtype smelt_promote(enum smelt_dtype a, enum smelt_dtype b)
{
    return a == b ? a : SMELT_F32;
}

static inline float smelt_float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
static inline uint32_t smelt_bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float smelt_float_of_bf16(uint16_t bits) { return smelt_float_of_bits((uint32_t)bits << 16); }
static inline uint16_t smelt_bf16_of_float(float value)
{
    uint32_t bits = smelt_bits_of_float(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40); /* NaN stays NaN, and quiet */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float smelt_float_of_f16(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, magnitude = bits & 0x7fff;
    if (magnitude >= 0x7c00) return smelt_float_of_bits(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
    if (magnitude >= 0x400) return smelt_float_of_bits(sign | ((magnitude << 13) + 0x38000000));
    float tiny = (float)magnitude * 0x1p-24f; /* subnormal: exact in float32 */
    return smelt_float_of_bits(sign | smelt_bits_of_float(tiny));
}
static inline uint16_t smelt_f16_of_float(float value)
{
    uint32_t bits = smelt_bits_of_float(value), magnitude = bits & 0x7fffffff;
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000) return sign | 0x7c00; /* 65520 and above round to infinity */
    if (magnitude < 0x38800000) {                      /* subnormal: the addition rounds at the right bit */
        float shifted = smelt_float_of_bits(magnitude) + 0.5f;
        return (uint16_t)(sign | (smelt_bits_of_float(shifted) - 0x3f000000));
    }
    return (uint16_t)(sign | ((magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13));
}

/* One element as float32, of the three floating dtypes. */
static inline float smelt_load_float(enum smelt_dtype dtype, const void *p)
{
    uint16_t bits;
    float value;
    if (dtype == SMELT_F32) return memcpy(&value, p, sizeof value), value;
    memcpy(&bits, p, sizeof bits);
    return dtype == SMELT_F16 ? smelt_float_of_f16(bits) : smelt_float_of_bf16(bits);
}
static inline void smelt_store_float(enum smelt_dtype dtype, void *p, float value)
{
    if (dtype == SMELT_F32) {
        memcpy(p, &value, sizeof value);
        return;
    }
    uint16_t bits = dtype == SMELT_F16 ? smelt_f16_of_float(value) : smelt_bf16_of_float(value);
    memcpy(p, &bits, sizeof bits);
}
static inline float smelt_round_float(enum smelt_dtype dtype, float value)
{
    if (dtype == SMELT_F16) return smelt_float_of_f16(smelt_f16_of_float(value));
    if (dtype == SMELT_BF16) return smelt_float_of_bf16(smelt_bf16_of_float(value));
    return value;
}

/* One element of an integer or boolean dtype. Values of uint64 above INT64_MAX saturate. */
int64_t smelt_load_integer(enum smelt_dtype dtype, const void *p);

#endif
