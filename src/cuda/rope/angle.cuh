/* SPDX-License-Identifier: Apache-2.0 */
/* Positions and angles. The rule of the definition: position and angle are float32, inverse frequencies are
 * rounded to it from the exact value. */
#pragma once

#include "../common.cuh"
#include "params.h"

namespace smelt
{

/* One integer of 1 to 8 bytes; those of uint64 beyond int64 saturate. */
__device__ __forceinline__ int64_t load_integer(const char *address, int bytes, bool is_signed)
{
    switch (bytes) {
    case 1:
        return is_signed ? *reinterpret_cast<const int8_t *>(address)
                         : *reinterpret_cast<const uint8_t *>(address);
    case 2:
        return is_signed ? *reinterpret_cast<const int16_t *>(address)
                         : *reinterpret_cast<const uint16_t *>(address);
    case 4:
        return is_signed ? static_cast<int64_t>(*reinterpret_cast<const int32_t *>(address))
                         : static_cast<int64_t>(*reinterpret_cast<const uint32_t *>(address));
    default: {
        const int64_t value = *reinterpret_cast<const int64_t *>(address);
        return !is_signed && value < 0 ? INT64_MAX : value;
    }
    }
}

__device__ __forceinline__ float position_of(const smelt_rope_params &p, int64_t batch, int64_t token)
{
    int64_t value = p.offset;
    if (p.position_source != SMELT_ROPE_OFFSET)
        value = load_integer(p.positions + batch * p.position_batch + token * p.position_token,
                             p.position_bytes, p.position_signed);
    if (p.position_source != SMELT_ROPE_POSITIONS)
        value = value > INT64_MAX - token ? INT64_MAX : value + token;
    return __ll2float_rn(value) * p.scale;
}

__device__ __forceinline__ float inverse_frequency(const smelt_rope_params &p, int64_t pair)
{
    if (p.frequency_source == SMELT_ROPE_BASE)
        return pair < SMELT_ROPE_TABLE
                   ? p.inverse[pair]
                   : static_cast<float>(
                         exp2(-(static_cast<double>(pair) / static_cast<double>(p.half)) * p.log2_base));
    const float value = load_element(p.frequencies + pair * p.frequency_step, p.frequency_type);
    return p.frequency_source == SMELT_ROPE_FREQS ? 1.0f / value : value;
}

/* Scaled sine (of the direction) and cosine of one pair. */
__device__ __forceinline__ void angle_of(const smelt_rope_params &p, float position, int64_t pair,
                                         float &sine, float &cosine)
{
    sincosf(position * inverse_frequency(p, pair), &sine, &cosine);
    sine *= p.sin_scale, cosine *= p.cos_scale;
}

} // namespace smelt
