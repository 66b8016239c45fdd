#include "files/unix.h"

#include <sys/ioctl.h>

enum {
    BUFFER_BYTES = 212992,                 /* Linux's default */
    WRITABLE_BYTES = BUFFER_BYTES / 4 * 3, /* of room, for poll */
    CHUNK_COST = 768,                      /* what the kernel counts for a small message at least */
    RECORD_MAX = BUFFER_BYTES - 32,
};

/* A piece of data in a socket's queue, in an object of its own size. */
struct chunk {
    pv_ref next;
    uint16_t size; /* of the object */
    uint16_t off, len;
    bool end; /* of a record */
    uint8_t data[];
};

enum { CHUNK_HEAD = offsetof(struct chunk, data), CHUNK_DATA = PV_PAGE - CHUNK_HEAD };

struct sock {
    pv_ref peer;       /* struct sock; 0 when it is gone or was never there */
    pv_ref head, tail; /* received data */
    uint32_t bytes, chunks;
    uint32_t in_wakes, out_wakes;
    int32_t type;
    bool had_peer;
    bool shut_in, shut_out;
    int32_t error; /* positive errno, told once */
};

static const struct sock *sock(const struct pv_files *f, pv_ref ref)
{
    return pv_at(&f->arena, ref);
}

static struct sock *sock_edit(struct pv_files *f, pv_ref ref)
{
    return pv_edit(&f->arena, ref, 0, sizeof(struct sock));
}

static const struct chunk *chunk(const struct pv_files *f, pv_ref ref)
{
    return pv_at(&f->arena, ref);
}

static struct chunk *chunk_edit(struct pv_files *f, pv_ref ref)
{
    return pv_edit(&f->arena, ref, 0, chunk(f, ref)->size);
}

static pv_ref sock_of(const struct pv_files *f, pv_ref file)
{
    return pv_file(f, file)->object;
}

int pv_unix_type(const struct pv_files *f, pv_ref file)
{
    return sock(f, sock_of(f, file))->type;
}

bool pv_unix_connected(const struct pv_files *f, pv_ref file)
{
    return sock(f, sock_of(f, file))->had_peer;
}

static pv_ref chunk_new(struct pv_files *f, size_t data)
{
    size_t size = CHUNK_HEAD + data;
    pv_ref ref = 0;

    if (pv_state(f)->pipe_pages < pv_state(f)->pipe_pages_max)
        ref = pv_arena_new(&f->arena, size);
    if (!ref)
        return 0;
    pv_state_edit(f)->pipe_pages++;
    *(struct chunk *)pv_edit(&f->arena, ref, 0, size) = (struct chunk){.size = (uint16_t)size};
    return ref;
}

static void chunk_drop(struct pv_files *f, pv_ref ref)
{
    pv_arena_drop(&f->arena, ref, chunk(f, ref)->size);
    pv_state_edit(f)->pipe_pages--;
}

static void append(struct pv_files *f, pv_ref to, pv_ref ref)
{
    struct sock *s = sock_edit(f, to);

    if (s->tail)
        chunk_edit(f, s->tail)->next = ref;
    else
        s->head = ref;
    s->tail = ref;
    s->bytes += chunk(f, ref)->len;
    s->chunks++;
}

static void take_head(struct pv_files *f, pv_ref from)
{
    struct sock *s = sock_edit(f, from);
    pv_ref ref = s->head;

    s->head = chunk(f, ref)->next;
    if (!s->head)
        s->tail = 0;
    s->bytes -= chunk(f, ref)->len;
    s->chunks--;
    chunk_drop(f, ref);
}

static int64_t room(const struct sock *s)
{
    return (int64_t)BUFFER_BYTES - s->bytes - (int64_t)s->chunks * CHUNK_COST;
}

/* One more chunk of at most max bytes from io; bytes, or -ENOBUFS. */
static int64_t push(struct pv_files *f, pv_ref to, struct pv_io *io, size_t max, bool record)
{
    size_t len = io->left < max ? io->left : max;
    pv_ref ref;

    len = len < CHUNK_DATA ? len : CHUNK_DATA;
    ref = chunk_new(f, len ? len : 1);
    if (!ref)
        return -ENOBUFS;
    chunk_edit(f, ref)->len = (uint16_t)len;
    pv_io_get(io, chunk_edit(f, ref)->data, len);
    chunk_edit(f, ref)->end = record && io->left == 0;
    append(f, to, ref);
    return (int64_t)len;
}

static int64_t send_stream(struct pv_files *f, pv_ref to, struct pv_io *io)
{
    int64_t done = 0;

    while (io->left > 0 && room(sock(f, to)) > CHUNK_COST) {
        int64_t n = push(f, to, io, (size_t)(room(sock(f, to)) - CHUNK_COST), false);

        if (n < 0)
            return done ? done : n;
        done += n;
    }
    return done ? done : -EAGAIN;
}

static int64_t send_record(struct pv_files *f, pv_ref to, struct pv_io *io)
{
    size_t len = io->left;
    size_t pieces = len / CHUNK_DATA + 1;

    if (len > RECORD_MAX)
        return -EMSGSIZE;
    if (sock(f, to)->chunks && room(sock(f, to)) < (int64_t)len + CHUNK_COST)
        return -EAGAIN;
    if (pv_state(f)->pipe_pages_max - pv_state(f)->pipe_pages < pieces)
        return -ENOBUFS;
    do {
        if (push(f, to, io, SIZE_MAX, true) < 0)
            return -ENOBUFS;
    } while (io->left > 0);
    return (int64_t)len;
}

/* The pending error as -errno, which is then forgotten. */
static int take_error(struct pv_files *f, pv_ref ref)
{
    int error = sock(f, ref)->error;

    if (error)
        sock_edit(f, ref)->error = 0;
    return -error;
}

/* A datagram socket notices that its peer has gone when it sends, and drops what it had from it. */
static int64_t disconnect(struct pv_files *f, pv_ref ref)
{
    while (sock(f, ref)->head)
        take_head(f, ref);
    sock_edit(f, ref)->had_peer = false;
    return -ECONNREFUSED;
}

static int64_t unix_write(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    const struct sock *s = sock(f, sock_of(f, file));
    int64_t rc;

    (void)off;
    if (!s->had_peer)
        return -ENOTCONN;
    if (s->type == SOCK_SEQPACKET)
        PV_TRY(take_error(f, sock_of(f, file)));
    if (s->shut_out)
        return -EPIPE;
    if (!s->peer)
        return s->type == SOCK_DGRAM ? disconnect(f, sock_of(f, file)) : -EPIPE;
    if (sock(f, s->peer)->shut_in)
        return -EPIPE;
    if (s->type == SOCK_STREAM && io->left == 0)
        return 0;
    rc = s->type == SOCK_STREAM ? send_stream(f, s->peer, io) : send_record(f, s->peer, io);
    if (rc >= 0) {
        sock_edit(f, s->peer)->in_wakes++;
        f->changed++;
    }
    return rc;
}

static int64_t recv_stream(struct pv_files *f, pv_ref from, struct pv_io *io, bool peek)
{
    int64_t done = 0;

    for (pv_ref at = sock(f, from)->head, next; at && io->left > 0; at = next) {
        const struct chunk *c = chunk(f, at);
        size_t n = pv_io_put(io, c->data + c->off, c->len);

        next = c->next;
        done += (int64_t)n;
        if (peek)
            continue;
        sock_edit(f, from)->bytes -= (uint32_t)n;
        chunk_edit(f, at)->off = (uint16_t)(c->off + n);
        chunk_edit(f, at)->len = (uint16_t)(c->len - n);
        if (c->len == 0)
            take_head(f, from);
    }
    return done;
}

/* Bytes of the record; those that fit are copied. */
static int64_t recv_record(struct pv_files *f, pv_ref from, struct pv_io *io, bool peek)
{
    int64_t whole = 0;
    bool end = false;

    for (pv_ref at = sock(f, from)->head, next; at && !end; at = next) {
        const struct chunk *c = chunk(f, at);

        next = c->next;
        end = c->end;
        whole += c->len;
        pv_io_put(io, c->data + c->off, c->len);
        if (!peek)
            take_head(f, from);
    }
    return whole;
}

int64_t pv_unix_recv(struct pv_files *f, pv_ref file, struct pv_io *io, int flags, int *ret_flags)
{
    pv_ref ref = sock_of(f, file);
    const struct sock *s = sock(f, ref);
    int64_t wanted = (int64_t)io->left;
    int64_t rc;

    *ret_flags = 0;
    if (!s->head) {
        PV_TRY(take_error(f, ref));
        if (s->type != SOCK_DGRAM && !s->had_peer)
            return s->type == SOCK_STREAM ? -EINVAL : -ENOTCONN;
        if (s->shut_in || (s->type != SOCK_DGRAM && (!s->peer || sock(f, s->peer)->shut_out)))
            return 0;
        return -EAGAIN;
    }
    if (s->type == SOCK_STREAM)
        rc = recv_stream(f, ref, io, flags & MSG_PEEK);
    else
        rc = recv_record(f, ref, io, flags & MSG_PEEK);
    if (rc > wanted)
        *ret_flags = MSG_TRUNC;
    if (rc > wanted && !(flags & MSG_TRUNC))
        rc = wanted;
    if (!(flags & MSG_PEEK) && sock(f, ref)->peer)
        sock_edit(f, sock(f, ref)->peer)->out_wakes++;
    f->changed++;
    return rc;
}

static int64_t unix_read(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    int flags;

    (void)off;
    if (io->left == 0)
        return 0; /* unlike recv, read then takes no record */
    return pv_unix_recv(f, file, io, 0, &flags);
}

static short unix_poll(struct pv_files *f, pv_ref file)
{
    const struct sock *s = sock(f, sock_of(f, file));
    bool stream = s->type != SOCK_DGRAM;
    bool no_more =
        s->shut_in || (stream && s->had_peer && (!s->peer || sock(f, s->peer)->shut_out));
    bool no_way = s->shut_out || (stream && s->had_peer && (!s->peer || sock(f, s->peer)->shut_in));
    int mask = s->error ? POLLERR : 0;

    if (s->head || no_more)
        mask |= POLLIN | POLLRDNORM;
    if (no_more)
        mask |= POLLRDHUP;
    if ((no_more && no_way) || (stream && !s->had_peer))
        mask |= POLLHUP;
    if (!s->peer || room(sock(f, s->peer)) > WRITABLE_BYTES)
        mask |= POLLOUT | POLLWRNORM | POLLWRBAND;
    return (short)mask;
}

static uint64_t unix_wakes(struct pv_files *f, pv_ref file)
{
    const struct sock *s = sock(f, sock_of(f, file));

    return (uint64_t)s->in_wakes << 32 | s->out_wakes;
}

static int64_t unix_ioctl(struct pv_files *f, pv_ref file, unsigned long request, int *value)
{
    const struct sock *s = sock(f, sock_of(f, file));

    if (request != FIONREAD)
        return -ENOTTY;
    *value = (int)s->bytes;
    if (s->type == SOCK_DGRAM && s->head)
        *value = chunk(f, s->head)->len;
    return 0;
}

static void wake_both(struct pv_files *f, pv_ref ref)
{
    struct sock *s = sock_edit(f, ref);

    s->in_wakes++;
    s->out_wakes++;
    f->changed++;
}

static void unix_release(struct pv_files *f, pv_ref file)
{
    pv_ref ref = sock_of(f, file);
    pv_ref peer = sock(f, ref)->peer;

    if (peer && sock(f, ref)->head && sock(f, ref)->type != SOCK_DGRAM)
        sock_edit(f, peer)->error = ECONNRESET; /* it will never be read */
    while (sock(f, ref)->head)
        take_head(f, ref);
    if (peer) {
        sock_edit(f, peer)->peer = 0;
        wake_both(f, peer);
    }
    pv_arena_drop(&f->arena, ref, sizeof(struct sock));
}

int64_t pv_unix_shutdown(struct pv_files *f, pv_ref file, int how)
{
    pv_ref ref = sock_of(f, file);
    struct sock *s;

    if (how < SHUT_RD || how > SHUT_RDWR)
        return -EINVAL;
    s = sock_edit(f, ref);
    s->shut_in = s->shut_in || how != SHUT_WR;
    s->shut_out = s->shut_out || how != SHUT_RD;
    wake_both(f, ref);
    if (s->peer && s->type != SOCK_DGRAM) {
        struct sock *peer = sock_edit(f, s->peer);

        peer->shut_out = peer->shut_out || how != SHUT_WR;
        peer->shut_in = peer->shut_in || how != SHUT_RD;
        wake_both(f, s->peer);
    }
    return 0;
}

pv_ref pv_unix_new(struct pv_files *f, int type, uint32_t flags)
{
    pv_ref object = pv_arena_new(&f->arena, sizeof(struct sock));
    pv_ref file;

    if (!object)
        return 0;
    file = pv_file_new_anonymous(f, PV_FILE_UNIX, PV_FS_SOCK, S_IFSOCK | 0777, "socket",
                                 O_RDWR | flags);
    if (!file) {
        pv_arena_drop(&f->arena, object, sizeof(struct sock));
        return 0;
    }
    sock_edit(f, object)->type = type;
    pv_file_edit(f, file)->object = object;
    return file;
}

void pv_unix_pair(struct pv_files *f, pv_ref a, pv_ref b)
{
    struct sock *x = sock_edit(f, sock_of(f, a));
    struct sock *y = sock_edit(f, sock_of(f, b));

    x->peer = sock_of(f, b);
    y->peer = sock_of(f, a);
    x->had_peer = y->had_peer = true;
}

const struct pv_file_ops pv_unix_ops = {
    .name = "socket",
    .whole = true,
    .read = unix_read,
    .write = unix_write,
    .poll = unix_poll,
    .wakes = unix_wakes,
    .ioctl = unix_ioctl,
    .release = unix_release,
};
