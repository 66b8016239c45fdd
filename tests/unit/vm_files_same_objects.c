/* Sequences on sockets, timers, shared open files and unnamed files. */
#include "vm_files_same.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static void t_pair(int type, int fds[2])
{
    int host[2];

    CHECK(pv_files_socketpair(f, AF_UNIX, type, 0, fds) == 0);
    CHECK(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, host) == 0);
    place(fds, host, 0);
}

static void t_recv(int fd, size_t len, int flags)
{
    const struct iovec iov = {mine, len};
    int64_t a;

    CALL("recv(%d, %zu, %#x)", fd, len, (unsigned)flags);
    memset(mine, 0, sizeof mine);
    memset(theirs, 0, sizeof theirs);
    a = pv_files_recvfrom(f, fd, &iov, 1, flags, NULL, NULL, NULL);
    same(a, sys(recv(host_fd(fd), theirs, len, flags)));
    CHECK(memcmp(mine, theirs, sizeof mine) == 0);
}

static void t_send(int fd, size_t len, int flags)
{
    const struct iovec iov = {mine, len};

    CALL("send(%d, %zu, %#x)", fd, len, (unsigned)flags);
    memset(mine, (int)len, len);
    same(pv_files_sendto(f, fd, &iov, 1, flags, NULL, 0), sys(send(host_fd(fd), mine, len, flags)));
}

static void t_option(int fd, int level, int name)
{
    int a = -1;
    int b = -1;
    socklen_t la = sizeof a;
    socklen_t lb = sizeof b;

    CALL("getsockopt(%d, %d, %d)", fd, level, name);
    same(pv_files_getsockopt(f, fd, level, name, &a, &la),
         sys(getsockopt(host_fd(fd), level, name, &b, &lb)));
    CHECK(la == lb);
    CHECK(a == b);
}

static void t_connect_unix(int fd, const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    CALL("connect(%d, %s)", fd, path);
    same(pv_files_connect(f, fd, (const struct sockaddr *)&to, sizeof to),
         sys(connect(host_fd(fd), (const struct sockaddr *)&to, sizeof to)));
}

static void names_of_sockets(int fd)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_storage b = {0};
    socklen_t la = sizeof a;
    socklen_t lb = sizeof b;

    CALL("getsockname(%d)", fd);
    same(pv_files_getsockname(f, fd, (struct sockaddr *)&a, &la),
         sys(getsockname(host_fd(fd), (struct sockaddr *)&b, &lb)));
    CHECK(la == lb);
    CALL("getpeername(%d)", fd);
    same(pv_files_getpeername(f, fd, (struct sockaddr *)&a, &la),
         sys(getpeername(host_fd(fd), (struct sockaddr *)&b, &lb)));
    CHECK(memcmp(&a, &b, sizeof a) == 0);
}

static void t_socket(int family, int type, int protocol, int fd)
{
    int64_t a;
    int64_t b;

    CALL("socket(%d, %#x, %d)", family, (unsigned)type, protocol);
    a = pv_files_socket(f, family, type, protocol);
    b = sys(socket(family, type | (type & SOCK_NONBLOCK ? 0 : SOCK_NONBLOCK), protocol));
    same(a < 0 ? a : 0, b < 0 ? b : 0);
    if (a < 0)
        return;
    CHECK(a == fd);
    CHECK(dup3((int)b, host_fd(fd), type & SOCK_CLOEXEC ? O_CLOEXEC : 0) == host_fd(fd));
    close((int)b);
}

void sockets(void)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    static const int options[] = {SO_TYPE,   SO_DOMAIN, SO_PROTOCOL,  SO_ERROR,    SO_ACCEPTCONN,
                                  SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_REUSEADDR};

    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        int fds[2];

        t_pair(types[k], fds);
        names_of_sockets(fds[0]);
        for (size_t i = 0; i < sizeof options / sizeof *options; i++)
            t_option(fds[0], SOL_SOCKET, options[i]);
        for (size_t i = 0; i < 5; i++) {
            t_send(fds[0], 100 * i, 0);
            t_send(fds[0], 10, MSG_NOSIGNAL);
            t_recv(fds[1], 5, MSG_PEEK);
            t_recv(fds[1], 50, MSG_PEEK | MSG_TRUNC);
            t_recv(fds[1], 50, MSG_TRUNC);
            t_recv(fds[1], 0, 0);
            t_recv(fds[1], 5000, MSG_DONTWAIT);
        }
        if (types[k] != SOCK_STREAM) /* urgent data of streams is refused on purpose */
            t_send(fds[0], 10, MSG_OOB);
        t_connect_unix(fds[0], "/tmp/a");
        t_close(fds[1]);
        t_option(fds[0], SOL_SOCKET, SO_ERROR);
        t_send(fds[0], 10, MSG_NOSIGNAL);
        t_recv(fds[0], 10, 0);
        t_close(fds[0]);
        t_socket(AF_UNIX, types[k] | SOCK_CLOEXEC, 0, 3);
        t_fcntl(3, F_GETFD, 0);
        t_poll(3);
        t_send(3, 10, MSG_NOSIGNAL);
        t_recv(3, 10, 0);
        t_connect_unix(3, "/tmp/none");
        t_connect_unix(3, "/tmp/none/x");
        t_connect_unix(3, "");
        names_of_sockets(3);
        t_close(3);
    }
    t_socket(AF_UNIX, 77, 0, 3);
    t_socket(AF_UNIX, SOCK_STREAM, 77, 3);
    t_socket(9999, SOCK_STREAM, 0, 3);
    t_socket(AF_INET, SOCK_STREAM, 0, 3);
    t_poll(3);
    t_fstat(3);
    t_option(3, SOL_SOCKET, SO_TYPE);
    t_option(3, SOL_SOCKET, SO_PROTOCOL);
    t_option(3, SOL_SOCKET, SO_DOMAIN);
    t_send(3, 10, MSG_NOSIGNAL);
    t_recv(3, 10, 0);
    t_close(3);
    t_fstat(77);
    t_recv(77, 1, 0);
}

static void t_settime(int fd, int flags, int64_t value_ns, int64_t interval_ns)
{
    const struct itimerspec when = {{interval_ns / 1000000000, interval_ns % 1000000000},
                                    {value_ns / 1000000000, value_ns % 1000000000}};

    CALL("timerfd_settime(%d, %d, %lld, %lld)", fd, flags, (long long)value_ns,
         (long long)interval_ns);
    same(pv_files_timerfd_settime(f, fd, flags, &when, NULL),
         sys(timerfd_settime(host_fd(fd), flags, &when, NULL)));
}

static void t_gettime(int fd)
{
    struct itimerspec a = {0};
    struct itimerspec b = {0};

    CALL("timerfd_gettime(%d)", fd);
    same(pv_files_timerfd_gettime(f, fd, &a), sys(timerfd_gettime(host_fd(fd), &b)));
    CHECK((a.it_value.tv_sec == 0 && a.it_value.tv_nsec == 0) ==
          (b.it_value.tv_sec == 0 && b.it_value.tv_nsec == 0));
    CHECK(a.it_interval.tv_sec == b.it_interval.tv_sec);
    CHECK(a.it_interval.tv_nsec == b.it_interval.tv_nsec);
}

void timers(void)
{
    static const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME,
                                 CLOCK_PROCESS_CPUTIME_ID, 99};
    static const int64_t hour = 3600000000000;

    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        int fd = (int)pv_files_timerfd_create(f, clocks[i], 0);
        int host = (int)sys(timerfd_create(clocks[i], TFD_NONBLOCK));

        CALL("timerfd_create(%d)", clocks[i]);
        same(fd < 0 ? fd : 0, host < 0 ? host : 0);
        if (fd < 0)
            continue;
        CHECK(dup2(host, host_fd(fd)) == host_fd(fd));
        close(host);
        t_fstat(fd);
        t_poll(fd);
        t_read(fd, 8, INT64_MIN);
        t_read(fd, 7, INT64_MIN);
        t_write(fd, 8, INT64_MIN, 0);
        t_gettime(fd);
        t_settime(fd, 0, hour, 5);
        t_gettime(fd);
        t_poll(fd);
        t_settime(fd, 0, -1, 0);
        t_settime(fd, 0, 5, -1);
        t_settime(fd, 8, 5, 0);
        t_settime(fd, TFD_TIMER_ABSTIME, 1, 0);
        t_poll(fd);
        t_gettime(fd);
        t_read(fd, 8, INT64_MIN);
        t_read(fd, 8, INT64_MIN);
        t_settime(fd, TFD_TIMER_ABSTIME, 1, 0);
        t_settime(fd, 0, 0, 0);
        t_poll(fd);
        t_gettime(fd);
        t_close(fd);
    }
    t_settime(77, 0, 1, 0);
}

/* An entry of an epoll set lives as long as the open file, not as the descriptor. */
void shared_files(void)
{
    int ep = t_epoll_create();
    int ev = t_eventfd(1, 0);

    t_epoll_ctl(ep, EPOLL_CTL_ADD, ev, EPOLLIN);
    CALL("dup2");
    same(pv_files_dup2(f, ev, 30), adopt(sys(dup2(host_fd(ev), 30 + BASE))));
    t_epoll_ctl(ep, EPOLL_CTL_ADD, 30, EPOLLIN | EPOLLET);
    t_epoll(ep, 16);
    t_epoll(ep, 16);
    t_epoll_ctl(ep, EPOLL_CTL_DEL, 30, 0);
    t_close(ev);
    t_epoll(ep, 16);
    t_epoll_ctl(ep, EPOLL_CTL_DEL, 30, 0);
    t_epoll_ctl(ep, EPOLL_CTL_ADD, 30, EPOLLIN | EPOLLEXCLUSIVE);
    t_epoll_ctl(ep, EPOLL_CTL_MOD, 30, EPOLLIN);
    t_close(30);
    t_epoll(ep, 16);
    t_close(ep);
}

void unnamed_files(void)
{
    int fd = (int)t_open(AT_FDCWD, "/tmp", O_TMPFILE | O_RDWR, 0640);

    t_fstat(fd);
    t_write(fd, 1000, INT64_MIN, 1);
    CALL("linkat of an unnamed file");
    if (x.spec.uid == 0)
        same(pv_files_linkat(f, fd, "", AT_FDCWD, "/tmp/named", AT_EMPTY_PATH),
             sys(linkat(host_fd(fd), "", AT_FDCWD, "/tmp/named", AT_EMPTY_PATH)));
    t_fstat(fd);
    t_stat(AT_FDCWD, "/tmp/named", 0);
    t_close(fd);
    fd = (int)t_open(AT_FDCWD, "/tmp/a", O_RDWR, 0);
    t_unlink(AT_FDCWD, "/tmp/a", 0);
    t_fstat(fd);
    t_write(fd, 1000, INT64_MIN, 1);
    t_read(fd, 1000, 0);
    CALL("linkat of a removed file");
    if (x.spec.uid == 0)
        same(pv_files_linkat(f, fd, "", AT_FDCWD, "/tmp/back", AT_EMPTY_PATH),
             sys(linkat(host_fd(fd), "", AT_FDCWD, "/tmp/back", AT_EMPTY_PATH)));
    t_close(fd);
}

static void t_select(int n, fd_set *a, fd_set *b, fd_set *ha, fd_set *hb)
{
    struct timeval none = {0, 0};

    CALL("select(%d)", n);
    same(pv_files_select(f, n, a, b, NULL), sys(select(n + BASE, ha, hb, NULL, &none)));
}

void selecting(void)
{
    fd_set in, out, host_in, host_out;
    int fds[2];
    int ev = t_eventfd(0, 0);

    t_pipe(fds);
    t_write(fds[1], 10, INT64_MIN, 0);
    for (int round = 0; round < 4; round++) {
        FD_ZERO(&in);
        FD_ZERO(&out);
        FD_ZERO(&host_in);
        FD_ZERO(&host_out);
        for (int fd = 3; fd <= 5 + (round == 3); fd++) {
            FD_SET(fd, &in);
            FD_SET(fd, &out);
            FD_SET(fd + BASE, &host_in);
            FD_SET(fd + BASE, &host_out);
        }
        t_select(round == 2 ? 4 : 20, &in, &out, &host_in, &host_out);
        for (int fd = 3; fd <= 5; fd++) {
            CHECK(!FD_ISSET(fd, &in) == !FD_ISSET(fd + BASE, &host_in));
            CHECK(!FD_ISSET(fd, &out) == !FD_ISSET(fd + BASE, &host_out));
        }
        t_count(ev, 1);
    }
    t_close(fds[0]);
    t_close(fds[1]);
    t_close(ev);
}
