#include "tracee.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SYSCALL_STOP = SIGTRAP | 0x80 };

static int failed(struct pv_err *err, const struct pv_tracee *t, const char *what)
{
    return pv_fail(err, errno, "%s process %d", what, (int)t->pid);
}

/* ret: the signal and above it the event of the stop. */
static int await_stop(const struct pv_tracee *t, int *ret, struct pv_err *err)
{
    int status;

    while (waitpid(t->pid, &status, __WALL) < 0) {
        if (errno != EINTR)
            return failed(err, t, "wait for");
        if (pv_patience_over(t->patience))
            return pv_refuse(err, ETIMEDOUT, "process %d does not stop in time", (int)t->pid);
    }
    if (!WIFSTOPPED(status))
        return pv_refuse(err, ESRCH, "process %d died (wait status %x)", (int)t->pid,
                         (unsigned)status);
    *ret = status >> 8;
    return 0;
}

int pv_tracee_await(const struct pv_tracee *t, int event, struct pv_err *err)
{
    int stop;

    PV_TRY(await_stop(t, &stop, err));
    if (stop != (SIGTRAP | event << 8))
        return pv_refuse(err, EPROTO, "process %d stopped for another reason (%x)", (int)t->pid,
                         (unsigned)stop);
    return 0;
}

int pv_tracee_seize(const struct pv_tracee *t, struct user_regs_struct *ret, struct pv_err *err)
{
    unsigned long options =
        PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK;

    if (ptrace(PTRACE_SEIZE, t->pid, NULL, options) < 0)
        return failed(err, t, "seize");
    if (ptrace(PTRACE_INTERRUPT, t->pid, NULL, NULL) < 0)
        return failed(err, t, "interrupt");
    PV_TRY(pv_tracee_await(t, PTRACE_EVENT_STOP, err));
    return pv_tracee_get(t, ret, err);
}

int pv_tracee_get(const struct pv_tracee *t, struct user_regs_struct *ret, struct pv_err *err)
{
    return ptrace(PTRACE_GETREGS, t->pid, NULL, ret) < 0 ? failed(err, t, "look at") : 0;
}

int pv_tracee_set(const struct pv_tracee *t, const struct user_regs_struct *regs,
                  struct pv_err *err)
{
    return ptrace(PTRACE_SETREGS, t->pid, NULL, regs) < 0 ? failed(err, t, "set") : 0;
}

int pv_tracee_get_mask(const struct pv_tracee *t, uint64_t *ret, struct pv_err *err)
{
    return ptrace(PTRACE_GETSIGMASK, t->pid, sizeof *ret, ret) < 0 ? failed(err, t, "look at") : 0;
}

int pv_tracee_set_mask(const struct pv_tracee *t, uint64_t mask, struct pv_err *err)
{
    return ptrace(PTRACE_SETSIGMASK, t->pid, sizeof mask, &mask) < 0 ? failed(err, t, "set") : 0;
}

int pv_tracee_resume(const struct pv_tracee *t, struct pv_err *err)
{
    return ptrace(PTRACE_CONT, t->pid, NULL, NULL) < 0 ? failed(err, t, "resume") : 0;
}

int pv_tracee_detach(const struct pv_tracee *t, struct pv_err *err)
{
    return ptrace(PTRACE_DETACH, t->pid, NULL, NULL) < 0 ? failed(err, t, "let go of") : 0;
}

int pv_tracee_child(const struct pv_tracee *t, pid_t *ret, struct pv_err *err)
{
    unsigned long message = 0;

    if (ptrace(PTRACE_GETEVENTMSG, t->pid, NULL, &message) < 0)
        return failed(err, t, "look at the child of");
    *ret = (pid_t)message;
    return 0;
}

/* One leg of a system call: from here to its entry, or from there to its exit. */
static int leg(const struct pv_tracee *t, struct pv_err *err)
{
    int stop;

    if (ptrace(PTRACE_SYSCALL, t->pid, NULL, NULL) < 0)
        return failed(err, t, "resume");
    PV_TRY(await_stop(t, &stop, err));
    if (stop != SYSCALL_STOP)
        return pv_refuse(err, EPROTO, "process %d stopped in a call for another reason (%x)",
                         (int)t->pid, (unsigned)stop);
    return 0;
}

int pv_tracee_call(const struct pv_tracee *t, const struct user_regs_struct *regs, uint64_t at,
                   long nr, const uint64_t args[6], int64_t *ret, struct pv_err *err)
{
    struct user_regs_struct r = *regs;

    r.rip = at;
    r.rax = (unsigned long long)nr;
    r.orig_rax = ~0ull; /* nothing is to be restarted */
    r.rdi = args[0];
    r.rsi = args[1];
    r.rdx = args[2];
    r.r10 = args[3];
    r.r8 = args[4];
    r.r9 = args[5];
    PV_TRY(pv_tracee_set(t, &r, err));
    PV_TRY(leg(t, err));
    PV_TRY(leg(t, err));
    PV_TRY(pv_tracee_get(t, &r, err));
    *ret = (int64_t)r.rax;
    return 0;
}

void pv_tracee_bury(pid_t pid, int pidfd)
{
    siginfo_t end = {0};

    /* by descriptor: once its death has been noticed its number may be another's */
    if (pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    else
        (void)kill(pid, SIGKILL);
    /* a stop that nobody has waited for comes before the end */
    do
        end.si_code = 0;
    while (waitid(pidfd >= 0 ? P_PIDFD : P_PID, (id_t)(pidfd >= 0 ? pidfd : pid), &end,
                  WEXITED | __WALL) == 0
               ? end.si_code == CLD_TRAPPED || end.si_code == CLD_STOPPED
               : errno == EINTR);
}
