/* mkdir, mknod, unlink, rmdir, link, symlink. */
#include "files/event.h"
#include "files/make.h"
#include "files/path.h"
#include "files/permission.h"

#include <string.h>

/* Stands before a name that does not exist yet; slash: it may end in slashes (a directory). */
static int prepare(struct pv_walk *w, bool slash)
{
    pv_ref found = 0;
    int rc;

    PV_TRY(pv_walk_parent(w));
    if (!pv_walk_last_is_name(w))
        return -EEXIST;
    rc = pv_walk_last(w, &found);
    if (rc == 0) {
        pv_dentry_put(w->f, found);
        return -EEXIST;
    }
    if (rc != -ENOENT)
        return rc;
    return w->slash && !slash ? -ENOENT : 0;
}

static int64_t do_mkdir(struct pv_files *f, int dirfd, const char *path, unsigned mode)
{
    PV_AUTOWALK w = {0};
    pv_ref made = 0;

    PV_TRY(pv_walk_begin(&w, f, dirfd, path, 0));
    PV_TRY(prepare(&w, true));
    PV_TRY(pv_make(&w, S_IFDIR | (mode & 01777 & ~pv_state(f)->umask), &made));
    pv_dentry_put(f, made);
    return 0;
}

int64_t pv_files_mkdirat(struct pv_files *f, int dirfd, const char *path, unsigned mode)
{
    const struct pv_named what = {
        .kind = PV_FILES_MAKE, .call = "mkdirat", .dirfd = dirfd, .path = path};

    return pv_event_named(f, &what, do_mkdir(f, dirfd, path, mode));
}

static int64_t do_mknod(struct pv_files *f, int dirfd, const char *path, unsigned mode)
{
    PV_AUTOWALK w = {0};
    pv_ref made = 0;

    if ((mode & S_IFMT) != 0 && !S_ISREG(mode))
        return S_ISDIR(mode) || S_ISCHR(mode) || S_ISBLK(mode) || S_ISFIFO(mode) || S_ISSOCK(mode)
                   ? -EPERM
                   : -EINVAL;
    PV_TRY(pv_walk_begin(&w, f, dirfd, path, 0));
    PV_TRY(prepare(&w, false));
    PV_TRY(pv_make(&w, S_IFREG | (mode & 07777 & ~pv_state(f)->umask), &made));
    pv_dentry_put(f, made);
    return 0;
}

int64_t pv_files_mknodat(struct pv_files *f, int dirfd, const char *path, unsigned mode,
                         uint64_t dev)
{
    const struct pv_named what = {
        .kind = PV_FILES_MAKE, .call = "mknodat", .dirfd = dirfd, .path = path};

    (void)dev;
    return pv_event_named(f, &what, do_mknod(f, dirfd, path, mode));
}

static int set_target(struct pv_files *f, pv_ref node, const char *target, size_t len)
{
    pv_ref text = pv_arena_new(&f->arena, len + 1);
    struct pv_node *edit = pv_node_edit(f, node);

    if (!text)
        return -ENOSPC;
    memcpy(pv_edit(&f->arena, text, 0, len), target, len);
    edit->data = text;
    edit->size = (int64_t)len;
    return 0;
}

static int64_t do_symlink(struct pv_files *f, const char *target, int dirfd, const char *path)
{
    PV_AUTOWALK w = {0};
    size_t len = strnlen(target, PV_PATH_BYTES);
    pv_ref made = 0;
    int rc;

    if (len == 0)
        return -ENOENT;
    if (len >= PV_PATH_BYTES)
        return -ENAMETOOLONG;
    PV_TRY(pv_walk_begin(&w, f, dirfd, path, 0));
    PV_TRY(prepare(&w, false));
    PV_TRY(pv_make(&w, S_IFLNK | 0777, &made));
    rc = set_target(f, pv_dentry_node(f, made), target, len);
    if (rc < 0) {
        pv_dentry_unlink(f, made);
        pv_name_removed(f, pv_dentry_node(f, w.at));
    }
    pv_dentry_put(f, made);
    return rc;
}

int64_t pv_files_symlinkat(struct pv_files *f, const char *target, int dirfd, const char *path)
{
    const struct pv_named what = {.kind = PV_FILES_MAKE,
                                  .call = "symlinkat",
                                  .dirfd = dirfd,
                                  .path = path,
                                  .dirfd2 = AT_FDCWD,
                                  .path2 = target};

    return pv_event_named(f, &what, do_symlink(f, target, dirfd, path));
}

static int may_link(const struct pv_files *f, const struct pv_walk *w, pv_ref node)
{
    pv_ref dir = pv_dentry_node(f, w->at);
    const struct pv_node *old = pv_node(f, node);

    PV_TRY(pv_may_change(f, dir));
    if (old->fs != pv_node(f, dir)->fs || old->dev != pv_node(f, dir)->dev)
        return -EXDEV;
    PV_TRY(pv_may_make(f, dir));
    if (S_ISDIR(old->mode))
        return -EPERM;
    return old->nlink == 0 && old->extra == 0 ? -ENOENT : 0;
}

static int link_node(struct pv_files *f, struct pv_walk *w, pv_ref node)
{
    pv_ref dentry;
    struct pv_node *edit;

    PV_TRY(may_link(f, w, node));
    if (pv_state(f)->tmp_nodes >= pv_state(f)->tmp_nodes_max)
        return -ENOSPC; /* tmpfs counts a name as a node too */
    dentry = pv_dentry_new(f, w->at, w->last, w->last_len, node);
    if (!dentry)
        return -ENOSPC;
    edit = pv_node_edit(f, node);
    edit->extra = 0;
    edit->nlink++;
    edit->ctime = pv_domain_now(f, CLOCK_REALTIME);
    pv_name_added(f, pv_dentry_node(f, w->at));
    pv_dentry_put(f, dentry);
    return 0;
}

static int64_t do_link(struct pv_files *f, int olddir, const char *old, int newdir,
                       const char *new_path, int flags)
{
    PV_AUTOWALK w = {0};
    unsigned how = flags & AT_SYMLINK_FOLLOW ? PV_WALK_FOLLOW : 0;
    pv_ref found = 0;
    int rc;

    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if (flags & AT_EMPTY_PATH)
        how |= PV_WALK_EMPTY;
    PV_TRY(pv_path_find(f, olddir, old, how, &found));
    rc = pv_walk_begin(&w, f, newdir, new_path, 0);
    if (rc == 0)
        rc = prepare(&w, false);
    if (rc == 0)
        rc = link_node(f, &w, pv_dentry_node(f, found));
    pv_dentry_put(f, found);
    return rc;
}

int64_t pv_files_linkat(struct pv_files *f, int olddir, const char *old, int newdir,
                        const char *new_path, int flags)
{
    const struct pv_named what = {.kind = PV_FILES_MAKE,
                                  .call = "linkat",
                                  .dirfd = newdir,
                                  .path = new_path,
                                  .dirfd2 = olddir,
                                  .path2 = old};

    return pv_event_named(f, &what, do_link(f, olddir, old, newdir, new_path, flags));
}

/* The name goes; the object stays while it is open. */
static void remove_name(struct pv_files *f, pv_ref dentry)
{
    pv_ref dir = pv_dentry_node(f, pv_dentry(f, dentry)->parent);
    struct pv_node *node = pv_node_edit(f, pv_dentry_node(f, dentry));

    node->ctime = pv_domain_now(f, CLOCK_REALTIME);
    if (S_ISDIR(node->mode)) {
        node->nlink = 0;
        pv_node_edit(f, dir)->nlink--;
    } else {
        node->nlink--;
    }
    pv_name_removed(f, dir);
    pv_dentry_unlink(f, dentry);
}

static int64_t do_unlink(struct pv_files *f, int dirfd, const char *path)
{
    PV_AUTOWALK w = {0};
    pv_ref found = 0;
    int rc;

    PV_TRY(pv_walk_begin(&w, f, dirfd, path, 0));
    PV_TRY(pv_walk_parent(&w));
    if (!pv_walk_last_is_name(&w))
        return -EISDIR;
    PV_TRY(pv_may_change(f, pv_dentry_node(f, w.at)));
    PV_TRY(pv_walk_last(&w, &found));
    rc = pv_may_remove(f, found, false);
    if (w.slash)
        rc = pv_node_is_dir(f, pv_dentry_node(f, found)) ? -EISDIR : -ENOTDIR;
    if (rc == 0)
        remove_name(f, found);
    pv_dentry_put(f, found);
    return rc;
}

static int rmdir_dots(const struct pv_walk *w)
{
    if (w->last_len == 0)
        return -EBUSY;
    return w->last_len == 1 ? -EINVAL : -ENOTEMPTY;
}

static int64_t do_rmdir(struct pv_files *f, int dirfd, const char *path)
{
    PV_AUTOWALK w = {0};
    pv_ref found = 0;
    int rc;

    PV_TRY(pv_walk_begin(&w, f, dirfd, path, 0));
    PV_TRY(pv_walk_parent(&w));
    if (!pv_walk_last_is_name(&w))
        return rmdir_dots(&w);
    PV_TRY(pv_may_change(f, pv_dentry_node(f, w.at)));
    PV_TRY(pv_walk_last(&w, &found));
    rc = pv_may_remove(f, found, true);
    if (rc == 0 && pv_node(f, pv_dentry_node(f, found))->children)
        rc = -ENOTEMPTY;
    if (rc == 0)
        remove_name(f, found);
    pv_dentry_put(f, found);
    return rc;
}

int64_t pv_files_unlinkat(struct pv_files *f, int dirfd, const char *path, int flags)
{
    const struct pv_named what = {.kind = PV_FILES_REMOVE,
                                  .dirfd = dirfd,
                                  .path = path,
                                  .call = flags & AT_REMOVEDIR ? "rmdir" : "unlinkat"};

    if (flags & ~AT_REMOVEDIR)
        return -EINVAL;
    return pv_event_named(f, &what, flags ? do_rmdir(f, dirfd, path) : do_unlink(f, dirfd, path));
}

int64_t pv_files_rmdir(struct pv_files *f, const char *path)
{
    return pv_files_unlinkat(f, AT_FDCWD, path, AT_REMOVEDIR);
}
