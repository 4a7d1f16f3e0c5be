/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that an option gives as TYPE:VALUE. */
#ifndef SMELT_TOOLS_VALUE_H
#define SMELT_TOOLS_VALUE_H

#include "npy.h"

enum { VALUE_BYTES = 4096 };

/* One number in the memory of its type. False after a message. */
bool value_read(const char *text, DLDataType *type, unsigned char bytes[16], char message[NPY_MESSAGE]);
/* TYPE:VALUE[,TYPE:VALUE...], laid out as a C struct. */
bool values_read(const char *text, unsigned char bytes[VALUE_BYTES], size_t *size, char message[NPY_MESSAGE]);
/* N[,N...] of up to `most` numbers, each below `limit`; their count, or 0. */
int numbers_read(const char *text, int64_t *numbers, int most, int64_t limit);

#endif
