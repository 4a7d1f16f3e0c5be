/* SPDX-License-Identifier: Apache-2.0 */
/* The language of the pipes between libsmelt.so and smelt-metalc: a message is its length (64 bits, without
   itself) and then fields, each a key and a length (32 bits each) and that many bytes. Both ends run on one
   machine. */
#ifndef SMELT_METALC_PROTOCOL_H
#define SMELT_METALC_PROTOCOL_H
#include <stdint.h>

#define SMELT_METALC_VERSION "smelt-metalc 1"

enum smelt_key {
    KEY_TASK = 1, /* request: struct smelt_task_words */
    KEY_NAME,     /* request: how messages call the text */
    KEY_SOURCE,   /* request: the text */
    KEY_ENTRY,    /* request: C++ after the text, or none */
    KEY_ARGUMENT, /* request, repeated: a -D or -I argument */
    KEY_INCLUDE,  /* request, repeated: a folder that #include may read */
    KEY_CPU,      /* request */
    KEY_FEATURES, /* request */
    KEY_PREFIX,   /* request: C++ before the text, on a line of its own */
    KEY_STATUS =
        32,  /* answer: one 32-bit word: 0 = good, 1 = an error of the text, 2 = a constant is missing */
    KEY_LOG, /* answer: messages */
    KEY_REFLECTION, /* answer */
    KEY_OBJECT,     /* answer */
    KEY_REPORT,     /* answer: struct smelt_report_words */
    KEY_IR,         /* answer, on request */
};

enum { TASK_REFLECT = 1, TASK_ROWS = 2, TASK_SHOW_IR = 4, TASK_BODY = 8 };
enum { MATH_SAFE = 0, MATH_RELAXED = 1, MATH_FAST = 2 };

struct smelt_task_words {
    uint32_t flags, math_mode;
};

struct smelt_report_words {
    uint64_t threadgroup_bytes, private_bytes;
    uint32_t has_barrier, vector_accesses, gather_accesses, scalar_accesses, serial_operations, has_loop;
};

#define SMELT_LONGEST_MESSAGE (UINT64_C(256) << 20)

#endif
