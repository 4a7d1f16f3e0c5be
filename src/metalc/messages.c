/* SPDX-License-Identifier: Apache-2.0 */
/* clang quotes the text that it saw; users know the one that they wrote. Edits keep the length of everything,
   so a quoted line is found in the edited text and replaced by the same stretch of the original. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "rewrite.h"

/* "   17 | text": where the text begins, or NULL. */
static const char *quoted_text(const char *line, const char *end)
{
    while (line < end && *line == ' ') line++;
    if (line == end || !isdigit((unsigned char)*line)) return NULL;
    while (line < end && isdigit((unsigned char)*line)) line++;
    return end - line > 3 && !memcmp(line, " | ", 3) ? line + 3 : NULL;
}

/* clang shows a tab as a space. */
static bool same_line(const char *text, const char *quoted, size_t length)
{
    for (size_t k = 0; k < length; k++)
        if (text[k] != quoted[k] && !(text[k] == '\t' && quoted[k] == ' ')) return false;
    return true;
}

static const char *find_line(const struct text *edited, const char *quoted, size_t length)
{
    const char *end = edited->data + edited->length;
    for (const char *line = edited->data, *next; line < end; line = next + 1) {
        next = memchr(line, '\n', (size_t)(end - line));
        if (!next) next = end;
        if ((size_t)(next - line) == length && same_line(line, quoted, length)) return line;
    }
    return NULL;
}

void quote_original(struct text *log, const char *messages, const struct text *edited, const char *original)
{
    for (const char *line = messages, *end; *line; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\n");
        const char *quoted = edited->length ? quoted_text(line, end) : NULL;
        const char *found = quoted ? find_line(edited, quoted, (size_t)(end - quoted)) : NULL;
        if (!found) {
            text_append(log, line, (size_t)(end - line));
        } else {
            text_append(log, line, (size_t)(quoted - line));
            for (const char *c = original + (found - edited->data); quoted < end; quoted++, c++)
                text_append(log, *c == '\t' ? " " : c, 1);
        }
        text_append(log, "\n", 1);
    }
}

char *edit_included(void *context, const char *source, size_t length, const char *path, size_t *edited_length)
{
    struct included *in = context;
    struct text whole = {0};
    char *body = must_allocate(length + 1, 1);
    memcpy(body, source, length);
    name_function_constants(body, length, &whole);
    in->failed |= !rewrite_source(body, length, path, in->log);
    text_print(&whole, "\n#line 1 \"%s\"\n", path);
    text_append(&whole, body, length);
    free(body);
    *edited_length = whole.length;
    return whole.data;
}
