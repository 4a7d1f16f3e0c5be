/* SPDX-License-Identifier: Apache-2.0 */
/* The smelt command. */
#include <stdio.h>
#include <string.h>

#include "commands.h"

static int usage(FILE *stream)
{
    fprintf(stream, "usage: smelt COMMAND [OPTION...]\n\n"
                    "  info                 back ends, ISA, devices, cache, compiler\n"
                    "  check [OP...]        every kernel against the reference\n"
                    "\nsmelt --version prints the version; man smelt tells the rest.\n");
    return stream == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
    if (argc < 2) return usage(stderr);
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) return usage(stdout);
    if (!strcmp(argv[1], "--version")) return printf("smelt %s\n", smelt_version()) < 0;
    if (!strcmp(argv[1], "check")) return command_check(argc - 1, argv + 1);
    fprintf(stderr, "smelt: unknown command \"%s\"\n", argv[1]);
    return usage(stderr);
}
