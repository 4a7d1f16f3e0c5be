/* SPDX-License-Identifier: Apache-2.0 */
/* As much of JSON as the files of golden vectors use. */
#include "json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *at;
    bool failed;
};

static bool next_is(struct reader *r, char c)
{
    while (isspace((unsigned char)*r->at)) r->at++;
    if (*r->at != c) return false;
    r->at++;
    return true;
}

static void expect(struct reader *r, char c)
{
    if (!next_is(r, c)) r->failed = true;
}

/* A string without escapes, as far as it fits. */
static void read_string(struct reader *r, char *text, size_t size)
{
    expect(r, '"');
    size_t length = strcspn(r->at, "\"\\");
    if (r->failed || r->at[length] != '"') {
        r->failed = true;
        return;
    }
    snprintf(text, size, "%.*s", (int)length, r->at);
    r->at += length + 1;
}

/* Appends the numbers of an array; the memory doubles. */
static int64_t read_numbers(struct reader *r, double **numbers)
{
    int64_t count = 0, room = 0;
    *numbers = NULL;
    expect(r, '[');
    if (next_is(r, ']')) return 0;
    do {
        char *end;
        double value = strtod(r->at, &end);
        if (end == r->at) r->failed = true;
        if (r->failed) return count;
        r->at = end;
        if (count == room) {
            room = room ? 2 * room : 16;
            *numbers = realloc(*numbers, (size_t)room * sizeof **numbers);
            if (!*numbers) abort();
        }
        (*numbers)[count++] = value;
    } while (next_is(r, ','));
    expect(r, ']');
    return count;
}

static void read_shape(struct reader *r, struct golden_vector *vector)
{
    double *sizes;
    int64_t rank = read_numbers(r, &sizes);
    if (rank > 8) r->failed = true;
    for (int i = 0; i < rank && !r->failed; i++) vector->shape[i] = (int64_t)sizes[i];
    vector->rank = (int)rank;
    free(sizes);
}

static void read_vector(struct reader *r, struct golden_vector *vector)
{
    char key[16], ignored[16];
    memset(vector, 0, sizeof *vector);
    expect(r, '{');
    do {
        read_string(r, key, sizeof key);
        expect(r, ':');
        if (!strcmp(key, "name"))
            read_string(r, vector->name, sizeof vector->name);
        else if (!strcmp(key, "dtype"))
            read_string(r, vector->dtype, sizeof vector->dtype);
        else if (!strcmp(key, "shape"))
            read_shape(r, vector);
        else if (!strcmp(key, "data"))
            vector->count = read_numbers(r, &vector->data);
        else
            read_string(r, ignored, sizeof ignored);
    } while (!r->failed && next_is(r, ','));
    expect(r, '}');
    int64_t count = 1;
    for (int i = 0; i < vector->rank; i++) count *= vector->shape[i];
    if (count != vector->count) r->failed = true;
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = calloc(1, (size_t)size + 1);
    if (!text) abort();
    if (fread(text, 1, (size_t)size, file) != (size_t)size) text[0] = 0;
    fclose(file);
    return text;
}

int golden_read(const char *path, struct golden_vector *vectors, int count, int most)
{
    char *text = read_text(path);
    struct reader r = {.at = text, .failed = !text};
    if (text) expect(&r, '[');
    do {
        if (count == most) r.failed = true;
        if (!r.failed) read_vector(&r, &vectors[count++]);
    } while (!r.failed && next_is(&r, ','));
    if (!r.failed) expect(&r, ']');
    if (r.failed) fprintf(stderr, "%s: not read beyond \"%.40s\"\n", path, text ? r.at : "");
    free(text);
    return r.failed ? -1 : count;
}
