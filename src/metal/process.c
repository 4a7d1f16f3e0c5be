/* SPDX-License-Identifier: Apache-2.0 */
/* Starting smelt-metalc and talking to it over two pipes. One request at a time; a compiler that ends, hangs
   or says nonsense is an error of that request, and the next one starts another. */
#include "metal/process.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_SECONDS = 90 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    pid_t pid, owner; /* owner: the process that started it, as a fork must not share it */
    int to, from;
} child;

static bool runnable(const char *path) { return access(path, X_OK) == 0; }

/* The folder of this code: the library's, or the program's where the library is part of it. */
static bool find_home(char home[4096])
{
    Dl_info here;
    char named[4096] = "";
    if (dladdr((void *)(intptr_t)&smelt_compiler_path, &here) && here.dli_fname)
        snprintf(named, sizeof named, "%s", here.dli_fname);
    /* a program has its first argument there, which may be a bare word */
    if (!strchr(named, '/') || !realpath(named, home)) {
        ssize_t length = readlink("/proc/self/exe", home, 4095);
        if (length < 0) return false;
        home[length] = 0;
    }
    *strrchr(home, '/') = 0;
    return true;
}

/* SMELT_METALC, or beside the library, or where packages and build trees put it. */
static void find_compiler(char path[4096])
{
    static const char *const places[] = {"smelt-metalc",
                                         "smelt/smelt-metalc",
                                         "../smelt/smelt-metalc",
                                         "bin/smelt-metalc",
                                         "../lib/smelt/smelt-metalc",
                                         "../libexec/smelt/smelt-metalc",
                                         "src/metalc/smelt-metalc",
                                         "../src/metalc/smelt-metalc",
                                         "../../src/metalc/smelt-metalc",
                                         "/usr/local/lib/smelt/smelt-metalc",
                                         "/usr/lib/smelt/smelt-metalc",
                                         NULL};
    const char *named = getenv("SMELT_METALC");
    char home[4096];
    path[0] = 0;
    if (named && *named) {
        snprintf(path, 4096, "%s", named);
        return;
    }
    if (!find_home(home)) return;
    for (const char *const *place = places; *place; place++) {
        int length =
            **place == '/' ? snprintf(path, 4096, "%s", *place) : snprintf(path, 4096, "%s/%s", home, *place);
        if (length < 4096 && runnable(path)) return;
    }
    path[0] = 0;
}

const char *smelt_compiler_path(void)
{
    static _Thread_local char whole[4096];
    char path[4096];
    find_compiler(path);
    return path[0] && runnable(path) && realpath(path, whole) ? whole : NULL;
}

static void stop_child(void)
{
    if (child.pid <= 0) return;
    if (child.to >= 0) close(child.to);
    if (child.from >= 0) close(child.from);
    if (child.owner == getpid()) {
        kill(child.pid, SIGKILL);
        while (waitpid(child.pid, NULL, 0) < 0 && errno == EINTR) continue;
    }
    child.pid = 0;
}

static bool make_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC)) return false;
    /* out of the way of the child's standard descriptors */
    for (int k = 0; k < 2; k++)
        if (ends[k] < 3) {
            int moved = fcntl(ends[k], F_DUPFD_CLOEXEC, 3);
            close(ends[k]);
            ends[k] = moved;
        }
    return ends[0] >= 0 && ends[1] >= 0;
}

static smelt_status start_child(void)
{
    char path[4096];
    int to[2] = {-1, -1}, from[2] = {-1, -1};
    find_compiler(path);
    if (!path[0] || !runnable(path))
        return smelt_fail(SMELT_UNSUPPORTED,
                          "custom kernels need the compiler smelt-metalc, which is not %s%s: install LLVM 19 "
                          "(libclang-cpp19, libllvm19) and the package smelt-metalc, or set SMELT_METALC",
                          path[0] ? "at " : "beside the library", path);
    if (!make_pipe(to) || !make_pipe(from))
        return smelt_fail(SMELT_IO_ERROR, "custom kernels: no pipe to the compiler: %s", strerror(errno));
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 34)
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
#endif
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    char *arguments[] = {path, NULL}, *environment[] = {NULL};
    int error = posix_spawn(&child.pid, path, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(to[0]);
    close(from[1]);
    child.to = to[1];
    child.from = from[0];
    child.owner = getpid();
    if (!error) return SMELT_OK;
    close(child.to);
    close(child.from);
    child.pid = 0;
    return smelt_fail(SMELT_IO_ERROR, "custom kernels: cannot start %s: %s", path, strerror(error));
}

/* Moves bytes with a deadline, and without SIGPIPE for the caller. */
static bool move_bytes(int descriptor, char *bytes, size_t count, bool writing, time_t deadline)
{
    while (count) {
        struct pollfd wait = {descriptor, writing ? POLLOUT : POLLIN, 0};
        time_t left = deadline - time(NULL);
        int ready = left > 0 ? poll(&wait, 1, (int)left * 1000) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return false;
        ssize_t moved = writing ? write(descriptor, bytes, count > 65536 ? 65536 : count)
                                : read(descriptor, bytes, count);
        if (moved < 0 && errno == EINTR) continue;
        if (moved <= 0) return false;
        bytes += moved;
        count -= (size_t)moved;
    }
    return true;
}

static bool exchange(const struct smelt_message *request, char **answer, size_t *size)
{
    time_t deadline = time(NULL) + PATIENCE_SECONDS;
    uint64_t length = request->length;
    if (!move_bytes(child.to, (char *)&length, sizeof length, true, deadline) ||
        !move_bytes(child.to, request->data, request->length, true, deadline) ||
        !move_bytes(child.from, (char *)&length, sizeof length, false, deadline) ||
        length > SMELT_LONGEST_MESSAGE)
        return false;
    *size = (size_t)length;
    *answer = malloc((size_t)length + 1);
    if (!*answer) return false;
    if (move_bytes(child.from, *answer, (size_t)length, false, deadline)) return true;
    free(*answer);
    return false;
}

/* How a child ended that did not answer. */
static smelt_status explain(void)
{
    int state = 0;
    pid_t ended = waitpid(child.pid, &state, WNOHANG);
    for (int k = 0; ended == 0 && k < 20; k++) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        ended = waitpid(child.pid, &state, WNOHANG);
    }
    if (ended == child.pid) {
        close(child.to);
        close(child.from);
        child.pid = 0;
        if (WIFSIGNALED(state))
            return smelt_fail(SMELT_COMPILE_ERROR, "the Metal compiler ended by signal %d (%s) on this text",
                              WTERMSIG(state),
                              WTERMSIG(state) == SIGALRM ? "it took too long" : strsignal(WTERMSIG(state)));
        return smelt_fail(SMELT_COMPILE_ERROR, "the Metal compiler ended with code %d on this text%s",
                          WEXITSTATUS(state), WEXITSTATUS(state) == 3 ? " (it ran out of memory)" : "");
    }
    stop_child();
    return smelt_fail(SMELT_COMPILE_ERROR, "the Metal compiler did not answer within %d seconds",
                      PATIENCE_SECONDS);
}

smelt_status smelt_compiler_ask(const struct smelt_message *request, char **answer, size_t *size)
{
    sigset_t pipe_signal, old, pending;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_mutex_lock(&lock);
    sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &old);
    if (child.pid > 0 && child.owner != getpid()) stop_child();
    /* a warm child may have been ended by someone since: that is not this text's fault */
    if (child.pid > 0 && waitpid(child.pid, NULL, WNOHANG) == child.pid) {
        close(child.to);
        close(child.from);
        child.pid = 0;
    }
    smelt_status status = child.pid > 0 ? SMELT_OK : start_child();
    if (status == SMELT_OK && !exchange(request, answer, size)) status = explain();
    if (!was_pending) sigtimedwait(&pipe_signal, NULL, &(struct timespec){0, 0});
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_mutex_unlock(&lock);
    return status;
}
