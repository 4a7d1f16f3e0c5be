/* SPDX-License-Identifier: Apache-2.0 */
/* Functions overloaded on the address space alone are one function where address spaces are erased:
   definitions that repeat an earlier one word for word are blanked out, different ones are an error that
   names both. */
#include <stdlib.h>
#include <string.h>
#include "rewrite.h"

struct definition {
    uint32_t scope, begin, body, end; /* tokens: header [begin, body), body [body, end] */
};

struct scan {
    char *source;
    const struct tokens *tokens;
    struct definition *found;
    uint32_t count;
};

static bool same_token(const struct tokens *t, uint32_t a, uint32_t b)
{
    return t->items[a].length == t->items[b].length &&
           !memcmp(t->text + t->items[a].begin, t->text + t->items[b].begin, t->items[a].length);
}

/* `constant` says const too, but behind a parameter list, where it tells the space of `this`. */
static bool is_const(const struct tokens *t, uint32_t i)
{
    return token_is(t, i, "const") || (token_is(t, i, "constant") && !(i && token_is(t, i - 1, ")")));
}

/* Equal but for address spaces; `const` beside one counts as part of it. */
static bool same_run(const struct tokens *t, uint32_t a, uint32_t a_end, uint32_t b, uint32_t b_end)
{
    for (;;) {
        bool a_const = false, b_const = false;
        for (; a < a_end && (is_address_space(t, a) || token_is(t, a, "const")); a++)
            a_const |= is_const(t, a);
        for (; b < b_end && (is_address_space(t, b) || token_is(t, b, "const")); b++)
            b_const |= is_const(t, b);
        if (a_const != b_const) return false;
        if (a >= a_end || b >= b_end) return a >= a_end && b >= b_end;
        if (!same_token(t, a++, b++)) return false;
    }
}

static bool holds(const struct tokens *t, uint32_t begin, uint32_t end, const char *word)
{
    for (uint32_t i = begin; i < end; i++)
        if (token_is(t, i, word)) return true;
    return false;
}

/* The same, but not in the header of a template and not within brackets. */
static bool holds_outside(const struct tokens *t, uint32_t begin, uint32_t end, const char *word)
{
    for (uint32_t i = begin; i < end; i++) {
        if (token_is(t, i, "operator")) { /* whose name may be any mark */
            while (i + 1 < end && !token_is(t, i + 1, "(")) i++;
            continue;
        }
        if (token_is(t, i, word)) return true;
        if (token_is(t, i, "template") && token_is(t, i + 1, "<"))
            i = after_angle(t, i + 1) - 1;
        else if (t->items[i].match != NO_TOKEN && t->items[i].match > i)
            i = t->items[i].match;
    }
    return false;
}

static bool has_space(const struct tokens *t, uint32_t begin, uint32_t end)
{
    for (uint32_t i = begin; i < end; i++)
        if (is_address_space(t, i)) return true;
    return false;
}

static void blank(struct scan *s, const struct definition *d)
{
    const struct tokens *t = s->tokens;
    size_t end = t->items[d->end].begin + 1;
    for (size_t i = t->items[d->begin].begin; i < end; i++)
        if (s->source[i] != '\n') s->source[i] = ' ';
}

/* The partner of an earlier definition with the same header, or itself when new. */
static bool settle(struct scan *s, struct definition d, const char *name, struct text *log)
{
    const struct tokens *t = s->tokens;
    if (has_space(t, d.begin, d.body))
        for (uint32_t k = 0; k < s->count; k++) {
            const struct definition *old = &s->found[k];
            if (old->scope != d.scope || !same_run(t, old->begin, old->body, d.begin, d.body)) continue;
            if (same_run(t, old->body, old->end + 1, d.body, d.end + 1)) {
                blank(s, &d);
                return true;
            }
            complain(log, t, d.begin, name, "this overload differs from another by its address space only");
            complain(log, t, old->begin, name, "the other overload is here");
            return false;
        }
    s->found = must_grow(s->found, s->count + 1, sizeof *s->found);
    s->found[s->count++] = d;
    return true;
}

/* The first token behind the line of the # at `i`, joined lines included. */
static uint32_t after_line(const struct tokens *t, uint32_t i)
{
    for (i++; i < t->count; i++) {
        const char *from = t->text + t->items[i - 1].begin + t->items[i - 1].length;
        const char *to = t->text + t->items[i].begin;
        for (const char *c = from; c < to; c++)
            if (*c == '\n' && c[-1] != '\\' && !(c[-1] == '\r' && c[-2] == '\\')) return i;
    }
    return i;
}

bool drop_repeated_overloads(char *source, const struct tokens *t, const char *name, struct text *log)
{
    struct scan s = {source, t, NULL, 0};
    bool good = true;
    uint32_t begin = 0, scopes[64] = {0}, depth = 0, made = 0;
    for (uint32_t i = 0; i < t->count && good; i++) {
        if (t->items[i].directive || token_is(t, i, ";")) {
            begin = i + 1;
        } else if (token_is(t, i, "}")) {
            if (depth) depth--;
            begin = i + 1;
        } else if (token_is(t, i, "{")) {
            bool specialised = holds(t, begin, i, "template") && holds_outside(t, begin, i, "<") &&
                               !holds_outside(t, begin, i, "(") && has_space(t, begin, i);
            bool function = (specialised || holds(t, begin, i, "(")) && t->items[i].match != NO_TOKEN &&
                            !holds_outside(t, begin, i, "=");
            if (function) {
                good = settle(&s, (struct definition){scopes[depth], begin, i, t->items[i].match}, name, log);
                i = t->items[i].match;
            } else if (depth + 1 < 64 && !holds_outside(t, begin, i, "=")) {
                scopes[++depth] = ++made;
            } else if (t->items[i].match != NO_TOKEN) {
                i = t->items[i].match;
            }
            begin = i + 1;
        } else if (token_is(t, i, "#")) {
            begin = after_line(t, i);
            i = begin - 1;
        }
    }
    free(s.found);
    return good;
}
