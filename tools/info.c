/* SPDX-License-Identifier: Apache-2.0 */
/* smelt info: what smelt_info() says, for people or as it is. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "commands.h"
#include "output.h"

/* Prints the object as indented lines. It knows only what smelt_info() writes: objects, arrays and strings
 * without escapes that matter here. */
static void print_lines(const char *json)
{
    bool quoted = false, value = false;
    int depth = 0;
    for (const char *p = json; *p; p++) {
        if (*p == '"' && (p == json || p[-1] != '\\')) {
            quoted = !quoted;
            if (quoted && !value) printf("%*s", 2 * (depth - 1), "");
        } else if (quoted) {
            putchar(*p == '_' && !value ? ' ' : *p);
        } else if (*p == '{') {
            if (depth++) putchar('\n');
            value = false;
        } else if (*p == '}') {
            if (--depth == 0) putchar('\n');
        } else if (*p == '[') {
            if (p[1] == ']') printf("none");
            depth += 100; /* an array stays on its line */
        } else if (*p == ']') {
            depth -= 100;
        } else if (*p == ':') {
            printf(": "), value = true, p += p[1] == ' ';
        } else if (*p == ',') {
            if (depth >= 100)
                putchar(',');
            else
                putchar('\n'), value = false, p += p[1] == ' ';
        } else {
            putchar(*p);
        }
    }
}

int command_info(int argc, char **argv)
{
    bool json = false;
    const struct argument options[] = {
        {"--json", ARGUMENT_FLAG, &json, NULL, "the JSON object of smelt_info()"},
        {0},
    };
    const struct arguments arguments = {
        "info",  "[OPTION...]", "Version, back ends, ISA, threads, caches, devices, compiler.",
        options, NULL,          NULL};
    struct words words;
    int code = arguments_read(&arguments, argc, argv, &words);
    if (code != ARGUMENTS_READ) return code;

    size_t needed = 0;
    smelt_status status = smelt_info(NULL, 0, &needed);
    char *text = status == SMELT_OK ? malloc(needed) : NULL;
    if (text) status = smelt_info(text, needed, NULL);
    if (!text || status != SMELT_OK) {
        fprintf(stderr, "smelt info: %s\n", text || status != SMELT_OK ? smelt_last_error() : "no memory");
        free(text);
        return 1;
    }
    if (json)
        puts(text);
    else
        print_lines(text);
    free(text);
    return 0;
}
