#include "vm_measure.h"

#include "pv/clock.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void vm_stop(const char *what, const char *why)
{
    fprintf(stderr, "vm_bench: %s: %s\n", what, why);
    exit(1);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

double vm_median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_size);
    return v[n / 2];
}

double vm_us_since(uint64_t start_ns)
{
    return (double)(pv_now_mono_ns() - start_ns) / 1e3;
}

struct pv_vm_result vm_run_once(struct pv_vm *vm, const struct iovec *body)
{
    struct pv_vm_call call = {.body = body, .n_body = 1};
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm_result r;

    if (pv_vm_run(vm, &call, &r, &err) < 0)
        vm_stop("run", err.text);
    if (r.end != PV_VM_EXITED && r.end != PV_VM_FINISHED)
        vm_stop(pv_vm_end_name(r.end), r.text);
    return r;
}

struct pv_vm_result vm_time_runs(struct pv_vm *vm, const struct iovec *body, int n, double *total,
                                 double *reset)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm_result r = {.code = 0};

    for (int i = 0; i < n; i++) {
        uint64_t start = pv_now_mono_ns();

        if (pv_vm_reset(vm, &err) < 0)
            vm_stop("reset", err.text);
        reset[i] = vm_us_since(start);
        r = vm_run_once(vm, body);
        total[i] = vm_us_since(start);
    }
    return r;
}

double vm_time_clone(struct pv_vm_image *image, const struct iovec *body, double *ret_made)
{
    struct pv_err err = PV_ERR_INIT;
    uint64_t start = pv_now_mono_ns();
    struct pv_vm *vm;

    if (pv_vm_new(image, NULL, &vm, &err) < 0)
        vm_stop("clone", err.text);
    *ret_made = vm_us_since(start);
    (void)vm_run_once(vm, body);
    double answered = vm_us_since(start);
    pv_vm_free(vm);
    return answered;
}

/* ---- processes ---- */

static pid_t spawn(char *const *argv, char *const *env, int *ret_in, int *ret_out)
{
    posix_spawn_file_actions_t actions;
    int in[2];
    int back[2];
    pid_t pid;

    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(back, O_CLOEXEC) < 0)
        vm_stop("pipe", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, back[1], 1);
    int rc = posix_spawn(&pid, argv[0], &actions, NULL, argv, env);
    if (rc != 0)
        vm_stop(argv[0], strerror(rc));
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(back[1]);
    *ret_in = in[1];
    *ret_out = back[0];
    return pid;
}

static void put(int fd, const struct iovec *body)
{
    if (writev(fd, body, 1) != (ssize_t)body->iov_len)
        vm_stop("write the request", strerror(errno));
}

double vm_time_spawn(char *const *argv, char *const *env, const struct iovec *body)
{
    uint64_t start = pv_now_mono_ns();
    char out[4096];
    int in;
    int back;
    pid_t pid = spawn(argv, env, &in, &back);

    put(in, body);
    close(in);
    ssize_t n = read(back, out, sizeof out);
    double first = vm_us_since(start);
    while (n > 0)
        n = read(back, out, sizeof out);
    close(back);
    waitpid(pid, NULL, 0);
    return first;
}

static double read_line(int fd, uint64_t start)
{
    double first = 0;
    char byte = 0;

    while (byte != '\n') {
        if (read(fd, &byte, 1) != 1)
            vm_stop("the warm interpreter", "has ended");
        if (first == 0)
            first = vm_us_since(start);
    }
    return first;
}

void vm_warm_start(struct vm_warm *w, char *const *argv, char *const *env)
{
    w->pid = spawn(argv, env, &w->in, &w->out);
    (void)read_line(w->out, pv_now_mono_ns());
}

double vm_warm_time(const struct vm_warm *w, const struct iovec *body)
{
    uint64_t start = pv_now_mono_ns();

    put(w->in, body);
    double first = read_line(w->out, start);
    usleep(2000); /* for it to reap its child, which is not part of the answer */
    return first;
}

void vm_warm_stop(struct vm_warm *w)
{
    kill(w->pid, SIGKILL);
    close(w->in);
    close(w->out);
    waitpid(w->pid, NULL, 0);
}

/* ---- memory ---- */

static char cgroup[128]; /* "": not tried yet, "-": there is none */

static void leave_cgroup(void)
{
    char path[160];
    FILE *f;

    (void)snprintf(path, sizeof path, "%.*s/cgroup.procs", (int)(strrchr(cgroup, '/') - cgroup),
                   cgroup);
    f = fopen(path, "we");
    if (f) {
        fprintf(f, "%d\n", getpid());
        fclose(f);
    }
    (void)rmdir(cgroup);
}

static bool enter(const char *parent)
{
    char path[160];
    FILE *f;

    (void)snprintf(cgroup, sizeof cgroup, "%s/vm_bench.%d", parent, getpid());
    if (mkdir(cgroup, 0755) < 0)
        return false;
    (void)snprintf(path, sizeof path, "%s/cgroup.procs", cgroup);
    f = fopen(path, "we");
    bool in = f && fprintf(f, "%d\n", getpid()) > 0;
    in = f && fclose(f) == 0 && in;
    if (in)
        atexit(leave_cgroup);
    else
        (void)rmdir(cgroup);
    return in;
}

static int64_t number_in(const char *file)
{
    char path[200];
    long long n = -1;

    (void)snprintf(path, sizeof path, "%s/%s", cgroup, file);
    FILE *f = fopen(path, "re");
    if (f) {
        if (fscanf(f, "%lld", &n) != 1)
            n = -1;
        fclose(f);
    }
    return n;
}

int64_t vm_memory_used(void)
{
    if (!*cgroup && !enter("/sys/fs/cgroup/memory") && !enter("/sys/fs/cgroup"))
        cgroup[0] = 0x2d;
    int64_t v1 = number_in("memory.usage_in_bytes");

    return v1 >= 0 ? v1 : number_in("memory.current");
}

int64_t vm_memory_pss(void)
{
    FILE *f = fopen("/proc/self/smaps_rollup", "re");
    long long kib = -1;
    char line[256];

    while (f && fgets(line, sizeof line, f) && sscanf(line, "Pss: %lld", &kib) != 1)
        ;
    if (f)
        fclose(f);
    return kib < 0 ? -1 : kib * 1024;
}
