/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What witness_bench compares with: a record at the entry and one at the exit of every system call
 * of the children of one process, in a ring buffer, its reader woken in batches. */
#define PV_BPF_KERNEL_SIDE 1
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

enum { RING_BYTES = 16 << 20, WAKE_BYTES = 64 << 10 };

struct call_record {
    u64 time_ns;
    u64 seq;
    u32 pid;
    u32 nr;
    u64 args[4]; /* at the exit: the result first */
    u32 is_exit;
    u32 pad;
};

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, RING_BYTES);
} calls SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, u32);
} tracked SEC(".maps");

const volatile unsigned root_tgid = 0;
unsigned long long made = 0;
unsigned long long lost = 0;

static __always_inline struct call_record *record(struct task_struct *task, u32 nr)
{
    if (!bpf_task_storage_get(&tracked, task, NULL, 0))
        return NULL;
    struct call_record *r = bpf_ringbuf_reserve(&calls, sizeof *r, 0);
    if (!r) {
        __sync_fetch_and_add(&lost, 1);
        return NULL;
    }
    __builtin_memset(r, 0, sizeof *r);
    r->time_ns = bpf_ktime_get_boot_ns();
    r->seq = __sync_fetch_and_add(&made, 1);
    r->pid = (u32)task->pid;
    r->nr = nr;
    return r;
}

static __always_inline void submit(struct call_record *r)
{
    u64 waiting = bpf_ringbuf_query(&calls, BPF_RB_AVAIL_DATA);

    bpf_ringbuf_submit(r, waiting > WAKE_BYTES ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_enter, struct pt_regs *regs, long nr)
{
    struct call_record *r = record(bpf_get_current_task_btf(), (u32)nr);

    if (!r)
        return 0;
    r->args[0] = regs->di;
    r->args[1] = regs->si;
    r->args[2] = regs->dx;
    r->args[3] = regs->r10;
    submit(r);
    return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_leave, struct pt_regs *regs, long ret)
{
    struct call_record *r = record(bpf_get_current_task_btf(), (u32)regs->orig_ax);

    if (!r)
        return 0;
    r->args[0] = (u64)ret;
    r->is_exit = 1;
    submit(r);
    return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_born, struct task_struct *parent, struct task_struct *child)
{
    if (bpf_task_storage_get(&tracked, parent, NULL, 0) || (u32)parent->tgid == root_tgid)
        bpf_task_storage_get(&tracked, child, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
    return 0;
}
