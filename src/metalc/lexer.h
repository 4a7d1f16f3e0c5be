/* SPDX-License-Identifier: Apache-2.0 */
/* The tokens of a Metal text, before the preprocessor. */
#ifndef SMELT_METALC_LEXER_H
#define SMELT_METALC_LEXER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum token_kind { TOKEN_WORD, TOKEN_NUMBER, TOKEN_STRING, TOKEN_MARK };

struct token {
    enum token_kind kind;
    bool directive; /* on a line that begins with # and is no #define */
    uint32_t match; /* of a bracket: the index of its partner, or NO_TOKEN */
    size_t begin, length;
};

#define NO_TOKEN UINT32_MAX

struct tokens {
    const char *text;
    struct token *items;
    uint32_t count;
};

/* Single characters are marks, also those of longer operators; a string or character literal is one token. */
void tokens_read(struct tokens *tokens, const char *text, size_t length);
void tokens_free(struct tokens *tokens);
bool token_is(const struct tokens *tokens, uint32_t index, const char *word);

#endif
