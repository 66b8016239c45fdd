/* A micro-VM domain's files: the tree, what is laid over it, streams, readiness, connections, and
 * snapshots. Results that Linux gives are compared in vm_files_same_test.c. */
#include "vm_files_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static struct fixture x;

static struct pv_files *domain(void)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_files *f = NULL;

    if (pv_files_new(&x.spec, &f, &err) < 0)
        fail_msg("%s", err.text);
    return f;
}

static int set_up(void **state)
{
    (void)state;
    fixture_open(&x);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_close(&x);
    return 0;
}

static int64_t open_ro(struct pv_files *f, const char *path)
{
    return pv_files_openat(f, AT_FDCWD, path, O_RDONLY, 0);
}

static void tree_is_read(void **state)
{
    struct pv_files *f = domain();
    char buf[64] = "";
    int fd;

    (void)state;
    fd = (int)open_ro(f, "/etc/hello");
    assert_int_equal(fd, 3);
    assert_int_equal(x.last_kind, PV_FILES_OPEN);
    assert_string_equal(x.last_path, "/etc/hello");
    assert_int_equal(fx_read(f, fd, buf, sizeof buf), 13);
    assert_string_equal(buf, "hello, world\n");
    assert_int_equal(x.last_kind, PV_FILES_FIRST_READ);
    assert_int_equal(fx_read(f, fd, buf, sizeof buf), 0);
    assert_int_equal(pv_files_lseek(f, fd, 7, SEEK_SET), 7);
    assert_int_equal(fx_read(f, fd, buf, 5), 5);
    assert_memory_equal(buf, "world", 5);
    assert_int_equal(pv_files_close(f, fd), 0);
    assert_int_equal(fx_read(f, fd, buf, 5), -EBADF);
    pv_files_free(f);
}

static void tree_cannot_change(void **state)
{
    struct pv_files *f = domain();

    (void)state;
    assert_int_equal(pv_files_openat(f, AT_FDCWD, "/etc/hello", O_RDWR, 0), -EROFS);
    assert_int_equal(x.last_kind, PV_FILES_DENIED);
    assert_int_equal(pv_files_openat(f, AT_FDCWD, "/etc/new", O_RDWR | O_CREAT, 0600), -EROFS);
    assert_int_equal(pv_files_mkdirat(f, AT_FDCWD, "/new", 0700), -EROFS);
    assert_int_equal(pv_files_unlinkat(f, AT_FDCWD, "/etc/hello", 0), -EROFS);
    assert_int_equal(pv_files_renameat2(f, AT_FDCWD, "/etc/hello", AT_FDCWD, "/etc/b", 0), -EROFS);
    assert_int_equal(pv_files_renameat2(f, AT_FDCWD, "/etc/hello", AT_FDCWD, "/tmp/b", 0), -EXDEV);
    assert_int_equal(pv_files_fchmodat(f, AT_FDCWD, "/etc/hello", 0), -EROFS);
    assert_int_equal(pv_files_truncate(f, "/etc/hello", 0), -EROFS);
    assert_int_equal(pv_files_rmdir(f, "/tmp"), -EROFS);
    pv_files_free(f);
}

static void links_stay_inside(void **state)
{
    struct pv_files *f = domain();
    struct stat a;
    struct stat b;

    (void)state;
    assert_int_equal(pv_files_stat(f, "/link", &a), 0);
    assert_int_equal(pv_files_stat(f, "/../../etc/../etc/hello", &b), 0);
    assert_int_equal(a.st_ino, b.st_ino);
    assert_int_equal(pv_files_stat(f, "/up/hello", &b), 0);
    assert_int_equal(a.st_ino, b.st_ino);
    assert_int_equal(pv_files_stat(f, "/loop", &b), -ELOOP);
    assert_int_equal(pv_files_symlinkat(f, "/../../../etc/hello", AT_FDCWD, "/tmp/l"), 0);
    assert_int_equal(pv_files_stat(f, "/tmp/l", &b), 0);
    assert_int_equal(a.st_ino, b.st_ino);
    assert_int_equal(pv_files_stat(f, "/tmp/shadowed", &b), -ENOENT);
    pv_files_free(f);
}

static void rights_are_the_users(void **state)
{
    struct pv_files *f;

    (void)state;
    x.spec.uid = x.spec.gid = 4321;
    f = domain();
    assert_int_equal(open_ro(f, "/secret"), -EACCES);
    assert_int_equal(pv_files_access(f, "/bin/tool", X_OK), 0);
    assert_int_equal(pv_files_access(f, "/etc/hello", X_OK), -EACCES);
    assert_int_equal(pv_files_openat(f, AT_FDCWD, "/tmp/mine", O_CREAT | O_RDWR, 0600), 3);
    assert_int_equal(pv_files_fchown(f, 3, 0, 0), -EPERM);
    assert_int_equal(pv_files_fchown(f, 3, 4321, 4321), 0);
    pv_files_free(f);
}

/* Names of a directory, in order, each followed by a space. */
static void list(struct pv_files *f, const char *path, size_t room, char *out, size_t cap)
{
    int fd = (int)pv_files_openat(f, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    uint64_t buf[512];
    size_t len = 0;
    int64_t n;

    assert_true(fd >= 0);
    out[0] = '\0';
    while ((n = pv_files_getdents64(f, fd, buf, room)) > 0)
        for (int64_t at = 0; at < n;) {
            const struct dirent64 *e = (const struct dirent64 *)((const char *)buf + at);

            len += (size_t)snprintf(out + len, cap - len, "%s ", e->d_name);
            at += e->d_reclen;
        }
    assert_int_equal(n, 0);
    assert_int_equal(pv_files_close(f, fd), 0);
}

static void root_shows_what_is_laid_over(void **state)
{
    struct pv_files *f = domain();
    static const char *const names[] = {"etc ", "bin ", "tmp ", "proc ", "dev ", "link "};
    char out[4096];

    (void)state;
    for (size_t room = 40; room <= 4096; room += 1000) {
        list(f, "/", room, out, sizeof out);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            char *found = strstr(out, names[i]);

            assert_non_null(found);
            assert_null(strstr(found + 1, names[i]));
        }
    }
    list(f, "/tmp", 512, out, sizeof out);
    assert_string_equal(out, ". .. ");
    list(f, "/proc/self/fd", 4096, out, sizeof out);
    assert_string_equal(out, ". .. 0 1 2 3 ");
    list(f, "/d", 512, out, sizeof out);
    assert_non_null(strstr(out, " 99 "));
    pv_files_free(f);
}

static void streams_are_the_owners(void **state)
{
    struct pv_files *f = domain();
    char buf[8] = "";
    struct pollfd p = {.fd = 0, .events = POLLIN};

    (void)state;
    assert_int_equal(fx_read(f, 0, buf, 4), PV_FILES_WAIT);
    x.in = "request";
    assert_int_equal(fx_read(f, 0, buf, 4), 4);
    assert_string_equal(buf, "requ");
    assert_int_equal(pv_files_poll(f, &p, 1), 1);
    assert_int_equal(fx_puts(f, 1, "answer"), 6);
    assert_int_equal(fx_puts(f, 2, "!"), 1);
    assert_memory_equal(x.out, "answer!", 7);
    assert_int_equal(fx_puts(f, 0, "x"), -EBADF);
    assert_int_equal(fx_read(f, 1, buf, 4), -EBADF);
    assert_int_equal(pv_files_lseek(f, 0, 0, SEEK_CUR), -ESPIPE);
    assert_int_equal(pv_files_openat(f, AT_FDCWD, "/dev/stdin", O_RDONLY, 0), 3);
    assert_int_equal(fx_read(f, 3, buf, 8), 3);
    pv_files_free(f);
}

static void proc_and_dev(void **state)
{
    struct pv_files *f = domain();
    char buf[4096] = "";
    int64_t n;

    (void)state;
    assert_int_equal(pv_files_readlinkat(f, AT_FDCWD, "/proc/self/exe", buf, sizeof buf), 9);
    assert_memory_equal(buf, "/bin/tool", 9);
    assert_int_equal(open_ro(f, "/proc/self/exe"), 3);
    assert_int_equal(fx_read(f, 3, buf, 4), 4);
    assert_memory_equal(buf, "#!/b", 4);
    assert_int_equal(pv_files_readlinkat(f, AT_FDCWD, "/proc/self/fd/3", buf, sizeof buf), 9);
    assert_int_equal(open_ro(f, "/proc/meminfo"), 4);
    n = fx_read(f, 4, buf, sizeof buf);
    assert_true(n > 0);
    assert_memory_equal(buf, "MemTotal:          65536 kB\n", 28);
    assert_int_equal(open_ro(f, "/dev/urandom"), 5);
    assert_int_equal(fx_read(f, 5, buf, 3), 3);
    assert_memory_equal(buf, "\x5a\x5a\x5a", 3);
    assert_int_equal(pv_files_openat(f, AT_FDCWD, "/dev/full", O_WRONLY, 0), 6);
    assert_int_equal(fx_puts(f, 6, "x"), -ENOSPC);
    assert_int_equal(pv_files_openat(f, AT_FDCWD, "/dev/tty", O_RDWR, 0), -ENXIO);
    assert_int_equal(pv_files_openat(f, AT_FDCWD, "/dev/shm/a", O_RDWR | O_CREAT, 0600), 7);
    pv_files_free(f);
}

static void limits_hold(void **state)
{
    static uint8_t block[1 << 16];
    struct pv_files *f;
    char name[32];
    int64_t total = 0;
    int64_t n;
    int made = 0;

    (void)state;
    x.spec.limits = (struct pv_files_limits){
        .tmp_bytes = 1 << 20, .tmp_nodes = 50, .descriptors = 16, .pipe_bytes = 1 << 17};
    f = domain();
    assert_int_equal(pv_files_openat(f, AT_FDCWD, "/tmp/big", O_RDWR | O_CREAT, 0600), 3);
    while ((n = fx_write(f, 3, block, sizeof block)) > 0)
        total += n;
    assert_int_equal(n, -ENOSPC);
    assert_true(total <= 1 << 20 && total > 1000000);
    assert_int_equal(pv_files_ftruncate(f, 3, 0), 0);
    assert_int_equal(fx_write(f, 3, block, sizeof block), sizeof block);
    for (; made < 100; made++) {
        snprintf(name, sizeof name, "/tmp/%d", made);
        if (pv_files_mkdirat(f, AT_FDCWD, name, 0700) == -ENOSPC)
            break;
    }
    assert_in_range(made, 40, 50);
    for (int fd = 4; fd < 16; fd++)
        assert_int_equal(pv_files_dup(f, 3), fd);
    assert_int_equal(pv_files_dup(f, 3), -EMFILE);
    assert_int_equal(open_ro(f, "/etc/hello"), -EMFILE);
    pv_files_free(f);
}

static void many_names_of_the_tree(void **state)
{
    struct pv_files *f;
    struct stat st;
    char name[32];

    (void)state;
    x.spec.limits.tree_nodes = 16;
    f = domain();
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 100; i++) {
            snprintf(name, sizeof name, "/d/%d", i);
            assert_int_equal(pv_files_stat(f, name, &st), 0);
        }
    pv_files_free(f);
}

static void timers_expire(void **state)
{
    const struct itimerspec each = {{0, 10000000}, {0, 50000000}};
    struct pv_files *f = domain();
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = 7};
    uint64_t ticks = 0;
    int64_t ns;

    (void)state;
    assert_int_equal(pv_files_timerfd_create(f, CLOCK_MONOTONIC, 0), 3);
    assert_int_equal(pv_files_epoll_create1(f, 0), 4);
    assert_int_equal(pv_files_epoll_ctl(f, 4, EPOLL_CTL_ADD, 3, &ev), 0);
    assert_int_equal(pv_files_next_timer_ns(f), -1);
    assert_int_equal(pv_files_timerfd_settime(f, 3, 0, &each, NULL), 0);
    ns = pv_files_next_timer_ns(f);
    assert_true(ns > 0 && ns <= 50000000);
    assert_int_equal(fx_read(f, 3, &ticks, 8), PV_FILES_WAIT);
    assert_int_equal(pv_files_epoll_wait(f, 4, &ev, 1), 0);
    x.skip_ns += 10000000000;
    assert_int_equal(pv_files_epoll_wait(f, 4, &ev, 1), 1);
    assert_int_equal(ev.data.u64, 7);
    assert_int_equal(pv_files_epoll_wait(f, 4, &ev, 1), 0);
    assert_int_equal(fx_read(f, 3, &ticks, 8), 8);
    assert_true(ticks > 990 && ticks < 1100);
    assert_int_equal(pv_files_close(f, 3), 0);
    assert_int_equal(pv_files_next_timer_ns(f), -1);
    pv_files_free(f);
}

static void connections_are_granted(void **state)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = 0x5000, .sin_addr = {0x0100007f}};
    struct pv_files *f = domain();
    struct pv_err err = PV_ERR_INIT;
    struct pollfd host;
    struct epoll_event edges = {.events = EPOLLIN | EPOLLET};
    struct epoll_event ev;
    static char big[50000];
    char buf[8] = "";
    int pair[2];

    (void)state;
    assert_int_equal(pv_files_socket(f, AF_INET, SOCK_STREAM, 0), 3);
    assert_int_equal(pv_files_connect(f, 3, (const struct sockaddr *)&to, sizeof to), -EACCES);
    assert_int_equal(x.last_kind, PV_FILES_CONNECT);
    assert_int_equal(pv_files_bind(f, 3, (const struct sockaddr *)&to, sizeof to), -EACCES);
    assert_int_equal(x.last_kind, PV_FILES_DENIED);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    x.connect_fd = pair[0];
    assert_int_equal(pv_files_connect(f, 3, (const struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(pv_files_host_fds(f, &host, 1), 1);
    assert_int_equal(host.fd, pair[0]);
    assert_int_equal(host.events, POLLIN);
    assert_int_equal(pv_files_seal(f, &err), -EBUSY);
    assert_int_equal(fx_puts(f, 3, "ping"), 4);
    assert_int_equal(read(pair[1], buf, sizeof buf), 4);
    assert_int_equal(fx_read(f, 3, buf, 8), PV_FILES_WAIT);
    assert_int_equal(pv_files_fcntl(f, 3, F_SETFL, O_NONBLOCK), 0);
    while (fx_write(f, 3, big, sizeof big) > 0)
        ;
    assert_int_equal(fx_write(f, 3, big, sizeof big), -EAGAIN);
    assert_int_equal(pv_files_host_fds(f, &host, 1), 1);
    assert_int_equal(host.events, POLLIN | POLLOUT);
    assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
    while (read(pair[1], big, sizeof big) > 0)
        ;
    assert_int_equal(pv_files_poll(f, &(struct pollfd){3, POLLOUT, 0}, 1), 1);
    assert_int_equal(pv_files_host_fds(f, &host, 1), 1);
    assert_int_equal(host.events, POLLIN);
    assert_int_equal(pv_files_epoll_create1(f, 0), 4);
    assert_int_equal(pv_files_epoll_ctl(f, 4, EPOLL_CTL_ADD, 3, &edges), 0);
    assert_int_equal(pv_files_epoll_wait(f, 4, &ev, 1), 0);
    assert_int_equal(write(pair[1], "pong", 4), 4);
    assert_int_equal(pv_files_epoll_wait(f, 4, &ev, 1), 1);
    assert_int_equal(ev.events, EPOLLIN);
    assert_int_equal(pv_files_epoll_wait(f, 4, &ev, 1), 0);
    assert_int_equal(fx_read(f, 3, buf, 8), 4);
    assert_int_equal(pv_files_close(f, 3), 0);
    assert_int_equal(read(pair[1], buf, sizeof buf), 0); /* the end: nobody else holds it */
    close(pair[1]);
    pv_files_free(f);
}

static void maps_tell_their_source(void **state)
{
    struct pv_files *f = domain();
    struct pv_files_source s;
    char buf[16] = "";
    const struct iovec iov = {buf, sizeof buf};

    (void)state;
    assert_int_equal(open_ro(f, "/etc/hello"), 3);
    assert_int_equal(pv_files_map_source(f, 3, PROT_READ, MAP_PRIVATE, &s), 0);
    assert_int_equal(pread(s.host_fd, buf, 5, 0), 5);
    assert_int_equal(pv_files_map_source(f, 3, PROT_READ | PROT_WRITE, MAP_SHARED, &s), -EACCES);
    assert_int_equal(pv_files_memfd_create(f, "m", 0), 4);
    assert_int_equal(fx_puts(f, 4, "content"), 7);
    assert_int_equal(pv_files_map_source(f, 4, PROT_READ, MAP_SHARED, &s), -ENODEV);
    assert_int_equal(pv_files_map_source(f, 4, PROT_READ, MAP_PRIVATE, &s), 0);
    assert_int_equal(s.host_fd, -1);
    assert_int_equal(pv_files_source_read(f, &s, &iov, 1, 3), 4);
    assert_memory_equal(buf, "tent", 4);
    pv_files_free(f);
}

/* A program that has been at it: files, a pipe with data, an epoll set, a removed directory. */
static void busy(struct pv_files *f)
{
    struct epoll_event ev = {.events = EPOLLIN};
    int fds[2];

    assert_int_equal(open_ro(f, "/etc/hello"), 3);
    assert_int_equal(pv_files_lseek(f, 3, 7, SEEK_SET), 7);
    assert_int_equal(pv_files_mkdirat(f, AT_FDCWD, "/tmp/d", 0755), 0);
    assert_int_equal(pv_files_openat(f, AT_FDCWD, "/tmp/d/f", O_CREAT | O_RDWR, 0644), 4);
    assert_int_equal(fx_puts(f, 4, "sealed content"), 14);
    assert_int_equal(pv_files_pipe2(f, fds, 0), 0);
    assert_int_equal(fx_puts(f, fds[1], "in the pipe"), 11);
    assert_int_equal(pv_files_epoll_create1(f, 0), 7);
    assert_int_equal(pv_files_epoll_ctl(f, 7, EPOLL_CTL_ADD, fds[0], &ev), 0);
    assert_int_equal(pv_files_openat(f, AT_FDCWD, "/d", O_RDONLY | O_DIRECTORY, 0), 8);
    assert_int_equal(pv_files_chdir(f, "/tmp/d"), 0);
}

/* What a request may do to all of that. Returns a digest of what it could see before. */
static uint64_t disturb(struct pv_files *f)
{
    uint8_t buf[70000] = {0};
    uint64_t digest = 14695981039346656037u;
    struct stat st;
    char name[32];
    int64_t seen[] = {
        fx_read(f, 3, buf, 64),
        fx_read(f, 5, buf + 64, 64),
        pv_files_fstat(f, 4, &st),
        pv_files_lseek(f, 4, 0, SEEK_SET),
        fx_read(f, 4, buf + 128, 64),
        pv_files_umask(f, 0),
        pv_files_getcwd(f, (char *)buf + 192, 64),
        pv_files_getdents64(f, 8, buf + 256, 4096),
        pv_files_openat(f, AT_FDCWD, "new", O_CREAT | O_RDWR, 0600),
        (int64_t)st.st_ino,
        st.st_size,
        fx_write(f, 9, buf, sizeof buf),
        pv_files_eventfd2(f, 5, 0),
        pv_files_fstat(f, 9, &st),
        (int64_t)st.st_ino,
    };

    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++)
        digest = (digest ^ (uint64_t)seen[i]) * 1099511628211u;
    for (size_t i = 0; i < sizeof buf; i++)
        digest = (digest ^ buf[i]) * 1099511628211u;
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "/tmp/%d", i);
        assert_int_equal(pv_files_mkdirat(f, AT_FDCWD, name, 0700), 0);
        snprintf(name, sizeof name, "/d/%d", i);
        assert_true(open_ro(f, name) >= 0);
    }
    assert_int_equal(pv_files_ftruncate(f, 4, 3), 0);
    assert_int_equal(pv_files_unlinkat(f, AT_FDCWD, "/tmp/d/f", 0), 0);
    assert_int_equal(pv_files_chdir(f, "/"), 0);
    assert_int_equal(pv_files_close_range(f, 0, 1000, 0), 0);
    return digest;
}

static struct pv_files *sealed_domain(void)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_files *f = domain();

    busy(f);
    if (pv_files_seal(f, &err) < 0)
        fail_msg("%s", err.text);
    return f;
}

static struct pv_files *clone_of(const struct pv_files *sealed)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_files *f = NULL;

    if (pv_files_clone(sealed, &x.spec, &f, &err) < 0)
        fail_msg("%s", err.text);
    return f;
}

static unsigned open_host_fds(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void reset_forgets_everything(void **state)
{
    struct pv_files *sealed = sealed_domain();
    struct pv_files *f = clone_of(sealed);
    unsigned fds = open_host_fds();
    uint64_t first = disturb(f);

    (void)state;
    for (int i = 0; i < 60; i++) {
        pv_files_reset(f);
        assert_int_equal(open_host_fds(), fds);
        assert_true(disturb(f) == first);
    }
    pv_files_free(f);
    f = clone_of(sealed);
    pv_files_free(sealed);
    assert_true(disturb(f) == first);
    pv_files_free(f);
}

static void clones_do_not_meet(void **state)
{
    struct pv_files *sealed = sealed_domain();
    struct pv_files *a = clone_of(sealed);
    struct pv_files *b = clone_of(sealed);
    struct stat st;
    uint8_t h1[32];
    uint8_t h2[32];

    (void)state;
    pv_files_sealed_hash(sealed, h1);
    assert_int_equal(pv_files_openat(a, AT_FDCWD, "/tmp/mine", O_CREAT | O_RDWR, 0600), 9);
    assert_int_equal(fx_puts(a, 4, "changed"), 7);
    assert_int_equal(pv_files_stat(b, "/tmp/mine", &st), -ENOENT);
    assert_int_equal(pv_files_fstat(b, 4, &st), 0);
    assert_int_equal(st.st_size, 14);
    pv_files_sealed_hash(sealed, h2);
    assert_memory_equal(h1, h2, 32);
    pv_files_free(a);
    pv_files_free(b);
    pv_files_free(sealed);
}

static void *run_clone(void *arg)
{
    struct pv_files *const *pair = arg;
    uint64_t digest = disturb(pair[0]);

    for (int i = 0; i < 20; i++) {
        pv_files_reset(pair[0]);
        if (disturb(pair[0]) != digest)
            return NULL;
    }
    return arg;
}

/* Its own buffers and clock would meet in the fixture: each thread has a fixture's copy. */
static void clones_run_on_threads(void **state)
{
    struct pv_files *sealed = sealed_domain();
    struct fixture own[2] = {x, x};
    struct pv_files *f[2];
    pthread_t thread[2];
    void *ok;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct pv_files_spec spec = x.spec;
        struct pv_err err = PV_ERR_INIT;

        spec.ctx = &own[i];
        assert_int_equal(pv_files_clone(sealed, &spec, &f[i], &err), 0);
    }
    pv_files_free(sealed);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, run_clone, &f[i]), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(thread[i], &ok), 0);
        assert_non_null(ok);
        pv_files_free(f[i]);
    }
}

/* The host is out of descriptors: errors, no leak, and it goes on afterwards. */
static void host_descriptors_run_out(void **state)
{
    struct pv_files *sealed = sealed_domain();
    struct pv_files *f = clone_of(sealed);
    struct pv_files *other = NULL;
    struct pv_err err = PV_ERR_INIT;
    struct rlimit old;
    struct rlimit none;
    int lowest = dup(x.root_fd);

    (void)state;
    close(lowest);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = (struct rlimit){(rlim_t)lowest, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(open_ro(f, "/d/1"), -EMFILE);
    assert_int_equal(pv_files_clone(sealed, &x.spec, &other, &err), -EMFILE);
    assert_non_null(strstr(err.text, "Too many open files"));
    assert_int_equal(pv_files_new(&x.spec, &other, &err), -EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(open_ro(f, "/d/1"), 9);
    pv_files_reset(f);
    assert_int_equal(open_ro(f, "/d/1"), 9);
    pv_files_free(f);
    pv_files_free(sealed);
}

static void bad_specs_are_refused(void **state)
{
    static const char *const bad[] = {"",        "/",     "relative", "/etc/hello/x",
                                      "/a/../b", "/a//b", "/a/.."};
    struct pv_files *f = NULL;
    struct pv_err err = PV_ERR_INIT;
    const char *writable = "/srv/data";

    (void)state;
    x.spec.writable = &writable;
    x.spec.writables = 1;
    f = domain();
    assert_int_equal(pv_files_openat(f, AT_FDCWD, "/srv/data/f", O_CREAT | O_RDWR, 0600), 3);
    assert_int_equal(pv_files_mkdirat(f, AT_FDCWD, "/srv/other", 0700), -EROFS);
    pv_files_free(f);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        writable = bad[i];
        assert_true(pv_files_new(&x.spec, &f, &err) < 0);
    }
    x.spec.writables = 0;
    x.spec.cwd = "/none";
    assert_int_equal(pv_files_new(&x.spec, &f, &err), -ENOENT);
    x.spec.cwd = NULL;
    x.spec.limits.descriptors = 1 << 20;
    assert_int_equal(pv_files_new(&x.spec, &f, &err), -EINVAL);
}

static void memory_is_given_back(void **state)
{
    static uint8_t block[1 << 20];
    struct pv_files *sealed;
    struct pv_files *f;

    (void)state;
    x.spec.limits.kept_bytes = 1 << 20;
    sealed = sealed_domain();
    f = clone_of(sealed);
    assert_int_equal(pv_files_private_bytes(f), 0);
    assert_int_equal(pv_files_openat(f, AT_FDCWD, "/tmp/x", O_CREAT | O_RDWR, 0600), 9);
    for (int i = 0; i < 8; i++)
        assert_int_equal(fx_write(f, 9, block, sizeof block), sizeof block);
    assert_true(pv_files_private_bytes(f) > 8 << 20);
    pv_files_reset(f);
    assert_true(pv_files_private_bytes(f) <= 1 << 20);
    pv_files_free(f);
    pv_files_free(sealed);
}

static void measure_sees_every_change(void **state)
{
    struct pv_err err = PV_ERR_INIT;
    uint8_t before[32];
    uint8_t after[32];

    (void)state;
    assert_int_equal(pv_files_measure(x.root_fd, before, &err), 0);
    assert_int_equal(pv_files_measure(x.root_fd, after, &err), 0);
    assert_memory_equal(before, after, 32);
    assert_int_equal(fchmodat(x.root_fd, "etc/hello", 0640, 0), 0);
    assert_int_equal(pv_files_measure(x.root_fd, after, &err), 0);
    assert_memory_not_equal(before, after, 32);
    assert_int_equal(fchmodat(x.root_fd, "etc/hello", 0644, 0), 0);
    assert_int_equal(renameat(x.root_fd, "etc/hello", x.root_fd, "etc/hellp"), 0);
    assert_int_equal(pv_files_measure(x.root_fd, after, &err), 0);
    assert_memory_not_equal(before, after, 32);
    assert_int_equal(renameat(x.root_fd, "etc/hellp", x.root_fd, "etc/hello"), 0);
    assert_int_equal(pv_files_measure(x.root_fd, after, &err), 0);
    assert_memory_equal(before, after, 32);
    assert_int_equal(mkfifoat(x.root_fd, "etc/fifo", 0600), 0);
    assert_int_equal(pv_files_measure(x.root_fd, after, &err), -EINVAL);
}

static void a_changed_tree_is_noticed(void **state)
{
    struct pv_files *f = domain();
    struct stat st;

    (void)state;
    assert_int_equal(pv_files_stat(f, "/etc/hello", &st), 0);
    assert_int_equal(symlinkat("/etc/passwd", x.root_fd, "etc/other"), 0);
    assert_int_equal(renameat(x.root_fd, "etc/other", x.root_fd, "etc/hello"), 0);
    assert_true(open_ro(f, "/etc/hello") < 0);
    pv_files_free(f);
}

/* FIFOs and sockets in the tree would block the host, or lead out of it. */
static void odd_objects_are_not_opened(void **state)
{
    struct pv_files *f = domain();
    struct stat st;

    (void)state;
    assert_int_equal(mkfifoat(x.root_fd, "fifo", 0666), 0);
    assert_int_equal(mknodat(x.root_fd, "socket", S_IFSOCK | 0666, 0), 0);
    assert_int_equal(pv_files_stat(f, "/fifo", &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    assert_int_equal(open_ro(f, "/fifo"), -ENXIO);
    assert_int_equal(pv_files_openat(f, AT_FDCWD, "/fifo", O_RDWR, 0), -ENXIO);
    assert_int_equal(open_ro(f, "/socket"), -ENXIO);
    assert_int_equal(pv_files_openat(f, AT_FDCWD, "/fifo", O_PATH, 0), 3);
    assert_int_equal(pv_files_mknodat(f, AT_FDCWD, "/tmp/fifo", S_IFIFO | 0666, 0), -EPERM);
    pv_files_free(f);
}

/* What a request leaves locked, armed, watched or linked is gone after the reset. */
static void nothing_is_left_behind(void **state)
{
    const struct itimerspec soon = {{0, 0}, {100, 0}};
    struct pv_files *sealed = sealed_domain();
    struct pv_files *f = clone_of(sealed);
    struct flock lock = {.l_type = F_WRLCK};
    struct stat st;
    int fds[2];

    (void)state;
    assert_int_equal(pv_files_fcntl_lock(f, 4, F_OFD_SETLK, &lock), 0);
    assert_int_equal(pv_files_timerfd_create(f, CLOCK_MONOTONIC, 0), 9);
    assert_int_equal(pv_files_timerfd_settime(f, 9, 0, &soon, NULL), 0);
    assert_true(pv_files_next_timer_ns(f) > 0);
    assert_int_equal(pv_files_socketpair(f, AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(fx_puts(f, fds[0], "message"), 7);
    assert_int_equal(pv_files_fcntl(f, 0, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(pv_files_fcntl(f, 3, F_SETFD, FD_CLOEXEC), 0);
    assert_int_equal(pv_files_fchmod(f, 4, 0), 0);
    pv_files_reset(f);
    assert_int_equal(pv_files_next_timer_ns(f), -1);
    assert_int_equal(pv_files_fcntl(f, 0, F_GETFL, 0) & O_NONBLOCK, 0);
    assert_int_equal(pv_files_fcntl(f, 3, F_GETFD, 0), 0);
    assert_int_equal(pv_files_fstat(f, 4, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0644);
    assert_int_equal(pv_files_fstat(f, 9, &st), -EBADF);
    lock.l_type = F_WRLCK;
    assert_int_equal(pv_files_openat(f, AT_FDCWD, "/tmp/d/f", O_RDWR, 0), 9);
    assert_int_equal(pv_files_fcntl_lock(f, 9, F_OFD_GETLK, &lock), 0);
    assert_int_equal(lock.l_type, F_UNLCK);
    pv_files_free(f);
    pv_files_free(sealed);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(tree_is_read),
        TEST(tree_cannot_change),
        TEST(links_stay_inside),
        TEST(rights_are_the_users),
        TEST(root_shows_what_is_laid_over),
        TEST(streams_are_the_owners),
        TEST(proc_and_dev),
        TEST(limits_hold),
        TEST(many_names_of_the_tree),
        TEST(timers_expire),
        TEST(connections_are_granted),
        TEST(maps_tell_their_source),
        TEST(reset_forgets_everything),
        TEST(clones_do_not_meet),
        TEST(clones_run_on_threads),
        TEST(host_descriptors_run_out),
        TEST(bad_specs_are_refused),
        TEST(odd_objects_are_not_opened),
        TEST(nothing_is_left_behind),
        TEST(memory_is_given_back),
        TEST(measure_sees_every_change),
        TEST(a_changed_tree_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
