#include "files/epoll.h"
#include "files/file.h"
#include "files/lock.h"
#include "files/memfd.h"
#include "files/pipe.h"

#include <assert.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <string.h>

static const struct pv_fd *slot_at(const struct pv_files *f, unsigned fd)
{
    return (const struct pv_fd *)pv_at(&f->arena, pv_state(f)->fds) + fd;
}

static void slot_set(struct pv_files *f, unsigned fd, struct pv_fd value)
{
    *(struct pv_fd *)pv_edit(&f->arena, pv_state(f)->fds, fd * sizeof value, sizeof value) = value;
}

pv_ref pv_file_new(struct pv_files *f, enum pv_file_kind kind, pv_ref dentry, uint32_t flags)
{
    pv_ref ref = pv_arena_new(&f->arena, sizeof(struct pv_file));
    struct pv_file *file;

    if (!ref)
        return 0;
    file = pv_file_edit(f, ref);
    file->refs = 1;
    file->kind = (uint8_t)kind;
    file->dentry = dentry;
    file->flags = flags;
    file->host = -1;
    return ref;
}

/* The number in brackets is the inode's, which is known only when the node is there. */
static pv_ref anonymous_dentry(struct pv_files *f, pv_ref node, const char *name)
{
    char text[PV_NAME_BYTES + 1];
    int len;

    if (pv_node(f, node)->fs == PV_FS_ANON || pv_node(f, node)->fs == PV_FS_MEMFD)
        len = snprintf(text, sizeof text, "%s", name);
    else
        len = snprintf(text, sizeof text, "%s:[%llu]", name,
                       (unsigned long long)pv_node(f, node)->ino);
    return pv_dentry_new_hidden(f, 0, text, (size_t)len, node);
}

pv_ref pv_file_new_anonymous(struct pv_files *f, enum pv_file_kind kind, enum pv_fs fs,
                             uint32_t mode, const char *name, uint32_t flags)
{
    pv_ref node = pv_node_new(f, fs, mode);
    pv_ref dentry;
    pv_ref file;

    if (!node)
        return 0;
    dentry = anonymous_dentry(f, node, name);
    if (!dentry) {
        pv_node_discard(f, node);
        return 0;
    }
    if (fs != PV_FS_PIPE)
        pv_node_edit(f, node)->special = PV_SPECIAL_NO_OPEN;
    if (fs == PV_FS_ANON)
        pv_node_edit(f, node)->uid = pv_node_edit(f, node)->gid = 0;
    file = pv_file_new(f, kind, dentry, flags);
    if (!file)
        pv_dentry_put(f, dentry);
    return file;
}

void pv_file_put(struct pv_files *f, pv_ref ref)
{
    struct pv_file *file = pv_file_edit(f, ref);
    const struct pv_file_ops *ops = pv_file_ops(file->kind);

    assert(file->refs > 0);
    if (--file->refs > 0)
        return;
    pv_epoll_forget_file(f, ref);
    pv_locks_release(f, pv_file_node(f, ref), ref);
    if (ops->release)
        ops->release(f, ref);
    if (file->host >= 0)
        pv_hostfds_drop(&f->hosts, file->host);
    pv_dentry_put(f, file->dentry);
    pv_arena_drop(&f->arena, ref, sizeof *file);
    f->changed++;
}

const struct pv_fd *pv_fd_slot(const struct pv_files *f, int fd)
{
    if (fd < 0 || (uint32_t)fd >= pv_state(f)->fd_max || !slot_at(f, (unsigned)fd)->file)
        return NULL;
    return slot_at(f, (unsigned)fd);
}

pv_ref pv_fd_any(const struct pv_files *f, int fd)
{
    const struct pv_fd *slot = pv_fd_slot(f, fd);

    return slot ? slot->file : 0;
}

pv_ref pv_fd_file(const struct pv_files *f, int fd)
{
    pv_ref file = pv_fd_any(f, fd);

    return file && pv_file(f, file)->kind != PV_FILE_PATH ? file : 0;
}

int pv_fd_free(struct pv_files *f, int min)
{
    const struct pv_state *state = pv_state(f);
    uint32_t fd = (uint32_t)min < state->fd_hint ? state->fd_hint : (uint32_t)min;

    while (fd < state->fd_max && slot_at(f, fd)->file)
        fd++;
    if (fd >= state->fd_max)
        return -EMFILE;
    return (int)fd;
}

void pv_fd_put(struct pv_files *f, int fd, pv_ref file, uint32_t flags)
{
    struct pv_state *state = pv_state_edit(f);

    assert(!slot_at(f, (unsigned)fd)->file);
    slot_set(f, (unsigned)fd, (struct pv_fd){file, flags});
    if (state->fd_hint == (uint32_t)fd)
        state->fd_hint++;
}

int64_t pv_fd_install(struct pv_files *f, pv_ref file, bool cloexec)
{
    int fd = pv_fd_free(f, 0);

    if (fd < 0)
        pv_file_put(f, file);
    else
        pv_fd_put(f, fd, file, cloexec ? FD_CLOEXEC : 0);
    return fd;
}

int64_t pv_files_close(struct pv_files *f, int fd)
{
    pv_ref file = pv_fd_any(f, fd);

    if (!file)
        return -EBADF;
    slot_set(f, (unsigned)fd, (struct pv_fd){0});
    if ((uint32_t)fd < pv_state(f)->fd_hint)
        pv_state_edit(f)->fd_hint = (uint32_t)fd;
    if (pv_file(f, file)->kind != PV_FILE_PATH)
        pv_locks_close(f, pv_file_node(f, file));
    pv_file_put(f, file);
    return 0;
}

int64_t pv_files_close_range(struct pv_files *f, unsigned first, unsigned last, unsigned flags)
{
    if (flags & ~(unsigned)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last)
        return -EINVAL;
    for (unsigned fd = first; fd <= last && fd < pv_state(f)->fd_max; fd++) {
        struct pv_fd slot = *slot_at(f, fd);

        if (slot.file && flags & CLOSE_RANGE_CLOEXEC)
            slot_set(f, fd, (struct pv_fd){slot.file, slot.flags | FD_CLOEXEC});
        else if (slot.file)
            pv_files_close(f, (int)fd);
    }
    return 0;
}

void pv_files_close_on_exec(struct pv_files *f)
{
    for (unsigned fd = 0; fd < pv_state(f)->fd_max; fd++)
        if (slot_at(f, fd)->file && slot_at(f, fd)->flags & FD_CLOEXEC)
            pv_files_close(f, (int)fd);
}

int64_t pv_files_dup(struct pv_files *f, int fd)
{
    pv_ref file = pv_fd_any(f, fd);

    if (!file)
        return -EBADF;
    pv_file_edit(f, file)->refs++;
    return pv_fd_install(f, file, false);
}

int64_t pv_files_dup3(struct pv_files *f, int fd, int to, int flags)
{
    pv_ref file = pv_fd_any(f, fd);

    if (flags & ~O_CLOEXEC || fd == to)
        return -EINVAL;
    if (to < 0 || (uint32_t)to >= pv_state(f)->fd_max || !file)
        return -EBADF;
    pv_file_edit(f, file)->refs++;
    if (slot_at(f, (unsigned)to)->file)
        pv_files_close(f, to);
    pv_fd_put(f, to, file, flags & O_CLOEXEC ? FD_CLOEXEC : 0);
    return to;
}

int64_t pv_files_dup2(struct pv_files *f, int fd, int to)
{
    if (fd == to)
        return pv_fd_any(f, fd) ? to : -EBADF;
    return pv_files_dup3(f, fd, to, 0);
}

static int64_t dup_from(struct pv_files *f, pv_ref file, uint64_t min, bool cloexec)
{
    int fd;

    if (min >= pv_state(f)->fd_max)
        return -EINVAL;
    fd = pv_fd_free(f, (int)min);
    if (fd < 0)
        return fd;
    pv_file_edit(f, file)->refs++;
    pv_fd_put(f, fd, file, cloexec ? FD_CLOEXEC : 0);
    return fd;
}

/* O_APPEND is fixed where a seal forbids writing; O_ASYNC has nobody to signal. */
static int64_t set_status(struct pv_files *f, pv_ref file, uint32_t flags)
{
    const uint32_t settable = O_APPEND | O_NONBLOCK | O_NOATIME | O_DIRECT | O_ASYNC;
    const struct pv_node *node = pv_node(f, pv_file_node(f, file));
    uint32_t old = pv_file(f, file)->flags;

    if (flags & O_NOATIME && !(old & O_NOATIME) && pv_state(f)->uid != 0 &&
        pv_state(f)->uid != node->uid)
        return -EPERM;
    if (flags & O_DIRECT && !S_ISREG(node->mode) && !S_ISFIFO(node->mode))
        return -EINVAL;
    pv_file_edit(f, file)->flags = (old & ~settable) | (flags & settable);
    return 0;
}

int64_t pv_files_fcntl(struct pv_files *f, int fd, int cmd, uint64_t arg)
{
    const struct pv_fd *slot = pv_fd_slot(f, fd);
    bool path = slot && pv_file(f, slot->file)->kind == PV_FILE_PATH;

    if (!slot || (path && cmd != F_DUPFD && cmd != F_DUPFD_CLOEXEC && cmd != F_GETFD &&
                  cmd != F_SETFD && cmd != F_GETFL))
        return -EBADF;
    switch (cmd) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return dup_from(f, slot->file, (unsigned)arg, cmd == F_DUPFD_CLOEXEC);
    case F_GETFD:
        return slot->flags;
    case F_SETFD:
        slot_set(f, (unsigned)fd, (struct pv_fd){slot->file, arg & FD_CLOEXEC});
        return 0;
    case F_GETFL:
        return pv_file(f, slot->file)->flags;
    case F_SETFL:
        return set_status(f, slot->file, (uint32_t)arg);
    case F_SETPIPE_SZ:
    case F_GETPIPE_SZ:
        return pv_pipe_size(f, slot->file, cmd == F_SETPIPE_SZ, (unsigned)arg);
    case F_ADD_SEALS:
    case F_GET_SEALS:
        return pv_memfd_seals(f, slot->file, cmd == F_ADD_SEALS, (unsigned)arg);
    case F_GETOWN:
    case F_GETSIG:
    case F_SETSIG:
    case F_SETOWN:
        return 0;
    case F_GETLEASE:
        return F_UNLCK;
    case F_SETLEASE:
    case F_NOTIFY:
        return arg == F_UNLCK && cmd == F_SETLEASE ? -EAGAIN : -EINVAL;
    default:
        return -EINVAL;
    }
}
