/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Operations on names. A name given by the caller is read from its memory after the call, so a
 * racing thread may have changed it: it is a claim, and recorded as such next to the directory it
 * is relative to, which comes from the kernel. Operations on descriptors carry the kernel's path.
 */
#pragma once

enum { FD_CWD = -100, NO_FD = -1 };

struct op_names {
    u64 name;
    u64 name2;
    s32 dir;
    s32 dir2;
    s32 fd; /* the object is this descriptor, there is no name */
};

static __always_inline bool descriptor_names(struct op_names *n, u32 nr, const u64 *a)
{
    switch (nr) {
    case PV_NR_ftruncate:
    case PV_NR_fallocate:
    case PV_NR_fchmod:
    case PV_NR_fchown:
    case PV_NR_fsetxattr:
    case PV_NR_fgetxattr:
    case PV_NR_fremovexattr:
        n->fd = (s32)a[0];
        return true;
    default:
        return false;
    }
}

static __always_inline void names_of(struct op_names *n, u32 nr, const u64 *a)
{
    n->name = a[0];
    n->name2 = 0;
    n->dir = n->dir2 = FD_CWD;
    n->fd = NO_FD;
    if (descriptor_names(n, nr, a))
        return;
    switch (nr) {
    case PV_NR_rename:
    case PV_NR_link:
        n->name2 = a[1];
        break;
    case PV_NR_symlink: /* the link is what is made; its target is text */
        n->name = a[1];
        n->name2 = a[0];
        n->dir2 = NO_FD;
        break;
    case PV_NR_symlinkat:
        n->dir = (s32)a[1];
        n->name = a[2];
        n->name2 = a[0];
        n->dir2 = NO_FD;
        break;
    case PV_NR_renameat:
    case PV_NR_renameat2:
    case PV_NR_linkat:
        n->dir = (s32)a[0];
        n->name = a[1];
        n->dir2 = (s32)a[2];
        n->name2 = a[3];
        break;
    case PV_NR_openat:
    case PV_NR_openat2:
    case PV_NR_mkdirat:
    case PV_NR_mknodat:
    case PV_NR_unlinkat:
    case PV_NR_fchownat:
    case PV_NR_fchmodat:
    case PV_NR_fchmodat2:
        n->dir = (s32)a[0];
        n->name = a[1];
        break;
    default:
        break;
    }
}

/* One name: as the caller gave it, and the directory it starts from. */
struct piece {
    u64 user;
    s32 dir;
    u32 name_bytes;
    u32 base_bytes;
    u32 cut;
};

/* The path of a directory descriptor, or of the working directory. */
static __noinline u32 walk_base(struct text_area *area, u32 start, struct piece *p)
{
    struct task_struct *task = bpf_get_current_task_btf();
    struct walk *w = new_walk(0, 0, PV_BPF_NAME_MAX - 256, 0);

    if (!w)
        return 0;
    if (p->dir == FD_CWD) {
        w->mnt = (u64)BPF_CORE_READ(task, fs, pwd.mnt);
        w->dentry = (u64)BPF_CORE_READ(task, fs, pwd.dentry);
    } else {
        struct file *file = file_of_fd(task, (u32)p->dir);

        if (!file)
            return 0;
        w->mnt = (u64)BPF_CORE_READ(file, f_path.mnt);
        w->dentry = (u64)BPF_CORE_READ(file, f_path.dentry);
    }
    u32 n = walk_path(area, start, w);
    p->cut = w->cut;
    return n;
}

/* Appends the name and, unless it is absolute, its directory. */
SEPARATE int add_piece(struct text_area *area, u32 off, struct piece *p)
{
    if (!area || !p)
        return 0;
    off &= PV_BPF_TEXT_MAX - 1;
    if (p->user) {
        long n = bpf_probe_read_user_str(&area->bytes[off], PV_BPF_NAME_MAX, (const void *)p->user);

        p->name_bytes = n > 0 ? (u32)n : 0;
        if (p->dir == NO_FD || area->bytes[off] == '/')
            return 0;
    }
    p->base_bytes = walk_base(area, off + p->name_bytes, p);
    return 0;
}

SEPARATE int path_op(struct proc_state *proc, const struct call *call)
{
    struct pv_bpf_cpu *cpu = this_cpu();
    union scratch *area = scratch_of_cpu();
    struct op_names names = {};
    struct piece first = {};
    struct piece second = {};

    if (!cpu || !area || !proc || !call)
        return 0;
    struct pv_bpf_path_op *rec = &area->path_op;

    names_of(&names, (u32)call->nr, call->args);
    bool by_fd = names.fd != NO_FD;
    first.user = by_fd ? 0 : names.name;
    first.dir = by_fd ? names.fd : names.dir;
    add_piece((struct text_area *)rec->text, 0, &first);
    u32 off = first.name_bytes + first.base_bytes;
    if (!by_fd && names.name2) {
        second.user = names.name2;
        second.dir = names.dir2;
        add_piece((struct text_area *)rec->text, off, &second);
        off += second.name_bytes + second.base_bytes;
    }
    if (off > PV_BPF_TEXT_MAX)
        off = PV_BPF_TEXT_MAX;
    u32 bytes = __builtin_offsetof(struct pv_bpf_path_op, text) + off;
    cpu->seq++;
    fill_head(&rec->head, cpu, PV_BPF_PATH_OP, bytes, proc->id, (u32)call->nr);
    rec->head.result = call->ret;
    rec->name_bytes = first.name_bytes;
    rec->base_bytes = first.base_bytes;
    rec->name2_bytes = second.name_bytes;
    rec->base2_bytes = second.base_bytes;
    rec->cut = first.cut | second.cut << 4;
    rec->pad = 0;
    output(cpu, proc, rec, bytes, false);
    return 0;
}
