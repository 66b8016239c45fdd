/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel tells of processes: that they are made, execute, end, and signal each other. */
#pragma once

static __always_inline void tell_parent(struct task_struct *task, struct proc_state *proc)
{
    struct task_struct *parent = task->real_parent;
    struct task_state *state = parent ? bpf_task_storage_get(&tasks, parent, NULL, 0) : NULL;

    if (state)
        influence(proc, state->proc, state->home, 0);
}

/* Its last thread has ended. */
static __always_inline void process_ended(struct task_struct *task, u64 id, u32 home)
{
    struct proc_state *proc = proc_with_id(id, home);
    struct pv_bpf_cpu *cpu = this_cpu();

    if (!proc || !cpu)
        return;
    end_phase(proc, 0);
    flush_all(proc);
    if (!proc->muted)
        tell_parent(task, proc);
    u32 policy = proc->policy;
    /* two last threads may both see a count of zero: one of them deletes */
    if (!end_proc(id, home))
        return;
    struct pv_bpf_exit *rec = RESERVE_FOR(pv_bpf_exit, cpu, PV_BPF_EXIT, id, policy, 0);
    if (!rec)
        return;
    rec->code = ((u32)task->exit_code >> 8) & 0xff;
    rec->signal = (u32)task->exit_code & 0x7f;
    SUBMIT(rec, cpu, false);
}

/* --- whose memory is another's --- */

/* Somebody who shares the memory of the process, and so its identity, has ended or executes; if the
 * process itself has ended before, it ends now. */
static __noinline int give_back(struct task_struct *task, u64 id, u32 home)
{
    struct proc_state *proc = proc_with_id(id, home);

    if (proc && __sync_fetch_and_add(&proc->borrowers, (u32)-1) == 1 && proc->orphaned)
        process_ended(task, id, home);
    release_place(home);
    return 0;
}

/* Whether somebody lives on in its memory, who then keeps its identity. No other process is found
 * under its number meanwhile, which may be used again. */
static __always_inline bool is_outlived(struct task_struct *task, u64 id, u32 home)
{
    struct proc_state *proc = proc_with_id(id, home);

    if (!proc)
        return false;
    proc->orphaned = 1;
    RED_ORDER();
    if (proc->borrowers == 0)
        return false;
    if (!proc->muted)
        tell_parent(task, proc);
    (void)__sync_val_compare_and_swap(&proc->tgid, home, home | PLACE_OF_NOBODY);
    return true;
}

/* A child of a host, or of a process that it has started. One that shares its parent's memory
 * (vfork, posix_spawn) is the same process until it executes: what one learns, both know, also when
 * the parent has ended. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
    struct task_state *mine = bpf_task_storage_get(&tasks, parent, NULL, 0);
    u32 tgid = (u32)parent->tgid;
    bool is_thread = child->tgid == parent->tgid;

    if (mine && mine->watched)
        return watch_fork(parent, child);
    if (mine) {
        bool same_memory = child->mm && child->mm == parent->mm;
        struct proc_state *from = proc_with_id(mine->proc, mine->home);

        if (is_thread || same_memory) {
            remember(child, mine->proc, mine->home, is_thread ? mine->borrowed : 1);
            return 0;
        }
        /* the child knows what its parent has read */
        end_phase(from, 0);
        u64 id = from ? new_proc(child, from, 0) : 0;
        remember(child, id, (u32)child->tgid, 0);
        if (pressed && from && !from->muted)
            hold(parent, from);
        return 0;
    }
    if (is_thread)
        return 0;
    struct pv_bpf_root *root = bpf_map_lookup_elem(&roots, &tgid);
    if (root)
        remember(child, new_proc(child, NULL, root->policy), (u32)child->tgid, 0);
    return 0;
}

/* A child that has used its parent's memory until now becomes a process of its own. */
static __noinline struct proc_state *stand_alone(struct task_struct *task, struct task_state *state)
{
    struct proc_state *from = proc_with_id(state->proc, state->home);

    if (!from)
        return NULL;
    end_phase(from, PV_NR_execve);
    u64 id = new_proc(task, from, 0);
    if (!id) {
        count_loss();
        return NULL;
    }
    give_back(task, state->proc, state->home);
    state->proc = id;
    state->home = (u32)task->tgid;
    state->borrowed = 0;
    return proc_with_id(id, state->home);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
    struct task_state *state = bpf_task_storage_get(&tasks, task, NULL, 0);
    struct pv_bpf_cpu *cpu = this_cpu();
    union scratch *area = scratch_of_cpu();
    struct file *file = BPF_CORE_READ(bprm, file);
    u32 cut = 0;

    if (!state || !cpu || !area)
        return 0;
    if (state->watched)
        watch_exec(task, state, file);
    struct proc_state *proc =
        state->borrowed ? stand_alone(task, state) : proc_with_id(state->proc, state->home);
    if (!proc)
        return 0;
    proc->muted = 0;
    end_phase(proc, PV_NR_execve);
    proc->n_shared = 0;
    proc->shared_writable = 0;
    flush_all(proc);
    struct object_state *object = object_of(proc, file);
    u64 id = object ? object->id : 0;
    struct pv_bpf_exec *rec = &area->exec;
    u64 start = task->mm->arg_start;
    u64 argv_bytes = task->mm->arg_end - start;

    if (argv_bytes > PV_BPF_ARGV_MAX)
        argv_bytes = PV_BPF_ARGV_MAX;
    __builtin_memset(rec->argv, 0, sizeof rec->argv);
    if (bpf_probe_read_user(rec->argv, argv_bytes, (const void *)start) != 0)
        argv_bytes = 0;
    u32 n = walk_file(rec->text, file, &cut);
    u32 bytes = __builtin_offsetof(struct pv_bpf_exec, text) + n;
    cpu->seq++;
    fill_head(&rec->head, cpu, PV_BPF_EXEC, bytes, proc->id, PV_NR_execve);
    rec->head.object = id;
    rec->argv_bytes = (u32)argv_bytes;
    rec->path_bytes = n;
    rec->path_cut = cut;
    rec->pad = 0;
    output(cpu, proc, rec, bytes, true);
    proc->version = new_stamp();
    if (pressed)
        hold(task, proc);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
    struct task_state *state = bpf_task_storage_get(&tasks, task, NULL, 0);

    u32 tgid = (u32)task->tgid;

    if (state && state->borrowed)
        give_back(task, state->proc, state->home);
    if (task->signal->live.counter != 0)
        return 0;
    if (!state || state->watched) {
        if (state)
            watch_exit(task);
        /* its pid may be used again by a stranger */
        bpf_map_delete_elem(&roots, &tgid);
        return 0;
    }
    bpf_map_delete_elem(&held, &tgid);
    if (state->borrowed)
        return 0;
    u32 home = state->home;
    keep_place(home);
    if (!is_outlived(task, state->proc, home))
        process_ended(task, state->proc, home);
    release_place(home);
    return 0;
}

/* A signal that a process sends, to whomever the kernel has found under the number it gave. */
SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int sig, struct kernel_siginfo *info, struct task_struct *target)
{
    struct task_struct *task = bpf_get_current_task_btf();

    if (sig == SIGNAL_STOP && (u64)info == SENT_BY_KERNEL)
        note_held(target);
    /* 0 and 1 stand for the kernel's own; a user's have SI_USER, SI_QUEUE or SI_TKILL */
    if (is_stranger(task) || (u64)info <= 1)
        return 0;
    int code = BPF_CORE_READ(info, si_code);
    if (code != 0 && code != -1 && code != -6)
        return 0;
    if (is_watched(task)) {
        watch_signal(task, sig, target);
        return 0;
    }
    struct task_state *to = bpf_task_storage_get(&tasks, target, NULL, 0);
    struct proc_state *proc = to ? proc_of(task) : NULL;
    if (!proc || proc->muted)
        return 0;
    end_phase(proc, PV_NR_kill);
    influence(proc, to->proc, to->home, PV_NR_kill);
    return 0;
}
