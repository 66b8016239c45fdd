#include "files/make.h"

#include "files/permission.h"

void pv_touch_dir(struct pv_files *f, pv_ref dir)
{
    struct pv_node *node = pv_node_edit(f, dir);

    node->mtime = node->ctime = pv_domain_now(f, CLOCK_REALTIME);
    f->changed++;
}

void pv_name_added(struct pv_files *f, pv_ref dir)
{
    pv_node_edit(f, dir)->size += PV_NAME_COST;
    pv_touch_dir(f, dir);
}

void pv_name_removed(struct pv_files *f, pv_ref dir)
{
    pv_node_edit(f, dir)->size -= PV_NAME_COST;
    pv_touch_dir(f, dir);
}

int pv_may_make(const struct pv_files *f, pv_ref dir)
{
    PV_TRY(pv_may_change(f, dir));
    if (pv_node(f, dir)->nlink == 0)
        return -ENOENT;
    return pv_may(f, dir, PV_MAY_WRITE | PV_MAY_EXEC);
}

/* The set-group-id bit of a directory is handed down. */
static void inherit(struct pv_files *f, pv_ref dir, pv_ref node)
{
    const struct pv_node *parent = pv_node(f, dir);
    struct pv_node *child = pv_node_edit(f, node);

    child->dev = parent->dev;
    if (!(parent->mode & S_ISGID))
        return;
    child->gid = parent->gid;
    if (S_ISDIR(child->mode))
        child->mode |= S_ISGID;
    else if (pv_state(f)->uid != 0 && pv_state(f)->gid != parent->gid &&
             (child->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
        child->mode &= ~(uint32_t)S_ISGID;
}

int pv_make(struct pv_walk *w, uint32_t mode, pv_ref *ret)
{
    struct pv_files *f = w->f;
    pv_ref dir = pv_dentry_node(f, w->at);
    pv_ref node;

    PV_TRY(pv_may_make(f, dir));
    node = pv_node_new(f, PV_FS_TMP, mode);
    if (!node)
        return -ENOSPC;
    inherit(f, dir, node);
    *ret = pv_dentry_new(f, w->at, w->last, w->last_len, node);
    if (!*ret) {
        pv_node_discard(f, node);
        return -ENOSPC;
    }
    pv_node_edit(f, dir)->nlink += S_ISDIR(mode);
    pv_name_added(f, dir);
    return 0;
}
