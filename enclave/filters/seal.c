/* What a host may do once its function has a snapshot: everything that made processes is over. */
#include "filters.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define PAGEMAP_SCAN_COMMAND 0xc0606610u /* PAGEMAP_SCAN of Linux 6.7 */

static const char *const allowed[] = {
    "accept4",
    "brk",
    "clock_gettime",
    "clock_nanosleep",
    "close",
    "dup",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd2",
    "exit",
    "exit_group",
    "faccessat",
    "faccessat2",
    "fallocate",
    "fstat",
    "fstatfs",
    "ftruncate",
    "futex",
    "getdents64",
    "getpid",
    "getppid",
    "getrandom",
    "getrusage",
    "getsockopt",
    "gettid",
    "lseek",
    "madvise",
    "membarrier",
    "memfd_create",
    "mlock",
    "mlock2",
    "mremap",
    "munlock",
    "munmap",
    "nanosleep",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "poll",
    "ppoll",
    "pread64",
    "preadv",
    "pwrite64",
    "pwritev",
    "read",
    "readlink",
    "readlinkat",
    "readv",
    "recvfrom",
    "recvmsg",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "sendmsg",
    "setsockopt",
    "set_robust_list",
    "shutdown",
    "sigaltstack",
    "stat",
    "statfs",
    "statx",
    "tgkill",
    "timer_create",
    "timer_delete",
    "timer_settime",
    "write",
    "writev",
};

/* What only somebody who has broken into the monitor would call. */
static const char *const fatal[] = {
    "bpf",
    "clone",
    "clone3",
    "execve",
    "execveat",
    "fork",
    "io_uring_setup",
    "kcmp",
    "mount",
    "open_by_handle_at",
    "pidfd_getfd",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "setns",
    "unshare",
    "userfaultfd",
    "vfork",
};

static const uint32_t commands[] = {
    KVM_CREATE_VM,
    KVM_CREATE_VCPU,
    KVM_SET_USER_MEMORY_REGION,
    KVM_RUN,
    KVM_GET_XSAVE,
    KVM_SET_XSAVE,
    KVM_GET_SREGS,
    KVM_SET_SREGS,
    KVM_SET_CPUID2,
    KVM_GET_VCPU_EVENTS,
    KVM_SET_VCPU_EVENTS,
    KVM_SET_MSRS,
    KVM_SET_XCRS,
    KVM_CHECK_EXTENSION,
    KVM_GET_API_VERSION,
    KVM_GET_VCPU_MMAP_SIZE,
    PAGEMAP_SCAN_COMMAND,
    FIONREAD,
    FIONBIO,
};

static int add_commands(scmp_filter_ctx ctx)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < COUNT(commands); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, commands[i]));
    return rc;
}

/* Memory of the monitor is never code. */
static int add_memory(scmp_filter_ctx ctx)
{
    int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

    return rc ? rc
              : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

/* Sockets lead where they were connected to: only datagrams go elsewhere, by an address. And no
 * descriptor is told to send signals. */
static int add_descriptors(scmp_filter_ctx ctx)
{
    static const unsigned controls[] = {F_DUPFD_CLOEXEC, F_GETFD,     F_SETFD,    F_GETFL,
                                        F_SETFL,         F_ADD_SEALS, F_GET_SEALS};
    int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 2,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffff, AF_UNIX),
                              SCMP_A1(SCMP_CMP_MASKED_EQ,
                                      0xffffffff & ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK),
                                      SOCK_STREAM));

    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1, SCMP_A4(SCMP_CMP_EQ, 0));
    for (size_t i = 0; rc == 0 && i < COUNT(controls); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, controls[i]));
    return rc;
}

int pv_make_seal_filter(scmp_filter_ctx ctx)
{
#ifdef PV_SANITIZED
    uint32_t last = SCMP_ACT_ERRNO(ENOSYS); /* a sanitizer looks for leaks in ways of its own */
#else
    uint32_t last = SCMP_ACT_KILL_PROCESS;
#endif
    int rc = add_names(ctx, SCMP_ACT_ALLOW, allowed, COUNT(allowed));

    if (rc == 0)
        rc = add_names(ctx, last, fatal, COUNT(fatal));
    if (rc == 0)
        rc = add_commands(ctx);
    if (rc == 0)
        rc = add_memory(ctx);
    return rc < 0 ? rc : add_descriptors(ctx);
}
