#include "pv/msg.h"

#include "pv/io.h"
#include "pv/own.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum { TYPE_BYTES = 2, SEALS = F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_GROW };

void pv_msg_init(struct pv_msg *m, uint16_t type)
{
    *m = (struct pv_msg){.type = type};
    pv_buf_init(&m->body, PV_MSG_MAX);
    memset(m->fds, -1, sizeof m->fds);
}

void pv_msg_done(struct pv_msg *m)
{
    for (unsigned i = 0; i < m->n_fds; i++)
        if (m->fds[i] >= 0)
            (void)close(m->fds[i]);
    m->n_fds = 0;
    pv_buf_done(&m->body);
}

void pv_msg_put_fd(struct pv_msg *m, int fd)
{
    if (m->n_fds == PV_MSG_FDS_MAX || fd < 0) {
        m->body.failed = true;
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    m->fds[m->n_fds++] = fd;
}

int pv_msg_take_fd(struct pv_msg *m, unsigned i)
{
    return i < m->n_fds ? PV_TAKE_FD(m->fds[i]) : -1;
}

int pv_msg_pair(int ret_fds[2], struct pv_err *err)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return pv_fail(err, errno, "create a socket pair");
    int size = 4 * (int)PV_MSG_MAX;
    for (int i = 0; i < 2; i++)
        (void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    memcpy(ret_fds, fds, sizeof fds);
    return 0;
}

union control {
    char bytes[CMSG_SPACE(sizeof(int) * PV_MSG_FDS_MAX)];
    struct cmsghdr align;
};

int pv_msg_send(int fd, const struct pv_msg *m, struct pv_err *err)
{
    PV_TRY(pv_buf_check(&m->body, "message between roles", err));
    uint8_t type[TYPE_BYTES] = {(uint8_t)(m->type >> 8), (uint8_t)m->type};
    struct iovec iov[2] = {{type, sizeof type}, {m->body.data, m->body.len}};
    union control control;
    struct msghdr h = {.msg_iov = iov, .msg_iovlen = m->body.len ? 2 : 1};
    if (m->n_fds) {
        memset(&control, 0, sizeof control);
        h.msg_control = control.bytes;
        h.msg_controllen = CMSG_SPACE(sizeof(int) * m->n_fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * m->n_fds);
        memcpy(CMSG_DATA(c), m->fds, sizeof(int) * m->n_fds);
    }
    ssize_t n;
    do
        n = sendmsg(fd, &h, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return pv_fail(err, errno, "send a message of type %u", m->type);
    return 0;
}

static void collect_fds(struct pv_msg *m, struct msghdr *h)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int got;
            memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof got);
            pv_msg_put_fd(m, got);
        }
    }
}

int pv_msg_recv(int fd, struct pv_msg *m, struct pv_err *err)
{
    uint8_t scratch[PV_MSG_MAX]; /* thread-local, it would be touched for every thread */
    uint8_t type[TYPE_BYTES];
    struct iovec iov[2] = {{type, sizeof type}, {scratch, sizeof scratch}};
    union control control;
    struct msghdr h = {.msg_iov = iov,
                       .msg_iovlen = 2,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n;
    do
        n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    pv_msg_init(m, 0);
    if (n < 0)
        return errno == ECONNRESET ? 0 : pv_fail(err, errno, "receive a message");
    collect_fds(m, &h);
    if (n == 0)
        return 0;
    if (n < TYPE_BYTES || (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || m->body.failed) {
        pv_msg_done(m);
        return pv_refuse(err, EBADMSG, "a message between roles is malformed");
    }
    m->type = (uint16_t)(type[0] << 8 | type[1]);
    pv_buf_raw(&m->body, scratch, (size_t)n - TYPE_BYTES);
    if (m->body.failed) {
        pv_msg_done(m);
        return pv_fail(err, ENOMEM, "receive a message");
    }
    return 1;
}

static int sealed_copy(const void *p, size_t len, struct pv_err *err)
{
    pv_autoclose int fd = memfd_create("provost-payload", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return pv_fail(err, errno, "create a payload of %zu bytes", len);
    PV_TRY(pv_wrap(err, pv_write_all(fd, p, len, err), "copy a payload"));
    if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        return pv_fail(err, errno, "seal a payload");
    return PV_TAKE_FD(fd);
}

int pv_msg_put_payload(struct pv_msg *m, const void *p, size_t len, struct pv_err *err)
{
    bool inline_ = len <= PV_MSG_INLINE_MAX;
    pv_buf_u8(&m->body, inline_);
    if (inline_) {
        pv_buf_bytes(&m->body, p, len);
        return 0;
    }
    int fd = sealed_copy(p, len, err);
    PV_TRY(fd);
    pv_buf_u64(&m->body, len);
    pv_msg_put_fd(m, fd);
    return 0;
}

static int map_payload(int fd, size_t len, struct pv_payload *ret, struct pv_err *err)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 || st.st_size <= 0 ||
        (size_t)st.st_size != len)
        return pv_refuse(err, EBADMSG, "a payload is not sealed or not of the announced length");
    void *map = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return pv_fail(err, errno, "map a payload of %zu bytes", len);
    *ret = (struct pv_payload){map, len, map};
    return 0;
}

int pv_msg_get_payload(struct pv_msg *m, struct pv_reader *r, unsigned *fd_index, size_t max,
                       struct pv_payload *ret, struct pv_err *err)
{
    if (pv_read_u8(r)) {
        size_t len = 0;
        const uint8_t *p = pv_read_bytes(r, PV_MSG_INLINE_MAX, &len);
        if (r->failed || len > max)
            return pv_refuse(err, EBADMSG, "a payload is malformed or too long");
        *ret = (struct pv_payload){p, len, NULL};
        return 0;
    }
    uint64_t len = pv_read_u64(r);
    pv_autoclose int fd = r->failed ? -1 : pv_msg_take_fd(m, (*fd_index)++);
    if (r->failed || fd < 0 || len == 0 || len > max)
        return pv_refuse(err, EBADMSG, "a payload is malformed or too long");
    return map_payload(fd, len, ret, err);
}

void pv_payload_done(struct pv_payload *p)
{
    if (p->map)
        (void)munmap(p->map, p->len);
    *p = (struct pv_payload){0};
}
