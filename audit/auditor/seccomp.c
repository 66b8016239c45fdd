/* The system calls an auditor needs once everything is open. Anything else fails with EPERM. */
#include "auditor.h"

#include "pv/seccomp_list.h"

#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>

static const int allowed[] = {
    /* the log and the key directory */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(openat),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fdatasync),
    SCMP_SYS(fsync),
    SCMP_SYS(syncfs),
    SCMP_SYS(msync),
    SCMP_SYS(renameat),
    SCMP_SYS(fchmod),
    SCMP_SYS(unlinkat),
    SCMP_SYS(unlink),
    SCMP_SYS(mkdirat),
    SCMP_SYS(fallocate),
    SCMP_SYS(fcntl),
    SCMP_SYS(lseek),
    SCMP_SYS(getdents64),
    /* the loop and the supervisor */
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    /* memory, time, end */
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(mprotect),
    SCMP_SYS(mlock),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(getrandom),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(tgkill),
    SCMP_SYS(sched_yield),
    SCMP_SYS(rseq),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

static const int sanitizer[] = {
    SCMP_SYS(sigaltstack), SCMP_SYS(readlink),   SCMP_SYS(sched_getaffinity),
    SCMP_SYS(prlimit64),   SCMP_SYS(getppid),    SCMP_SYS(prctl),
    SCMP_SYS(open),        SCMP_SYS(readlinkat),
};

/* The thread that syncs (audit/src/tiles.c), and no process. The flags of clone3 cannot be seen. */
#define NEW_THREAD                                                                                 \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |            \
     CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)
static const int absent[] = {SCMP_SYS(clone3)};

enum { ALWAYS = 1 }; /* so many of these are allowed without the probes too */
static const struct pv_seccomp_checked checked[] = {
    {SCMP_SYS(clone), NEW_THREAD, 0},
    /* Of bpf(2) only what reads and writes maps that are open, and starts the program that looks
     * for a monitor's threads; of signals only what lets a function go on that the probes have
     * stopped. */
    {SCMP_SYS(bpf), BPF_MAP_LOOKUP_ELEM, 0},
    {SCMP_SYS(bpf), BPF_MAP_UPDATE_ELEM, 0},
    {SCMP_SYS(bpf), BPF_MAP_DELETE_ELEM, 0},
    {SCMP_SYS(bpf), BPF_MAP_GET_NEXT_KEY, 0},
    {SCMP_SYS(bpf), BPF_ITER_CREATE, 0},
    {SCMP_SYS(kill), SIGCONT, 1},
};

int auditor_confine(bool with_bpf, struct pv_err *err)
{
    const struct pv_seccomp_list list = {
        .calls = allowed,
        .n_calls = PV_SECCOMP_COUNT(allowed),
        .checked = checked,
        .n_checked = with_bpf ? PV_SECCOMP_COUNT(checked) : ALWAYS,
        .absent = absent,
        .n_absent = PV_SECCOMP_COUNT(absent),
        .sanitizer = sanitizer,
        .n_sanitizer = PV_SECCOMP_COUNT(sanitizer),
    };
    return pv_seccomp_load(&list, err);
}
