/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_info: the library and the machine as one JSON object. */
#include <smelt/base.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cpu.h"
#include "core/parallel.h"
#ifdef SMELT_CUDA
#    include "cuda/device.h"
#endif
#include "metal/process.h"

#if defined(__x86_64__)
#    include <cpuid.h>
#endif

/* Text that is counted whole and kept as far as there is room. */
struct text {
    char *begin;
    size_t capacity, length;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = text->length < text->capacity ? text->capacity - text->length : 0;
    int length = vsnprintf(room ? text->begin + text->length : NULL, room, format, arguments);
    va_end(arguments);
    if (length > 0) text->length += (size_t)length;
}

static void add_string(struct text *text, const char *string)
{
    add(text, "\"");
    for (; *string; string++) {
        unsigned char c = (unsigned char)*string;
        if (c < 0x20)
            add(text, "\\u%04x", c);
        else
            add(text, "%s%c", c == '"' || c == '\\' ? "\\" : "", c);
    }
    add(text, "\"");
}

static void add_processor(struct text *text)
{
    char name[49] = "";
#if defined(__x86_64__)
    unsigned words[12] = {0}, *w = words;
    for (unsigned leaf = 0x80000002; leaf <= 0x80000004; leaf++, w += 4)
        if (!__get_cpuid(leaf, &w[0], &w[1], &w[2], &w[3])) break;
    memcpy(name, words, 48);
#elif defined(__aarch64__)
    strcpy(name, "AArch64");
#endif
    const char *begin = name;
    while (*begin == ' ') begin++;
    add(text, "\"processor\": ");
    add_string(text, begin);
}

/* The program that a first custom kernel would start. */
static void add_compiler(struct text *text)
{
    const char *path = smelt_compiler_path();
    add(text, ", \"compiler\": ");
    if (path)
        add_string(text, path);
    else
        add(text, "null");
    add(text, ", ");
}

static void add_caches(struct text *text)
{
    add(text, "\"caches\": {");
#if defined(_SC_LEVEL1_DCACHE_SIZE)
    static const struct {
        const char *name;
        int key;
    } levels[] = {
        {"l1d", _SC_LEVEL1_DCACHE_SIZE}, {"l2", _SC_LEVEL2_CACHE_SIZE}, {"l3", _SC_LEVEL3_CACHE_SIZE}};
    for (int i = 0; i < 3; i++) {
        long bytes = sysconf(levels[i].key);
        add(text, "\"%s\": %ld, ", levels[i].name, bytes > 0 ? bytes : 0);
    }
#endif
    add(text, "\"streaming_above\": %lld}", (long long)smelt_last_level_cache_bytes());
}

/* "cuda" is a back end where there is a card to run on. */
static void add_back_ends(struct text *text)
{
    const char *cuda = "";
#ifdef SMELT_CUDA
    if (smelt_cuda_count()) cuda = ", \"cuda\"";
#endif
    add(text, "\"back_ends\": [\"cpu\"%s], ", cuda);
}

static void add_devices(struct text *text)
{
    add(text, ", \"devices\": [");
#ifdef SMELT_CUDA
    const int count = smelt_cuda_count();
    for (int i = 0; i < count; i++) {
        char name[192];
        smelt_cuda_describe(i, name, sizeof name);
        add(text, "%s", i ? ", " : "");
        add_string(text, name);
    }
#endif
    add(text, "], ");
}

static void add_isa(struct text *text)
{
    add(text, "\"isa\": {\"found\": \"%s\", \"used\": \"%s\"}", smelt_isa_name(smelt_isa_found()),
        smelt_isa_name(smelt_isa_used()));
}

/* Where compiled kernels are kept: the same rule as for every program of the desktop, and a variable of our
 * own. */
static void add_cache_directory(struct text *text)
{
    const char *own = getenv("SMELT_CACHE_DIR"), *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char path[1024];
    if (own && *own)
        snprintf(path, sizeof path, "%s", own);
    else if (base && *base)
        snprintf(path, sizeof path, "%s/smelt", base);
    else
        snprintf(path, sizeof path, "%s/.cache/smelt", home ? home : "");
    add(text, "\"cache_directory\": ");
    add_string(text, path);
}

static void add_build(struct text *text)
{
#if defined(__clang__)
    add(text, "\"built_with\": \"clang %d.%d.%d\"", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
    add(text, "\"built_with\": \"gcc %d.%d.%d\"", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

smelt_status smelt_info(char *json, size_t capacity, size_t *needed)
{
    struct smelt_run run;
    SMELT_TRY(smelt_isa_check());
    SMELT_TRY(smelt_run_init(&run, "info", NULL));
    if (!json && capacity)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "info: json: expected %zu bytes of memory, got NULL",
                          capacity);
    char kept[8192];
    struct text text = {kept, sizeof kept, 0};
    add(&text, "{\"version\": \"%s\", ", smelt_version());
    add_back_ends(&text);
    add_processor(&text);
    add(&text, ", ");
    add_isa(&text);
    add(&text, ", \"cores\": %d, \"threads\": %d, ", smelt_core_count(), run.slots);
    add_caches(&text);
    add_devices(&text);
    add_cache_directory(&text);
    add_compiler(&text);
    add_build(&text);
    add(&text, "}");
    if (text.length >= sizeof kept)
        return smelt_fail(SMELT_INTERNAL_ERROR, "info: the text has %zu bytes", text.length);
    if (needed) *needed = text.length + 1;
    if (capacity > text.length) {
        memcpy(json, kept, text.length + 1);
        return SMELT_OK;
    }
    if (!capacity) return SMELT_OK;
    return smelt_fail(SMELT_INVALID_ARGUMENT, "info: capacity: expected at least %zu bytes, got %zu",
                      text.length + 1, capacity);
}
