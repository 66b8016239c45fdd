/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What one process learns from another without an object between them: a signal, that and how it has
 * ended, and what it shows of itself in /proc. */
#pragma once

static __always_inline void influence_on(struct proc_state *from, struct proc_state *to, u32 sysno,
                                         bool by_file)
{
    struct pv_bpf_cpu *cpu = this_cpu();

    if (!to || !cpu || from->id == to->id)
        return;
    struct pv_bpf_args *rec = RESERVE(pv_bpf_args, cpu, PV_BPF_INFLUENCE, from, sysno);
    if (!rec)
        return;
    rec->arg0 = to->id;
    rec->arg1 = by_file;
    SUBMIT(rec, cpu, false);
    to->version = new_stamp();
    if (to->shared_writable || to->n_flights)
        write_all_unseen(to, sysno);
}

SEPARATE int influence(struct proc_state *from, u64 target, u32 home, u32 sysno)
{
    if (!from)
        return 0;
    keep_place(home);
    influence_on(from, proc_with_id(target, home), sysno, false);
    release_place(home);
    return 0;
}

/* The process in whose directory of a proc file system the file lies, by its number in the initial
 * namespace; 0: none. */
static __noinline u32 owner_of_file(struct file *file)
{
    void *inode = BPF_CORE_READ(file, f_inode);
    struct proc_inode *own = inode - bpf_core_field_offset(struct proc_inode, vfs_inode);
    struct pid *pid = BPF_CORE_READ(own, pid);
    void *first = pid ? BPF_CORE_READ(pid, tasks[0].first) : NULL;
    struct task_struct *task = first - bpf_core_field_offset(struct task_struct, pid_links);

    return first ? (u32)BPF_CORE_READ(task, tgid) : 0;
}

/* The end of its phase as `end_phase` tells it, by somebody who is none of its threads: its state is
 * left as it is, so that it will tell the same once more. */
static __always_inline void tell_pending(struct proc_state *from, u32 sysno)
{
    for (u32 i = 0; i < PENDING_MAX; i++) {
        if (i >= from->n_pending)
            break;
        emit_edge(from, PV_BPF_READ, from->pending[i].object, 0, sysno);
    }
}

/* A process has read a file of another's directory in /proc: what that one has made of its name, its
 * arguments, its memory. */
SEPARATE int hear_of(struct proc_state *to, u32 tgid, u32 sysno)
{
    if (!to)
        return 0;
    keep_place(tgid);
    struct proc_state *from = proc_with_tgid(tgid);
    if (from && !from->muted) {
        tell_pending(from, sysno);
        influence_on(from, to, sysno, true);
    }
    release_place(tgid);
    return 0;
}
