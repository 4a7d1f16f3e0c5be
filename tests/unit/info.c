/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_info: what it says, and how it treats the caller's memory. */
#include "unit.h"

int main(void)
{
    size_t needed = 0, again = 0;
    UNIT_OK(smelt_info(NULL, 0, &needed));
    UNIT(needed > 100);
    char *json = malloc(needed + 16);
    if (!json) return 1;
    memset(json, 0xa5, needed + 16);

    UNIT_ERROR(smelt_info(json, needed - 1, &again), SMELT_INVALID_ARGUMENT, "info", "capacity",
               "expected at least");
    UNIT(again == needed);
    UNIT((unsigned char)json[0] == 0xa5);
    UNIT_ERROR(smelt_info(NULL, needed, NULL), SMELT_INVALID_ARGUMENT, "info", "json", "NULL");
    UNIT_OK(smelt_info(NULL, 0, NULL));

    UNIT_OK(smelt_info(json, needed, &again));
    UNIT(again == needed);
    UNIT(strlen(json) + 1 == needed);
    UNIT((unsigned char)json[needed] == 0xa5);
    UNIT(json[0] == '{' && json[needed - 2] == '}');
    UNIT(strstr(json, "\"version\": \"") && strstr(json, smelt_version()));
    const char *members[] = {"back_ends",       "isa",     "threads", "caches", "devices",
                             "cache_directory", "compiler"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) UNIT(strstr(json, members[i]));
    UNIT_OK(smelt_info(json, needed + 16, NULL));
    free(json);
    return unit_end();
}
