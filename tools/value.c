/* SPDX-License-Identifier: Apache-2.0 */
/* TYPE:VALUE, structs of them, and lists of numbers. */
#include "value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/dtype.h"

static bool wrong(char message[NPY_MESSAGE], const char *expected, const char *text)
{
    return snprintf(message, NPY_MESSAGE, "expected %s, got \"%.60s\"", expected, text), false;
}

static bool read_real(const char *text, DLDataType type, unsigned char bytes[16])
{
    char *end;
    double value = strtod(text, &end);
    float single = (float)value;
    uint16_t half = type.code == kDLBfloat ? smelt_bf16_of_float(single) : smelt_f16_of_float(single);
    if (end == text || *end) return false;
    if (type.bits == 64)
        memcpy(bytes, &value, 8);
    else if (type.bits == 32)
        memcpy(bytes, &single, 4);
    else
        memcpy(bytes, &half, 2);
    return true;
}

static bool read_whole(const char *text, DLDataType type, unsigned char bytes[16])
{
    char *end;
    errno = 0;
    if (type.code == kDLUInt) {
        unsigned long long value = strtoull(text, &end, 0);
        if (errno || end == text || *end || strchr(text, '-')) return false;
        if (type.bits < 64 && value >> type.bits) return false;
        return memcpy(bytes, &value, 8), true;
    }
    long long value = strtoll(text, &end, 0);
    long long most = type.bits < 64 ? (1LL << (type.bits - 1)) - 1 : INT64_MAX;
    if (errno || end == text || *end || value > most || value < -most - 1) return false;
    return memcpy(bytes, &value, 8), true;
}

static bool read_truth(const char *text, unsigned char bytes[16])
{
    bool yes = !strcmp(text, "true") || !strcmp(text, "1");
    bytes[0] = yes;
    return yes || !strcmp(text, "false") || !strcmp(text, "0");
}

bool value_read(const char *text, DLDataType *type, unsigned char bytes[16], char message[NPY_MESSAGE])
{
    const char *colon = strchr(text, ':');
    memset(bytes, 0, 16);
    if (!colon || !type_find(text, (size_t)(colon - text), type) || type->code == kDLComplex)
        return wrong(message, "TYPE:VALUE with a type such as float32, float, uint or bool", text);
    const char *number = colon + 1;
    bool real = type->code == kDLFloat || type->code == kDLBfloat;
    bool good = type->code == kDLBool ? read_truth(number, bytes)
                : real                ? read_real(number, *type, bytes)
                                      : read_whole(number, *type, bytes);
    return good || wrong(message, "a value that its type holds", text);
}

bool values_read(const char *text, unsigned char bytes[VALUE_BYTES], size_t *size, char message[NPY_MESSAGE])
{
    size_t at = 0, alignment = 1;
    memset(bytes, 0, VALUE_BYTES);
    for (;;) {
        char one[128];
        unsigned char value[16];
        DLDataType type;
        size_t length = strcspn(text, ",");
        snprintf(one, sizeof one, "%.*s", (int)(length < 127 ? length : 127), text);
        if (!value_read(one, &type, value, message)) return false;
        size_t item = type.bits / 8u;
        at = (at + item - 1) / item * item;
        if (at + item > VALUE_BYTES - 16) return wrong(message, "at most 4,080 bytes", text);
        memcpy(bytes + at, value, item);
        at += item;
        if (item > alignment) alignment = item;
        if (!text[length]) break;
        text += length + 1;
    }
    *size = (at + alignment - 1) / alignment * alignment;
    return true;
}

int numbers_read(const char *text, int64_t *numbers, int most, int64_t limit)
{
    for (int count = 0; count < most;) {
        char *end;
        errno = 0;
        long long number = strtoll(text, &end, 10);
        if (errno || end == text || number < 0 || number >= limit || *text == '+' || *text == ' ') return 0;
        numbers[count++] = number;
        if (!*end) return count;
        if (*end != ',') return 0;
        text = end + 1;
    }
    return 0;
}
