/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_metal_function: one kernel of a library with its constants; its code is made for each form of grid.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/options.h"
#include "core/tensor.h"
#include "metal/library.h"

struct smelt_metal_function {
    struct smelt_text *text;
    char *name, *prefix, *entry;
    smelt_metal_binding bindings[SMELT_MOST_BINDINGS];
    unsigned binding_count;
    pthread_mutex_t lock;
    struct smelt_code *code[2]; /* by whether grids have rows */
};

static void print_constant(struct smelt_message *m, const smelt_metal_constant *c)
{
    static const char *const types[] = {"char", "short", "int", "long"};
    int64_t number = 0;
    unsigned size = c->type.bits / 8u;
    memcpy(&number, c->value, size <= 8 ? size : 8);
    if (c->type.code == kDLBool) {
        smelt_message_print(m, "bool value = %s", *(const unsigned char *)c->value ? "true" : "false");
    } else if (c->type.code == kDLFloat || c->type.code == kDLBfloat) {
        const char *type = c->type.code == kDLBfloat ? "bfloat" : c->type.bits == 16 ? "half" : "float";
        if (c->type.bits == 16)
            smelt_message_print(m, "%s value = __builtin_bit_cast(%s, (unsigned short)%llu)", type, type,
                                (unsigned long long)(number & 0xffff));
        else
            smelt_message_print(m, "float value = __builtin_bit_cast(float, %lluu)",
                                (unsigned long long)(number & 0xffffffff));
    } else {
        const char *type = types[size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3];
        const char *sign = c->type.code == kDLUInt ? "unsigned " : "signed ";
        smelt_message_print(m, "%s%s value = (%s%s)%llullu", sign, type, sign, type,
                            (unsigned long long)number);
    }
}

static smelt_status build_prefix(char **prefix, const smelt_metal_constant *constants, size_t count)
{
    struct smelt_message m = {0};
    smelt_message_print(&m, "%s", "");
    for (size_t k = 0; k < count; k++) {
        const smelt_metal_constant *c = &constants[k];
        bool real = c->type.code == kDLFloat && (c->type.bits == 16 || c->type.bits == 32);
        bool whole = (c->type.code == kDLInt || c->type.code == kDLUInt) &&
                     (c->type.bits == 8 || c->type.bits == 16 || c->type.bits == 32 || c->type.bits == 64);
        bool brain = c->type.code == kDLBfloat && c->type.bits == 16,
             truth = c->type.code == kDLBool && c->type.bits == 8;
        if (!c->value || c->type.lanes != 1 || (!real && !whole && !brain && !truth)) {
            smelt_message_free(&m);
            return smelt_fail(
                SMELT_INVALID_ARGUMENT,
                "metal function: constants[%zu]: expected a bool, an integer or a float of up to 32 bits", k);
        }
        smelt_message_print(
            &m,
            "namespace smelt { template <> struct function_constant<%u> { static constexpr bool defined = "
            "true; static constexpr ",
            c->index);
        print_constant(&m, c);
        smelt_message_print(&m, "; }; } ");
    }
    if (m.failed) {
        smelt_message_free(&m);
        return smelt_fail(SMELT_OUT_OF_MEMORY, "no memory for a Metal function");
    }
    *prefix = m.data;
    return SMELT_OK;
}

static smelt_status add_binding(struct smelt_metal_function *f, const struct smelt_parameter *p)
{
    smelt_metal_binding *b = &f->bindings[f->binding_count];
    if (f->binding_count == SMELT_MOST_BINDINGS)
        return smelt_fail(SMELT_UNSUPPORTED, "metal function %s: more than %d arguments", f->name,
                          SMELT_MOST_BINDINGS);
    *b =
        (smelt_metal_binding){strdup(p->name),
                              strdup(p->type),
                              p->kind == PARAMETER_THREADGROUP ? SMELT_METAL_THREADGROUP : SMELT_METAL_BUFFER,
                              p->index,
                              p->writable,
                              p->reference,
                              p->element_size};
    f->binding_count++;
    if (b->name && b->type) return SMELT_OK;
    return smelt_fail(SMELT_OUT_OF_MEMORY, "no memory for a Metal function");
}

/* The entry point: the kernel called with its arguments by slot and its attributes by name. */
static smelt_status build_entry(struct smelt_metal_function *f, const struct smelt_kernel_info *info)
{
    struct smelt_message m = {0};
    smelt_message_print(&m, "extern \"C\" void smelt_entry() { %s(", info->expression);
    smelt_status status = SMELT_OK;
    for (size_t k = 0; k < info->parameter_count && status == SMELT_OK; k++) {
        const struct smelt_parameter *p = &info->parameters[k];
        if (k) smelt_message_print(&m, ", ");
        if (p->kind == PARAMETER_ATTRIBUTE && !p->attribute) {
            status = smelt_fail(SMELT_UNSUPPORTED,
                                "metal function %s: the parameter %s of type %s has no attribute that smelt "
                                "knows",
                                f->name, p->name, p->type);
        } else if (p->absent) {
            smelt_message_print(&m, "smelt::absent()");
        } else if (p->kind == PARAMETER_ATTRIBUTE) {
            smelt_message_print(&m, "smelt::%s()", p->attribute);
        } else {
            smelt_message_print(&m, "smelt::argument(%u)", f->binding_count);
            status = add_binding(f, p);
        }
    }
    smelt_message_print(&m, "); }");
    if (status == SMELT_OK && m.failed)
        status = smelt_fail(SMELT_OUT_OF_MEMORY, "no memory for a Metal function");
    f->entry = m.data;
    return status;
}

static struct smelt_unit unit_of(const struct smelt_metal_function *f, uint32_t flags, const char *entry)
{
    return (struct smelt_unit){.name = f->text->name,
                               .source = f->text->source,
                               .prefix = f->prefix,
                               .entry = entry,
                               .flags = flags,
                               .math_mode = f->text->math_mode,
                               .folders = (const char *const *)f->text->folders,
                               .folder_count = f->text->folder_count,
                               .definitions = (const char *const *)f->text->definitions,
                               .definition_count = f->text->definition_count};
}

static smelt_status make_code(struct smelt_metal_function *f, bool rows, const struct smelt_code **code)
{
    pthread_mutex_lock(&f->lock);
    smelt_status status = SMELT_OK;
    if (!f->code[rows]) {
        struct smelt_unit unit = unit_of(f, rows ? TASK_ROWS : 0, f->entry);
        status = smelt_unit_compile(&unit, &f->code[rows]);
    }
    *code = f->code[rows];
    pthread_mutex_unlock(&f->lock);
    return status;
}

static const struct smelt_kernel_info *find_kernel(const struct smelt_description *d, const char *name)
{
    for (size_t k = 0; k < d->kernel_count; k++)
        if (!strcmp(d->kernels[k].name, name)) return &d->kernels[k];
    return NULL;
}

/* Which parameters there are may depend on the constants: then the text is looked at again with their values.
 */
static smelt_status describe_again(struct smelt_metal_function *f, const struct smelt_kernel_info *info)
{
    bool conditional = false;
    struct smelt_description description = {0};
    char *reflection;
    for (size_t k = 0; k < info->parameter_count; k++) conditional |= info->parameters[k].conditional;
    if (!conditional) return build_entry(f, info);
    struct smelt_unit unit = unit_of(f, TASK_REFLECT, "");
    SMELT_TRY(smelt_unit_reflect(&unit, &reflection));
    smelt_status status = smelt_description_read(&description, reflection);
    free(reflection);
    if (status != SMELT_OK) return status;
    info = find_kernel(&description, f->name);
    status = info
                 ? build_entry(f, info)
                 : smelt_fail(SMELT_INTERNAL_ERROR, "metal function %s: it went with its constants", f->name);
    smelt_description_free(&description);
    return status;
}

smelt_status smelt_metal_function_create(smelt_metal_function **out, smelt_metal_library *library,
                                         const char *name, const smelt_metal_constant *constants,
                                         size_t constant_count)
{
    if (!out || !library || !name)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal function: %s is NULL",
                          !out       ? "out"
                          : !library ? "library"
                                     : "name");
    if (constant_count && !constants)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal function: constants is NULL");
    const struct smelt_kernel_info *info = find_kernel(&library->description, name);
    if (!info)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal function: the library has no kernel called %s%s%s",
                          name, library->description.kernel_count ? "; its first is " : "",
                          library->description.kernel_count ? library->description.kernels[0].name : "");
    struct smelt_metal_function *f = calloc(1, sizeof *f);
    if (!f) return smelt_fail(SMELT_OUT_OF_MEMORY, "no memory for a Metal function");
    pthread_mutex_init(&f->lock, NULL);
    f->text = library->text;
    atomic_fetch_add(&f->text->owners, 1);
    f->name = strdup(name);
    const struct smelt_code *code;
    smelt_status status =
        f->name ? SMELT_OK : smelt_fail(SMELT_OUT_OF_MEMORY, "no memory for a Metal function");
    if (status == SMELT_OK) status = build_prefix(&f->prefix, constants, constant_count);
    if (status == SMELT_OK) status = describe_again(f, info);
    if (status == SMELT_OK)
        status = make_code(f, true, &code); /* errors come here, not at the first launch */
    if (status != SMELT_OK) {
        smelt_metal_function_destroy(f);
        return status;
    }
    *out = f;
    return SMELT_OK;
}

void smelt_metal_function_destroy(smelt_metal_function *f)
{
    if (!f) return;
    for (unsigned k = 0; k < f->binding_count; k++) {
        free((char *)f->bindings[k].name);
        free((char *)f->bindings[k].type);
    }
    smelt_code_free(f->code[0]);
    smelt_code_free(f->code[1]);
    free(f->name);
    free(f->prefix);
    free(f->entry);
    smelt_text_release(f->text);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

smelt_status smelt_metal_function_reflect(const smelt_metal_function *f, smelt_metal_reflection *out)
{
    if (!f || !out)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal reflection: %s is NULL", f ? "out" : "function");
    if (out->struct_size < sizeof *out)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal reflection: struct_size: expected %zu, got %u",
                          sizeof *out, out->struct_size);
    out->binding_count = f->binding_count;
    out->bindings = f->bindings;
    out->threadgroup_memory = (f->code[1] ? f->code[1] : f->code[0])->report.threadgroup_bytes;
    return SMELT_OK;
}

/* Dispatch: bindings by index. */
static smelt_status slot_of(const smelt_metal_function *f, int kind, uint32_t index, uint64_t *bound,
                            unsigned *slot)
{
    const char *what = kind == SMELT_METAL_BUFFER ? "buffer" : "threadgroup memory";
    for (unsigned k = 0; k < f->binding_count; k++) {
        if (f->bindings[k].kind != kind || f->bindings[k].index != index) continue;
        if (*bound >> k & 1)
            return smelt_fail(SMELT_INVALID_ARGUMENT, "metal dispatch: %s %u is bound twice", what, index);
        *bound |= UINT64_C(1) << k;
        *slot = k;
        return SMELT_OK;
    }
    return smelt_fail(SMELT_INVALID_ARGUMENT, "metal dispatch: the kernel %s has no %s %u", f->name, what,
                      index);
}

static smelt_status check_size(const smelt_metal_function *f, unsigned slot, const void *data, size_t size)
{
    const smelt_metal_binding *b = &f->bindings[slot];
    if (!data && size)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal dispatch: buffer %u (%s): its data is NULL",
                          b->index, b->name);
    if (b->is_reference && size < b->element_size)
        return smelt_fail(SMELT_INVALID_ARGUMENT,
                          "metal dispatch: buffer %u (%s): expected at least %zu bytes, got %zu", b->index,
                          b->name, b->element_size, size);
    return SMELT_OK;
}

static smelt_status bind_buffer(const smelt_metal_function *f, const smelt_metal_buffer *given,
                                struct smelt_launch *l, uint64_t *bound)
{
    unsigned slot = 0;
    void *data = given->data;
    size_t size = given->size;
    SMELT_TRY(slot_of(f, SMELT_METAL_BUFFER, given->index, bound, &slot));
    if (given->tensor) {
        struct smelt_view view;
        SMELT_TRY(smelt_view_init(&view, "metal dispatch", f->bindings[slot].name, given->tensor, ~0u));
        if (view.device.device_type != kDLCPU)
            return smelt_fail(SMELT_UNSUPPORTED, "metal dispatch: buffer %u (%s): expected memory of the CPU",
                              given->index, f->bindings[slot].name);
        if (!smelt_view_is_contiguous(&view))
            return smelt_fail(SMELT_INVALID_ARGUMENT,
                              "metal dispatch: buffer %u (%s): expected a contiguous tensor", given->index,
                              f->bindings[slot].name);
        data = view.data;
        size = (size_t)(view.elements * view.item);
    }
    SMELT_TRY(check_size(f, slot, data, size));
    l->arguments[slot] = data;
    return SMELT_OK;
}

static smelt_status bind_all(const smelt_metal_function *f, const smelt_metal_launch *given,
                             struct smelt_launch *l)
{
    uint64_t bound = 0;
    unsigned slot = 0;
    for (size_t k = 0; k < given->buffer_count; k++) SMELT_TRY(bind_buffer(f, &given->buffers[k], l, &bound));
    for (size_t k = 0; k < given->bytes_count; k++) {
        const smelt_metal_bytes *b = &given->bytes[k];
        SMELT_TRY(slot_of(f, SMELT_METAL_BUFFER, b->index, &bound, &slot));
        if (f->bindings[slot].writable)
            return smelt_fail(SMELT_INVALID_ARGUMENT,
                              "metal dispatch: buffer %u (%s) is written to, and cannot be bytes", b->index,
                              f->bindings[slot].name);
        if (b->size < f->bindings[slot].element_size)
            return smelt_fail(SMELT_INVALID_ARGUMENT,
                              "metal dispatch: bytes %u (%s): expected at least %zu bytes, got %zu", b->index,
                              f->bindings[slot].name, f->bindings[slot].element_size, b->size);
        SMELT_TRY(check_size(f, slot, b->data, b->size));
        l->arguments[slot] = (void *)(uintptr_t)b->data;
    }
    for (size_t k = 0; k < given->threadgroup_memory_count; k++) {
        const smelt_metal_threadgroup_memory *t = &given->threadgroup_memory[k];
        SMELT_TRY(slot_of(f, SMELT_METAL_THREADGROUP, t->index, &bound, &slot));
        if (t->length == 0 || t->length > SMELT_MOST_THREADGROUP_MEMORY)
            return smelt_fail(SMELT_INVALID_ARGUMENT,
                              "metal dispatch: threadgroup memory %u: expected 1 to %d bytes, got %zu",
                              t->index, SMELT_MOST_THREADGROUP_MEMORY, t->length);
        l->threadgroup_length[slot] = t->length;
    }
    for (unsigned k = 0; k < f->binding_count; k++)
        if (!(bound >> k & 1))
            return smelt_fail(SMELT_INVALID_ARGUMENT,
                              "metal dispatch: %s %u (%s) of the kernel %s is not bound",
                              f->bindings[k].kind == SMELT_METAL_BUFFER ? "buffer" : "threadgroup memory",
                              f->bindings[k].index, f->bindings[k].name, f->name);
    return SMELT_OK;
}

smelt_status smelt_metal_dispatch(smelt_metal_function *f, const smelt_metal_launch *given,
                                  const smelt_stream *stream)
{
    static const smelt_metal_launch defaults = SMELT_METAL_LAUNCH_INIT;
    smelt_metal_launch launch;
    struct smelt_run run;
    struct smelt_launch l = {.operation = "metal dispatch"};
    if (!f || !given)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal dispatch: %s is NULL", f ? "launch" : "function");
    SMELT_TRY(smelt_read_options("metal dispatch", "launch", &launch, given, &defaults, sizeof defaults));
    SMELT_TRY(smelt_run_init(&run, "metal dispatch", stream));
    if ((launch.buffer_count && !launch.buffers) || (launch.bytes_count && !launch.bytes) ||
        (launch.threadgroup_memory_count && !launch.threadgroup_memory))
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal dispatch: a list of bindings is NULL");
    l.argument_count = f->binding_count;
    SMELT_TRY(bind_all(f, &launch, &l));
    SMELT_TRY(smelt_grid_init(&l.grid, "metal dispatch", launch.grid, launch.threadgroup,
                              launch.grid_in_threadgroups != 0));
    SMELT_TRY(make_code(f, smelt_grid_has_rows(&l.grid), &l.code));
    return smelt_launch_run(&l, &run);
}
