/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_metal_library: a text, parsed once. */
#include "metal/library.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "core/options.h"

static void free_list(char **list, size_t count)
{
    for (size_t k = 0; list && k < count; k++) free(list[k]);
    free(list);
}

void smelt_text_release(struct smelt_text *text)
{
    if (!text || atomic_fetch_sub(&text->owners, 1) > 1) return;
    free_list(text->folders, text->folder_count);
    free_list(text->definitions, text->definition_count);
    free(text->name);
    free(text->source);
    free(text);
}

static bool copy_list(char ***to, size_t *to_count, const char *const *from, size_t count)
{
    *to = calloc(count ? count : 1, sizeof **to);
    if (!*to) return false;
    for (*to_count = 0; *to_count < count; ++*to_count)
        if (!((*to)[*to_count] = strdup(from[*to_count]))) return false;
    return true;
}

static struct smelt_text *copy_text(const char *source, const smelt_metal_compile_options *o)
{
    struct smelt_text *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    atomic_init(&t->owners, 1);
    t->math_mode = (uint32_t)o->math_mode;
    t->name = strdup(o->file_name ? o->file_name : "<source>");
    t->source = strdup(source);
    if (t->name && t->source && copy_list(&t->folders, &t->folder_count, o->include_folders, o->include_folder_count) &&
        copy_list(&t->definitions, &t->definition_count, o->definitions, o->definition_count))
        return t;
    smelt_text_release(t);
    return NULL;
}

static smelt_status check_list(const char *name, const char *const *list, size_t count)
{
    if (count > 100)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal library: %s: expected at most 100, got %zu", name, count);
    for (size_t k = 0; k < count; k++)
        if (!list || !list[k]) return smelt_fail(SMELT_INVALID_ARGUMENT, "metal library: %s[%zu] is NULL", name, k);
    return SMELT_OK;
}

static smelt_status read_options(smelt_metal_compile_options *o, const smelt_metal_compile_options *given)
{
    static const smelt_metal_compile_options defaults = SMELT_METAL_COMPILE_OPTIONS_INIT;
    SMELT_TRY(smelt_read_options("metal library", "options", o, given, &defaults, sizeof defaults));
    if (o->math_mode < SMELT_MATH_SAFE || o->math_mode > SMELT_MATH_FAST)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal library: math_mode: expected safe, relaxed or fast (0 to 2), got %d",
                          o->math_mode);
    if (o->device_type != kDLCPU)
        return smelt_fail(SMELT_UNSUPPORTED, "metal library: device_type: expected kDLCPU, got %d", o->device_type);
    if (o->check) return smelt_fail(SMELT_UNSUPPORTED, "metal library: check: the checker is not there yet");
    SMELT_TRY(check_list("include_folders", o->include_folders, o->include_folder_count));
    return check_list("definitions", o->definitions, o->definition_count);
}

smelt_status smelt_metal_library_create(smelt_metal_library **out, const char *source,
                                        const smelt_metal_compile_options *given)
{
    smelt_metal_compile_options o;
    if (!out || !source) return smelt_fail(SMELT_INVALID_ARGUMENT, "metal library: %s is NULL", out ? "source" : "out");
    SMELT_TRY(read_options(&o, given));
    struct smelt_metal_library *library = calloc(1, sizeof *library);
    char *reflection = NULL;
    smelt_status status = SMELT_OK;
    if (library) library->text = copy_text(source, &o);
    if (!library || !library->text) {
        status = smelt_fail(SMELT_OUT_OF_MEMORY, "no memory for a Metal library");
    } else {
        struct smelt_unit unit = {.name = library->text->name, .source = library->text->source, .prefix = "", .entry = "",
                                  .flags = TASK_REFLECT, .math_mode = library->text->math_mode,
                                  .folders = (const char *const *)library->text->folders,
                                  .folder_count = library->text->folder_count,
                                  .definitions = (const char *const *)library->text->definitions,
                                  .definition_count = library->text->definition_count};
        status = smelt_unit_reflect(&unit, &reflection);
    }
    if (status == SMELT_OK) status = smelt_description_read(&library->description, reflection);
    free(reflection);
    if (status != SMELT_OK) {
        smelt_metal_library_destroy(library);
        return status;
    }
    *out = library;
    return SMELT_OK;
}

void smelt_metal_library_destroy(smelt_metal_library *library)
{
    if (!library) return;
    smelt_description_free(&library->description);
    smelt_text_release(library->text);
    free(library);
}

const char *smelt_metal_library_function_name(const smelt_metal_library *library, size_t position)
{
    return library && position < library->description.kernel_count ? library->description.kernels[position].name : NULL;
}
