/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Objects, named from kernel structures: a caller's memory can be flipped under a probe. */
#pragma once

enum {
    MODE_TYPE = 0170000,
    MODE_SOCKET = 0140000,
    MODE_REGULAR = 0100000,
    MODE_DIRECTORY = 0040000,
    MODE_CHARACTER = 0020000,
    ANON_INODE_MAGIC = 0x09041934,
    PROC_SUPER_MAGIC = 0x9fa0,
    FAMILY_UNIX = 1,
    FAMILY_INET = 2,
    FAMILY_INET6 = 10,
    PATH_DEPTH = 48,
};

/* Eight bytes of kernel memory as a number, which may be calculated with; a loaded pointer may not.
 * Only where has_cast. (struct qstr begins with them.) */
static __always_inline u64 number_at(u64 address)
{
    return KERNEL(qstr, address)->hash_len;
}

/* A pointer that is a member of what is at that address. */
#define POINTER_IN(type, address, member)                                                          \
    (has_cast ? number_at((u64)(address) + bpf_core_field_offset(struct type, member))             \
              : (u64)BPF_CORE_READ((struct type *)(address), member))

/* Without casts: apart, so that what the helpers read into is on no caller's stack. */
static __noinline struct file *file_by_helpers(struct task_struct *task, u32 fd)
{
    struct fdtable *table = BPF_CORE_READ(task, files, fdt);
    struct file **slots = BPF_CORE_READ(table, fd);
    struct file *file = NULL;

    if (fd >= BPF_CORE_READ(table, max_fds))
        return NULL;
    bpf_probe_read_kernel(&file, sizeof file, slots + fd);
    return file;
}

static __always_inline struct file *file_of_fd(struct task_struct *task, u32 fd)
{
    if (has_cast) {
        struct fdtable *fds = KERNEL(task_struct, task)->files->fdt;

        if (fd >= fds->max_fds)
            return NULL;
        return (struct file *)number_at((u64)fds->fd + sizeof(void *) * (u64)fd);
    }
    return file_by_helpers(task, fd);
}

/* Writes the components of the path, last first, each with its NUL, at text + start; crosses mounts
 * up to the root of the mount namespace. Returns the bytes written. */
SEPARATE u32 walk_path(struct text_area *area, u32 start, struct walk *w)
{
    if (!area || !w)
        return 0;
    struct vfsmount *mnt = (struct vfsmount *)w->mnt;
    struct dentry *dentry = (struct dentry *)w->dentry;
    u32 off = start;

    w->cut = PV_BPF_PATH_CUT;
    for (int i = 0; i < PATH_DEPTH; i++) {
        struct dentry *root = (struct dentry *)POINTER_IN(vfsmount, mnt, mnt_root);
        struct dentry *parent = (struct dentry *)POINTER_IN(dentry, dentry, d_parent);

        if (dentry == root || dentry == parent) {
            struct mount *m = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
            struct mount *above = (struct mount *)POINTER_IN(mount, m, mnt_parent);

            if (dentry != root && w->guessed)
                break; /* not beneath that mount: the path begins at the file system's root */
            if (dentry != root) {
                /* in no directory: a memfd, a socket, or unmounted under its user */
                long n = bpf_probe_read_kernel_str(&area->bytes[off & (PV_BPF_TEXT_MAX - 1)], 256,
                                                   BPF_CORE_READ(dentry, d_name.name));
                w->cut = PV_BPF_PATH_DETACHED;
                return off - start + (n > 0 ? (u32)n : 0);
            }
            if (above == m || !above) {
                w->cut = PV_BPF_PATH_WHOLE;
                break;
            }
            dentry = (struct dentry *)POINTER_IN(mount, m, mnt_mountpoint);
            mnt = (void *)above + bpf_core_field_offset(struct mount, mnt);
            continue;
        }
        if (off - start > w->room || off >= PV_BPF_TEXT_MAX)
            break;
        long n = bpf_probe_read_kernel_str(&area->bytes[off & (PV_BPF_TEXT_MAX - 1)], 256,
                                           (const void *)POINTER_IN(dentry, dentry, d_name.name));
        if (n <= 0)
            break;
        off += n;
        dentry = parent;
    }
    return off - start;
}

/* The one walk that the CPU is at work on. */
static __always_inline struct walk *new_walk(u64 mnt, u64 dentry, u32 room, u32 guessed)
{
    struct work *work = work_of_cpu();

    if (!work)
        return NULL;
    work->walk = (struct walk){.mnt = mnt, .dentry = dentry, .room = room, .guessed = guessed};
    return &work->walk;
}

static __always_inline u32 walk_place(u8 *text, const struct place *place, u32 *ret_cut)
{
    struct walk *w = new_walk(place->mnt, place->dentry, PV_BPF_TEXT_MAX, place->guessed);

    if (!w)
        return 0;
    u32 n = walk_path((struct text_area *)text, 0, w);
    *ret_cut = w->cut;
    /* the walk cannot pass it; the verifier wants it said */
    return n <= PV_BPF_TEXT_MAX + 256 ? n : 0;
}

static __always_inline struct place *place_of_file(struct file *file)
{
    struct work *work = work_of_cpu();

    if (!work)
        return NULL;
    struct place *place = &work->place;
    place->inode = POINTER_IN(file, file, f_inode);
    place->mnt = POINTER_IN(file, file, f_path.mnt);
    place->dentry = POINTER_IN(file, file, f_path.dentry);
    place->guessed = 0;
    return place;
}

static __always_inline u32 walk_file(u8 *text, struct file *file, u32 *ret_cut)
{
    struct place *place = place_of_file(file);

    return place ? walk_place(text, place, ret_cut) : 0;
}

static __always_inline void fill_socket(struct pv_bpf_socket *s, struct socket *socket)
{
    struct sock *sk = BPF_CORE_READ(socket, sk);

    s->type = BPF_CORE_READ(socket, type);
    s->family = BPF_CORE_READ(sk, __sk_common.skc_family);
    if (s->family == FAMILY_INET || s->family == FAMILY_INET6) {
        s->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
        s->remote_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
    }
    if (s->family == FAMILY_INET) {
        *(u32 *)s->local = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
        *(u32 *)s->remote = BPF_CORE_READ(sk, __sk_common.skc_daddr);
    } else if (s->family == FAMILY_INET6) {
        BPF_CORE_READ_INTO((struct in6_addr *)s->local, sk, __sk_common.skc_v6_rcv_saddr);
        BPF_CORE_READ_INTO((struct in6_addr *)s->remote, sk, __sk_common.skc_v6_daddr);
    } else if (s->family == FAMILY_UNIX) {
        struct sock *peer = BPF_CORE_READ((struct unix_sock *)sk, peer);

        if (peer)
            s->peer_ino = BPF_CORE_READ(peer, sk_socket, file, f_inode, i_ino);
    }
}

SEPARATE int emit_socket(struct proc_state *proc, u64 file, u64 object, u32 sysno)
{
    struct pv_bpf_cpu *cpu = this_cpu();

    if (!cpu || !proc)
        return 0;
    struct pv_bpf_socket *rec = RESERVE(pv_bpf_socket, cpu, PV_BPF_SOCKET, proc, sysno);
    if (!rec)
        return 0;
    rec->head.object = object;
    fill_socket(rec, (struct socket *)BPF_CORE_READ((struct file *)file, private_data));
    SUBMIT(rec, cpu, false);
    return 0;
}

static __always_inline void key_of_inode(struct object_key *key, struct inode *inode)
{
    __builtin_memset(key, 0, sizeof *key);
    key->ino = BPF_CORE_READ(inode, i_ino);
    key->dev = BPF_CORE_READ(inode, i_sb, s_dev);
    key->gen = BPF_CORE_READ(inode, i_generation);
}

/* Differs when the object is reached by another name. */
static __always_inline u64 name_of_place(const struct place *place)
{
    struct dentry *dentry = (struct dentry *)place->dentry;

    if (has_cast) {
        return KERNEL(dentry, dentry)->d_name.hash_len ^ POINTER_IN(dentry, dentry, d_parent);
    }
    return BPF_CORE_READ(dentry, d_name.hash_len) ^ (u64)BPF_CORE_READ(dentry, d_parent);
}

static __noinline void look_by_helpers(struct look *l, struct file *file)
{
    struct inode *inode = BPF_CORE_READ(file, f_inode);
    struct place place = {.dentry = (u64)BPF_CORE_READ(file, f_path.dentry)};

    key_of_inode(&l->key, inode);
    /* every eventfd and timerfd shares one inode: the open file is the object */
    l->file_system = BPF_CORE_READ(inode, i_sb, s_magic);
    if (l->file_system == ANON_INODE_MAGIC)
        l->key.instance = (u64)file;
    l->mode = BPF_CORE_READ(inode, i_mode);
    l->rdev = BPF_CORE_READ(inode, i_rdev);
    l->name = name_of_place(&place);
}

/* Each cast costs the registers a call does: one for all. */
static __always_inline void look_at(struct look *l, struct file *file)
{
    if (has_cast) {
        struct file *f = KERNEL(file, file);
        struct inode *i = f->f_inode;
        struct dentry *d = f->f_path.dentry;

        l->key.ino = i->i_ino;
        l->key.dev = i->i_sb->s_dev;
        l->key.gen = i->i_generation;
        l->file_system = i->i_sb->s_magic;
        l->key.instance = l->file_system == ANON_INODE_MAGIC ? (u64)file : 0;
        l->mode = i->i_mode;
        l->rdev = i->i_rdev;
        l->name = d->d_name.hash_len;
        l->name ^= number_at((u64)&d->d_parent);
        return;
    }
    look_by_helpers(l, file);
}

/* In the CPU's work area; NULL never happens, but the verifier wants it said. */
static __always_inline struct look *look_of(struct file *file)
{
    struct work *work = work_of_cpu();

    if (!work)
        return NULL;
    look_at(&work->look, file);
    return &work->look;
}

static __always_inline bool announce(struct proc_state *proc, struct place *place,
                                     struct object_key *key, u64 id)
{
    struct pv_bpf_cpu *cpu = this_cpu();
    union scratch *area = scratch_of_cpu();

    if (!cpu || !area)
        return false;
    struct pv_bpf_object *rec = &area->object;
    struct inode *inode = (struct inode *)place->inode;
    u32 cut = 0;
    u32 n = walk_place(rec->text, place, &cut);
    u32 bytes = __builtin_offsetof(struct pv_bpf_object, text) + n;
    cpu->seq++;
    fill_head(&rec->head, cpu, PV_BPF_OBJECT, bytes, proc->id, 0);
    rec->head.object = id;
    rec->ino = key->ino;
    rec->dev = key->dev;
    rec->gen = key->gen;
    rec->mode = has_cast ? KERNEL(inode, inode)->i_mode : BPF_CORE_READ(inode, i_mode);
    rec->fs_magic =
        (u32)(has_cast ? KERNEL(inode, inode)->i_sb->s_magic : BPF_CORE_READ(inode, i_sb, s_magic));
    rec->path_bytes = n;
    rec->path_cut = cut;
    return output(cpu, proc, rec, bytes, false);
}

/* What was learned of it is to be asked for again. */
static __always_inline void state_changed(const struct object_state *state)
{
    struct object_cell *cell = cell_at(state->cell);

    RED_ORDER();
    if (cell)
        cell->tag = new_stamp();
}

/* Somebody can write it unseen from now on. */
static __always_inline void may_be_written(struct object_state *state)
{
    state->mapped_writable = 1;
    state_changed(state);
}

/* An object that is new, or has another name than it was announced under. An announcement that is
 * lost leaves it without that name, so that the next use tries again. */
SEPARATE int introduce(struct proc_state *proc, struct place *place, struct object_key *key)
{
    struct work *work = work_of_cpu();

    if (!proc || !place || !key || !work)
        return 0;
    struct object_state *fresh = &work->fresh;
    struct inode *inode = (struct inode *)place->inode;
    struct object_state *state = object_with_key(key);
    u64 id = state ? state->id : new_id();
    u64 name = announce(proc, place, key, id) ? name_of_place(place) : 0;

    fresh->id = id;
    fresh->name = name;
    fresh->cell = cell_of_key(key);
    /* mapped before anybody traced it, or forgotten by the table meanwhile */
    fresh->mapped_writable =
        (has_cast ? KERNEL(inode, inode)->i_mapping->i_mmap_writable.counter
                  : BPF_CORE_READ(inode, i_mapping, i_mmap_writable.counter)) > 0;
    if (!state)
        remember_object(key, fresh);
    else if (name)
        state->name = name;
    state_changed(fresh);
    return 0;
}

/* The state of the object at that place. NULL only when no memory for it could be had, which has
 * then been counted. */
static __noinline struct object_state *object_at(struct proc_state *proc, struct place *place,
                                                 struct object_key *key)
{
    struct object_state *state = object_with_key(key);

    if (state && state->name == name_of_place(place))
        return state;
    introduce(proc, place, key);
    state = object_with_key(key);
    if (!state)
        count_loss();
    return state;
}

/* The object behind an open file that looks so; NULL as above. ret_tag: its cell's, from before it
 * was found. */
static __always_inline struct object_state *
object_that_looks(struct proc_state *proc, struct file *file, struct look *look, u64 *ret_tag)
{
    struct object_cell *cell = cell_at(cell_of_key(&look->key));

    if (!proc || !cell)
        return NULL;
    *ret_tag = cell->tag;
    RED_ORDER();
    struct object_state *state = object_with_key(&look->key);
    if (state && state->name == look->name)
        return state;
    struct place *place = place_of_file(file);
    if (place)
        introduce(proc, place, &look->key);
    *ret_tag = cell->tag;
    RED_ORDER();
    state = object_with_key(&look->key);
    if (!state)
        count_loss();
    else if (state->name == look->name && (look->mode & MODE_TYPE) == MODE_SOCKET)
        emit_socket(proc, (u64)file, state->id, 0);
    return state;
}

/* The object behind an open file. */
static __noinline struct object_state *object_of(struct proc_state *proc, struct file *file)
{
    struct look *look = look_of(file);
    u64 tag = 0;

    return look ? object_that_looks(proc, file, look, &tag) : NULL;
}
