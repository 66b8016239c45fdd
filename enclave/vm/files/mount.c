#include "files/mount.h"

#include "files/tree.h"

#include <string.h>

static pv_ref place(struct pv_files *f, pv_ref parent, const char *name, size_t len, pv_ref node)
{
    pv_ref dentry;

    if (!node)
        return 0;
    dentry = pv_dentry_new(f, parent, name, len, node);
    if (!dentry) {
        pv_node_discard(f, node);
        return 0;
    }
    pv_dentry_edit(f, dentry)->pinned = true;
    pv_node_edit(f, node)->uid = pv_node_edit(f, node)->gid = 0;
    pv_dentry_put(f, dentry);
    return dentry;
}

/* Takes away the tree's own entry of that name. */
static void make_way(struct pv_files *f, pv_ref parent, const char *name, size_t len)
{
    pv_ref old = pv_dentry_find(f, parent, name, len);

    if (old && pv_dentry(f, old)->refs == 0)
        pv_dentry_unlink(f, old);
}

pv_ref pv_mount_dir(struct pv_files *f, pv_ref parent, const char *name, enum pv_fs fs,
                    uint32_t mode)
{
    size_t len = strlen(name);

    make_way(f, parent, name, len);
    return place(f, parent, name, len, pv_node_new(f, fs, S_IFDIR | mode));
}

int pv_mount_link(struct pv_files *f, pv_ref parent, const char *name, enum pv_fs fs,
                  const char *target)
{
    size_t len = strlen(target);
    pv_ref dentry = place(f, parent, name, strlen(name), pv_node_new(f, fs, S_IFLNK | 0777));
    pv_ref text = dentry ? pv_arena_new(&f->arena, len + 1) : 0;
    struct pv_node *node;

    if (!text)
        return -ENOMEM;
    memcpy(pv_edit(&f->arena, text, 0, len), target, len);
    node = pv_node_edit(f, pv_dentry_node(f, dentry));
    node->data = text;
    node->size = (int64_t)len;
    return 0;
}

/* The directory of that name below parent, from the tree or made up. */
static pv_ref descend(struct pv_files *f, pv_ref parent, const char *name, size_t len)
{
    pv_ref found = pv_dentry_find(f, parent, name, len);

    if (!found && pv_node(f, pv_dentry_node(f, parent))->fs == PV_FS_TREE &&
        pv_tree_lookup(f, parent, name, len, &found) < 0)
        found = 0;
    if (found && pv_node_is_dir(f, pv_dentry_node(f, found)))
        return found;
    if (found || pv_node(f, pv_dentry_node(f, parent))->fs != PV_FS_TREE)
        return 0;
    found = pv_tree_make_dir(f, parent, name, len);
    pv_dentry_put(f, found);
    return found;
}

int pv_mount_writable(struct pv_files *f, const char *path, struct pv_err *err)
{
    pv_ref at = pv_state(f)->root;
    const char *name = path + 1;
    struct pv_node *node;

    if (path[0] != '/' || !path[1] || strlen(path) >= 1024)
        return pv_refuse(err, EINVAL, "writable mount '%s' is no absolute path", path);
    for (const char *slash; (slash = strchr(name, '/')); name = slash + 1) {
        at = slash == name || name[0] == '.' ? 0 : descend(f, at, name, (size_t)(slash - name));
        if (!at)
            return pv_refuse(err, ENOTDIR, "writable mount '%s' does not lie in a directory", path);
    }
    if (!*name || strlen(name) > PV_NAME_BYTES || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return pv_refuse(err, EINVAL, "writable mount '%s' has no name", path);
    at = pv_mount_dir(f, at, name, PV_FS_TMP, S_ISVTX | 0777);
    if (!at)
        return pv_fail(err, ENOMEM, "make writable mount '%s'", path);
    node = pv_node_edit(f, pv_dentry_node(f, at));
    node->dev = pv_state_edit(f)->next_tmp_dev++;
    return 0;
}
