/* SPDX-License-Identifier: Apache-2.0 */
/* The edits: attributes become macros that begin with $, address spaces vanish, loops get the form in which
   clang puts a block at their lexical end. The macros are in smelt_entry.h. */
#include "rewrite.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct edit {
    char *source;
    const char *name;
    struct tokens tokens; /* over a copy that keeps the text as it was */
    struct text *log;
    bool good;
};

/* The place by the user's own count: #line directives start it anew. */
static void locate(const struct tokens *t, uint32_t token, const char *name, struct text *log)
{
    size_t at = t->items[token].begin, line_begin = 0;
    unsigned line = 1;
    const char *file = name;
    int file_length = (int)strlen(name);
    for (size_t i = 0; i <= at; i++) {
        if (i == line_begin && !strncmp(t->text + i, "#line ", 6)) {
            unsigned number = 1;
            int used = 0;
            if (sscanf(t->text + i, "#line %u \"%n", &number, &used) == 1 && used) {
                const char *quote = strchr(t->text + i + used, '"');
                file = t->text + i + used;
                file_length = quote ? (int)(quote - file) : 0;
            }
            line = number - 1;
        }
        if (i < at && t->text[i] == '\n') {
            line++;
            line_begin = i + 1;
        }
    }
    text_print(log, "%.*s:%u:%zu: error: ", file_length, file, line, at - line_begin + 1);
}

void complain(struct text *log, const struct tokens *t, uint32_t token, const char *name, const char *format,
              ...)
{
    char message[400];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    locate(t, token, name, log);
    text_print(log, "%s\n", message);
}

static void replace(struct edit *e, uint32_t token, const char *with)
{
    const struct token *t = &e->tokens.items[token];
    size_t length = strlen(with);
    for (size_t i = 0; i < t->length; i++) e->source[t->begin + i] = i < length ? with[i] : ' ';
}

static const char *const attributes[] = {"buffer",
                                         "texture",
                                         "sampler",
                                         "threadgroup",
                                         "function_constant",
                                         "host_name",
                                         "kernel",
                                         "id",
                                         "visible",
                                         "max_total_threads_per_threadgroup",
                                         "required_threads_per_threadgroup",
                                         "thread_position_in_grid",
                                         "threads_per_grid",
                                         "grid_size",
                                         "grid_origin",
                                         "thread_position_in_threadgroup",
                                         "thread_index_in_threadgroup",
                                         "threadgroup_position_in_grid",
                                         "threadgroups_per_grid",
                                         "threads_per_threadgroup",
                                         "dispatch_threads_per_threadgroup",
                                         "thread_execution_width",
                                         "threads_per_simdgroup",
                                         "thread_index_in_simdgroup",
                                         "simdgroup_index_in_threadgroup",
                                         "simdgroups_per_threadgroup",
                                         "dispatch_simdgroups_per_threadgroup",
                                         "thread_index_in_quadgroup",
                                         "quadgroup_index_in_threadgroup",
                                         "quadgroups_per_threadgroup",
                                         "dispatch_quadgroups_per_threadgroup",
                                         "dispatch_threads_per_grid",
                                         NULL};

static bool is_known(const struct tokens *t, uint32_t token)
{
    for (const char *const *name = attributes; *name; name++)
        if (token_is(t, token, *name)) return true;
    return false;
}

/* Whether a token stands among the parameters of a function. */
static bool in_parameters(const struct tokens *t, uint32_t i)
{
    while (i--) {
        if (token_is(t, i, ";") || token_is(t, i, "{")) return false;
        if (t->items[i].match == NO_TOKEN) continue;
        if (t->items[i].match > i) return token_is(t, i, "(");
        i = t->items[i].match;
        if (token_is(t, i, "{")) return false; /* the end of what came before */
    }
    return false;
}

/* [[a(1), b]] -> " $a(1)$ b": the bracket before a word, or the comma, becomes its $. */
static void edit_attribute(struct edit *e, uint32_t open)
{
    const struct tokens *t = &e->tokens;
    uint32_t inner = open + 1, close = t->items[inner].match;
    if (close == NO_TOKEN || t->items[open].match != close + 1 || !is_known(t, inner + 1)) return;
    for (uint32_t i = inner + 1, before = inner; i < close; i++) {
        size_t gap = t->items[i].begin - t->items[before].begin;
        e->source[t->items[before].begin] = ' ';
        for (size_t k = 1; k < gap; k++)
            if (e->source[t->items[before].begin + k] != '\n') e->source[t->items[before].begin + k] = ' ';
        e->source[t->items[i].begin - 1] = '$';
        if (token_is(t, i, "function_constant") && in_parameters(t, open)) replace(e, i, "optional");
        if (token_is(t, i + 1, "(") && t->items[i + 1].match != NO_TOKEN) i = t->items[i + 1].match;
        before = ++i; /* a comma, or the end */
    }
    e->source[t->items[open].begin] = ' ';
    e->source[t->items[close].begin] = e->source[t->items[close + 1].begin] = ' ';
}

bool is_address_space(const struct tokens *t, uint32_t token)
{
    static const char *const words[] = {
        "device",      "constant", "thread", "threadgroup", "threadgroup_imageblock",
        "object_data", "ray_data", NULL};
    for (const char *const *word = words; *word; word++)
        if (token_is(t, token, *word)) return true;
    return false;
}

uint32_t after_angle(const struct tokens *t, uint32_t i)
{
    int depth = 0;
    for (; i < t->count; i++) {
        if (t->items[i].match != NO_TOKEN && t->items[i].match > i) {
            i = t->items[i].match;
            continue;
        }
        if (token_is(t, i, ";") || token_is(t, i, "{")) return i;
        if (token_is(t, i, "<")) depth++;
        if (token_is(t, i, ">") && --depth == 0) return i + 1;
    }
    return i;
}

/* `threadgroup float x[32];` declares a variable; `threadgroup float *p` and whatever else names a type do
 * not. */
static bool declares_variable(const struct tokens *t, uint32_t i)
{
    unsigned words = 0;
    for (i++; i < t->count; i++) {
        if (token_is(t, i, "<")) {
            i = after_angle(t, i) - 1;
            continue;
        }
        if (t->items[i].kind == TOKEN_WORD) {
            words++;
            continue;
        }
        if (token_is(t, i, ":") && token_is(t, i + 1, ":")) {
            i++;
            continue;
        }
        return words >= 2 &&
               (token_is(t, i, "[") || token_is(t, i, ";") || token_is(t, i, "=") || token_is(t, i, ","));
    }
    return false;
}

/* The parameters of a kernel, from its name's parenthesis on: NO_TOKEN where there are none. */
static uint32_t parameters_of(const struct tokens *t, uint32_t kernel)
{
    uint32_t open = kernel; /* of the attribute that says it, if one does */
    while (open && kernel - open < 16 && !token_is(t, open, "[") && !token_is(t, open, ";")) open--;
    if (token_is(t, open, "[") && t->items[open].match != NO_TOKEN && t->items[open].match > kernel)
        kernel = t->items[open].match;
    for (uint32_t i = kernel + 1; i < t->count && i < kernel + 64; i++) {
        if (token_is(t, i, ";") || token_is(t, i, "{")) return NO_TOKEN;
        bool opens = t->items[i].match != NO_TOKEN && t->items[i].match > i;
        bool template_name =
            token_is(t, i, "(") && (token_is(t, i - 1, "decltype") || token_is(t, i - 1, "host_name"));
        if (token_is(t, i, "(") && !template_name) return opens ? i : NO_TOKEN;
        if (opens) i = t->items[i].match;
    }
    return NO_TOKEN;
}

/* A threadgroup parameter of a kernel without an index of its own still has to be known as one. */
static void mark_parameters(struct edit *e, uint32_t kernel)
{
    const struct tokens *t = &e->tokens;
    uint32_t open = parameters_of(t, kernel), found = NO_TOKEN;
    bool named = false;
    if (open == NO_TOKEN) return;
    for (uint32_t i = open + 1; i <= t->items[open].match; i++) {
        if (token_is(t, i, ",") || i == t->items[open].match) {
            if (found != NO_TOKEN && !named) replace(e, found, "$groupmem");
            found = NO_TOKEN;
            named = false;
        } else if (token_is(t, i, "[") && token_is(t, i + 1, "[") && t->items[i].match != NO_TOKEN) {
            named = true;
            i = t->items[i].match;
        } else if (token_is(t, i, "threadgroup")) {
            found = i;
        } else if (t->items[i].match != NO_TOKEN && t->items[i].match > i) {
            i = t->items[i].match;
        }
    }
}

static void edit_address_space(struct edit *e, uint32_t i)
{
    const struct tokens *t = &e->tokens;
    if (i && token_is(t, i - 1, ".")) return; /* a member that has such a name */
    if (token_is(t, i, "constant")) {
        bool twice = i && (token_is(t, i - 1, "const") || token_is(t, i - 1, ")"));
        replace(e, i, twice || token_is(t, i + 1, "const") ? "" : "const");
    } else if (token_is(t, i, "threadgroup")) {
        replace(e, i, declares_variable(t, i) ? "$shared" : "");
    } else {
        replace(e, i, "");
    }
}

/* `while` of a do statement, which stays. */
static uint32_t while_of_do(const struct tokens *t, uint32_t i)
{
    uint32_t at = i + 1;
    if (token_is(t, at, "{")) {
        if (t->items[at].match == NO_TOKEN) return NO_TOKEN;
        at = t->items[at].match + 1;
    } else {
        while (at < t->count && !token_is(t, at, ";")) {
            bool opens = t->items[at].match != NO_TOKEN && t->items[at].match > at;
            at = opens ? t->items[at].match + 1 : at + 1;
        }
        at++;
    }
    return token_is(t, at, "while") ? at : NO_TOKEN;
}

/* Loops that have no increment get an empty one: `continue` then leads to a block behind the body. */
static void edit_loops(struct edit *e)
{
    struct tokens *t = &e->tokens;
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->items[i].directive || !token_is(t, i, "do")) continue;
        uint32_t end = while_of_do(t, i);
        if (end != NO_TOKEN) t->items[end].directive = true; /* no edit here */
    }
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->items[i].directive || !token_is(t, i + 1, "(")) continue;
        uint32_t close = t->items[i + 1].match;
        if (token_is(t, i, "while")) replace(e, i, "$loop");
        if (token_is(t, i, "for") && close != NO_TOKEN && token_is(t, close - 1, ";")) replace(e, i, "$fo");
    }
}

static void edit_number(struct edit *e, uint32_t i)
{
    const struct token *t = &e->tokens.items[i];
    char *text = e->source + t->begin;
    if (t->length < 2 || (text[0] == '0' && (text[1] | 32) == 'x')) return;
    if (text[t->length - 1] == 'H') text[t->length - 1] = 'h';
    if (t->length > 2 && (text[t->length - 2] | 32) == 'b' && (text[t->length - 1] | 32) == 'h')
        memcpy(text + t->length - 2, "_b", 2);
    else if (t->length > 2 && (text[t->length - 2] | 32) == 'b' && (text[t->length - 1] | 32) == 'f')
        memcpy(text + t->length - 2, "_b", 2);
}

static void refuse(struct edit *e, uint32_t i)
{
    const struct tokens *t = &e->tokens;
    const char *what = NULL;
    if (token_is(t, i, "goto")) what = "goto does not exist in Metal";
    if (token_is(t, i, "asm") || token_is(t, i, "__asm__") || token_is(t, i, "__asm"))
        what = "inline assembly does not exist in Metal";
    if (!what) return;
    complain(e->log, t, i, e->name, "%s", what);
    e->good = false;
}

/* A body may not end the function that was generated around it: the marks before and behind it stand in one
   pair of braces. */
static void check_body(struct edit *e)
{
    const struct tokens *t = &e->tokens;
    uint32_t first = NO_TOKEN, second = NO_TOKEN;
    for (uint32_t i = 0; i < t->count; i++)
        if (token_is(t, i, "$body")) {
            if (first == NO_TOKEN)
                first = i;
            else
                second = i;
        }
    if (first == NO_TOKEN || first == 0 || second == NO_TOKEN || second + 1 >= t->count) return;
    if (t->items[first - 1].match == second + 1) return;
    uint32_t close = t->items[first - 1].match;
    complain(e->log, t, close == NO_TOKEN ? second : close, e->name,
             close == NO_TOKEN ? "the body of the kernel does not close all its braces"
                               : "the body of the kernel closes the generated function");
    e->good = false;
}

bool rewrite_source(char *source, size_t length, const char *name, struct text *log)
{
    struct edit e = {.source = source, .name = name, .log = log, .good = true};
    char *original = must_allocate(length + 1, 1);
    memcpy(original, source, length);
    tokens_read(&e.tokens, original, length);
    const struct tokens *t = &e.tokens;
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->items[i].directive) continue;
        if (t->items[i].kind == TOKEN_NUMBER) edit_number(&e, i);
        if (token_is(t, i, "[") && token_is(t, i + 1, "[")) edit_attribute(&e, i);
        if (t->items[i].kind != TOKEN_WORD) continue;
        bool in_attribute = i >= 2 && token_is(t, i - 1, "[") && token_is(t, i - 2, "[");
        if (is_address_space(t, i) && !in_attribute) edit_address_space(&e, i);
        if (token_is(t, i, "kernel") && !in_attribute && !token_is(t, i - 1, ",")) replace(&e, i, "$kern");
        refuse(&e, i);
    }
    for (uint32_t i = 0; i < t->count; i++)
        if (token_is(t, i, "kernel") && !t->items[i].directive) mark_parameters(&e, i);
    check_body(&e);
    e.good &= drop_repeated_overloads(source, t, name, log);
    edit_loops(&e);
    tokens_free(&e.tokens);
    free(original);
    return e.good;
}

void name_function_constants(const char *source, size_t length, struct text *out)
{
    struct tokens t;
    tokens_read(&t, source, length);
    for (uint32_t i = 3; i + 2 < t.count; i++) {
        if (!token_is(&t, i, "function_constant") || !token_is(&t, i - 1, "[") || !token_is(&t, i - 2, "["))
            continue;
        const struct token *name = &t.items[i - 3], *number = &t.items[i + 2];
        if (name->kind != TOKEN_WORD || number->kind != TOKEN_NUMBER) continue;
        text_print(out, "namespace smelt { constexpr bool $set_%.*s = function_constant<%.*s>::defined; } ",
                   (int)name->length, source + name->begin, (int)number->length, source + number->begin);
    }
    tokens_free(&t);
}
