/* The functions of the table, by the file they stand in. */
#pragma once
#include "calls/calls.h"

/* data.c */
PV_CALL(call_read);
PV_CALL(call_write);
PV_CALL(call_readv);
PV_CALL(call_writev);
PV_CALL(call_pread64);
PV_CALL(call_pwrite64);
PV_CALL(call_preadv);
PV_CALL(call_pwritev);
PV_CALL(call_preadv2);
PV_CALL(call_pwritev2);
PV_CALL(call_lseek);
PV_CALL(call_sendfile);
PV_CALL(call_copy_file_range);
PV_CALL(call_splice);
PV_CALL(call_getrandom);

/* names.c */
PV_CALL(call_open);
PV_CALL(call_creat);
PV_CALL(call_openat);
PV_CALL(call_openat2);
PV_CALL(call_stat);
PV_CALL(call_lstat);
PV_CALL(call_fstat);
PV_CALL(call_newfstatat);
PV_CALL(call_statx);
PV_CALL(call_statfs);
PV_CALL(call_fstatfs);
PV_CALL(call_access);
PV_CALL(call_faccessat);
PV_CALL(call_faccessat2);
PV_CALL(call_readlink);
PV_CALL(call_readlinkat);
PV_CALL(call_chdir);
PV_CALL(call_fchdir);
PV_CALL(call_getcwd);
PV_CALL(call_umask);
PV_CALL(call_getdents);
PV_CALL(call_getdents64);

/* change.c */
PV_CALL(call_mkdir);
PV_CALL(call_mkdirat);
PV_CALL(call_mknod);
PV_CALL(call_mknodat);
PV_CALL(call_rmdir);
PV_CALL(call_unlink);
PV_CALL(call_unlinkat);
PV_CALL(call_rename);
PV_CALL(call_renameat);
PV_CALL(call_renameat2);
PV_CALL(call_link);
PV_CALL(call_linkat);
PV_CALL(call_symlink);
PV_CALL(call_symlinkat);
PV_CALL(call_chmod);
PV_CALL(call_fchmod);
PV_CALL(call_fchmodat);
PV_CALL(call_chown);
PV_CALL(call_lchown);
PV_CALL(call_fchown);
PV_CALL(call_fchownat);
PV_CALL(call_utime);
PV_CALL(call_utimes);
PV_CALL(call_futimesat);
PV_CALL(call_utimensat);
PV_CALL(call_truncate);
PV_CALL(call_ftruncate);
PV_CALL(call_fallocate);
PV_CALL(call_fadvise64);
PV_CALL(call_fsync);

/* descriptors.c */
PV_CALL(call_close);
PV_CALL(call_close_range);
PV_CALL(call_dup);
PV_CALL(call_dup2);
PV_CALL(call_dup3);
PV_CALL(call_fcntl);
PV_CALL(call_flock);
PV_CALL(call_ioctl);
PV_CALL(call_pipe);
PV_CALL(call_pipe2);
PV_CALL(call_eventfd);
PV_CALL(call_eventfd2);
PV_CALL(call_memfd_create);
PV_CALL(call_inotify_init);
PV_CALL(call_inotify_init1);
PV_CALL(call_timerfd_create);
PV_CALL(call_timerfd_settime);
PV_CALL(call_timerfd_gettime);

/* readiness.c */
PV_CALL(call_poll);
PV_CALL(call_ppoll);
PV_CALL(call_select);
PV_CALL(call_pselect6);
PV_CALL(call_epoll_create);
PV_CALL(call_epoll_create1);
PV_CALL(call_epoll_ctl);
PV_CALL(call_epoll_wait);
PV_CALL(call_epoll_pwait);

/* sockets.c */
PV_CALL(call_socket);
PV_CALL(call_socketpair);
PV_CALL(call_connect);
PV_CALL(call_bind);
PV_CALL(call_listen);
PV_CALL(call_accept);
PV_CALL(call_accept4);
PV_CALL(call_shutdown);
PV_CALL(call_getsockname);
PV_CALL(call_getpeername);
PV_CALL(call_getsockopt);
PV_CALL(call_setsockopt);
PV_CALL(call_sendto);
PV_CALL(call_recvfrom);
PV_CALL(call_sendmsg);
PV_CALL(call_recvmsg);

/* memory.c */
PV_CALL(call_mmap);
PV_CALL(call_munmap);
PV_CALL(call_mprotect);
PV_CALL(call_mremap);
PV_CALL(call_brk);
PV_CALL(call_madvise);
PV_CALL(call_msync);
PV_CALL(call_mlock);
PV_CALL(call_mincore);

/* time.c */
PV_CALL(call_clock_gettime);
PV_CALL(call_clock_getres);
PV_CALL(call_gettimeofday);
PV_CALL(call_time);
PV_CALL(call_times);
PV_CALL(call_getrusage);
PV_CALL(call_nanosleep);
PV_CALL(call_clock_nanosleep);
PV_CALL(call_setitimer);
PV_CALL(call_getitimer);
PV_CALL(call_alarm);

/* identity.c */
PV_CALL(call_getpid);
PV_CALL(call_getppid);
PV_CALL(call_gettid);
PV_CALL(call_getuid);
PV_CALL(call_getgid);
PV_CALL(call_getresuid);
PV_CALL(call_getresgid);
PV_CALL(call_getgroups);
PV_CALL(call_getpgid);
PV_CALL(call_setuid);
PV_CALL(call_setgid);
PV_CALL(call_setresuid);
PV_CALL(call_setresgid);
PV_CALL(call_uname);
PV_CALL(call_sysinfo);
PV_CALL(call_getrlimit);
PV_CALL(call_setrlimit);
PV_CALL(call_prlimit64);
PV_CALL(call_prctl);
PV_CALL(call_arch_prctl);
PV_CALL(call_personality);
PV_CALL(call_capget);
PV_CALL(call_getpriority);
PV_CALL(call_zero);
PV_CALL(call_eperm);
PV_CALL(call_echild);
PV_CALL(call_enosys);

/* threads.c */
PV_CALL(call_exit);
PV_CALL(call_exit_group);
PV_CALL(call_clone);
PV_CALL(call_fork);
PV_CALL(call_futex);
PV_CALL(call_set_tid_address);
PV_CALL(call_set_robust_list);
PV_CALL(call_get_robust_list);
PV_CALL(call_sched_yield);
PV_CALL(call_sched_getaffinity);
PV_CALL(call_sched_getparam);
PV_CALL(call_sched_get_priority);
PV_CALL(call_getcpu);
PV_CALL(call_membarrier);

/* timers.c */
PV_CALL(call_timer_create);
PV_CALL(call_timer_settime);
PV_CALL(call_timer_gettime);
PV_CALL(call_timer_getoverrun);
PV_CALL(call_timer_delete);

/* signals.c */
PV_CALL(call_rt_sigaction);
PV_CALL(call_rt_sigprocmask);
PV_CALL(call_rt_sigreturn);
PV_CALL(call_rt_sigpending);
PV_CALL(call_rt_sigsuspend);
PV_CALL(call_rt_sigtimedwait);
PV_CALL(call_sigaltstack);
PV_CALL(call_kill);
PV_CALL(call_tkill);
PV_CALL(call_tgkill);
PV_CALL(call_pause);
