#include "seccomp.h"

#include "pv/own.h"

#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* What ordinary programs call. A name that this kernel or machine lacks is skipped. */
static const char *const function_calls[] = {
    "_llseek",
    "accept",
    "accept4",
    "access",
    "alarm",
    "arch_prctl",
    "brk",
    "capget",
    "cachestat",
    "chdir",
    "chmod",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "clone",
    "close",
    "close_range",
    "connect",
    "copy_file_range",
    "creat",
    "dup",
    "dup2",
    "dup3",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd",
    "eventfd2",
    "execve",
    "execveat",
    "exit",
    "exit_group",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fchdir",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "fcntl",
    "fdatasync",
    "fgetxattr",
    "flistxattr",
    "flock",
    "fork",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "futex",
    "futex_wait",
    "futex_waitv",
    "futex_wake",
    "futimesat",
    "get_robust_list",
    "get_thread_area",
    "getcpu",
    "getcwd",
    "getdents",
    "getdents64",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getitimer",
    "getpeername",
    "getpgid",
    "getpgrp",
    "getpid",
    "getppid",
    "getpriority",
    "getrandom",
    "getresgid",
    "getresuid",
    "getrlimit",
    "getrusage",
    "getsid",
    "getsockname",
    "getsockopt",
    "gettid",
    "gettimeofday",
    "getuid",
    "getxattr",
    "inotify_init",
    "inotify_init1",
    "inotify_rm_watch",
    "ioctl",
    "kill",
    "landlock_add_rule",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "lgetxattr",
    "link",
    "linkat",
    "listxattr",
    "llistxattr",
    "lseek",
    "lstat",
    "madvise",
    "map_shadow_stack",
    "membarrier",
    "memfd_create",
    "mincore",
    "mkdir",
    "mkdirat",
    "mlock",
    "mlock2",
    "mlockall",
    "mmap",
    "mprotect",
    "mremap",
    "mseal",
    "msync",
    "munlock",
    "munlockall",
    "munmap",
    "nanosleep",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pause",
    "pidfd_open",
    "pidfd_send_signal",
    "pipe",
    "pipe2",
    "pkey_alloc",
    "pkey_free",
    "pkey_mprotect",
    "poll",
    "ppoll",
    "prctl",
    "pread64",
    "preadv",
    "preadv2",
    "prlimit64",
    "pselect6",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readahead",
    "readlink",
    "readlinkat",
    "readv",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "rename",
    "renameat",
    "renameat2",
    "restart_syscall",
    "rmdir",
    "rseq",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigqueueinfo",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "rt_tgsigqueueinfo",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_getaffinity",
    "sched_getattr",
    "sched_getparam",
    "sched_getscheduler",
    "sched_rr_get_interval",
    "sched_setaffinity",
    "sched_setattr",
    "sched_setparam",
    "sched_setscheduler",
    "sched_yield",
    "select",
    "sendfile",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "set_robust_list",
    "set_tid_address",
    "setgid",
    "setitimer",
    "setpgid",
    "setpriority",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setrlimit",
    "setsid",
    "setsockopt",
    "setuid",
    "shutdown",
    "sigaltstack",
    "signalfd",
    "signalfd4",
    "socketpair",
    "splice",
    "stat",
    "statfs",
    "statx",
    "symlink",
    "symlinkat",
    "sync_file_range",
    "sysinfo",
    "tee",
    "tgkill",
    "time",
    "timer_create",
    "timer_delete",
    "timer_getoverrun",
    "timer_gettime",
    "timer_settime",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    "times",
    "tkill",
    "truncate",
    "umask",
    "uname",
    "unlink",
    "unlinkat",
    "utime",
    "utimensat",
    "utimes",
    "vfork",
    "vmsplice",
    "wait4",
    "waitid",
    "write",
    "writev",
};

/* What only the owner calls: to make an instance, to hand it a request. */
static const char *const owner_calls[] = {
    "mount",  "umount2", "setns", "capset", "seccomp", "process_vm_readv", "process_vm_writev",
    "ptrace",
};

/* Refused with EPERM so that an attempt is told from an unknown call (ENOSYS). */
static const char *const forbidden_calls[] = {
    "acct",
    "add_key",
    "adjtimex",
    "bind",
    "bpf",
    "chroot",
    "clock_adjtime",
    "clock_settime",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "inotify_add_watch", /* /usr and the package are shared: it would show what others open */
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "listen",
    "lookup_dcookie",
    "mbind",
    "migrate_pages",
    "mknod",
    "mknodat",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "msgctl",
    "msgget",
    "msgrcv",
    "msgsnd",
    "name_to_handle_at",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "personality",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "process_mrelease",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "semctl",
    "semget",
    "semop",
    "semtimedop",
    "set_mempolicy",
    "setdomainname",
    "setgroups",
    "sethostname",
    "settimeofday",
    "shmat",
    "shmctl",
    "shmdt",
    "shmget",
    "swapoff",
    "swapon",
    "syslog",
    "unshare",
    "userfaultfd",
    "vhangup",
    "memfd_secret",
    "chown",
    "fchown",
    "fchownat",
    "lchown",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "vserver",
    "modify_ldt",
};

#define COUNT(list) (sizeof(list) / sizeof *(list))

static inline void release_filter(scmp_filter_ctx *ctx)
{
    if (*ctx)
        seccomp_release(*ctx);
}
#define autofilter __attribute__((cleanup(release_filter)))

static int add_names(scmp_filter_ctx ctx, uint32_t action, const char *const *names, size_t n,
                     struct pv_err *err)
{
    for (size_t i = 0; i < n; i++) {
        int nr = seccomp_syscall_resolve_name(names[i]);

        if (nr < 0)
            continue;
        int rc = seccomp_rule_add(ctx, action, nr, 0);
        if (rc < 0)
            return pv_fail(err, rc, "filter system call '%s'", names[i]);
    }
    return 0;
}

static int add_sockets(scmp_filter_ctx ctx, struct pv_err *err)
{
    static const unsigned inet[] = {AF_INET, AF_INET6}, protocols[] = {0, IPPROTO_TCP};
    int rc =
        seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));

    /* the kernel's type carries flags above its low four bits; MPTCP and SCTP are streams too */
    for (unsigned i = 0; rc == 0 && i < COUNT(inet) * COUNT(protocols); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
                              SCMP_A0(SCMP_CMP_EQ, inet[i / COUNT(protocols)]),
                              SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM),
                              SCMP_A2(SCMP_CMP_EQ, protocols[i % COUNT(protocols)]));
    if (rc < 0)
        return pv_fail(err, rc, "filter sockets");
    return 0;
}

int pv_filter_load_base(struct pv_err *err)
{
    autofilter scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int rc;

    if (!ctx)
        return pv_fail(err, ENOMEM, "make a system call filter");
    (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    PV_TRY(add_names(ctx, SCMP_ACT_ALLOW, function_calls, COUNT(function_calls), err));
    PV_TRY(add_names(ctx, SCMP_ACT_ALLOW, owner_calls, COUNT(owner_calls), err));
    PV_TRY(add_names(ctx, SCMP_ACT_ERRNO(EPERM), forbidden_calls, COUNT(forbidden_calls), err));
    rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone3), 0);
    if (rc < 0)
        return pv_fail(err, rc, "filter clone3");
    PV_TRY(add_sockets(ctx, err));
    rc = seccomp_load(ctx);
    if (rc < 0)
        return pv_fail(err, rc, "load the system call filter");
    return 0;
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_HIGH(field)                                                                           \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field) + sizeof(uint32_t))
#define ANSWER(action) BPF_STMT(BPF_RET | BPF_K, action)
/* here: the instruction's own index; a jump counts from the one behind it. */
#define IF_EQUAL(here, value, there)                                                               \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, (there) - (here)-1, 0)
#define IF_ANY(here, bits, there, otherwise)                                                       \
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, (there) - (here)-1, (otherwise) - (here)-1)
#define NAMESPACES                                                                                 \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |     \
     CLONE_NEWCGROUP)
#define IF_ABOVE(here, value, there, otherwise)                                                    \
    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, value, (there) - (here)-1, (otherwise) - (here)-1)
#define UNLESS_EQUAL(here, value, otherwise)                                                       \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, (otherwise) - (here)-1)
enum {
    AT_MOUNT = 1,
    AT_CAPSET = 4,
    AT_LAST = 14,
    AT_CLONE,
    AT_NAMESPACES,
    AT_PRCTL,
    AT_GROUP = 21,
    AT_IOCTL = 25,
    AT_ALLOW = 28,
    AT_UNKNOWN,
    AT_REFUSE,
    AT_END
};

/* Written by hand, as the kernel compiles it anew and tries every call number on it for each
 * instance that executes. Architecture and x32 are checked by the base filter, which stays in
 * force. clone3 hides its flags, so libraries are sent back to clone. Low words suffice: all the
 * flags lie there, and an ioctl's command and a process id have 32 bits. */
static const struct sock_filter function_filter[AT_END] = {
    LOAD(nr),
    [AT_MOUNT] = IF_EQUAL(1, SYS_mount, AT_REFUSE),
    IF_EQUAL(2, SYS_umount2, AT_REFUSE),
    IF_EQUAL(3, SYS_setns, AT_REFUSE),
    [AT_CAPSET] = IF_EQUAL(4, SYS_capset, AT_REFUSE),
    IF_EQUAL(5, SYS_seccomp, AT_REFUSE),
    IF_EQUAL(6, SYS_process_vm_readv, AT_REFUSE),
    IF_EQUAL(7, SYS_process_vm_writev, AT_REFUSE),
    IF_EQUAL(8, SYS_ptrace, AT_REFUSE),
    IF_EQUAL(9, SYS_listen, AT_REFUSE),
    IF_EQUAL(10, SYS_clone3, AT_UNKNOWN),
    IF_EQUAL(11, SYS_clone, AT_CLONE),
    IF_EQUAL(12, SYS_prctl, AT_PRCTL),
    IF_EQUAL(13, SYS_setpgid, AT_GROUP),
    [AT_LAST] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, AT_IOCTL - 15, AT_ALLOW - 15),
    [AT_CLONE] = LOAD(args[0]),
    [AT_NAMESPACES] = IF_ANY(16, NAMESPACES, AT_REFUSE, AT_ALLOW),
    /* taking back that it dies with its owner */
    [AT_PRCTL] = LOAD(args[0]),
    UNLESS_EQUAL(18, PR_SET_PDEATHSIG, AT_ALLOW),
    LOAD(args[1]),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SIGKILL, AT_ALLOW - 21, AT_REFUSE - 21),
    /* the first process of a pid namespace that joins another's process group: when that one is
     * dead, it waits for good to be alone in the namespace (zap_pid_ns_processes), and its parent
     * with it. setpgid(0 or 1, neither 0 nor 1). */
    [AT_GROUP] = LOAD(args[0]),
    IF_ABOVE(22, 1, AT_ALLOW, 23),
    LOAD(args[1]),
    IF_ABOVE(24, 1, AT_REFUSE, AT_ALLOW),
    /* pushing characters into a terminal's input */
    [AT_IOCTL] = LOAD(args[1]),
    IF_EQUAL(26, TIOCSTI, AT_REFUSE),
    IF_EQUAL(27, TIOCLINUX, AT_REFUSE),
    [AT_ALLOW] = ANSWER(SECCOMP_RET_ALLOW),
    [AT_UNKNOWN] = ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
    [AT_REFUSE] = ANSWER(SECCOMP_RET_ERRNO | EPERM),
};
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "an argument's low word comes first");

const struct sock_fprog pv_filter_function = {
    .len = COUNT(function_filter),
    .filter = (struct sock_filter *)(uintptr_t)function_filter,
};

struct sock_fprog pv_filter_zygote(struct sock_filter rules[PV_FILTER_MAX], uint64_t secret)
{
    const struct sock_filter more[] = {
        LOAD(args[5]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)secret, 0, 3),
        LOAD_HIGH(args[5]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(secret >> 32), 0, 1),
        ANSWER(SECCOMP_RET_ALLOW),
        ANSWER(SECCOMP_RET_ERRNO | EPERM),
        ANSWER(SECCOMP_RET_TRACE),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        ANSWER(SECCOMP_RET_USER_NOTIF),
        ANSWER(SECCOMP_RET_ALLOW),
    };
    enum { TRACE = 6, EXIT };

    _Static_assert(AT_END + COUNT(more) == PV_FILTER_MAX, "both have room");
    memcpy(rules, function_filter, sizeof function_filter);
    memcpy(rules + AT_END, more, sizeof more);
    rules[AT_MOUNT].jt = AT_END - AT_MOUNT - 1;
    rules[AT_CAPSET].jt = AT_END - AT_CAPSET - 1;
    rules[AT_NAMESPACES].k |= CLONE_PARENT; /* a zygote's brother would outlive it unseen */
    rules[AT_NAMESPACES].jt = AT_END + TRACE - AT_NAMESPACES - 1;
    rules[AT_LAST].jf = AT_END + EXIT - AT_LAST - 1;
    return (struct sock_fprog){.len = PV_FILTER_MAX, .filter = rules};
}
