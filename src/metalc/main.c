/* SPDX-License-Identifier: Apache-2.0 */
/* smelt-metalc: reads requests from its standard input, answers on its standard output, ends when the input does.
   It limits itself, so that hostile text costs no more than an answer that says so. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "answer.h"
#include "protocol.h"

enum { SECONDS_PER_REQUEST = 60 };

static void limit(int resource, rlim_t most)
{
    struct rlimit r;
    if (getrlimit(resource, &r)) return;
    if (r.rlim_max == RLIM_INFINITY || r.rlim_max > most) r.rlim_max = most;
    r.rlim_cur = r.rlim_max;
    setrlimit(resource, &r);
}

static bool read_all(void *to, size_t count)
{
    for (char *at = to; count;) {
        ssize_t got = read(STDIN_FILENO, at, count);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += got;
        count -= (size_t)got;
    }
    return true;
}

static bool write_all(const void *from, size_t count)
{
    for (const char *at = from; count;) {
        ssize_t put = write(STDOUT_FILENO, at, count);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        at += put;
        count -= (size_t)put;
    }
    return true;
}

int main(int count, char **arguments)
{
    if (count > 1 && !strcmp(arguments[1], "--version")) return puts(SMELT_METALC_VERSION) < 0;
    if (count == 4 && !strcmp(arguments[1], "--precompile")) {
        struct text log = {0};
        bool good = precompile_prelude((unsigned)atoi(arguments[2]), arguments[3], &log);
        fputs(log.data ? log.data : "", stderr);
        return !good;
    }
    if (count > 1) {
        fprintf(stderr, "smelt-metalc is started by libsmelt.so and speaks over its pipes\n");
        return 2;
    }
    limit(RLIMIT_AS, (rlim_t)8 << 30);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, (rlim_t)64 << 20);
    for (uint64_t length; read_all(&length, sizeof length);) {
        if (length > SMELT_LONGEST_MESSAGE) return 4;
        char *request = must_allocate(length + 1, 1);
        if (!read_all(request, length)) return 4;
        struct text answer = {0};
        alarm(SECONDS_PER_REQUEST);
        answer_request(request, length, &answer);
        alarm(0);
        uint64_t size = answer.length;
        bool sent = write_all(&size, sizeof size) && write_all(answer.data, answer.length);
        text_free(&answer);
        free(request);
        if (!sent) return 4;
    }
    return 0;
}
