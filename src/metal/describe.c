/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the compiler's description of a text: tab-separated lines, as frontend.cpp writes them. */
#include <stdlib.h>
#include <string.h>
#include "metal/library.h"

/* The next tab-separated word of a line, in place. */
static char *word(char **line)
{
    char *begin = *line, *tab = strchr(begin, '\t');
    if (tab) *tab = 0;
    *line = tab ? tab + 1 : begin + strlen(begin);
    return begin;
}

static bool add_kernel(struct smelt_description *d, char *line)
{
    struct smelt_kernel_info *grown = realloc(d->kernels, (d->kernel_count + 1) * sizeof *grown);
    if (!grown) return false;
    d->kernels = grown;
    struct smelt_kernel_info *k = &grown[d->kernel_count];
    *k = (struct smelt_kernel_info){.name = strdup(word(&line))};
    k->expression = strdup(word(&line));
    d->kernel_count++;
    return k->name && k->expression;
}

static bool add_parameter(struct smelt_description *d, char *line)
{
    if (!d->kernel_count) return false;
    struct smelt_kernel_info *k = &d->kernels[d->kernel_count - 1];
    struct smelt_parameter *grown = realloc(k->parameters, (k->parameter_count + 1) * sizeof *grown);
    if (!grown) return false;
    k->parameters = grown;
    struct smelt_parameter *p = &grown[k->parameter_count++];
    *p = (struct smelt_parameter){.name = strdup(word(&line))};
    const char *form = word(&line);
    p->kind = strcmp(form, "value") ? PARAMETER_BUFFER : PARAMETER_ATTRIBUTE;
    p->reference = !strcmp(form, "reference");
    p->writable = strcmp(word(&line), "const") != 0;
    p->element_size = strtoull(word(&line), NULL, 10);
    p->type = strdup(word(&line));
    return p->name && p->type;
}

static bool add_attribute(struct smelt_description *d, char *line)
{
    if (!d->kernel_count || !d->kernels[d->kernel_count - 1].parameter_count) return false;
    struct smelt_kernel_info *k = &d->kernels[d->kernel_count - 1];
    struct smelt_parameter *p = &k->parameters[k->parameter_count - 1];
    const char *name = word(&line), *number = word(&line);
    if (!strcmp(name, "buffer") || !strcmp(name, "threadgroup")) {
        p->kind = *name == 'b' ? PARAMETER_BUFFER : PARAMETER_THREADGROUP;
        p->has_index = *number != 0;
        p->index = (uint32_t)strtoul(number, NULL, 10);
        return true;
    }
    if (!strcmp(name, "optional")) {
        p->conditional = true;
        p->absent = strcmp(number, "0") == 0;
        return true;
    }
    free(p->attribute);
    p->attribute = strdup(name);
    return p->attribute != NULL;
}

/* Parameters without an index take the next one that is free, in order. */
static void number_parameters(struct smelt_kernel_info *k)
{
    for (int kind = PARAMETER_BUFFER; kind <= PARAMETER_THREADGROUP; kind++) {
        uint32_t next = 0;
        for (size_t i = 0; i < k->parameter_count; i++) {
            struct smelt_parameter *p = &k->parameters[i];
            if ((int)p->kind != kind || p->has_index) continue;
            for (bool taken = true; taken;) {
                taken = false;
                for (size_t m = 0; m < k->parameter_count; m++)
                    taken |= (int)k->parameters[m].kind == kind && k->parameters[m].has_index &&
                             k->parameters[m].index == next;
                next += taken;
            }
            p->index = next;
            p->has_index = true;
        }
    }
}

smelt_status smelt_description_read(struct smelt_description *d, const char *reflection)
{
    *d = (struct smelt_description){0};
    char *text = strdup(reflection);
    bool good = text != NULL;
    for (char *line = text; good && line && *line;) {
        char *end = strchr(line, '\n'), *next = end ? end + 1 : NULL;
        if (end) *end = 0;
        const char *what = word(&line);
        if (!strcmp(what, "kernel"))
            good = add_kernel(d, line);
        else if (!strcmp(what, "parameter"))
            good = add_parameter(d, line);
        else if (!strcmp(what, "attribute"))
            good = add_attribute(d, line);
        line = next;
    }
    free(text);
    for (size_t k = 0; good && k < d->kernel_count; k++) number_parameters(&d->kernels[k]);
    if (good) return SMELT_OK;
    smelt_description_free(d);
    return smelt_fail(SMELT_OUT_OF_MEMORY, "no memory for a Metal library");
}

void smelt_description_free(struct smelt_description *d)
{
    for (size_t k = 0; k < d->kernel_count; k++) {
        struct smelt_kernel_info *info = &d->kernels[k];
        for (size_t i = 0; i < info->parameter_count; i++) {
            free(info->parameters[i].name);
            free(info->parameters[i].type);
            free(info->parameters[i].attribute);
        }
        free(info->parameters);
        free(info->name);
        free(info->expression);
    }
    free(d->kernels);
    *d = (struct smelt_description){0};
}
