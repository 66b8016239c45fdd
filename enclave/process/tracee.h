/* ptrace(2) as a zygote needs it. One thread traces a process through its whole life: every call
 * here must come from that thread. */
#pragma once
#include "patience.h"

#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct pv_tracee {
    pid_t pid;
    struct pv_patience *patience; /* the tracer's; borrowed */
};

/* Seizes a process that waits in a system call and stops it there; it dies with its tracer, and
 * children it forks are traced as well. ret: its registers. */
PV_MUST_CHECK int pv_tracee_seize(const struct pv_tracee *t, struct user_regs_struct *ret,
                                  struct pv_err *err);
/* Waits for the next stop, which must be that event (PTRACE_EVENT_…). Fails with ESRCH when the
 * process is dead (and has been reaped), EPROTO when it stopped for another reason, ETIMEDOUT when
 * the patience is over; so does everything here that waits. */
PV_MUST_CHECK int pv_tracee_await(const struct pv_tracee *t, int event, struct pv_err *err);
/* Makes a stopped process perform one system call at the instruction (address of a "syscall") and
 * stops it again, other registers as in regs. ret: the kernel's result, a negative errno too. */
PV_MUST_CHECK int pv_tracee_call(const struct pv_tracee *t, const struct user_regs_struct *regs,
                                 uint64_t at, long nr, const uint64_t args[6], int64_t *ret,
                                 struct pv_err *err);
PV_MUST_CHECK int pv_tracee_resume(const struct pv_tracee *t, struct pv_err *err);
PV_MUST_CHECK int pv_tracee_get(const struct pv_tracee *t, struct user_regs_struct *ret,
                                struct pv_err *err);
PV_MUST_CHECK int pv_tracee_set(const struct pv_tracee *t, const struct user_regs_struct *regs,
                                struct pv_err *err);
/* The kernel's signal mask of a stopped process. */
PV_MUST_CHECK int pv_tracee_get_mask(const struct pv_tracee *t, uint64_t *ret, struct pv_err *err);
PV_MUST_CHECK int pv_tracee_set_mask(const struct pv_tracee *t, uint64_t mask, struct pv_err *err);
/* The pid that a PTRACE_EVENT_FORK stop tells of. */
PV_MUST_CHECK int pv_tracee_child(const struct pv_tracee *t, pid_t *ret, struct pv_err *err);
/* Lets a stopped process go on untraced. */
PV_MUST_CHECK int pv_tracee_detach(const struct pv_tracee *t, struct pv_err *err);
/* Kills it and waits until it is dead. pidfd -1: pid has not been waited for. */
void pv_tracee_bury(pid_t pid, int pidfd);
