#include "files/dir.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/* As the kernel writes them; reclen is a multiple of 8. */
struct record {
    uint64_t ino;
    int64_t off; /* where the next one begins */
    uint16_t reclen;
    uint8_t type;
    char name[];
} __attribute__((packed));

enum {
    HEAD = 19, /* offsetof(struct record, name) */
    FIRST = 2, /* position behind "." and ".." */
};

/* Positions of what is laid over a directory of the tree: beyond all of the host's. */
#define OVERLAID INT64_MIN

struct listing {
    struct pv_files *f;
    pv_ref file;
    uint8_t *buf;
    size_t room;
    size_t used;
    bool full;
};

static void add(struct listing *l, const char *name, size_t len, uint64_t ino, uint8_t type,
                int64_t next)
{
    size_t size = (HEAD + len + 1 + 7) / 8 * 8;
    struct record *r = (struct record *)(l->buf + l->used);

    if (l->full || size > l->room - l->used) {
        l->full = true;
        return;
    }
    memset(r, 0, size);
    r->ino = ino;
    r->off = next;
    r->reclen = (uint16_t)size;
    r->type = type;
    memcpy(r->name, name, len);
    l->used += size;
    pv_file_edit(l->f, l->file)->offset = next;
}

static void add_node(struct listing *l, const char *name, size_t len, pv_ref node, int64_t next)
{
    const struct pv_node *n = pv_node(l->f, node);

    add(l, name, len, n->ino, (uint8_t)IFTODT(n->mode), next);
}

static void add_dots(struct listing *l, pv_ref dentry)
{
    pv_ref parent = pv_dentry(l->f, dentry)->parent;

    if (pv_file(l->f, l->file)->offset == 0)
        add_node(l, ".", 1, pv_dentry_node(l->f, dentry), 1);
    if (!l->full && pv_file(l->f, l->file)->offset == 1)
        add_node(l, "..", 2, pv_dentry_node(l->f, parent ? parent : dentry), FIRST);
}

/* Children in memory, newest first; each one's position is its cookie. */
static void list_memory(struct listing *l, pv_ref dentry)
{
    struct pv_files *f = l->f;
    pv_ref child;

    add_dots(l, dentry);
    child = pv_node(f, pv_dentry_node(f, dentry))->children;
    while (child && !l->full) {
        const struct pv_dentry *d = pv_dentry(f, child);
        int64_t here = pv_file(f, l->file)->offset;

        if (here == FIRST || (int64_t)d->cookie < here)
            add_node(l, pv_dentry_name(f, d), d->name_len, d->node, (int64_t)d->cookie);
        child = d->next;
    }
}

static void list_fds(struct listing *l, pv_ref dentry)
{
    struct pv_files *f = l->f;
    char name[16];

    add_dots(l, dentry);
    while (!l->full && pv_file(f, l->file)->offset - FIRST < pv_state(f)->fd_max) {
        int64_t fd = pv_file(f, l->file)->offset - FIRST;

        if (!pv_fd_any(f, (int)fd))
            pv_file_edit(f, l->file)->offset++;
        else
            add(l, name, (size_t)snprintf(name, sizeof name, "%d", (int)fd), 1000 + (uint64_t)fd,
                DT_LNK, fd + FIRST + 1);
    }
}

/* Laid over the host's directory, so the host's entry of that name is not shown? */
static bool overlaid(const struct pv_files *f, pv_ref dir, const char *name)
{
    pv_ref found = pv_dentry_find(f, dir, name, strlen(name));

    return found && pv_dentry(f, found)->pinned;
}

/* The host's kernel leaves out the bytes behind a name's NUL: they are whatever the buffer held. */
static void clear_padding(struct record *r)
{
    size_t used = HEAD + strlen(r->name) + 1;

    if (used < r->reclen)
        memset((uint8_t *)r + used, 0, r->reclen - used);
}

/* Takes out what the domain replaces; returns what is left of n bytes. */
static size_t sift(const struct pv_files *f, pv_ref dir, uint8_t *buf, size_t n)
{
    size_t kept = 0;

    for (size_t at = 0; at < n;) {
        struct record *r = (struct record *)(buf + at);
        size_t size = r->reclen;

        if (!overlaid(f, dir, r->name)) {
            memmove(buf + kept, r, size);
            clear_padding((struct record *)(buf + kept));
            kept += size;
        }
        at += size;
    }
    return kept;
}

static int64_t last_offset(const uint8_t *buf, size_t n)
{
    int64_t off = 0;

    for (size_t at = 0; at < n;) {
        const struct record *r = (const struct record *)(buf + at);

        off = r->off;
        at += r->reclen;
    }
    return off;
}

/* 1 when the host has no more. */
static int list_host(struct listing *l, pv_ref dentry)
{
    struct pv_files *f = l->f;
    int fd = pv_hostfds_get(&f->hosts, pv_file(f, l->file)->host);

    while (l->used == 0) {
        long n;

        if (lseek(fd, pv_file(f, l->file)->offset, SEEK_SET) < 0)
            return -errno;
        n = syscall(SYS_getdents64, fd, l->buf, l->room);
        if (n <= 0)
            return n < 0 ? -errno : 1;
        pv_file_edit(f, l->file)->offset = last_offset(l->buf, (size_t)n);
        l->used = sift(f, dentry, l->buf, (size_t)n);
    }
    return 0;
}

static void list_overlaid(struct listing *l, pv_ref dentry)
{
    struct pv_files *f = l->f;
    pv_ref child = pv_node(f, pv_dentry_node(f, dentry))->children;

    if (pv_file(f, l->file)->offset >= 0)
        pv_file_edit(f, l->file)->offset = -1;
    for (; child && !l->full; child = pv_dentry(f, child)->next) {
        const struct pv_dentry *d = pv_dentry(f, child);
        int64_t position = OVERLAID + (int64_t)d->cookie;

        if (d->pinned && position < pv_file(f, l->file)->offset)
            add_node(l, pv_dentry_name(f, d), d->name_len, d->node, position);
    }
}

static int list_tree(struct listing *l, pv_ref dentry)
{
    int rc = 1;

    if (pv_file(l->f, l->file)->host < 0 && pv_file(l->f, l->file)->offset >= 0)
        add_dots(l, dentry);
    else if (pv_file(l->f, l->file)->offset >= 0)
        rc = list_host(l, dentry);
    if (rc == 1 && l->used == 0)
        list_overlaid(l, dentry);
    return rc < 0 ? rc : 0;
}

int64_t pv_files_getdents64(struct pv_files *f, int fd, void *buf, size_t len)
{
    pv_ref file = pv_fd_file(f, fd);
    struct listing l = {
        .f = f, .file = file, .buf = buf, .room = len < INT32_MAX ? len : INT32_MAX};
    pv_ref dentry;

    if (!file)
        return -EBADF;
    if (pv_file(f, file)->kind != PV_FILE_DIR)
        return -ENOTDIR;
    dentry = pv_file(f, file)->dentry;
    if (pv_node(f, pv_dentry_node(f, dentry))->nlink == 0)
        return -ENOENT;
    if (pv_node(f, pv_dentry_node(f, dentry))->special == PV_SPECIAL_FD_DIR)
        list_fds(&l, dentry);
    else if (pv_node(f, pv_dentry_node(f, dentry))->fs == PV_FS_TREE)
        PV_TRY(list_tree(&l, dentry));
    else
        list_memory(&l, dentry);
    return l.full && l.used == 0 ? -EINVAL : (int64_t)l.used;
}

/* The old record has its name one byte earlier and the type as its last byte; its size is the same.
 */
int64_t pv_files_getdents(struct pv_files *f, int fd, void *buf, size_t len)
{
    int64_t n = pv_files_getdents64(f, fd, buf, len);
    uint8_t *bytes = buf;

    for (int64_t at = 0; at < n;) {
        struct record *r = (struct record *)(bytes + at);
        uint8_t type = r->type;
        size_t size = r->reclen;

        memmove((uint8_t *)r + HEAD - 1, r->name, size - HEAD);
        ((uint8_t *)r)[size - 1] = type;
        at += (int64_t)size;
    }
    return n;
}

static int64_t dir_read(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    (void)f;
    (void)file;
    (void)io;
    (void)off;
    return -EISDIR;
}

/* Positions are those that the records give. */
static int64_t dir_seek(struct pv_files *f, pv_ref file, int64_t off, int whence)
{
    if (whence == SEEK_CUR && __builtin_add_overflow(off, pv_file(f, file)->offset, &off))
        return -EINVAL;
    if (whence != SEEK_SET && whence != SEEK_CUR)
        return -EINVAL;
    return off < 0 && (pv_node(f, pv_file_node(f, file))->fs != PV_FS_TREE || off > OVERLAID / 2)
               ? -EINVAL
               : off;
}

const struct pv_file_ops pv_dir_ops = {
    .name = "directory",
    .seekable = true,
    .read = dir_read,
    .seek = dir_seek,
};
