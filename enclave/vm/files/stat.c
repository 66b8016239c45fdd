#include "files/stat.h"

#include "files/event.h"
#include "files/path.h"
#include "files/permission.h"

#include <linux/magic.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/sysmacros.h>

enum {
    STAT_FLAGS = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH,
    SYNC_TYPE = 0x6000, /* AT_STATX_SYNC_TYPE */
    SECTOR = 512,
};

void pv_stat_node(const struct pv_files *f, pv_ref ref, struct stat *ret)
{
    const struct pv_node *node = pv_node(f, ref);

    *ret = (struct stat){
        .st_dev = node->dev,
        .st_ino = node->ino,
        .st_nlink = node->nlink,
        .st_mode = node->mode,
        .st_uid = node->uid,
        .st_gid = node->gid,
        .st_rdev = node->rdev,
        .st_size = node->fs == PV_FS_PROC && S_ISREG(node->mode) ? 0 : node->size,
        .st_blksize = node->fs == PV_FS_PROC ? 1024 : PV_PAGE,
        .st_blocks =
            node->fs == PV_FS_TREE ? node->blocks : (int64_t)node->pages * (PV_PAGE / SECTOR),
        .st_atim = node->atime,
        .st_mtim = node->mtime,
        .st_ctim = node->ctime,
    };
}

/* A name was looked up; the dentry with a reference. */
static int locate(struct pv_files *f, const char *call, int dirfd, const char *path, unsigned how,
                  pv_ref *ret)
{
    const struct pv_named what = {
        .kind = PV_FILES_NAME, .call = call, .dirfd = dirfd, .path = path};
    int rc = pv_path_find(f, dirfd, path, how, ret);

    if (*path)
        pv_event_named(f, &what, rc);
    return rc;
}

static unsigned how_of(int flags)
{
    return (flags & AT_SYMLINK_NOFOLLOW ? 0u : PV_WALK_FOLLOW) |
           (flags & AT_EMPTY_PATH ? PV_WALK_EMPTY : 0u);
}

int64_t pv_files_newfstatat(struct pv_files *f, int dirfd, const char *path, struct stat *ret,
                            int flags)
{
    pv_ref dentry = 0;

    if (flags & ~(STAT_FLAGS | SYNC_TYPE))
        return -EINVAL;
    PV_TRY(locate(f, "newfstatat", dirfd, path, how_of(flags), &dentry));
    pv_stat_node(f, pv_dentry_node(f, dentry), ret);
    pv_dentry_put(f, dentry);
    return 0;
}

int64_t pv_files_stat(struct pv_files *f, const char *path, struct stat *ret)
{
    return pv_files_newfstatat(f, AT_FDCWD, path, ret, 0);
}

int64_t pv_files_lstat(struct pv_files *f, const char *path, struct stat *ret)
{
    return pv_files_newfstatat(f, AT_FDCWD, path, ret, AT_SYMLINK_NOFOLLOW);
}

int64_t pv_files_fstat(struct pv_files *f, int fd, struct stat *ret)
{
    pv_ref file = pv_fd_any(f, fd);

    if (!file)
        return -EBADF;
    pv_stat_node(f, pv_file_node(f, file), ret);
    return 0;
}

static struct statx_timestamp stamp_of(struct timespec t)
{
    return (struct statx_timestamp){.tv_sec = t.tv_sec, .tv_nsec = (uint32_t)t.tv_nsec};
}

static void fill_statx(const struct pv_files *f, pv_ref ref, struct statx *ret)
{
    const struct pv_node *node = pv_node(f, ref);
    struct stat st;

    pv_stat_node(f, ref, &st);
    *ret = (struct statx){
        .stx_mask = STATX_BASIC_STATS | (pv_node_in_memory(node) ? STATX_BTIME : 0u),
        .stx_blksize = (uint32_t)st.st_blksize,
        .stx_nlink = (uint32_t)st.st_nlink,
        .stx_uid = st.st_uid,
        .stx_gid = st.st_gid,
        .stx_mode = (uint16_t)st.st_mode,
        .stx_ino = st.st_ino,
        .stx_size = (uint64_t)st.st_size,
        .stx_blocks = (uint64_t)st.st_blocks,
        .stx_atime = stamp_of(node->atime),
        .stx_mtime = stamp_of(node->mtime),
        .stx_ctime = stamp_of(node->ctime),
        .stx_rdev_major = major(st.st_rdev),
        .stx_rdev_minor = minor(st.st_rdev),
        .stx_dev_major = major(st.st_dev),
        .stx_dev_minor = minor(st.st_dev),
    };
    if (pv_node_in_memory(node))
        ret->stx_btime = stamp_of(node->btime);
}

int64_t pv_files_statx(struct pv_files *f, int dirfd, const char *path, int flags, unsigned mask,
                       struct statx *ret)
{
    pv_ref dentry = 0;

    if (mask & STATX__RESERVED || (flags & SYNC_TYPE) == SYNC_TYPE ||
        flags & ~(STAT_FLAGS | SYNC_TYPE))
        return -EINVAL;
    PV_TRY(locate(f, "statx", dirfd, path, how_of(flags), &dentry));
    fill_statx(f, pv_dentry_node(f, dentry), ret);
    pv_dentry_put(f, dentry);
    return 0;
}

static int64_t magic_of(const struct pv_node *node)
{
    switch ((enum pv_fs)node->fs) {
    case PV_FS_TREE:
        return OVERLAYFS_SUPER_MAGIC;
    case PV_FS_PROC:
        return PROC_SUPER_MAGIC;
    case PV_FS_ANON:
        return ANON_INODE_FS_MAGIC;
    case PV_FS_PIPE:
        return PIPEFS_MAGIC;
    case PV_FS_SOCK:
        return SOCKFS_MAGIC;
    case PV_FS_TMP:
    case PV_FS_DEV:
    case PV_FS_MEMFD:
        break;
    }
    return TMPFS_MAGIC;
}

static void fill_statfs(const struct pv_files *f, pv_ref ref, struct statfs *ret)
{
    const struct pv_node *node = pv_node(f, ref);
    const struct pv_state *state = pv_state(f);

    *ret = (struct statfs){.f_type = magic_of(node),
                           .f_bsize = PV_PAGE,
                           .f_frsize = PV_PAGE,
                           .f_namelen = PV_NAME_BYTES};
    if (pv_may_change(f, ref) < 0)
        ret->f_flags = 1; /* ST_RDONLY */
    if (!pv_node_in_memory(node))
        return;
    ret->f_blocks = state->tmp_pages_max;
    ret->f_bfree = ret->f_bavail = state->tmp_pages_max - state->tmp_pages;
    ret->f_files = state->tmp_nodes_max;
    ret->f_ffree = state->tmp_nodes_max - state->tmp_nodes;
}

int64_t pv_files_statfs(struct pv_files *f, const char *path, struct statfs *ret)
{
    pv_ref dentry = 0;

    PV_TRY(locate(f, "statfs", AT_FDCWD, path, PV_WALK_FOLLOW, &dentry));
    fill_statfs(f, pv_dentry_node(f, dentry), ret);
    pv_dentry_put(f, dentry);
    return 0;
}

int64_t pv_files_fstatfs(struct pv_files *f, int fd, struct statfs *ret)
{
    pv_ref file = pv_fd_any(f, fd);

    if (!file)
        return -EBADF;
    fill_statfs(f, pv_file_node(f, file), ret);
    return 0;
}

static int access_node(const struct pv_files *f, pv_ref node, unsigned mode)
{
    uint32_t type = pv_node(f, node)->mode;

    PV_TRY(pv_may(f, node, mode));
    if (mode & PV_MAY_WRITE && (S_ISREG(type) || S_ISDIR(type) || S_ISLNK(type)))
        return pv_may_change(f, node);
    return 0;
}

int64_t pv_files_faccessat2(struct pv_files *f, int dirfd, const char *path, int mode, int flags)
{
    pv_ref dentry = 0;
    int rc;

    if (mode & ~7 || flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    PV_TRY(locate(f, "faccessat2", dirfd, path, how_of(flags & ~AT_EACCESS), &dentry));
    rc = access_node(f, pv_dentry_node(f, dentry), (unsigned)mode);
    pv_dentry_put(f, dentry);
    return rc;
}

int64_t pv_files_access(struct pv_files *f, const char *path, int mode)
{
    return pv_files_faccessat2(f, AT_FDCWD, path, mode, 0);
}

int64_t pv_files_readlinkat(struct pv_files *f, int dirfd, const char *path, char *buf, size_t len)
{
    pv_ref dentry = 0;
    int64_t rc;

    if (len == 0 || len > INT32_MAX)
        return -EINVAL;
    PV_TRY(locate(f, "readlinkat", dirfd, path, PV_WALK_EMPTY, &dentry));
    if (S_ISLNK(pv_node(f, pv_dentry_node(f, dentry))->mode))
        rc = pv_link_text(f, dentry, buf, len);
    else
        rc = *path ? -EINVAL : -ENOENT;
    pv_dentry_put(f, dentry);
    return rc;
}
