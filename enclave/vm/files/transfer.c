/* sendfile, copy_file_range, splice: through a buffer, a piece at a time. */
#include "files/file.h"

enum { PIECE = 16 << 10 };

struct end {
    int fd;
    pv_ref file;
    int64_t *off; /* the caller's offset; NULL: the file's own */
};

static int64_t read_end(struct pv_files *f, const struct end *e, void *buf, size_t len)
{
    const struct iovec iov = {buf, len};

    return e->off ? pv_files_pread(f, e->fd, &iov, 1, *e->off) : pv_files_read(f, e->fd, &iov, 1);
}

static int64_t write_end(struct pv_files *f, const struct end *e, void *buf, size_t len)
{
    const struct iovec iov = {buf, len};

    return e->off ? pv_files_pwrite(f, e->fd, &iov, 1, *e->off) : pv_files_write(f, e->fd, &iov, 1);
}

/* What was read and could not be written goes back: only files with offsets are read from here, or
 * pipes whose data is known to fit. */
static void put_back(struct pv_files *f, const struct end *e, int64_t n)
{
    if (!e->off && pv_file_ops_of(f, e->file)->seekable)
        pv_file_edit(f, e->file)->offset -= n;
}

/* Moves up to len bytes; a piece that blocks or fails ends it. */
static int64_t move(struct pv_files *f, const struct end *in, const struct end *out, size_t len)
{
    uint8_t buf[PIECE];
    int64_t done = 0;

    while (len > 0) {
        int64_t n = read_end(f, in, buf, len < sizeof buf ? len : sizeof buf);
        int64_t w;

        if (n <= 0)
            return done ? done : n;
        w = write_end(f, out, buf, (size_t)n);
        if (w == PV_FILES_WAIT && f->partial)
            w = (int64_t)f->partial;
        put_back(f, in, n - (w > 0 ? w : 0));
        if (w <= 0)
            return done ? done : w;
        if (in->off)
            *in->off += w;
        if (out->off)
            *out->off += w;
        done += w;
        len -= (size_t)w;
        if (w < n || n < (int64_t)sizeof buf)
            break;
    }
    return done;
}

static bool readable(const struct pv_files *f, pv_ref file)
{
    return (pv_file(f, file)->flags & O_ACCMODE) != O_WRONLY;
}

static bool writable(const struct pv_files *f, pv_ref file)
{
    return (pv_file(f, file)->flags & O_ACCMODE) != O_RDONLY;
}

static bool regular(const struct pv_files *f, pv_ref file)
{
    return S_ISREG(pv_node(f, pv_file_node(f, file))->mode);
}

int64_t pv_files_sendfile(struct pv_files *f, int out, int in, int64_t *off, size_t len)
{
    const struct end from = {in, pv_fd_file(f, in), off};
    const struct end to = {out, pv_fd_file(f, out), NULL};
    int64_t rc;

    if (!from.file || !to.file || !readable(f, from.file) || !writable(f, to.file))
        return -EBADF;
    if (off && *off < 0)
        return -EINVAL;
    if (off && !pv_file_ops_of(f, from.file)->seekable)
        return -ESPIPE;
    if (pv_file(f, to.file)->flags & O_APPEND || !regular(f, from.file))
        return -EINVAL;
    rc = move(f, &from, &to, len < PV_IO_MAX ? len : PV_IO_MAX);
    f->partial = 0;
    return rc;
}

static int64_t offset_of(const struct pv_files *f, const struct end *e)
{
    return e->off ? *e->off : pv_file(f, e->file)->offset;
}

/* What there is to copy, at most len. */
static size_t available(const struct pv_files *f, const struct end *from, size_t len)
{
    int64_t size = pv_node(f, pv_file_node(f, from->file))->size;
    int64_t off = offset_of(f, from);
    uint64_t left = off < size ? (uint64_t)(size - off) : 0;

    if (len > PV_IO_MAX)
        len = PV_IO_MAX;
    return left < len ? (size_t)left : len;
}

/* Would a copy within one file read what it writes? */
static bool overlap(const struct pv_files *f, const struct end *from, const struct end *to,
                    size_t len)
{
    int64_t a = offset_of(f, from);
    int64_t b = offset_of(f, to);

    return pv_file_node(f, from->file) == pv_file_node(f, to->file) &&
           (uint64_t)(a < b ? b - a : a - b) < len;
}

int64_t pv_files_copy_file_range(struct pv_files *f, int in, int64_t *off_in, int out,
                                 int64_t *off_out, size_t len, unsigned flags)
{
    const struct end from = {in, pv_fd_file(f, in), off_in};
    const struct end to = {out, pv_fd_file(f, out), off_out};

    if (!from.file || !to.file)
        return -EBADF;
    if (flags)
        return -EINVAL;
    if (S_ISDIR(pv_node(f, pv_file_node(f, from.file))->mode) ||
        S_ISDIR(pv_node(f, pv_file_node(f, to.file))->mode))
        return -EISDIR;
    if (!regular(f, from.file) || !regular(f, to.file))
        return -EINVAL;
    if (!readable(f, from.file) || !writable(f, to.file) || pv_file(f, to.file)->flags & O_APPEND)
        return -EBADF;
    if (pv_node(f, pv_file_node(f, from.file))->fs != pv_node(f, pv_file_node(f, to.file))->fs)
        return -EXDEV;
    if ((off_in && *off_in < 0) || (off_out && *off_out < 0))
        return -EINVAL;
    len = available(f, &from, len);
    return overlap(f, &from, &to, len) ? -EINVAL : move(f, &from, &to, len);
}

/* Linux lets a file system refuse to splice; callers then read and write. */
int64_t pv_files_splice(struct pv_files *f, int in, int64_t *off_in, int out, int64_t *off_out,
                        size_t len, unsigned flags)
{
    pv_ref from = pv_fd_file(f, in);
    pv_ref to = pv_fd_file(f, out);

    (void)off_in;
    (void)off_out;
    if (len == 0)
        return 0;
    if (flags & ~(unsigned)(SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT))
        return -EINVAL;
    return !from || !to ? -EBADF : -EINVAL;
}
