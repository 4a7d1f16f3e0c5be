/* SPDX-License-Identifier: Apache-2.0 */
/* Option structs of older and newer callers. */
#include "core/options.h"
#include "unit.h"

struct options {
    uint32_t struct_size;
    float eps;
};
struct newer {
    struct options known;
    uint32_t unknown[4];
};

int main(void)
{
    const struct options defaults = {sizeof defaults, 1e-5f};
    struct options read;
#define READ(given) smelt_read_options("test", "options", &read, given, &defaults, sizeof defaults)
    UNIT_OK(READ(NULL));
    UNIT(read.eps == 1e-5f);
    struct newer newer = {{sizeof newer, 0.5f}, {0}};
    UNIT_OK(READ(&newer));
    UNIT(read.eps == 0.5f);
    newer.unknown[3] = 1;
    UNIT_ERROR(READ(&newer), SMELT_UNSUPPORTED, "test", "options", "24");
    newer.known.struct_size = sizeof newer - 4; /* what lies beyond the size is not looked at */
    UNIT_OK(READ(&newer));
    newer.known.struct_size = 4;
    UNIT_ERROR(READ(&newer), SMELT_INVALID_ARGUMENT, "test", "options", "struct_size", "4");
    newer.known.struct_size = 0;
    UNIT_ERROR(READ(&newer), SMELT_INVALID_ARGUMENT, "struct_size", "0");
    newer.known.struct_size = UINT32_MAX;
    UNIT_ERROR(READ(&newer), SMELT_INVALID_ARGUMENT, "struct_size", "4294967295");
    return unit_end();
}
