/* SPDX-License-Identifier: Apache-2.0 */
/* The generated text of a body-only kernel, by the rules of section 9.3 of the specification: utility prelude, header,
   template line, signature, body. */
#include "metal/kernel.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const struct smelt_attribute smelt_kernel_attributes[SMELT_ATTRIBUTES] = {
    {"thread_position_in_grid", "uint3"},
    {"threads_per_grid", "uint3"},
    {"grid_size", "uint3"},
    {"grid_origin", "uint3"},
    {"thread_position_in_threadgroup", "uint3"},
    {"thread_index_in_threadgroup", "uint"},
    {"threadgroup_position_in_grid", "uint3"},
    {"threadgroups_per_grid", "uint3"},
    {"threads_per_threadgroup", "uint3"},
    {"dispatch_threads_per_threadgroup", "uint3"},
    {"thread_execution_width", "uint"},
    {"threads_per_simdgroup", "uint"},
    {"thread_index_in_simdgroup", "uint"},
    {"simdgroup_index_in_threadgroup", "uint"},
    {"simdgroups_per_threadgroup", "uint"},
    {"dispatch_simdgroups_per_threadgroup", "uint"},
    {"thread_index_in_quadgroup", "uint"},
    {"quadgroup_index_in_threadgroup", "uint"},
    {"quadgroups_per_threadgroup", "uint"},
    {"dispatch_quadgroups_per_threadgroup", "uint"},
};

const char *smelt_metal_type(DLDataType type)
{
    static const char *const names[] = {
        [SMELT_F32] = "float", [SMELT_F16] = "float16_t", [SMELT_BF16] = "bfloat16_t", [SMELT_BOOL] = "bool",
        [SMELT_I8] = "int8_t", [SMELT_U8] = "uint8_t", [SMELT_I16] = "int16_t", [SMELT_U16] = "uint16_t",
        [SMELT_I32] = "int32_t", [SMELT_U32] = "uint32_t", [SMELT_I64] = "int64_t", [SMELT_U64] = "uint64_t"};
    if (type.code == kDLComplex && type.bits == 64 && type.lanes == 1) return "complex64_t";
    enum smelt_dtype dtype = smelt_dtype_of(type);
    return (size_t)dtype < sizeof names / sizeof *names ? names[dtype] : NULL;
}

/* Of the other types only complex numbers came through the checks. */
static const char *type_of(const struct smelt_view *v)
{
    return v->dtype == SMELT_OTHER ? "complex64_t" : smelt_metal_type(smelt_dl_type(v->dtype));
}

static bool is_small(const struct smelt_view *v) { return v->elements < SMELT_SMALL_ARRAY; }

/* The name: kernel, template arguments and argument types, in letters, digits and underscores alone. */
static void print_name(const struct smelt_kernel *k, const struct smelt_view *inputs, const struct smelt_view *outputs,
                       const struct smelt_kernel_launch *l, struct smelt_message *m)
{
    size_t begin = m->length;
    smelt_message_print(m, "custom_kernel_%s", k->desc.name);
    for (size_t i = 0; i < l->template_count; i++) {
        const smelt_template_argument *t = &l->template_arguments[i];
        smelt_message_print(m, i ? "_" : "__");
        if (t->kind == SMELT_TEMPLATE_DTYPE) smelt_message_print(m, "%s", smelt_metal_type(t->dtype));
        else smelt_message_print(m, "%s%lld", t->value < 0 ? "minus_" : "", (long long)(t->value < 0 ? -t->value : t->value));
    }
    for (size_t i = 0; i < k->desc.input_count; i++)
        smelt_message_print(m, "_%s%s", type_of(&inputs[i]), inputs[i].rank == 0 ? "s" : is_small(&inputs[i]) ? "c" : "");
    for (size_t i = 0; i < k->desc.output_count; i++) smelt_message_print(m, "_%s", type_of(&outputs[i]));
    for (size_t i = begin; !m->failed && i < m->length; i++)
        if (!isalnum((unsigned char)m->data[i])) m->data[i] = '_';
}

static void print_template(const struct smelt_kernel_launch *l, struct smelt_message *m)
{
    static const char *const kinds[] = {"typename", "int", "bool"};
    if (!l->template_count) return;
    for (size_t i = 0; i < l->template_count; i++)
        smelt_message_print(m, "%s%s %s", i ? ", " : "template <", kinds[l->template_arguments[i].kind],
                            l->template_arguments[i].name);
    smelt_message_print(m, ">\n");
}

static void print_arguments(const struct smelt_kernel_launch *l, struct smelt_message *m)
{
    for (size_t i = 0; i < l->template_count; i++) {
        const smelt_template_argument *t = &l->template_arguments[i];
        smelt_message_print(m, i ? ", " : "<");
        if (t->kind == SMELT_TEMPLATE_DTYPE) smelt_message_print(m, "%s", smelt_metal_type(t->dtype));
        else if (t->kind == SMELT_TEMPLATE_BOOL) smelt_message_print(m, t->value ? "true" : "false");
        else smelt_message_print(m, "%lld", (long long)t->value);
    }
    if (l->template_count) smelt_message_print(m, ">");
}

/* A header may use the template's names too: they stand for these types and values before it. */
static void print_names_for_header(const struct smelt_kernel_launch *l, struct smelt_message *m)
{
    if (!l->template_count) return;
    smelt_message_print(m, "namespace smelt_template_names {");
    for (size_t i = 0; i < l->template_count; i++) {
        const smelt_template_argument *t = &l->template_arguments[i];
        if (t->kind == SMELT_TEMPLATE_DTYPE) smelt_message_print(m, " using %s = %s;", t->name, smelt_metal_type(t->dtype));
        else smelt_message_print(m, " constexpr %s %s = %lld;", t->kind == SMELT_TEMPLATE_BOOL ? "bool" : "int", t->name,
                                 (long long)t->value);
    }
    smelt_message_print(m, " }\nusing namespace smelt_template_names;\n");
}

struct parameters {
    struct smelt_message *text, *call;
    unsigned slot, count;
};

static void separate(struct parameters *p)
{
    smelt_message_print(p->text, p->count ? ",\n    " : "\n    ");
    smelt_message_print(p->call, p->count ? ", " : "");
    p->count++;
}

static void add_buffer(struct parameters *p, const char *type, const char *name, const char *suffix)
{
    separate(p);
    smelt_message_print(p->text, "%s %s%s [[buffer(%u)]]", type, name, suffix, p->slot);
    smelt_message_print(p->call, "smelt::argument(%u)", p->slot++);
}

static void add_input(struct parameters *p, const struct smelt_view *v, const char *name, unsigned extras)
{
    struct smelt_message type = {0};
    smelt_message_print(&type, "const %s %s%s", is_small(v) ? "constant" : "device", type_of(v), v->rank ? "*" : "&");
    if (type.failed) p->text->failed = true;
    else add_buffer(p, type.data, name, "");
    smelt_message_free(&type);
    if (v->rank == 0) return;
    if (extras & EXTRA_SHAPE) add_buffer(p, "const constant int*", name, "_shape");
    if (extras & EXTRA_STRIDES) add_buffer(p, "const constant int64_t*", name, "_strides");
    if (extras & EXTRA_NDIM) add_buffer(p, "const constant int&", name, "_ndim");
}

static void print_parameters(const struct smelt_kernel *k, const struct smelt_view *inputs, const struct smelt_view *outputs,
                             struct parameters *p)
{
    for (size_t i = 0; i < k->desc.input_count; i++) add_input(p, &inputs[i], k->desc.input_names[i], k->extras[i]);
    for (size_t i = 0; i < k->desc.output_count; i++) {
        struct smelt_message type = {0};
        smelt_message_print(&type, k->desc.atomic_outputs ? "device atomic<%s>*" : "device %s*", type_of(&outputs[i]));
        if (type.failed) p->text->failed = true;
        else add_buffer(p, type.data, k->desc.output_names[i], "");
        smelt_message_free(&type);
    }
    for (int i = 0; i < SMELT_ATTRIBUTES; i++) {
        if (!(k->attributes >> i & 1)) continue;
        const struct smelt_attribute *a = &smelt_kernel_attributes[i];
        separate(p);
        smelt_message_print(p->text, "%s %s [[%s]]", a->type, a->name, a->name);
        smelt_message_print(p->call, "smelt::%s()", a->name);
    }
}

smelt_status smelt_signature_build(const struct smelt_kernel *k, const struct smelt_view *inputs,
                                   const struct smelt_view *outputs, const struct smelt_kernel_launch *l,
                                   struct smelt_variant *variant)
{
    struct smelt_message text = {0}, call = {0}, name = {0};
    struct parameters parameters = {&text, &call, 0, 0};
    print_name(k, inputs, outputs, l, &name);
    smelt_message_print(&text, "#include \"mlx_utils.h\"\n");
    print_names_for_header(l, &text);
    smelt_message_print(&text, "#line 1 \"%s.header\"\n%s\n#line 1 \"%s.signature\"\n", k->desc.name,
                        k->desc.header ? k->desc.header : "", k->desc.name);
    print_template(l, &text);
    smelt_message_print(&text, "[[kernel]] void %s(", name.failed ? "" : name.data);
    smelt_message_print(&call, "extern \"C\" void smelt_entry() { %s", name.failed ? "" : name.data);
    print_arguments(l, &call);
    smelt_message_print(&call, "(");
    print_parameters(k, inputs, outputs, &parameters);
    smelt_message_print(&call, "); }");
    smelt_message_print(&text, ") { $body\n#line 1 \"%s.source\"\n%s\n#line 1 \"%s.end\"\n$body }\n", k->desc.name,
                        k->desc.source, k->desc.name);
    bool failed = text.failed || call.failed || name.failed;
    smelt_message_free(&name);
    if (parameters.slot > SMELT_MOST_BINDINGS || failed) {
        smelt_message_free(&text);
        smelt_message_free(&call);
        if (failed) return smelt_fail(SMELT_OUT_OF_MEMORY, "metal_kernel %s: no memory", k->desc.name);
        return smelt_fail(SMELT_UNSUPPORTED, "metal_kernel %s: more than %d arguments", k->desc.name, SMELT_MOST_BINDINGS);
    }
    variant->text = text.data;
    variant->entry = call.data;
    return SMELT_OK;
}
