/* SPDX-License-Identifier: Apache-2.0 */
/* The smelt command. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "core/cpu.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"info", command_info, "back ends, ISA, devices, cache, compiler"},
    {"check", command_check, "every kernel against the reference"},
    {"bench", command_bench, "speed beside the limits of the machine and the rivals"},
    {"run", command_run, "one kernel of a .metal file"},
    {"demo", command_demo, "the operations of one decoder layer, checked and timed"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static int usage(FILE *stream)
{
    fprintf(stream, "usage: smelt COMMAND [OPTION...]\n\n");
    for (int i = 0; i < COMMANDS; i++) fprintf(stream, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(stream, "\n  --version  the version of the library\n  --help     this text; after a command, its "
                    "options\n\nExit codes: 0 done, 1 a check, compilation or launch failed, 2 wrong use. "
                    "man smelt tells the rest.\n");
    return stream == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
    if (argc < 2) return usage(stderr);
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) return usage(stdout);
    if (!strcmp(argv[1], "--version")) return printf("smelt %s\n", smelt_version()) < 0;
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name)) continue;
        if (smelt_isa_check() != SMELT_OK) return fprintf(stderr, "smelt: %s\n", smelt_last_error()), 2;
        return commands[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "smelt: unknown command \"%s\"\n\n", argv[1]);
    return usage(stderr);
}
