/* Rights, owners, times and sizes. */
#include "files/data.h"
#include "files/event.h"
#include "files/path.h"
#include "files/permission.h"
#include "files/regular.h"

#include <linux/falloc.h>

struct times {
    struct timespec value[2]; /* access, modification */
    bool now;                 /* both are now */
};

static int64_t altered(struct pv_files *f, const char *call, int dirfd, const char *path,
                       int64_t result)
{
    const struct pv_named what = {
        .kind = PV_FILES_ALTER, .call = call, .dirfd = dirfd, .path = path};

    return pv_event_named(f, &what, result);
}

static void stamp(struct pv_files *f, pv_ref node)
{
    pv_node_edit(f, node)->ctime = pv_domain_now(f, CLOCK_REALTIME);
}

static int chmod_node(struct pv_files *f, pv_ref node, unsigned mode)
{
    const struct pv_node *look = pv_node(f, node);

    PV_TRY(pv_may_change(f, node));
    PV_TRY(pv_may_own(f, node));
    if (S_ISLNK(look->mode))
        return -EOPNOTSUPP;
    if (pv_state(f)->uid != 0 && pv_state(f)->gid != look->gid)
        mode &= ~(unsigned)S_ISGID;
    pv_node_edit(f, node)->mode = (look->mode & (uint32_t)S_IFMT) | (mode & 07777);
    stamp(f, node);
    return 0;
}

int64_t pv_files_fchmod(struct pv_files *f, int fd, unsigned mode)
{
    pv_ref file = pv_fd_file(f, fd);

    if (!file)
        return -EBADF;
    return pv_event_file(f, PV_FILES_ALTER, "fchmod", file,
                         chmod_node(f, pv_file_node(f, file), mode));
}

static int64_t chmod_path(struct pv_files *f, int dirfd, const char *path, unsigned mode)
{
    pv_ref dentry = 0;
    int rc;

    PV_TRY(pv_path_find(f, dirfd, path, PV_WALK_FOLLOW, &dentry));
    rc = chmod_node(f, pv_dentry_node(f, dentry), mode);
    pv_dentry_put(f, dentry);
    return rc;
}

int64_t pv_files_fchmodat(struct pv_files *f, int dirfd, const char *path, unsigned mode)
{
    return altered(f, "fchmodat", dirfd, path, chmod_path(f, dirfd, path, mode));
}

static bool may_chown(const struct pv_files *f, const struct pv_node *node, uint32_t uid,
                      uint32_t gid)
{
    const struct pv_state *state = pv_state(f);

    if (state->uid == 0)
        return true;
    if (uid != UINT32_MAX && (uid != node->uid || state->uid != node->uid))
        return false;
    return gid == UINT32_MAX ||
           (state->uid == node->uid && (gid == state->gid || gid == node->gid));
}

static int chown_node(struct pv_files *f, pv_ref node, uint32_t uid, uint32_t gid)
{
    struct pv_node *edit;

    PV_TRY(pv_may_change(f, node));
    if (!may_chown(f, pv_node(f, node), uid, gid))
        return -EPERM;
    edit = pv_node_edit(f, node);
    if (uid != UINT32_MAX)
        edit->uid = uid;
    if (gid != UINT32_MAX)
        edit->gid = gid;
    if (!S_ISDIR(edit->mode)) {
        edit->mode &= ~(uint32_t)S_ISUID;
        if (edit->mode & S_IXGRP)
            edit->mode &= ~(uint32_t)S_ISGID;
    }
    stamp(f, node);
    return 0;
}

int64_t pv_files_fchown(struct pv_files *f, int fd, uint32_t uid, uint32_t gid)
{
    pv_ref file = pv_fd_file(f, fd);

    if (!file)
        return -EBADF;
    return pv_event_file(f, PV_FILES_ALTER, "fchown", file,
                         chown_node(f, pv_file_node(f, file), uid, gid));
}

static int64_t chown_path(struct pv_files *f, int dirfd, const char *path, uint32_t uid,
                          uint32_t gid, int flags)
{
    unsigned how = (flags & AT_SYMLINK_NOFOLLOW ? 0u : PV_WALK_FOLLOW) |
                   (flags & AT_EMPTY_PATH ? PV_WALK_EMPTY : 0u);
    pv_ref dentry = 0;
    int rc;

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    PV_TRY(pv_path_find(f, dirfd, path, how, &dentry));
    rc = chown_node(f, pv_dentry_node(f, dentry), uid, gid);
    pv_dentry_put(f, dentry);
    return rc;
}

int64_t pv_files_fchownat(struct pv_files *f, int dirfd, const char *path, uint32_t uid,
                          uint32_t gid, int flags)
{
    return altered(f, "fchownat", dirfd, path, chown_path(f, dirfd, path, uid, gid, flags));
}

static bool valid_nsec(long nsec)
{
    return nsec == UTIME_NOW || nsec == UTIME_OMIT || (nsec >= 0 && nsec < 1000000000);
}

static int times_node(struct pv_files *f, pv_ref node, const struct times *t)
{
    struct timespec now = pv_domain_now(f, CLOCK_REALTIME);
    struct pv_node *edit;

    PV_TRY(pv_may_change(f, node));
    if (t->now && pv_may_own(f, node) < 0)
        PV_TRY(pv_may(f, node, PV_MAY_WRITE));
    else
        PV_TRY(pv_may_own(f, node));
    edit = pv_node_edit(f, node);
    if (t->value[0].tv_nsec != UTIME_OMIT)
        edit->atime = t->value[0].tv_nsec == UTIME_NOW ? now : t->value[0];
    if (t->value[1].tv_nsec != UTIME_OMIT)
        edit->mtime = t->value[1].tv_nsec == UTIME_NOW ? now : t->value[1];
    edit->ctime = now;
    return 0;
}

static int64_t times_path(struct pv_files *f, int dirfd, const char *path, const struct times *t,
                          int flags)
{
    unsigned how = (flags & AT_SYMLINK_NOFOLLOW ? 0u : PV_WALK_FOLLOW) |
                   (flags & AT_EMPTY_PATH ? PV_WALK_EMPTY : 0u);
    pv_ref dentry = 0;
    int rc;

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    PV_TRY(pv_path_find(f, dirfd, path, how, &dentry));
    rc = times_node(f, pv_dentry_node(f, dentry), t);
    pv_dentry_put(f, dentry);
    return rc;
}

static int64_t times_fd(struct pv_files *f, int fd, const struct times *t, int flags)
{
    pv_ref file = pv_fd_file(f, fd);

    if (flags)
        return -EINVAL;
    if (!file)
        return -EBADF;
    return pv_event_file(f, PV_FILES_ALTER, "utimensat", file,
                         times_node(f, pv_file_node(f, file), t));
}

int64_t pv_files_utimensat(struct pv_files *f, int dirfd, const char *path,
                           const struct timespec *times, int flags)
{
    struct times t = {.value = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}}};

    if (times) {
        t.value[0] = times[0];
        t.value[1] = times[1];
        if (!valid_nsec(times[0].tv_nsec) || !valid_nsec(times[1].tv_nsec))
            return -EINVAL;
        if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
            return 0;
    }
    t.now = t.value[0].tv_nsec == UTIME_NOW && t.value[1].tv_nsec == UTIME_NOW;
    if (!path)
        return dirfd == AT_FDCWD ? -EFAULT : times_fd(f, dirfd, &t, flags);
    return altered(f, "utimensat", dirfd, path, times_path(f, dirfd, path, &t, flags));
}

static int may_resize(const struct pv_node *node, int64_t len)
{
    if ((node->seals & F_SEAL_SHRINK && len < node->size) ||
        (node->seals & F_SEAL_GROW && len > node->size))
        return -EPERM;
    return 0;
}

static int truncate_node(struct pv_files *f, pv_ref node, int64_t len)
{
    const struct pv_node *look = pv_node(f, node);

    if (S_ISDIR(look->mode))
        return -EISDIR;
    if (!S_ISREG(look->mode))
        return -EINVAL;
    PV_TRY(pv_may(f, node, PV_MAY_WRITE));
    PV_TRY(pv_may_change(f, node));
    pv_regular_resize(f, node, len);
    return 0;
}

static int64_t truncate_path(struct pv_files *f, const char *path, int64_t len)
{
    pv_ref dentry = 0;
    int rc;

    if (len < 0)
        return -EINVAL;
    PV_TRY(pv_path_find(f, AT_FDCWD, path, PV_WALK_FOLLOW, &dentry));
    rc = truncate_node(f, pv_dentry_node(f, dentry), len);
    pv_dentry_put(f, dentry);
    return rc;
}

int64_t pv_files_truncate(struct pv_files *f, const char *path, int64_t len)
{
    return altered(f, "truncate", AT_FDCWD, path, truncate_path(f, path, len));
}

int64_t pv_files_ftruncate(struct pv_files *f, int fd, int64_t len)
{
    pv_ref file = pv_fd_file(f, fd);

    if (len < 0)
        return -EINVAL;
    if (!file)
        return -EBADF;
    if (pv_file(f, file)->kind != PV_FILE_MEMORY ||
        (pv_file(f, file)->flags & O_ACCMODE) == O_RDONLY)
        return -EINVAL;
    PV_TRY(may_resize(pv_node(f, pv_file_node(f, file)), len));
    pv_regular_resize(f, pv_file_node(f, file), len);
    return pv_event_file(f, PV_FILES_ALTER, "ftruncate", file, 0);
}

static int fallocate_check(const struct pv_files *f, pv_ref file, int mode, int64_t off,
                           int64_t len)
{
    uint32_t type = pv_node(f, pv_file_node(f, file))->mode;

    if (off < 0 || len <= 0)
        return -EINVAL;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE) || mode == FALLOC_FL_PUNCH_HOLE)
        return -EOPNOTSUPP;
    if ((pv_file(f, file)->flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    if (S_ISFIFO(type))
        return -ESPIPE;
    if (S_ISDIR(type))
        return -EISDIR;
    if (!S_ISREG(type))
        return -ENODEV;
    return off > INT64_MAX - len ? -EFBIG : 0;
}

static int64_t punch(struct pv_files *f, pv_ref node, int64_t off, int64_t len)
{
    const struct pv_node *look = pv_node(f, node);
    int64_t end = off + len < look->size ? off + len : look->size;

    if (look->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
        return -EPERM;
    if (off < end)
        pv_data_punch(f, node, (uint64_t)off,
                      end == look->size && off + len > end
                          ? ((uint64_t)end + PV_PAGE - 1) / PV_PAGE * PV_PAGE
                          : (uint64_t)end);
    return 0;
}

int64_t pv_files_fallocate(struct pv_files *f, int fd, int mode, int64_t off, int64_t len)
{
    pv_ref file = pv_fd_file(f, fd);
    const struct pv_state *state = pv_state(f);
    pv_ref node;

    if (!file)
        return -EBADF;
    PV_TRY(fallocate_check(f, file, mode, off, len));
    if (pv_file(f, file)->kind != PV_FILE_MEMORY)
        return -EOPNOTSUPP;
    node = pv_file_node(f, file);
    if (mode & FALLOC_FL_PUNCH_HOLE)
        return punch(f, node, off, len);
    if (!(mode & FALLOC_FL_KEEP_SIZE) || off + len > pv_node(f, node)->size)
        PV_TRY(may_resize(pv_node(f, node),
                          off + len > pv_node(f, node)->size ? off + len : pv_node(f, node)->size));
    if ((uint64_t)len / PV_PAGE > state->tmp_pages_max - state->tmp_pages)
        return -ENOSPC;
    PV_TRY(pv_data_reserve(f, node, (uint64_t)off, (uint64_t)len));
    if (!(mode & FALLOC_FL_KEEP_SIZE) && off + len > pv_node(f, node)->size)
        pv_node_edit(f, node)->size = off + len;
    stamp(f, node);
    return 0;
}

int64_t pv_files_fadvise(struct pv_files *f, int fd, int64_t off, int64_t len, int advice)
{
    pv_ref file = pv_fd_file(f, fd);

    (void)off;
    if (!file)
        return -EBADF;
    if (S_ISFIFO(pv_node(f, pv_file_node(f, file))->mode))
        return -ESPIPE;
    return len < 0 || advice < POSIX_FADV_NORMAL || advice > POSIX_FADV_NOREUSE ? -EINVAL : 0;
}

int64_t pv_files_fsync(struct pv_files *f, int fd)
{
    pv_ref file = pv_fd_file(f, fd);
    uint32_t type;

    if (!file)
        return -EBADF;
    type = pv_node(f, pv_file_node(f, file))->mode;
    return S_ISREG(type) || S_ISDIR(type) ? 0 : -EINVAL;
}
