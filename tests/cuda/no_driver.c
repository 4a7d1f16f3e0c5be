/* SPDX-License-Identifier: Apache-2.0 */
/* On a machine without an NVIDIA driver every call with tensors on a CUDA device is refused with a sentence
 * that says so, before anything is read or written. Skipped where there is a driver. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <smelt/smelt.h>

#include "../../src/cuda/driver.h"

static int failures;

static void expect(smelt_status status, const char *operation)
{
    const char *text = smelt_last_error();
    if (status == SMELT_DEVICE_ERROR && strstr(text, "no NVIDIA driver") &&
        !strncmp(text, operation, strlen(operation)))
        return;
    failures++;
    printf("FAILED %s: status %d, \"%s\"\n", operation, (int)status, text);
}

static DLTensor tensor(void *data, int rank, int64_t *shape, uint8_t code, uint8_t bits)
{
    return (DLTensor){
        .data = data, .device = {kDLCUDA, 0}, .ndim = rank, .dtype = {code, bits, 1}, .shape = shape};
}

int main(void)
{
    if (smelt_cuda_driver()) {
        printf("an NVIDIA driver is here: skipped\n");
        return 77;
    }
    static char memory[16384], before[16384]; /* of the host: nothing may touch it */
    memset(memory, 7, sizeof memory), memset(before, 7, sizeof before);
    int64_t rows[] = {2, 8}, column[] = {8}, heads[] = {1, 1, 2, 8}, chunks[] = {1, 1, 1, 2, 8},
            lengths[] = {1, 1, 1, 2}, chosen[] = {2, 2};
    DLTensor t[10];
    for (int i = 0; i < 10; i++) t[i] = tensor(memory + 1024 * i, 2, rows, kDLFloat, 32);
    DLTensor w = tensor(memory + 12288, 1, column, kDLFloat, 32), dw = w;
    dw.data = memory + 12544;
    expect(smelt_rms_norm(&t[0], &t[1], &w, NULL, NULL), "rms_norm");
    expect(smelt_rms_norm_vjp(&t[0], &dw, &t[1], &w, &t[2], NULL, NULL), "rms_norm_vjp");
    expect(smelt_layer_norm(&t[0], &t[1], &w, NULL, NULL, NULL), "layer_norm");
    expect(smelt_layer_norm_vjp(&t[0], &dw, NULL, &t[1], &w, &t[2], NULL, NULL), "layer_norm_vjp");
    expect(smelt_norm_add(&t[0], &t[1], &t[2], &w, NULL, NULL, NULL), "norm_add");
    expect(smelt_norm_add_vjp(&t[0], &t[1], &dw, NULL, &t[2], &t[3], &w, NULL, &t[4], NULL, NULL),
           "norm_add_vjp");
    expect(smelt_residual_norm(&t[0], &t[1], &t[2], &t[3], &w, NULL, NULL, NULL), "residual_norm");
    expect(smelt_residual_norm_vjp(&t[0], &t[1], &dw, NULL, &t[2], &t[3], &w, NULL, &t[4], NULL, NULL, NULL),
           "residual_norm_vjp");
    expect(smelt_glu(&t[0], &t[1], &t[2], SMELT_SILU, NULL), "glu");
    expect(smelt_glu_vjp(&t[0], &t[1], &t[2], &t[3], &t[4], SMELT_GELU, NULL), "glu_vjp");
    DLTensor x = tensor(memory, 4, heads, kDLFloat, 32), out = tensor(memory + 1024, 4, heads, kDLFloat, 32);
    smelt_rope_options rope = SMELT_ROPE_OPTIONS_INIT;
    rope.base = 1e4f;
    expect(smelt_rope(&out, &x, &rope, NULL), "rope");
    expect(smelt_rope_vjp(&out, &x, &rope, NULL), "rope_vjp");
    DLTensor outs = tensor(memory + 2048, 5, chunks, kDLFloat, 32),
             lses = tensor(memory + 3072, 4, lengths, kDLFloat, 32);
    expect(smelt_sdpa_merge(&out, NULL, &outs, &lses, NULL), "sdpa_merge");
    DLTensor ids = tensor(memory + 4096, 2, chosen, kDLInt, 32),
             weights = tensor(memory + 5120, 2, chosen, kDLFloat, 32);
    expect(smelt_moe_routing(&ids, &weights, &t[6], NULL, NULL, NULL), "moe_routing");
    expect(smelt_moe_routing_vjp(&t[7], NULL, &t[6], NULL, &ids, &weights, NULL, NULL), "moe_routing_vjp");
    if (memcmp(memory, before, sizeof memory)) failures++, printf("FAILED memory was written\n");
    printf("no_driver: %d failed\n", failures);
    return failures != 0;
}
