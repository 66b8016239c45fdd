#include "files/path.h"

#include "files/file.h"
#include "files/permission.h"
#include "files/proc.h"
#include "files/tree.h"

#include <fcntl.h>
#include <string.h>

enum { LINKS_MAX = 40 };

static void stand_at(struct pv_walk *w, pv_ref dentry)
{
    pv_dentry_get(w->f, dentry);
    pv_dentry_put(w->f, w->at);
    w->at = dentry;
}

static int first_place(struct pv_walk *w, int dirfd, bool empty)
{
    const struct pv_files *f = w->f;
    pv_ref file;

    if (dirfd == AT_FDCWD) {
        w->at = pv_state(f)->cwd;
    } else {
        file = pv_fd_any(f, dirfd);
        if (!file)
            return -EBADF;
        w->at = pv_file(f, file)->dentry;
        if (!empty && !pv_node_is_dir(f, pv_dentry_node(f, w->at))) {
            w->at = 0;
            return -ENOTDIR;
        }
    }
    pv_dentry_get(w->f, w->at);
    return 0;
}

int pv_walk_begin(struct pv_walk *w, struct pv_files *f, int dirfd, const char *path,
                  unsigned flags)
{
    size_t len = strnlen(path, PV_PATH_BYTES);

    w->f = f;
    w->flags = flags;
    w->start = w->at = 0;
    w->links = 0;
    w->rest = w->last = w->text;
    w->last_len = 0;
    w->slash = false;
    if (len == 0 && !(flags & PV_WALK_EMPTY))
        return -ENOENT;
    if (len >= PV_PATH_BYTES)
        return -ENAMETOOLONG;
    memcpy(w->text, path, len + 1);
    if (*path == '/' && !(flags & (PV_WALK_BENEATH | PV_WALK_IN_ROOT))) {
        stand_at(w, pv_state(f)->root);
    } else {
        if (*path == '/' && flags & PV_WALK_BENEATH)
            return -EXDEV;
        PV_TRY(first_place(w, dirfd, len == 0));
    }
    w->start = w->at;
    pv_dentry_get(f, w->start);
    return 0;
}

void pv_walk_done(struct pv_walk *w)
{
    if (!w->f)
        return;
    pv_dentry_put(w->f, w->at);
    pv_dentry_put(w->f, w->start);
    w->at = w->start = 0;
}

/* Cuts the next component off; false at the end. */
static bool component(struct pv_walk *w)
{
    const char *end;

    while (*w->rest == '/')
        w->rest++;
    if (!*w->rest)
        return false;
    end = strchrnul(w->rest, '/');
    w->last = w->rest;
    w->last_len = (size_t)(end - w->rest);
    w->slash = *end == '/';
    while (*end == '/')
        end++;
    w->rest = end;
    return true;
}

static bool is_dots(const struct pv_walk *w, size_t n)
{
    return w->last_len == n && strncmp(w->last, "..", n) == 0;
}

bool pv_walk_last_is_name(const struct pv_walk *w)
{
    return w->last_len > 0 && !is_dots(w, 1) && !is_dots(w, 2);
}

static int enter_check(const struct pv_walk *w)
{
    pv_ref node = pv_dentry_node(w->f, w->at);

    if (!pv_node_is_dir(w->f, node))
        return -ENOTDIR;
    return pv_may(w->f, node, PV_MAY_EXEC);
}

static bool other_fs(const struct pv_files *f, pv_ref a, pv_ref b)
{
    const struct pv_node *x = pv_node(f, pv_dentry_node(f, a));
    const struct pv_node *y = pv_node(f, pv_dentry_node(f, b));

    return x->fs != y->fs || (x->fs == PV_FS_TMP && x->dev != y->dev);
}

static int go_up(struct pv_walk *w)
{
    pv_ref parent = pv_dentry(w->f, w->at)->parent;

    if (w->at == w->start && w->flags & PV_WALK_BENEATH)
        return -EXDEV;
    if ((w->at == w->start && w->flags & PV_WALK_IN_ROOT) || w->at == pv_state(w->f)->root ||
        !parent)
        return 0;
    if (w->flags & PV_WALK_NO_XDEV && other_fs(w->f, w->at, parent))
        return -EXDEV;
    stand_at(w, parent);
    return 0;
}

int pv_walk_last(struct pv_walk *w, pv_ref *ret)
{
    struct pv_files *f = w->f;
    pv_ref dir = pv_dentry_node(f, w->at);
    pv_ref found;
    int rc = 0;

    if (w->last_len > PV_NAME_BYTES)
        return -ENAMETOOLONG;
    found = pv_dentry_find(f, w->at, w->last, w->last_len);
    if (!found && pv_node(f, dir)->fs == PV_FS_TREE)
        rc = pv_tree_lookup(f, w->at, w->last, w->last_len, &found);
    else if (!found && pv_node(f, dir)->special == PV_SPECIAL_FD_DIR)
        return pv_proc_fd_lookup(f, w->at, w->last, w->last_len, ret);
    if (rc < 0 || !found)
        return rc < 0 ? rc : -ENOENT;
    if (w->flags & PV_WALK_NO_XDEV && other_fs(f, w->at, found))
        return -EXDEV;
    pv_dentry_get(f, found);
    *ret = found;
    return 0;
}

/* Puts the text of a link in front of what is to come. */
static int insert(struct pv_walk *w, const char *target, size_t len)
{
    size_t rest = strlen(w->rest);
    size_t extra = w->slash;
    char *text = w->text;

    if (len + extra + rest + 1 > sizeof w->text)
        return -ENAMETOOLONG;
    memmove(text + len + extra, w->rest, rest + 1);
    memcpy(text, target, len);
    if (extra)
        text[len] = '/';
    w->rest = text;
    w->last = text;
    w->last_len = 0;
    w->slash = false;
    return 0;
}

static int jump(struct pv_walk *w, pv_ref link, pv_ref *ret_jump)
{
    if (w->flags & (PV_WALK_NO_MAGIC | PV_WALK_NO_LINKS))
        return -ELOOP;
    if (w->flags & (PV_WALK_BENEATH | PV_WALK_IN_ROOT))
        return -EXDEV;
    return pv_proc_jump(w->f, link, ret_jump);
}

int pv_walk_link(struct pv_walk *w, pv_ref link, pv_ref *ret_jump)
{
    struct pv_files *f = w->f;
    const struct pv_node *node = pv_node(f, pv_dentry_node(f, link));
    const char *target;

    *ret_jump = 0;
    if (w->flags & PV_WALK_NO_LINKS || ++w->links > LINKS_MAX)
        return -ELOOP;
    if (pv_proc_is_magic(node))
        return jump(w, link, ret_jump);
    if (node->size == 0)
        return -ENOENT;
    target = pv_at(&f->arena, node->data);
    PV_TRY(insert(w, target, (size_t)node->size));
    if (*w->rest != '/')
        return 0;
    if (w->flags & PV_WALK_BENEATH)
        return -EXDEV;
    stand_at(w, w->flags & PV_WALK_IN_ROOT ? w->start : pv_state(f)->root);
    return 0;
}

/* One component that is not the last. */
static int step(struct pv_walk *w)
{
    pv_ref next = 0;
    pv_ref target = 0;
    int rc;

    if (!pv_walk_last_is_name(w))
        return is_dots(w, 2) ? go_up(w) : 0;
    rc = pv_walk_last(w, &next);
    if (rc < 0)
        return rc;
    if (S_ISLNK(pv_node(w->f, pv_dentry_node(w->f, next))->mode)) {
        rc = pv_walk_link(w, next, &target);
        if (target)
            stand_at(w, target);
        pv_dentry_put(w->f, target);
    } else {
        stand_at(w, next);
    }
    pv_dentry_put(w->f, next);
    return rc;
}

int pv_walk_parent(struct pv_walk *w)
{
    while (component(w)) {
        PV_TRY(enter_check(w));
        if (!*w->rest)
            return 0;
        PV_TRY(step(w));
    }
    return 0;
}

/* Where the last component leads; *ret with a reference. */
static int finish(struct pv_walk *w, pv_ref *ret)
{
    for (;;) {
        pv_ref next = 0;
        pv_ref target = 0;
        int rc;

        PV_TRY(pv_walk_parent(w));
        if (!pv_walk_last_is_name(w)) {
            if (is_dots(w, 2))
                PV_TRY(go_up(w));
            pv_dentry_get(w->f, w->at);
            *ret = w->at;
            return 0;
        }
        PV_TRY(pv_walk_last(w, &next));
        if (!S_ISLNK(pv_node(w->f, pv_dentry_node(w->f, next))->mode) ||
            !(w->flags & PV_WALK_FOLLOW || w->slash)) {
            *ret = next;
            return 0;
        }
        rc = pv_walk_link(w, next, &target);
        pv_dentry_put(w->f, next);
        if (rc < 0)
            return rc;
        if (target) {
            *ret = target;
            return 0;
        }
    }
}

int pv_path_find(struct pv_files *f, int dirfd, const char *path, unsigned flags, pv_ref *ret)
{
    PV_AUTOWALK w = {0};
    pv_ref found = 0;

    PV_TRY(pv_walk_begin(&w, f, dirfd, path, flags));
    PV_TRY(finish(&w, &found));
    if ((w.slash || flags & PV_WALK_DIRECTORY) && !pv_node_is_dir(f, pv_dentry_node(f, found))) {
        pv_dentry_put(f, found);
        return -ENOTDIR;
    }
    *ret = found;
    return 0;
}

int64_t pv_link_text(const struct pv_files *f, pv_ref dentry, char *buf, size_t len)
{
    const struct pv_node *node = pv_node(f, pv_dentry_node(f, dentry));
    size_t n = (size_t)node->size < len ? (size_t)node->size : len;

    if (pv_proc_is_magic(node))
        return pv_proc_link_text(f, dentry, buf, len);
    memcpy(buf, pv_at(&f->arena, node->data), n);
    return (int64_t)n;
}
