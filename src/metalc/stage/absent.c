/* SPDX-License-Identifier: Apache-2.0 */
/* What the static smelt-metalc leaves out of LLVM's surroundings: compression, which only its own precompiled
   prelude meets and which here just copies, and Polly, whose entry does nothing. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

size_t ZSTD_compressBound(size_t size);
size_t ZSTD_compress2(void *context, void *to, size_t room, const void *from, size_t size);
size_t ZSTD_decompress(void *to, size_t room, const void *from, size_t size);
void *ZSTD_createCCtx(void);
size_t ZSTD_freeCCtx(void *context);
size_t ZSTD_CCtx_setParameter(void *context, int parameter, int value);
unsigned ZSTD_isError(size_t code);
const char *ZSTD_getErrorName(size_t code);
unsigned long compressBound(unsigned long size);
int compress2(unsigned char *to, unsigned long *room, const unsigned char *from, unsigned long size,
              int level);
int uncompress(unsigned char *to, unsigned long *room, const unsigned char *from, unsigned long size);
unsigned long crc32(unsigned long sum, const unsigned char *bytes, unsigned count);

size_t ZSTD_compressBound(size_t size) { return size; }
static size_t copy(void *to, size_t room, const void *from, size_t size)
{
    if (size > room) return SIZE_MAX;
    memcpy(to, from, size);
    return size;
}
size_t ZSTD_compress2(void *context, void *to, size_t room, const void *from, size_t size)
{
    (void)context;
    return copy(to, room, from, size);
}
size_t ZSTD_decompress(void *to, size_t room, const void *from, size_t size)
{
    return copy(to, room, from, size);
}
void *ZSTD_createCCtx(void)
{
    static char context;
    return &context;
}
size_t ZSTD_freeCCtx(void *context)
{
    (void)context;
    return 0;
}
size_t ZSTD_CCtx_setParameter(void *context, int parameter, int value)
{
    (void)context, (void)parameter, (void)value;
    return 0;
}
unsigned ZSTD_isError(size_t code) { return code == SIZE_MAX; }
const char *ZSTD_getErrorName(size_t code)
{
    (void)code;
    return "not compressed by smelt-metalc";
}
unsigned long compressBound(unsigned long size) { return size; }
static int copy_with_room(unsigned char *to, unsigned long *room, const unsigned char *from,
                          unsigned long size)
{
    size_t copied = copy(to, *room, from, size);
    if (copied == SIZE_MAX) return -5; /* Z_BUF_ERROR */
    *room = copied;
    return 0;
}
int compress2(unsigned char *to, unsigned long *room, const unsigned char *from, unsigned long size,
              int level)
{
    (void)level;
    return copy_with_room(to, room, from, size);
}
int uncompress(unsigned char *to, unsigned long *room, const unsigned char *from, unsigned long size)
{
    return copy_with_room(to, room, from, size);
}
unsigned long crc32(unsigned long sum, const unsigned char *bytes, unsigned count)
{
    (void)bytes, (void)count; /* of separate debug files, which nobody asks for */
    return sum;
}

/* llvm::PassPluginLibraryInfo, and a call-back that registers no pass. */
struct plugin {
    uint32_t version;
    const char *name, *revision;
    void (*add)(void *builder);
};
static void add_nothing(void *builder) { (void)builder; }
struct plugin polly_entry(void) __asm__("_Z18getPollyPluginInfov");
struct plugin polly_entry(void) { return (struct plugin){1, "none", "", add_nothing}; }
