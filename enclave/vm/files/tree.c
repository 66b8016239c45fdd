#include "files/tree.h"
#include "files/filesystems.h"
#include "files/path.h"
#include "pv/own.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

/* Path of dentry beneath the root, "." for the root. */
static int host_path(const struct pv_files *f, pv_ref dentry, const char *name, size_t len,
                     char *buf, size_t room)
{
    int64_t at = pv_dentry_path(f, dentry, buf, room);

    if (at < 0)
        return (int)at;
    if ((size_t)at + len + 2 > room)
        return -ENAMETOOLONG;
    memcpy(buf + at, "/", 1);
    memcpy(buf + at + 1, name, len);
    buf[(size_t)at + 1 + len] = '\0';
    return 0;
}

static int open_beneath(const struct pv_files *f, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)flags | O_CLOEXEC | O_NOFOLLOW,
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    int fd;

    while (*path == '/')
        path++;
    fd = (int)syscall(SYS_openat2, f->root_fd, *path ? path : ".", &how, sizeof how);
    return fd < 0 ? -errno : fd;
}

static struct timespec timespec_of(const struct statx_timestamp *t)
{
    return (struct timespec){.tv_sec = t->tv_sec, .tv_nsec = t->tv_nsec};
}

static void describe(struct pv_node *node, const struct statx *st)
{
    node->uid = st->stx_uid;
    node->gid = st->stx_gid;
    node->nlink = st->stx_nlink;
    node->dev = makedev(st->stx_dev_major, st->stx_dev_minor);
    node->disk =
        st->stx_mask & STATX_MNT_ID ? pv_filesystem_device(st->stx_mnt_id, node->dev) : node->dev;
    node->ino = st->stx_ino;
    node->rdev = makedev(st->stx_rdev_major, st->stx_rdev_minor);
    node->size = (int64_t)st->stx_size;
    node->blocks = (int64_t)st->stx_blocks;
    node->atime = timespec_of(&st->stx_atime);
    node->mtime = timespec_of(&st->stx_mtime);
    node->ctime = timespec_of(&st->stx_ctime);
    node->btime = node->ctime;
}

/* Text of a link goes with its node. */
static int keep_target(struct pv_files *f, pv_ref node, int fd)
{
    char text[PV_PAGE];
    ssize_t len = readlinkat(fd, "", text, sizeof text);
    pv_ref ref;

    if (len < 0 || (size_t)len >= sizeof text)
        return len < 0 ? -errno : -ENAMETOOLONG;
    ref = pv_arena_new(&f->arena, (size_t)len + 1);
    if (!ref)
        return -ENOMEM;
    memcpy(pv_edit(&f->arena, ref, 0, (size_t)len + 1), text, (size_t)len);
    pv_node_edit(f, node)->data = ref;
    pv_node_edit(f, node)->size = len;
    return 0;
}

/* A node for what fd (O_PATH) is. */
static int remember(struct pv_files *f, int fd, pv_ref *ret)
{
    uint64_t next_ino = pv_state(f)->next_ino;
    struct statx st;
    pv_ref node;
    int rc = 0;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &st) < 0)
        return -errno;
    if (pv_state(f)->tree_nodes >= pv_state(f)->tree_nodes_max)
        pv_dentry_shrink(f);
    if (pv_state(f)->tree_nodes >= pv_state(f)->tree_nodes_max)
        return -ENOMEM;
    node = pv_node_new(f, PV_FS_TREE, st.stx_mode);
    if (!node)
        return -ENOMEM;
    pv_state_edit(f)->next_ino = next_ino; /* it has the host's number */
    pv_state_edit(f)->tree_nodes++;
    describe(pv_node_edit(f, node), &st);
    if (S_ISLNK(st.stx_mode))
        rc = keep_target(f, node, fd);
    if (rc < 0)
        pv_node_discard(f, node);
    else
        *ret = node;
    return rc;
}

int pv_tree_lookup(struct pv_files *f, pv_ref dir, const char *name, size_t len, pv_ref *ret)
{
    pv_autoclose int fd = -1;
    char path[PV_PATH_ROOM];
    pv_ref node = 0;
    int rc;

    if (pv_node(f, pv_dentry_node(f, dir))->special == PV_SPECIAL_MADE)
        return -ENOENT;
    PV_TRY(host_path(f, dir, name, len, path, sizeof path));
    fd = open_beneath(f, path, O_PATH);
    if (fd < 0)
        return fd == -EXDEV || fd == -ELOOP ? -EACCES : fd;
    rc = remember(f, fd, &node);
    if (rc < 0)
        return rc;
    *ret = pv_dentry_new(f, dir, name, len, node);
    if (!*ret) {
        pv_node_discard(f, node);
        return -ENOMEM;
    }
    pv_dentry_edit(f, *ret)->refs = 0; /* remembered only */
    return 0;
}

int pv_tree_open(struct pv_files *f, pv_ref dentry)
{
    const struct pv_node *node = pv_node(f, pv_dentry_node(f, dentry));
    char path[PV_PATH_ROOM];
    struct stat st;
    int64_t len = pv_dentry_path(f, dentry, path, sizeof path);
    int fd;

    if (len < 0)
        return (int)len;
    fd = open_beneath(f, path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0 || st.st_dev != node->dev || st.st_ino != node->ino) {
        close(fd);
        return -ESTALE;
    }
    return fd;
}

pv_ref pv_tree_make_dir(struct pv_files *f, pv_ref parent, const char *name, size_t len)
{
    pv_ref node = pv_node_new(f, PV_FS_TREE, S_IFDIR | 0755);
    pv_ref dentry;

    if (!node)
        return 0;
    pv_node_edit(f, node)->special = PV_SPECIAL_MADE;
    pv_node_edit(f, node)->dev = pv_node(f, pv_dentry_node(f, parent))->dev;
    dentry = pv_dentry_new(f, parent, name, len, node);
    if (dentry)
        pv_dentry_edit(f, dentry)->pinned = true;
    else
        pv_node_discard(f, node);
    return dentry;
}

int pv_tree_root_node(struct pv_files *f, pv_ref *ret)
{
    pv_ref node = 0;
    int rc = remember(f, f->root_fd, &node);

    if (rc < 0)
        return rc;
    if (!pv_node_is_dir(f, node))
        return -ENOTDIR;
    *ret = pv_dentry_new_hidden(f, 0, "", 0, node);
    return *ret ? 0 : -ENOMEM;
}
