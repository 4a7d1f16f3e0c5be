/* SPDX-License-Identifier: Apache-2.0 */
/* From Metal to C++ without moving a character: every edit keeps the length of what it replaces, so that
   clang's messages carry the user's own lines and columns. */
#ifndef SMELT_METALC_REWRITE_H
#define SMELT_METALC_REWRITE_H
#include <stdbool.h>
#include <stddef.h>
#include "lexer.h"
#include "text.h"

/* Edits `source` (length bytes and a NUL) in place. False, with messages in `log`, where the text uses what
   Metal forbids or the engine does not do. */
bool rewrite_source(char *source, size_t length, const char *name, struct text *log);

/* Appends what is_function_constant_defined(NAME) needs of every constant that the text declares. */
void name_function_constants(const char *source, size_t length, struct text *out);

/* messages.c: appends clang's messages with the lines that they quote as the user wrote them. `original` is
   as long as `edited`. */
void quote_original(struct text *log, const char *messages, const struct text *edited, const char *original);
/* A file that the text includes, edited as the text is: the `edit` of a frontend_request. */
struct included {
    struct text *log;
    bool failed;
};
char *edit_included(void *included, const char *source, size_t length, const char *path,
                    size_t *edited_length);

/* overloads.c: drops function definitions that only repeat an earlier one for another address space;
   `original` holds the tokens before the address spaces went. */
bool drop_repeated_overloads(char *source, const struct tokens *tokens, const char *name, struct text *log);
void complain(struct text *log, const struct tokens *tokens, uint32_t token, const char *name,
              const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Behind the > that closes the < at `token`. */
uint32_t after_angle(const struct tokens *tokens, uint32_t token);
bool is_address_space(const struct tokens *tokens, uint32_t token);

#endif
