/* SPDX-License-Identifier: Apache-2.0 */
/* smelt run: custom kernels, which this build comes without. */
#include <stdio.h>

#include "commands.h"

int command_run(int argc, char **argv)
{
    (void)argc, (void)argv;
    fprintf(stderr, "smelt run: this build of smelt %s has no compiler for Metal kernels\n", smelt_version());
    return 1;
}
