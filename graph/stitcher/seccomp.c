/* The system calls of a stitcher: SQLite's file handling, reading the log, the control socket. No
 * network, no new programs, no signals to others. */
#include "stitcher.h"

#include "pv/seccomp_list.h"

static const int allowed[] = {
    /* log and database */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(openat),
    SCMP_SYS(open),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(fdatasync),
    SCMP_SYS(fsync),
    SCMP_SYS(msync),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(fcntl),
    SCMP_SYS(lseek),
    SCMP_SYS(getdents64),
    SCMP_SYS(readlink),
    SCMP_SYS(getcwd),
    SCMP_SYS(chmod),
    SCMP_SYS(fchmod),
    SCMP_SYS(geteuid),
    SCMP_SYS(fchown),
    SCMP_SYS(dup),
    SCMP_SYS(fadvise64),
    SCMP_SYS(statx),
    SCMP_SYS(utimensat),
    /* supervisor and auditor */
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    /* memory, time, end */
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(mprotect),
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
    SCMP_SYS(sched_setscheduler),
    SCMP_SYS(sysinfo),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

static const int sanitizer[] = {
    SCMP_SYS(sigaltstack), SCMP_SYS(sched_getaffinity), SCMP_SYS(prlimit64), SCMP_SYS(getppid),
    SCMP_SYS(prctl),       SCMP_SYS(readlinkat),
};

int stitcher_confine(struct pv_err *err)
{
    const struct pv_seccomp_list list = {
        .calls = allowed,
        .n_calls = PV_SECCOMP_COUNT(allowed),
        .sanitizer = sanitizer,
        .n_sanitizer = PV_SECCOMP_COUNT(sanitizer),
    };
    return pv_seccomp_load(&list, err);
}
