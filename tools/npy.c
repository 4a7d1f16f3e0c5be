/* SPDX-License-Identifier: Apache-2.0 */
/* .npy files: versions 1 to 3, little-endian, plain numbers. */
#include "npy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *code;  /* in the file; also a name */
    const char *names; /* NumPy's first, then Metal's; each between spaces */
    DLDataType type;
} types[] = {
    {"b1", " bool ", {kDLBool, 8, 1}},
    {"i1", " int8 char int8_t ", {kDLInt, 8, 1}},
    {"u1", " uint8 uchar uint8_t ", {kDLUInt, 8, 1}},
    {"i2", " int16 short int16_t ", {kDLInt, 16, 1}},
    {"u2", " uint16 ushort uint16_t ", {kDLUInt, 16, 1}},
    {"i4", " int32 int int32_t ", {kDLInt, 32, 1}},
    {"u4", " uint32 uint uint32_t ", {kDLUInt, 32, 1}},
    {"i8", " int64 long int64_t ptrdiff_t ", {kDLInt, 64, 1}},
    {"u8", " uint64 ulong uint64_t size_t ", {kDLUInt, 64, 1}},
    {"f2", " float16 half float16_t ", {kDLFloat, 16, 1}},
    {"u2", " bfloat16 bfloat bfloat16_t ", {kDLBfloat, 16, 1}},
    {"f4", " float32 float ", {kDLFloat, 32, 1}},
    {"f8", " float64 double ", {kDLFloat, 64, 1}},
    {"c8", " complex64 complex64_t ", {kDLComplex, 64, 1}},
    {"c16", " complex128 ", {kDLComplex, 128, 1}},
};
enum { TYPES = sizeof types / sizeof *types };

bool type_find(const char *name, size_t length, DLDataType *type)
{
    char word[40];
    if (length == 0 || length > sizeof word - 3) return false;
    snprintf(word, sizeof word, " %.*s ", (int)length, name);
    for (int i = 0; i < TYPES; i++)
        if (strstr(types[i].names, word) ||
            (strlen(types[i].code) == length && !strncmp(types[i].code, name, length)))
            return *type = types[i].type, true;
    return false;
}

static int place_of(DLDataType type)
{
    for (int i = 0; i < TYPES; i++)
        if (types[i].type.code == type.code && types[i].type.bits == type.bits) return i;
    return 0;
}

const char *type_name(DLDataType type)
{
    static char name[TYPES][16];
    int i = place_of(type);
    const char *begin = types[i].names + 1;
    snprintf(name[i], sizeof name[i], "%.*s", (int)strcspn(begin, " "), begin);
    return name[i];
}

void npy_free(struct npy *array)
{
    free(array->data);
    array->data = NULL;
}

bool npy_make(struct npy *array, DLDataType type, int rank, const int64_t *shape, char message[NPY_MESSAGE])
{
    size_t bytes = type.bits / 8u;
    for (int k = 0; k < rank; k++)
        if (__builtin_mul_overflow(bytes, (size_t)shape[k], &bytes) || bytes > SIZE_MAX / 4)
            return snprintf(message, NPY_MESSAGE, "an array too large"), false;
    *array = (struct npy){.type = type, .rank = rank, .bytes = bytes};
    memcpy(array->shape, shape, (size_t)rank * sizeof *shape);
    size_t whole = (bytes + 64) / 64 * 64;
    array->data = aligned_alloc(64, whole);
    if (!array->data) return snprintf(message, NPY_MESSAGE, "no memory for %zu bytes", bytes), false;
    memset(array->data, 0, whole);
    return true;
}

/* What stands behind a key of the header's dictionary. */
static const char *value_of(const char *header, const char *key)
{
    const char *found = strstr(header, key);
    if (!found) return "";
    found += strlen(key);
    return found + strspn(found, ": ");
}

static bool read_header(const char *header, struct npy *array, bool *by_columns, char message[NPY_MESSAGE])
{
    const char *type = value_of(header, "'descr'"), *shape = value_of(header, "'shape'");
    *by_columns = !strncmp(value_of(header, "'fortran_order'"), "True", 4);
    size_t length = strcspn(type + (*type == '\''), "'");
    if (*type != '\'' || length < 2 || !strchr("<|=", type[1]) ||
        !type_find(type + 2, length - 1, &array->type))
        return snprintf(message, NPY_MESSAGE, "expected little-endian numbers, got descr %.40s", type), false;
    if (*shape++ != '(') return snprintf(message, NPY_MESSAGE, "a header without a shape"), false;
    for (array->rank = 0; array->rank < NPY_RANK; array->rank++) {
        char *end;
        long long axis = strtoll(shape, &end, 10);
        if (end == shape) break;
        if (axis < 0) return snprintf(message, NPY_MESSAGE, "a header with a negative shape"), false;
        array->shape[array->rank] = axis;
        shape = end + strspn(end, ", L");
    }
    if (*shape != ')')
        return snprintf(message, NPY_MESSAGE, "a header with a shape that does not end"), false;
    return true;
}

/* The file holds the first axis fastest. */
static bool turn_rows(struct npy *array, char message[NPY_MESSAGE])
{
    struct npy rows;
    size_t item = array->type.bits / 8u, count = item ? array->bytes / item : 0;
    int64_t index[NPY_RANK] = {0};
    if (!npy_make(&rows, array->type, array->rank, array->shape, message)) return false;
    for (size_t k = 0; k < count; k++) {
        size_t at = 0;
        for (int axis = array->rank - 1; axis >= 0; axis--)
            at = at * (size_t)array->shape[axis] + (size_t)index[axis];
        memcpy((char *)rows.data + k * item, (const char *)array->data + at * item, item);
        for (int axis = array->rank - 1; axis >= 0 && ++index[axis] == array->shape[axis]; axis--)
            index[axis] = 0;
    }
    npy_free(array);
    *array = rows;
    return true;
}

static bool read_file(FILE *file, struct npy *array, char message[NPY_MESSAGE])
{
    unsigned char head[12];
    if (fread(head, 1, 10, file) != 10 || memcmp(head, "\x93NUMPY", 6) || head[6] < 1 || head[6] > 3)
        return snprintf(message, NPY_MESSAGE, "not a .npy file"), false;
    size_t length = head[8] | (size_t)head[9] << 8;
    if (head[6] > 1) {
        if (fread(head + 10, 1, 2, file) != 2) return snprintf(message, NPY_MESSAGE, "ends early"), false;
        length |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    }
    if (length > 1 << 20) return snprintf(message, NPY_MESSAGE, "a header of %zu bytes", length), false;
    char *header = calloc(length + 1, 1);
    bool by_columns = false;
    struct npy form;
    bool good = header && fread(header, 1, length, file) == length;
    if (!good) snprintf(message, NPY_MESSAGE, "ends early");
    good = good && read_header(header, &form, &by_columns, message) &&
           npy_make(array, form.type, form.rank, form.shape, message);
    free(header);
    if (!good) return false;
    if (fread(array->data, 1, array->bytes, file) != array->bytes)
        return snprintf(message, NPY_MESSAGE, "ends early: expected %zu bytes of data", array->bytes), false;
    return !by_columns || array->rank < 2 || turn_rows(array, message);
}

bool npy_read(struct npy *array, const char *path, char message[NPY_MESSAGE])
{
    *array = (struct npy){.data = NULL};
    FILE *file = fopen(path, "rb");
    if (!file) return snprintf(message, NPY_MESSAGE, "%s", strerror(errno)), false;
    bool good = read_file(file, array, message);
    fclose(file);
    if (!good) npy_free(array);
    return good;
}

bool npy_write(const struct npy *array, const char *path, char message[NPY_MESSAGE])
{
    char header[1024], shape[NPY_RANK * 22 + 2] = "";
    int at = 0;
    for (int k = 0; k < array->rank; k++)
        at += snprintf(shape + at, sizeof shape - (size_t)at, "%lld, ", (long long)array->shape[k]);
    const char *code = types[place_of(array->type)].code;
    int length = snprintf(header, sizeof header, "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s), }",
                          array->type.bits == 8 ? '|' : '<', code, shape);
    while ((length + 11) % 64) header[length++] = ' '; /* data begin at a multiple of 64 */
    header[length++] = '\n';
    unsigned char head[10] = "\x93NUMPY\x01";
    head[8] = (unsigned char)length, head[9] = (unsigned char)(length >> 8);
    FILE *file = fopen(path, "wb");
    bool good = file && fwrite(head, 1, 10, file) == 10 &&
                fwrite(header, 1, (size_t)length, file) == (size_t)length &&
                fwrite(array->data, 1, array->bytes, file) == array->bytes;
    if (file) good = !fclose(file) && good;
    if (!good) snprintf(message, NPY_MESSAGE, "%s", strerror(errno));
    return good;
}
