/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays in NumPy's files, and scalar types by the names that NumPy and Metal give them. */
#ifndef SMELT_TOOLS_NPY_H
#define SMELT_TOOLS_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smelt/dlpack.h>

enum { NPY_RANK = 32, NPY_MESSAGE = 256 };

/* The type of that name: float32, float, f4, bfloat16, uchar, uint8_t, ... */
bool type_find(const char *name, size_t length, DLDataType *type);
const char *type_name(DLDataType type); /* as NumPy calls it */

struct npy {
    DLDataType type; /* bfloat16 is uint16 in a file */
    int rank;
    int64_t shape[NPY_RANK];
    size_t bytes;
    void *data; /* row-major, aligned to 64; freed by npy_free() */
};

/* Memory of zeros. False after a message. */
bool npy_make(struct npy *array, DLDataType type, int rank, const int64_t *shape, char message[NPY_MESSAGE]);
bool npy_read(struct npy *array, const char *path, char message[NPY_MESSAGE]);
bool npy_write(const struct npy *array, const char *path, char message[NPY_MESSAGE]);
void npy_free(struct npy *array);

#endif
