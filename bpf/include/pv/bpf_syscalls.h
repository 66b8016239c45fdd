/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every system call of x86-64 up to Linux 6.18, each in exactly one class: what it can do to
 * provenance. The probes' class table and the tests are made from this list; a test compares it with
 * the kernel's headers, and a number that is not in it is recorded as an unknown call. */
#pragma once

/* PV_SYSCALL(class, number, name) */
/* clang-format off */
#define PV_SYSCALLS(PV_SYSCALL) \
    /* the descriptor in the first argument is read from */ \
    PV_SYSCALL(DATA_IN, 0, read) PV_SYSCALL(DATA_IN, 17, pread64) PV_SYSCALL(DATA_IN, 19, readv) \
    PV_SYSCALL(DATA_IN, 295, preadv) PV_SYSCALL(DATA_IN, 327, preadv2) \
    PV_SYSCALL(DATA_IN, 45, recvfrom) PV_SYSCALL(DATA_IN, 47, recvmsg) \
    PV_SYSCALL(DATA_IN, 299, recvmmsg) PV_SYSCALL(DATA_IN, 78, getdents) \
    PV_SYSCALL(DATA_IN, 217, getdents64) PV_SYSCALL(DATA_IN, 243, mq_timedreceive) \
    /* the descriptor in the first argument is written to (vmsplice: or read from) */ \
    PV_SYSCALL(DATA_OUT, 1, write) PV_SYSCALL(DATA_OUT, 18, pwrite64) \
    PV_SYSCALL(DATA_OUT, 20, writev) PV_SYSCALL(DATA_OUT, 296, pwritev) \
    PV_SYSCALL(DATA_OUT, 328, pwritev2) PV_SYSCALL(DATA_OUT, 44, sendto) \
    PV_SYSCALL(DATA_OUT, 46, sendmsg) PV_SYSCALL(DATA_OUT, 307, sendmmsg) \
    PV_SYSCALL(DATA_OUT, 278, vmsplice) PV_SYSCALL(DATA_OUT, 242, mq_timedsend) \
    /* data goes from one descriptor to another (ioctl: FICLONE and FICLONERANGE) */ \
    PV_SYSCALL(COPY, 40, sendfile) PV_SYSCALL(COPY, 275, splice) PV_SYSCALL(COPY, 276, tee) \
    PV_SYSCALL(COPY, 326, copy_file_range) PV_SYSCALL(COPY, 16, ioctl) \
    /* an object gets a descriptor, by name or anonymously */ \
    PV_SYSCALL(OPEN, 2, open) PV_SYSCALL(OPEN, 85, creat) PV_SYSCALL(OPEN, 257, openat) \
    PV_SYSCALL(OPEN, 437, openat2) PV_SYSCALL(OPEN, 304, open_by_handle_at) \
    PV_SYSCALL(OPEN, 319, memfd_create) PV_SYSCALL(OPEN, 447, memfd_secret) \
    PV_SYSCALL(OPEN, 240, mq_open) \
    /* totals of the object are due */ \
    PV_SYSCALL(CLOSE, 3, close) \
    /* more descriptors of the same object, or of another process's end: each use is resolved anew */ \
    PV_SYSCALL(DUP, 32, dup) PV_SYSCALL(DUP, 33, dup2) PV_SYSCALL(DUP, 292, dup3) \
    PV_SYSCALL(DUP, 72, fcntl) PV_SYSCALL(DUP, 436, close_range) PV_SYSCALL(DUP, 434, pidfd_open) \
    /* a new object without a name, empty: its uses are seen */ \
    PV_SYSCALL(CREATE, 22, pipe) PV_SYSCALL(CREATE, 293, pipe2) PV_SYSCALL(CREATE, 53, socketpair) \
    PV_SYSCALL(CREATE, 284, eventfd) PV_SYSCALL(CREATE, 290, eventfd2) \
    PV_SYSCALL(CREATE, 283, timerfd_create) PV_SYSCALL(CREATE, 282, signalfd) \
    PV_SYSCALL(CREATE, 289, signalfd4) PV_SYSCALL(CREATE, 213, epoll_create) \
    PV_SYSCALL(CREATE, 291, epoll_create1) PV_SYSCALL(CREATE, 253, inotify_init) \
    PV_SYSCALL(CREATE, 294, inotify_init1) PV_SYSCALL(CREATE, 41, socket) \
    PV_SYSCALL(CONNECT, 42, connect) \
    PV_SYSCALL(ACCEPT, 43, accept) PV_SYSCALL(ACCEPT, 288, accept4) \
    /* state of sockets; moves no data of the process */ \
    PV_SYSCALL(NETWORK, 49, bind) PV_SYSCALL(NETWORK, 50, listen) \
    PV_SYSCALL(NETWORK, 48, shutdown) PV_SYSCALL(NETWORK, 54, setsockopt) \
    PV_SYSCALL(NETWORK, 55, getsockopt) PV_SYSCALL(NETWORK, 51, getsockname) \
    PV_SYSCALL(NETWORK, 52, getpeername) \
    /* names, attributes and content are changed by name or descriptor */ \
    PV_SYSCALL(NAME, 82, rename) PV_SYSCALL(NAME, 264, renameat) PV_SYSCALL(NAME, 316, renameat2) \
    PV_SYSCALL(NAME, 83, mkdir) PV_SYSCALL(NAME, 258, mkdirat) PV_SYSCALL(NAME, 84, rmdir) \
    PV_SYSCALL(NAME, 86, link) PV_SYSCALL(NAME, 265, linkat) PV_SYSCALL(NAME, 87, unlink) \
    PV_SYSCALL(NAME, 263, unlinkat) PV_SYSCALL(NAME, 88, symlink) PV_SYSCALL(NAME, 266, symlinkat) \
    PV_SYSCALL(NAME, 133, mknod) PV_SYSCALL(NAME, 259, mknodat) PV_SYSCALL(NAME, 90, chmod) \
    PV_SYSCALL(NAME, 91, fchmod) PV_SYSCALL(NAME, 268, fchmodat) PV_SYSCALL(NAME, 452, fchmodat2) \
    PV_SYSCALL(NAME, 92, chown) PV_SYSCALL(NAME, 93, fchown) PV_SYSCALL(NAME, 94, lchown) \
    PV_SYSCALL(NAME, 260, fchownat) PV_SYSCALL(NAME, 76, truncate) PV_SYSCALL(NAME, 77, ftruncate) \
    PV_SYSCALL(NAME, 285, fallocate) PV_SYSCALL(NAME, 188, setxattr) \
    PV_SYSCALL(NAME, 189, lsetxattr) PV_SYSCALL(NAME, 190, fsetxattr) \
    PV_SYSCALL(NAME, 191, getxattr) PV_SYSCALL(NAME, 192, lgetxattr) \
    PV_SYSCALL(NAME, 193, fgetxattr) PV_SYSCALL(NAME, 197, removexattr) \
    PV_SYSCALL(NAME, 198, lremovexattr) PV_SYSCALL(NAME, 199, fremovexattr) \
    PV_SYSCALL(NAME, 463, setxattrat) PV_SYSCALL(NAME, 464, getxattrat) \
    PV_SYSCALL(NAME, 466, removexattrat) PV_SYSCALL(NAME, 132, utime) \
    PV_SYSCALL(NAME, 235, utimes) PV_SYSCALL(NAME, 261, futimesat) \
    PV_SYSCALL(NAME, 280, utimensat) PV_SYSCALL(NAME, 469, file_setattr) \
    PV_SYSCALL(NAME, 241, mq_unlink) \
    /* reads or waits for names and attributes, moves no content; recorded when refused */ \
    PV_SYSCALL(METADATA, 4, stat) PV_SYSCALL(METADATA, 5, fstat) PV_SYSCALL(METADATA, 6, lstat) \
    PV_SYSCALL(METADATA, 262, newfstatat) PV_SYSCALL(METADATA, 332, statx) \
    PV_SYSCALL(METADATA, 21, access) PV_SYSCALL(METADATA, 269, faccessat) \
    PV_SYSCALL(METADATA, 439, faccessat2) PV_SYSCALL(METADATA, 89, readlink) \
    PV_SYSCALL(METADATA, 267, readlinkat) PV_SYSCALL(METADATA, 79, getcwd) \
    PV_SYSCALL(METADATA, 80, chdir) PV_SYSCALL(METADATA, 81, fchdir) \
    PV_SYSCALL(METADATA, 194, listxattr) PV_SYSCALL(METADATA, 195, llistxattr) \
    PV_SYSCALL(METADATA, 196, flistxattr) PV_SYSCALL(METADATA, 465, listxattrat) \
    PV_SYSCALL(METADATA, 137, statfs) PV_SYSCALL(METADATA, 138, fstatfs) \
    PV_SYSCALL(METADATA, 136, ustat) PV_SYSCALL(METADATA, 139, sysfs) \
    PV_SYSCALL(METADATA, 303, name_to_handle_at) PV_SYSCALL(METADATA, 254, inotify_add_watch) \
    PV_SYSCALL(METADATA, 255, inotify_rm_watch) PV_SYSCALL(METADATA, 73, flock) \
    PV_SYSCALL(METADATA, 451, cachestat) PV_SYSCALL(METADATA, 468, file_getattr) \
    PV_SYSCALL(METADATA, 457, statmount) PV_SYSCALL(METADATA, 458, listmount) \
    PV_SYSCALL(METADATA, 245, mq_getsetattr) PV_SYSCALL(METADATA, 244, mq_notify) \
    /* what the process sees as file system, network, processes or roots */ \
    PV_SYSCALL(NAMESPACE, 165, mount) PV_SYSCALL(NAMESPACE, 166, umount2) \
    PV_SYSCALL(NAMESPACE, 155, pivot_root) PV_SYSCALL(NAMESPACE, 161, chroot) \
    PV_SYSCALL(NAMESPACE, 272, unshare) PV_SYSCALL(NAMESPACE, 308, setns) \
    PV_SYSCALL(NAMESPACE, 428, open_tree) PV_SYSCALL(NAMESPACE, 467, open_tree_attr) \
    PV_SYSCALL(NAMESPACE, 429, move_mount) PV_SYSCALL(NAMESPACE, 430, fsopen) \
    PV_SYSCALL(NAMESPACE, 431, fsconfig) PV_SYSCALL(NAMESPACE, 432, fsmount) \
    PV_SYSCALL(NAMESPACE, 433, fspick) PV_SYSCALL(NAMESPACE, 442, mount_setattr) \
    PV_SYSCALL(NAMESPACE, 300, fanotify_init) PV_SYSCALL(NAMESPACE, 301, fanotify_mark) \
    PV_SYSCALL(NAMESPACE, 170, sethostname) PV_SYSCALL(NAMESPACE, 171, setdomainname) \
    /* life and attributes of processes and threads, seen at fork, exec and exit */ \
    PV_SYSCALL(PROCESS, 56, clone) PV_SYSCALL(PROCESS, 435, clone3) PV_SYSCALL(PROCESS, 57, fork) \
    PV_SYSCALL(PROCESS, 58, vfork) PV_SYSCALL(PROCESS, 59, execve) \
    PV_SYSCALL(PROCESS, 322, execveat) PV_SYSCALL(PROCESS, 60, exit) \
    PV_SYSCALL(PROCESS, 231, exit_group) PV_SYSCALL(PROCESS, 61, wait4) \
    PV_SYSCALL(PROCESS, 247, waitid) PV_SYSCALL(PROCESS, 109, setpgid) \
    PV_SYSCALL(PROCESS, 121, getpgid) PV_SYSCALL(PROCESS, 111, getpgrp) \
    PV_SYSCALL(PROCESS, 112, setsid) PV_SYSCALL(PROCESS, 124, getsid) \
    PV_SYSCALL(PROCESS, 39, getpid) PV_SYSCALL(PROCESS, 186, gettid) \
    PV_SYSCALL(PROCESS, 110, getppid) PV_SYSCALL(PROCESS, 218, set_tid_address) \
    PV_SYSCALL(PROCESS, 140, getpriority) PV_SYSCALL(PROCESS, 141, setpriority) \
    PV_SYSCALL(PROCESS, 142, sched_setparam) PV_SYSCALL(PROCESS, 143, sched_getparam) \
    PV_SYSCALL(PROCESS, 144, sched_setscheduler) PV_SYSCALL(PROCESS, 145, sched_getscheduler) \
    PV_SYSCALL(PROCESS, 146, sched_get_priority_max) \
    PV_SYSCALL(PROCESS, 147, sched_get_priority_min) \
    PV_SYSCALL(PROCESS, 148, sched_rr_get_interval) PV_SYSCALL(PROCESS, 203, sched_setaffinity) \
    PV_SYSCALL(PROCESS, 204, sched_getaffinity) PV_SYSCALL(PROCESS, 314, sched_setattr) \
    PV_SYSCALL(PROCESS, 315, sched_getattr) PV_SYSCALL(PROCESS, 24, sched_yield) \
    PV_SYSCALL(PROCESS, 251, ioprio_set) PV_SYSCALL(PROCESS, 252, ioprio_get) \
    PV_SYSCALL(PROCESS, 97, getrlimit) PV_SYSCALL(PROCESS, 160, setrlimit) \
    PV_SYSCALL(PROCESS, 302, prlimit64) PV_SYSCALL(PROCESS, 98, getrusage) \
    PV_SYSCALL(PROCESS, 100, times) PV_SYSCALL(PROCESS, 309, getcpu) \
    PV_SYSCALL(PROCESS, 95, umask) \
    /* memory is mapped from a descriptor, or becomes executable */ \
    PV_SYSCALL(MAP, 9, mmap) PV_SYSCALL(MAP, 10, mprotect) PV_SYSCALL(MAP, 329, pkey_mprotect) \
    PV_SYSCALL(MAP, 216, remap_file_pages) \
    /* the process's own memory */ \
    PV_SYSCALL(MEMORY, 11, munmap) PV_SYSCALL(MEMORY, 25, mremap) PV_SYSCALL(MEMORY, 12, brk) \
    PV_SYSCALL(MEMORY, 26, msync) PV_SYSCALL(MEMORY, 27, mincore) PV_SYSCALL(MEMORY, 28, madvise) \
    PV_SYSCALL(MEMORY, 149, mlock) PV_SYSCALL(MEMORY, 325, mlock2) \
    PV_SYSCALL(MEMORY, 150, munlock) PV_SYSCALL(MEMORY, 151, mlockall) \
    PV_SYSCALL(MEMORY, 152, munlockall) PV_SYSCALL(MEMORY, 237, mbind) \
    PV_SYSCALL(MEMORY, 238, set_mempolicy) PV_SYSCALL(MEMORY, 239, get_mempolicy) \
    PV_SYSCALL(MEMORY, 450, set_mempolicy_home_node) PV_SYSCALL(MEMORY, 330, pkey_alloc) \
    PV_SYSCALL(MEMORY, 331, pkey_free) PV_SYSCALL(MEMORY, 324, membarrier) \
    PV_SYSCALL(MEMORY, 67, shmdt) PV_SYSCALL(MEMORY, 453, map_shadow_stack) \
    PV_SYSCALL(MEMORY, 462, mseal) PV_SYSCALL(MEMORY, 158, arch_prctl) \
    PV_SYSCALL(MEMORY, 205, set_thread_area) PV_SYSCALL(MEMORY, 211, get_thread_area) \
    PV_SYSCALL(MEMORY, 187, readahead) PV_SYSCALL(MEMORY, 221, fadvise64) \
    /* rights are changed or asked to be */ \
    PV_SYSCALL(CREDENTIALS, 105, setuid) PV_SYSCALL(CREDENTIALS, 106, setgid) \
    PV_SYSCALL(CREDENTIALS, 113, setreuid) PV_SYSCALL(CREDENTIALS, 114, setregid) \
    PV_SYSCALL(CREDENTIALS, 117, setresuid) PV_SYSCALL(CREDENTIALS, 119, setresgid) \
    PV_SYSCALL(CREDENTIALS, 122, setfsuid) PV_SYSCALL(CREDENTIALS, 123, setfsgid) \
    PV_SYSCALL(CREDENTIALS, 116, setgroups) PV_SYSCALL(CREDENTIALS, 126, capset) \
    PV_SYSCALL(CREDENTIALS, 157, prctl) PV_SYSCALL(CREDENTIALS, 317, seccomp) \
    PV_SYSCALL(CREDENTIALS, 444, landlock_create_ruleset) \
    PV_SYSCALL(CREDENTIALS, 445, landlock_add_rule) \
    PV_SYSCALL(CREDENTIALS, 446, landlock_restrict_self) \
    PV_SYSCALL(CREDENTIALS, 460, lsm_set_self_attr) \
    /* a process influences another */ \
    PV_SYSCALL(SIGNAL, 62, kill) PV_SYSCALL(SIGNAL, 200, tkill) PV_SYSCALL(SIGNAL, 234, tgkill) \
    PV_SYSCALL(SIGNAL, 129, rt_sigqueueinfo) PV_SYSCALL(SIGNAL, 297, rt_tgsigqueueinfo) \
    PV_SYSCALL(SIGNAL, 424, pidfd_send_signal) \
    /* reaches into other processes or the kernel, or moves data by a way that is not followed */ \
    PV_SYSCALL(INTERFERE, 101, ptrace) PV_SYSCALL(INTERFERE, 310, process_vm_readv) \
    PV_SYSCALL(INTERFERE, 311, process_vm_writev) PV_SYSCALL(INTERFERE, 438, pidfd_getfd) \
    PV_SYSCALL(INTERFERE, 440, process_madvise) PV_SYSCALL(INTERFERE, 448, process_mrelease) \
    PV_SYSCALL(INTERFERE, 312, kcmp) PV_SYSCALL(INTERFERE, 279, move_pages) \
    PV_SYSCALL(INTERFERE, 256, migrate_pages) PV_SYSCALL(INTERFERE, 274, get_robust_list) \
    PV_SYSCALL(INTERFERE, 321, bpf) PV_SYSCALL(INTERFERE, 298, perf_event_open) \
    PV_SYSCALL(INTERFERE, 323, userfaultfd) PV_SYSCALL(INTERFERE, 425, io_uring_setup) \
    PV_SYSCALL(INTERFERE, 426, io_uring_enter) PV_SYSCALL(INTERFERE, 427, io_uring_register) \
    PV_SYSCALL(INTERFERE, 206, io_setup) PV_SYSCALL(INTERFERE, 209, io_submit) \
    PV_SYSCALL(INTERFERE, 208, io_getevents) PV_SYSCALL(INTERFERE, 333, io_pgetevents) \
    PV_SYSCALL(INTERFERE, 207, io_destroy) PV_SYSCALL(INTERFERE, 210, io_cancel) \
    PV_SYSCALL(INTERFERE, 29, shmget) PV_SYSCALL(INTERFERE, 30, shmat) \
    PV_SYSCALL(INTERFERE, 31, shmctl) PV_SYSCALL(INTERFERE, 68, msgget) \
    PV_SYSCALL(INTERFERE, 69, msgsnd) PV_SYSCALL(INTERFERE, 70, msgrcv) \
    PV_SYSCALL(INTERFERE, 71, msgctl) PV_SYSCALL(INTERFERE, 64, semget) \
    PV_SYSCALL(INTERFERE, 65, semop) PV_SYSCALL(INTERFERE, 220, semtimedop) \
    PV_SYSCALL(INTERFERE, 66, semctl) PV_SYSCALL(INTERFERE, 246, kexec_load) \
    PV_SYSCALL(INTERFERE, 320, kexec_file_load) PV_SYSCALL(INTERFERE, 175, init_module) \
    PV_SYSCALL(INTERFERE, 313, finit_module) PV_SYSCALL(INTERFERE, 176, delete_module) \
    PV_SYSCALL(INTERFERE, 174, create_module) PV_SYSCALL(INTERFERE, 177, get_kernel_syms) \
    PV_SYSCALL(INTERFERE, 178, query_module) PV_SYSCALL(INTERFERE, 169, reboot) \
    PV_SYSCALL(INTERFERE, 103, syslog) PV_SYSCALL(INTERFERE, 163, acct) \
    PV_SYSCALL(INTERFERE, 167, swapon) PV_SYSCALL(INTERFERE, 168, swapoff) \
    PV_SYSCALL(INTERFERE, 172, iopl) PV_SYSCALL(INTERFERE, 173, ioperm) \
    PV_SYSCALL(INTERFERE, 154, modify_ldt) PV_SYSCALL(INTERFERE, 135, personality) \
    PV_SYSCALL(INTERFERE, 248, add_key) PV_SYSCALL(INTERFERE, 249, request_key) \
    PV_SYSCALL(INTERFERE, 250, keyctl) PV_SYSCALL(INTERFERE, 179, quotactl) \
    PV_SYSCALL(INTERFERE, 443, quotactl_fd) PV_SYSCALL(INTERFERE, 180, nfsservctl) \
    PV_SYSCALL(INTERFERE, 134, uselib) PV_SYSCALL(INTERFERE, 153, vhangup) \
    PV_SYSCALL(INTERFERE, 164, settimeofday) PV_SYSCALL(INTERFERE, 227, clock_settime) \
    PV_SYSCALL(INTERFERE, 159, adjtimex) PV_SYSCALL(INTERFERE, 305, clock_adjtime) \
    PV_SYSCALL(INTERFERE, 156, _sysctl) PV_SYSCALL(INTERFERE, 212, lookup_dcookie) \
    PV_SYSCALL(INTERFERE, 336, uprobe) PV_SYSCALL(INTERFERE, 335, uretprobe) \
    /* time, waiting, own identity and signals, flushing; and numbers without a call */ \
    PV_SYSCALL(HARMLESS, 7, poll) PV_SYSCALL(HARMLESS, 271, ppoll) \
    PV_SYSCALL(HARMLESS, 23, select) PV_SYSCALL(HARMLESS, 270, pselect6) \
    PV_SYSCALL(HARMLESS, 233, epoll_ctl) PV_SYSCALL(HARMLESS, 232, epoll_wait) \
    PV_SYSCALL(HARMLESS, 281, epoll_pwait) PV_SYSCALL(HARMLESS, 441, epoll_pwait2) \
    PV_SYSCALL(HARMLESS, 214, epoll_ctl_old) PV_SYSCALL(HARMLESS, 215, epoll_wait_old) \
    PV_SYSCALL(HARMLESS, 8, lseek) PV_SYSCALL(HARMLESS, 74, fsync) \
    PV_SYSCALL(HARMLESS, 75, fdatasync) PV_SYSCALL(HARMLESS, 162, sync) \
    PV_SYSCALL(HARMLESS, 306, syncfs) PV_SYSCALL(HARMLESS, 277, sync_file_range) \
    PV_SYSCALL(HARMLESS, 13, rt_sigaction) PV_SYSCALL(HARMLESS, 14, rt_sigprocmask) \
    PV_SYSCALL(HARMLESS, 15, rt_sigreturn) PV_SYSCALL(HARMLESS, 127, rt_sigpending) \
    PV_SYSCALL(HARMLESS, 128, rt_sigtimedwait) PV_SYSCALL(HARMLESS, 130, rt_sigsuspend) \
    PV_SYSCALL(HARMLESS, 131, sigaltstack) PV_SYSCALL(HARMLESS, 34, pause) \
    PV_SYSCALL(HARMLESS, 35, nanosleep) PV_SYSCALL(HARMLESS, 230, clock_nanosleep) \
    PV_SYSCALL(HARMLESS, 228, clock_gettime) PV_SYSCALL(HARMLESS, 229, clock_getres) \
    PV_SYSCALL(HARMLESS, 96, gettimeofday) PV_SYSCALL(HARMLESS, 201, time) \
    PV_SYSCALL(HARMLESS, 36, getitimer) PV_SYSCALL(HARMLESS, 38, setitimer) \
    PV_SYSCALL(HARMLESS, 37, alarm) PV_SYSCALL(HARMLESS, 222, timer_create) \
    PV_SYSCALL(HARMLESS, 223, timer_settime) PV_SYSCALL(HARMLESS, 224, timer_gettime) \
    PV_SYSCALL(HARMLESS, 225, timer_getoverrun) PV_SYSCALL(HARMLESS, 226, timer_delete) \
    PV_SYSCALL(HARMLESS, 286, timerfd_settime) PV_SYSCALL(HARMLESS, 287, timerfd_gettime) \
    PV_SYSCALL(HARMLESS, 219, restart_syscall) PV_SYSCALL(HARMLESS, 63, uname) \
    PV_SYSCALL(HARMLESS, 99, sysinfo) PV_SYSCALL(HARMLESS, 102, getuid) \
    PV_SYSCALL(HARMLESS, 104, getgid) PV_SYSCALL(HARMLESS, 107, geteuid) \
    PV_SYSCALL(HARMLESS, 108, getegid) PV_SYSCALL(HARMLESS, 118, getresuid) \
    PV_SYSCALL(HARMLESS, 120, getresgid) PV_SYSCALL(HARMLESS, 115, getgroups) \
    PV_SYSCALL(HARMLESS, 125, capget) PV_SYSCALL(HARMLESS, 202, futex) \
    PV_SYSCALL(HARMLESS, 449, futex_waitv) PV_SYSCALL(HARMLESS, 454, futex_wake) \
    PV_SYSCALL(HARMLESS, 455, futex_wait) PV_SYSCALL(HARMLESS, 456, futex_requeue) \
    PV_SYSCALL(HARMLESS, 273, set_robust_list) PV_SYSCALL(HARMLESS, 334, rseq) \
    PV_SYSCALL(HARMLESS, 318, getrandom) PV_SYSCALL(HARMLESS, 459, lsm_get_self_attr) \
    PV_SYSCALL(HARMLESS, 461, lsm_list_modules) PV_SYSCALL(HARMLESS, 181, getpmsg) \
    PV_SYSCALL(HARMLESS, 182, putpmsg) PV_SYSCALL(HARMLESS, 183, afs_syscall) \
    PV_SYSCALL(HARMLESS, 184, tuxcall) PV_SYSCALL(HARMLESS, 185, security) \
    PV_SYSCALL(HARMLESS, 236, vserver)
/* clang-format on */

enum pv_syscall_class {
    PV_SC_UNKNOWN = 0,
    PV_SC_DATA_IN,
    PV_SC_DATA_OUT,
    PV_SC_COPY,
    PV_SC_OPEN,
    PV_SC_CLOSE,
    PV_SC_DUP,
    PV_SC_CREATE,
    PV_SC_CONNECT,
    PV_SC_ACCEPT,
    PV_SC_NETWORK,
    PV_SC_NAME,
    PV_SC_METADATA,
    PV_SC_NAMESPACE,
    PV_SC_PROCESS,
    PV_SC_MAP,
    PV_SC_MEMORY,
    PV_SC_CREDENTIALS,
    PV_SC_SIGNAL,
    PV_SC_INTERFERE,
    PV_SC_HARMLESS,
    PV_SC_CLASSES
};

enum {
    PV_SYSCALL_NUMBERS = 512, /* the tables' size; x32 has its own from 512 on */
};

/* int 0x80: i386 numbers whose arguments mean the same, as PV_COMPAT(i386 number, x86-64 name). What is
 * not here is recorded as a foreign entry alone (socketcall and ipc carry theirs in user memory). */
/* clang-format off */
#define PV_COMPAT_CALLS(PV_COMPAT) \
    PV_COMPAT(3, read) PV_COMPAT(4, write) PV_COMPAT(5, open) PV_COMPAT(6, close) \
    PV_COMPAT(8, creat) PV_COMPAT(9, link) PV_COMPAT(10, unlink) PV_COMPAT(14, mknod) \
    PV_COMPAT(15, chmod) PV_COMPAT(16, lchown) PV_COMPAT(21, mount) PV_COMPAT(23, setuid) \
    PV_COMPAT(26, ptrace) PV_COMPAT(30, utime) PV_COMPAT(37, kill) PV_COMPAT(38, rename) \
    PV_COMPAT(39, mkdir) PV_COMPAT(40, rmdir) PV_COMPAT(46, setgid) PV_COMPAT(51, acct) \
    PV_COMPAT(52, umount2) PV_COMPAT(54, ioctl) PV_COMPAT(61, chroot) PV_COMPAT(70, setreuid) \
    PV_COMPAT(71, setregid) PV_COMPAT(74, sethostname) PV_COMPAT(79, settimeofday) \
    PV_COMPAT(81, setgroups) PV_COMPAT(83, symlink) PV_COMPAT(86, uselib) PV_COMPAT(87, swapon) \
    PV_COMPAT(88, reboot) PV_COMPAT(92, truncate) PV_COMPAT(93, ftruncate) PV_COMPAT(94, fchmod) \
    PV_COMPAT(95, fchown) PV_COMPAT(101, ioperm) PV_COMPAT(103, syslog) PV_COMPAT(110, iopl) \
    PV_COMPAT(111, vhangup) PV_COMPAT(115, swapoff) PV_COMPAT(121, setdomainname) \
    PV_COMPAT(123, modify_ldt) PV_COMPAT(124, adjtimex) PV_COMPAT(125, mprotect) \
    PV_COMPAT(127, create_module) PV_COMPAT(128, init_module) PV_COMPAT(129, delete_module) \
    PV_COMPAT(130, get_kernel_syms) PV_COMPAT(131, quotactl) PV_COMPAT(136, personality) \
    PV_COMPAT(138, setfsuid) PV_COMPAT(139, setfsgid) PV_COMPAT(141, getdents) \
    PV_COMPAT(145, readv) PV_COMPAT(146, writev) PV_COMPAT(149, _sysctl) PV_COMPAT(164, setresuid) \
    PV_COMPAT(167, query_module) PV_COMPAT(169, nfsservctl) PV_COMPAT(170, setresgid) \
    PV_COMPAT(172, prctl) PV_COMPAT(178, rt_sigqueueinfo) PV_COMPAT(180, pread64) \
    PV_COMPAT(181, pwrite64) PV_COMPAT(182, chown) PV_COMPAT(185, capset) PV_COMPAT(187, sendfile) \
    PV_COMPAT(192, mmap) PV_COMPAT(193, truncate) PV_COMPAT(194, ftruncate) PV_COMPAT(198, lchown) \
    PV_COMPAT(203, setreuid) PV_COMPAT(204, setregid) PV_COMPAT(206, setgroups) \
    PV_COMPAT(207, fchown) PV_COMPAT(208, setresuid) PV_COMPAT(210, setresgid) \
    PV_COMPAT(212, chown) PV_COMPAT(213, setuid) PV_COMPAT(214, setgid) PV_COMPAT(215, setfsuid) \
    PV_COMPAT(216, setfsgid) PV_COMPAT(217, pivot_root) PV_COMPAT(220, getdents64) \
    PV_COMPAT(226, setxattr) PV_COMPAT(227, lsetxattr) PV_COMPAT(228, fsetxattr) \
    PV_COMPAT(229, getxattr) PV_COMPAT(230, lgetxattr) PV_COMPAT(231, fgetxattr) \
    PV_COMPAT(235, removexattr) PV_COMPAT(236, lremovexattr) PV_COMPAT(237, fremovexattr) \
    PV_COMPAT(238, tkill) PV_COMPAT(239, sendfile) PV_COMPAT(245, io_setup) \
    PV_COMPAT(246, io_destroy) PV_COMPAT(247, io_getevents) PV_COMPAT(248, io_submit) \
    PV_COMPAT(249, io_cancel) PV_COMPAT(253, lookup_dcookie) PV_COMPAT(257, remap_file_pages) \
    PV_COMPAT(264, clock_settime) PV_COMPAT(270, tgkill) PV_COMPAT(271, utimes) \
    PV_COMPAT(277, mq_open) PV_COMPAT(278, mq_unlink) PV_COMPAT(279, mq_timedsend) \
    PV_COMPAT(280, mq_timedreceive) PV_COMPAT(283, kexec_load) PV_COMPAT(286, add_key) \
    PV_COMPAT(287, request_key) PV_COMPAT(288, keyctl) PV_COMPAT(294, migrate_pages) \
    PV_COMPAT(295, openat) PV_COMPAT(296, mkdirat) PV_COMPAT(297, mknodat) \
    PV_COMPAT(298, fchownat) PV_COMPAT(299, futimesat) PV_COMPAT(301, unlinkat) \
    PV_COMPAT(302, renameat) PV_COMPAT(303, linkat) PV_COMPAT(304, symlinkat) \
    PV_COMPAT(306, fchmodat) PV_COMPAT(310, unshare) PV_COMPAT(312, get_robust_list) \
    PV_COMPAT(313, splice) PV_COMPAT(315, tee) PV_COMPAT(316, vmsplice) PV_COMPAT(317, move_pages) \
    PV_COMPAT(320, utimensat) PV_COMPAT(324, fallocate) PV_COMPAT(333, preadv) \
    PV_COMPAT(334, pwritev) PV_COMPAT(335, rt_tgsigqueueinfo) PV_COMPAT(336, perf_event_open) \
    PV_COMPAT(337, recvmmsg) PV_COMPAT(338, fanotify_init) PV_COMPAT(339, fanotify_mark) \
    PV_COMPAT(342, open_by_handle_at) PV_COMPAT(343, clock_adjtime) PV_COMPAT(345, sendmmsg) \
    PV_COMPAT(346, setns) PV_COMPAT(347, process_vm_readv) PV_COMPAT(348, process_vm_writev) \
    PV_COMPAT(349, kcmp) PV_COMPAT(350, finit_module) PV_COMPAT(353, renameat2) \
    PV_COMPAT(354, seccomp) PV_COMPAT(356, memfd_create) PV_COMPAT(357, bpf) \
    PV_COMPAT(362, connect) PV_COMPAT(364, accept4) PV_COMPAT(369, sendto) PV_COMPAT(370, sendmsg) \
    PV_COMPAT(371, recvfrom) PV_COMPAT(372, recvmsg) PV_COMPAT(374, userfaultfd) \
    PV_COMPAT(377, copy_file_range) PV_COMPAT(378, preadv2) PV_COMPAT(379, pwritev2) \
    PV_COMPAT(380, pkey_mprotect) PV_COMPAT(385, io_pgetevents) PV_COMPAT(393, semget) \
    PV_COMPAT(394, semctl) PV_COMPAT(395, shmget) PV_COMPAT(396, shmctl) PV_COMPAT(397, shmat) \
    PV_COMPAT(399, msgget) PV_COMPAT(400, msgsnd) PV_COMPAT(401, msgrcv) PV_COMPAT(402, msgctl) \
    PV_COMPAT(412, utimensat) PV_COMPAT(417, recvmmsg) PV_COMPAT(418, mq_timedsend) \
    PV_COMPAT(419, mq_timedreceive) PV_COMPAT(424, pidfd_send_signal) \
    PV_COMPAT(425, io_uring_setup) PV_COMPAT(426, io_uring_enter) \
    PV_COMPAT(427, io_uring_register) PV_COMPAT(428, open_tree) PV_COMPAT(429, move_mount) \
    PV_COMPAT(430, fsopen) PV_COMPAT(431, fsconfig) PV_COMPAT(432, fsmount) PV_COMPAT(433, fspick) \
    PV_COMPAT(437, openat2) PV_COMPAT(438, pidfd_getfd) PV_COMPAT(440, process_madvise) \
    PV_COMPAT(442, mount_setattr) PV_COMPAT(443, quotactl_fd) \
    PV_COMPAT(444, landlock_create_ruleset) PV_COMPAT(445, landlock_add_rule) \
    PV_COMPAT(446, landlock_restrict_self) PV_COMPAT(447, memfd_secret) \
    PV_COMPAT(448, process_mrelease)
/* clang-format on */

/* PV_NR_read, … */
#define PV_SYSCALL_NUMBER_(class, number, name) PV_NR_##name = number,
enum pv_syscall_number { PV_SYSCALLS(PV_SYSCALL_NUMBER_) };
#undef PV_SYSCALL_NUMBER_
