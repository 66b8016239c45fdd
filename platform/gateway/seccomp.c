#include "syscall_filter.h"

#include "pv/seccomp_list.h"

#include <sys/socket.h>

static const int allowed[] = {
    /* the event loop */
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(poll),
    SCMP_SYS(gettimeofday),
    /* sockets: clients, hosts, egress, name servers */
    SCMP_SYS(accept4),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(connect),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(bind),
    /* files: registry, functions' logs, payloads */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(openat),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(lseek),
    SCMP_SYS(fsync),
    SCMP_SYS(fchmod),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(ftruncate),
    SCMP_SYS(unlinkat),
    SCMP_SYS(getdents64),
    SCMP_SYS(dup),
    SCMP_SYS(fcntl),
    SCMP_SYS(memfd_create),
    /* memory and the process itself */
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(mprotect),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(uname),
    SCMP_SYS(ioctl),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(tgkill),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* No unix, netlink or packet sockets. */
static const struct pv_seccomp_checked sockets[] = {
    {SCMP_SYS(socket), AF_INET, 0},
    {SCMP_SYS(socket), AF_INET6, 0},
};

static const int sanitizer[] = {
    SCMP_SYS(sigaltstack),       SCMP_SYS(sched_yield), SCMP_SYS(readlink),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(prctl),
};

int gw_seccomp_load(struct pv_err *err)
{
    const struct pv_seccomp_list list = {
        .calls = allowed,
        .n_calls = PV_SECCOMP_COUNT(allowed),
        .checked = sockets,
        .n_checked = PV_SECCOMP_COUNT(sockets),
        .sanitizer = sanitizer,
        .n_sanitizer = PV_SECCOMP_COUNT(sanitizer),
    };
    return pv_seccomp_load(&list, err);
}
