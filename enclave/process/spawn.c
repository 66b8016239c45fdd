#include "spawn.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

/* A zygote's pid namespace is the one its parent has prepared. */
static int flags_of(const struct pv_sandbox_plan *plan)
{
    return CLONE_NEWNS | CLONE_PIDFD | SIGCHLD | (plan->zygote ? 0 : CLONE_NEWPID);
}

#ifdef PV_SANITIZED
/* A sanitizer's run-time keeps notes on the memory's one owner and on its stack: always a copy. */
long pv_spawn(const struct pv_sandbox_plan *plan, int *ret_pidfd)
{
    struct clone_args args = {
        .flags = (unsigned)flags_of(plan) & ~(unsigned)CSIGNAL,
        .pidfd = (uintptr_t)ret_pidfd,
        .exit_signal = SIGCHLD,
    };
    long pid = syscall(SYS_clone3, &args, sizeof args);

    if (pid == 0)
        pv_sandbox_run(plan);
    return pid;
}
#else
static int run_sandbox(void *plan)
{
    pv_sandbox_run(plan);
}

/* What waits at its first read executes at once: until then it borrows the owner's memory, which
 * saves copying page tables (half of what making an instance cost). What waits at the gate would
 * keep the maker suspended, and gets a copy. */
long pv_spawn(const struct pv_sandbox_plan *plan, int *ret_pidfd)
{
    _Alignas(16) uint8_t stack[64 << 10]; /* the thread is suspended */
    int flags = flags_of(plan) | (plan->gate ? 0 : CLONE_VM | CLONE_VFORK);

    return clone(run_sandbox, stack + sizeof stack, flags, (void *)(uintptr_t)plan, ret_pidfd);
}
#endif
