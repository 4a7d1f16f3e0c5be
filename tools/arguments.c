/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a command. */
#include "arguments.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "core/dtype.h"

static void help(const struct arguments *a)
{
    printf("usage: smelt %s%s%s\n\n%s\n\n", a->command, *a->usage ? " " : "", a->usage, a->summary);
    for (const struct argument *o = a->options; o->name; o++) {
        char left[40];
        snprintf(left, sizeof left, "%s%s%s", o->name, o->placeholder ? " " : "",
                 o->placeholder ? o->placeholder : "");
        printf("  %-16s %s\n", left, o->help);
    }
    printf("  %-16s %s\n", "--help", "this text");
}

static bool read_number(const char *text, void *value)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || end == text || *end || number < 0) return false;
    *(int64_t *)value = number;
    return true;
}

static bool read_isa(const char *text, void *value)
{
    for (int isa = 0; isa < SMELT_ISA_COUNT; isa++)
        if (smelt_isa_runs((enum smelt_isa)isa) && !strcmp(text, smelt_isa_name((enum smelt_isa)isa)))
            return *(int *)value = isa, true;
    return false;
}

static bool read_dtype(const char *text, void *value)
{
    static const char *const short_names[SMELT_FLOAT_DTYPES] = {"f32", "f16", "bf16"};
    for (int dtype = 0; dtype < SMELT_FLOAT_DTYPES; dtype++)
        if (!strcmp(text, smelt_dtype_name((enum smelt_dtype)dtype)) || !strcmp(text, short_names[dtype]))
            return *(int *)value = dtype, true;
    return false;
}

static bool add_word(struct words *words, const char *text)
{
    if (words->count == ARGUMENT_WORDS) return false;
    words->word[words->count++] = text;
    return true;
}

static bool read_value(const struct argument *option, const char *text)
{
    switch (option->kind) {
    case ARGUMENT_TEXT: return *(const char **)option->value = text, true;
    case ARGUMENT_NUMBER: return read_number(text, option->value);
    case ARGUMENT_ISA: return read_isa(text, option->value);
    case ARGUMENT_DTYPE: return read_dtype(text, option->value);
    case ARGUMENT_LIST: return add_word(option->value, text);
    case ARGUMENT_FLAG: break;
    }
    return false;
}

static void expected(char *text, size_t size, enum argument_kind kind)
{
    int at = 0;
    if (kind == ARGUMENT_ISA) {
        at = snprintf(text, size, "an ISA of this processor (");
        for (int isa = 0; isa < SMELT_ISA_COUNT; isa++)
            if (smelt_isa_runs((enum smelt_isa)isa))
                at += snprintf(text + at, size - (size_t)at, "%s%s", isa ? ", " : "",
                               smelt_isa_name((enum smelt_isa)isa));
        snprintf(text + at, size - (size_t)at, ")");
    } else {
        snprintf(text, size, "%s",
                 kind == ARGUMENT_DTYPE  ? "float32, float16 or bfloat16"
                 : kind == ARGUMENT_LIST ? "it at most 64 times"
                                         : "a number, 0 or more");
    }
}

static int wrong_use(const struct arguments *a)
{
    fprintf(stderr, "smelt %s --help tells more.\n", a->command);
    return 2;
}

static const struct argument *find(const struct arguments *a, const char *name)
{
    for (const struct argument *o = a->options; o->name; o++)
        if (!strcmp(o->name, name)) return o;
    return NULL;
}

/* Accepts "--name value" and "--name=value". Returns the arguments used, or 0 after a message. */
static int read_option(const struct arguments *a, int left, char **argv)
{
    char name[64];
    const char *equals = strchr(argv[0], '=');
    size_t length = equals ? (size_t)(equals - argv[0]) : strlen(argv[0]);
    snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), argv[0]);
    const struct argument *option = find(a, name);
    if (!option || (option->kind == ARGUMENT_FLAG && equals)) {
        fprintf(stderr, "smelt %s: unknown option \"%s\"\n", a->command, argv[0]);
        return 0;
    }
    if (option->kind == ARGUMENT_FLAG) return *(bool *)option->value = true, 1;
    if (!equals && left < 2) {
        fprintf(stderr, "smelt %s: %s: expected a value after it\n", a->command, name);
        return 0;
    }
    const char *text = equals ? equals + 1 : argv[1];
    if (!read_value(option, text)) {
        char wanted[160];
        expected(wanted, sizeof wanted, option->kind);
        fprintf(stderr, "smelt %s: %s: expected %s, got \"%s\"\n", a->command, name, wanted, text);
        return 0;
    }
    return equals ? 1 : 2;
}

int arguments_read(const struct arguments *a, int argc, char **argv, struct words *words)
{
    words->count = 0;
    for (int i = 1; i < argc;) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return help(a), 0;
        if (argv[i][0] == '-' && argv[i][1]) {
            int used = read_option(a, argc - i, argv + i);
            if (!used) return wrong_use(a);
            i += used;
            continue;
        }
        if (!a->known || !a->known(argv[i]) || words->count == ARGUMENT_WORDS) {
            fprintf(stderr, "smelt %s: unknown %s \"%s\"\n", a->command, a->known ? a->word : "argument",
                    argv[i]);
            return wrong_use(a);
        }
        words->word[words->count++] = argv[i++];
    }
    return ARGUMENTS_READ;
}
