/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_kernel_launch: arguments checked and laid out, the variant of their types found or compiled, run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/options.h"
#include "metal/kernel.h"

enum { MOST_ARRAYS = 128 };

struct call {
    struct smelt_kernel *kernel;
    struct smelt_kernel_launch launch;
    struct smelt_view views[MOST_ARRAYS]; /* inputs, then outputs */
    void *copies[MOST_ARRAYS];
    int32_t shapes[MOST_ARRAYS][SMELT_MAX_RANK], ranks[MOST_ARRAYS];
    struct smelt_variant *variant;
};

static const struct smelt_view *outputs_of(const struct call *c)
{
    return c->views + c->kernel->desc.input_count;
}

static smelt_status check_count(const struct call *c, const char *what, size_t expected, size_t got)
{
    if (expected == got) return SMELT_OK;
    return smelt_fail(SMELT_INVALID_ARGUMENT,
                      "metal_kernel %s: Expected `%s` to have size %zu but got size %zu.",
                      c->kernel->desc.name, what, expected, got);
}

static smelt_status view_one(struct call *c, size_t at, const char *name, const DLTensor *tensor)
{
    SMELT_TRY(smelt_view_init(&c->views[at], "metal_kernel", name, tensor, ~0u));
    if (c->views[at].device.device_type != kDLCPU)
        return smelt_fail(SMELT_UNSUPPORTED, "metal_kernel %s: %s: expected memory of the CPU",
                          c->kernel->desc.name, name);
    if (!smelt_metal_type(tensor->dtype)) {
        static const char *const kinds[] = {"int", "uint", "float", "opaque", "bfloat", "complex", "bool"};
        unsigned code = tensor->dtype.code;
        return smelt_fail(SMELT_UNSUPPORTED, "metal_kernel %s: %s: Metal has no type for elements of %s%u",
                          c->kernel->desc.name, name, code < 7 ? kinds[code] : "type", tensor->dtype.bits);
    }
    return SMELT_OK;
}

static smelt_status view_arrays(struct call *c)
{
    const smelt_kernel_desc *d = &c->kernel->desc;
    if ((d->input_count && !c->launch.inputs) || !c->launch.outputs)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal_kernel %s: a list of arrays is NULL", d->name);
    for (size_t k = 0; k < d->input_count; k++)
        SMELT_TRY(view_one(c, k, d->input_names[k], c->launch.inputs[k]));
    for (size_t k = 0; k < d->output_count; k++) {
        SMELT_TRY(view_one(c, d->input_count + k, d->output_names[k], c->launch.outputs[k]));
        if (!smelt_view_is_contiguous(&c->views[d->input_count + k]))
            return smelt_fail(SMELT_INVALID_ARGUMENT,
                              "metal_kernel %s: output %s: expected a row-contiguous array", d->name,
                              d->output_names[k]);
    }
    return SMELT_OK;
}

static smelt_status check_templates(const struct call *c)
{
    const struct smelt_kernel_launch *l = &c->launch;
    if (l->template_count > SMELT_MOST_TEMPLATES || (l->template_count && !l->template_arguments))
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal_kernel %s: template: expected up to %d arguments",
                          c->kernel->desc.name, SMELT_MOST_TEMPLATES);
    for (size_t k = 0; k < l->template_count; k++) {
        const smelt_template_argument *t = &l->template_arguments[k];
        if (!t->name || !*t->name || t->kind < SMELT_TEMPLATE_DTYPE || t->kind > SMELT_TEMPLATE_BOOL)
            return smelt_fail(SMELT_INVALID_ARGUMENT,
                              "metal_kernel %s: template[%zu]: expected a name and a dtype, int or bool",
                              c->kernel->desc.name, k);
        if (t->kind == SMELT_TEMPLATE_DTYPE && !smelt_metal_type(t->dtype))
            return smelt_fail(SMELT_UNSUPPORTED, "metal_kernel %s: template %s: Metal has no such type",
                              c->kernel->desc.name, t->name);
        if (t->kind == SMELT_TEMPLATE_INT && (t->value < INT32_MIN || t->value > INT32_MAX))
            return smelt_fail(SMELT_INVALID_ARGUMENT,
                              "metal_kernel %s: template %s: expected an int of 32 bits, got %lld",
                              c->kernel->desc.name, t->name, (long long)t->value);
    }
    return SMELT_OK;
}

/* Everything the generated text depends on, as bytes. */
static void build_key(const struct call *c, struct smelt_message *key)
{
    size_t arrays = c->kernel->desc.input_count + c->kernel->desc.output_count;
    for (size_t k = 0; k < arrays; k++) {
        unsigned char form[2] = {
            (unsigned char)c->views[k].dtype,
            (unsigned char)(c->views[k].rank == 0 ? 2 : c->views[k].elements < SMELT_SMALL_ARRAY)};
        smelt_message_bytes(key, form, sizeof form);
    }
    for (size_t k = 0; k < c->launch.template_count; k++) {
        const smelt_template_argument *t = &c->launch.template_arguments[k];
        smelt_message_bytes(key, t->name, strlen(t->name) + 1);
        smelt_message_bytes(key, &t->kind, sizeof t->kind);
        if (t->kind == SMELT_TEMPLATE_DTYPE)
            smelt_message_bytes(key, &t->dtype, sizeof t->dtype);
        else
            smelt_message_bytes(key, &t->value, sizeof t->value);
    }
}

static smelt_status find_variant(struct call *c)
{
    struct smelt_message key = {0};
    build_key(c, &key);
    if (key.failed)
        return smelt_fail(SMELT_OUT_OF_MEMORY, "metal_kernel %s: no memory", c->kernel->desc.name);
    for (struct smelt_variant *v = c->kernel->variants; v; v = v->next)
        if (v->key_length == key.length && !memcmp(v->key, key.data, key.length)) c->variant = v;
    if (c->variant) {
        smelt_message_free(&key);
        return SMELT_OK;
    }
    struct smelt_variant *v = calloc(1, sizeof *v);
    smelt_status status =
        v ? smelt_signature_build(c->kernel, c->views, outputs_of(c), &c->launch, v)
          : smelt_fail(SMELT_OUT_OF_MEMORY, "metal_kernel %s: no memory", c->kernel->desc.name);
    if (status != SMELT_OK) {
        smelt_message_free(&key);
        free(v);
        return status;
    }
    v->key = (unsigned char *)key.data;
    v->key_length = key.length;
    v->next = c->kernel->variants;
    c->kernel->variants = c->variant = v;
    return SMELT_OK;
}

static smelt_status find_code(struct call *c, bool rows, const struct smelt_code **code)
{
    pthread_mutex_lock(&c->kernel->lock);
    smelt_status status = find_variant(c);
    if (status == SMELT_OK && !c->variant->code[rows]) {
        struct smelt_message name = {0};
        smelt_message_print(&name, "%s.source", c->kernel->desc.name);
        struct smelt_unit unit = {.name = name.failed ? "source" : name.data,
                                  .source = c->variant->text,
                                  .prefix = "",
                                  .entry = c->variant->entry,
                                  .flags = (rows ? TASK_ROWS : 0) | TASK_BODY,
                                  .math_mode = (uint32_t)c->kernel->desc.math_mode};
        status = smelt_unit_compile(&unit, &c->variant->code[rows]);
        smelt_message_free(&name);
    }
    if (status == SMELT_OK) *code = c->variant->code[rows];
    pthread_mutex_unlock(&c->kernel->lock);
    return status;
}

static void copy_strided(char *to, const struct smelt_view *v)
{
    int64_t index[SMELT_MAX_RANK] = {0};
    for (int64_t k = 0; k < v->elements; k++) {
        int64_t at = 0;
        for (int axis = 0; axis < v->rank; axis++) at += index[axis] * v->stride[axis];
        memcpy(to + k * v->item, v->data + at * v->item, (size_t)v->item);
        for (int axis = v->rank - 1; axis >= 0 && ++index[axis] == v->shape[axis]; axis--) index[axis] = 0;
    }
}

/* A row-contiguous copy of an input, and strides to match. */
static smelt_status make_contiguous(struct call *c, size_t k)
{
    struct smelt_view *v = &c->views[k];
    if (!c->kernel->desc.ensure_row_contiguous || smelt_view_is_contiguous(v)) return SMELT_OK;
    c->copies[k] = malloc((size_t)(v->elements * v->item) + 1);
    if (!c->copies[k])
        return smelt_fail(SMELT_OUT_OF_MEMORY, "metal_kernel %s: no memory to copy %s", c->kernel->desc.name,
                          v->name);
    copy_strided(c->copies[k], v);
    v->data = c->copies[k];
    return SMELT_OK;
}

/* Contiguous arrays report the strides that follow from their shape, also along axes of length 1. */
static void settle_strides(struct smelt_view *v)
{
    int64_t step = 1;
    for (int axis = v->rank - 1; axis >= 0; axis--) {
        v->stride[axis] = step;
        step *= v->shape[axis];
    }
}

static smelt_status lay_arguments(struct call *c, struct smelt_launch *l)
{
    const smelt_kernel_desc *d = &c->kernel->desc;
    for (size_t k = 0; k < d->input_count; k++) {
        struct smelt_view *v = &c->views[k];
        SMELT_TRY(make_contiguous(c, k));
        if (c->copies[k] || smelt_view_is_contiguous(v)) settle_strides(v);
        l->arguments[l->argument_count++] = v->data;
        if (v->rank == 0) continue;
        c->ranks[k] = v->rank;
        for (int axis = 0; axis < v->rank; axis++) c->shapes[k][axis] = (int32_t)v->shape[axis];
        if (c->kernel->extras[k] & EXTRA_SHAPE) l->arguments[l->argument_count++] = c->shapes[k];
        if (c->kernel->extras[k] & EXTRA_STRIDES) l->arguments[l->argument_count++] = v->stride;
        if (c->kernel->extras[k] & EXTRA_NDIM) l->arguments[l->argument_count++] = &c->ranks[k];
    }
    for (size_t k = 0; k < d->output_count; k++) l->arguments[l->argument_count++] = outputs_of(c)[k].data;
    return SMELT_OK;
}

static void write_element(enum smelt_dtype dtype, float value, void *to)
{
    int64_t whole = value != value      ? 0
                    : value >= 0x1p63f  ? INT64_MAX
                    : value <= -0x1p63f ? INT64_MIN
                                        : (int64_t)value;
    uint64_t natural = value >= 0x1p64f ? UINT64_MAX : value > 0 ? (uint64_t)value : (uint64_t)whole;
    uint16_t half = smelt_f16_of_float(value), brain = smelt_bf16_of_float(value);
    unsigned char truth = value != 0;
    switch (dtype) {
    case SMELT_F32: memcpy(to, &value, 4); break;
    case SMELT_F16: memcpy(to, &half, 2); break;
    case SMELT_BF16: memcpy(to, &brain, 2); break;
    case SMELT_BOOL: memcpy(to, &truth, 1); break;
    case SMELT_U64: memcpy(to, &natural, 8); break;
    default:
        memcpy(to, &whole, (size_t)smelt_dtype_size(dtype));
        break; /* the low bytes, as a conversion wraps */
    }
}

static void fill_outputs(const struct call *c)
{
    for (size_t k = 0; c->launch.init_value && k < c->kernel->desc.output_count; k++) {
        const struct smelt_view *v = &outputs_of(c)[k];
        unsigned char element[16] = {0};
        write_element(v->dtype, *c->launch.init_value, element);
        for (int64_t i = 0; i < v->elements; i++) memcpy(v->data + i * v->item, element, (size_t)v->item);
    }
}

static void print_to_stdout(const char *text)
{
    fputs(text, stdout);
    fflush(stdout);
}
void (*smelt_kernel_print)(const char *text) = print_to_stdout;

static void report(const struct call *c, const struct smelt_code *code)
{
    struct smelt_message m = {0};
    const struct smelt_report_words *r = &code->report;
    if (!c->launch.verbose) return;
    smelt_message_print(
        &m,
        "Generated source code for `%s`:\n%s\n"
        "// %u vector, %u gathered, %u scalar accesses, %u lane by lane; %llu bytes of threadgroup memory\n",
        c->kernel->desc.name, c->variant->text, r->vector_accesses, r->gather_accesses, r->scalar_accesses,
        r->serial_operations, (unsigned long long)r->threadgroup_bytes);
    if (!m.failed) smelt_kernel_print(m.data);
    smelt_message_free(&m);
}

static smelt_status run_call(struct call *c, const struct smelt_run *run)
{
    struct smelt_launch l = {.operation = c->kernel->desc.name};
    struct smelt_kernel_launch *given = &c->launch;
    uint32_t threadgroup[3];
    uint64_t product = (uint64_t)given->threadgroup[0] * given->threadgroup[1];
    product = product > SMELT_MOST_THREADS ? product : product * given->threadgroup[2];
    if (product > SMELT_MOST_THREADS)
        return smelt_fail(SMELT_INVALID_ARGUMENT,
                          "metal_kernel %s: threadgroup: expected at most %d threads, got %llu",
                          c->kernel->desc.name, SMELT_MOST_THREADS, (unsigned long long)product);
    bool empty = false;
    for (int k = 0; k < 3; k++) {
        threadgroup[k] = given->threadgroup[k] < given->grid[k] ? given->threadgroup[k] : given->grid[k];
        empty |= given->grid[k] == 0;
    }
    if (empty) { /* nothing runs, but the text has to be right */
        for (int k = 0; k < 3; k++) threadgroup[k] = given->threadgroup[k] ? given->threadgroup[k] : 1;
    }
    SMELT_TRY(smelt_grid_init(&l.grid, c->kernel->desc.name, given->grid, threadgroup, false));
    SMELT_TRY(find_code(c, smelt_grid_has_rows(&l.grid), &l.code));
    SMELT_TRY(lay_arguments(c, &l));
    report(c, l.code);
    fill_outputs(c);
    return smelt_launch_run(&l, run);
}

smelt_status smelt_kernel_launch(smelt_kernel *kernel, const struct smelt_kernel_launch *given,
                                 const smelt_stream *stream)
{
    static const struct smelt_kernel_launch defaults = SMELT_KERNEL_LAUNCH_INIT;
    struct smelt_run run;
    if (!kernel || !given)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "metal_kernel: %s is NULL", kernel ? "launch" : "kernel");
    struct call *c = malloc(sizeof *c);
    if (!c) return smelt_fail(SMELT_OUT_OF_MEMORY, "metal_kernel %s: no memory", kernel->desc.name);
    c->kernel = kernel;
    c->variant = NULL;
    memset(c->copies, 0, sizeof c->copies);
    smelt_status status =
        smelt_read_options("metal_kernel", "launch", &c->launch, given, &defaults, sizeof defaults);
    if (status == SMELT_OK) status = smelt_run_init(&run, "metal_kernel", stream);
    if (status == SMELT_OK)
        status = check_count(c, "inputs", kernel->desc.input_count, c->launch.input_count);
    if (status == SMELT_OK)
        status = check_count(c, "outputs", kernel->desc.output_count, c->launch.output_count);
    if (status == SMELT_OK) status = view_arrays(c);
    if (status == SMELT_OK) status = check_templates(c);
    if (status == SMELT_OK) status = run_call(c, &run);
    for (int k = 0; k < MOST_ARRAYS; k++) free(c->copies[k]);
    free(c);
    return status;
}
