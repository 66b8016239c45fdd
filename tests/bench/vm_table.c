#include "vm_table.h"

#include "vm_measure.h"

#include "pv/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ROUNDS = 5, PEERS = 8, CLONES = 8, SMALL_VMS = 1000, PYTHON_VMS = 100 };

/* What interpreters and a C program do with the same request; 0: nothing is promised. */
static const struct subject {
    const char *name;
    const char *argv[3]; /* handlers are beside this file */
    double run_us, clone_us;
    double of_spawn, of_warm; /* how many times faster it is than the peer */
    const char *warm;         /* module for warm.py */
} subjects[] = {
    {"trivial C", {PV_BENCH_PROGRAMS "/work"}, 60, 2000, 0, 0, NULL},
    {"CPython, json",
     {"/usr/bin/python3", PV_BENCH_HANDLERS "/json_handler.py"},
     150,
     3500,
     80,
     4,
     "json_handler"},
    {"numpy",
     {"/usr/bin/python3", PV_BENCH_HANDLERS "/numpy_handler.py"},
     220,
     0,
     0,
     0,
     "numpy_handler"},
    {"perl", {"/usr/bin/perl", PV_BENCH_HANDLERS "/handler.pl"}, 240, 0, 0, 0, NULL},
    {"Lua, 60,000 tables",
     {"/usr/bin/lua5.4", PV_BENCH_HANDLERS "/tables.lua"},
     350,
     0,
     0,
     0,
     NULL},
    {"Node", {"/usr/bin/node", PV_BENCH_HANDLERS "/handler.js"}, 350, 0, 0, 0, NULL},
};
enum { EXITS_MAX = 2 };

static char *const env[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LANG=C.UTF-8",
                            (char *)"PYTHONDONTWRITEBYTECODE=1", NULL};
static char request[] = "{\"name\": \"world\", \"items\": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}\n";
static const struct iovec body = {request, sizeof request - 1};
static double totals[VM_RUNS_MAX], resets[VM_RUNS_MAX];
static int missed;

static const char *judge(double value, double goal, bool at_most)
{
    if (goal <= 0)
        return "";
    if (at_most ? value <= goal : value >= goal)
        return "met";
    missed = 1;
    return "MISSED";
}

static void say(const char *what, double value, const char *unit, double goal, bool at_most)
{
    char text[40] = "";

    if (goal > 0)
        (void)snprintf(text, sizeof text, "%s %g", at_most ? "at most" : "at least", goal);
    printf("  %-34s %10.1f %-6s %-15s %s\n", what, value, unit, text, judge(value, goal, at_most));
}

static struct pv_vm_image *image_of(const char *const *argv, uint64_t memory)
{
    struct pv_vm_spec spec = {.program = argv[0],
                              .argv = argv,
                              .env = (const char *const *)env,
                              .limits = {.memory_bytes = memory},
                              .finish = PV_VM_FINISH_NEWLINE};
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm_report report;
    struct pv_vm_image *image;

    spec.root_fd = open("/", O_PATH | O_DIRECTORY);
    if (pv_vm_image_make(&spec, NULL, &image, &report, &err) < 0)
        vm_stop(argv[0], err.text);
    close(spec.root_fd);
    return image;
}

static bool is_there(const struct subject *s, const char *arg)
{
    char command[256];

    if (access(s->argv[0], X_OK) < 0) {
        printf("%s: skipped, there is no %s\n", s->name, s->argv[0]);
        return false;
    }
    (void)snprintf(command, sizeof command, "%s -c 'import numpy' 2>/dev/null", s->argv[0]);
    if (arg && strstr(arg, "numpy") && system(command) != 0) {
        printf("%s: skipped, python3-numpy is not installed\n", s->name);
        return false;
    }
    return true;
}

/* Rounds with the peers between, so that what else the machine does meets all alike. */
static void measure(const struct subject *s, struct pv_vm_image *image, int n)
{
    char *const *argv = (char *const *)(uintptr_t)s->argv;
    const char *warm_argv[] = {s->argv[0], PV_BENCH_HANDLERS "/warm.py", s->warm, NULL};
    double spawned[ROUNDS * PEERS], warmed[ROUNDS * PEERS], cloned[ROUNDS * CLONES];
    struct pv_vm_result last = {.code = 0};
    struct pv_err err = PV_ERR_INIT;
    struct vm_warm warm;
    struct pv_vm *vm;
    double made;

    n -= n % ROUNDS;
    if (s->warm)
        vm_warm_start(&warm, (char *const *)(uintptr_t)warm_argv, env);
    if (pv_vm_new(image, NULL, &vm, &err) < 0)
        vm_stop("clone", err.text);
    (void)vm_time_runs(vm, &body, 10, totals, resets);
    for (int round = 0; round < ROUNDS; round++) {
        int at = round * (n / ROUNDS);

        last = vm_time_runs(vm, &body, n / ROUNDS, totals + at, resets + at);
        for (int i = 0; i < CLONES; i++)
            cloned[round * CLONES + i] = vm_time_clone(image, &body, &made);
        for (int i = 0; i < PEERS; i++) {
            spawned[round * PEERS + i] = vm_time_spawn(argv, env, &body);
            if (s->warm)
                warmed[round * PEERS + i] = vm_warm_time(&warm, &body);
        }
    }
    pv_vm_free(vm);
    if (s->warm)
        vm_warm_stop(&warm);
    double run = vm_median(totals, n);
    say("reset and run", run, "us", s->run_us, true);
    printf("  %-34s %10.1f us     %llu pages\n", "  of it reset", vm_median(resets, n),
           (unsigned long long)last.stats.dirty_pages);
    say("exits", (double)last.stats.exits, "", EXITS_MAX, true);
    say("new clone to its answer", vm_median(cloned, ROUNDS * CLONES), "us", s->clone_us, true);
    say("  at best", cloned[0], "us", 0, true); /* sorted; most of it is waiting for the kernel */
    double spawn = vm_median(spawned, ROUNDS * PEERS);
    say("fork + exec to the first byte", spawn, "us", 0, true);
    say("  times", spawn / run, "", s->of_spawn, false);
    if (!s->warm)
        return;
    double fork = vm_median(warmed, ROUNDS * PEERS);
    say("fork of a warm interpreter", fork, "us", 0, true);
    say("  times", fork / run, "", s->of_warm, false);
}

/* Memory that each of n VMs takes that have served a call and wait for the next. */
static void measure_memory(const struct subject *s, int n, double goal_kib, double goal_all_mib)
{
    struct pv_vm_image *image = image_of(s->argv, 256ull << 20);
    struct pv_vm **vms = calloc((size_t)n, sizeof *vms);
    struct pv_err err = PV_ERR_INIT;
    int64_t used = 0;
    int64_t pss = 0;
    double made;

    if (!vms)
        vm_stop("memory", "there is not enough");
    (void)vm_time_clone(image, &body, &made); /* what the first makes for all */
    used = vm_memory_used();
    pss = vm_memory_pss();
    for (int i = 0; i < n; i++) {
        if (pv_vm_new(image, NULL, &vms[i], &err) < 0)
            vm_stop("clone", err.text);
        (void)vm_run_once(vms[i], &body);
        if (pv_vm_reset(vms[i], &err) < 0)
            vm_stop("reset", err.text);
    }
    used = used < 0 ? -1 : vm_memory_used() - used;
    pss = vm_memory_pss() - pss;
    printf("%d idle VMs, %s, each has served a call\n", n, s->name);
    if (used < 0) {
        printf("  skipped: no memory cgroup can be made here\n");
    } else {
        say("each, with the kernel's part", (double)used / n / 1024, "KiB", goal_kib, true);
        say("all", (double)used / 1048576, "MiB", goal_all_mib, true);
    }
    say("each, proportional set size", (double)pss / n / 1024, "KiB", 0, true);
    for (int i = 0; i < n; i++)
        pv_vm_free(vms[i]);
    free(vms);
    pv_vm_image_free(image);
}

int vm_table(int n)
{
    const struct rlimit many = {65536, 65536};

    (void)setrlimit(RLIMIT_NOFILE, &many);
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        const struct subject *s = &subjects[i];

        if (!is_there(s, s->argv[1]))
            continue;
        printf("%s\n", s->name);
        struct pv_vm_image *image = image_of(s->argv, 1ull << 30);
        measure(s, image, n);
        pv_vm_image_free(image);
        fflush(stdout);
    }
    measure_memory(&subjects[0], SMALL_VMS, 0, 1024);
    if (is_there(&subjects[1], NULL))
        measure_memory(&subjects[1], PYTHON_VMS, 1024, 0);
    return missed;
}
