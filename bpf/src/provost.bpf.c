/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The outside witness: follows the children of enclave hosts and records what they do.
 *
 * A child of a process in `roots` is tracked from its fork on, and so is whatever it starts;
 * nothing a process does ends that. Threads share one identity. Until its first exec a child runs
 * the host's own code and is silent except for fork, exec and exit; and so is a process while the
 * host traces it, which is how an instance is made out of a zygote. */
#define PV_BPF_KERNEL_SIDE 1
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "pv/bpf_record.h"

#include "state.h"
#include "syscall_class.h"

#include "object.h"

#include "flow.h"
#include "net.h"
#include "path_op.h"

#include "name_op.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

enum {
    ERR_PERM = 1,
    ERR_ACCESS = 13,
    STATUS_COMPAT = 2, /* TS_COMPAT: entered through int 0x80 or sysenter */
    X32_BIT = 0x40000000,
    OPEN_TRUNCATE = 01000,
    PROT_RIGHT_WRITE = 2,
    PROT_RIGHT_EXEC = 4,
    MAP_IS_SHARED = 1, /* also of MAP_SHARED_VALIDATE */
    MAP_IS_ANONYMOUS = 0x20,
    FILE_MODE_READ = 1,
    FILE_MODE_WRITE = 2,
    ERR_NO_CALL = 38,
    CLONE_FILE = 0x40049409,
    CLONE_FILE_RANGE = 0x4020940d,
};

/* Whether an enclave host is tracing it: what it does then, the host does. That somebody else
 * traces it changes nothing. */
static __always_inline bool is_being_made(struct task_struct *task)
{
    if (!task->ptrace)
        return false;
    u32 tracer = (u32)task->parent->tgid;
    return bpf_map_lookup_elem(&roots, &tracer) != NULL;
}

/* The usual case, decided by one load: the system calls of everybody else on the machine pass
 * through here. (A task with storage of somebody else's programs takes the longer way.) */
static __always_inline bool is_stranger(struct task_struct *task)
{
    return bpf_core_field_exists(task->bpf_storage) && !task->bpf_storage;
}

/* The process, if it is in `near_procs` and its own. */
static __always_inline struct proc_state *near_proc_of(struct task_struct *task)
{
    u32 tgid = (u32)task->tgid;
    struct proc_state *near = near_place(tgid);

    return near && near->tgid == tgid && near->id ? near : NULL;
}

static __noinline struct proc_state *far_proc_of(struct task_struct *task)
{
    struct task_state *t = bpf_task_storage_get(&tasks, task, NULL, 0);

    return t && t->proc ? proc_with_id(t->proc, t->home) : NULL;
}

static __always_inline struct proc_state *proc_of(struct task_struct *task)
{
    struct proc_state *near = near_proc_of(task);

    return near ? near : far_proc_of(task);
}

#include "hold.h"

static __always_inline void put_args(struct proc_state *proc, u16 kind, u32 nr, u64 object,
                                     u64 arg0, u64 arg1, s64 ret)
{
    struct pv_bpf_cpu *cpu = this_cpu();
    struct pv_bpf_args rec = {};

    if (!cpu)
        return;
    cpu->seq++;
    fill_head(&rec.head, cpu, kind, sizeof rec, proc->id, nr);
    rec.head.object = object;
    rec.head.result = ret;
    rec.arg0 = arg0;
    rec.arg1 = arg1;
    output(cpu, proc, &rec, sizeof rec, kind != PV_BPF_MAP_EXEC);
}

SEPARATE int emit_args_of(struct proc_state *proc, const struct call *call, u32 kind, u64 object)
{
    if (proc && call)
        put_args(proc, (u16)kind, (u32)call->nr, object, call->args[0], call->args[1], call->ret);
    return 0;
}

static __always_inline void emit_args(struct proc_state *proc, u16 kind, u32 nr, u64 object,
                                      u64 arg0, u64 arg1, s64 ret)
{
    struct work *work = work_of_cpu();

    if (!work)
        return;
    work->said = (struct call){.args = {arg0, arg1}, .ret = ret, .nr = nr};
    emit_args_of(proc, &work->said, kind, object);
}

/* --- processes --- */

#include "proc.h"

#include "watch.h"

#include "lifecycle.h"

/* --- system calls --- */

/* The record waits: a first read or write says it too. */
SEPARATE int open_op(struct proc_state *proc, const struct call *call)
{
    if (!proc || !call)
        return 0;
    const u64 *args = call->args;
    u32 nr = (u32)call->nr;
    s64 ret = call->ret;
    u64 flags = nr == PV_NR_open ? args[1] : nr == PV_NR_creat ? OPEN_TRUNCATE : args[2];

    if (nr == PV_NR_openat2) {
        flags = 0;
        bpf_probe_read_user(&flags, sizeof flags, (const void *)args[2]);
    } else if (nr == PV_NR_memfd_create || nr == PV_NR_memfd_secret || nr == PV_NR_mq_open) {
        flags = 0;
    }
    struct file *file = file_of_fd(bpf_get_current_task_btf(), (u32)ret);
    if (!file)
        return 0;
    struct red_op *op = new_op(nr, AT_ENTRY, (u32)ret, 0);
    struct look *look = look_of(file);
    if (!op || !look || !op_of_look(op, proc, file, look))
        return 0;
    struct slot *slot = slot_of(proc, op->object);
    if (!slot->open_call) {
        u32 kept = has_cast ? KERNEL(file, file)->f_flags : BPF_CORE_READ(file, f_flags);

        /* access mode from the kernel; what open() consumes, from the caller */
        slot->open_flags = kept | ((u32)flags & OPEN_TRUNCATE);
        slot->open_fd = (s32)ret;
        slot->open_call = nr + 1;
    }
    if (flags & OPEN_TRUNCATE && BPF_CORE_READ(file, f_mode) & FILE_MODE_WRITE &&
        !is_null_device(look))
        red_write(proc, op);
    return 0;
}

/* Memory that a process shares with its children is an object of its own, without a name. */
SEPARATE int share_memory(struct proc_state *proc, u32 nr)
{
    struct object_key key = {};
    struct object_state fresh = {.mapped_writable = 1};
    struct pv_bpf_cpu *cpu = this_cpu();
    union scratch *area = scratch_of_cpu();

    if (!proc || !cpu || !area)
        return 0;
    fresh.id = new_id();
    key.ino = key.instance = fresh.id;
    fresh.cell = cell_of_key(&key);
    if (bpf_map_update_elem(&objects, &key, &fresh, BPF_NOEXIST) != 0) {
        count_loss();
        return 0;
    }
    struct pv_bpf_object *rec = &area->object;
    u32 bytes = __builtin_offsetof(struct pv_bpf_object, text);
    cpu->seq++;
    fill_head(&rec->head, cpu, PV_BPF_OBJECT, bytes, proc->id, nr);
    rec->head.object = fresh.id;
    rec->ino = fresh.id;
    rec->dev = rec->gen = rec->mode = rec->fs_magic = rec->path_bytes = 0;
    rec->path_cut = PV_BPF_PATH_DETACHED;
    output(cpu, proc, rec, bytes, false);
    remember_shared(proc, &key, 1);
    return 0;
}

SEPARATE int map_op(struct proc_state *proc, const struct call *call)
{
    struct file *file = NULL;
    u64 id = 0;

    if (!proc || !call || call->ret < 0)
        return 0;
    const u64 *args = call->args;
    u32 nr = (u32)call->nr;

    if (nr == PV_NR_mmap && !(args[3] & MAP_IS_ANONYMOUS))
        file = file_of_fd(bpf_get_current_task_btf(), (u32)args[4]);
    struct red_op *op = new_op(nr, AT_ENTRY, (u32)args[4], 0);
    if (file && op) {
        struct object_state *object = object_of(proc, file);
        /* mprotect may allow later what this call does not ask for */
        bool shared = args[3] & MAP_IS_SHARED;
        bool writable = shared && BPF_CORE_READ(file, f_mode) & FILE_MODE_WRITE;

        if (object) {
            id = object->id;
            if (writable)
                may_be_written(object);
        }
        read_edge(proc, (u64)file, op);
        if (writable)
            write_edge(proc, (u64)file, op);
        if (shared)
            share_file(proc, file, writable);
    } else if (nr == PV_NR_mmap && args[3] & MAP_IS_SHARED) {
        share_memory(proc, nr);
    }
    if (args[2] & PROT_RIGHT_EXEC)
        emit_args(proc, PV_BPF_MAP_EXEC, nr, id, args[2], 0, 0);
    return 0;
}

/* At exit n_bytes were moved; at entry nothing is known but the direction. */
SEPARATE int copy_op(struct proc_state *proc, const struct call *call, u64 n_bytes, u32 when)
{
    if (!proc || !call)
        return 0;
    const u64 *args = call->args;
    u32 nr = (u32)call->nr;
    struct task_struct *task = bpf_get_current_task_btf();
    u32 from = (u32)args[0];
    u32 to = (u32)args[2];

    if (nr == PV_NR_sendfile) {
        from = (u32)args[1];
        to = (u32)args[0];
    } else if (nr == PV_NR_tee) {
        to = (u32)args[1];
    } else if (nr == PV_NR_ioctl) {
        s64 source = (u32)args[2];

        if ((u32)args[1] == CLONE_FILE_RANGE)
            bpf_probe_read_user(&source, sizeof source, (const void *)args[2]);
        else if ((u32)args[1] != CLONE_FILE)
            return 0;
        from = (u32)source;
        to = (u32)args[0];
    }
    /* at the entry the source counts as read, lest the write edge come before it */
    read_fd(proc, task, from, n_bytes, nr, when);
    write_fd(proc, task, to, n_bytes, nr, when);
    return 0;
}

static __always_inline bool is_own(struct proc_state *proc, u32 nr, const u64 *args)
{
    switch (nr) {
    case PV_NR_kill:
    case PV_NR_tgkill:
    case PV_NR_rt_sigqueueinfo:
    case PV_NR_rt_tgsigqueueinfo:
    case PV_NR_tkill:
        return (u32)args[0] == proc->pid;
    default:
        return false;
    }
}

/* prctl does many harmless things: keep those that change what a process may do or be seen as. */
static __always_inline bool is_credential(u32 nr, u64 option)
{
    if (nr != PV_NR_prctl)
        return true;
    switch (option) {
    case 4:          /* PR_SET_DUMPABLE */
    case 8:          /* PR_SET_KEEPCAPS */
    case 22:         /* PR_SET_SECCOMP */
    case 24:         /* PR_CAPBSET_DROP */
    case 28:         /* PR_SET_SECUREBITS */
    case 35:         /* PR_SET_MM */
    case 38:         /* PR_SET_NO_NEW_PRIVS */
    case 47:         /* PR_CAP_AMBIENT */
    case 0x59616d61: /* PR_SET_PTRACER */
        return true;
    default:
        return false;
    }
}

/* What a call of which the arguments are all there is to say is recorded as; 0: not at all. */
static __always_inline u32 kind_of_args(struct proc_state *proc, u32 class, u32 nr, const u64 *args)
{
    switch (class) {
    case PV_SC_SIGNAL:
    case PV_SC_INTERFERE:
    case PV_SC_NAMESPACE:
        return is_own(proc, nr, args) ? 0 : PV_BPF_INTERFERENCE;
    case PV_SC_CREDENTIALS:
        return is_credential(nr, args[0]) ? PV_BPF_CREDENTIALS : 0;
    default:
        return 0;
    }
}

/* recvmmsg and sendmmsg return messages, not bytes. */
static __always_inline u64 bytes_of(u32 nr, long ret)
{
    return nr == PV_NR_recvmmsg || nr == PV_NR_sendmmsg ? 0 : (u64)ret;
}

/* The read end of a pipe is emptied by vmsplice, the write end filled. */
static __always_inline bool reads_by_writing(struct task_struct *task, u32 nr, u32 fd)
{
    struct file *file = nr == PV_NR_vmsplice ? file_of_fd(task, fd) : NULL;

    return file && BPF_CORE_READ(file, f_mode) & FILE_MODE_READ;
}

static __always_inline void data_call(struct proc_state *proc, u32 class, const struct call *call)
{
    const u64 *args = call->args;
    u32 nr = (u32)call->nr;
    s64 ret = call->ret;
    struct task_struct *task = bpf_get_current_task_btf();

    if (proc->n_flights && ret > 0)
        read_of_flight(proc, (u32)args[0], bytes_of(nr, ret), nr);
    if (class == PV_SC_DATA_IN && ret > 0) {
        read_fd(proc, task, (u32)args[0], bytes_of(nr, ret), nr, AT_EXIT);
    } else if (class == PV_SC_COPY && (ret > 0 || (nr == PV_NR_ioctl && ret == 0))) {
        copy_op(proc, call, (u64)ret, AT_EXIT);
    } else if (class == PV_SC_DATA_OUT) {
        if (ret > 0 && reads_by_writing(task, nr, (u32)args[0]))
            read_fd(proc, task, (u32)args[0], (u64)ret, nr, AT_EXIT);
        else if (ret > 0)
            write_fd(proc, task, (u32)args[0], bytes_of(nr, ret), nr, AT_EXIT);
        if (nr == PV_NR_sendto || nr == PV_NR_sendmsg)
            send_op(proc, call);
    }
}

static __always_inline void name_call(struct proc_state *proc, const struct call *call)
{
    u32 nr = (u32)call->nr;
    bool get = nr == PV_NR_getxattr || nr == PV_NR_lgetxattr || nr == PV_NR_fgetxattr;

    if (get && call->ret < 0)
        return;
    if (!name_op(proc, call))
        path_op(proc, call);
    if ((nr == PV_NR_ftruncate || nr == PV_NR_fallocate) && call->ret == 0)
        write_fd(proc, bpf_get_current_task_btf(), (u32)call->args[0], 0, nr, AT_ENTRY);
}

SEPARATE int dispatch(struct proc_state *proc, const struct call *call)
{
    if (!proc || !call)
        return 0;
    const u64 *args = call->args;
    u32 nr = (u32)call->nr;
    s64 ret = call->ret;
    u32 class = class_at(nr);
    u32 kind;
    bool counted = class == PV_SC_DATA_OUT && write_ended(proc, nr, ret);

    if (class != PV_SC_DATA_IN && class != PV_SC_CLOSE && !counted)
        phase_ends(proc, nr);
    switch (class) {
    case PV_SC_DATA_IN:
    case PV_SC_DATA_OUT:
    case PV_SC_COPY:
        if (counted)
            break;
        data_call(proc, class, call);
        if (proc->n_flights)
            flight_end(proc, (u32)bpf_get_current_task_btf()->pid);
        break;
    case PV_SC_OPEN:
        if (ret >= 0)
            open_op(proc, call);
        else if (ret == -ERR_PERM || ret == -ERR_ACCESS)
            path_op(proc, call);
        break;
    case PV_SC_CONNECT:
        connect_op(proc, call);
        break;
    case PV_SC_ACCEPT:
        if (ret >= 0)
            accept_op(proc, call);
        break;
    case PV_SC_NAME:
        name_call(proc, call);
        break;
    case PV_SC_MAP:
        map_op(proc, call);
        break;
    default:
        kind = kind_of_args(proc, class, nr, args);
        if (kind)
            emit_args_of(proc, call, kind, 0);
        break;
    }
    if (ret == -ERR_PERM || ret == -ERR_ACCESS)
        emit_args_of(proc, call, PV_BPF_DENIED, 0);
    return 0;
}

/* What a class needs to be seen for, if the call succeeds. */
static __always_inline bool is_recorded(u32 class)
{
    return (class >= PV_SC_DATA_IN && class <= PV_SC_OPEN) || class == PV_SC_CONNECT ||
           class == PV_SC_ACCEPT || class == PV_SC_NAME || class == PV_SC_NAMESPACE ||
           class == PV_SC_MAP || class == PV_SC_CREDENTIALS || class == PV_SC_SIGNAL ||
           class == PV_SC_INTERFERE;
}

/* How the call was entered; 0: the ordinary way. */
static __always_inline u32 entry_of(struct task_struct *task, u64 nr)
{
    if (task->thread_info.status & STATUS_COMPAT)
        return PV_BPF_ENTRY_COMPAT;
    if (nr & X32_BIT)
        return PV_BPF_ENTRY_X32;
    if (nr >= NR_CLASSES || class_at(nr) == PV_SC_UNKNOWN)
        return PV_BPF_ENTRY_UNKNOWN;
    return 0;
}

/* The x86-64 call that means the same, or NR_CLASSES. */
static __always_inline u32 native_number(u32 entry, u64 nr)
{
    u64 low = nr & ~(u64)X32_BIT;

    if (entry == PV_BPF_ENTRY_UNKNOWN || low >= NR_CLASSES)
        return NR_CLASSES;
    if (entry != PV_BPF_ENTRY_COMPAT)
        return (u32)low;
    u32 native = compat_at(low);
    return native ? native - 1 : NR_CLASSES;
}

static __always_inline void fill_call(struct call *call, struct pt_regs *regs, u64 nr, s64 ret,
                                      u32 entry)
{
    u64 *args = call->args;
    bool compat = entry == PV_BPF_ENTRY_COMPAT;

    args[0] = compat ? (u32)regs->bx : regs->di;
    args[1] = compat ? (u32)regs->cx : regs->si;
    args[2] = compat ? (u32)regs->dx : regs->dx;
    args[3] = compat ? (u32)regs->si : regs->r10;
    args[4] = compat ? (u32)regs->di : regs->r8;
    args[5] = compat ? (u32)regs->bp : regs->r9;
    call->nr = nr;
    call->ret = ret;
}

/* A write that says nothing beyond its descriptor and returns its bytes. */
static __always_inline bool is_plain_write(u32 nr)
{
    return nr == PV_NR_write || nr == PV_NR_pwrite64 || nr == PV_NR_writev || nr == PV_NR_pwritev ||
           nr == PV_NR_pwritev2;
}

static __always_inline void write_begins(struct proc_state *proc, struct task_struct *task, u32 nr,
                                         u32 fd)
{
    struct file *file = file_of_fd(task, fd);
    struct look *look = file ? look_of(file) : NULL;
    struct red_op *op = new_op(nr, AT_ENTRY, fd, 0);
    bool alone = is_plain_write(nr) && !may_be_crossed(task);

    if (!look || !op)
        return;
    if (is_null_device(look)) {
        if (alone)
            write_begun(proc, nr, SLOTS);
        return;
    }
    phase_ends(proc, nr);
    if (op_of_look(op, proc, file, look) && red_write(proc, op) && alone)
        write_begun(proc, nr, (u32)op->object & (SLOTS - 1));
}

/* Data moves before the call returns. */
static __always_inline void data_begins(struct proc_state *proc, const struct call *call, u32 class)
{
    struct task_struct *task = bpf_get_current_task_btf();
    u32 fd = (u32)call->args[0];
    u32 nr = (u32)call->nr;

    proc->begun = 0;
    if (class == PV_SC_DATA_IN) {
        fd_in_flight(proc, fd, FLIGHT_READS);
        return;
    }
    bool reads = class == PV_SC_DATA_OUT && reads_by_writing(task, nr, fd);
    if (class == PV_SC_DATA_OUT && !reads)
        write_begins(proc, task, nr, fd);
    else
        phase_ends(proc, nr);
    if (class == PV_SC_COPY)
        copy_op(proc, call, 0, AT_ENTRY);
    /* a copy passes no memory of the process */
    if (class == PV_SC_DATA_OUT && may_be_crossed(task))
        fd_in_flight(proc, fd, reads ? FLIGHT_READS : FLIGHT_WRITES);
}

#include "usual.h"

/* roomy: each function has a stack of its own (Linux 6.13), so that the usual way needs no call. */
static __always_inline int sys_enter(struct pt_regs *regs, long number, bool roomy)
{
    struct task_struct *task = bpf_get_current_task_btf();

    if (is_stranger(task))
        return 0;
    u32 entry = entry_of(task, (u64)number);
    if (!entry && is_guest_run(regs, number))
        return 0;
    u32 nr = entry ? native_number(entry, (u64)number) : (u32)number;
    if (nr >= NR_CLASSES)
        return 0;
    u32 class = class_at(nr);
    if ((class < PV_SC_DATA_IN || class > PV_SC_COPY) && class != PV_SC_CLOSE)
        return 0;
    /* a read that nobody can cross is seen when it returns */
    if (class == PV_SC_DATA_IN && !may_be_crossed(task))
        return 0;
    struct proc_state *near = near_proc_of(task);
    if (near && (class == PV_SC_CLOSE ? is_usual_close(near, task, (u32)regs->di)
                 : roomy              ? is_usual_write(near, task, nr, (u32)regs->di)
                                      : is_usual_write_apart(near, task, nr, (u32)regs->di)))
        return 0;
    struct proc_state *proc = near ? near : far_proc_of(task);
    if (!proc || proc->muted || is_being_made(task))
        return 0;
    struct work *work = work_of_cpu();
    if (!work)
        return 0;
    fill_call(&work->call, regs, nr, 0, entry);
    if (class == PV_SC_CLOSE)
        close_fd(proc, (u32)work->call.args[0]);
    else
        data_begins(proc, &work->call, class);
    return 0;
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(on_sys_enter, struct pt_regs *regs, long number)
{
    return sys_enter(regs, number, true);
}
SEC("?tp_btf/sys_enter")
int BPF_PROG(on_sys_enter_512, struct pt_regs *regs, long number)
{
    return sys_enter(regs, number, false);
}

static __always_inline int sys_exit(struct pt_regs *regs, long ret, bool roomy)
{
    struct task_struct *task = bpf_get_current_task_btf();

    if (is_stranger(task))
        return 0;
    s64 number = (s64)regs->orig_ax;
    bool denied = ret == -ERR_PERM || ret == -ERR_ACCESS;

    struct proc_state *near = near_proc_of(task);
    if (near && (roomy ? is_usual_exit(near, task, regs, number, ret)
                       : is_usual_exit_apart(near, task, regs, number, ret)))
        return 0;
    bool is_held = pressed && hold_current(task);
    /* -1: no system call, or one a tracer skipped */
    if (number == -1)
        return 0;
    u32 entry = entry_of(task, (u64)number);
    if (!entry && is_guest_run(regs, number))
        return 0;
    if (!entry && !denied && number != PV_NR_bind && !is_recorded(class_at(number)))
        return 0;
    struct work *work = work_of_cpu();
    if (!work)
        return 0;
    struct proc_state *proc = near;
    if (!near) {
        struct task_state *state = bpf_task_storage_get(&tasks, task, NULL, 0);

        if (state && state->watched) {
            fill_call(&work->call, regs, (u64)number, ret, entry);
            return watch_call(task, &work->call, entry);
        }
        proc = state && state->proc ? proc_with_id(state->proc, state->home) : NULL;
    }
    if (!proc || proc->muted || is_being_made(task))
        return 0;
    u32 nr = (u32)number;
    if (entry) {
        emit_args(proc, PV_BPF_FOREIGN, (u32)number & ~X32_BIT, 0, entry, 0, ret);
        nr = native_number(entry, (u64)number);
        if (nr >= NR_CLASSES || ret == -ERR_NO_CALL)
            return 0;
    }
    fill_call(&work->call, regs, nr, ret, entry);
    dispatch(proc, &work->call);
    if (pressed && !is_held)
        hold(task, proc);
    return 0;
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long ret)
{
    return sys_exit(regs, ret, true);
}
SEC("?tp_btf/sys_exit")
int BPF_PROG(on_sys_exit_512, struct pt_regs *regs, long ret)
{
    return sys_exit(regs, ret, false);
}

/* --- what the kernel touches for an operation on names --- */

static __always_inline int note_touch(struct inode *inode)
{
    struct task_struct *task = bpf_get_current_task_btf();

    if (is_stranger(task))
        return 0;
    struct proc_state *proc = proc_of(task);
    if (!proc || proc->muted)
        return 0;
    struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
    u64 number = BPF_CORE_READ(regs, orig_ax);
    u32 entry = entry_of(task, number);
    u32 nr = entry ? native_number(entry, number) : (u32)number;
    struct place at = {.inode = (u64)inode};
    if (nr < NR_CLASSES && class_at(nr) == PV_SC_NAME)
        touch(proc, &at);
    return 0;
}

SEC("?tp_btf/inode_set_ctime_to_ts")
int BPF_PROG(on_ctime_set, struct inode *inode)
{
    return note_touch(inode);
}

SEC("?tp_btf/ctime_ns_xchg")
int BPF_PROG(on_ctime_changed, struct inode *inode)
{
    return note_touch(inode);
}

SEC("?tp_btf/ctime_xchg_skip")
int BPF_PROG(on_ctime_kept, struct inode *inode)
{
    return note_touch(inode);
}

#include "uring.h"
