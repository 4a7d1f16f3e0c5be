/* SPDX-License-Identifier: Apache-2.0 */
/* Routing against the fused kernels of mlx-native. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "golden.h"
#include "ref/ref.h"

/* Library, in every dtype of the ids, and reference. */
static void run(const char *stem, const DLTensor *logits, const DLTensor *scale)
{
    static const enum smelt_dtype dtypes[] = {SMELT_U32, SMELT_I32, SMELT_I64};
    char ids_name[64], weights_name[64];
    snprintf(ids_name, sizeof ids_name, "%s.ids", stem);
    snprintf(weights_name, sizeof weights_name, "%s.w", stem);
    DLTensor *weights = golden_output(weights_name);
    for (int i = 0; i < 3; i++) {
        DLTensor *ids = golden_output_as(ids_name, dtypes[i]);
        golden_status(smelt_moe_routing(ids, weights, logits, scale, NULL, NULL));
        golden_compare(ids_name, ids);
        golden_compare(weights_name, weights);
        ref_moe_routing(ids, weights, logits, scale, NULL);
        golden_compare(ids_name, ids);
        golden_compare(weights_name, weights);
    }
}

void golden_moe_routing(void)
{
    const int64_t eight = 8, six = 6, four = 4;
    const double ties[] = {1, 2, 2, 2, 0, 2}, equal[] = {0.3, 0.3, 0.3, 0.3}, rising[] = {1, 2, 3, 4};
    const double gone[] = {-INFINITY, 1, -INFINITY, 1};
    double waves[8];
    for (int i = 0; i < 8; i++) waves[i] = 1 + 0.25 * sin(0.7 * i);
    run("moe_routing_batch", golden_wave(SMELT_F32, 1.7, 0.3, 2, 2, 8),
        golden_values(SMELT_F32, 1, &eight, waves));
    run("moe_routing_tie", golden_values(SMELT_F32, 1, &six, ties), NULL);
    run("moe_routing_all_equal", golden_values(SMELT_F32, 1, &four, equal),
        golden_values(SMELT_F32, 1, &four, rising));
    run("moe_routing_neg_inf", golden_values(SMELT_F32, 1, &four, gone), NULL);
}
