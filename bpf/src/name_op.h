/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Operations on names (rename, unlink, chmod …) with the objects that the kernel took: a caller's
 * text can be flipped by another thread, so it is never asked. Such an operation always sets the
 * change time of what it touches; the tracepoints of that (Linux 6.13) give the inodes, while their
 * names are still the old ones. At the system call's exit the names are looked at again. */
#pragma once

enum { TOUCHED_MAX = 4, ALIASES_MAX = 3, NAME_BYTES = 256, MOUNTS_MAX = 16 };

struct alias {
    u64 dentry;
    u64 parent;
    u64 parent_inode;
    u64 hash_len;
    u8 name[NAME_BYTES];
};
struct touched {
    u64 inode;
    struct object_key key;
    u64 object; /* 0: had no name yet */
    u32 n_aliases;
    u32 pad;
    struct alias alias[ALIASES_MAX];
};
/* What the system call under way has touched. */
struct name_state {
    u32 n;
    u32 pad;
    struct touched touched[TOUCHED_MAX];
};

struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct name_state);
} name_states SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct alias);
} alias_area SEC(".maps");

static __always_inline struct dentry *first_alias(struct inode *inode)
{
    struct hlist_node *node = BPF_CORE_READ(inode, i_dentry.first);

    return node ? (void *)node - bpf_core_field_offset(struct dentry, d_u.d_alias) : NULL;
}

static __always_inline struct dentry *next_alias(struct dentry *dentry)
{
    struct hlist_node *node = BPF_CORE_READ(dentry, d_u.d_alias.next);

    return node ? (void *)node - bpf_core_field_offset(struct dentry, d_u.d_alias) : NULL;
}

/* A mount of the task's that shows the file system: where it works, its root, or any other. */
SEPARATE u64 mount_of(struct place *place)
{
    struct task_struct *task = bpf_get_current_task_btf();

    if (!place)
        return 0;
    struct dentry *dentry = (struct dentry *)place->dentry;
    struct super_block *sb = BPF_CORE_READ(dentry, d_sb);
    struct vfsmount *mnt = BPF_CORE_READ(task, fs, pwd.mnt);
    if (BPF_CORE_READ(mnt, mnt_sb) == sb)
        return (u64)mnt;
    mnt = BPF_CORE_READ(task, fs, root.mnt);
    if (BPF_CORE_READ(mnt, mnt_sb) == sb)
        return (u64)mnt;
    if (!bpf_core_field_exists(((struct mount *)0)->mnt_next_for_sb))
        return 0;
    struct mnt_namespace *ns = BPF_CORE_READ(task, nsproxy, mnt_ns);
    struct mount *m = (struct mount *)BPF_CORE_READ(sb, s_mounts);
    for (int i = 0; i < MOUNTS_MAX; i++) {
        if (!m)
            break;
        if (BPF_CORE_READ(m, mnt_ns) == ns)
            return (u64)m + bpf_core_field_offset(struct mount, mnt);
        m = BPF_CORE_READ(m, mnt_next_for_sb);
    }
    return 0;
}

static __always_inline void note_aliases(struct touched *t, struct inode *inode)
{
    struct dentry *dentry = first_alias(inode);

    t->n_aliases = 0;
    for (u32 i = 0; i < ALIASES_MAX; i++) {
        if (!dentry)
            break;
        struct alias *a = &t->alias[i];
        struct dentry *parent = BPF_CORE_READ(dentry, d_parent);

        a->dentry = (u64)dentry;
        a->parent = (u64)parent;
        a->parent_inode = (u64)BPF_CORE_READ(parent, d_inode);
        a->hash_len = BPF_CORE_READ(dentry, d_name.hash_len);
        bpf_probe_read_kernel_str(a->name, NAME_BYTES, BPF_CORE_READ(dentry, d_name.name));
        t->n_aliases = i + 1;
        dentry = next_alias(dentry);
    }
}

static __always_inline u64 object_of_alias(struct proc_state *proc, struct touched *t)
{
    struct place place = {.inode = t->inode, .dentry = t->alias[0].dentry, .guessed = 1};

    place.mnt = mount_of(&place);
    struct object_state *state = object_at(proc, &place, &t->key);
    return state ? state->id : 0;
}

/* at: its inode. (A pointer that the kernel vouches for cannot be passed as a number.) */
SEPARATE int touch(struct proc_state *proc, const struct place *at)
{
    struct task_struct *task = bpf_get_current_task_btf();

    if (!proc || !at)
        return 0;
    u64 inode_ref = at->inode;
    struct inode *inode = (struct inode *)inode_ref;
    struct name_state *state =
        bpf_task_storage_get(&name_states, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (!state) {
        count_loss();
        return 0;
    }
    u32 n = state->n;
    for (u32 i = 0; i < TOUCHED_MAX; i++)
        if (i < n && state->touched[i].inode == inode_ref)
            return 0;
    if (n >= TOUCHED_MAX)
        return 0;
    struct touched *t = &state->touched[n];
    t->inode = inode_ref;
    t->object = 0;
    key_of_inode(&t->key, inode);
    note_aliases(t, inode);
    if (t->n_aliases)
        t->object = object_of_alias(proc, t);
    state->n = n + 1;
    return 0;
}

/* Appends a name and the path of its directory. */
SEPARATE u32 put_alias(struct text_area *area, u32 off, struct alias *a, u32 *ret_cut)
{
    struct place place = {};

    if (!area || !a || !ret_cut)
        return 0;
    off &= PV_BPF_TEXT_MAX - 1;
    long n = bpf_probe_read_kernel_str(&area->bytes[off], NAME_BYTES, a->name);
    place.dentry = a->parent;
    struct walk *w = new_walk(mount_of(&place), a->parent, PV_BPF_TEXT_MAX / 2 - 512, 1);
    if (n <= 0 || n > NAME_BYTES || !w)
        return 0;
    u32 more = walk_path(area, off + (u32)n, w);
    *ret_cut = w->cut;
    return (u32)n + more;
}

static __always_inline void alias_now(struct alias *a, struct dentry *dentry)
{
    struct dentry *parent = BPF_CORE_READ(dentry, d_parent);

    a->dentry = (u64)dentry;
    a->parent = (u64)parent;
    a->parent_inode = (u64)BPF_CORE_READ(parent, d_inode);
    a->hash_len = BPF_CORE_READ(dentry, d_name.hash_len);
    bpf_probe_read_kernel_str(a->name, NAME_BYTES, BPF_CORE_READ(dentry, d_name.name));
}

static __always_inline bool still_there(struct touched *t, struct alias *a)
{
    struct dentry *dentry = (struct dentry *)a->dentry;

    return (u64)BPF_CORE_READ(dentry, d_inode) == t->inode &&
           (u64)BPF_CORE_READ(dentry, d_parent) == a->parent &&
           BPF_CORE_READ(dentry, d_name.hash_len) == a->hash_len &&
           BPF_CORE_READ(dentry, d_hash.pprev) != NULL;
}

/* The alias that the operation changed; the first where none has. */
static __always_inline u32 changed_alias(struct touched *t)
{
    for (u32 i = 0; i < ALIASES_MAX; i++)
        if (i < t->n_aliases && !still_there(t, &t->alias[i]))
            return i;
    return 0;
}

/* A name that was not there before: the newest comes first. The inode may be gone since. */
static __always_inline struct dentry *new_name(struct touched *t)
{
    struct inode *inode = (struct inode *)t->inode;
    struct dentry *dentry = first_alias(inode);

    if (!dentry || (u64)BPF_CORE_READ(dentry, d_inode) != t->inode ||
        BPF_CORE_READ(inode, i_ino) != t->key.ino)
        return NULL;
    return dentry;
}

/* Whether it was touched as the directory of another. */
SEPARATE int is_directory_of(struct name_state *state, u64 inode)
{
    if (!state)
        return 0;
    for (u32 i = 0; i < TOUCHED_MAX; i++) {
        struct touched *t = &state->touched[i];

        if (i >= state->n || t->inode == inode)
            continue;
        for (u32 k = 0; k < ALIASES_MAX; k++)
            if (k < t->n_aliases && t->alias[k].parent_inode == inode)
                return 1;
        struct dentry *now = new_name(t);
        if (now && (u64)BPF_CORE_READ(now, d_parent, d_inode) == inode)
            return 1;
    }
    return 0;
}

enum { NAME_CHANGES, NAME_REMOVES, NAME_MOVES, NAME_ADDS };

static __always_inline u32 kind_of_name_op(u32 nr)
{
    switch (nr) {
    case PV_NR_unlink:
    case PV_NR_unlinkat:
    case PV_NR_rmdir:
    case PV_NR_mq_unlink:
        return NAME_REMOVES;
    case PV_NR_rename:
    case PV_NR_renameat:
    case PV_NR_renameat2:
        return NAME_MOVES;
    case PV_NR_link:
    case PV_NR_linkat:
    case PV_NR_mkdir:
    case PV_NR_mkdirat:
    case PV_NR_mknod:
    case PV_NR_mknodat:
    case PV_NR_symlink:
    case PV_NR_symlinkat:
        return NAME_ADDS;
    default:
        return NAME_CHANGES;
    }
}

static __always_inline bool changes_content(u32 nr)
{
    return nr == PV_NR_truncate || nr == PV_NR_setxattr || nr == PV_NR_lsetxattr ||
           nr == PV_NR_fsetxattr || nr == PV_NR_setxattrat || nr == PV_NR_ftruncate;
}

SEPARATE int write_touched(struct proc_state *proc, struct touched *t, u32 nr)
{
    struct red_op *op = new_op(nr, AT_ENTRY, 0, 0);

    if (!proc || !t || !op)
        return 0;
    op->key = t->key;
    struct object_state *object = object_with_key(&op->key);
    if (!object)
        return 0;
    op->object = object->id;
    op->cell = object->cell;
    red_write(proc, op);
    return 0;
}

/* Of what had no name before the operation: the object that has that one now. */
SEPARATE int name_first(struct proc_state *proc, struct touched *t)
{
    struct dentry *now = t ? new_name(t) : NULL;

    if (!proc || !t || !now || t->n_aliases)
        return 0;
    struct place place = {.inode = t->inode, .dentry = (u64)now, .guessed = 1};
    place.mnt = mount_of(&place);
    key_of_inode(&t->key, (struct inode *)t->inode);
    struct object_state *state = object_at(proc, &place, &t->key);
    if (state)
        t->object = state->id;
    return 0;
}

SEPARATE int emit_name_op(struct proc_state *proc, struct touched *t, u32 nr)
{
    struct pv_bpf_cpu *cpu = this_cpu();
    union scratch *area = scratch_of_cpu();
    u32 kind = kind_of_name_op(nr);
    u32 bytes = 0, more = 0, cut = 0, cut2 = 0, replaced = 0;

    if (!cpu || !area || !proc || !t)
        return 0;
    struct dentry *now = new_name(t);
    u32 zero = 0;
    struct alias *current = bpf_map_lookup_elem(&alias_area, &zero);
    if (!current)
        return 0;
    u32 changed = changed_alias(t);
    if (changed >= ALIASES_MAX)
        return 0;
    if (t->n_aliases == 0 && !now)
        return 0;
    struct pv_bpf_name_op *rec = &area->name_op;
    struct text_area *text = (struct text_area *)rec->text;
    if (t->n_aliases == 0) {
        alias_now(current, now);
        bytes = put_alias(text, 0, current, &cut);
    } else {
        bytes = put_alias(text, 0, &t->alias[changed], &cut);
    }
    if (bytes > PV_BPF_TEXT_MAX / 2)
        bytes = PV_BPF_TEXT_MAX / 2;
    struct dentry *moved = (struct dentry *)t->alias[changed].dentry;
    if (kind == NAME_MOVES && (u64)BPF_CORE_READ(moved, d_inode) != t->inode)
        replaced = 1;
    if (kind == NAME_MOVES && !replaced)
        now = moved;
    if ((kind == NAME_MOVES && !replaced && BPF_CORE_READ(moved, d_hash.pprev)) ||
        (kind == NAME_ADDS && now && t->n_aliases && (u64)now != t->alias[0].dentry)) {
        alias_now(current, now);
        more = put_alias(text, bytes, current, &cut2);
    } else if (kind == NAME_MOVES) {
        replaced = 1;
    }
    if (more > PV_BPF_TEXT_MAX / 2)
        more = PV_BPF_TEXT_MAX / 2;
    u32 size = __builtin_offsetof(struct pv_bpf_name_op, text) + bytes + more;
    cpu->seq++;
    fill_head(&rec->head, cpu, PV_BPF_NAME_OP, size, proc->id, nr);
    rec->head.object = t->object;
    rec->path_bytes = bytes;
    rec->new_bytes = more;
    rec->cut = cut | cut2 << 4;
    rec->replaced = replaced;
    output(cpu, proc, rec, size, false);
    return 0;
}

/* 1: the operation has been recorded. 0: the file system told nothing. */
SEPARATE int name_op(struct proc_state *proc, const struct call *call)
{
    struct task_struct *task = bpf_get_current_task_btf();

    if (!proc || !call)
        return 0;
    struct name_state *state = bpf_task_storage_get(&name_states, task, NULL, 0);
    if (!state || !state->n)
        return 0;
    u32 nr = (u32)call->nr;
    u32 n = call->ret < 0 ? 0 : state->n;
    int said = 0;
    for (u32 i = 0; i < TOUCHED_MAX; i++) {
        if (i >= n)
            break;
        struct touched *t = &state->touched[i];
        if (n > 1 && is_directory_of(state, t->inode))
            continue;
        name_first(proc, t);
        emit_name_op(proc, t, nr);
        if (changes_content(nr))
            write_touched(proc, t, nr);
        said = 1;
    }
    state->n = 0;
    return said;
}
