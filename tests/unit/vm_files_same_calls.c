#include "vm_files_same.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct fixture x;
struct pv_files *f;
uint8_t mine[BUF];
uint8_t theirs[BUF];
char last_call[256];

_Noreturn void fail_msg(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    _exit(1);
}

void note_call(void)
{
    static int on = -1;

    if (on < 0)
        on = getenv("PV_SAME_TRACE") != NULL;
    if (on)
        fprintf(stderr, "  %s\n", last_call);
}

int64_t sys(int64_t rc)
{
    return rc < 0 ? -errno : rc;
}

int host_fd(int fd)
{
    return fd >= 3 ? fd + BASE : fd == AT_FDCWD ? fd : -1;
}

int64_t adopt(int64_t fd)
{
    return fd < 0 ? fd : fd - BASE;
}

void same(int64_t a, int64_t b)
{
    if (a == PV_FILES_WAIT)
        a = -EAGAIN; /* everything is non-blocking on the kernel's side */
    if (a != b)
        fail_msg("%s: domain %lld (%s), kernel %lld (%s)", last_call, (long long)a,
                 a < 0 ? strerror((int)-a) : "", (long long)b, b < 0 ? strerror((int)-b) : "");
}

static void same_stat(const struct stat *a, const struct stat *b)
{
    if (a->st_mode != b->st_mode || a->st_uid != b->st_uid || a->st_gid != b->st_gid ||
        a->st_nlink != b->st_nlink || a->st_size != b->st_size)
        fail_msg("%s: domain mode %o uid %u gid %u links %lu size %ld, kernel mode %o uid %u gid "
                 "%u links "
                 "%lu size %ld",
                 last_call, a->st_mode, a->st_uid, a->st_gid, (unsigned long)a->st_nlink,
                 (long)a->st_size, b->st_mode, b->st_uid, b->st_gid, (unsigned long)b->st_nlink,
                 (long)b->st_size);
}

int64_t t_open(int dir, const char *path, int flags, unsigned mode)
{
    int64_t a;
    int64_t b;
    int fd;

    CALL("openat(%d, %s, %#o, %#o)", dir, path, flags, mode);
    a = pv_files_openat(f, dir, path, flags, mode);
    fd = (int)sys(syscall(SYS_openat, host_fd(dir), path, flags | O_NONBLOCK, mode));
    b = fd;
    if (fd >= 0) {
        int to = a >= 0 ? (int)a + BASE : 900;

        if (fd != to) {
            CHECK(syscall(SYS_dup3, fd, to, flags & O_CLOEXEC) == to);
            close(fd);
        }
        b = to - BASE;
    }
    same(a, b);
    return a;
}

void t_close(int fd)
{
    CALL("close(%d)", fd);
    same(pv_files_close(f, fd), sys(close(host_fd(fd))));
}

void t_stat(int dir, const char *path, int flags)
{
    struct stat a;
    struct stat b;
    int64_t rc;

    CALL("newfstatat(%d, %s, %#x)", dir, path, flags);
    rc = pv_files_newfstatat(f, dir, path, &a, flags);
    same(rc, sys(syscall(SYS_newfstatat, host_fd(dir), path, &b, flags)));
    if (rc == 0)
        same_stat(&a, &b);
}

void t_fstat(int fd)
{
    struct stat a;
    struct stat b;
    int64_t rc;

    CALL("fstat(%d)", fd);
    rc = pv_files_fstat(f, fd, &a);
    same(rc, sys(fstat(host_fd(fd), &b)));
    if (rc == 0)
        same_stat(&a, &b);
}

void t_statx(int dir, const char *path, int flags, unsigned mask)
{
    struct statx a;
    struct statx b;
    int64_t rc;

    CALL("statx(%d, %s, %#x, %#x)", dir, path, flags, mask);
    rc = pv_files_statx(f, dir, path, flags, mask, &a);
    same(rc, sys(syscall(SYS_statx, host_fd(dir), path, flags, mask, &b)));
    if (rc == 0 &&
        (a.stx_mode != b.stx_mode || a.stx_size != b.stx_size || a.stx_nlink != b.stx_nlink))
        fail_msg("%s differs", last_call);
}

int64_t t_read(int fd, size_t len, int64_t off)
{
    const struct iovec iov = {mine, len};
    int64_t a;
    int64_t b;

    CALL("read(%d, %zu, %lld)", fd, len, (long long)off);
    memset(mine, 0, sizeof mine);
    memset(theirs, 0, sizeof theirs);
    if (off == INT64_MIN) {
        a = pv_files_read(f, fd, &iov, 1);
        b = sys(read(host_fd(fd), theirs, len));
    } else {
        a = pv_files_pread(f, fd, &iov, 1, off);
        b = sys(pread(host_fd(fd), theirs, len, off));
    }
    same(a, b);
    if (memcmp(mine, theirs, sizeof mine) != 0)
        fail_msg("%s: data differs", last_call);
    return a;
}

int64_t t_write(int fd, size_t len, int64_t off, unsigned seed)
{
    const struct iovec iov = {mine, len};
    int64_t a;

    for (size_t i = 0; i < len; i++)
        mine[i] = (uint8_t)(seed + i * 7 + (i >> 8));
    CALL("write(%d, %zu, %lld)", fd, len, (long long)off);
    if (off == INT64_MIN) {
        a = pv_files_write(f, fd, &iov, 1);
        if (a == PV_FILES_WAIT && pv_files_partial(f))
            a = (int64_t)pv_files_partial(f);
        same(a, sys(write(host_fd(fd), mine, len)));
    } else {
        a = pv_files_pwrite(f, fd, &iov, 1, off);
        same(a, sys(pwrite(host_fd(fd), mine, len, off)));
    }
    return a;
}

void t_seek(int fd, int64_t off, int whence)
{
    CALL("lseek(%d, %lld, %d)", fd, (long long)off, whence);
    same(pv_files_lseek(f, fd, off, whence), sys(lseek(host_fd(fd), off, whence)));
}

void t_mkdir(int dir, const char *path, unsigned mode)
{
    CALL("mkdirat(%d, %s, %#o)", dir, path, mode);
    same(pv_files_mkdirat(f, dir, path, mode), sys(mkdirat(host_fd(dir), path, mode)));
}

void t_unlink(int dir, const char *path, int flags)
{
    CALL("unlinkat(%d, %s, %#x)", dir, path, flags);
    same(pv_files_unlinkat(f, dir, path, flags), sys(unlinkat(host_fd(dir), path, flags)));
}

void t_rename(const char *from, const char *to, unsigned flags)
{
    CALL("renameat2(%s, %s, %u)", from, to, flags);
    same(pv_files_renameat2(f, AT_FDCWD, from, AT_FDCWD, to, flags),
         sys(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags)));
}

void t_link(const char *from, const char *to, int flags)
{
    CALL("linkat(%s, %s, %#x)", from, to, flags);
    same(pv_files_linkat(f, AT_FDCWD, from, AT_FDCWD, to, flags),
         sys(linkat(AT_FDCWD, from, AT_FDCWD, to, flags)));
}

void t_symlink(const char *target, const char *path)
{
    CALL("symlink(%s, %s)", target, path);
    same(pv_files_symlinkat(f, target, AT_FDCWD, path), sys(symlinkat(target, AT_FDCWD, path)));
}

void t_readlink(const char *path, size_t len)
{
    int64_t a;

    CALL("readlink(%s, %zu)", path, len);
    memset(mine, 0, 4096);
    memset(theirs, 0, 4096);
    a = pv_files_readlinkat(f, AT_FDCWD, path, (char *)mine, len);
    same(a, sys(syscall(SYS_readlinkat, AT_FDCWD, path, theirs, len)));
    CHECK(memcmp(mine, theirs, 4096) == 0);
}

void t_access(const char *path, int mode, int flags)
{
    CALL("faccessat2(%s, %d, %#x)", path, mode, flags);
    same(pv_files_faccessat2(f, AT_FDCWD, path, mode, flags),
         sys(syscall(SYS_faccessat2, AT_FDCWD, path, mode, flags)));
}

void t_chmod(const char *path, unsigned mode)
{
    CALL("chmod(%s, %#o)", path, mode);
    same(pv_files_fchmodat(f, AT_FDCWD, path, mode), sys(chmod(path, mode)));
}

void t_chown(const char *path, uint32_t uid, uint32_t gid)
{
    CALL("chown(%s, %u, %u)", path, uid, gid);
    same(pv_files_fchownat(f, AT_FDCWD, path, uid, gid, 0), sys(chown(path, uid, gid)));
}

void t_chdir(const char *path)
{
    char a[4096] = "";
    char b[4096] = "";

    CALL("chdir(%s)", path);
    same(pv_files_chdir(f, path), sys(chdir(path)));
    CALL("getcwd after chdir(%s)", path);
    same(pv_files_getcwd(f, a, sizeof a), sys(syscall(SYS_getcwd, b, sizeof b)));
    CHECK(strcmp(a, b) == 0);
}

void t_truncate(const char *path, int64_t len)
{
    CALL("truncate(%s, %lld)", path, (long long)len);
    same(pv_files_truncate(f, path, len), sys(truncate(path, len)));
}

void t_ftruncate(int fd, int64_t len)
{
    CALL("ftruncate(%d, %lld)", fd, (long long)len);
    same(pv_files_ftruncate(f, fd, len), sys(ftruncate(host_fd(fd), len)));
}

void t_fallocate(int fd, int mode, int64_t off, int64_t len)
{
    CALL("fallocate(%d, %#x, %lld, %lld)", fd, mode, (long long)off, (long long)len);
    same(pv_files_fallocate(f, fd, mode, off, len), sys(fallocate(host_fd(fd), mode, off, len)));
}

void t_utimens(const char *path, const struct timespec *times, int flags)
{
    struct stat a;
    struct stat b;

    CALL("utimensat(%s, %s, %#x)", path, times ? "times" : "now", flags);
    same(pv_files_utimensat(f, AT_FDCWD, path, times, flags),
         sys(syscall(SYS_utimensat, AT_FDCWD, path, times, flags)));
    if (!times || times[0].tv_nsec > 999999999 || pv_files_lstat(f, path, &a) < 0 ||
        lstat(path, &b) < 0)
        return;
    CHECK(a.st_atim.tv_sec == b.st_atim.tv_sec);
    CHECK(a.st_atim.tv_nsec == b.st_atim.tv_nsec);
}

void t_fcntl(int fd, int cmd, uint64_t arg)
{
    int64_t a;
    int64_t b;

    CALL("fcntl(%d, %d, %#llx)", fd, cmd, (unsigned long long)arg);
    a = pv_files_fcntl(f, fd, cmd, arg);
    b = sys(fcntl(host_fd(fd), cmd, arg));
    if (cmd == F_GETFL && b >= 0)
        b = (b & ~O_NONBLOCK) | (a & O_NONBLOCK);
    same(a, b);
}

static int order(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Names of a directory, sorted, without those of the domain's own. */
static void names(int64_t (*list)(int fd, void *buf, size_t len), int fd, size_t room,
                  char out[][64], size_t *n)
{
    uint64_t buf[1024];
    int64_t got;

    *n = 0;
    while ((got = list(fd, buf, room)) > 0)
        for (int64_t at = 0; at < got;) {
            const struct dirent64 *e = (const struct dirent64 *)((const char *)buf + at);

            CHECK(*n < 512);
            at += e->d_reclen;
            if (strcmp(e->d_name, "dev") == 0 || strcmp(e->d_name, "proc") == 0)
                continue;
            snprintf(out[(*n)++], 64, "%.50s %d", e->d_name, e->d_type);
        }
    CHECK(got == 0);
    qsort(out, *n, 64, order);
}

static int64_t list_domain(int fd, void *buf, size_t len)
{
    return pv_files_getdents64(f, fd, buf, len);
}

static int64_t list_kernel(int fd, void *buf, size_t len)
{
    return sys(syscall(SYS_getdents64, host_fd(fd), buf, len));
}

void t_list(const char *path, size_t room)
{
    static char a[512][64];
    static char b[512][64];
    size_t n;
    size_t m;
    int fd = (int)t_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);

    if (fd < 0)
        return;
    CALL("getdents64(%s)", path);
    names(list_domain, fd, room, a, &n);
    names(list_kernel, fd, room, b, &m);
    CHECK(n == m);
    for (size_t i = 0; i < n; i++)
        CHECK(strcmp(a[i], b[i]) == 0);
    t_close(fd);
}

void place(int fds[2], const int host[2], int flags)
{
    for (int i = 0; i < 2; i++) {
        CHECK(dup3(host[i], host_fd(fds[i]), flags & O_CLOEXEC) == host_fd(fds[i]));
        close(host[i]);
    }
}

void t_poll(int fd)
{
    struct pollfd a = {fd, 0x7fff & ~POLLNVAL, 0};
    struct pollfd b = {host_fd(fd), 0x7fff & ~POLLNVAL, 0};

    CALL("poll(%d)", fd);
    same(pv_files_poll(f, &a, 1), sys(poll(&b, 1, 0)));
    if (a.revents != b.revents)
        fail_msg("%s: domain %#x, kernel %#x", last_call, (unsigned)a.revents, (unsigned)b.revents);
}

void t_fionread(int fd)
{
    int a = -1;
    int b = -1;

    CALL("FIONREAD(%d)", fd);
    same(pv_files_ioctl(f, fd, FIONREAD, &a), sys(ioctl(host_fd(fd), FIONREAD, &b)));
    CHECK(a == b);
}

void t_pipe(int fds[2])
{
    int host[2];

    CHECK(pv_files_pipe2(f, fds, 0) == 0);
    CHECK(pipe2(host, O_NONBLOCK) == 0);
    place(fds, host, 0);
}

void t_epoll(int epfd, int max)
{
    struct epoll_event a[16];
    struct epoll_event b[16];
    uint64_t sum_a = 0;
    uint64_t sum_b = 0;
    int64_t n;

    CALL("epoll_wait(%d, %d)", epfd, max);
    n = pv_files_epoll_wait(f, epfd, a, max);
    same(n, sys(epoll_wait(host_fd(epfd), b, max, 0)));
    for (int64_t i = 0; i < n; i++) {
        sum_a += a[i].data.u64 * 1000003 + a[i].events;
        sum_b += b[i].data.u64 * 1000003 + b[i].events;
    }
    if (n < max && sum_a != sum_b)
        fail_msg("%s: events differ: domain %llx, kernel %llx (%lld)", last_call,
                 (unsigned long long)sum_a, (unsigned long long)sum_b, (long long)n);
}

void t_epoll_ctl(int epfd, int op, int fd, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.u64 = (uint64_t)fd};

    CALL("epoll_ctl(%d, %d, %d, %#x)", epfd, op, fd, events);
    same(pv_files_epoll_ctl(f, epfd, op, fd, &ev),
         sys(epoll_ctl(host_fd(epfd), op, host_fd(fd), &ev)));
}

int t_epoll_create(void)
{
    int fd = (int)pv_files_epoll_create1(f, 0);
    int host = epoll_create1(0);

    CHECK(dup2(host, host_fd(fd)) == host_fd(fd));
    close(host);
    return fd;
}

int t_eventfd(unsigned value, int flags)
{
    int fd = (int)pv_files_eventfd2(f, value, flags);
    int host = eventfd(value, flags | EFD_NONBLOCK);

    CHECK(dup2(host, host_fd(fd)) == host_fd(fd));
    close(host);
    return fd;
}

void t_count(int fd, uint64_t value)
{
    const struct iovec iov = {&value, 8};

    CALL("eventfd write %llu", (unsigned long long)value);
    same(pv_files_write(f, fd, &iov, 1), sys(write(host_fd(fd), &value, 8)));
}

void t_lock(int fd, int cmd, short type, int64_t start, int64_t len)
{
    struct flock a = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    struct flock b = a;

    CALL("fcntl(%d, %d, type %d, %lld, %lld)", fd, cmd, type, (long long)start, (long long)len);
    same(pv_files_fcntl_lock(f, fd, cmd, &a), sys(fcntl(host_fd(fd), cmd, &b)));
    if (a.l_type != b.l_type || a.l_start != b.l_start || a.l_len != b.l_len)
        fail_msg("%s: domain %d %lld+%lld, kernel %d %lld+%lld", last_call, a.l_type,
                 (long long)a.l_start, (long long)a.l_len, b.l_type, (long long)b.l_start,
                 (long long)b.l_len);
}

void t_openat2(const char *path, uint64_t flags, uint64_t mode, uint64_t resolve, size_t size)
{
    union {
        struct open_how how;
        uint8_t bytes[64];
    } u = {.how = {flags, mode, resolve}};
    int64_t a;
    int64_t b;

    CALL("openat2(%s, %#llo, %#llo, %#llx, %zu)", path, (unsigned long long)flags,
         (unsigned long long)mode, (unsigned long long)resolve, size);
    a = pv_files_openat2(f, AT_FDCWD, path, &u.how, size);
    b = sys(syscall(SYS_openat2, AT_FDCWD, path, &u, size));
    same(a >= 0 ? 0 : a, b >= 0 ? 0 : b);
    if (a >= 0)
        pv_files_close(f, (int)a);
    if (b >= 0)
        close((int)b);
}
