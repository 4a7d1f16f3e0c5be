/* SPDX-License-Identifier: Apache-2.0 */
/* The C face of clang: text in, LLVM module and diagnostics out. */
#ifndef SMELT_METALC_FRONTEND_H
#define SMELT_METALC_FRONTEND_H
#include <stddef.h>
#include <llvm-c/Core.h>

#ifdef __cplusplus
extern "C" {
#endif

struct frontend_file {
    const char *path; /* as an #include names it */
    const char *text; /* NUL after length bytes */
    size_t length;
};

struct frontend_request {
    struct frontend_file main; /* already rewritten (rewrite.h) */
    const struct frontend_file *files;
    size_t file_count; /* the prelude */
    const char *const *folders;
    size_t folder_count; /* what else #include may read from the disk, after this edit: malloc'ed */
    char *(*edit)(void *context, const char *text, size_t length, const char *path, size_t *edited_length);
    void *edit_context;
    const char *const *arguments;
    size_t argument_count; /* further cc1 arguments: -D, -I, math mode */
    const char *triple;
    int reflect; /* also describe every kernel of the text */
    const char
        *precompiled; /* where to write the text as a precompiled header, instead of a module; else NULL */
};

struct frontend_result {
    LLVMContextRef context; /* both owned by the caller; NULL after an error */
    LLVMModuleRef module;
    char *log;        /* diagnostics, malloc'ed, never NULL */
    char *reflection; /* lines, see frontend.cpp; malloc'ed, NULL unless asked for */
};

/* 0 when the text compiled (or the precompiled header was written). */
int frontend_run(const struct frontend_request *request, struct frontend_result *result);

#ifdef __cplusplus
}
#endif
#endif
