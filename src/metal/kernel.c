/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_kernel: the body-only form. */
#include "metal/kernel.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/options.h"

static smelt_status check_names(const smelt_kernel_desc *d, const char *list, const char *const *names, size_t count)
{
    if (count > 64 || (count && !names))
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal_kernel %s: %s: expected up to 64 names", d->name, list);
    for (size_t k = 0; k < count; k++) {
        const char *c = names[k];
        bool good = c && (isalpha((unsigned char)*c) || *c == '_');
        for (; good && *c; c++) good = isalnum((unsigned char)*c) || *c == '_';
        if (!good)
            return smelt_fail(SMELT_INVALID_ARGUMENT, "metal_kernel %s: %s[%zu]: expected a name of letters, digits and "
                              "underscores, got %s", d->name, list, k, names[k] ? names[k] : "NULL");
    }
    return SMELT_OK;
}

static smelt_status read_desc(smelt_kernel_desc *d, const smelt_kernel_desc *given)
{
    static const smelt_kernel_desc defaults = SMELT_KERNEL_DESC_INIT;
    SMELT_TRY(smelt_read_options("metal_kernel", "desc", d, given, &defaults, sizeof defaults));
    if (!d->name || !*d->name || !d->source)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal_kernel: %s is missing", d->name && *d->name ? "source" : "name");
    if (strpbrk(d->name, "\"\\\n\r") || strlen(d->name) > 200)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal_kernel: name: expected up to 200 plain characters");
    if (d->math_mode < SMELT_MATH_SAFE || d->math_mode > SMELT_MATH_FAST)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal_kernel %s: math_mode: expected safe, relaxed or fast (0 to 2), got %d",
                          d->name, d->math_mode);
    if (d->check) return smelt_fail(SMELT_UNSUPPORTED, "metal_kernel %s: check: the checker is not there yet", d->name);
    if (!d->output_count) return smelt_fail(SMELT_INVALID_ARGUMENT, "metal_kernel %s: expected at least one output", d->name);
    SMELT_TRY(check_names(d, "input_names", d->input_names, d->input_count));
    return check_names(d, "output_names", d->output_names, d->output_count);
}

static const char *const *copy_names(const char *const *names, size_t count)
{
    char **copy = calloc(count ? count : 1, sizeof *copy);
    for (size_t k = 0; copy && k < count; k++) copy[k] = strdup(names[k]);
    return (const char *const *)copy;
}

static bool mentions(const char *source, const char *name, const char *suffix)
{
    char whole[300];
    snprintf(whole, sizeof whole, "%s%s", name, suffix);
    return strstr(source, whole) != NULL;
}

static bool copy_desc(struct smelt_kernel *k)
{
    smelt_kernel_desc *d = &k->desc;
    d->name = strdup(d->name);
    d->source = strdup(d->source);
    if (d->header) d->header = strdup(d->header);
    d->input_names = copy_names(d->input_names, d->input_count);
    d->output_names = copy_names(d->output_names, d->output_count);
    k->extras = calloc(d->input_count + 1, 1);
    if (!d->name || !d->source || !d->input_names || !d->output_names || !k->extras) return false;
    for (size_t i = 0; i < d->input_count; i++) {
        if (!d->input_names[i]) return false;
        if (mentions(d->source, d->input_names[i], "_shape")) k->extras[i] |= EXTRA_SHAPE;
        if (mentions(d->source, d->input_names[i], "_strides")) k->extras[i] |= EXTRA_STRIDES;
        if (mentions(d->source, d->input_names[i], "_ndim")) k->extras[i] |= EXTRA_NDIM;
    }
    for (size_t i = 0; i < d->output_count; i++)
        if (!d->output_names[i]) return false;
    for (int i = 0; i < SMELT_ATTRIBUTES; i++)
        if (strstr(d->source, smelt_kernel_attributes[i].name)) k->attributes |= 1u << i;
    return true;
}

smelt_status smelt_kernel_create(smelt_kernel **out, const smelt_kernel_desc *given)
{
    smelt_kernel_desc desc;
    if (!out || !given) return smelt_fail(SMELT_INVALID_ARGUMENT, "metal_kernel: %s is NULL", out ? "desc" : "out");
    SMELT_TRY(read_desc(&desc, given));
    struct smelt_kernel *k = calloc(1, sizeof *k);
    if (!k) return smelt_fail(SMELT_OUT_OF_MEMORY, "metal_kernel %s: no memory", desc.name);
    pthread_mutex_init(&k->lock, NULL);
    k->desc = desc;
    if (!copy_desc(k)) {
        smelt_kernel_destroy(k);
        return smelt_fail(SMELT_OUT_OF_MEMORY, "metal_kernel: no memory");
    }
    *out = k;
    return SMELT_OK;
}

static void free_names(const char *const *names, size_t count)
{
    for (size_t k = 0; names && k < count; k++) free((char *)(uintptr_t)names[k]);
    free((void *)(uintptr_t)names);
}

void smelt_kernel_destroy(smelt_kernel *k)
{
    if (!k) return;
    for (struct smelt_variant *v = k->variants, *next; v; v = next) {
        next = v->next;
        smelt_code_free(v->code[0]);
        smelt_code_free(v->code[1]);
        free(v->key);
        free(v->text);
        free(v->entry);
        free(v);
    }
    free_names(k->desc.input_names, k->desc.input_count);
    free_names(k->desc.output_names, k->desc.output_count);
    free((char *)(uintptr_t)k->desc.name);
    free((char *)(uintptr_t)k->desc.source);
    free((char *)(uintptr_t)k->desc.header);
    free(k->extras);
    pthread_mutex_destroy(&k->lock);
    free(k);
}
