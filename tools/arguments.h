/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a command: a table that is both the parser and the text of --help. */
#ifndef SMELT_TOOLS_ARGUMENTS_H
#define SMELT_TOOLS_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

enum argument_kind {
    ARGUMENT_FLAG,   /* bool */
    ARGUMENT_TEXT,   /* const char * */
    ARGUMENT_NUMBER, /* int64_t, 0 or more */
    ARGUMENT_ISA,    /* int, enum smelt_isa: one that this processor has */
    ARGUMENT_LIST,   /* struct words: a text each time it is given */
    ARGUMENT_DTYPE,  /* int, enum smelt_dtype: one of the three floating dtypes */
};

struct argument {
    const char *name; /* with its dashes */
    enum argument_kind kind;
    void *value;
    const char *placeholder; /* "N"; NULL for a flag */
    const char *help;
};

struct arguments {
    const char *command, *usage; /* "check", "[OP...] [OPTION...]" */
    const char *summary;
    const struct argument *options;  /* ends with a NULL name */
    bool (*known)(const char *word); /* accepts words that are no options; NULL: there are none */
    const char *word;                /* what such a word is, for messages: "operation" */
};

enum { ARGUMENT_WORDS = 64 };
struct words {
    const char *word[ARGUMENT_WORDS];
    int count;
};

enum { ARGUMENTS_READ = -1 };
/* ARGUMENTS_READ, or the exit code: 0 after --help, 2 after a message on wrong use. */
int arguments_read(const struct arguments *arguments, int argc, char **argv, struct words *words);

#endif
