#include "files/permission.h"

int pv_may(const struct pv_files *f, pv_ref ref, unsigned wanted)
{
    const struct pv_node *node = pv_node(f, ref);
    const struct pv_state *state = pv_state(f);
    unsigned rights = node->mode;

    if (state->uid == 0)
        return !(wanted & PV_MAY_EXEC) || S_ISDIR(node->mode) || node->mode & 0111 ? 0 : -EACCES;
    if (state->uid == node->uid)
        rights >>= 6;
    else if (state->gid == node->gid)
        rights >>= 3;
    return (wanted & ~rights & 7) == 0 ? 0 : -EACCES;
}

int pv_may_own(const struct pv_files *f, pv_ref node)
{
    uint32_t uid = pv_state(f)->uid;

    return uid == 0 || uid == pv_node(f, node)->uid ? 0 : -EPERM;
}

int pv_may_change(const struct pv_files *f, pv_ref ref)
{
    enum pv_fs fs = pv_node(f, ref)->fs;

    return fs == PV_FS_TREE || fs == PV_FS_DEV || fs == PV_FS_PROC ? -EROFS : 0;
}

int pv_may_remove(const struct pv_files *f, pv_ref ref, bool directory)
{
    const struct pv_dentry *d = pv_dentry(f, ref);
    pv_ref dir = pv_dentry_node(f, d->parent);
    uint32_t uid = pv_state(f)->uid;

    if (pv_may(f, dir, PV_MAY_WRITE | PV_MAY_EXEC) < 0)
        return -EACCES;
    if (pv_node(f, dir)->mode & S_ISVTX && uid != 0 && uid != pv_node(f, dir)->uid &&
        uid != pv_node(f, d->node)->uid)
        return -EPERM;
    if (directory != pv_node_is_dir(f, d->node))
        return directory ? -ENOTDIR : -EISDIR;
    return d->pinned ? -EBUSY : 0;
}
