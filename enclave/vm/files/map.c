/* What a mapping of a file is made from. */
#include "files/data.h"
#include "files/event.h"
#include "files/file.h"

#include <sys/mman.h>

static int check_rights(const struct pv_file *file, int prot, int flags)
{
    uint32_t access = file->flags & O_ACCMODE;

    if (access == O_WRONLY)
        return -EACCES;
    return (flags & MAP_TYPE) != MAP_PRIVATE && prot & PROT_WRITE && access != O_RDWR ? -EACCES : 0;
}

int64_t pv_files_map_source(struct pv_files *f, int fd, int prot, int flags,
                            struct pv_files_source *ret)
{
    pv_ref file = pv_fd_file(f, fd);
    const struct pv_node *node;

    if (!file)
        return -EBADF;
    if (pv_file(f, file)->kind == PV_FILE_DIR)
        return -ENODEV;
    PV_TRY(check_rights(pv_file(f, file), prot, flags));
    node = pv_node(f, pv_file_node(f, file));
    *ret = (struct pv_files_source){.host_fd = -1,
                                    .dev = node->dev,
                                    .ino = node->ino,
                                    .size_bytes = (uint64_t)node->size,
                                    .node = pv_file_node(f, file)};
    if (node->special == PV_SPECIAL_ZERO) {
        ret->zero = true;
        return 0;
    }
    pv_event_first(f, file, false); /* what is read of it later asks nobody */
    if (pv_file(f, file)->kind == PV_FILE_TREE)
        ret->host_fd = pv_hostfds_get(&f->hosts, pv_file(f, file)->host);
    else if (pv_file(f, file)->kind != PV_FILE_MEMORY)
        return -ENODEV;
    else if ((flags & MAP_TYPE) != MAP_PRIVATE && (pv_file(f, file)->flags & O_ACCMODE) == O_RDWR)
        return -ENODEV; /* could be written later */
    return 0;
}

int64_t pv_files_source_read(struct pv_files *f, const struct pv_files_source *source,
                             const struct iovec *iov, int n, uint64_t off)
{
    uint64_t size = (uint64_t)pv_node(f, source->node)->size;
    uint64_t start = off;
    struct pv_io io;
    size_t len;
    void *to;

    PV_TRY(pv_io_init(&io, iov, n));
    while (off < size && (to = pv_io_next(&io, size - off, &len))) {
        pv_data_read(f, source->node, off, to, len);
        off += len;
    }
    return (int64_t)(off - start);
}

int64_t pv_files_describe(struct pv_files *f, int fd, char *buf, size_t len)
{
    pv_ref file = pv_fd_any(f, fd);

    return file ? pv_dentry_path(f, pv_file(f, file)->dentry, buf, len) : -EBADF;
}
