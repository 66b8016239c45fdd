/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Processes begin and end: in the array by process id, or where that place is taken, in the table.
 */
#pragma once

static __always_inline u32 own_pid(struct task_struct *task)
{
    struct pid *pid = BPF_CORE_READ(task, thread_pid);
    u32 level = BPF_CORE_READ(pid, level);
    s32 nr = 0;

    bpf_probe_read_kernel(&nr, sizeof nr,
                          (void *)pid + bpf_core_field_offset(struct pid, numbers) +
                              level * bpf_core_type_size(struct upid) +
                              bpf_core_field_offset(struct upid, nr));
    return (u32)nr;
}

static __always_inline void emit_fork(struct task_struct *child, struct proc_state *proc,
                                      u64 parent)
{
    struct pv_bpf_cpu *cpu = this_cpu();

    if (!cpu)
        return;
    struct pv_bpf_fork *rec = RESERVE(pv_bpf_fork, cpu, PV_BPF_FORK, proc, 0);
    if (!rec)
        return;
    rec->parent = parent;
    rec->start_ns = child->start_boottime;
    rec->cgroup = child->cgroups->dfl_cgrp->kn->id;
    rec->host_pid = (u32)child->tgid;
    rec->pid = proc->pid;
    SUBMIT(rec, cpu, false);
}

/* Everything but who it is. parent NULL: a child of a host, with that policy. */
SEPARATE int begin_proc(struct proc_state *p, struct proc_state *parent, u32 policy)
{
    if (!p)
        return 0;
    for (u32 i = 0; i < SLOTS; i++)
        p->slots[i].object = 0;
    for (u32 i = 0; i < FLIGHTS_MAX; i++)
        p->flights[i].thread = p->flights[i].how = 0;
    p->version = new_stamp();
    p->phase = 1;
    p->n_pending = 0;
    p->n_flights = 0;
    p->begun = 0;
    p->borrowers = p->orphaned = 0;
    p->muted = parent ? parent->muted : 1;
    p->policy = parent ? parent->policy : policy;
    p->n_shared = parent ? parent->n_shared : 0;
    p->shared_writable = parent ? parent->shared_writable : 0;
    if (parent)
        __builtin_memcpy(p->shared, parent->shared, sizeof p->shared);
    return 0;
}

static __always_inline bool take_place(struct proc_state *near, u32 tgid)
{
    if (__sync_val_compare_and_swap(&near->tgid, 0, tgid) != 0)
        return false;
    if (near->kept == 0)
        return true;
    near->tgid = 0;
    return false;
}

static __noinline u64 new_proc(struct task_struct *child, struct proc_state *parent, u32 policy)
{
    u32 zero = 0;
    u32 tgid = (u32)child->tgid;
    u64 id = new_id();
    struct proc_state *p = near_place(tgid);
    bool near = p && take_place(p, tgid);

    if (!near)
        p = bpf_map_lookup_elem(&blank_proc, &zero);
    if (!p)
        return 0;
    begin_proc(p, parent, policy);
    p->pid = own_pid(child);
    p->tgid = tgid;
    RED_ORDER();
    p->id = id;
    if (!near && (bpf_map_update_elem(&procs, &id, p, BPF_NOEXIST) != 0 ||
                  bpf_map_update_elem(&far_procs, &tgid, &id, BPF_ANY) != 0))
        return 0;
    emit_fork(child, p, parent ? parent->id : 0);
    return id;
}

/* Whether it was this caller that ended it. */
static __always_inline bool end_proc(u64 id, u32 home)
{
    struct proc_state *near = near_place(home);

    if (!near || near->id != id) {
        if (bpf_map_delete_elem(&procs, &id) != 0)
            return false;
        bpf_map_delete_elem(&far_procs, &home);
        return true;
    }
    if (__sync_val_compare_and_swap(&near->id, id, 0) != id)
        return false;
    RED_ORDER();
    near->tgid = 0;
    return true;
}

/* home: process id under which the process `id` is followed. */
static __always_inline void remember(struct task_struct *child, u64 id, u32 home, u32 borrowed)
{
    struct task_state *state =
        bpf_task_storage_get(&tasks, child, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

    if (!state || !id) {
        count_loss();
        if (id && !borrowed)
            end_proc(id, home);
        return;
    }
    state->proc = id;
    state->home = home;
    state->borrowed = borrowed;
    if (!borrowed)
        return;
    keep_place(home);
    struct proc_state *lender = proc_with_id(id, home);
    if (lender)
        __sync_fetch_and_add(&lender->borrowers, 1);
}
