/* SPDX-License-Identifier: Apache-2.0 */
/* Rivals in processes of their own. */
#include "rivals.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/parallel.h"
#include "measure.h"

enum { PATIENCE = 300 /* seconds for one answer; torch.compile takes its time */, LINE = 1 << 16 };

static struct rival {
    const char *engine;
    char name[64]; /* with its version */
    pid_t process; /* 0: not there, or gone */
    int to, from;
    bool takes_part; /* in this row */
    struct series series;
} rivals[] = {{.engine = "pytorch"},
              {.engine = "torch_compile"},
              {.engine = "onnx_runtime"},
              {.engine = "openvino"},
              {.engine = "mlx"}};
enum { RIVALS = sizeof rivals / sizeof *rivals };

static void dismiss(struct rival *r)
{
    if (!r->process) return;
    close(r->to), close(r->from);
    kill(r->process, SIGKILL);
    waitpid(r->process, NULL, 0);
    r->process = 0, r->takes_part = false;
}

static bool tell(struct rival *r, const char *line)
{
    size_t length = strlen(line);
    return write(r->to, line, length) == (ssize_t)length;
}

/* One line, without its end. False, and no rival any more, when it does not come. */
static bool hear(struct rival *r, char *line, size_t size)
{
    size_t length = 0;
    struct pollfd waiting = {.fd = r->from, .events = POLLIN};
    while (length + 1 < size && poll(&waiting, 1, PATIENCE * 1000) == 1) {
        if (read(r->from, line + length, 1) != 1) break;
        if (line[length] == '\n') return line[length] = 0, true;
        length++;
    }
    fprintf(stderr, "smelt bench: %s stopped answering\n", *r->name ? r->name : r->engine);
    dismiss(r);
    return false;
}

static void become(struct rival *r, const char *python, const char *script, int threads, int in, int out)
{
    char count[16];
    snprintf(count, sizeof count, "%d", threads);
    dup2(in, STDIN_FILENO), dup2(out, STDOUT_FILENO);
    /* Memory that was given back comes back warm, on large pages: a rival's fresh outputs are no page faults.
     */
    setenv("MALLOC_MMAP_MAX_", "0", 1);
    setenv("MALLOC_TRIM_THRESHOLD_", "68719476736", 1);
    setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 1);
    setenv("OMP_NUM_THREADS", count, 1);
    execlp(python, python, script, r->engine, count, (char *)NULL);
    _exit(127);
}

static void hire(struct rival *r, const char *python, const char *script, int threads)
{
    int there[2], back[2];
    if (pipe2(there, O_CLOEXEC)) return;
    if (pipe2(back, O_CLOEXEC)) {
        close(there[0]), close(there[1]);
        return;
    }
    fflush(NULL);
    pid_t process = fork();
    if (process == 0) {
        close(there[1]), close(back[0]);
        become(r, python, script, threads, there[0], back[1]);
    }
    close(there[0]), close(back[1]);
    r->process = process > 0 ? process : 0, r->to = there[1], r->from = back[0];
    if (!r->process) close(there[1]), close(back[0]);
}

bool rivals_start(void)
{
    const char *script = getenv("SMELT_RIVALS"), *python = getenv("SMELT_RIVALS_PYTHON");
    struct smelt_run run;
    if (!script || !python || smelt_run_init(&run, "bench", NULL) != SMELT_OK) {
        fprintf(stderr,
                "smelt bench: --rivals: SMELT_RIVALS (bench/rivals/rival.py) and SMELT_RIVALS_PYTHON are not "
                "set; \"make bench\" sets them and installs the rivals\n");
        return false;
    }
    signal(SIGPIPE, SIG_IGN);
    int there = 0;
    for (int i = 0; i < RIVALS; i++) { /* one after the other: a child must not hold another's pipes */
        char line[256];
        hire(&rivals[i], python, script, run.slots);
        if (!rivals[i].process || !hear(&rivals[i], line, sizeof line)) continue;
        if (strncmp(line, "ready ", 6)) {
            fprintf(stderr, "smelt bench: no %s: %s\n", rivals[i].engine, line);
            dismiss(&rivals[i]);
            continue;
        }
        snprintf(rivals[i].name, sizeof rivals[i].name, "%.60s", line + 6);
        there++;
    }
    return there > 0;
}

void rivals_begin(const struct bench_row *row)
{
    char line[256], answer[256];
    snprintf(line, sizeof line, "case %s|%s|%s\n", row->operation, row->shape, smelt_dtype_name(row->dtype));
    for (int i = 0; i < RIVALS; i++) {
        struct rival *r = &rivals[i];
        r->series.count = 0;
        r->takes_part =
            r->process && tell(r, line) && hear(r, answer, sizeof answer) && !strcmp(answer, "yes");
    }
}

void rivals_sample(void *unused)
{
    static char line[LINE];
    (void)unused;
    for (int i = 0; i < RIVALS; i++) {
        struct rival *r = &rivals[i];
        if (!r->takes_part || !tell(r, "sample 0.1\n") || !hear(r, line, sizeof line)) continue;
        char *at = strchr(line, ' ');
        while (at && *at == ' ') series_add(&r->series, strtod(at, &at));
    }
}

void rivals_end(struct bench_row *row)
{
    row->rival_count = 0;
    for (int i = 0; i < RIVALS; i++) {
        struct rival *r = &rivals[i];
        if (r->process) tell(r, "end\n");
        if (r->series.count && row->rival_count < BENCH_RIVALS)
            row->rivals[row->rival_count++] =
                (struct bench_rival){r->name, series_median(&r->series), r->series.count};
        r->series.count = 0, r->takes_part = false;
    }
}

void rivals_stop(void)
{
    for (int i = 0; i < RIVALS; i++) dismiss(&rivals[i]);
}
