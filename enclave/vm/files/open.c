#include "files/open.h"

#include "files/data.h"
#include "files/event.h"
#include "files/make.h"
#include "files/path.h"
#include "files/permission.h"
#include "files/pipe.h"
#include "files/regular.h"
#include "files/tree.h"

#include <linux/openat2.h>

enum {
    LARGEFILE = 0100000, /* what a 64-bit open always sets */
    TMPFILE_BIT = O_TMPFILE & ~O_DIRECTORY,
    VALID = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |
            O_DSYNC | O_ASYNC | O_DIRECT | LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME |
            O_CLOEXEC | O_PATH | TMPFILE_BIT,
    PATH_FLAGS = O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC,
};

struct request {
    const char *path;
    int dirfd;
    uint32_t flags;
    uint32_t mode;
    unsigned walk; /* PV_WALK_* beyond what the flags say */
    bool created;
};

static unsigned wanted(uint32_t flags)
{
    static const unsigned by_access[] = {PV_MAY_READ, PV_MAY_WRITE, PV_MAY_READ | PV_MAY_WRITE,
                                         PV_MAY_READ | PV_MAY_WRITE};

    return by_access[flags & O_ACCMODE] | (flags & O_TRUNC ? PV_MAY_WRITE : 0);
}

/* What the kernel's may_open asks of an object that existed before. */
static int may_open(const struct pv_files *f, pv_ref node, uint32_t flags)
{
    uint32_t mode = pv_node(f, node)->mode;
    bool write = wanted(flags) & PV_MAY_WRITE;

    if (S_ISLNK(mode))
        return -ELOOP;
    if (S_ISDIR(mode) && write)
        return -EISDIR;
    if (S_ISREG(mode) && flags & O_TRUNC)
        PV_TRY(pv_may_change(f, node));
    PV_TRY(pv_may(f, node, wanted(flags)));
    if (flags & O_NOATIME && pv_may_own(f, node) < 0)
        return -EPERM;
    if (write && S_ISREG(mode))
        return pv_may_change(f, node);
    return 0;
}

static enum pv_file_kind kind_of(const struct pv_node *node)
{
    if (S_ISDIR(node->mode))
        return PV_FILE_DIR;
    if (S_ISREG(node->mode) && node->fs == PV_FS_TREE)
        return PV_FILE_TREE;
    if (S_ISREG(node->mode) && pv_node_in_memory(node))
        return PV_FILE_MEMORY;
    switch ((enum pv_special)node->special) {
    case PV_SPECIAL_TEXT:
        return PV_FILE_TEXT;
    case PV_SPECIAL_NULL:
    case PV_SPECIAL_ZERO:
    case PV_SPECIAL_FULL:
    case PV_SPECIAL_RANDOM:
        return PV_FILE_DEVICE;
    case PV_SPECIAL_STREAM:
        return PV_FILE_STREAM;
    case PV_SPECIAL_PIPE:
        return PV_FILE_PIPE;
    case PV_SPECIAL_NONE:
    case PV_SPECIAL_MADE:
    case PV_SPECIAL_TTY:
    case PV_SPECIAL_FD_DIR:
    case PV_SPECIAL_FD_LINK:
    case PV_SPECIAL_EXE_LINK:
    case PV_SPECIAL_CWD_LINK:
    case PV_SPECIAL_ROOT_LINK:
    case PV_SPECIAL_NO_OPEN:
        break;
    }
    return PV_FILE_KINDS;
}

/* Directories of the tree that the host has, and files of it, rest on a host descriptor. */
static int attach_host(struct pv_files *f, pv_ref file)
{
    pv_ref dentry = pv_file(f, file)->dentry;
    const struct pv_node *node = pv_node(f, pv_dentry_node(f, dentry));
    int fd;
    int slot;

    if (node->fs != PV_FS_TREE || node->special == PV_SPECIAL_MADE ||
        pv_file(f, file)->kind == PV_FILE_PATH)
        return 0;
    fd = pv_tree_open(f, dentry);
    if (fd < 0)
        return fd;
    slot = pv_hostfds_add(&f->hosts, fd);
    if (slot < 0)
        return slot;
    pv_file_edit(f, file)->host = slot;
    return 0;
}

int pv_open_dentry(struct pv_files *f, pv_ref dentry, uint32_t flags, pv_ref *ret)
{
    enum pv_file_kind kind = PV_FILE_PATH;
    pv_ref file;
    int rc;

    if (!(flags & O_PATH))
        kind = kind_of(pv_node(f, pv_dentry_node(f, dentry)));
    file = kind == PV_FILE_KINDS ? 0 : pv_file_new(f, kind, dentry, flags);
    if (!file) {
        pv_dentry_put(f, dentry);
        return kind == PV_FILE_KINDS ? -ENXIO : -ENFILE;
    }
    rc = attach_host(f, file);
    if (rc == 0 && kind == PV_FILE_PIPE)
        rc = pv_pipe_join(f, file);
    if (rc < 0)
        pv_file_put(f, file);
    else
        *ret = file;
    return rc;
}

static int open_found(struct pv_files *f, const struct request *r, pv_ref dentry, pv_ref *ret)
{
    pv_ref node = pv_dentry_node(f, dentry);
    int rc = 0;

    if (r->flags & O_DIRECTORY && !(r->flags & TMPFILE_BIT) && !pv_node_is_dir(f, node))
        rc = -ENOTDIR;
    if (rc == 0 && !r->created && !(r->flags & O_PATH))
        rc = may_open(f, node, r->flags);
    if (rc < 0) {
        pv_dentry_put(f, dentry);
        return rc;
    }
    rc = pv_open_dentry(
        f, dentry, r->flags & ~(uint32_t)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC), ret);
    if (rc == 0 && r->flags & O_TRUNC && !r->created && pv_file(f, *ret)->kind == PV_FILE_MEMORY)
        pv_regular_resize(f, node, 0);
    return rc;
}

/* The last component of a path that may be made: *ret with a reference; *again after a link. */
static int find_or_make(struct pv_walk *w, struct request *r, pv_ref *ret, bool *again)
{
    struct pv_files *f = w->f;
    pv_ref found = 0;
    int rc;

    *again = false;
    if (!pv_walk_last_is_name(w))
        return r->flags & O_EXCL ? -EEXIST : -EISDIR;
    if (w->slash)
        return -EISDIR;
    rc = pv_walk_last(w, &found);
    if (rc == -ENOENT) {
        rc = pv_make(w, S_IFREG | (r->mode & 07777 & ~pv_state(f)->umask), ret);
        r->created = rc == 0;
        return rc;
    }
    if (rc < 0)
        return rc;
    rc = r->flags & O_EXCL ? -EEXIST : 0;
    if (rc == 0 && S_ISLNK(pv_node(f, pv_dentry_node(f, found))->mode) &&
        !(r->flags & O_NOFOLLOW)) {
        rc = pv_walk_link(w, found, ret);
        *again = rc == 0 && !*ret;
        pv_dentry_put(f, found);
        return rc;
    }
    if (rc == 0 && pv_node_is_dir(f, pv_dentry_node(f, found)))
        rc = -EISDIR;
    if (rc < 0)
        pv_dentry_put(f, found);
    else
        *ret = found;
    return rc;
}

static int find_creating(struct pv_files *f, struct request *r, pv_ref *ret)
{
    PV_AUTOWALK w = {0};
    bool again = true;

    PV_TRY(pv_walk_begin(&w, f, r->dirfd, r->path, r->walk));
    while (again) {
        PV_TRY(pv_walk_parent(&w));
        PV_TRY(find_or_make(&w, r, ret, &again));
    }
    return 0;
}

/* A file that has no name, in the directory of that path. */
static int find_unnamed(struct pv_files *f, struct request *r, pv_ref *ret)
{
    pv_ref dir = 0;
    pv_ref node;
    int rc = pv_path_find(f, r->dirfd, r->path, r->walk | PV_WALK_FOLLOW | PV_WALK_DIRECTORY, &dir);

    if (rc < 0)
        return rc;
    rc = pv_may_change(f, pv_dentry_node(f, dir));
    if (rc == 0)
        rc = pv_may(f, pv_dentry_node(f, dir), PV_MAY_WRITE | PV_MAY_EXEC);
    if (rc == 0) {
        node = pv_node_new(f, PV_FS_TMP, S_IFREG | (r->mode & 07777 & ~pv_state(f)->umask));
        *ret = node ? pv_dentry_new_hidden(f, dir, "#tmpfile", 8, node) : 0;
        if (!*ret && node)
            pv_node_discard(f, node);
        rc = *ret ? 0 : -ENOSPC;
    }
    if (rc == 0) {
        pv_node_edit(f, pv_dentry_node(f, *ret))->dev = pv_node(f, pv_dentry_node(f, dir))->dev;
        pv_node_edit(f, pv_dentry_node(f, *ret))->nlink = 0;
        pv_node_edit(f, pv_dentry_node(f, *ret))->extra = !(r->flags & O_EXCL); /* may get a name */
        r->created = true;
    }
    pv_dentry_put(f, dir);
    return rc;
}

static int find(struct pv_files *f, struct request *r, pv_ref *ret)
{
    unsigned walk = r->walk;

    if (r->flags & TMPFILE_BIT)
        return find_unnamed(f, r, ret);
    if (r->flags & O_CREAT)
        return find_creating(f, r, ret);
    if (!(r->flags & O_NOFOLLOW))
        walk |= PV_WALK_FOLLOW;
    return pv_path_find(f, r->dirfd, r->path, walk, ret);
}

static int check_flags(const struct request *r)
{
    if (r->flags & O_PATH)
        return 0;
    if ((r->flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
        return -EINVAL;
    if (r->flags & TMPFILE_BIT && (!(r->flags & O_DIRECTORY) || !(wanted(r->flags) & PV_MAY_WRITE)))
        return -EINVAL;
    return 0;
}

static int64_t open_request(struct pv_files *f, struct request *r)
{
    int fd = pv_fd_free(f, 0);
    pv_ref dentry = 0;
    pv_ref file = 0;

    PV_TRY(check_flags(r));
    if (fd < 0)
        return fd;
    PV_TRY(find(f, r, &dentry));
    PV_TRY(open_found(f, r, dentry, &file));
    pv_fd_put(f, fd, file, r->flags & O_CLOEXEC ? FD_CLOEXEC : 0);
    return fd;
}

static int64_t report(struct pv_files *f, const struct request *r, const char *call, uint32_t flags,
                      int64_t result)
{
    const struct pv_named what = {
        .kind = PV_FILES_OPEN, .call = call, .dirfd = r->dirfd, .path = r->path, .flags = flags};

    return pv_event_named(f, &what, result);
}

int64_t pv_files_openat(struct pv_files *f, int dirfd, const char *path, int flags, unsigned mode)
{
    struct request r = {.path = path, .dirfd = dirfd, .mode = mode};

    r.flags = ((uint32_t)flags & VALID) | LARGEFILE;
    if (r.flags & O_PATH)
        r.flags &= PATH_FLAGS;
    return report(f, &r, "openat", (uint32_t)flags, open_request(f, &r));
}

int64_t pv_files_open(struct pv_files *f, const char *path, int flags, unsigned mode)
{
    return pv_files_openat(f, AT_FDCWD, path, flags, mode);
}

int64_t pv_files_creat(struct pv_files *f, const char *path, unsigned mode)
{
    return pv_files_openat(f, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

static unsigned walk_flags(uint64_t resolve)
{
    return (resolve & RESOLVE_NO_XDEV ? PV_WALK_NO_XDEV : 0u) |
           (resolve & RESOLVE_NO_MAGICLINKS ? PV_WALK_NO_MAGIC : 0u) |
           (resolve & RESOLVE_NO_SYMLINKS ? PV_WALK_NO_LINKS : 0u) |
           (resolve & RESOLVE_BENEATH ? PV_WALK_BENEATH : 0u) |
           (resolve & RESOLVE_IN_ROOT ? PV_WALK_IN_ROOT : 0u);
}

static int check_how(const struct open_how *how, size_t size)
{
    const uint64_t resolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
                             RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED;
    bool makes = how->flags & (O_CREAT | TMPFILE_BIT);

    if (size < sizeof *how)
        return -EINVAL;
    for (size_t i = sizeof *how; i < size; i++)
        if (((const uint8_t *)how)[i])
            return -E2BIG;
    if (how->flags & ~(uint64_t)VALID || how->resolve & ~resolve || (!makes && how->mode) ||
        how->mode & ~07777ull)
        return -EINVAL;
    if (how->flags & O_PATH && how->flags & ~(uint64_t)PATH_FLAGS)
        return -EINVAL;
    if (how->resolve & RESOLVE_BENEATH && how->resolve & RESOLVE_IN_ROOT)
        return -EINVAL;
    return how->resolve & RESOLVE_CACHED ? -EAGAIN : 0;
}

int64_t pv_files_openat2(struct pv_files *f, int dirfd, const char *path,
                         const struct open_how *how, size_t how_size)
{
    struct request r = {.path = path, .dirfd = dirfd};

    PV_TRY(check_how(how, how_size));
    r.flags = (uint32_t)how->flags;
    r.mode = (uint32_t)how->mode;
    r.walk = walk_flags(how->resolve);
    return report(f, &r, "openat2", (uint32_t)how->flags, open_request(f, &r));
}
