/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Operations of io_uring. Data may move at any time from the submission on, by any thread, so a
 * descriptor that is read or written in this way is treated like a shared mapping of it until the
 * process executes or ends. What is opened is known when the operation completes. */
#pragma once

enum uring_op {
    URING_READV = 1,
    URING_WRITEV = 2,
    URING_READ_FIXED = 4,
    URING_WRITE_FIXED = 5,
    URING_SENDMSG = 9,
    URING_RECVMSG = 10,
    URING_ACCEPT = 13,
    URING_CONNECT = 16,
    URING_OPENAT = 18,
    URING_READ = 22,
    URING_WRITE = 23,
    URING_SEND = 26,
    URING_RECV = 27,
    URING_OPENAT2 = 28,
    URING_SPLICE = 30,
    URING_TEE = 33,
    URING_SEND_ZC = 47,
    URING_SENDMSG_ZC = 48,
    URING_READ_MULTISHOT = 49,
    URING_RECV_ZC = 58,
    URING_READV_FIXED = 60,
    URING_WRITEV_FIXED = 61,
};
struct uring_open {
    u64 proc;
    u32 opcode;
    u32 home;
};

/* Opens that were submitted and have not completed, by their request. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, u64);
    __type(value, struct uring_open);
} uring_opens SEC(".maps");

static __always_inline bool uring_reads(u32 op)
{
    return op == URING_READV || op == URING_READ_FIXED || op == URING_RECVMSG || op == URING_READ ||
           op == URING_RECV || op == URING_SPLICE || op == URING_TEE ||
           op == URING_READ_MULTISHOT || op == URING_RECV_ZC || op == URING_READV_FIXED;
}

static __always_inline bool uring_writes(u32 op)
{
    return op == URING_WRITEV || op == URING_WRITE_FIXED || op == URING_SENDMSG ||
           op == URING_WRITE || op == URING_SEND || op == URING_SPLICE || op == URING_TEE ||
           op == URING_SEND_ZC || op == URING_SENDMSG_ZC || op == URING_WRITEV_FIXED;
}

SEPARATE int uring_data(struct proc_state *proc, u64 file_ref, u32 opcode)
{
    struct file *file = (struct file *)file_ref;
    struct red_op *op = new_op(opcode, AT_ENTRY, 0, 0);

    if (!proc || !file || !op || !op_of_file(op, proc, file))
        return 0;
    if (uring_reads(opcode))
        red_read(proc, op);
    if (uring_writes(opcode))
        red_write(proc, op);
    remember_shared(proc, &op->key, uring_writes(opcode));
    return 0;
}

SEC("?tp_btf/io_uring_submit_req")
int BPF_PROG(on_uring_submit, struct io_kiocb *req)
{
    struct task_struct *task = bpf_get_current_task_btf();
    struct uring_open open = {};

    if (is_stranger(task))
        return 0;
    struct proc_state *proc = proc_of(task);
    if (!proc || proc->muted)
        return 0;
    u32 opcode = BPF_CORE_READ(req, opcode);
    emit_args(proc, PV_BPF_FOREIGN, opcode, 0, PV_BPF_ENTRY_IO_URING, 0, 0);
    if (opcode == URING_OPENAT || opcode == URING_OPENAT2 || opcode == URING_ACCEPT) {
        u64 key = (u64)req;

        open.proc = proc->id;
        open.home = proc->tgid;
        open.opcode = opcode;
        bpf_map_update_elem(&uring_opens, &key, &open, BPF_ANY);
        return 0;
    }
    if (!uring_reads(opcode) && !uring_writes(opcode))
        return 0;
    end_phase(proc, opcode);
    /* of a registered file the request holds the file already, else the descriptor's number */
    struct file *file = BPF_CORE_READ(req, file);
    if (!file && bpf_core_field_exists(((struct io_cqe *)0)->fd))
        file = file_of_fd(task, (u32)BPF_CORE_READ(req, cqe.fd));
    uring_data(proc, (u64)file, opcode);
    return 0;
}

SEPARATE int uring_opened(struct proc_state *proc, u64 req, s32 res, u32 opcode)
{
    if (!proc)
        return 0;
    if (res == -ERR_PERM || res == -ERR_ACCESS)
        emit_args(proc, PV_BPF_DENIED, PV_NR_io_uring_enter, 0, opcode, 0, res);
    /* before Linux 6.13 the request says elsewhere whose it is */
    if (res < 0 || !bpf_core_field_exists(((struct io_uring_task *)0)->task))
        return 0;
    struct task_struct *task = BPF_CORE_READ((struct io_kiocb *)req, tctx, task);
    struct file *file = file_of_fd(task, (u32)res);
    struct object_state *object = file ? object_of(proc, file) : NULL;
    struct pv_bpf_cpu *cpu = this_cpu();
    if (!object || !cpu)
        return 0;
    u64 id = object->id;
    u32 flags = BPF_CORE_READ(file, f_flags);
    struct pv_bpf_open *rec = RESERVE(pv_bpf_open, cpu, PV_BPF_OPEN, proc, PV_NR_openat);
    if (!rec)
        return 0;
    rec->head.object = id;
    rec->head.result = res;
    rec->flags = flags;
    rec->fd = res;
    SUBMIT(rec, cpu, false);
    return 0;
}

/* An open completes in the task's context or in a worker's: the descriptor is the task's. */
SEC("?tp_btf/io_uring_complete")
int BPF_PROG(on_uring_complete, struct io_ring_ctx *ring_ctx, void *req, struct io_uring_cqe *cqe)
{
    u64 key = (u64)req;
    struct uring_open *found = key ? bpf_map_lookup_elem(&uring_opens, &key) : NULL;

    if (!found)
        return 0;
    u64 id = found->proc;
    u32 home = found->home;
    u32 opcode = found->opcode;
    s32 res = BPF_CORE_READ(cqe, res);
    bpf_map_delete_elem(&uring_opens, &key);
    keep_place(home);
    uring_opened(proc_with_id(id, home), key, res, opcode);
    release_place(home);
    return 0;
}
