/* Calls made on a domain's files and on the kernel, whose results must be equal. */
#pragma once
#include "vm_files_fixture.h"

enum { BUF = 70000, BASE = 100 };

/* The kernel's descriptors are BASE higher than the domain's, so that both have the same numbers
 * otherwise. One process, one domain. */
extern struct fixture x;
extern struct pv_files *f;
extern uint8_t mine[BUF];
extern uint8_t theirs[BUF];
extern char last_call[256];

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            fail_msg("line %d: after %s: %s is false", __LINE__, last_call, #cond);                \
    } while (0)

#define CALL(...) (snprintf(last_call, sizeof last_call, __VA_ARGS__), note_call())

/* Says so and ends the process. */
_Noreturn void fail_msg(const char *fmt, ...) PV_PRINTF(1, 2);
/* PV_SAME_TRACE in the environment prints each call. */
void note_call(void);
/* Result of a libc call, or -errno. */
int64_t sys(int64_t rc);
/* The kernel's number of a descriptor. */
int host_fd(int fd);
/* The domain's number of a descriptor of the kernel. */
int64_t adopt(int64_t fd);
/* Fails unless both results are equal. */
void same(int64_t a, int64_t b);
int64_t t_open(int dir, const char *path, int flags, unsigned mode);
void t_close(int fd);
void t_stat(int dir, const char *path, int flags);
void t_fstat(int fd);
void t_statx(int dir, const char *path, int flags, unsigned mask);
int64_t t_read(int fd, size_t len, int64_t off);
int64_t t_write(int fd, size_t len, int64_t off, unsigned seed);
void t_seek(int fd, int64_t off, int whence);
void t_mkdir(int dir, const char *path, unsigned mode);
void t_unlink(int dir, const char *path, int flags);
void t_rename(const char *from, const char *to, unsigned flags);
void t_link(const char *from, const char *to, int flags);
void t_symlink(const char *target, const char *path);
void t_readlink(const char *path, size_t len);
void t_access(const char *path, int mode, int flags);
void t_chmod(const char *path, unsigned mode);
void t_chown(const char *path, uint32_t uid, uint32_t gid);
void t_chdir(const char *path);
void t_truncate(const char *path, int64_t len);
void t_ftruncate(int fd, int64_t len);
void t_fallocate(int fd, int mode, int64_t off, int64_t len);
void t_utimens(const char *path, const struct timespec *times, int flags);
void t_fcntl(int fd, int cmd, uint64_t arg);
void t_list(const char *path, size_t room);
/* Gives fresh descriptors of the kernel the numbers that go with fds. */
void place(int fds[2], const int host[2], int flags);
void t_poll(int fd);
void t_fionread(int fd);
void t_pipe(int fds[2]);
void t_epoll(int epfd, int max);
void t_epoll_ctl(int epfd, int op, int fd, uint32_t events);
int t_epoll_create(void);
int t_eventfd(unsigned value, int flags);
void t_count(int fd, uint64_t value);
void t_lock(int fd, int cmd, short type, int64_t start, int64_t len);
void t_openat2(const char *path, uint64_t flags, uint64_t mode, uint64_t resolve, size_t size);

/* vm_files_same_random.c: some seeds, 1500 calls each. */
void random_calls(void);
/* vm_files_same_objects.c */
void sockets(void);
void timers(void);
void shared_files(void);
void unnamed_files(void);
void selecting(void);
