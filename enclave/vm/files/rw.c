/* read, write and their kin: checks that are the same for every kind of file. */
#include "files/event.h"
#include "files/file.h"

#include <limits.h>
#include <sys/ioctl.h>

enum { RWF_KNOWN = 0x7 /* HIPRI, DSYNC, SYNC: there is nothing to do for them */ };

static bool may_read(const struct pv_file *file)
{
    return (file->flags & O_ACCMODE) == O_RDONLY || (file->flags & O_ACCMODE) == O_RDWR;
}

static bool may_write(const struct pv_file *file)
{
    return (file->flags & O_ACCMODE) == O_WRONLY || (file->flags & O_ACCMODE) == O_RDWR;
}

/* A call that would block does so unless the file or the call says otherwise. */
static int64_t or_wait(const struct pv_files *f, pv_ref file, int64_t rc)
{
    return rc == -EAGAIN && !(pv_file(f, file)->flags & O_NONBLOCK) ? PV_FILES_WAIT : rc;
}

/* Does the end of the transfer have an offset? */
static bool too_far(const struct pv_file_ops *ops, const struct pv_io *io, int64_t off)
{
    return ops->seekable && (uint64_t)io->left > (uint64_t)(INT64_MAX - off);
}

static int64_t do_read(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    const struct pv_file_ops *ops = pv_file_ops_of(f, file);
    int64_t rc;

    if (!may_read(pv_file(f, file)))
        return -EBADF;
    if (!ops->read || (off >= 0 && too_far(ops, io, off)))
        return -EINVAL;
    rc = ops->read(f, file, io, off);
    if (rc >= 0)
        pv_event_first(f, file, false);
    return or_wait(f, file, rc);
}

static int64_t do_write(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    const struct pv_file_ops *ops = pv_file_ops_of(f, file);
    int64_t wanted = (int64_t)io->left;
    int64_t rc;

    if (!may_write(pv_file(f, file)))
        return -EBADF;
    if (!ops->write || (off >= 0 && too_far(ops, io, off)))
        return -EINVAL;
    rc = ops->write(f, file, io, off);
    if (rc >= 0)
        pv_event_first(f, file, true);
    if (ops->whole && rc >= 0 && rc < wanted && !(pv_file(f, file)->flags & O_NONBLOCK)) {
        f->partial = (uint64_t)rc;
        return PV_FILES_WAIT;
    }
    return or_wait(f, file, rc);
}

int64_t pv_files_read(struct pv_files *f, int fd, const struct iovec *iov, int n)
{
    pv_ref file = pv_fd_file(f, fd);
    int64_t off;
    int64_t rc;
    struct pv_io io;

    f->partial = 0;
    if (!file)
        return -EBADF;
    PV_TRY(pv_io_init(&io, iov, n));
    off = pv_file(f, file)->offset;
    rc = do_read(f, file, &io, off);
    if (rc > 0 && pv_file_ops_of(f, file)->seekable && pv_file(f, file)->kind != PV_FILE_DEVICE)
        pv_file_edit(f, file)->offset = off + rc;
    return rc;
}

/* Writing at the end moves the offset there. */
static int64_t offset_after(const struct pv_files *f, pv_ref file, int64_t off, int64_t written)
{
    if (pv_file(f, file)->flags & O_APPEND && pv_file(f, file)->kind == PV_FILE_MEMORY)
        return pv_node(f, pv_file_node(f, file))->size;
    return off + written;
}

int64_t pv_files_write(struct pv_files *f, int fd, const struct iovec *iov, int n)
{
    pv_ref file = pv_fd_file(f, fd);
    int64_t off;
    int64_t rc;
    struct pv_io io;

    f->partial = 0;
    if (!file)
        return -EBADF;
    PV_TRY(pv_io_init(&io, iov, n));
    off = pv_file(f, file)->offset;
    rc = do_write(f, file, &io, off);
    if (rc > 0 && pv_file_ops_of(f, file)->seekable && pv_file(f, file)->kind != PV_FILE_DEVICE)
        pv_file_edit(f, file)->offset = offset_after(f, file, off, rc);
    return rc;
}

static int check_position(const struct pv_files *f, pv_ref file, int64_t off)
{
    if (off < 0)
        return -EINVAL;
    if (!file)
        return -EBADF;
    return pv_file_ops_of(f, file)->seekable ? 0 : -ESPIPE;
}

int64_t pv_files_pread(struct pv_files *f, int fd, const struct iovec *iov, int n, int64_t off)
{
    pv_ref file = pv_fd_file(f, fd);
    struct pv_io io;

    f->partial = 0;
    PV_TRY(check_position(f, file, off));
    PV_TRY(pv_io_init(&io, iov, n));
    return do_read(f, file, &io, off);
}

int64_t pv_files_pwrite(struct pv_files *f, int fd, const struct iovec *iov, int n, int64_t off)
{
    pv_ref file = pv_fd_file(f, fd);
    struct pv_io io;

    f->partial = 0;
    PV_TRY(check_position(f, file, off));
    PV_TRY(pv_io_init(&io, iov, n));
    return do_write(f, file, &io, off);
}

int64_t pv_files_preadv2(struct pv_files *f, int fd, const struct iovec *iov, int n, int64_t off,
                         int flags)
{
    if (flags & ~RWF_KNOWN)
        return -EOPNOTSUPP;
    return off == -1 ? pv_files_read(f, fd, iov, n) : pv_files_pread(f, fd, iov, n, off);
}

int64_t pv_files_pwritev2(struct pv_files *f, int fd, const struct iovec *iov, int n, int64_t off,
                          int flags)
{
    if (flags & ~RWF_KNOWN)
        return -EOPNOTSUPP;
    return off == -1 ? pv_files_write(f, fd, iov, n) : pv_files_pwrite(f, fd, iov, n, off);
}

int64_t pv_files_lseek(struct pv_files *f, int fd, int64_t off, int whence)
{
    pv_ref file = pv_fd_file(f, fd);
    const struct pv_file_ops *ops;
    int64_t rc;

    if (!file)
        return -EBADF;
    ops = pv_file_ops_of(f, file);
    if (whence < SEEK_SET || whence > SEEK_HOLE)
        return -EINVAL;
    if (!ops->seek)
        return -ESPIPE;
    rc = ops->seek(f, file, off, whence);
    if ((rc >= 0 || rc < -4095) && rc != pv_file(f, file)->offset && ops->seekable)
        pv_file_edit(f, file)->offset = rc;
    return rc;
}

enum pv_files_ioctl_arg pv_files_ioctl_kind(unsigned long request)
{
    if (request == FIONREAD)
        return PV_FILES_IOCTL_OUT_INT;
    return request == FIONBIO ? PV_FILES_IOCTL_IN_INT : PV_FILES_IOCTL_NONE;
}

static int64_t bytes_left(struct pv_files *f, pv_ref file, int *value)
{
    const struct pv_node *node = pv_node(f, pv_file_node(f, file));

    if (S_ISREG(node->mode)) {
        *value = (int)(node->size - pv_file(f, file)->offset);
        return 0;
    }
    return pv_file_ops_of(f, file)->ioctl ? pv_file_ops_of(f, file)->ioctl(f, file, FIONREAD, value)
                                          : -ENOTTY;
}

int64_t pv_files_ioctl(struct pv_files *f, int fd, unsigned long request, int *value)
{
    pv_ref file = pv_fd_file(f, fd);

    if (!file)
        return -EBADF;
    switch (request) {
    case FIOCLEX:
        return pv_files_fcntl(f, fd, F_SETFD, FD_CLOEXEC);
    case FIONCLEX:
        return pv_files_fcntl(f, fd, F_SETFD, 0);
    case FIONBIO:
        if (*value)
            pv_file_edit(f, file)->flags |= O_NONBLOCK;
        else
            pv_file_edit(f, file)->flags &= ~(uint32_t)O_NONBLOCK;
        return 0;
    case FIONREAD:
        return bytes_left(f, file, value);
    default:
        return -ENOTTY;
    }
}
