/* What the benchmarks of micro-VMs measure: times in microseconds, medians. */
#pragma once
#include "pv/vm.h"

enum { VM_RUNS_MAX = 100000 };

/* Prints what failed and exits. */
_Noreturn void vm_stop(const char *what, const char *why);
double vm_median(double *v, int n);
/* Since a CLOCK_MONOTONIC in ns. */
double vm_us_since(uint64_t start_ns);

/* One run, which has to end well. */
struct pv_vm_result vm_run_once(struct pv_vm *vm, const struct iovec *body);
/* Resets and runs n times; fills total and reset with a time for each, and says what the last run
 * was. */
struct pv_vm_result vm_time_runs(struct pv_vm *vm, const struct iovec *body, int n, double *total,
                                 double *reset);
/* A new clone to its answer. */
double vm_time_clone(struct pv_vm_image *image, const struct iovec *body, double *ret_made);
/* From posix_spawn to the first byte of the answer. */
double vm_time_spawn(char *const *argv, char *const *env, const struct iovec *body);

/* A program that forks for each request that it finds on stdin. */
struct vm_warm {
    int in, out, pid;
};
/* Starts it and waits for its first line. */
void vm_warm_start(struct vm_warm *w, char *const *argv, char *const *env);
/* From writing the request to the first byte of the answer; waits for the rest of the line. */
double vm_warm_time(const struct vm_warm *w, const struct iovec *body);
void vm_warm_stop(struct vm_warm *w);

/* Memory of this process, that of the kernel for it included, counted by a memory cgroup of its own
 * which the first call makes: bytes, or -1 where that cannot be. */
int64_t vm_memory_used(void);
/* Proportional set size of this process. */
int64_t vm_memory_pss(void);
