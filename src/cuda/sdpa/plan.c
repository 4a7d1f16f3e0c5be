/* SPDX-License-Identifier: Apache-2.0 */
/* Which attention kernel does a problem, and how its work is cut. */
#include <limits.h>

#include "launch.h"
#include "rows.h"

const struct smelt_sdpa_kernel smelt_sdpa_kernels[] = {
#define SMELT_ROW(D, DV, WG, N, S, C, G, P) {SMELT_SDPA_FORWARD, D, DV, WG, N, S, C, G, P},
    SMELT_SDPA_ROWS(SMELT_ROW)
#undef SMELT_ROW
#define SMELT_SPLIT(D, DV, N, S, G) {SMELT_SDPA_SPLIT, D, DV, 1, N, S, 1, G, 0},
        SMELT_SDPA_SPLITS(SMELT_SPLIT)
#undef SMELT_SPLIT
            {.family = SMELT_SDPA_FLOAT32,
             .head_dim = 128,
             .value_dim = 128,
             .consumers = 2,
             .keys = 64,
             .cluster = 1},
    {.family = SMELT_SDPA_GENERIC, .cluster = 1},
};
const int smelt_sdpa_kernel_count = sizeof(smelt_sdpa_kernels) / sizeof(smelt_sdpa_kernels[0]);

enum { kGenericRows = 64, kMostSplits = 256 }; /* the latter as in merge.cu */

int smelt_sdpa_needs_general(const smelt_sdpa_params *p)
{
    return p->mask_type != SMELT_TYPE_NONE || p->key_mask || p->softcap != 0 || !(p->scale_log2 > 0);
}

int smelt_sdpa_can_copy(const smelt_sdpa_view *view)
{
    const int64_t most = (int64_t)1 << 38;
    return view->column == 1 && ((uintptr_t)view->data & 15) == 0 && view->row >= 0 && view->head >= 0 &&
           view->batch >= 0 && (view->row | view->head | view->batch) % 8 == 0 && view->row < most &&
           view->head < most && view->batch < most && view->row > 0;
}

int smelt_sdpa_same_sixteen_bits(const smelt_sdpa_params *p)
{
    return (p->type == SMELT_TYPE_F16 || p->type == SMELT_TYPE_BF16) && p->q_type == p->type &&
           p->k_type == p->type && p->v_type == p->type &&
           (p->mask_type == SMELT_TYPE_NONE || p->mask_type == SMELT_TYPE_BOOL ||
            p->mask_type == SMELT_TYPE_F32 || p->mask_type == p->type);
}

/* The kind of kernel that reads this mask in wide pieces, or 0: entries of 8 or 16 bits in lines that begin
 * at multiples of eight of them, and nothing else that only general kernels know. */
static int reads_ahead(const smelt_sdpa_params *p)
{
    if (p->mask_type == SMELT_TYPE_NONE || p->mask_type == SMELT_TYPE_F32) return 0;
    if (p->key_mask || p->softcap != 0 || !(p->scale_log2 > 0)) return 0;
    if (p->mask.column != 1 || ((uintptr_t)p->mask.data & 15) != 0 || p->k_length % 8 != 0 ||
        (p->mask.batch | p->mask.head | p->mask.row) % 8 != 0)
        return 0;
    if (p->mask_type == SMELT_TYPE_BOOL) return 2;
    return smelt_sdpa_can_copy(&p->mask) && p->head_dim <= 192 && p->value_dim <= 192
               ? 3
               : 0; /* that are built */
}

/* Rows of whole 16 bytes. */
static int in_sixteens(const smelt_sdpa_view *view, int columns)
{
    return view->column == 1 && ((uintptr_t)view->data & 15) == 0 && columns % 4 == 0 &&
           (view->row | view->head | view->batch) % 4 == 0;
}

static int can_float32(const smelt_sdpa_params *p)
{
    return p->type == SMELT_TYPE_F32 && p->q_type == p->type && p->k_type == p->type &&
           p->v_type == p->type && p->k_length > 0 && p->value_dim > 0 && p->head_dim <= 128 &&
           p->value_dim <= 128 && in_sixteens(&p->q, p->head_dim) && in_sixteens(&p->k, p->head_dim) &&
           in_sixteens(&p->v, p->value_dim);
}

int smelt_sdpa_can(const smelt_sdpa_params *p, int index, const struct smelt_sdpa_card *card)
{
    const struct smelt_sdpa_kernel *kernel = &smelt_sdpa_kernels[index];
    if (kernel->family == SMELT_SDPA_GENERIC) return 1;
    if (kernel->family == SMELT_SDPA_FLOAT32) return card->major == 9 && can_float32(p);
    if (card->major != 9 || !smelt_sdpa_same_sixteen_bits(p) || p->k_length == 0 || p->value_dim == 0)
        return 0;
    if (kernel->head_dim < p->head_dim || kernel->value_dim < p->value_dim) return 0;
    if (smelt_sdpa_needs_general(p) && !kernel->general) return 0;
    if (kernel->general > 1 && kernel->general != reads_ahead(p)) return 0;
    return smelt_sdpa_can_copy(&p->k) && smelt_sdpa_can_copy(&p->v) &&
           (kernel->family == SMELT_SDPA_SPLIT || smelt_sdpa_can_copy(&p->q));
}

/* Few queries, or so few tiles that most of the card would idle while keys are long. */
static int wants_split(const smelt_sdpa_params *p, const struct smelt_sdpa_card *card)
{
    const int64_t packed = (int64_t)p->q_length * p->group;
    const int64_t tiles = (int64_t)((p->q_length + 127) / 128) * p->heads_q * p->batch;
    if (packed <= 64) return 1;
    return 2 * tiles <= card->multiprocessors && p->k_length >= 2048 && packed <= 1024;
}

/* Relative cost of a kernel on this problem: padding of head sizes, tile and wave quantisation, the half tile
 * that a causal mask wastes on average. What a tile costs beside its products is about that of 14 more keys,
 * and of 96 more queries, measured on an H200. */
static int64_t cost(const smelt_sdpa_params *p, const struct smelt_sdpa_kernel *kernel,
                    const struct smelt_sdpa_card *card)
{
    const int rows = 64 * kernel->consumers;
    const int64_t tiles = (int64_t)((p->q_length + rows - 1) / rows) * p->heads_q * p->batch;
    const int64_t waves = (tiles + card->multiprocessors - 1) / card->multiprocessors;
    int64_t keys = (p->k_length + kernel->keys - 1) / kernel->keys * (int64_t)kernel->keys;
    if (p->right < SMELT_SDPA_FAR) keys = (p->k_length + rows + kernel->keys) / 2;
    return waves * (rows + 96) * (keys * (kernel->keys + 14) / kernel->keys) *
           (kernel->head_dim + kernel->value_dim);
}

int smelt_sdpa_choose(const smelt_sdpa_params *p, const struct smelt_sdpa_card *card)
{
    const int split = wants_split(p, card);
    const int ahead = split ? 0 : reads_ahead(p), general = ahead ? ahead : smelt_sdpa_needs_general(p);
    int best = smelt_sdpa_kernel_count - 1;
    int64_t least = INT64_MAX;
    for (int i = 0; i < smelt_sdpa_kernel_count - 1; i++) {
        const struct smelt_sdpa_kernel *kernel = &smelt_sdpa_kernels[i];
        if (!smelt_sdpa_can(p, i, card)) continue;
        if (kernel->family == SMELT_SDPA_FLOAT32) return i;
        if (kernel->general != general || kernel->cluster != 1) continue;
        if ((kernel->family == SMELT_SDPA_SPLIT) != split) continue;
        const int64_t own = cost(p, kernel, card);
        if (own < least) best = i, least = own;
    }
    return best;
}

/* Heads whose keys and values together take at most 24 MiB of the L2 cache, in whole groups. */
static int heads_in_cache(const smelt_sdpa_params *p)
{
    const int64_t bytes = (int64_t)p->k_length * (p->head_dim + p->value_dim) * 2;
    const int64_t all = (int64_t)p->batch * p->heads_q;
    int64_t heads = ((int64_t)24 << 20) / (bytes ? bytes : 1) * p->group;
    if (heads < p->group) heads = p->group;
    return (int)(heads < all ? heads : all);
}

/* Splits that end soonest: every block does `waves` shares of the keys, about one and a half tiles of time go
 * into starting each, and one into the merge. */
static int choose_splits(const smelt_sdpa_params *p, const struct smelt_sdpa_kernel *kernel,
                         const struct smelt_sdpa_card *card)
{
    const int64_t work = (int64_t)p->m_tiles * p->heads_kv * p->batch;
    const int64_t tiles = (p->k_length + kernel->keys - 1) / kernel->keys;
    int best = 1;
    int64_t least = INT64_MAX;
    for (int splits = 1; splits <= tiles && splits <= card->multiprocessors && splits <= kMostSplits;
         splits++) {
        const int64_t waves = (work * splits + card->multiprocessors - 1) / card->multiprocessors;
        const int64_t share = (tiles + splits - 1) / splits;
        const int64_t time = waves * (2 * share + 3) + (splits > 1 ? 2 : 0);
        if (time < least) best = splits, least = time;
    }
    return best;
}

size_t smelt_sdpa_plan(smelt_sdpa_params *p, int index, const struct smelt_sdpa_card *card)
{
    const struct smelt_sdpa_kernel *kernel = &smelt_sdpa_kernels[index];
    p->splits = 1;
    p->persistent = 1;
    p->mask_unit = kernel->general == 3 ? 1.4426950408889634f / p->scale_log2 : 0;
    /* tiles that differ in length are shared out evenly only over all heads at once */
    const int even = p->right >= SMELT_SDPA_FAR && p->left >= SMELT_SDPA_FAR;
    p->section = even ? heads_in_cache(p) : p->batch * p->heads_q;
    if (kernel->family == SMELT_SDPA_GENERIC) {
        p->m_tiles = (p->q_length + kGenericRows - 1) / kGenericRows;
        return 0;
    }
    const int rows = 64 * kernel->consumers * kernel->cluster;
    if (kernel->family == SMELT_SDPA_FORWARD || kernel->family == SMELT_SDPA_FLOAT32) {
        p->m_tiles = (p->q_length + rows - 1) / rows;
        return 0;
    }
    p->m_tiles = (int)(((int64_t)p->q_length * p->group + rows - 1) / rows);
    p->section = p->batch * p->heads_kv;
    p->splits = choose_splits(p, kernel, card);
    if (p->splits == 1) return 0;
    return (size_t)p->splits * (size_t)p->batch * (size_t)p->heads_q * (size_t)p->q_length *
           ((size_t)p->value_dim + 2) * sizeof(float);
}
