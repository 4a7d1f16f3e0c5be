/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers and shapes of the harness. */
#include <math.h>

#include "check.h"

uint64_t check_random(struct check *c) /* splitmix64 */
{
    uint64_t z = c->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

int64_t check_range(struct check *c, int64_t least, int64_t most)
{
    return least + (int64_t)(check_random(c) % (uint64_t)(most - least + 1));
}

double check_uniform(struct check *c, double least, double most)
{
    return least + (most - least) * (double)(check_random(c) >> 11) * 0x1p-53;
}

double check_normal(struct check *c)
{
    double u = check_uniform(c, 1e-12, 1), v = check_uniform(c, 0, 2 * M_PI);
    return sqrt(-2 * log(u)) * cos(v);
}

bool check_chance(struct check *c, int percent) { return check_range(c, 0, 99) < percent; }

int64_t check_length(struct check *c, int64_t most)
{
    int64_t n;
    switch (check_range(c, 0, 3)) {
    case 0: n = check_range(c, 1, 9); break;
    case 1: n = ((int64_t)1 << check_range(c, 2, 12)) + check_range(c, -1, 1); break;
    case 2: n = check_range(c, 1, 130); break;
    default: n = check_range(c, 1, 1000); break;
    }
    return n > most ? check_range(c, 1, most) : n;
}

void check_shape(struct check *c, int rank, int64_t last, int64_t most, int64_t *shape)
{
    for (int i = 0; i < rank - 1; i++) {
        shape[i] = check_range(c, 1, most < 7 ? most : 7);
        most /= shape[i];
    }
    if (rank > 0) shape[rank - 1] = last;
}
