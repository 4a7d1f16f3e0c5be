/* SPDX-License-Identifier: Apache-2.0 */
/* Argument reduction of sin, cos and tan: x = (pi / 2) * quadrant + r, right for every float. */
#ifndef SMELT_LEAF_REDUCTION_H
#define SMELT_LEAF_REDUCTION_H

#include "smelt_leaf.h"

#pragma float_control(precise, on, push)
#pragma STDC FP_CONTRACT OFF

namespace smelt
{
/* Row i: 2^(i - 8) * 2 / pi modulo 4, as a multiple of 2^-26 and the rest. A float's 24-bit significand times
   the first is exact in double. */
#define ROW(high, low)                                                                                       \
    {                                                                                                        \
        SMELT_DOUBLE(high), SMELT_DOUBLE(low)                                                                \
    }
inline constexpr double two_over_pi[113][2] = {
    ROW(0x1.45f3000000000p-9, 0x1.b727220a94fe1p-31),  ROW(0x1.45f3000000000p-8, 0x1.b727220a94fe1p-30),
    ROW(0x1.45f3000000000p-7, 0x1.b727220a94fe1p-29),  ROW(0x1.45f3000000000p-6, 0x1.b727220a94fe1p-28),
    ROW(0x1.45f3080000000p-5, -0x1.236377d5ac07bp-29), ROW(0x1.45f3080000000p-4, -0x1.236377d5ac07bp-28),
    ROW(0x1.45f3060000000p-3, 0x1.b9391054a7f0ap-28),  ROW(0x1.45f3070000000p-2, -0x1.1b1bbead603d9p-29),
    ROW(0x1.45f3070000000p-1, -0x1.1b1bbead603d9p-28), ROW(0x1.45f306c000000p+0, 0x1.c9c882a53f84fp-28),
    ROW(0x1.45f306e000000p+1, -0x1.b1bbead603d8bp-30), ROW(0x1.17cc1b8000000p+0, -0x1.b1bbead603d8bp-29),
    ROW(0x1.17cc1b8000000p+1, -0x1.b1bbead603d8bp-28), ROW(0x1.7cc1b70000000p-2, 0x1.391054a7f09d6p-29),
    ROW(0x1.7cc1b70000000p-1, 0x1.391054a7f09d6p-28),  ROW(0x1.7cc1b74000000p+0, -0x1.8ddf56b01ec54p-28),
    ROW(0x1.7cc1b72000000p+1, 0x1.c882a53f84eb0p-29),  ROW(0x1.f306dc8000000p+0, 0x1.c882a53f84eb0p-28),
    ROW(0x1.f306dca000000p+1, -0x1.bbead603d8a83p-30), ROW(0x1.e60db94000000p+1, -0x1.bbead603d8a83p-29),
    ROW(0x1.cc1b728000000p+1, -0x1.bbead603d8a83p-28), ROW(0x1.9836e4e000000p+1, 0x1.1054a7f09d5f4p-29),
    ROW(0x1.306dc9c000000p+1, 0x1.1054a7f09d5f4p-28),  ROW(0x1.836e4e8000000p-1, -0x1.df56b01ec5417p-28),
    ROW(0x1.836e4e4000000p+0, 0x1.054a7f09d5f48p-30),  ROW(0x1.836e4e4000000p+1, 0x1.054a7f09d5f48p-29),
    ROW(0x1.06dc9c8000000p+1, 0x1.054a7f09d5f48p-28),  ROW(0x1.b727240000000p-4, -0x1.f56b01ec54170p-28),
    ROW(0x1.b727220000000p-3, 0x1.529fc2757d1f5p-32),  ROW(0x1.b727220000000p-2, 0x1.529fc2757d1f5p-31),
    ROW(0x1.b727220000000p-1, 0x1.529fc2757d1f5p-30),  ROW(0x1.b727220000000p+0, 0x1.529fc2757d1f5p-29),
    ROW(0x1.b727220000000p+1, 0x1.529fc2757d1f5p-28),  ROW(0x1.6e4e442000000p+1, -0x1.5ac07b1505c16p-28),
    ROW(0x1.b939104000000p+0, 0x1.4a7f09d5f47d5p-28),  ROW(0x1.b939106000000p+1, -0x1.6b01ec5417056p-28),
    ROW(0x1.727220a000000p+1, 0x1.29fc2757d1f53p-28),  ROW(0x1.c9c882c000000p+0, -0x1.ac07b1505c159p-28),
    ROW(0x1.c9c882a000000p+1, 0x1.4fe13abe8fa9ap-29),  ROW(0x1.9391054000000p+1, 0x1.4fe13abe8fa9ap-28),
    ROW(0x1.27220aa000000p+1, -0x1.603d8a82e0acbp-28), ROW(0x1.3910548000000p-1, 0x1.3f84eafa3ea6ap-28),
    ROW(0x1.391054c000000p+0, -0x1.80f62a0b82b2dp-28), ROW(0x1.391054a000000p+1, 0x1.fc2757d1f534ep-29),
    ROW(0x1.c882a50000000p-1, 0x1.fc2757d1f534ep-28),  ROW(0x1.c882a54000000p+0, -0x1.ec54170565912p-34),
    ROW(0x1.c882a54000000p+1, -0x1.ec54170565912p-33), ROW(0x1.91054a8000000p+1, -0x1.ec54170565912p-32),
    ROW(0x1.220a950000000p+1, -0x1.ec54170565912p-31), ROW(0x1.1054a80000000p-1, -0x1.ec54170565912p-30),
    ROW(0x1.1054a80000000p+0, -0x1.ec54170565912p-29), ROW(0x1.1054a80000000p+1, -0x1.ec54170565912p-28),
    ROW(0x1.054a7f0000000p-2, 0x1.3abe8fa9a6ee0p-31),  ROW(0x1.054a7f0000000p-1, 0x1.3abe8fa9a6ee0p-30),
    ROW(0x1.054a7f0000000p+0, 0x1.3abe8fa9a6ee0p-29),  ROW(0x1.054a7f0000000p+1, 0x1.3abe8fa9a6ee0p-28),
    ROW(0x1.529fc40000000p-4, -0x1.8a82e0acb223fp-28), ROW(0x1.529fc20000000p-3, 0x1.d5f47d4d37703p-29),
    ROW(0x1.529fc20000000p-2, 0x1.d5f47d4d37703p-28),  ROW(0x1.529fc28000000p-1, -0x1.505c1596447e5p-30),
    ROW(0x1.529fc28000000p+0, -0x1.505c1596447e5p-29), ROW(0x1.529fc28000000p+1, -0x1.505c1596447e5p-28),
    ROW(0x1.4a7f09c000000p+0, 0x1.5f47d4d377037p-28),  ROW(0x1.4a7f09e000000p+1, -0x1.4170565911f92p-28),
    ROW(0x1.29fc274000000p+0, 0x1.7d1f534ddc0dbp-28),  ROW(0x1.29fc276000000p+1, -0x1.05c1596447e49p-28),
    ROW(0x1.4fe13a8000000p-1, 0x1.f47d4d377036ep-28),  ROW(0x1.4fe13ac000000p+0, -0x1.70565911f924fp-32),
    ROW(0x1.4fe13ac000000p+1, -0x1.70565911f924fp-31), ROW(0x1.3f84eb0000000p+0, -0x1.70565911f924fp-30),
    ROW(0x1.3f84eb0000000p+1, -0x1.70565911f924fp-29), ROW(0x1.fc27580000000p-1, -0x1.70565911f924fp-28),
    ROW(0x1.fc2757c000000p+0, 0x1.1f534ddc0db63p-28),  ROW(0x1.fc2757e000000p+1, -0x1.c1596447e493bp-28),
    ROW(0x1.f84eafa000000p+1, 0x1.f534ddc0db629p-30),  ROW(0x1.f09d5f4000000p+1, 0x1.f534ddc0db629p-29),
    ROW(0x1.e13abe8000000p+1, 0x1.f534ddc0db629p-28),  ROW(0x1.c2757d2000000p+1, -0x1.596447e493ad5p-32),
    ROW(0x1.84eafa4000000p+1, -0x1.596447e493ad5p-31), ROW(0x1.09d5f48000000p+1, -0x1.596447e493ad5p-30),
    ROW(0x1.3abe900000000p-3, -0x1.596447e493ad5p-29), ROW(0x1.3abe900000000p-2, -0x1.596447e493ad5p-28),
    ROW(0x1.3abe8f8000000p-1, 0x1.4d377036d8a56p-28),  ROW(0x1.3abe8fc000000p+0, -0x1.65911f924eb53p-28),
    ROW(0x1.3abe8fa000000p+1, 0x1.34ddc0db6295ap-28),  ROW(0x1.d5f47d8000000p-1, -0x1.96447e493ad4dp-28),
    ROW(0x1.d5f47d4000000p+0, 0x1.a6ee06db14acdp-29),  ROW(0x1.d5f47d4000000p+1, 0x1.a6ee06db14acdp-28),
    ROW(0x1.abe8faa000000p+1, -0x1.6447e493ad4cep-29), ROW(0x1.57d1f54000000p+1, -0x1.6447e493ad4cep-28),
    ROW(0x1.5f47d4c000000p+0, 0x1.377036d8a5665p-28),  ROW(0x1.5f47d4e000000p+1, -0x1.911f924eb5336p-28),
    ROW(0x1.7d1f534000000p+0, 0x1.bb81b6c52b328p-29),  ROW(0x1.7d1f534000000p+1, 0x1.bb81b6c52b328p-28),
    ROW(0x1.f47d4d4000000p+0, -0x1.11f924eb53362p-29), ROW(0x1.f47d4d4000000p+1, -0x1.11f924eb53362p-28),
    ROW(0x1.e8fa9a6000000p+1, 0x1.dc0db6295993cp-28),  ROW(0x1.d1f534e000000p+1, -0x1.1f924eb53361ep-30),
    ROW(0x1.a3ea69c000000p+1, -0x1.1f924eb53361ep-29), ROW(0x1.47d4d38000000p+1, -0x1.1f924eb53361ep-28),
    ROW(0x1.1f534dc000000p+0, 0x1.c0db6295993c4p-28),  ROW(0x1.1f534de000000p+1, -0x1.f924eb53361dep-30),
    ROW(0x1.f534de0000000p-2, -0x1.f924eb53361dep-29), ROW(0x1.f534de0000000p-1, -0x1.f924eb53361dep-28),
    ROW(0x1.f534ddc000000p+0, 0x1.b6c52b3278872p-33),  ROW(0x1.f534ddc000000p+1, 0x1.b6c52b3278872p-32),
    ROW(0x1.ea69bb8000000p+1, 0x1.b6c52b3278872p-31),  ROW(0x1.d4d3770000000p+1, 0x1.b6c52b3278872p-30),
    ROW(0x1.a9a6ee0000000p+1, 0x1.b6c52b3278872p-29),  ROW(0x1.534ddc0000000p+1, 0x1.b6c52b3278872p-28),
    ROW(0x1.4d37704000000p+0, -0x1.24eb53361de38p-29), ROW(0x1.4d37704000000p+1, -0x1.24eb53361de38p-28),
    ROW(0x1.34ddc0c000000p+0, 0x1.b6295993c4390p-28),
};
#undef ROW

/* For |x| >= 2^15 */
SMELT_INLINE float reduce_large(float x, unsigned &quadrant)
{
    unsigned u = bits(x);
    int row = (int)((u >> 23) & 255) - 142;
    row = (int)select(row < 0, 0u, (unsigned)row);
    row = (int)select(row > 112, 112u, (unsigned)row);
    double significand = (double)(int)((u & 0x7fffffu) | 0x800000u);
    double high = significand * two_over_pi[row][0];
    double low = significand * two_over_pi[row][1];
    double biased = (high + low) + to_integer_wide;
    double fraction = (high - (biased - to_integer_wide)) + low;
    double r = fraction * SMELT_DOUBLE(0x1.921fb54442d18p+0);
    bool negative = (int)u < 0;
    unsigned turns = (unsigned)bits(biased);
    quadrant = select(negative, 0u - turns, turns);
    return (float)select(negative, -r, r);
}

/* For |x| <= 2^15: three parts of pi / 2, each product exact in its fma */
SMELT_INLINE float reduce_small(float x, unsigned &quadrant)
{
    float biased = fused(x, 0x1.45f306p-1f, to_integer);
    float n = biased - to_integer;
    quadrant = bits(biased);
    float r = fused(n, -0x1.921fb6p+0f, x);
    r = fused(n, 0x1.777a5cp-25f, r);
    return fused(n, 0x1.ee59dap-50f, r);
}

SMELT_INLINE float reduce(float x, unsigned &quadrant)
{
    float r = reduce_small(x, quadrant);
    bool large = magnitude(x) > 0x1p15f;
    if (SMELT_ANY_LANE(large)) {
        unsigned far_quadrant;
        float far = reduce_large(x, far_quadrant);
        r = select(large, far, r);
        quadrant = select(large, far_quadrant, quadrant);
    }
    return select(magnitude(x) < infinity, r, not_a_number);
}
} // namespace smelt

#pragma float_control(pop)

#endif
