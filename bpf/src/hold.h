/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Back-pressure: a process that would go on while half of the ring waits to be read is stopped, and
 * continued by the auditor when there is room (docs/decisions/2026-11-26-back-pressure.md).
 *
 * The signal is sent where the record was made and takes effect before the process is in user mode
 * again, so that at most the calls under way add records: the other half of the ring is for them.
 * Nobody has to be alive for it. The entry in `held` is made under the lock of the target's
 * signals, when SIGSTOP is pending: whoever finds an entry and sends SIGCONT cannot come before. */
#pragma once

enum {
    SIGNAL_KILL = 9,
    SIGNAL_STOP = 19,
    SENT_BY_KERNEL = 1, /* SEND_SIG_PRIV */
    HELD_CALLS_MAX = 100,
};

static __always_inline void note_held(struct task_struct *target)
{
    struct task_state *state = bpf_task_storage_get(&tasks, target, NULL, 0);
    struct pv_bpf_cpu *cpu = this_cpu();
    u32 tgid = (u32)target->tgid;

    if (!state || !cpu)
        return;
    struct pv_bpf_held fresh = {.proc = state->proc, .stop = new_stamp()};
    if (bpf_map_update_elem(&held, &tgid, &fresh, BPF_NOEXIST) == 0) {
        cpu->holds++;
        __sync_fetch_and_add(&all_holds, 1);
    }
}

/* Each thread comes out of the call it was in before it stands still: only what it does later shows
 * that somebody has let it go on. */
static __always_inline bool has_gone_on(struct pv_bpf_held *h)
{
    struct task_state *mine = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), NULL, 0);

    if (!mine || mine->stop == h->stop)
        return true;
    mine->stop = h->stop;
    return false;
}

/* Whether it was stopped. One that goes on all the same (two that continue each other, say) until
 * little room is left does not run unseen: it is killed. */
SEPARATE int hold_now(u32 tgid)
{
    u64 waiting = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);

    if (waiting < ring_bytes / 2 || holds_let_go() == PV_BPF_NO_MORE_HOLDS)
        return 0;
    struct pv_bpf_held *h = bpf_map_lookup_elem(&held, &tgid);
    if (h && has_gone_on(h) && h->calls++ > HELD_CALLS_MAX && waiting > ring_bytes / 8 * 7) {
        bpf_send_signal(SIGNAL_KILL);
        return 1;
    }
    bpf_send_signal(SIGNAL_STOP);
    return 1;
}

static __always_inline bool hold(struct task_struct *task, struct proc_state *proc)
{
    return proc->policy == PV_BPF_HOLD && !is_being_made(task) && hold_now((u32)task->tgid);
}

static __always_inline bool hold_current(struct task_struct *task)
{
    struct proc_state *proc = proc_of(task);

    return proc && !proc->muted && hold(task, proc);
}
