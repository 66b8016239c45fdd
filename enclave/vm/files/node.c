#include "files/node.h"

#include "files/data.h"
#include "files/lock.h"

#include <assert.h>
#include <string.h>
#include <sys/sysmacros.h>

pv_ref pv_node_new(struct pv_files *f, enum pv_fs fs, uint32_t mode)
{
    const struct pv_state *state = pv_state(f);
    bool memory = fs == PV_FS_TMP || fs == PV_FS_MEMFD;
    struct pv_node *node;
    pv_ref ref;

    if (memory && state->tmp_nodes >= state->tmp_nodes_max)
        return 0;
    ref = pv_arena_new(&f->arena, sizeof(struct pv_node));
    if (!ref)
        return 0;
    node = pv_node_edit(f, ref);
    node->fs = (uint8_t)fs;
    node->mode = mode;
    node->uid = state->uid;
    node->gid = state->gid;
    node->nlink = S_ISDIR(mode) ? 2 : 1;
    node->size = S_ISDIR(mode) && fs == PV_FS_TMP ? 2 * PV_NAME_COST : 0;
    node->ino = pv_state_edit(f)->next_ino++;
    node->next_cookie = 3;
    node->dev = makedev(0, 16 + (unsigned)fs);
    node->atime = node->mtime = node->ctime = node->btime = pv_domain_now(f, CLOCK_REALTIME);
    pv_state_edit(f)->tmp_nodes += memory;
    return ref;
}

void pv_node_discard(struct pv_files *f, pv_ref ref)
{
    const struct pv_node *node = pv_node(f, ref);

    assert(node->refs == 0 && !node->children);
    if (S_ISLNK(node->mode) && node->data)
        pv_arena_drop(&f->arena, node->data, (size_t)node->size + 1);
    else if (pv_node_in_memory(node))
        pv_data_truncate(f, ref, 0);
    pv_locks_forget(f, ref);
    pv_state_edit(f)->tmp_nodes -= pv_node_in_memory(node);
    pv_state_edit(f)->tree_nodes -= node->fs == PV_FS_TREE && node->special == PV_SPECIAL_NONE;
    pv_arena_drop(&f->arena, ref, sizeof(struct pv_node));
}

/* FNV-1a over the name, begun with the directory. */
static uint32_t bucket_of(pv_ref parent, const char *name, size_t len)
{
    uint32_t h = 2166136261u ^ parent;

    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)name[i]) * 16777619u;
    return (h ^ h >> 15) % PV_NAME_BUCKETS;
}

static const pv_ref *bucket(const struct pv_files *f, uint32_t n)
{
    return (const pv_ref *)pv_at(&f->arena, pv_state(f)->buckets) + n;
}

static void bucket_set(struct pv_files *f, uint32_t n, pv_ref ref)
{
    *(pv_ref *)pv_edit(&f->arena, pv_state(f)->buckets, n * sizeof ref, sizeof ref) = ref;
}

static void link_hash(struct pv_files *f, pv_ref ref)
{
    struct pv_dentry *d = pv_dentry_edit(f, ref);
    uint32_t n = bucket_of(d->parent, pv_dentry_name(f, d), d->name_len);

    d->hash_next = *bucket(f, n);
    bucket_set(f, n, ref);
}

static void unlink_hash(struct pv_files *f, pv_ref ref)
{
    const struct pv_dentry *d = pv_dentry(f, ref);
    uint32_t n = bucket_of(d->parent, pv_dentry_name(f, d), d->name_len);
    pv_ref at = *bucket(f, n);

    if (at == ref) {
        bucket_set(f, n, d->hash_next);
        return;
    }
    while (pv_dentry(f, at)->hash_next != ref)
        at = pv_dentry(f, at)->hash_next;
    pv_dentry_edit(f, at)->hash_next = d->hash_next;
}

static void link_sibling(struct pv_files *f, pv_ref ref)
{
    struct pv_dentry *d = pv_dentry_edit(f, ref);
    struct pv_node *dir = pv_node_edit(f, pv_dentry_node(f, d->parent));

    d->cookie = dir->next_cookie++;
    d->next = dir->children;
    d->prev = 0;
    if (d->next)
        pv_dentry_edit(f, d->next)->prev = ref;
    dir->children = ref;
}

static void unlink_sibling(struct pv_files *f, pv_ref ref)
{
    const struct pv_dentry *d = pv_dentry(f, ref);

    if (d->next)
        pv_dentry_edit(f, d->next)->prev = d->prev;
    if (d->prev)
        pv_dentry_edit(f, d->prev)->next = d->next;
    else
        pv_node_edit(f, pv_dentry_node(f, d->parent))->children = d->next;
}

/* Room for a name that is too long for the dentry itself; true when none is needed. */
static bool long_name(struct pv_files *f, const char *name, size_t len, pv_ref *ret)
{
    *ret = 0;
    if (len <= PV_NAME_SHORT)
        return true;
    *ret = pv_arena_new(&f->arena, len);
    if (!*ret)
        return false;
    memcpy(pv_edit(&f->arena, *ret, 0, len), name, len);
    return true;
}

static void set_name(struct pv_files *f, pv_ref ref, const char *name, size_t len, pv_ref long_ref)
{
    struct pv_dentry *d = pv_dentry_edit(f, ref);

    d->name_len = (uint8_t)len;
    d->long_name = long_ref;
    if (!long_ref)
        memcpy(d->short_name, name, len);
}

static void drop_name(struct pv_files *f, pv_ref ref)
{
    const struct pv_dentry *d = pv_dentry(f, ref);

    if (d->long_name)
        pv_arena_drop(&f->arena, d->long_name, d->name_len);
}

pv_ref pv_dentry_new_hidden(struct pv_files *f, pv_ref parent, const char *name, size_t len,
                            pv_ref node)
{
    struct pv_dentry *d;
    pv_ref long_ref;
    pv_ref ref;

    assert(len <= PV_NAME_BYTES);
    if (!long_name(f, name, len, &long_ref))
        return 0;
    ref = pv_arena_new(&f->arena, sizeof *d);
    if (!ref) {
        if (long_ref)
            pv_arena_drop(&f->arena, long_ref, len);
        return 0;
    }
    set_name(f, ref, name, len, long_ref);
    d = pv_dentry_edit(f, ref);
    d->refs = 1;
    d->parent = parent;
    d->node = node;
    pv_node_edit(f, node)->refs++;
    if (parent)
        pv_dentry_get(f, parent);
    return ref;
}

pv_ref pv_dentry_new(struct pv_files *f, pv_ref parent, const char *name, size_t len, pv_ref node)
{
    pv_ref ref = pv_dentry_new_hidden(f, parent, name, len, node);

    if (!ref)
        return 0;
    pv_dentry_edit(f, ref)->linked = parent != 0;
    if (parent) {
        link_hash(f, ref);
        link_sibling(f, ref);
    }
    return ref;
}

pv_ref pv_dentry_find(const struct pv_files *f, pv_ref parent, const char *name, size_t len)
{
    pv_ref ref = *bucket(f, bucket_of(parent, name, len));

    while (ref) {
        const struct pv_dentry *d = pv_dentry(f, ref);

        if (d->parent == parent && d->name_len == len &&
            memcmp(pv_dentry_name(f, d), name, len) == 0)
            return ref;
        ref = d->hash_next;
    }
    return 0;
}

void pv_dentry_get(struct pv_files *f, pv_ref ref)
{
    pv_dentry_edit(f, ref)->refs++;
}

/* Frees a dentry that nothing names and nothing uses; returns its parent, whose reference it had.
 */
static pv_ref release(struct pv_files *f, pv_ref ref)
{
    const struct pv_dentry *d = pv_dentry(f, ref);
    pv_ref parent = d->parent;
    pv_ref node = d->node;

    drop_name(f, ref);
    pv_arena_drop(&f->arena, ref, sizeof *d);
    if (--pv_node_edit(f, node)->refs == 0)
        pv_node_discard(f, node);
    return parent;
}

void pv_dentry_put(struct pv_files *f, pv_ref ref)
{
    while (ref) {
        struct pv_dentry *d = pv_dentry_edit(f, ref);

        assert(d->refs > 0);
        if (--d->refs > 0 || d->linked)
            return;
        ref = release(f, ref);
    }
}

void pv_dentry_unlink(struct pv_files *f, pv_ref ref)
{
    assert(pv_dentry(f, ref)->linked);
    unlink_hash(f, ref);
    unlink_sibling(f, ref);
    pv_dentry_get(f, ref);
    pv_dentry_edit(f, ref)->linked = false;
    pv_dentry_put(f, ref);
}

static void detach(struct pv_files *f, pv_ref ref)
{
    unlink_hash(f, ref);
    unlink_sibling(f, ref);
}

static void attach(struct pv_files *f, pv_ref ref)
{
    link_hash(f, ref);
    link_sibling(f, ref);
}

int pv_dentry_move(struct pv_files *f, pv_ref ref, pv_ref parent, const char *name, size_t len)
{
    pv_ref old_parent = pv_dentry(f, ref)->parent;
    pv_ref long_ref;

    assert(pv_dentry(f, ref)->linked);
    if (!long_name(f, name, len, &long_ref))
        return -ENOMEM;
    detach(f, ref);
    drop_name(f, ref);
    set_name(f, ref, name, len, long_ref);
    pv_dentry_get(f, parent);
    pv_dentry_edit(f, ref)->parent = parent;
    attach(f, ref);
    pv_dentry_put(f, old_parent);
    return 0;
}

void pv_dentry_exchange(struct pv_files *f, pv_ref a, pv_ref b)
{
    struct pv_dentry *x = pv_dentry_edit(f, a);
    struct pv_dentry *y = pv_dentry_edit(f, b);
    struct pv_dentry old = *x;

    detach(f, a);
    detach(f, b);
    x->parent = y->parent;
    x->name_len = y->name_len;
    x->long_name = y->long_name;
    memcpy(x->short_name, y->short_name, sizeof x->short_name);
    y->parent = old.parent;
    y->name_len = old.name_len;
    y->long_name = old.long_name;
    memcpy(y->short_name, old.short_name, sizeof y->short_name);
    attach(f, a);
    attach(f, b);
}

void pv_dentry_shrink(struct pv_files *f)
{
    for (uint32_t n = 0; n < PV_NAME_BUCKETS; n++)
        for (pv_ref ref = *bucket(f, n), next; ref; ref = next) {
            const struct pv_dentry *d = pv_dentry(f, ref);

            next = d->hash_next;
            if (d->refs == 0 && !d->pinned && pv_node(f, d->node)->fs == PV_FS_TREE)
                pv_dentry_unlink(f, ref);
        }
}

static int64_t prepend(char *buf, size_t *start, const char *text, size_t len)
{
    if (len > *start)
        return -ENAMETOOLONG;
    *start -= len;
    memcpy(buf + *start, text, len);
    return 0;
}

int64_t pv_dentry_path(const struct pv_files *f, pv_ref ref, char *buf, size_t len)
{
    static const char deleted[] = " (deleted)";
    const struct pv_dentry *d = pv_dentry(f, ref);
    size_t start = len;
    bool root = ref == pv_state(f)->root;

    if (prepend(buf, &start, "", 1) < 0)
        return -ENAMETOOLONG;
    if (!d->linked && !root && (d->parent || pv_node(f, d->node)->fs == PV_FS_MEMFD) &&
        pv_node(f, d->node)->fs != PV_FS_PROC &&
        prepend(buf, &start, deleted, sizeof deleted - 1) < 0)
        return -ENAMETOOLONG;
    if (root && prepend(buf, &start, "/", 1) < 0)
        return -ENAMETOOLONG;
    for (; ref != pv_state(f)->root; ref = d->parent) {
        d = pv_dentry(f, ref);
        if (prepend(buf, &start, pv_dentry_name(f, d), d->name_len) < 0 ||
            ((d->parent || pv_node(f, d->node)->fs == PV_FS_MEMFD) &&
             prepend(buf, &start, "/", 1) < 0))
            return -ENAMETOOLONG;
        if (!d->parent)
            break;
    }
    memmove(buf, buf + start, len - start);
    return (int64_t)(len - start - 1);
}

bool pv_dentry_reachable(const struct pv_files *f, pv_ref ref)
{
    while (ref != pv_state(f)->root) {
        if (!ref || !pv_dentry(f, ref)->linked)
            return false;
        ref = pv_dentry(f, ref)->parent;
    }
    return true;
}

bool pv_dentry_below(const struct pv_files *f, pv_ref ref, pv_ref ancestor)
{
    for (; ref; ref = pv_dentry(f, ref)->parent)
        if (ref == ancestor)
            return true;
    return false;
}
