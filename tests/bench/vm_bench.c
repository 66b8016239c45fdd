/* How long a run takes in a micro-VM that is reset each time, against fork and exec of the same
 * program. Without a program: all that is promised of micro-VMs, in one table. With one (--newline
 * before it ends a response at a newline): medians for it, the request is stdin. */
#include "vm_measure.h"
#include "vm_table.h"

#include "pv/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REQUEST_MAX = 1 << 16, SPAWNS = 40, CLONES = 40, LOOPS = 40, TABLE_RUNS = 1000 };

static uint8_t request[REQUEST_MAX];
static struct iovec body = {request, 0};
static double times[VM_RUNS_MAX], totals[VM_RUNS_MAX];

static double measure_pooled(struct pv_vm_image *image, int n)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm *vm;

    if (pv_vm_new(image, NULL, &vm, &err) < 0)
        vm_stop("clone", err.text);
    (void)vm_time_runs(vm, &body, 10, totals, times);
    struct pv_vm_result r = vm_time_runs(vm, &body, n, totals, times);
    double mid = vm_median(totals, n);
    printf("reset + run      %8.1f us median, %8.1f at 99 %% (reset %.1f, %llu pages; %llu exits, "
           "%llu calls in the guest)\n",
           mid, totals[n * 99 / 100], vm_median(times, n), (unsigned long long)r.stats.dirty_pages,
           (unsigned long long)r.stats.exits, (unsigned long long)r.stats.shim_calls);
    pv_vm_free(vm);
    return mid;
}

static void measure_clones(struct pv_vm_image *image)
{
    for (int i = 0; i < CLONES; i++)
        totals[i] = vm_time_clone(image, &body, &times[i]);
    double made = vm_median(times, CLONES);
    printf("clone to answer  %8.1f us median (made in %.1f)\n", vm_median(totals, CLONES), made);
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
            vm_stop("boot", err.text);
        struct pv_vm_call call = {.deadline_ns = pv_now_mono_ns() + 20 * PV_NS_PER_MS};
        if (pv_vm_run(vm, &call, &r, &err) < 0)
            vm_stop("run", err.text);
        times[i] = vm_us_since(call.deadline_ns);
        pv_vm_free(vm);
    }
    close(spec.root_fd);
    double mid = vm_median(times, LOOPS);
    printf("past a deadline  %8.1f us median, %8.1f at most (a tight loop)\n", mid,
           times[LOOPS - 1]);
}

static void measure_program(char **program, enum pv_vm_finish finish, int n)
{
    static char *const env[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LANG=C.UTF-8",
                                (char *)"PYTHONDONTWRITEBYTECODE=1", NULL};
    struct pv_vm_spec spec = {.program = program[0],
                              .argv = (const char *const *)program,
                              .env = (const char *const *)env,
                              .limits = {.memory_bytes = 1ull << 30},
                              .finish = finish};
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm_report report;
    struct pv_vm_image *image;
    ssize_t got;

    while ((got = read(0, request + body.iov_len, sizeof request - body.iov_len)) > 0)
        body.iov_len += (size_t)got;
    spec.root_fd = open("/", O_PATH | O_DIRECTORY);
    uint64_t start = pv_now_mono_ns();
    if (pv_vm_image_make(&spec, NULL, &image, &report, &err) < 0)
        vm_stop("image", err.text);
    printf("image            %8.1f us (to the first read %.1f), %.1f MiB, %u threads\n",
           vm_us_since(start), (double)report.start_ns / 1e3, (double)report.image_bytes / 1048576,
           report.threads);
    measure_clones(image);
    double pooled = measure_pooled(image, n);
    for (int i = 0; i < SPAWNS; i++)
        times[i] = vm_time_spawn(program, env, &body);
    double spawned = vm_median(times, SPAWNS);
    printf("fork + exec      %8.1f us median to the first byte: %.0f times\n", spawned,
           spawned / pooled);
    pv_vm_image_free(image);
    close(spec.root_fd);
}

int main(int argc, char **argv)
{
    struct pv_err err = PV_ERR_INIT;
    long n = argc > 1 ? strtol(argv[1], NULL, 10) : TABLE_RUNS;
    bool newline = argc > 2 && !strcmp(argv[2], "--newline");
    char **program = argv + (newline ? 3 : 2);

    if (n < 10 || n > VM_RUNS_MAX || (newline && argc < 4)) {
        fprintf(stderr, "usage: vm_bench [N [[--newline] PROGRAM [ARG...]]]\n");
        return 2;
    }
    if (pv_vm_available(&err) < 0)
        vm_stop("skipped", err.text);
    usleep(30000); /* for the guest's clock to be calibrated, as in a host that has run a while */
    if (argc < 3)
        return vm_table((int)n);
    measure_program(program, newline ? PV_VM_FINISH_NEWLINE : PV_VM_FINISH_EXIT, (int)n);
    measure_overshoot();
    return 0;
}
