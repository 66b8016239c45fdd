/* How long a run takes in a micro-VM that is reset each time, against fork and exec of the same
 * program. Arguments: N, then the program and its arguments; --newline before the program ends a
 * response at a newline. The request is stdin. Prints medians in microseconds. */
#include "pv/clock.h"
#include "pv/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUNS_MAX = 100000, REQUEST_MAX = 1 << 16, SPAWNS = 40, CLONES = 40, LOOPS = 40 };

static uint8_t request[REQUEST_MAX];
static struct iovec body = {request, 0};
static double times[RUNS_MAX];
static double totals[RUNS_MAX];

static void stop(const char *what, const struct pv_err *err)
{
    fprintf(stderr, "vm_bench: %s: %s\n", what, err->text);
    exit(1);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_size);
    return v[n / 2];
}

static double us_since(uint64_t start)
{
    return (double)(pv_now_mono_ns() - start) / 1e3;
}

static void run(struct pv_vm *vm, struct pv_vm_result *result)
{
    struct pv_vm_call call = {.body = &body, .n_body = 1};
    struct pv_err err = PV_ERR_INIT;

    if (pv_vm_run(vm, &call, result, &err) < 0)
        stop("run", &err);
    if (result->end != PV_VM_EXITED && result->end != PV_VM_FINISHED) {
        fprintf(stderr, "vm_bench: the program ends by %s: %s\n", pv_vm_end_name(result->end),
                result->text);
        exit(1);
    }
}

static void measure_pooled(struct pv_vm_image *image, int n)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm_result r;
    struct pv_vm *vm;

    if (pv_vm_new(image, NULL, &vm, &err) < 0)
        stop("clone", &err);
    for (int i = 0; i < n + 10; i++) {
        uint64_t start = pv_now_mono_ns();

        if (pv_vm_reset(vm, &err) < 0)
            stop("reset", &err);
        double reset = us_since(start);
        run(vm, &r);
        times[i < 10 ? 0 : i - 10] = reset;
        totals[i < 10 ? 0 : i - 10] = us_since(start);
    }
    double p99;
    double mid = median(totals, n);
    p99 = totals[n * 99 / 100];
    printf("reset + run      %8.1f us median, %8.1f at 99 %% (reset %.1f, %llu pages; %llu exits, "
           "%llu calls in the guest)\n",
           mid, p99, median(times, n), (unsigned long long)r.stats.dirty_pages,
           (unsigned long long)r.stats.exits, (unsigned long long)r.stats.shim_calls);
    pv_vm_free(vm);
}

static void measure_clones(struct pv_vm_image *image)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm_result r;
    struct pv_vm *vm;

    for (int i = 0; i < CLONES; i++) {
        uint64_t start = pv_now_mono_ns();

        if (pv_vm_new(image, NULL, &vm, &err) < 0)
            stop("clone", &err);
        times[i] = us_since(start);
        run(vm, &r);
        totals[i] = us_since(start);
        pv_vm_free(vm);
    }
    double made = median(times, CLONES);
    printf("clone to answer  %8.1f us median (made in %.1f)\n", median(totals, CLONES), made);
}

/* Time from posix_spawn to the first byte of the answer. */
static double spawn_once(char **argv, char *const *env)
{
    posix_spawn_file_actions_t actions;
    char out[4096];
    int in[2];
    int back[2];
    pid_t pid;

    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(back, O_CLOEXEC) < 0)
        exit(1);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, back[1], 1);
    uint64_t start = pv_now_mono_ns();
    if (posix_spawn(&pid, argv[0], &actions, NULL, argv, env) != 0)
        exit(1);
    close(in[0]);
    close(back[1]);
    if (write(in[1], request, body.iov_len) < 0)
        exit(1);
    close(in[1]);
    ssize_t n = read(back[0], out, sizeof out);
    double first = us_since(start);
    while (n > 0)
        n = read(back[0], out, sizeof out);
    close(back[0]);
    waitpid(pid, NULL, 0);
    posix_spawn_file_actions_destroy(&actions);
    return first;
}

static void measure_overshoot(void)
{
    const char *argv[] = {"/bin/sh", "-c", "while :; do :; done", NULL};
    const char *const env[] = {NULL};
    struct pv_vm_spec spec = {.program = argv[0], .argv = argv, .env = env};
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm_result r;
    struct pv_vm *vm;

    spec.root_fd = open("/", O_PATH | O_DIRECTORY);
    for (int i = 0; i < LOOPS; i++) {
        if (pv_vm_boot(&spec, NULL, &vm, &err) < 0)
            stop("boot", &err);
        struct pv_vm_call call = {.deadline_ns = pv_now_mono_ns() + 20 * PV_NS_PER_MS};
        if (pv_vm_run(vm, &call, &r, &err) < 0)
            stop("run", &err);
        times[i] = us_since(call.deadline_ns);
        pv_vm_free(vm);
    }
    close(spec.root_fd);
    double mid = median(times, LOOPS);
    printf("past a deadline  %8.1f us median, %8.1f at most (a tight loop)\n", mid,
           times[LOOPS - 1]);
}

int main(int argc, char **argv)
{
    static char *const env[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LANG=C.UTF-8",
                                (char *)"PYTHONDONTWRITEBYTECODE=1", NULL};
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm_report report;
    struct pv_vm_image *image;
    struct pv_vm_spec spec = {.env = (const char *const *)env,
                              .limits = {.memory_bytes = 1ull << 30}};
    int n = argc > 2 ? (int)strtol(argv[1], NULL, 10) : 0;
    char **program = argv + 2;

    if (n < 1 || n > RUNS_MAX - 16) {
        fprintf(stderr, "usage: vm_bench N [--newline] PROGRAM [ARG...] <REQUEST\n");
        return 2;
    }
    if (!strcmp(*program, "--newline")) {
        spec.finish = PV_VM_FINISH_NEWLINE;
        program++;
    }
    if (pv_vm_available(&err) < 0)
        stop("skipped", &err);
    ssize_t got;
    while ((got = read(0, request + body.iov_len, sizeof request - body.iov_len)) > 0)
        body.iov_len += (size_t)got;
    usleep(30000); /* for the guest's clock to be calibrated, as in a host that has run a while */
    spec.root_fd = open("/", O_PATH | O_DIRECTORY);
    spec.program = program[0];
    spec.argv = (const char *const *)program;
    uint64_t start = pv_now_mono_ns();
    if (pv_vm_image_make(&spec, NULL, &image, &report, &err) < 0)
        stop("image", &err);
    printf("image            %8.1f us (to the first read %.1f), %.1f MiB, %u threads\n",
           us_since(start), (double)report.start_ns / 1e3, (double)report.image_bytes / 1048576,
           report.threads);
    measure_clones(image);
    measure_pooled(image, n);
    double pooled = median(totals, n);
    for (int i = 0; i < SPAWNS; i++)
        times[i] = spawn_once(program, env);
    double spawned = median(times, SPAWNS);
    printf("fork + exec      %8.1f us median to the first byte: %.0f times\n", spawned,
           spawned / pooled);
    pv_vm_image_free(image);
    measure_overshoot();
    close(spec.root_fd);
    return 0;
}
