/* SPDX-License-Identifier: Apache-2.0 */
/* Rows whose every key has the same very low, finite mask value: the mean of the values, as for any other
 * number. Masks of the lowest float are what many models use. */
#include <float.h>
#include <math.h>

#include "unit.h"

enum { HEADS = 2, KEYS = 37, D = 24 };

static void check(int queries, float value, float softcap)
{
    DLTensor *q = unit_tensor(SMELT_F32, 4, 1, HEADS, queries, D),
             *k = unit_tensor(SMELT_F32, 4, 1, HEADS, KEYS, D);
    DLTensor *v = unit_tensor(SMELT_F32, 4, 1, HEADS, KEYS, D),
             *out = unit_tensor(SMELT_F32, 4, 1, HEADS, queries, D);
    DLTensor *mask = unit_tensor(SMELT_F32, 1, KEYS), *lse = unit_tensor(SMELT_F32, 3, 1, HEADS, queries);
    float *values = v->data, *results = out->data;
    for (int i = 0; i < HEADS * queries * D; i++) ((float *)q->data)[i] = sinf(0.3f * (float)i);
    for (int i = 0; i < HEADS * KEYS * D; i++)
        ((float *)k->data)[i] = cosf(0.7f * (float)i), values[i] = (float)(i % 11);
    for (int i = 0; i < KEYS; i++) ((float *)mask->data)[i] = value;
    smelt_sdpa_options options = SMELT_SDPA_OPTIONS_INIT;
    options.mask = mask, options.softcap = softcap;
    UNIT_OK(smelt_sdpa(out, lse, q, k, v, &options, NULL));
    double worst = 0;
    for (int h = 0; h < HEADS; h++)
        for (int d = 0; d < D; d++) {
            double mean = 0;
            for (int j = 0; j < KEYS; j++) mean += values[(h * KEYS + j) * D + d] / (double)KEYS;
            for (int i = 0; i < queries; i++) {
                double error = fabs(results[(h * queries + i) * D + d] - mean);
                if (!(error <= worst)) worst = error;
            }
        }
    UNIT(worst < 1e-5);
    UNIT(((float *)lse->data)[0] < value / 2);
}

int main(void)
{
    static const float low[] = {-1e12f, -1e20f, -1e30f, -1e38f, -FLT_MAX};
    for (int i = 0; i < 5; i++)
        for (int queries = 1; queries <= 20; queries += 19) {
            check(queries, low[i], 0);
            check(queries, low[i], 30);
        }
    return unit_end();
}
