/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernels compute the gradient of a problem, and what they share. */
#include "vjp_launch.h"
#include "vjp_rows.h"

const struct smelt_vjp_kernel smelt_vjp_kernels[] = {
#define SMELT_KEYS(D, DV, N, S, W, A, G) {D, DV, N, S, W, A, G},
    SMELT_VJP_KEYS(SMELT_KEYS)
#undef SMELT_KEYS
#define SMELT_QUERIES(D, DV, N, S, A, G) {D, DV, N, S, 0, A, G},
        SMELT_VJP_QUERIES(SMELT_QUERIES)
#undef SMELT_QUERIES
};
const int smelt_vjp_kernel_count = sizeof(smelt_vjp_kernels) / sizeof(smelt_vjp_kernels[0]);

int smelt_vjp_can(const smelt_sdpa_vjp_params *g, int index, const struct smelt_sdpa_card *card)
{
    const smelt_sdpa_params *p = &g->forward;
    const struct smelt_vjp_kernel *kernel = &smelt_vjp_kernels[index];
    if (card->major != 9 || !smelt_sdpa_same_sixteen_bits(p)) return 0;
    if (p->q_length == 0 || p->k_length == 0 || p->heads_q == 0 || p->value_dim == 0 || !g->dout.data)
        return 0;
    if (kernel->head_dim < p->head_dim || kernel->value_dim < p->value_dim) return 0;
    if (smelt_sdpa_needs_general(p) != kernel->general) return 0;
    return smelt_sdpa_can_copy(&p->q) && smelt_sdpa_can_copy(&p->k) && smelt_sdpa_can_copy(&p->v) &&
           smelt_sdpa_can_copy(&g->dout);
}

/* The first row for that gradient, as the rows of one head size begin with the fastest. */
static int choose(const smelt_sdpa_vjp_params *g, int which, const struct smelt_sdpa_card *card)
{
    for (int i = 0; i < smelt_vjp_kernel_count; i++) {
        const int own = smelt_vjp_kernels[i].which;
        if ((which ? own & which : own == 0) && smelt_vjp_can(g, i, card)) return i;
    }
    return smelt_vjp_kernel_count;
}

static size_t padded(size_t bytes) { return (bytes + 255) / 256 * 256; }

static size_t row_bytes(const smelt_sdpa_vjp_params *g)
{
    return padded(sizeof(float) * (size_t)g->forward.batch * (size_t)g->forward.heads_q *
                  (size_t)g->q_padded);
}

static size_t flag_bytes(const smelt_sdpa_vjp_params *g, int heads, int blocks)
{
    return padded(sizeof(uint32_t) * (size_t)g->forward.batch * (size_t)heads * (size_t)blocks);
}

/* Heads whose tiles are worked on together. Tiles of one head share what they stream; where their lengths
 * differ, so many heads that two tiles a multiprocessor are there to even that out, and as fit the L2 cache.
 * `shared` heads stream the same `rows`. */
static int section(const smelt_sdpa_params *p, int heads, int blocks, int64_t rows, int shared)
{
    if (p->right >= SMELT_SDPA_FAR && p->left >= SMELT_SDPA_FAR) return 1;
    const int64_t bytes = rows * (p->head_dim + p->value_dim) * 2,
                  fit = ((int64_t)24 << 20) / (bytes + 1) * shared;
    const int enough = blocks ? (2 * 132 + blocks - 1) / blocks : 1;
    const int64_t chosen = fit > enough ? fit : enough;
    return chosen < heads ? (int)chosen : heads > 0 ? heads : 1;
}

size_t smelt_vjp_plan(smelt_sdpa_vjp_params *g, struct smelt_vjp_plan *plan,
                      const struct smelt_sdpa_card *card)
{
    smelt_sdpa_params *p = &g->forward;
    enum { kRows = SMELT_VJP_FLAG_ROWS };
    g->query_blocks = (p->q_length + kRows - 1) / kRows;
    g->key_blocks = (p->k_length + kRows - 1) / kRows;
    g->q_padded = g->query_blocks * kRows + 64; /* the last step of any kernel ends inside */
    g->query_section = section(p, p->batch * p->heads_q, g->query_blocks, p->k_length, p->group);
    g->key_section = section(p, p->batch * p->heads_kv, g->key_blocks, p->q_length * p->group, 1);
    plan->queries = choose(g, 0, card);
    plan->keys = choose(g, 1, card);
    plan->values = choose(g, 2, card);
    return 2 * row_bytes(g) + flag_bytes(g, p->heads_q, g->query_blocks) +
           flag_bytes(g, p->heads_kv, g->key_blocks);
}

void smelt_vjp_bind(smelt_sdpa_vjp_params *g, void *scratch)
{
    unsigned char *memory = scratch;
    g->lse = (float *)(void *)memory;
    g->left = (float *)(void *)(memory + row_bytes(g));
    g->query_flags = (uint32_t *)(void *)(memory + 2 * row_bytes(g));
    g->key_flags =
        (uint32_t *)(void *)(memory + 2 * row_bytes(g) + flag_bytes(g, g->forward.heads_q, g->query_blocks));
}
