#include "files/stream.h"

#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>

enum { STREAMS = 3 };

static int open_one(struct pv_files *f, uint32_t number)
{
    uint32_t flags = number == 0 ? O_RDONLY : O_WRONLY;
    pv_ref file =
        pv_file_new_anonymous(f, PV_FILE_STREAM, PV_FS_PIPE, S_IFIFO | 0600, "pipe", flags);
    struct pv_node *node;

    if (!file)
        return -ENOMEM;
    node = pv_node_edit(f, pv_file_node(f, file));
    node->special = PV_SPECIAL_STREAM;
    node->extra = number;
    return pv_fd_install(f, file, false) < 0 ? -EMFILE : 0;
}

int pv_streams_open(struct pv_files *f)
{
    for (uint32_t i = 0; i < STREAMS; i++)
        PV_TRY(open_one(f, i));
    return 0;
}

static int number(const struct pv_files *f, pv_ref file)
{
    return (int)pv_node(f, pv_file_node(f, file))->extra;
}

/* The rest of the iovecs, as the owner's callbacks take them. */
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

static int64_t stream_read(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    struct iovec iov[IOV_MAX];
    int64_t n = 0;

    (void)off;
    if (number(f, file) != 0)
        return -EBADF;
    if (io->left > 0 && f->host->read)
        n = f->host->read(f->ctx, 0, iov, rest(io, iov, IOV_MAX));
    return n == PV_FILES_WAIT ? -EAGAIN : n;
}

static int64_t stream_write(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    struct iovec iov[IOV_MAX];
    int64_t n = (int64_t)io->left;

    (void)off;
    if (number(f, file) == 0)
        return -EBADF;
    if (n > 0 && f->host->write)
        n = f->host->write(f->ctx, number(f, file), iov, rest(io, iov, IOV_MAX));
    return n == PV_FILES_WAIT ? -EAGAIN : n;
}

static short stream_poll(struct pv_files *f, pv_ref file)
{
    if (f->host->poll)
        return f->host->poll(f->ctx, number(f, file));
    return number(f, file) == 0 ? POLLIN | POLLRDNORM : POLLOUT | POLLWRNORM;
}

static int64_t stream_ioctl(struct pv_files *f, pv_ref file, unsigned long request, int *value)
{
    if (request != FIONREAD)
        return -ENOTTY;
    *value = stream_poll(f, file) & POLLIN ? 1 : 0;
    return 0;
}

const struct pv_file_ops pv_stream_ops = {
    .name = "stream",
    .whole = true,
    .read = stream_read,
    .write = stream_write,
    .poll = stream_poll,
    .ioctl = stream_ioctl,
};
