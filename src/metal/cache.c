/* SPDX-License-Identifier: Apache-2.0 */
/* The cache is a folder of the user's own, mode 0700. A file holds the key and the answer in full, so that neither a
   collision nor damage can pass for an answer; it appears whole, by rename. */
#include "metal/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "smelt kernel 1\n\n"

struct header {
    char magic[16];
    uint64_t key_length, answer_length;
    struct smelt_hash answer_hash;
};

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    return x;
}

struct smelt_hash smelt_hash_of(const void *bytes, size_t length)
{
    struct smelt_hash h = {{length, UINT64_C(0x9e3779b97f4a7c15)}};
    const char *at = bytes;
    for (size_t k = 0; k < length; k += 8) {
        uint64_t word = 0;
        memcpy(&word, at + k, length - k < 8 ? length - k : 8);
        h.words[0] = mix(h.words[0] ^ word) * UINT64_C(0xff51afd7ed558ccd);
        h.words[1] = mix(h.words[1] + word + h.words[0]);
    }
    return h;
}

static void note(const char *what, const char *path)
{
    const char *verbose = getenv("SMELT_VERBOSE");
    if (verbose && *verbose && strcmp(verbose, "0") != 0)
        fprintf(stderr, "smelt: kernel cache: %s: %s (%s)\n", path, what, strerror(errno));
}

static bool make_folders(char *path)
{
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        int made = mkdir(path, 0700);
        *slash = '/';
        if (made && errno != EEXIST) return false;
    }
    return !mkdir(path, 0700) || errno == EEXIST;
}

/* The folder, made if need be; false where there is none that belongs to us alone. */
static bool open_folder(char path[3072], bool make)
{
    const char *named = getenv("SMELT_CACHE_DIR"), *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    struct stat state;
    if (named && *named) snprintf(path, 3072, "%s", named);
    else if (base && *base == '/') snprintf(path, 3072, "%s/smelt", base);
    else if (home && *home == '/') snprintf(path, 3072, "%s/.cache/smelt", home);
    else return false;
    if (make && !make_folders(path)) {
        note("cannot be made", path);
        return false;
    }
    if (stat(path, &state)) return false;
    if (!S_ISDIR(state.st_mode) || state.st_uid != geteuid() || state.st_mode & (S_IWGRP | S_IWOTH)) {
        errno = EPERM;
        note("is not a folder of this user alone, ignored", path);
        return false;
    }
    return true;
}

static bool file_of(const struct smelt_message *key, char path[4096], bool make)
{
    char folder[3072];
    struct smelt_hash h = smelt_hash_of(key->data, key->length);
    if (!open_folder(folder, make)) return false;
    snprintf(path, 4096, "%s/%016llx%016llx.kernel", folder, (unsigned long long)h.words[0],
             (unsigned long long)h.words[1]);
    return true;
}

static bool read_whole(int file, void *to, size_t count)
{
    for (char *at = to; count;) {
        ssize_t got = read(file, at, count);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += got;
        count -= (size_t)got;
    }
    return true;
}

static bool write_whole(int file, const void *from, size_t count)
{
    for (const char *at = from; count;) {
        ssize_t put = write(file, at, count);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        at += put;
        count -= (size_t)put;
    }
    return true;
}

static bool read_answer(int file, const struct smelt_message *key, char **answer, size_t *size)
{
    struct header h;
    struct stat state;
    if (fstat(file, &state) || state.st_uid != geteuid() || !read_whole(file, &h, sizeof h)) return false;
    if (memcmp(h.magic, MAGIC, 16) || h.key_length != key->length ||
        h.answer_length > SMELT_LONGEST_MESSAGE ||
        (uint64_t)state.st_size != sizeof h + h.key_length + h.answer_length)
        return false;
    char *bytes = malloc(h.key_length + h.answer_length + 1);
    if (!bytes) return false;
    bool good = read_whole(file, bytes, h.key_length + h.answer_length) && !memcmp(bytes, key->data, key->length);
    if (good) {
        struct smelt_hash found = smelt_hash_of(bytes + h.key_length, h.answer_length);
        good = !memcmp(&found, &h.answer_hash, sizeof found);
    }
    if (!good) {
        free(bytes);
        return false;
    }
    memmove(bytes, bytes + h.key_length, h.answer_length);
    *answer = bytes;
    *size = h.answer_length;
    return true;
}

bool smelt_cache_read(const struct smelt_message *key, char **answer, size_t *size)
{
    char path[4096];
    if (!file_of(key, path, false)) return false;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return false;
    bool good = read_answer(file, key, answer, size);
    close(file);
    if (!good) {
        errno = EINVAL;
        note("is not what it should be, compiled again", path);
    }
    return good;
}

void smelt_cache_write(const struct smelt_message *key, const char *answer, size_t size)
{
    char path[4096], temporary[4096 + 32];
    static _Atomic unsigned number;
    if (!file_of(key, path, true)) return;
    snprintf(temporary, sizeof temporary, "%s.%ld.%u", path, (long)getpid(), number++);
    int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        note("cannot be written", temporary);
        return;
    }
    struct header h = {.key_length = key->length, .answer_length = size, .answer_hash = smelt_hash_of(answer, size)};
    memcpy(h.magic, MAGIC, 16);
    bool good = write_whole(file, &h, sizeof h) && write_whole(file, key->data, key->length) &&
                write_whole(file, answer, size);
    good = !close(file) && good;
    if (good && !rename(temporary, path)) return;
    note("cannot be written", path);
    unlink(temporary);
}
