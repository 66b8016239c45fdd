#include "files/regular.h"

#include "files/data.h"

#include <limits.h>

static void touch(struct pv_files *f, pv_ref node)
{
    struct pv_node *edit = pv_node_edit(f, node);

    edit->mtime = edit->ctime = pv_domain_now(f, CLOCK_REALTIME);
}

/* A write by another than root takes the bits away that would run the file as its owner. */
static void drop_privilege(struct pv_files *f, pv_ref node)
{
    uint32_t mode = pv_node(f, node)->mode;
    uint32_t kill =
        (mode & S_ISUID) | ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) ? S_ISGID : 0);

    if (kill && pv_state(f)->uid != 0)
        pv_node_edit(f, node)->mode &= ~kill;
}

void pv_regular_resize(struct pv_files *f, pv_ref node, int64_t size)
{
    if (size < pv_node(f, node)->size)
        pv_data_truncate(f, node, (uint64_t)size);
    pv_node_edit(f, node)->size = size;
    drop_privilege(f, node);
    touch(f, node);
    f->changed++;
}

static int64_t memory_read(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    pv_ref node = pv_file_node(f, file);
    int64_t size = pv_node(f, node)->size;
    int64_t start = off;
    size_t len;
    void *to;

    if (off >= size)
        return 0;
    while ((to = pv_io_next(io, (size_t)(size - off), &len))) {
        pv_data_read(f, node, (uint64_t)off, to, len);
        off += (int64_t)len;
    }
    if (off > start && !(pv_file(f, file)->flags & O_NOATIME) &&
        pv_node(f, node)->fs == PV_FS_TMP) {
        const struct pv_node *look = pv_node(f, node);
        struct timespec now = pv_domain_now(f, CLOCK_REALTIME);

        /* relatime */
        if (look->atime.tv_sec < look->mtime.tv_sec || (look->atime.tv_sec == look->mtime.tv_sec &&
                                                        look->atime.tv_nsec <= look->mtime.tv_nsec))
            pv_node_edit(f, node)->atime = now;
    }
    return off - start;
}

static int seal_check(const struct pv_node *node, int64_t end)
{
    if (node->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
        return -EPERM;
    return node->seals & F_SEAL_GROW && end > node->size ? -EPERM : 0;
}

static int64_t memory_write(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    pv_ref node = pv_file_node(f, file);
    int64_t start = off;
    int64_t rc = 0;
    size_t len;
    const void *from;

    if (io->left == 0)
        return 0;
    if (pv_file(f, file)->flags & O_APPEND)
        start = off = pv_node(f, node)->size;
    if ((uint64_t)io->left > (uint64_t)(INT64_MAX - off))
        return -EFBIG; /* appending */
    PV_TRY(seal_check(pv_node(f, node), off + (int64_t)io->left));
    drop_privilege(f, node);
    while (rc >= 0 && (from = pv_io_next(io, SIZE_MAX, &len))) {
        rc = pv_data_write(f, node, (uint64_t)off, from, len);
        off += rc > 0 ? rc : 0;
        if (rc > 0 && (size_t)rc < len)
            break;
    }
    if (off > pv_node(f, node)->size)
        pv_node_edit(f, node)->size = off;
    touch(f, node);
    f->changed++;
    return off > start ? off - start : rc;
}

static int64_t seek_content(const struct pv_files *f, pv_ref node, int64_t off, int whence)
{
    int64_t size = pv_node(f, node)->size;
    uint64_t at;

    if (off < 0 || off >= size)
        return -ENXIO;
    at = pv_data_seek(f, node, (uint64_t)off, (uint64_t)size, whence == SEEK_DATA);
    return at >= (uint64_t)size && whence == SEEK_DATA
               ? -ENXIO
               : (int64_t)(at < (uint64_t)size ? at : (uint64_t)size);
}

/* As generic_file_llseek. */
static int64_t seek_plain(int64_t size, int64_t here, int64_t off, int whence)
{
    int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? here : size;

    if (whence != SEEK_SET && whence != SEEK_CUR && whence != SEEK_END)
        return -EINVAL;
    if (__builtin_add_overflow(base, off, &base))
        return whence == SEEK_CUR ? -EOVERFLOW : -EINVAL;
    return base < 0 ? -EINVAL : base;
}

static int64_t memory_seek(struct pv_files *f, pv_ref file, int64_t off, int whence)
{
    pv_ref node = pv_file_node(f, file);

    if (whence == SEEK_DATA || whence == SEEK_HOLE)
        return seek_content(f, node, off, whence);
    return seek_plain(pv_node(f, node)->size, pv_file(f, file)->offset, off, whence);
}

static int64_t tree_read(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    int fd = pv_hostfds_get(&f->hosts, pv_file(f, file)->host);
    int64_t done = 0;
    size_t len;
    void *to;

    while ((to = pv_io_next(io, SIZE_MAX, &len))) {
        ssize_t n = pread(fd, to, len, off + done);

        if (n < 0)
            return done ? done : -errno;
        done += n;
        if ((size_t)n < len)
            break;
    }
    return done;
}

static int64_t tree_seek(struct pv_files *f, pv_ref file, int64_t off, int whence)
{
    const struct pv_file *look = pv_file(f, file);
    int64_t size = pv_node(f, pv_file_node(f, file))->size;
    off_t at;

    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return seek_plain(size, look->offset, off, whence);
    at = lseek(pv_hostfds_get(&f->hosts, look->host), off, whence);
    return at < 0 ? -errno : at;
}

const struct pv_file_ops pv_memory_ops = {
    .name = "file",
    .seekable = true,
    .read = memory_read,
    .write = memory_write,
    .seek = memory_seek,
};

const struct pv_file_ops pv_tree_file_ops = {
    .name = "file of the tree",
    .seekable = true,
    .read = tree_read,
    .seek = tree_seek,
};
