/* SPDX-License-Identifier: Apache-2.0 */
/* Builds attention problems, computes them in double precision, compares. */
#include "sdpa_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

static const double kLog2e = 1.4426950408889634;

static int type_size(int type) { return type == SMELT_TYPE_F32 ? 4 : type == SMELT_TYPE_BOOL ? 1 : 2; }

static void store(void *data, int64_t index, int type, float value)
{
    if (type == SMELT_TYPE_F32)
        ((float *)data)[index] = value;
    else if (type == SMELT_TYPE_BOOL)
        ((unsigned char *)data)[index] = value != 0;
    else
        ((uint16_t *)data)[index] = bits_from_float(value, type == SMELT_TYPE_BF16);
}

static double load(const void *data, int64_t index, int type)
{
    if (type == SMELT_TYPE_F32) return ((const float *)data)[index];
    if (type == SMELT_TYPE_BOOL) return ((const unsigned char *)data)[index];
    return float_from_bits(((const uint16_t *)data)[index], type == SMELT_TYPE_BF16);
}

/* Host memory plus its copy on the device, both kept for the end. */
static void *keep(struct sdpa_problem *problem, size_t bytes, void **device)
{
    void *host = calloc(1, bytes ? bytes : 1);
    *device = device_alloc(bytes);
    problem->buffers[problem->buffer_count++] = host;
    problem->buffers[problem->buffer_count++] = *device;
    return host;
}

static void make_tensor(struct sdpa_problem *problem, smelt_sdpa_view *host, smelt_sdpa_view *device,
                        int heads, int length, int dim, int fill)
{
    const struct sdpa_case *what = &problem->what;
    const int capacity = what->transposed ? length : length + 5;
    const int64_t count = (int64_t)what->batch * heads * capacity * dim;
    void *copy, *data = keep(problem, (size_t)(count * type_size(what->type)), &copy);
    for (int64_t i = 0; fill && i < count; i++) store(data, i, what->type, random_normal());
    if (!fill) memset(data, 0xFF, (size_t)(count * type_size(what->type)));
    *host = (smelt_sdpa_view){data, (int64_t)heads * capacity * dim, (int64_t)capacity * dim, dim, 1};
    if (what->transposed) {
        host->head = dim;
        host->row = (int64_t)heads * dim;
    }
    *device = *host;
    device->data = copy;
    device_upload(copy, data, (size_t)(count * type_size(what->type)));
}

static void make_mask(struct sdpa_problem *problem)
{
    const struct sdpa_case *what = &problem->what;
    const int heads = what->mask_shared ? 1 : what->heads_q;
    const int64_t line = what->k_length + (what->k_length % 8 ? 3 : 8),
                  count = (int64_t)what->batch * heads * what->q_length * line;
    void *copy, *data = keep(problem, (size_t)(count * type_size(what->mask_type)), &copy);
    for (int64_t i = 0; i < count; i++) {
        const int drop = random_below(3) == 0;
        store(data, i, what->mask_type,
              what->mask_type == SMELT_TYPE_BOOL ? (float)!drop
              : drop                             ? -INFINITY
                                                 : random_normal());
    }
    device_upload(copy, data, (size_t)(count * type_size(what->mask_type)));
    problem->host.mask = (smelt_sdpa_view){data, heads * what->q_length * line,
                                           what->mask_shared ? 0 : what->q_length * line, line, 1};
    problem->device.mask = problem->host.mask;
    problem->device.mask.data = copy;
}

static void make_options(struct sdpa_problem *problem)
{
    const struct sdpa_case *what = &problem->what;
    smelt_sdpa_params *host = &problem->host, *device = &problem->device;
    void *copy;
    if (what->mask_type) make_mask(problem);
    if (what->key_mask) {
        unsigned char *data = keep(problem, (size_t)(what->batch * what->k_length), &copy);
        for (int i = 0; i < what->batch * what->k_length; i++) data[i] = random_below(4) != 0;
        device_upload(copy, data, (size_t)(what->batch * what->k_length));
        host->key_mask = data, device->key_mask = copy;
        host->key_mask_batch = device->key_mask_batch = what->k_length;
        host->key_mask_column = device->key_mask_column = 1;
        host->key_mask_bytes = device->key_mask_bytes = 1;
    }
    if (what->sinks) {
        float *data = keep(problem, sizeof(float) * (size_t)what->heads_q, &copy);
        for (int i = 0; i < what->heads_q; i++) data[i] = 3 * random_normal();
        device_upload(copy, data, sizeof(float) * (size_t)what->heads_q);
        host->sinks = data, device->sinks = copy;
        host->sinks_stride = device->sinks_stride = 1;
        host->sinks_type = device->sinks_type = SMELT_TYPE_F32;
    }
    for (int kind = 0; kind < 2; kind++) {
        if (!(kind ? what->offsets : what->lengths)) continue;
        int32_t *data = keep(problem, sizeof(int32_t) * (size_t)what->batch, &copy);
        for (int i = 0; i < what->batch; i++)
            data[i] = (int32_t)random_below((uint32_t)what->k_length + 1) - (kind ? what->q_length / 2 : 0);
        if (!kind) data[what->batch - 1] = what->batch > 1 ? 0 : data[0];
        device_upload(copy, data, sizeof(int32_t) * (size_t)what->batch);
        if (kind)
            host->kv_offsets = data, device->kv_offsets = copy;
        else
            host->kv_lengths = data, device->kv_lengths = copy;
    }
    host->kv_lengths_stride = device->kv_lengths_stride = 1;
    host->kv_offsets_stride = device->kv_offsets_stride = 1;
}

static void set_scalars(smelt_sdpa_params *p, const struct sdpa_case *what)
{
    const double scale = what->scale != 0 ? what->scale : 1.0 / sqrt(what->head_dim);
    p->batch = what->batch, p->heads_q = what->heads_q, p->heads_kv = what->heads_kv;
    p->group = what->heads_q / what->heads_kv;
    p->q_length = what->q_length, p->k_length = what->k_length;
    p->head_dim = what->head_dim, p->value_dim = what->value_dim;
    p->type = p->q_type = p->k_type = p->v_type = what->type, p->mask_type = what->mask_type;
    p->lower_right = !what->has_offset, p->kv_offset = what->kv_offset;
    p->left = what->window_left < 0 ? kUnlimited : what->window_left;
    p->right = what->window_right < 0 ? kUnlimited : what->window_right;
    if (what->causal) p->right = 0;
    p->scale_log2 = (float)(scale * kLog2e);
    p->softcap = what->softcap;
    p->softcap_inverse = what->softcap != 0 ? (float)(scale / what->softcap) : 0;
    p->lse_row = 1, p->lse_head = what->q_length, p->lse_batch = (int64_t)what->heads_q * what->q_length;
}

static int64_t length_of(const smelt_sdpa_params *p, int b)
{
    return p->kv_lengths ? p->kv_lengths[b] : p->k_length;
}

static int is_visible(const smelt_sdpa_params *p, int b, int h, int i, int j)
{
    const int64_t length = length_of(p, b);
    const int64_t offset = p->kv_offsets    ? p->kv_offsets[b]
                           : p->lower_right ? length - p->q_length
                                            : p->kv_offset;
    if (j >= length || (p->right < kUnlimited && j > i + offset + p->right) ||
        (p->left < kUnlimited && j < i + offset - p->left))
        return 0;
    if (p->key_mask && !p->key_mask[b * p->key_mask_batch + j]) return 0;
    if (!p->mask_type) return 1;
    const double m =
        load(p->mask.data, b * p->mask.batch + h * p->mask.head + i * p->mask.row + j, p->mask_type);
    return p->mask_type == SMELT_TYPE_BOOL ? m != 0 : m != -INFINITY;
}

static int64_t at(const smelt_sdpa_view *view, int b, int h, int i)
{
    return b * view->batch + h * view->head + i * view->row;
}

static double score(const struct sdpa_problem *problem, int b, int h, int i, int j)
{
    const smelt_sdpa_params *p = &problem->host;
    double dot = 0;
    const int64_t q = at(&p->q, b, h, i), k = at(&p->k, b, h / p->group, j);
    for (int d = 0; d < p->head_dim; d++) dot += problem->wide[0][q + d] * problem->wide[1][k + d];
    dot *= p->scale_log2 / kLog2e;
    if (p->softcap != 0) dot = p->softcap * tanh(dot / p->softcap);
    if (p->mask_type && p->mask_type != SMELT_TYPE_BOOL)
        dot += load(p->mask.data, b * p->mask.batch + h * p->mask.head + i * p->mask.row + j, p->mask_type);
    return dot;
}

static void reference_row(struct sdpa_problem *problem, int b, int h, int i, double *scores)
{
    const smelt_sdpa_params *p = &problem->host;
    const int64_t row = ((int64_t)b * p->heads_q + h) * p->q_length + i;
    double maximum = p->sinks ? ((const float *)p->sinks)[h] : -INFINITY, sum = 0;
    double *out = problem->out + row * p->value_dim;
    for (int j = 0; j < p->k_length; j++) {
        scores[j] = is_visible(p, b, h, i, j) ? score(problem, b, h, i, j) : -INFINITY;
        if (scores[j] > maximum) maximum = scores[j];
    }
    if (p->sinks) sum = exp(((const float *)p->sinks)[h] - maximum);
    for (int d = 0; d < p->value_dim; d++) out[d] = 0;
    for (int j = 0; j < p->k_length; j++) {
        if (scores[j] == -INFINITY) continue;
        const double weight = exp(scores[j] - maximum);
        const int64_t v = at(&p->v, b, h / p->group, j);
        sum += weight;
        for (int d = 0; d < p->value_dim; d++) out[d] += weight * problem->wide[2][v + d];
    }
    for (int d = 0; d < p->value_dim; d++) out[d] = sum == 0 ? 0 : out[d] / sum;
    problem->lse[row] = sum == 0 ? -INFINITY : maximum + log(sum);
}

/* NaN in keys and values that nobody sees, or (hostile) in a value that only the later queries see. */
static void plant_nan(struct sdpa_problem *problem)
{
    smelt_sdpa_params *p = &problem->host;
    const int64_t bytes = (int64_t)type_size(p->type);
    for (int b = 0; b < p->batch; b++)
        for (int j = 0; j < p->k_length; j++) {
            int seen = 0;
            for (int h = 0; h < p->heads_q && !seen; h++)
                for (int i = 0; i < p->q_length && !seen; i++) seen = is_visible(p, b, h, i, j);
            if (!(problem->what.poison && !seen) && !(problem->what.hostile && j == p->k_length - 3))
                continue;
            for (int h = 0; h < p->heads_kv; h++) {
                for (int d = 0; d < p->head_dim && !seen; d++)
                    store((void *)(uintptr_t)p->k.data, at(&p->k, b, h, j) + d, p->type, NAN);
                for (int d = 0; d < p->value_dim; d++)
                    store((void *)(uintptr_t)p->v.data, at(&p->v, b, h, j) + d, p->type,
                          d % 2 ? NAN : INFINITY);
            }
        }
    device_upload((void *)(uintptr_t)problem->device.k.data, p->k.data,
                  (size_t)(p->batch * p->k.batch * bytes));
    device_upload((void *)(uintptr_t)problem->device.v.data, p->v.data,
                  (size_t)(p->batch * p->v.batch * bytes));
}

/* Queries, keys and values in double precision, at the same offsets. */
static void widen(struct sdpa_problem *problem)
{
    const smelt_sdpa_params *p = &problem->host;
    const smelt_sdpa_view *views[3] = {&p->q, &p->k, &p->v};
    for (int t = 0; t < 3; t++) {
        const int64_t count = p->batch * views[t]->batch;
        problem->wide[t] = malloc(sizeof(double) * (size_t)(count + 1));
        for (int64_t i = 0; i < count; i++) problem->wide[t][i] = load(views[t]->data, i, p->type);
    }
}

void sdpa_problem_create(struct sdpa_problem *problem, const struct sdpa_case *what, uint64_t seed)
{
    memset(problem, 0, sizeof(*problem));
    problem->what = *what;
    random_seed(seed);
    smelt_sdpa_params *host = &problem->host, *device = &problem->device;
    set_scalars(host, what);
    set_scalars(device, what);
    make_tensor(problem, &host->q, &device->q, what->heads_q, what->q_length, what->head_dim, 1);
    make_tensor(problem, &host->k, &device->k, what->heads_kv, what->k_length, what->head_dim, 1);
    make_tensor(problem, &host->v, &device->v, what->heads_kv, what->k_length, what->value_dim, 1);
    make_tensor(problem, &host->out, &device->out, what->heads_q, what->q_length, what->value_dim, 0);
    make_options(problem);
    if (what->poison || what->hostile) plant_nan(problem);
    widen(problem);
    problem->rows = (int64_t)what->batch * what->heads_q * what->q_length;
    void *copy;
    host->lse = keep(problem, sizeof(float) * (size_t)problem->rows, &copy);
    device->lse = copy;
    problem->out = malloc(sizeof(double) * (size_t)(problem->rows * what->value_dim + 1));
    problem->lse = malloc(sizeof(double) * (size_t)(problem->rows + 1));
    double *scores = malloc(sizeof(double) * (size_t)(what->k_length + 1));
    for (int b = 0; b < what->batch; b++)
        for (int h = 0; h < what->heads_q; h++)
            for (int i = 0; i < what->q_length; i++) reference_row(problem, b, h, i, scores);
    free(scores);
}

void sdpa_problem_destroy(struct sdpa_problem *problem)
{
    for (int i = 0; i < problem->buffer_count; i += 2) {
        free(problem->buffers[i]);
        device_free(problem->buffers[i + 1]);
    }
    for (int t = 0; t < 3; t++) free(problem->wide[t]);
    free(problem->out);
    free(problem->lse);
}

static double relative_error(double got, double want, double tolerance)
{
    if (want != want || isinf(want)) return (want != want ? got != got : got == want) ? 0 : INFINITY;
    const double error = fabs(got - want) / (tolerance * (1 + fabs(want)));
    return error == error ? error : INFINITY;
}

static double compare(struct sdpa_problem *problem, double worst, int64_t row, int64_t column, double got,
                      double want, double tolerance)
{
    const double error = relative_error(got, want, tolerance);
    if (!(error > worst)) return worst;
    problem->worst_row = row, problem->worst_column = column;
    problem->worst_got = got, problem->worst_want = want;
    return error;
}

double sdpa_problem_error(struct sdpa_problem *problem, double tolerance, int with_lse)
{
    smelt_sdpa_params *p = &problem->host;
    const int64_t last = at(&p->out, p->batch - 1, p->heads_q - 1, p->q_length - 1) + p->value_dim;
    device_download((void *)(uintptr_t)p->out.data, problem->device.out.data,
                    (size_t)(last * type_size(p->type)));
    device_download(p->lse, problem->device.lse, sizeof(float) * (size_t)problem->rows);
    double worst = 0;
    for (int64_t row = 0; row < problem->rows; row++) {
        const int i = (int)(row % p->q_length), h = (int)(row / p->q_length % p->heads_q);
        const int b = (int)(row / p->q_length / p->heads_q);
        const int64_t o = at(&p->out, b, h, i);
        for (int d = 0; d < p->value_dim; d++)
            worst = compare(problem, worst, row, d, load(p->out.data, o + d, p->type),
                            problem->out[row * p->value_dim + d], tolerance);
        if (with_lse) worst = compare(problem, worst, row, -1, p->lse[row], problem->lse[row], 1e-4);
    }
    return worst;
}
