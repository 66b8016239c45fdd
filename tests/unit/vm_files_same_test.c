/* The same calls on a domain's files and on the kernel, step by step: results, errors, data, stat
 * fields and listings must be equal. The kernel works in a root of its own, a read-only tree with a
 * tmpfs at /tmp, as the domain does. Plain processes rather than cmocka: each part runs in a child
 * with an identity of its own. */
#include "vm_files_same.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/falloc.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the sequences find in /tmp. */
static void furnish(void)
{
    t_mkdir(AT_FDCWD, "/tmp/dir", 0755);
    t_close((int)t_open(AT_FDCWD, "/tmp/a", O_CREAT | O_RDWR, 0640));
    t_close((int)t_open(AT_FDCWD, "/tmp/dir/in", O_CREAT | O_RDWR, 0604));
    t_symlink("a", "/tmp/to_a");
    t_symlink("dir", "/tmp/to_dir");
    t_symlink("/tmp/dir", "/tmp/abs_dir");
    t_symlink("nowhere", "/tmp/dangling");
    t_symlink("loop", "/tmp/loop");
    t_chdir("/tmp");
}

static void opening(void)
{
    static const int flags[] = {
        O_RDONLY,
        O_WRONLY,
        O_RDWR,
        O_RDWR | O_CREAT,
        O_RDONLY | O_CREAT | O_EXCL,
        O_WRONLY | O_TRUNC,
        O_RDONLY | O_DIRECTORY,
        O_RDONLY | O_NOFOLLOW,
        O_PATH,
        O_PATH | O_NOFOLLOW,
        O_PATH | O_DIRECTORY,
        O_RDWR | O_CREAT | O_DIRECTORY,
        O_WRONLY | O_APPEND,
        O_RDONLY | O_TRUNC,
        O_RDWR | O_TMPFILE,
        O_RDONLY | O_TMPFILE,
        O_RDWR | O_CREAT | O_NOFOLLOW,
        O_RDONLY | O_CLOEXEC,
        3,
        O_RDONLY | O_NOFOLLOW | O_DIRECTORY,
        O_RDONLY | O_SYNC,
        O_RDONLY | O_NOATIME,
    };
    static const char *const paths[] = {
        "/tmp",
        "/tmp/",
        "/tmp/a",
        "/tmp/a/",
        "/tmp/dir",
        "/tmp/dir/",
        "/tmp/dir/.",
        "/tmp/dir/..",
        "/tmp/none",
        "/tmp/none/",
        "/tmp/none/x",
        "/tmp/a/x",
        "/tmp/to_a",
        "/tmp/to_a/",
        "/tmp/to_dir",
        "/tmp/to_dir/",
        "/tmp/to_dir/in",
        "/tmp/dangling",
        "/tmp/loop",
        "/tmp/loop/x",
        "",
        ".",
        "..",
        "dir",
        "dir/in",
        "./dir/../a",
        "/tmp//dir///in",
        "/tmp/abs_dir/in",
    };

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        for (size_t j = 0; j < sizeof paths / sizeof *paths; j++) {
            int fd = (int)t_open(AT_FDCWD, paths[j], flags[i], 0666);

            if (fd < 0)
                continue;
            t_fstat(fd);
            t_fcntl(fd, F_GETFL, 0);
            t_fcntl(fd, F_GETFD, 0);
            t_read(fd, 10, INT64_MIN);
            t_write(fd, 10, INT64_MIN, 1);
            t_seek(fd, 0, SEEK_CUR);
            t_close(fd);
            t_unlink(AT_FDCWD, "/tmp/none", 0);
            t_unlink(AT_FDCWD, "/tmp/nowhere", 0);
        }
    t_list("/tmp", 300);
    t_list("/tmp/dir", 4096);
}

static void stating(void)
{
    static const char *const paths[] = {"/tmp",       "/tmp/a",        "/tmp/a/",   "/tmp/to_a",
                                        "/tmp/to_a/", "/tmp/to_dir/",  "/tmp/loop", "/tmp/none",
                                        "",           "/tmp/dangling", "/tmp/dir/."};
    static const int flags[] = {0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, 0x8000, AT_NO_AUTOMOUNT};

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        for (size_t j = 0; j < sizeof paths / sizeof *paths; j++) {
            t_stat(AT_FDCWD, paths[j], flags[i]);
            t_statx(AT_FDCWD, paths[j], flags[i], STATX_BASIC_STATS);
            t_access(paths[j], R_OK | W_OK, flags[i] & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
        }
    t_statx(AT_FDCWD, "/tmp", 0, STATX__RESERVED);
    t_statx(AT_FDCWD, "/tmp", 0x6000, 0);
    t_access("/tmp/a", 8, 0);
    t_access("/tmp/a", X_OK, 0);
    t_readlink("/tmp/to_a", 4096);
    t_readlink("/tmp/to_dir", 1);
    t_readlink("/tmp/to_dir", 0);
    t_readlink("/tmp/a", 10);
    t_readlink("/tmp/none", 10);
    t_stat(77, "x", 0);
    t_stat(77, "/tmp/a", 0);
}

static void renaming(void)
{
    static const char *const paths[] = {
        "/tmp/a",    "/tmp/dir", "/tmp/dir/in", "/tmp/dir/sub", "/tmp/none",  "/tmp/to_a",
        "/tmp/dir/", "/tmp/a/",  "/tmp/dir/.",  "/tmp/none/",   "/tmp/other", "/tmp/dir/sub/deep"};
    static const unsigned flags[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE, 3};

    for (unsigned k = 0; k < sizeof flags / sizeof *flags; k++)
        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
            for (size_t j = 0; j < sizeof paths / sizeof *paths; j++) {
                t_mkdir(AT_FDCWD, "/tmp/dir", 0755);
                t_mkdir(AT_FDCWD, "/tmp/dir/sub", 0755);
                t_mkdir(AT_FDCWD, "/tmp/other", 0700);
                t_symlink("a", "/tmp/to_a");
                t_link("/tmp/a", "/tmp/dir/in", 0);
                t_rename(paths[i], paths[j], flags[k]);
                t_stat(AT_FDCWD, "/tmp", 0);
                t_stat(AT_FDCWD, "/tmp/dir", 0);
                t_stat(AT_FDCWD, "/tmp/a", AT_SYMLINK_NOFOLLOW);
                t_stat(AT_FDCWD, "/tmp/other", AT_SYMLINK_NOFOLLOW);
            }
    t_list("/tmp", 4096);
    t_rename("/tmp/..", "/tmp/x", 0);
    t_rename("/tmp/a", "/tmp/dir/..", 0);
}

static void naming(void)
{
    static char long_name[300];
    static char long_path[5000];

    memset(long_name, 'n', 255);
    t_chdir("/tmp");
    t_mkdir(AT_FDCWD, long_name, 0700);
    t_stat(AT_FDCWD, long_name, 0);
    t_unlink(AT_FDCWD, long_name, AT_REMOVEDIR);
    memset(long_name, 'n', 256);
    t_mkdir(AT_FDCWD, long_name, 0700);
    t_stat(AT_FDCWD, long_name, 0);
    memset(long_path, '/', 4095);
    t_stat(AT_FDCWD, long_path, 0);
    memset(long_path, '/', 4096);
    t_stat(AT_FDCWD, long_path, 0);
    t_symlink(long_path, "/tmp/toolong");
    t_symlink("", "/tmp/empty");
    t_symlink("x", "/tmp/slash/");
    t_mkdir(AT_FDCWD, "/tmp/slash///", 0700);
    t_mkdir(AT_FDCWD, "/tmp/slash", 0700);
    t_mkdir(AT_FDCWD, ".", 0700);
    t_mkdir(AT_FDCWD, "..", 0700);
    t_mkdir(AT_FDCWD, "/", 0700);
    t_unlink(AT_FDCWD, "/tmp/slash", 0);
    t_unlink(AT_FDCWD, "/tmp/slash/", 0);
    t_unlink(AT_FDCWD, "/tmp/slash/.", AT_REMOVEDIR);
    t_unlink(AT_FDCWD, "/tmp/slash/..", AT_REMOVEDIR);
    t_unlink(AT_FDCWD, ".", 0);
    t_unlink(AT_FDCWD, "/tmp/slash/", AT_REMOVEDIR);
    t_unlink(AT_FDCWD, "/tmp/slash", 0x400);
    t_unlink(AT_FDCWD, "/tmp/none/", 0);
    t_close((int)t_open(AT_FDCWD, "/tmp/f", O_CREAT | O_RDWR, 06777));
    t_unlink(AT_FDCWD, "/tmp/f/", 0);
    t_unlink(AT_FDCWD, "/tmp/f", AT_REMOVEDIR);
    t_link("/tmp/f", "/tmp/f", 0);
    t_link("/tmp/f", "/tmp/g", 0);
    t_stat(AT_FDCWD, "/tmp/g", 0);
    t_link("/tmp", "/tmp/h", 0);
    t_link("/tmp/none", "/tmp/h", 0);
    t_link("/tmp/f", "/tmp/h/", 0);
    t_link("/tmp/f", "/tmp/h", 0x10);
    t_unlink(AT_FDCWD, "/tmp/f", 0);
    t_stat(AT_FDCWD, "/tmp/g", 0);
    t_mkdir(AT_FDCWD, "/tmp/gone", 0755);
    t_chdir("/tmp/gone");
    t_unlink(AT_FDCWD, "/tmp/gone", AT_REMOVEDIR);
    CALL("getcwd of a removed directory");
    same(pv_files_getcwd(f, (char *)mine, 100), sys(syscall(SYS_getcwd, theirs, 100)));
    t_open(AT_FDCWD, "x", O_CREAT | O_RDWR, 0600);
    t_stat(AT_FDCWD, ".", 0);
    t_stat(AT_FDCWD, "..", 0);
    t_mkdir(AT_FDCWD, "x", 0600);
    t_chdir("/tmp");
}

static void attributes(void)
{
    const struct timespec old[2] = {{1000000, 5}, {2000000, 999999999}};
    const struct timespec bad[2] = {{1, 1000000000}, {1, 0}};
    const struct timespec omit[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    const struct timespec half[2] = {{0, UTIME_NOW}, {7, 7}};

    t_close((int)t_open(AT_FDCWD, "/tmp/attr", O_CREAT | O_RDWR, 0644));
    t_utimens("/tmp/attr", old, 0);
    t_utimens("/tmp/attr", bad, 0);
    t_utimens("/tmp/none", omit, 0);
    t_utimens("/tmp/none", old, 0);
    t_utimens("/tmp/attr", NULL, 0);
    t_utimens("/tmp/attr", half, 0x10);
    t_utimens("/tmp/to_a", old, AT_SYMLINK_NOFOLLOW);
    for (unsigned mode = 0; mode < 010000; mode += 0321) {
        t_chmod("/tmp/attr", mode);
        t_stat(AT_FDCWD, "/tmp/attr", 0);
        t_access("/tmp/attr", R_OK, 0);
        t_access("/tmp/attr", X_OK, 0);
        t_open(AT_FDCWD, "/tmp/attr/x", O_RDONLY, 0);
    }
    t_chmod("/tmp/none", 0644);
    t_chown("/tmp/attr", 5, 6);
    t_stat(AT_FDCWD, "/tmp/attr", 0);
    t_chmod("/tmp/attr", 07777);
    t_chown("/tmp/attr", UINT32_MAX, 9);
    t_stat(AT_FDCWD, "/tmp/attr", 0);
    t_chown("/tmp/none", 1, 1);
    t_truncate("/tmp/attr", 100000);
    t_stat(AT_FDCWD, "/tmp/attr", 0);
    t_truncate("/tmp/attr", -1);
    t_truncate("/tmp", 1);
    t_truncate("/tmp/none", 1);
    t_truncate("/tmp/to_a", 3);
    t_unlink(AT_FDCWD, "/tmp/attr", 0);
}

static void content(void)
{
    static const size_t sizes[] = {0, 1, 100, 4095, 4096, 4097, 10000, 65536};
    int fd = (int)t_open(AT_FDCWD, "/tmp/content", O_CREAT | O_RDWR, 0644);
    int again = (int)t_open(AT_FDCWD, "/tmp/content", O_WRONLY | O_APPEND, 0);

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        t_write(fd, sizes[i], INT64_MIN, (unsigned)i);
        t_write(again, sizes[i], INT64_MIN, (unsigned)i);
        t_write(again, sizes[i], 10, (unsigned)i);
        t_seek(fd, 0, SEEK_CUR);
        t_seek(again, 0, SEEK_CUR);
        t_read(fd, 5000, (int64_t)sizes[i]);
        t_fstat(fd);
    }
    t_write(fd, 10, 5000000, 1);
    t_read(fd, 70000, 4990000);
    for (int64_t off = 0; off < 5100000; off += 50000) {
        t_seek(fd, off, SEEK_DATA);
        t_seek(fd, off, SEEK_HOLE);
    }
    t_fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 100, 9000);
    t_read(fd, 20000, 0);
    t_fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10);
    t_fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096);
    t_fallocate(fd, 0, 5000010, 10000);
    t_fstat(fd);
    t_fallocate(fd, FALLOC_FL_KEEP_SIZE, 6000000, 10000);
    t_fstat(fd);
    t_fallocate(fd, 0, -1, 10);
    t_fallocate(fd, 0, 0, 0);
    t_ftruncate(fd, 5000);
    t_ftruncate(fd, 9000);
    t_read(fd, 10000, 0);
    t_ftruncate(fd, -1);
    t_ftruncate(77, 0);
    t_seek(fd, -1, SEEK_SET);
    t_seek(fd, INT64_MAX, SEEK_SET);
    t_write(fd, 1, INT64_MIN, 0);
    t_read(fd, 1, INT64_MIN);
    t_seek(fd, 1, SEEK_END);
    t_seek(fd, 0, 9);
    t_seek(fd, -100000, SEEK_CUR);
    t_read(fd, 10, -1);
    t_write(fd, 10, -1, 0);
    t_ftruncate(fd, (int64_t)1 << 40);
    t_fstat(fd);
    t_read(fd, 1000, ((int64_t)1 << 40) - 500);
    t_write(fd, 10, (int64_t)1 << 39, 3);
    t_read(fd, 1000, ((int64_t)1 << 39) - 500);
    t_seek(fd, 20000, SEEK_DATA);
    t_close(fd);
    t_close(again);
    t_unlink(AT_FDCWD, "/tmp/content", 0);
}

static void descriptors(void)
{
    int fd = (int)t_open(AT_FDCWD, "/tmp/fd", O_CREAT | O_RDWR, 0644);

    CALL("dup2");
    same(pv_files_dup2(f, fd, 20), adopt(sys(dup2(host_fd(fd), 20 + BASE))));
    t_write(fd, 100, INT64_MIN, 1);
    t_seek(20, 0, SEEK_CUR);
    CALL("dup2 same");
    same(pv_files_dup2(f, 20, 20), adopt(sys(dup2(20 + BASE, 20 + BASE))));
    same(pv_files_dup2(f, 60, 60), sys(dup2(60 + BASE, 60 + BASE)));
    same(pv_files_dup3(f, 20, 20, 0), sys(dup3(20 + BASE, 20 + BASE, 0)));
    same(pv_files_dup3(f, 20, 21, 1), sys(dup3(20 + BASE, 21 + BASE, 1)));
    same(pv_files_dup3(f, 60, 21, 0), sys(dup3(60 + BASE, 21 + BASE, 0)));
    t_fcntl(20, F_SETFD, FD_CLOEXEC);
    t_fcntl(20, F_GETFD, 0);
    t_fcntl(fd, F_GETFD, 0);
    t_fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK);
    t_fcntl(20, F_GETFL, 0);
    t_fcntl(fd, F_GETFL, 0);
    t_fcntl(60, F_GETFL, 0);
    t_fcntl(fd, 999, 0);
    t_fcntl(fd, F_GETPIPE_SZ, 0);
    t_fcntl(fd, F_GET_SEALS, 0);
    t_close(20);
    t_close(20);
    t_close(fd);
    CALL("close_range");
    same(pv_files_close_range(f, 5, 4, 0), sys(syscall(SYS_close_range, 5, 4, 0)));
    same(pv_files_close_range(f, 40, 41, 1),
         sys(syscall(SYS_close_range, 40 + BASE, 41 + BASE, 1)));
}

static void pipes(void)
{
    static const size_t sizes[] = {1, 100, 4095, 4096, 4097, 5000, 60000, 3, 70000, 8192};
    int fds[2];

    for (size_t k = 0; k < 30; k++) {
        t_pipe(fds);
        for (size_t i = 0; i < 60; i++) {
            if ((i * 7 + k) % 5 < 3)
                t_write(fds[1], sizes[(i + k) % 10], INT64_MIN, (unsigned)i);
            else
                t_read(fds[0], sizes[(i * 3 + k) % 10], INT64_MIN);
            t_poll(fds[0]);
            t_poll(fds[1]);
            t_fionread(fds[0]);
        }
        t_fcntl(fds[0], F_GETPIPE_SZ, 0);
        t_fcntl(fds[0], F_GETFL, 0);
        t_fcntl(fds[1], F_SETPIPE_SZ, 4096);
        t_seek(fds[0], 0, SEEK_SET);
        t_read(fds[0], 1, 0);
        t_fallocate(fds[1], 0, 0, 10);
        t_fstat(fds[0]);
        t_write(fds[0], 1, INT64_MIN, 0);
        t_read(fds[1], 1, INT64_MIN);
        if (k & 1) {
            t_close(fds[0]);
            t_poll(fds[1]);
            t_write(fds[1], 1, INT64_MIN, 0);
            t_close(fds[1]);
        } else {
            t_close(fds[1]);
            t_poll(fds[0]);
            while (t_read(fds[0], 50000, INT64_MIN) > 0)
                ;
            t_poll(fds[0]);
            t_close(fds[0]);
        }
    }
}

static void pairs(void)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    static const size_t sizes[] = {0, 1, 10, 1000, 5000, 9000};

    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        int fds[2];
        int host[2];

        CHECK(pv_files_socketpair(f, AF_UNIX, types[k], 0, fds) == 0);
        CHECK(socketpair(AF_UNIX, types[k] | SOCK_NONBLOCK, 0, host) == 0);
        place(fds, host, 0);
        t_poll(fds[0]);
        t_fstat(fds[0]);
        t_read(fds[0], 10, INT64_MIN);
        for (size_t i = 0; i < 40; i++) {
            if (i % 3 < 2)
                t_write(fds[i & 1], sizes[i % 6], INT64_MIN, (unsigned)i);
            else
                t_read(fds[i & 1], sizes[(i * 5) % 6], INT64_MIN);
            t_poll(fds[0]);
            t_poll(fds[1]);
            t_fionread(fds[0]);
        }
        CALL("shutdown");
        same(pv_files_shutdown(f, fds[0], SHUT_WR), sys(shutdown(host_fd(fds[0]), SHUT_WR)));
        same(pv_files_shutdown(f, fds[0], 9), sys(shutdown(host_fd(fds[0]), 9)));
        t_write(fds[0], 10, INT64_MIN, 1);
        t_poll(fds[0]);
        t_poll(fds[1]);
        t_write(fds[1], 10, INT64_MIN, 1);
        t_seek(fds[0], 0, SEEK_SET);
        t_close(fds[0]);
        t_poll(fds[1]);
        t_write(fds[1], 10, INT64_MIN, 1);
        for (int i = 0; i < 30; i++)
            t_read(fds[1], 4000, INT64_MIN);
        t_poll(fds[1]);
        t_close(fds[1]);
    }
}

static void readiness(void)
{
    static const uint32_t modes[] = {EPOLLIN,
                                     EPOLLIN | EPOLLOUT,
                                     EPOLLIN | EPOLLET,
                                     EPOLLIN | EPOLLOUT | EPOLLET,
                                     EPOLLIN | EPOLLONESHOT,
                                     EPOLLOUT | EPOLLET | EPOLLRDHUP};

    for (size_t k = 0; k < sizeof modes / sizeof *modes; k++) {
        int ep = t_epoll_create();
        int ev = t_eventfd(3, k & 1 ? EFD_SEMAPHORE : 0);
        int fds[2];
        int reg = (int)t_open(AT_FDCWD, "/tmp/reg", O_CREAT | O_RDWR, 0600);

        t_pipe(fds);
        t_fstat(ep);
        t_poll(ev);
        t_read(ep, 8, INT64_MIN);
        t_write(ep, 8, INT64_MIN, 0);
        t_read(ev, 4, INT64_MIN);
        t_epoll_ctl(ep, EPOLL_CTL_ADD, reg, modes[k]);
        t_epoll_ctl(ep, EPOLL_CTL_ADD, ep, modes[k]);
        t_epoll_ctl(ep, EPOLL_CTL_ADD, 77, modes[k]);
        t_epoll_ctl(reg, EPOLL_CTL_ADD, ev, modes[k]);
        t_epoll_ctl(ep, EPOLL_CTL_MOD, ev, modes[k]);
        t_epoll_ctl(ep, EPOLL_CTL_DEL, ev, modes[k]);
        t_epoll_ctl(ep, EPOLL_CTL_ADD, ev, modes[k]);
        t_epoll_ctl(ep, EPOLL_CTL_ADD, ev, modes[k]);
        t_epoll_ctl(ep, 9, ev, modes[k]);
        t_epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], modes[k]);
        t_epoll_ctl(ep, EPOLL_CTL_ADD, fds[1], modes[k]);
        t_epoll(ep, 0);
        for (int i = 0; i < 40; i++) {
            t_epoll(ep, 16);
            t_poll(ep);
            switch ((i * 5 + (int)k) % 8) {
            case 0:
                t_count(ev, 2);
                break;
            case 1:
                t_read(ev, 8, INT64_MIN);
                break;
            case 2:
                t_write(fds[1], 5000, INT64_MIN, 0);
                break;
            case 3:
                t_read(fds[0], 3000, INT64_MIN);
                break;
            case 4:
                t_write(fds[1], 65000, INT64_MIN, 0);
                break;
            case 5:
                t_read(fds[0], 65536, INT64_MIN);
                break;
            case 6:
                t_epoll_ctl(ep, EPOLL_CTL_MOD, fds[i & 1], modes[k]);
                break;
            default:
                break;
            }
        }
        t_count(ev, UINT64_MAX);
        t_count(ev, UINT64_MAX - 1);
        t_epoll(ep, 16);
        t_close(fds[1]);
        t_epoll(ep, 16);
        t_close(fds[0]);
        t_epoll(ep, 16);
        t_close(ev);
        t_epoll(ep, 16);
        t_close(ep);
        t_close(reg);
    }
}

static void locks(void)
{
    unsigned seed = 7;
    int a = (int)t_open(AT_FDCWD, "/tmp/lock", O_CREAT | O_RDWR, 0600);
    int b = (int)t_open(AT_FDCWD, "/tmp/lock", O_RDWR, 0);
    int c = (int)t_open(AT_FDCWD, "/tmp/lock", O_RDONLY, 0);
    static const int ops[] = {LOCK_SH, LOCK_EX, LOCK_UN, 99};

    for (int i = 0; i < 30; i++) {
        int fd = i % 3 == 0 ? a : i % 3 == 1 ? b : c;

        CALL("flock(%d, %d)", fd, ops[i * 7 % 4]);
        same(pv_files_flock(f, fd, ops[i * 7 % 4] | LOCK_NB),
             sys(flock(host_fd(fd), ops[i * 7 % 4] | LOCK_NB)));
    }
    for (int i = 0; i < 300; i++) {
        static const int cmds[] = {F_OFD_SETLK, F_OFD_SETLK, F_OFD_GETLK, F_SETLK, F_GETLK};
        static const short kinds[] = {F_RDLCK, F_WRLCK, F_UNLCK};
        int fd = i % 3 == 0 ? a : i % 3 == 1 ? b : c;

        t_lock(fd, cmds[rand_r(&seed) % 3 + (i > 200 ? 2 : 0)], kinds[rand_r(&seed) % 3],
               rand_r(&seed) % 20, rand_r(&seed) % 10 - 2);
    }
    t_close(b);
    t_lock(a, F_OFD_SETLK, F_WRLCK, 0, 0);
    t_lock(c, F_OFD_SETLK, F_WRLCK, 0, 0);
    t_close(a);
    t_close(c);
}

static void memfds(void)
{
    static const unsigned flags[] = {0, MFD_CLOEXEC, MFD_ALLOW_SEALING, 0x100};

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        int fd = (int)pv_files_memfd_create(f, "name", flags[i]);
        int host = (int)sys(memfd_create("name", flags[i]));

        CALL("memfd_create(%#x)", flags[i]);
        CHECK((fd < 0) == (host < 0));
        if (fd < 0) {
            same(fd, host);
            continue;
        }
        CHECK(dup3(host, host_fd(fd), flags[i] & MFD_CLOEXEC ? O_CLOEXEC : 0) == host_fd(fd));
        close(host);
        t_fstat(fd);
        t_fcntl(fd, F_GETFL, 0);
        t_fcntl(fd, F_GET_SEALS, 0);
        t_ftruncate(fd, 10000);
        t_write(fd, 100, INT64_MIN, 1);
        t_fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
        t_ftruncate(fd, 5000);
        t_ftruncate(fd, 20000);
        t_fcntl(fd, F_ADD_SEALS, F_SEAL_GROW);
        t_ftruncate(fd, 30000);
        t_write(fd, 100, 19950, 1);
        t_write(fd, 100, 100, 1);
        t_fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE);
        t_write(fd, 100, 100, 1);
        t_fallocate(fd, 3, 0, 4096);
        t_fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL);
        t_fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE);
        t_fcntl(fd, F_GET_SEALS, 0);
        t_read(fd, 20000, 0);
        t_close(fd);
    }
}

static void copying(void)
{
    int in = (int)t_open(AT_FDCWD, "/tmp/in", O_CREAT | O_RDWR, 0600);
    int out = (int)t_open(AT_FDCWD, "/tmp/out", O_CREAT | O_RDWR, 0600);
    int64_t off_a = 100;
    loff_t off_b = 100;

    t_write(in, 60000, INT64_MIN, 3);
    CALL("sendfile");
    same(pv_files_sendfile(f, out, in, &off_a, 30000),
         sys(sendfile(host_fd(out), host_fd(in), &off_b, 30000)));
    CHECK(off_a == off_b);
    t_seek(in, 50000, SEEK_SET);
    CALL("sendfile own offset");
    same(pv_files_sendfile(f, out, in, NULL, 30000),
         sys(sendfile(host_fd(out), host_fd(in), NULL, 30000)));
    t_seek(in, 0, SEEK_CUR);
    t_read(out, 70000, 0);
    off_a = off_b = 7;
    CALL("copy_file_range");
    same(pv_files_copy_file_range(f, in, &off_a, out, NULL, 20000, 0),
         sys(copy_file_range(host_fd(in), &off_b, host_fd(out), NULL, 20000, 0)));
    CHECK(off_a == off_b);
    t_seek(out, 0, SEEK_CUR);
    t_read(out, 70000, 0);
    CALL("copy_file_range overlapping");
    off_a = off_b = 100;
    same(pv_files_copy_file_range(f, in, &off_a, in, NULL, 60000, 0),
         sys(copy_file_range(host_fd(in), &off_b, host_fd(in), NULL, 60000, 0)));
    CALL("copy_file_range flags");
    same(pv_files_copy_file_range(f, in, NULL, out, NULL, 10, 1),
         sys(copy_file_range(host_fd(in), NULL, host_fd(out), NULL, 10, 1)));
    CALL("copy_file_range no fd");
    same(pv_files_copy_file_range(f, 70, NULL, out, NULL, 10, 0),
         sys(copy_file_range(host_fd(70), NULL, host_fd(out), NULL, 10, 0)));
    t_close(in);
    t_close(out);
}

static void resolving(void)
{
    static const uint64_t resolve[] = {0,
                                       RESOLVE_NO_SYMLINKS,
                                       RESOLVE_BENEATH,
                                       RESOLVE_IN_ROOT,
                                       RESOLVE_NO_MAGICLINKS,
                                       RESOLVE_NO_XDEV,
                                       0x1000,
                                       RESOLVE_BENEATH | RESOLVE_IN_ROOT};
    static const char *const paths[] = {"a",          "dir/in", "to_dir/in",
                                        "abs_dir/in", "/tmp/a", "../tmp/a",
                                        "dir/../a",   "loop",   "dir/../../tmp/a"};

    t_chdir("/tmp");
    for (size_t i = 0; i < sizeof resolve / sizeof *resolve; i++)
        for (size_t j = 0; j < sizeof paths / sizeof *paths; j++)
            t_openat2(paths[j], O_RDONLY, 0, resolve[i], 24);
    t_openat2("a", O_RDONLY, 0644, 0, 24);
    t_openat2("a", O_RDONLY, 0, 0, 23);
    t_openat2("a", O_RDONLY, 0, 0, 64);
    t_openat2("a", 1ull << 40, 0, 0, 24);
    t_openat2("a", O_PATH | O_RDWR, 0, 0, 24);
    t_openat2("new2", O_CREAT | O_RDWR, 0644, 0, 24);
    t_openat2("new3", O_CREAT | O_RDWR, 010644, 0, 24);
}

static void become(uint32_t uid)
{
    if (uid &&
        (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0))
        fail_msg("change identity: %s", strerror(errno));
}

/* The fixture's tree becomes the kernel's root, read-only, with an empty tmpfs at /tmp; false where
 * that may not be had. */
static bool own_root(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return false;
    if (mount(x.root, x.root, NULL, MS_BIND, NULL) < 0 ||
        mount(NULL, x.root, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
        return false;
    return chroot(x.root) == 0 && chdir("/") == 0 &&
           mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777") == 0;
}

static void tree(void)
{
    static const char *const paths[] = {"/etc/hello",   "/etc",      "/link",   "/up/hello",
                                        "/loop",        "/etc/none", "/secret", "/bin/tool",
                                        "/etc/hello/x", "/d/7",      "/"};
    static const int flags[] = {O_RDONLY,
                                O_RDWR,
                                O_RDWR | O_CREAT,
                                O_CREAT | O_EXCL,
                                O_RDONLY | O_DIRECTORY,
                                O_RDONLY | O_TRUNC,
                                O_PATH,
                                O_RDONLY | O_NOFOLLOW,
                                O_WRONLY | O_TMPFILE};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        for (size_t j = 0; j < sizeof flags / sizeof *flags; j++) {
            int fd = (int)t_open(AT_FDCWD, paths[i], flags[j], 0600);

            if (fd < 0)
                continue;
            t_fstat(fd);
            t_read(fd, 100, INT64_MIN);
            t_read(fd, 5, 3);
            t_seek(fd, 2, SEEK_SET);
            t_seek(fd, 0, SEEK_CUR);
            t_ftruncate(fd, 0);
            t_close(fd);
        }
        t_stat(AT_FDCWD, paths[i], AT_SYMLINK_NOFOLLOW);
        for (int mode = 0; mode < 8; mode++)
            t_access(paths[i], mode, 0);
        t_unlink(AT_FDCWD, paths[i], 0);
        t_unlink(AT_FDCWD, paths[i], AT_REMOVEDIR);
        t_mkdir(AT_FDCWD, paths[i], 0700);
        t_rename(paths[i], "/etc/x", 0);
        t_rename(paths[i], "/tmp/x", 0);
        t_link(paths[i], "/tmp/x", 0);
        t_symlink("x", paths[i]);
        t_chmod(paths[i], 0600);
        t_chown(paths[i], 1, 1);
        t_truncate(paths[i], 0);
        t_utimens(paths[i], NULL, 0);
        t_chdir(paths[i]);
    }
    t_list("/etc", 4096);
    t_list("/d", 300);
    t_list("/", 300);
    t_chdir("/tmp");
}

static void start(uint32_t uid)
{
    struct pv_err err = PV_ERR_INIT;

    x.spec.uid = x.spec.gid = uid;
    x.spec.limits.descriptors = 64;
    if (pv_files_new(&x.spec, &f, &err) < 0)
        fail_msg("%s", err.text);
    umask(022);
    signal(SIGPIPE, SIG_IGN);
    become(uid);
}

struct part {
    const char *name;
    void (*run)(void);
};

/* 0, 77 or 1. */
static int in_child(const struct part *part, uint32_t uid)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        if (!own_root()) {
            fprintf(stderr, "SKIP: no mount namespace of its own here: %s\n", strerror(errno));
            _exit(77);
        }
        start(uid);
        furnish();
        part->run();
        pv_files_free(f);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return 1;
    fprintf(stderr, "%s as user %u: %s\n", part->name, uid, WEXITSTATUS(status) ? "FAILED" : "ok");
    return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
    static const struct part parts[] = {
        {"opening", opening},     {"tree", tree},
        {"stating", stating},     {"renaming", renaming},
        {"naming", naming},       {"attributes", attributes},
        {"content", content},     {"descriptors", descriptors},
        {"pipes", pipes},         {"pairs", pairs},
        {"readiness", readiness}, {"locks", locks},
        {"memfds", memfds},       {"copying", copying},
        {"resolving", resolving}, {"random", random_calls},
        {"sockets", sockets},     {"timers", timers},
        {"shared", shared_files}, {"unnamed", unnamed_files},
        {"select", selecting},
    };
    int worst = 0;

    fixture_open(&x);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (uint32_t uid = 0; uid <= 4321 && worst != 77; uid += 4321) {
            int rc = argc > 1 && strcmp(argv[1], parts[i].name) != 0 ? 0 : in_child(&parts[i], uid);

            worst = rc > worst ? rc : worst;
        }
    fixture_close(&x);
    return worst;
}
