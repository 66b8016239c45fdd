/* What /proc tells of an instance's first process. */
#pragma once
#include "pv/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pv_process_stat {
    uint64_t start_ticks, start_stack, env_start, env_end;
};
/* Fields 22, 28, 50 and 51 of /proc/PID/stat. */
PV_MUST_CHECK int pv_process_stat_read(pid_t pid, struct pv_process_stat *ret, struct pv_err *err);

struct pv_process_wait {
    bool asleep;      /* blocked in a system call */
    bool on_stdin;    /* that call waits for descriptor 0 */
    long call;        /* its number */
    uint64_t args[6]; /* and arguments */
    uint64_t sp;
};
/* Reads /proc/PID/syscall. */
PV_MUST_CHECK int pv_process_wait_read(pid_t pid, struct pv_process_wait *ret, struct pv_err *err);
