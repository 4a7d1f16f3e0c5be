/* SPDX-License-Identifier: Apache-2.0 */
/* Request to answer: fields, rewriting, clang, engine. */
#include "answer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compile.h"
#include "frontend.h"
#include "protocol.h"
#include "rewrite.h"

enum { MOST_ARGUMENTS = 256 };

struct request {
    struct smelt_task_words task;
    const char *name, *source, *prefix, *entry, *cpu, *features;
    size_t source_length;
    const char *arguments[MOST_ARGUMENTS], *folders[MOST_ARGUMENTS];
    size_t argument_count, folder_count;
};

static void put(struct text *answer, uint32_t key, const void *bytes, size_t length)
{
    uint32_t head[2] = {key, (uint32_t)length};
    text_append(answer, head, sizeof head);
    text_append(answer, bytes, length);
}

/* Fields become strings in place: the NUL behind one falls on the head of the next, read by then. */
static bool read_request(struct request *r, char *bytes, size_t length)
{
    *r = (struct request){
        .name = "<source>", .source = "", .prefix = "", .entry = "", .cpu = "x86-64", .features = ""};
    char *end = NULL;
    for (size_t at = 0; at + 8 <= length;) {
        uint32_t head[2];
        memcpy(head, bytes + at, sizeof head);
        at += sizeof head;
        if (head[1] > length - at) return false;
        char *field = bytes + at;
        at += head[1];
        if (end) *end = 0;
        end = bytes + at;
        switch (head[0]) {
        case KEY_TASK: memcpy(&r->task, field, head[1] < sizeof r->task ? head[1] : sizeof r->task); break;
        case KEY_NAME: r->name = field; break;
        case KEY_SOURCE: r->source = field, r->source_length = head[1]; break;
        case KEY_ENTRY: r->entry = field; break;
        case KEY_PREFIX: r->prefix = field; break;
        case KEY_CPU: r->cpu = field; break;
        case KEY_FEATURES: r->features = field; break;
        case KEY_ARGUMENT:
            if (r->argument_count < MOST_ARGUMENTS) r->arguments[r->argument_count++] = field;
            break;
        case KEY_INCLUDE:
            if (r->folder_count < MOST_ARGUMENTS) r->folders[r->folder_count++] = field;
            break;
        default: return false;
        }
    }
    if (end) *end = 0;
    return true;
}

static const char triple[] =
#if defined(__aarch64__)
    "aarch64-unknown-linux-gnu";
#else
    "x86_64-unknown-linux-gnu";
#endif

static size_t frontend_arguments(const struct request *r, const char **list)
{
    static const char *const common[] = {"-fwrapv",
                                         "-relaxed-aliasing",
                                         "-fno-threadsafe-statics",
                                         "-disable-O0-optnone",
                                         "-disable-llvm-passes", /* inlining is prepare.c's */
                                         "-ffreestanding",
                                         "-fno-char8_t",
                                         "-fdeclspec",
                                         "-ffloat16-excess-precision=none",
                                         "-fbfloat16-excess-precision=none",
                                         "-cl-single-precision-constant",
                                         "-fno-gnu-inline-asm",
                                         "-Wno-user-defined-literals",
                                         "-Wno-duplicate-decl-specifier",
                                         "-Wno-unknown-attributes",
                                         "-Wno-ignored-attributes",
                                         "-Wno-unused-value",
                                         "-Wno-c99-designator",
                                         "-Wno-unused-comparison",
                                         "-Wno-undefined-inline",
                                         "-Wno-nan-infinity-disabled",
                                         "-Wno-undefined-internal",
                                         "-ftemplate-depth=512",
                                         "-fconstexpr-steps=4194304",
                                         "-ferror-limit",
                                         "20",
                                         "-nostdsysteminc",
                                         "-nobuiltininc",
                                         "-fpch-instantiate-templates",
                                         "-I",
                                         "/smelt/include",
                                         "-fvisibility=hidden"};
    static const char *const modes[3][8] = {
        {"-ffp-contract=off"},
        {"-ffp-contract=fast", "-mreassociate", "-freciprocal-math", "-fapprox-func", "-fno-signed-zeros",
         "-DSMELT_MATH_RELAXED=1"},
        {"-ffp-contract=fast", "-ffast-math", "-mreassociate", "-freciprocal-math", "-fapprox-func",
         "-fno-signed-zeros", "-DSMELT_MATH_FAST=1"},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) list[count++] = common[i];
    for (size_t i = 0; i < 8 && modes[r->task.math_mode % 3][i]; i++)
        list[count++] = modes[r->task.math_mode % 3][i];
    if (r->task.math_mode == MATH_FAST)
        list[count++] = "-menable-no-infs", list[count++] = "-menable-no-nans";
    for (size_t i = 0; i < r->argument_count; i++) list[count++] = r->arguments[i];
    return count;
}

static size_t include_prelude(unsigned math_mode, const char **list)
{
    size_t count = 0;
    if (embedded_precompiled[math_mode % 3].length) {
        list[count++] = "-include-pch";
        list[count++] = "/smelt/prelude.pch";
        return count;
    }
    list[count++] = "-include";
    list[count++] = "metal_stdlib";
    list[count++] = "-include";
    list[count++] = "smelt_entry.h";
    return count;
}

/* The rewritten text and behind it, on a line of its own, the entry point; `original` is the same, not
 * rewritten. */
static bool build_text(const struct request *r, struct text *whole, struct text *original, struct text *log)
{
    if (*r->entry)
        text_print(whole,
                   "#undef $function_constant\n#define $function_constant(n) = smelt::required<n>::value\n"
                   "#undef $optional\n#define $optional(...)\n");
    text_print(whole, "%s ", r->prefix);
    name_function_constants(r->source, r->source_length, whole);
    text_print(whole, "\n#line 1 \"");
    for (const char *c = r->name; *c; c++) text_append(whole, strchr("\"\\\n\r", *c) ? "_" : c, 1);
    text_append(whole, "\"\n", 2);
    text_append(whole, r->source, r->source_length);
    text_append(original, whole->data, whole->length);
    if (!rewrite_source(whole->data, whole->length, r->name, log)) return false;
    text_print(whole, "\n#line 1 \"<entry>\"\n%s\n", r->entry);
    return true;
}

static const char prelude_text[] = "#include <metal_stdlib>\n#include <smelt_entry.h>\n";

/* The embedded headers as files of the frontend; the last is the precompiled one, which asks for its source.
 */
static struct frontend_file *prelude_files(unsigned math_mode, size_t *count)
{
    static char(*paths)[64];
    if (!paths) paths = must_allocate(embedded_count, sizeof *paths); /* kept as long as the process */
    struct frontend_file *files = must_allocate(embedded_count + 2, sizeof *files);
    *count = 0;
    for (size_t i = 0; i < embedded_count; i++) {
        const struct embedded_file *file = &embedded_files[i];
        snprintf(paths[i], sizeof paths[i], "/smelt/include/%s", file->path);
        files[(*count)++] = (struct frontend_file){paths[i], (const char *)file->text, file->length};
    }
    const struct embedded_file *precompiled = &embedded_precompiled[math_mode % 3];
    if (!precompiled->length) return files;
    files[(*count)++] = (struct frontend_file){"/smelt/prelude.h", prelude_text, sizeof prelude_text - 1};
    files[(*count)++] =
        (struct frontend_file){"/smelt/prelude.pch", (const char *)precompiled->text, precompiled->length};
    return files;
}

static bool run_frontend(const struct request *r, const struct text *whole, struct frontend_result *result,
                         struct text *log)
{
    struct included included = {log, false};
    const char *list[MOST_ARGUMENTS + 64];
    size_t count;
    struct frontend_file *files = prelude_files(r->task.math_mode, &count);
    size_t given = frontend_arguments(r, list);
    given += include_prelude(r->task.math_mode, list + given);
    struct frontend_request request = {
        .main = {"/smelt/text", whole->data, whole->length},
        .files = files,
        .file_count = count,
        .folders = r->folders,
        .folder_count = r->folder_count,
        .edit = edit_included,
        .edit_context = &included,
        .arguments = list,
        .argument_count = given,
        .triple = triple,
        .reflect = (r->task.flags & TASK_REFLECT) != 0,
    };
    bool good = frontend_run(&request, result) == 0 && !included.failed;
    free(files);
    return good;
}

bool precompile_prelude(unsigned math_mode, const char *path, struct text *log)
{
    struct request r = {.task = {0, math_mode}, .name = "<prelude>", .entry = ""};
    const char *list[MOST_ARGUMENTS + 64];
    size_t count, given = frontend_arguments(&r, list);
    struct frontend_file *files = prelude_files(math_mode, &count);
    struct frontend_result result = {0};
    struct frontend_request request = {.main = {"/smelt/prelude.h", prelude_text, sizeof prelude_text - 1},
                                       .files = files,
                                       .file_count = count,
                                       .arguments = list,
                                       .argument_count = given,
                                       .triple = triple,
                                       .precompiled = path};
    bool good = frontend_run(&request, &result) == 0;
    text_append(log, result.log, strlen(result.log));
    free(result.log);
    free(files);
    return good;
}

static bool run_engine(const struct request *r, LLVMModuleRef module, struct text *answer, struct text *log,
                       bool *missing_constant)
{
    static struct target target; /* as good as always the same */
    struct kernel_report report = {0};
    struct text object = {0}, ir = {0};
    bool good = target_open(&target, triple, r->cpu, r->features, log) &&
                compile_module(module, "smelt_entry", (r->task.flags & TASK_ROWS) != 0, &target, &object,
                               &report, log, r->task.flags & TASK_SHOW_IR ? &ir : NULL);
    struct smelt_report_words words = {.threadgroup_bytes = report.threadgroup_bytes,
                                       .private_bytes = report.private_bytes,
                                       .has_barrier = report.has_barrier,
                                       .vector_accesses = report.vector_accesses,
                                       .gather_accesses = report.gather_accesses,
                                       .scalar_accesses = report.scalar_accesses,
                                       .serial_operations = report.serial_operations,
                                       .has_loop = report.has_loop};
    put(answer, KEY_REPORT, &words, sizeof words);
    *missing_constant = report.missing_constant;
    if (good) put(answer, KEY_OBJECT, object.data, object.length);
    if (ir.data) put(answer, KEY_IR, ir.data, ir.length);
    text_free(&object);
    text_free(&ir);
    return good;
}

void answer_request(char *bytes, size_t length, struct text *answer)
{
    struct request r;
    struct text log = {0}, whole = {0}, original = {0};
    struct frontend_result result = {0};
    bool good = read_request(&r, bytes, length), missing_constant = false;
    if (!good) text_print(&log, "error: a request that is not of this version\n");
    good = good && build_text(&r, &whole, &original, &log);
    if (good) {
        struct text edited = {whole.data, original.length, 0};
        good = run_frontend(&r, &whole, &result, &log);
        quote_original(&log, result.log, &edited, original.data);
    }
    if (good && r.task.flags & TASK_REFLECT)
        put(answer, KEY_REFLECTION, result.reflection, strlen(result.reflection));
    if (good && *r.entry) good = run_engine(&r, result.module, answer, &log, &missing_constant);
    uint32_t status = missing_constant ? 2 : !good;
    put(answer, KEY_STATUS, &status, sizeof status);
    put(answer, KEY_LOG, log.data ? log.data : "", log.length);
    if (result.module) LLVMDisposeModule(result.module);
    if (result.context) LLVMContextDispose(result.context);
    free(result.log);
    free(result.reflection);
    text_free(&whole);
    text_free(&original);
    text_free(&log);
}
