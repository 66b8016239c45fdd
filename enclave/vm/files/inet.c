#include "files/inet.h"

#include "files/event.h"

#include <limits.h>
#include <sys/ioctl.h>

static struct pv_inet *edit(struct pv_files *f, pv_ref file)
{
    return pv_edit(&f->arena, pv_file(f, file)->object, 0, sizeof(struct pv_inet));
}

int pv_inet_host(const struct pv_files *f, pv_ref file)
{
    int slot = pv_file(f, file)->host;

    return slot < 0 ? -1 : pv_hostfds_get(&f->hosts, slot);
}

static int rest(const struct pv_io *io, struct iovec *out, int max)
{
    struct pv_io at = *io;
    int n = 0;
    size_t len;
    void *p;

    while (n < max && (p = pv_io_next(&at, SIZE_MAX, &len)))
        out[n++] = (struct iovec){p, len};
    return n;
}

static void want_out(struct pv_files *f, pv_ref file, bool wanted)
{
    if (pv_inet(f, file)->wants_out != wanted)
        edit(f, file)->wants_out = wanted;
}

/* The host has told that it would block: what comes next is an edge. */
static int64_t result(struct pv_files *f, pv_ref file, ssize_t n, bool in)
{
    int error = errno;

    if (!in)
        want_out(f, file, n < 0 && error == EAGAIN);
    if (n >= 0)
        return n;
    if (error == EAGAIN && in)
        edit(f, file)->in_wakes++;
    else if (error == EAGAIN)
        edit(f, file)->out_wakes++;
    return -error;
}

int64_t pv_inet_send(struct pv_files *f, pv_ref file, struct pv_io *io, int flags)
{
    const int known = MSG_NOSIGNAL | MSG_MORE | MSG_OOB | MSG_EOR;
    struct iovec iov[IOV_MAX];
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)rest(io, iov, IOV_MAX)};
    int fd = pv_inet_host(f, file);

    if (fd < 0)
        return pv_inet(f, file)->type == SOCK_STREAM ? -EPIPE : -EDESTADDRREQ;
    return result(f, file, sendmsg(fd, &m, (flags & known) | MSG_DONTWAIT | MSG_NOSIGNAL), false);
}

int64_t pv_inet_recv(struct pv_files *f, pv_ref file, struct pv_io *io, int flags,
                     struct msghdr *name)
{
    const int known = MSG_PEEK | MSG_TRUNC | MSG_OOB;
    struct iovec iov[IOV_MAX];
    int fd = pv_inet_host(f, file);

    if (fd < 0)
        return pv_inet(f, file)->type == SOCK_STREAM ? -ENOTCONN : -EAGAIN;
    name->msg_iov = iov;
    name->msg_iovlen = (size_t)rest(io, iov, IOV_MAX);
    return result(f, file, recvmsg(fd, name, (flags & known) | MSG_DONTWAIT), true);
}

static int64_t inet_read(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    struct msghdr name = {0};

    (void)off;
    if (io->left == 0)
        return 0;
    return pv_inet_recv(f, file, io, 0, &name);
}

static int64_t inet_write(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    (void)off;
    return pv_inet_send(f, file, io, 0);
}

static short inet_poll(struct pv_files *f, pv_ref file)
{
    struct pollfd p = {.fd = pv_inet_host(f, file),
                       .events = POLLIN | POLLOUT | POLLRDHUP | POLLRDNORM | POLLWRNORM | POLLPRI};

    if (p.fd < 0)
        return pv_inet(f, file)->type == SOCK_STREAM ? POLLOUT | POLLWRNORM | POLLHUP
                                                     : POLLOUT | POLLWRNORM;
    if (poll(&p, 1, 0) < 0)
        return POLLERR;
    want_out(f, file, !(p.revents & POLLOUT));
    return p.revents;
}

/* The host does not say when something came: what is ready now and was not before is an edge, and
 * so is what comes after a call that would have blocked. */
static uint64_t inet_wakes(struct pv_files *f, pv_ref file)
{
    uint16_t now = (uint16_t)inet_poll(f, file);
    uint16_t fresh = now & (uint16_t)~pv_inet(f, file)->seen;

    if (now != pv_inet(f, file)->seen)
        edit(f, file)->seen = now;
    if (fresh & (POLLIN | POLLRDHUP | POLLHUP | POLLERR))
        edit(f, file)->in_wakes++;
    if (fresh & (POLLOUT | POLLHUP | POLLERR))
        edit(f, file)->out_wakes++;
    return (uint64_t)pv_inet(f, file)->in_wakes << 32 | pv_inet(f, file)->out_wakes;
}

static int64_t inet_ioctl(struct pv_files *f, pv_ref file, unsigned long request, int *value)
{
    int fd = pv_inet_host(f, file);

    if (request != FIONREAD)
        return -ENOTTY;
    *value = 0;
    return fd < 0 || ioctl(fd, FIONREAD, value) == 0 ? 0 : -errno;
}

static void inet_release(struct pv_files *f, pv_ref file)
{
    pv_arena_drop(&f->arena, pv_file(f, file)->object, sizeof(struct pv_inet));
}

pv_ref pv_inet_new(struct pv_files *f, int family, int type, int protocol, uint32_t flags)
{
    pv_ref object = pv_arena_new(&f->arena, sizeof(struct pv_inet));
    pv_ref file;

    if (!object)
        return 0;
    file = pv_file_new_anonymous(f, PV_FILE_INET, PV_FS_SOCK, S_IFSOCK | 0777, "socket",
                                 O_RDWR | flags);
    if (!file) {
        pv_arena_drop(&f->arena, object, sizeof(struct pv_inet));
        return 0;
    }
    pv_file_edit(f, file)->object = object;
    edit(f, file)->family = family;
    edit(f, file)->type = type;
    edit(f, file)->protocol = protocol;
    return file;
}

/* Still connecting? 0 when it is done, else what connect says. */
static int64_t progress(struct pv_files *f, pv_ref file)
{
    int fd = pv_inet_host(f, file);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof error;

    if (pv_inet(f, file)->connected)
        return -EISCONN;
    want_out(f, file, poll(&p, 1, 0) == 0);
    if (pv_inet(f, file)->wants_out)
        return pv_file(f, file)->flags & O_NONBLOCK ? -EALREADY : PV_FILES_WAIT;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return -errno;
    edit(f, file)->connected = error == 0;
    return -error;
}

/* A connection that had been asked for before; how it ends is reported. */
static int64_t go_on(struct pv_files *f, pv_ref file, const struct sockaddr *address, socklen_t len)
{
    int64_t rc = progress(f, file);

    if (rc == 0 || rc == -EALREADY || rc == -EISCONN || rc == PV_FILES_WAIT)
        return rc;
    return pv_event_address(f, PV_FILES_CONNECT, "connect", address, len, rc);
}

int64_t pv_inet_connect(struct pv_files *f, pv_ref file, const struct sockaddr *address,
                        socklen_t len)
{
    int64_t rc;
    int fd;
    int slot;

    if (pv_inet_host(f, file) >= 0)
        return go_on(f, file, address, len);
    fd =
        f->host->connect ? f->host->connect(f->ctx, pv_inet(f, file)->type, address, len) : -EACCES;
    slot = fd < 0 ? fd : pv_hostfds_add(&f->hosts, fd);
    if (slot < 0)
        return pv_event_address(f, PV_FILES_CONNECT, "connect", address, len, slot);
    pv_file_edit(f, file)->host = slot;
    rc = progress(f, file);
    if (rc == -EALREADY)
        rc = -EINPROGRESS;
    pv_event_address(f, PV_FILES_CONNECT, "connect", address, len, rc == PV_FILES_WAIT ? 0 : rc);
    return rc;
}

const struct pv_file_ops pv_inet_ops = {
    .name = "socket",
    .whole = true,
    .read = inet_read,
    .write = inet_write,
    .poll = inet_poll,
    .wakes = inet_wakes,
    .ioctl = inet_ioctl,
    .release = inet_release,
};
