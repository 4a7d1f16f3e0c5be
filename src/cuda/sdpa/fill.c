/* SPDX-License-Identifier: Apache-2.0 */
/* From checked arguments to the struct that attention kernels take. */
#include "fill.h"

#include <limits.h>
#include <string.h>

int smelt_sdpa_type(const struct smelt_view *view)
{
    if (!view) return SMELT_TYPE_NONE;
    switch (view->dtype) {
    case SMELT_F32: return SMELT_TYPE_F32;
    case SMELT_F16: return SMELT_TYPE_F16;
    case SMELT_BF16: return SMELT_TYPE_BF16;
    default: return SMELT_TYPE_BOOL;
    }
}

smelt_sdpa_view smelt_sdpa_strided(const struct smelt_view *view)
{
    smelt_sdpa_view result = {view->data, view->stride[0], view->stride[1], view->stride[2], view->stride[3]};
    if (view->shape[3] == 1) result.column = 1;
    if (view->shape[2] == 1) result.row = (view->shape[3] + 7) / 8 * 8;
    return result;
}

static int32_t clamp(int64_t value)
{
    if (value > SMELT_SDPA_FAR) return SMELT_SDPA_FAR;
    return (int32_t)(value < -SMELT_SDPA_FAR ? -SMELT_SDPA_FAR : value);
}

static void fill_options(smelt_sdpa_params *p, const struct smelt_sdpa_args *a)
{
    if (a->mask)
        p->mask = (smelt_sdpa_view){a->mask->data, a->mask_stride[0], a->mask_stride[1], a->mask_stride[2],
                                    a->mask_stride[3]};
    p->mask_type = smelt_sdpa_type(a->mask);
    if (a->sinks) p->sinks = a->sinks->data, p->sinks_stride = a->sinks->stride[0];
    p->sinks_type = smelt_sdpa_type(a->sinks);
    if (a->key_mask) {
        p->key_mask = (const unsigned char *)a->key_mask->data;
        p->key_mask_batch = a->key_mask->stride[0] * a->key_mask->item;
        p->key_mask_column = a->key_mask->stride[1] * a->key_mask->item;
        p->key_mask_bytes = (int32_t)a->key_mask->item;
    }
    if (a->kv_lengths)
        p->kv_lengths = (const int32_t *)a->kv_lengths->data, p->kv_lengths_stride = a->kv_lengths->stride[0];
    if (a->kv_offsets)
        p->kv_offsets = (const int32_t *)a->kv_offsets->data, p->kv_offsets_stride = a->kv_offsets->stride[0];
    p->lower_right = a->kv_offset == SMELT_LOWER_RIGHT;
    p->kv_offset = p->lower_right ? 0 : clamp(a->kv_offset);
    p->left = a->window_left < 0 ? SMELT_SDPA_FAR : clamp(a->window_left);
    p->right = a->window_right < 0 ? SMELT_SDPA_FAR : clamp(a->window_right);
    p->scale_log2 = (float)(a->scale * 1.4426950408889634);
    p->softcap = a->softcap;
    p->softcap_inverse = a->softcap != 0 ? a->scale / a->softcap : 0;
}

smelt_status smelt_sdpa_fill(smelt_sdpa_params *p, const struct smelt_sdpa_args *a, const char *operation)
{
    const int64_t far = SMELT_SDPA_FAR;
    const int64_t tiles = a->batch * a->heads * ((a->q_len + 63) / 64) * ((a->value_dim + 127) / 128 + 1);
    if (a->q_len >= far || a->kv_len >= far || a->dim >= far || a->value_dim >= far || tiles >= INT_MAX / 2)
        return smelt_fail(SMELT_UNSUPPORTED,
                          "%s: q: expected fewer than 2^29 queries, keys and columns and "
                          "fewer than 2^30 tiles of 64 queries on CUDA",
                          operation);
    memset(p, 0, sizeof(*p));
    p->q = smelt_sdpa_strided(a->q), p->k = smelt_sdpa_strided(a->k), p->v = smelt_sdpa_strided(a->v),
    p->out = smelt_sdpa_strided(a->out);
    p->batch = (int32_t)a->batch, p->heads_q = (int32_t)a->heads, p->heads_kv = (int32_t)a->kv_heads;
    p->group = (int32_t)(a->heads / a->kv_heads);
    p->q_length = (int32_t)a->q_len, p->k_length = (int32_t)a->kv_len;
    p->head_dim = (int32_t)a->dim, p->value_dim = (int32_t)a->value_dim;
    p->type = smelt_sdpa_type(a->out);
    p->q_type = smelt_sdpa_type(a->q), p->k_type = smelt_sdpa_type(a->k), p->v_type = smelt_sdpa_type(a->v);
    if (a->lse) {
        p->lse = (float *)a->lse->data;
        p->lse_batch = a->lse->stride[0], p->lse_head = a->lse->stride[1], p->lse_row = a->lse->stride[2];
    }
    fill_options(p, a);
    return SMELT_OK;
}
