/* Socket calls, by the kind of socket. */
#include "files/event.h"
#include "files/inet.h"
#include "files/path.h"
#include "files/unix.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/un.h>

enum { BUFFER_BYTES = 212992, TYPE_MASK = 0xf };

static bool is_socket(const struct pv_files *f, pv_ref file)
{
    return pv_file(f, file)->kind == PV_FILE_UNIX || pv_file(f, file)->kind == PV_FILE_INET;
}

static int find(const struct pv_files *f, int fd, pv_ref *ret)
{
    *ret = pv_fd_file(f, fd);
    if (!*ret)
        return -EBADF;
    return is_socket(f, *ret) ? 0 : -ENOTSOCK;
}

static int check_type(int type)
{
    if (type & ~(TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    return 0;
}

static int64_t denied(struct pv_files *f, const char *call, int64_t result)
{
    return pv_event_address(f, PV_FILES_DENIED, call, NULL, 0, result);
}

static int check_unix(int type, int protocol)
{
    if (protocol != 0 && protocol != AF_UNIX)
        return -EPROTONOSUPPORT;
    return type == SOCK_STREAM || type == SOCK_DGRAM || type == SOCK_SEQPACKET ? 0
                                                                               : -ESOCKTNOSUPPORT;
}

static int check_inet(int type, int protocol)
{
    if (type == SOCK_STREAM)
        return protocol == 0 || protocol == IPPROTO_TCP ? 0 : -EPROTONOSUPPORT;
    if (type == SOCK_DGRAM)
        return protocol == 0 || protocol == IPPROTO_UDP ? 0 : -EPROTONOSUPPORT;
    return type == SOCK_RAW ? -EPERM : -ESOCKTNOSUPPORT;
}

int64_t pv_files_socket(struct pv_files *f, int family, int type, int protocol)
{
    uint32_t flags = type & SOCK_NONBLOCK ? O_NONBLOCK : 0;
    int kind = type & TYPE_MASK;
    pv_ref file;

    PV_TRY(check_type(type));
    if (family == AF_UNIX)
        PV_TRY(check_unix(kind, protocol));
    else if (family == AF_INET || family == AF_INET6)
        PV_TRY(check_inet(kind, protocol));
    else
        return denied(f, "socket", -EAFNOSUPPORT);
    PV_TRY(pv_fd_free(f, 0));
    file = family == AF_UNIX ? pv_unix_new(f, kind, flags)
                             : pv_inet_new(f, family, kind, protocol, flags);
    return file ? pv_fd_install(f, file, type & SOCK_CLOEXEC) : -ENFILE;
}

int64_t pv_files_socketpair(struct pv_files *f, int family, int type, int protocol, int ret_fds[2])
{
    uint32_t flags = type & SOCK_NONBLOCK ? O_NONBLOCK : 0;
    uint32_t fd_flags = type & SOCK_CLOEXEC ? FD_CLOEXEC : 0;
    int first = pv_fd_free(f, 0);
    int second = first < 0 ? first : pv_fd_free(f, first + 1);
    pv_ref a;
    pv_ref b;

    PV_TRY(check_type(type));
    if (family != AF_UNIX)
        return family == AF_INET || family == AF_INET6 ? -EOPNOTSUPP : -EAFNOSUPPORT;
    PV_TRY(check_unix(type & TYPE_MASK, protocol));
    if (second < 0)
        return second;
    a = pv_unix_new(f, type & TYPE_MASK, flags);
    b = a ? pv_unix_new(f, type & TYPE_MASK, flags) : 0;
    if (!b) {
        if (a)
            pv_file_put(f, a);
        return -ENFILE;
    }
    pv_unix_pair(f, a, b);
    pv_fd_put(f, first, a, fd_flags);
    pv_fd_put(f, second, b, fd_flags);
    ret_fds[0] = first;
    ret_fds[1] = second;
    return 0;
}

/* No server lives in a domain: a path that is there refuses, another is not there. */
static int64_t connect_unix(struct pv_files *f, const struct sockaddr *address, socklen_t len)
{
    struct sockaddr_un un = {0};
    char path[sizeof un.sun_path + 1];
    pv_ref found = 0;

    if (len < sizeof un.sun_family || len > sizeof un || address->sa_family != AF_UNIX)
        return -EINVAL;
    memcpy(&un, address, len);
    if (len == sizeof un.sun_family || un.sun_path[0] == '\0')
        return -ECONNREFUSED;
    memcpy(path, un.sun_path, sizeof un.sun_path);
    path[sizeof un.sun_path] = '\0';
    PV_TRY(pv_path_find(f, AT_FDCWD, path, PV_WALK_FOLLOW, &found));
    pv_dentry_put(f, found);
    return -ECONNREFUSED;
}

static int check_address(const struct pv_files *f, pv_ref file, const struct sockaddr *address,
                         socklen_t len)
{
    int family = pv_inet(f, file)->family;
    socklen_t least = family == AF_INET ? sizeof(struct sockaddr_in) : 24 /* SIN6_LEN_RFC2133 */;

    if (len < sizeof address->sa_family)
        return -EINVAL;
    if (address->sa_family != family)
        return -EAFNOSUPPORT;
    return len < least ? -EINVAL : 0;
}

int64_t pv_files_connect(struct pv_files *f, int fd, const struct sockaddr *address, socklen_t len)
{
    pv_ref file = 0;

    PV_TRY(find(f, fd, &file));
    if (len > sizeof(struct sockaddr_storage))
        return -EINVAL;
    if (pv_file(f, file)->kind == PV_FILE_UNIX)
        return pv_event_address(f, PV_FILES_CONNECT, "connect", address, len,
                                connect_unix(f, address, len));
    PV_TRY(check_address(f, file, address, len));
    return pv_inet_connect(f, file, address, len);
}

int64_t pv_files_bind(struct pv_files *f, int fd, const struct sockaddr *address, socklen_t len)
{
    pv_ref file = 0;

    PV_TRY(find(f, fd, &file));
    return pv_event_address(f, PV_FILES_DENIED, "bind", address, len, -EACCES);
}

int64_t pv_files_listen(struct pv_files *f, int fd, int backlog)
{
    pv_ref file = 0;

    (void)backlog;
    PV_TRY(find(f, fd, &file));
    return denied(f, "listen", -EACCES);
}

int64_t pv_files_accept4(struct pv_files *f, int fd, int flags)
{
    pv_ref file = 0;

    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    PV_TRY(find(f, fd, &file));
    return -EINVAL; /* no socket listens */
}

int64_t pv_files_shutdown(struct pv_files *f, int fd, int how)
{
    pv_ref file = 0;

    PV_TRY(find(f, fd, &file));
    if (pv_file(f, file)->kind == PV_FILE_UNIX)
        return pv_unix_shutdown(f, file, how);
    if (pv_inet_host(f, file) < 0)
        return -ENOTCONN;
    return shutdown(pv_inet_host(f, file), how) < 0 ? -errno : 0;
}

/* Copies what there is room for; the length is the whole one. */
static void give(void *to, socklen_t *len, const void *from, size_t size)
{
    if (size > 0)
        memcpy(to, from, size < *len ? size : *len);
    *len = (socklen_t)size;
}

static int64_t name_of(struct pv_files *f, int fd, struct sockaddr *address, socklen_t *len,
                       bool peer)
{
    const struct sockaddr_storage none = {.ss_family = AF_UNIX};
    struct sockaddr_storage found = {0};
    socklen_t size = sizeof found;
    pv_ref file = 0;
    int host;

    PV_TRY(find(f, fd, &file));
    if (*len > INT32_MAX)
        return -EINVAL;
    if (pv_file(f, file)->kind == PV_FILE_UNIX) {
        if (peer && !pv_unix_connected(f, file))
            return -ENOTCONN;
        give(address, len, &none, sizeof none.ss_family);
        return 0;
    }
    host = pv_inet_host(f, file);
    if (host < 0 && peer)
        return -ENOTCONN;
    found.ss_family = (sa_family_t)pv_inet(f, file)->family;
    if (host < 0)
        size =
            found.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    else if ((peer ? getpeername(host, (struct sockaddr *)&found, &size)
                   : getsockname(host, (struct sockaddr *)&found, &size)) < 0)
        return -errno;
    give(address, len, &found, size);
    return 0;
}

int64_t pv_files_getsockname(struct pv_files *f, int fd, struct sockaddr *address, socklen_t *len)
{
    return name_of(f, fd, address, len, false);
}

int64_t pv_files_getpeername(struct pv_files *f, int fd, struct sockaddr *address, socklen_t *len)
{
    return name_of(f, fd, address, len, true);
}

static bool option_passes(int level, int name)
{
    if (level == SOL_SOCKET)
        return name == SO_ERROR || name == SO_KEEPALIVE || name == SO_RCVBUF || name == SO_SNDBUF ||
               name == SO_LINGER || name == SO_REUSEADDR || name == SO_RCVTIMEO ||
               name == SO_SNDTIMEO || name == SO_RCVLOWAT || name == SO_OOBINLINE ||
               name == SO_BROADCAST;
    if (level == IPPROTO_TCP)
        return name == TCP_NODELAY || name == TCP_KEEPIDLE || name == TCP_KEEPINTVL ||
               name == TCP_KEEPCNT || name == TCP_USER_TIMEOUT || name == TCP_QUICKACK ||
               name == TCP_CORK || name == TCP_MAXSEG;
    return (level == IPPROTO_IPV6 && name == IPV6_V6ONLY) ||
           (level == IPPROTO_IP && name == IP_RECVERR) ||
           (level == IPPROTO_IPV6 && name == IPV6_RECVERR);
}

struct identity {
    int type, family, protocol;
};

static struct identity identity_of(const struct pv_files *f, pv_ref file)
{
    if (pv_file(f, file)->kind == PV_FILE_UNIX)
        return (struct identity){pv_unix_type(f, file), AF_UNIX, 0};
    return (struct identity){pv_inet(f, file)->type, pv_inet(f, file)->family,
                             pv_inet(f, file)->protocol              ? pv_inet(f, file)->protocol
                             : pv_inet(f, file)->type == SOCK_STREAM ? IPPROTO_TCP
                                                                     : IPPROTO_UDP};
}

/* Options that need no host socket. -ENOPROTOOPT for others. */
static int64_t own_option(const struct pv_files *f, pv_ref file, int name)
{
    const struct identity id = identity_of(f, file);

    switch (name) {
    case SO_TYPE:
        return id.type;
    case SO_DOMAIN:
        return id.family;
    case SO_PROTOCOL:
        return id.protocol;
    case SO_SNDBUF:
    case SO_RCVBUF:
        return BUFFER_BYTES;
    case SO_ERROR:
    case SO_ACCEPTCONN:
    case SO_REUSEADDR:
    case SO_REUSEPORT:
    case SO_KEEPALIVE:
    case SO_BROADCAST:
    case SO_OOBINLINE:
    case SO_PASSCRED:
        return 0;
    case SO_RCVLOWAT:
        return 1;
    default:
        return -ENOPROTOOPT;
    }
}

static int64_t peer_credentials(const struct pv_files *f, void *value, socklen_t *len)
{
    const struct ucred cred = {(pid_t)pv_state(f)->pid, pv_state(f)->uid, pv_state(f)->gid};

    if (*len > sizeof cred)
        *len = sizeof cred;
    memcpy(value, &cred, *len);
    return 0;
}

int64_t pv_files_getsockopt(struct pv_files *f, int fd, int level, int name, void *value,
                            socklen_t *len)
{
    pv_ref file = 0;
    int64_t own;
    int host;
    int number;

    PV_TRY(find(f, fd, &file));
    if (*len > INT32_MAX)
        return -EINVAL;
    host = pv_file(f, file)->kind == PV_FILE_INET ? pv_inet_host(f, file) : -1;
    if (host >= 0 && option_passes(level, name))
        return getsockopt(host, level, name, value, len) < 0 ? -errno : 0;
    if (level != SOL_SOCKET &&
        (pv_file(f, file)->kind == PV_FILE_UNIX || !option_passes(level, name)))
        return pv_file(f, file)->kind == PV_FILE_UNIX ? -EOPNOTSUPP : -ENOPROTOOPT;
    if (level == SOL_SOCKET && name == SO_PEERCRED && pv_file(f, file)->kind == PV_FILE_UNIX)
        return peer_credentials(f, value, len);
    own = level == SOL_SOCKET ? own_option(f, file, name) : 0;
    if (own < 0)
        return own;
    number = (int)own;
    if (*len > sizeof number)
        *len = sizeof number;
    memcpy(value, &number, *len);
    return 0;
}

int64_t pv_files_setsockopt(struct pv_files *f, int fd, int level, int name, const void *value,
                            socklen_t len)
{
    pv_ref file = 0;
    bool unix_socket;
    int host;

    PV_TRY(find(f, fd, &file));
    if (len > INT32_MAX)
        return -EINVAL;
    unix_socket = pv_file(f, file)->kind == PV_FILE_UNIX;
    if (level != SOL_SOCKET && unix_socket)
        return -EOPNOTSUPP;
    if (level == SOL_SOCKET && len < sizeof(int))
        return -EINVAL;
    if (!option_passes(level, name) && !(level == SOL_SOCKET && name == SO_PASSCRED && unix_socket))
        return -ENOPROTOOPT;
    host = unix_socket ? -1 : pv_inet_host(f, file);
    if (host >= 0)
        return setsockopt(host, level, name, value, len) < 0 ? -errno : 0;
    return level == SOL_SOCKET && name == SO_ERROR ? -ENOPROTOOPT : 0;
}

/* A blocking socket waits unless the call says otherwise. */
static int64_t or_wait(const struct pv_files *f, pv_ref file, int flags, int64_t rc)
{
    return rc == -EAGAIN && !(flags & MSG_DONTWAIT) && !(pv_file(f, file)->flags & O_NONBLOCK)
               ? PV_FILES_WAIT
               : rc;
}

int64_t pv_files_sendto(struct pv_files *f, int fd, const struct iovec *iov, int n, int flags,
                        const struct sockaddr *address, socklen_t len)
{
    pv_ref file = 0;
    struct pv_io io;
    int64_t wanted;
    int64_t rc;

    f->partial = 0;
    PV_TRY(find(f, fd, &file));
    PV_TRY(pv_io_init(&io, iov, n));
    wanted = (int64_t)io.left;
    if (pv_file(f, file)->kind == PV_FILE_UNIX) {
        if (flags & MSG_OOB)
            return -EOPNOTSUPP;
        if (address)
            return pv_unix_type(f, file) == SOCK_DGRAM ? connect_unix(f, address, len)
                   : pv_unix_connected(f, file)        ? -EISCONN
                                                       : -EOPNOTSUPP;
        rc = pv_unix_ops.write(f, file, &io, 0);
    } else if (address && pv_inet_host(f, file) < 0 && pv_inet(f, file)->type == SOCK_DGRAM) {
        return pv_event_address(f, PV_FILES_DENIED, "sendto", address, len, -EACCES);
    } else {
        rc = pv_inet_send(f, file, &io, flags);
    }
    if (rc >= 0)
        pv_event_first(f, file, true);
    if (rc >= 0 && rc < wanted && !(flags & MSG_DONTWAIT) &&
        !(pv_file(f, file)->flags & O_NONBLOCK)) {
        f->partial = (uint64_t)rc;
        return PV_FILES_WAIT;
    }
    return or_wait(f, file, flags, rc);
}

static int64_t recv_inet(struct pv_files *f, pv_ref file, struct pv_io *io, int flags,
                         struct sockaddr *address, socklen_t *len, int *ret_flags)
{
    struct sockaddr_storage from = {0};
    struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof from};
    int64_t rc = pv_inet_recv(f, file, io, flags, &m);

    *ret_flags = rc >= 0 ? m.msg_flags & (MSG_TRUNC | MSG_OOB) : 0;
    if (rc >= 0 && address && len)
        give(address, len, &from, m.msg_namelen);
    return rc;
}

int64_t pv_files_recvfrom(struct pv_files *f, int fd, const struct iovec *iov, int n, int flags,
                          struct sockaddr *address, socklen_t *len, int *ret_flags)
{
    pv_ref file = 0;
    struct pv_io io;
    int got = 0;
    int64_t rc;

    f->partial = 0;
    PV_TRY(find(f, fd, &file));
    PV_TRY(pv_io_init(&io, iov, n));
    if (pv_file(f, file)->kind == PV_FILE_INET) {
        rc = recv_inet(f, file, &io, flags, address, len, &got);
    } else {
        if (flags & (MSG_OOB | MSG_ERRQUEUE))
            return flags & MSG_OOB ? -EOPNOTSUPP : -EAGAIN;
        rc = pv_unix_recv(f, file, &io, flags, &got);
        if (rc >= 0 && len)
            *len = 0; /* the other end has no name */
    }
    if (rc >= 0)
        pv_event_first(f, file, false);
    if (ret_flags)
        *ret_flags = got;
    return or_wait(f, file, flags, rc);
}
