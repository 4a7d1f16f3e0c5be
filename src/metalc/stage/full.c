/* SPDX-License-Identifier: Apache-2.0 */
/* The second stage of the build: the precompiled headers, as the first stage wrote them. */
#include "answer.h"

#define HOLD(mode)                                                                                           \
    __asm__(".section .rodata.pch" #mode ",\"a\"\n.balign 64\n.globl smelt_pch_" #mode "\nsmelt_pch_" #mode  \
            ":\n.incbin \"" PRECOMPILED_FOLDER "/prelude" #mode ".pch\"\n.globl smelt_pch_end_" #mode       \
            "\nsmelt_pch_end_" #mode ":\n.byte 0\n.previous\n");                                            \
    extern const unsigned char smelt_pch_##mode[], smelt_pch_end_##mode[];
HOLD(0)
HOLD(1)
HOLD(2)

struct embedded_file embedded_precompiled[3];

__attribute__((constructor)) static void measure(void)
{
    embedded_precompiled[0] = (struct embedded_file){"0", smelt_pch_0, (size_t)(smelt_pch_end_0 - smelt_pch_0)};
    embedded_precompiled[1] = (struct embedded_file){"1", smelt_pch_1, (size_t)(smelt_pch_end_1 - smelt_pch_1)};
    embedded_precompiled[2] = (struct embedded_file){"2", smelt_pch_2, (size_t)(smelt_pch_end_2 - smelt_pch_2)};
}
