#include "files/event.h"
#include "files/make.h"
#include "files/path.h"
#include "files/permission.h"

#include <linux/fs.h>

struct rename {
    struct pv_walk *old;
    struct pv_walk *new;
    unsigned flags;
    pv_ref source; /* referenced */
    pv_ref target; /* referenced; 0 when there is none */
};

static bool is_dir(const struct pv_files *f, pv_ref dentry)
{
    return pv_node_is_dir(f, pv_dentry_node(f, dentry));
}

/* Nothing moves between file systems or out of what cannot change. */
static int check_places(const struct pv_files *f, const struct rename *r)
{
    pv_ref from = pv_dentry_node(f, r->old->at);
    pv_ref to = pv_dentry_node(f, r->new->at);

    if (pv_node(f, from)->fs != pv_node(f, to)->fs ||
        (pv_node(f, from)->fs == PV_FS_TMP && pv_node(f, from)->dev != pv_node(f, to)->dev))
        return -EXDEV;
    if (!pv_walk_last_is_name(r->old))
        return -EBUSY;
    if (!pv_walk_last_is_name(r->new))
        return r->flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
    return pv_may_change(f, from);
}

static int look_up(struct rename *r)
{
    int rc = pv_walk_last(r->old, &r->source);
    int rc2;

    if (rc < 0 && rc != -ENOENT)
        return rc;
    rc2 = pv_walk_last(r->new, &r->target);
    if (rc2 < 0 && rc2 != -ENOENT)
        return rc2;
    if (rc < 0)
        return rc;
    if (r->flags & RENAME_NOREPLACE && r->target)
        return -EEXIST;
    return r->flags & RENAME_EXCHANGE && !r->target ? -ENOENT : 0;
}

static int check_shape(const struct pv_files *f, const struct rename *r)
{
    bool exchange = r->flags & RENAME_EXCHANGE;

    if (exchange && !is_dir(f, r->target) && r->new->slash)
        return -ENOTDIR;
    if (!is_dir(f, r->source) && (r->old->slash || (!exchange && r->new->slash)))
        return -ENOTDIR;
    if (pv_dentry_below(f, r->new->at, r->source))
        return -EINVAL;
    if (r->target && pv_dentry_below(f, r->old->at, r->target))
        return exchange ? -EINVAL : -ENOTEMPTY;
    return 0;
}

static int check_rights(const struct pv_files *f, const struct rename *r)
{
    bool exchange = r->flags & RENAME_EXCHANGE;

    PV_TRY(pv_may_remove(f, r->source, is_dir(f, r->source)));
    if (!r->target)
        PV_TRY(pv_may_make(f, pv_dentry_node(f, r->new->at)));
    else
        PV_TRY(pv_may_remove(f, r->target, is_dir(f, exchange ? r->target : r->source)));
    if (r->old->at == r->new->at)
        return 0;
    if (is_dir(f, r->source))
        PV_TRY(pv_may(f, pv_dentry_node(f, r->source), PV_MAY_WRITE));
    if (exchange && is_dir(f, r->target))
        PV_TRY(pv_may(f, pv_dentry_node(f, r->target), PV_MAY_WRITE));
    return 0;
}

static void stamp(struct pv_files *f, pv_ref dentry)
{
    pv_node_edit(f, pv_dentry_node(f, dentry))->ctime = pv_domain_now(f, CLOCK_REALTIME);
}

static void replace(struct pv_files *f, pv_ref target)
{
    pv_ref dir = pv_dentry_node(f, pv_dentry(f, target)->parent);
    struct pv_node *node = pv_node_edit(f, pv_dentry_node(f, target));

    stamp(f, target);
    if (S_ISDIR(node->mode)) {
        node->nlink = 0;
        pv_node_edit(f, dir)->nlink--;
    } else {
        node->nlink--;
    }
    pv_name_removed(f, dir);
    pv_dentry_unlink(f, target);
}

static int move(struct pv_files *f, struct rename *r)
{
    pv_ref from = pv_dentry_node(f, r->old->at);
    pv_ref to = pv_dentry_node(f, r->new->at);

    if (r->target && is_dir(f, r->target) && pv_node(f, pv_dentry_node(f, r->target))->children)
        return -ENOTEMPTY;
    if (pv_dentry_move(f, r->source, r->new->at, r->new->last, r->new->last_len) < 0)
        return -ENOSPC; /* nothing is lost */
    if (r->target)
        replace(f, r->target);
    if (is_dir(f, r->source)) {
        pv_node_edit(f, from)->nlink--;
        pv_node_edit(f, to)->nlink++;
    }
    pv_name_removed(f, from);
    pv_name_added(f, to);
    stamp(f, r->source);
    return 0;
}

static void exchange(struct pv_files *f, const struct rename *r)
{
    pv_ref from = pv_dentry_node(f, r->old->at);
    pv_ref to = pv_dentry_node(f, r->new->at);
    int delta = (int)is_dir(f, r->target) - (int)is_dir(f, r->source);

    pv_dentry_exchange(f, r->source, r->target);
    pv_node_edit(f, from)->nlink += (uint32_t)delta;
    pv_node_edit(f, to)->nlink -= (uint32_t)delta;
    pv_touch_dir(f, from);
    pv_touch_dir(f, to);
    stamp(f, r->source);
    stamp(f, r->target);
}

static int carry_out(struct pv_files *f, struct rename *r)
{
    PV_TRY(check_places(f, r));
    PV_TRY(look_up(r));
    PV_TRY(check_shape(f, r));
    if (r->target && pv_dentry_node(f, r->source) == pv_dentry_node(f, r->target))
        return 0;
    PV_TRY(check_rights(f, r));
    if (!(r->flags & RENAME_EXCHANGE))
        return move(f, r);
    exchange(f, r);
    return 0;
}

static int64_t do_rename(struct pv_files *f, int olddir, const char *old, int newdir,
                         const char *new_path, unsigned flags)
{
    PV_AUTOWALK from = {0};
    PV_AUTOWALK to = {0};
    struct rename r = {.old = &from, .new = &to, .flags = flags};
    int rc;

    if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
        flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL;
    PV_TRY(pv_walk_begin(&from, f, olddir, old, 0));
    PV_TRY(pv_walk_parent(&from));
    PV_TRY(pv_walk_begin(&to, f, newdir, new_path, 0));
    PV_TRY(pv_walk_parent(&to));
    rc = carry_out(f, &r);
    pv_dentry_put(f, r.source);
    pv_dentry_put(f, r.target);
    return rc;
}

int64_t pv_files_renameat2(struct pv_files *f, int olddir, const char *old, int newdir,
                           const char *new_path, unsigned flags)
{
    const struct pv_named what = {.kind = PV_FILES_RENAME,
                                  .call = "renameat2",
                                  .dirfd = olddir,
                                  .path = old,
                                  .dirfd2 = newdir,
                                  .path2 = new_path};

    return pv_event_named(f, &what, do_rename(f, olddir, old, newdir, new_path, flags));
}
