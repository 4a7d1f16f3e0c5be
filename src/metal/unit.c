/* SPDX-License-Identifier: Apache-2.0 */
/* Cache, else compiler. The key of the cache is the request itself with the versions of both sides. */
#include "metal/unit.h"

#include <stdlib.h>
#include <string.h>
#include "core/cpu.h"
#include "metal/cache.h"
#include "metal/process.h"
#include "metalc_sources.h"

/* The processor by the level that the library uses, so that a cache can move between machines of one level.
 */
static smelt_status put_processor(struct smelt_message *m)
{
    SMELT_TRY(smelt_isa_check());
    enum smelt_isa isa = smelt_isa_used();
    const char *name = "x86-64", *features = "";
    if (isa == SMELT_ISA_NEON)
        name = "generic";
    else if (isa == SMELT_ISA_AVX2)
        name = "haswell";
    else if (isa >= SMELT_ISA_AVX512 && isa <= SMELT_ISA_AMX)
        name = "skylake-avx512", features = "-prefer-256-bit";
#if defined(__aarch64__)
    name = "generic";
#endif
    smelt_message_field(m, KEY_CPU, name, strlen(name));
    smelt_message_field(m, KEY_FEATURES, features, strlen(features));
    return SMELT_OK;
}

static void put_text(struct smelt_message *m, uint32_t key, const char *text)
{
    smelt_message_field(m, key, text, strlen(text));
}

static smelt_status build_request(const struct smelt_unit *u, struct smelt_message *m)
{
    struct smelt_task_words task = {u->flags, u->math_mode};
    smelt_message_field(m, KEY_TASK, &task, sizeof task);
    put_text(m, KEY_NAME, u->name);
    put_text(m, KEY_PREFIX, u->prefix);
    put_text(m, KEY_SOURCE, u->source);
    put_text(m, KEY_ENTRY, u->entry);
    for (size_t k = 0; k < u->definition_count; k++) {
        struct smelt_message text = {0};
        smelt_message_print(&text, "-D%s", u->definitions[k]);
        if (text.data) put_text(m, KEY_ARGUMENT, text.data);
        m->failed |= text.failed;
        smelt_message_free(&text);
    }
    for (size_t k = 0; k < u->folder_count; k++) {
        struct smelt_message text = {0};
        smelt_message_print(&text, "-I%s", u->folders[k]);
        if (text.data) put_text(m, KEY_ARGUMENT, text.data);
        m->failed |= text.failed;
        smelt_message_free(&text);
        put_text(m, KEY_INCLUDE, u->folders[k]);
    }
    SMELT_TRY(put_processor(m));
    if (m->failed || m->length > SMELT_LONGEST_MESSAGE)
        return smelt_fail(SMELT_OUT_OF_MEMORY, "a kernel's text is too long");
    return SMELT_OK;
}

/* What changes the code without being in the request: the compiler. */
static void add_versions(struct smelt_message *key)
{
    smelt_message_print(key, "\n%s %s\n", SMELT_METALC_VERSION, SMELT_METALC_SOURCES);
}

static smelt_status judge(const char *answer, size_t size)
{
    size_t length, log_length;
    const char *word = smelt_message_find(answer, size, KEY_STATUS, &length);
    const char *log = smelt_message_find(answer, size, KEY_LOG, &log_length);
    uint32_t status = 1;
    if (!word || length != sizeof status || !log)
        return smelt_fail(SMELT_INTERNAL_ERROR, "the Metal compiler gave an answer that is not one");
    memcpy(&status, word, sizeof status);
    if (status == 0) return SMELT_OK;
    while (log_length && log[log_length - 1] == '\n') log_length--;
    return smelt_fail(status == 2 ? SMELT_INVALID_ARGUMENT : SMELT_COMPILE_ERROR, "%.*s", (int)log_length,
                      log);
}

static smelt_status find_answer(const struct smelt_unit *u, char **answer, size_t *size)
{
    struct smelt_message request = {0}, key = {0};
    smelt_status status = build_request(u, &request);
    bool keep = u->folder_count == 0; /* included files are not part of the key */
    if (status == SMELT_OK && keep) {
        smelt_message_bytes(&key, request.data, request.length);
        add_versions(&key);
        keep = !key.failed;
    }
    if (status == SMELT_OK && !(keep && smelt_cache_read(&key, answer, size))) {
        status = smelt_compiler_ask(&request, answer, size);
        if (status == SMELT_OK) {
            status = judge(*answer, *size);
            if (status == SMELT_OK && keep) smelt_cache_write(&key, *answer, *size);
            if (status != SMELT_OK) free(*answer);
        }
    }
    smelt_message_free(&request);
    smelt_message_free(&key);
    return status;
}

smelt_status smelt_unit_reflect(const struct smelt_unit *unit, char **reflection)
{
    char *answer;
    size_t size, length;
    SMELT_TRY(find_answer(unit, &answer, &size));
    const char *found = smelt_message_find(answer, size, KEY_REFLECTION, &length);
    *reflection = found ? strndup(found, length) : NULL;
    free(answer);
    return *reflection ? SMELT_OK
                       : smelt_fail(SMELT_INTERNAL_ERROR, "the Metal compiler did not describe the text");
}

smelt_status smelt_unit_compile(const struct smelt_unit *unit, struct smelt_code **out)
{
    char *answer;
    size_t size, length, report_length;
    SMELT_TRY(find_answer(unit, &answer, &size));
    const char *object = smelt_message_find(answer, size, KEY_OBJECT, &length);
    const char *report = smelt_message_find(answer, size, KEY_REPORT, &report_length);
    struct smelt_code *code = calloc(1, sizeof *code);
    /* sections are read in place, by 8-byte words */
    char *aligned = object ? malloc(length ? length : 1) : NULL;
    smelt_status status = SMELT_OK;
    if (!object || !report || report_length != sizeof code->report) {
        status = smelt_fail(SMELT_INTERNAL_ERROR, "the Metal compiler gave no code");
    } else if (!code || !aligned) {
        status = smelt_fail(SMELT_OUT_OF_MEMORY, "no memory for a kernel");
    } else {
        memcpy(aligned, object, length);
        memcpy(&code->report, report, sizeof code->report);
        status = smelt_image_load(&code->image, aligned, length);
        code->function = (smelt_simdgroup_function *)(intptr_t)code->image.function;
    }
    free(aligned);
    free(answer);
    if (status != SMELT_OK) {
        free(code);
        return status;
    }
    *out = code;
    return SMELT_OK;
}

void smelt_code_free(struct smelt_code *code)
{
    if (!code) return;
    smelt_image_unload(&code->image);
    free(code);
}
