/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler process: started at the first request, kept warm, replaced when it ends. */
#ifndef SMELT_METAL_PROCESS_H
#define SMELT_METAL_PROCESS_H
#include "core/status.h"
#include "metal/message.h"

/* Sends a request and waits for the answer, which the caller frees. */
smelt_status smelt_compiler_ask(const struct smelt_message *request, char **answer, size_t *size);
/* Where the compiler is, or NULL; for smelt_info. Valid until the thread's next call. */
const char *smelt_compiler_path(void);

#endif
