/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: words, numbers, strings (raw ones too) and single marks; comments and line joints are skipped. */
#include "lexer.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "text.h"

struct reader {
    const char *text;
    size_t at, length;
    bool line_start, directive;
};

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80; }

static size_t line_joint(const struct reader *r, size_t at)
{
    if (r->text[at] != '\\') return 0;
    if (at + 1 < r->length && r->text[at + 1] == '\n') return 2;
    if (at + 2 < r->length && r->text[at + 1] == '\r' && r->text[at + 2] == '\n') return 3;
    return 0;
}

static void skip_comment(struct reader *r)
{
    if (r->text[r->at + 1] == '/') {
        while (r->at < r->length && r->text[r->at] != '\n') {
            size_t joint = line_joint(r, r->at);
            r->at += joint ? joint : 1;
        }
        return;
    }
    const char *end = r->at + 2 <= r->length ? strstr(r->text + r->at + 2, "*/") : NULL;
    r->at = end ? (size_t)(end - r->text) + 2 : r->length;
}

/* Space and comments; at the start of a line, notes whether a directive begins. */
static void skip_space(struct reader *r)
{
    while (r->at < r->length) {
        char c = r->text[r->at];
        size_t joint = line_joint(r, r->at);
        if (joint) {
            r->at += joint;
        } else if (c == '\n') {
            r->line_start = true;
            r->directive = false;
            r->at++;
        } else if (isspace((unsigned char)c)) {
            r->at++;
        } else if (c == '/' && r->at + 1 < r->length && (r->text[r->at + 1] == '/' || r->text[r->at + 1] == '*')) {
            skip_comment(r);
        } else {
            return;
        }
    }
}

static void skip_quoted(struct reader *r)
{
    char quote = r->text[r->at++];
    while (r->at < r->length && r->text[r->at] != quote && r->text[r->at] != '\n')
        r->at += r->text[r->at] == '\\' && r->at + 1 < r->length ? 2 : 1;
    if (r->at < r->length && r->text[r->at] == quote) r->at++;
    if (r->at > r->length) r->at = r->length;
}

static void skip_raw(struct reader *r)
{
    size_t open = r->at + 1;
    while (open < r->length && r->text[open] != '(' && open - r->at < 18) open++;
    struct text end = {0};
    text_print(&end, ")%.*s\"", (int)(open - r->at - 1), r->text + r->at + 1);
    const char *found = open < r->length ? strstr(r->text + open, end.data) : NULL;
    r->at = found ? (size_t)(found - r->text) + end.length : r->length;
    text_free(&end);
}

/* A number runs on over letters, points, digit separators, and signs behind an exponent. */
static void skip_number(struct reader *r)
{
    while (r->at < r->length) {
        char c = r->text[r->at], last = r->at ? r->text[r->at - 1] : 0;
        bool sign = (c == '+' || c == '-') && strchr("eEpP", last) && last;
        bool separator = c == '\'' && r->at + 1 < r->length && isalnum((unsigned char)r->text[r->at + 1]);
        if (!is_word(c) && c != '.' && !sign && !separator) return;
        r->at++;
    }
}

static enum token_kind next(struct reader *r)
{
    char c = r->text[r->at], following = r->at + 1 < r->length ? r->text[r->at + 1] : 0;
    if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)following))) {
        r->at++;
        skip_number(r);
        return TOKEN_NUMBER;
    }
    if (is_word(c)) {
        size_t begin = r->at;
        while (r->at < r->length && is_word(r->text[r->at])) r->at++;
        if (r->at < r->length && r->text[r->at] == '"' && r->text[r->at - 1] == 'R' && r->at - begin <= 3) {
            skip_raw(r);
            return TOKEN_STRING;
        }
        return TOKEN_WORD;
    }
    if (c == '"' || c == '\'') {
        skip_quoted(r);
        return TOKEN_STRING;
    }
    r->at++;
    return TOKEN_MARK;
}

/* Brackets find their partners; a closing one that fits nothing is left alone. */
static void match_brackets(struct tokens *t)
{
    uint32_t *open = must_allocate(t->count + 1, sizeof *open), depth = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        char c = t->text[t->items[i].begin];
        if (t->items[i].kind != TOKEN_MARK || t->items[i].directive) continue;
        if (c == '(' || c == '[' || c == '{') open[depth++] = i;
        if (c != ')' && c != ']' && c != '}') continue;
        char wanted = c == ')' ? '(' : c == ']' ? '[' : '{';
        if (!depth || t->text[t->items[open[depth - 1]].begin] != wanted) continue;
        uint32_t partner = open[--depth];
        t->items[i].match = partner;
        t->items[partner].match = i;
    }
    free(open);
}

static bool starts_define(const struct reader *r)
{
    size_t at = r->at;
    while (at < r->length && (r->text[at] == ' ' || r->text[at] == '\t')) at++;
    return r->length - at > 6 && !strncmp(r->text + at, "define", 6);
}

void tokens_read(struct tokens *tokens, const char *text, size_t length)
{
    struct reader r = {text, 0, length, true, false};
    uint32_t capacity = 0;
    *tokens = (struct tokens){.text = text};
    for (skip_space(&r); r.at < r.length; skip_space(&r)) {
        if (tokens->count == capacity) {
            capacity = capacity ? capacity * 2 : 1024;
            tokens->items = must_grow(tokens->items, capacity, sizeof *tokens->items);
        }
        size_t begin = r.at;
        bool first = r.line_start;
        enum token_kind kind = next(&r);
        if (first && text[begin] == '#') r.directive = !starts_define(&r);
        r.line_start = false;
        tokens->items[tokens->count++] = (struct token){kind, r.directive, NO_TOKEN, begin, r.at - begin};
    }
    match_brackets(tokens);
}

void tokens_free(struct tokens *tokens)
{
    free(tokens->items);
    *tokens = (struct tokens){0};
}

bool token_is(const struct tokens *t, uint32_t index, const char *word)
{
    if (index >= t->count) return false;
    const struct token *token = &t->items[index];
    return token->kind != TOKEN_STRING && token->length == strlen(word) &&
           memcmp(t->text + token->begin, word, token->length) == 0;
}
