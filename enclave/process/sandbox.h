/* What a new process does between clone and the function's program: it enters its slot, takes its
 * limits, gives up every privilege, and executes. It runs in a copy of the owner's memory and uses
 * system calls only: no allocation, no locks, no stdio. */
#pragma once
#include "pv/domain.h"

#include <linux/filter.h>

/* Sent on the control socket: a failure (step names it), or AT_GATE. */
enum pv_sandbox_step {
    PV_STEP_AT_GATE,
    PV_STEP_DESCRIPTORS,
    PV_STEP_CGROUP,
    PV_STEP_NETWORK,
    PV_STEP_MOUNT,
    PV_STEP_LIMITS,
    PV_STEP_PRIVILEGES,
    PV_STEP_LANDLOCK,
    PV_STEP_SECCOMP,
    PV_STEP_GATE,
    PV_STEP_EXEC,
};
struct pv_sandbox_report {
    int32_t step;
    int32_t error;
};

/* Says what a failure's report means for who wants to run argv0; returns the negative error. */
int pv_sandbox_explain(const struct pv_sandbox_report *r, const char *argv0, struct pv_err *err);

struct pv_sandbox_plan {
    int stdio[3]; /* become 0, 1, 2 */
    int control;  /* SEQPACKET, close-on-exec */
    int netns;
    const int *procs; /* three cgroup.procs, -1: none */
    const char *tmp_options;
    int landlock_abi;
    const struct sock_fprog *filter;
    bool gate; /* wait on control for the request's variables */
    /* In the nursery; keeps control as PV_ZYGOTE_CONTROL_FD, on which it sends who listens for its
     * exits (ending.h); Landlock comes later. */
    bool zygote;
    char *const *argv;
    char **envp; /* static variables; with a gate, room for more after n_static */
    unsigned n_static, max_env;
    char *request_env; /* PV_REQUEST_ENV_MAX + 1 bytes for what the gate hands over */
};

/* Whether this kernel keeps a process whose exit somebody has taken notice of from handling a
 * signal before it goes (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, Linux 5.19). */
bool pv_sandbox_ends_early(void);
/* Lowers those limits of the owner that it does not need itself; instances inherit them. */
PV_MUST_CHECK int pv_sandbox_take_limits(struct pv_err *err);
_Noreturn void pv_sandbox_run(const struct pv_sandbox_plan *plan);
