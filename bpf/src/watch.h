/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The watch over sealed monitors (docs/decisions/2026-11-26-claims.md). A host that runs micro-VMs
 * is confined once its snapshot stands; from then on its threads are known here, and what none of
 * them has to do is an alarm. What it does all the time (running a guest, waiting, reading,
 * writing) is passed over. */
#pragma once

enum {
    CALL_KVM_RUN = 0xae80,
    FILE_MODE_PATH = 0x4000,
    FILE_MODE_CREATED = 0x100000,
    OPEN_CREATE = 0100,
    SIGNAL_MAX = 0x7f,
    ADDRESS_MAX = 112,
};

/* The call in which a monitor spends its time. It moves nothing between descriptors, whoever makes
 * it. */
static __always_inline bool is_guest_run(struct pt_regs *regs, s64 number)
{
    return number == PV_NR_ioctl && (u32)regs->si == CALL_KVM_RUN;
}

static __always_inline bool is_watched(struct task_struct *task)
{
    struct task_state *state = bpf_task_storage_get(&tasks, task, NULL, 0);

    return state && state->watched;
}

static __always_inline struct pv_bpf_root *root_of(struct task_struct *task)
{
    u32 tgid = (u32)task->tgid;

    return bpf_map_lookup_elem(&roots, &tgid);
}

/* What an alarm is about, beside the call. */
struct concern {
    u64 arg0, arg1;
    s64 result;
    u64 file; /* struct file */
    u64 address;
    u32 address_bytes;
    u32 sysno;
};

static __always_inline void fill_monitor(struct pv_bpf_monitor *rec, struct task_struct *task,
                                         const struct pv_bpf_root *root)
{
    u64 locks = (u64)BPF_CORE_READ(task, robust_list);

    rec->pid = (u32)task->tgid;
    rec->tid = (u32)task->pid;
    rec->pad = 0;
    if (!root->claim || !locks ||
        bpf_probe_read_user(&rec->claim, sizeof rec->claim, (const void *)(locks + root->claim)))
        __builtin_memset(&rec->claim, 0, sizeof rec->claim);
}

/* A request opens files for reading; upkeep looks into directories only. */
static __always_inline bool is_excused(const struct pv_bpf_monitor *rec)
{
    return rec->claim.purpose == PV_BPF_FOR_REQUEST ||
           (rec->claim.purpose == PV_BPF_FOR_UPKEEP && (rec->mode & MODE_TYPE) == MODE_DIRECTORY);
}

/* what 0: a file was opened; whether that is an alarm, the claim decides. */
static __noinline int monitor_did(struct task_struct *task, u32 what, const struct concern *c)
{
    struct pv_bpf_root *root = root_of(task);
    struct pv_bpf_cpu *cpu = this_cpu();
    union scratch *area = scratch_of_cpu();
    struct file *file = (struct file *)c->file;
    u32 cut = PV_BPF_PATH_DETACHED;
    u32 n = 0;

    if (!root || !cpu || !area)
        return 0;
    struct pv_bpf_monitor *rec = &area->monitor;
    fill_monitor(rec, task, root);
    rec->ino = rec->dev = rec->mode = rec->flags = 0;
    rec->address_bytes = 0;
    __builtin_memset(rec->address, 0, sizeof rec->address);
    if (file) {
        rec->ino = BPF_CORE_READ(file, f_inode, i_ino);
        rec->dev = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
        rec->mode = BPF_CORE_READ(file, f_inode, i_mode);
        rec->flags = BPF_CORE_READ(file, f_flags);
        n = walk_file(rec->text, file, &cut);
    }
    u32 address_bytes = c->address_bytes;
    if (c->address && address_bytes && address_bytes <= ADDRESS_MAX &&
        bpf_probe_read_user(rec->address, address_bytes, (const void *)c->address) == 0)
        rec->address_bytes = address_bytes;
    bool writes = file && BPF_CORE_READ(file, f_mode) & FILE_MODE_WRITE;
    bool is_claimed = !what && !writes && is_excused(rec);
    u32 bytes = __builtin_offsetof(struct pv_bpf_monitor, text) + n;
    /* the verifier has lost the bound by here */
    asm volatile("" : "+r"(bytes));
    if (bytes > sizeof *rec)
        bytes = sizeof *rec;
    cpu->seq++;
    fill_head(&rec->head, cpu, is_claimed ? PV_BPF_MONITOR_OPEN : PV_BPF_ALARM, bytes, 0, c->sysno);
    rec->head.result = c->result;
    rec->what = is_claimed ? 0 : what ? what : PV_BPF_ALARM_OPEN;
    rec->arg0 = c->arg0;
    rec->arg1 = c->arg1;
    rec->path_bytes = n;
    rec->path_cut = cut;
    output_for(cpu, root->policy, rec, bytes, true);
    if (pressed && root->policy == PV_BPF_HOLD)
        hold_now((u32)task->tgid);
    return 0;
}

static __always_inline bool is_credential(u32 nr, u64 option);

/* Calls that are no monitor's, by their class; 0: it may be one. */
static __always_inline u32 alarm_of(u32 nr, u32 class, const u64 *args)
{
    switch (class) {
    case PV_SC_MAP:
        return args[2] & PROT_RIGHT_EXEC ? PV_BPF_ALARM_MAP_EXEC : 0;
    case PV_SC_INTERFERE:
        return nr == PV_NR_io_uring_setup || nr == PV_NR_io_uring_enter ||
                       nr == PV_NR_io_uring_register
                   ? PV_BPF_ALARM_URING
                   : PV_BPF_ALARM_INTERFERE;
    case PV_SC_CONNECT:
        return PV_BPF_ALARM_CONNECT;
    case PV_SC_NETWORK:
        return nr == PV_NR_bind ? PV_BPF_ALARM_BIND : 0;
    case PV_SC_NAME: /* but for the size of its own memory files */
        return nr == PV_NR_ftruncate || nr == PV_NR_fallocate ? 0 : PV_BPF_ALARM_NAME;
    case PV_SC_NAMESPACE:
        return PV_BPF_ALARM_RIGHTS;
    case PV_SC_CREDENTIALS:
        return is_credential(nr, args[0]) ? PV_BPF_ALARM_RIGHTS : 0;
    default:
        return 0;
    }
}

/* Whether an open makes or empties what it opens. The kernel keeps neither flag; what openat2 was
 * told is read again, so that another thread may have changed it by now: FILE_MODE_CREATED and the
 * right to write are the file's own. */
static __always_inline bool open_changes(u32 nr, const u64 *args)
{
    u64 flags = 0;

    if (nr == PV_NR_creat)
        return true;
    if (nr == PV_NR_open)
        flags = args[1];
    else if (nr == PV_NR_openat)
        flags = args[2];
    else if (bpf_probe_read_user(&flags, sizeof flags, (const void *)args[2]) != 0)
        return true;
    return flags & (OPEN_CREATE | OPEN_TRUNCATE);
}

static __noinline int watch_call(struct task_struct *task, const struct call *call, u32 entry)
{
    u32 nr = (u32)call->nr;
    u32 class = class_at(nr);
    struct concern c = {.arg0 = call->args[0], .arg1 = call->args[1], .result = call->ret};
    bool opens = nr == PV_NR_open || nr == PV_NR_openat || nr == PV_NR_openat2 || nr == PV_NR_creat;
    u32 what = entry ? PV_BPF_ALARM_ENTRY : alarm_of(nr, class, call->args);

    c.sysno = nr;
    if (what == PV_BPF_ALARM_CONNECT || what == PV_BPF_ALARM_BIND) {
        c.address = call->args[1];
        c.address_bytes = (u32)call->args[2];
    }
    if (!what && call->ret == -ERR_PERM)
        what = PV_BPF_ALARM_DENIED;
    if (!what && opens && call->ret >= 0) {
        struct file *file = file_of_fd(task, (u32)call->ret);

        c.file = (u64)file;
        if (!file) /* another thread has moved it by now: what it was is not known */
            return monitor_did(task, PV_BPF_ALARM_OPEN, &c);
        u32 mode = BPF_CORE_READ(file, f_mode);
        /* a place in the tree of files gives nothing of what is in it */
        if (mode & FILE_MODE_PATH)
            return 0;
        bool changes = mode & FILE_MODE_CREATED || open_changes(nr, call->args);
        return monitor_did(task, changes ? PV_BPF_ALARM_OPEN : 0, &c);
    }
    return what ? monitor_did(task, what, &c) : 0;
}

/* Whatever a monitor starts is followed from its first call on. */
static __noinline int watch_fork(struct task_struct *parent, struct task_struct *child)
{
    struct concern c = {.arg0 = (u32)child->tgid, .arg1 = (u32)child->pid, .sysno = PV_NR_clone};
    struct pv_bpf_root *root = root_of(parent);

    if (child->tgid == parent->tgid) {
        struct task_state *state =
            bpf_task_storage_get(&tasks, child, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

        if (state)
            state->watched = 1;
        else
            count_loss();
        return monitor_did(parent, PV_BPF_ALARM_THREAD, &c);
    }
    monitor_did(parent, PV_BPF_ALARM_FORK, &c);
    u64 id = new_proc(child, NULL, root ? root->policy : PV_BPF_HOLD);
    remember(child, id, (u32)child->tgid, 0);
    struct proc_state *proc = proc_with_id(id, (u32)child->tgid);
    if (proc)
        proc->muted = 0;
    return 0;
}

/* A monitor that becomes another program is from then on a process like any other. */
static __noinline int watch_exec(struct task_struct *task, struct task_state *state,
                                 struct file *file)
{
    struct concern c = {.file = (u64)file, .sysno = PV_NR_execve};
    struct pv_bpf_root *root = root_of(task);

    monitor_did(task, PV_BPF_ALARM_EXEC, &c);
    state->watched = 0;
    state->home = (u32)task->tgid;
    state->proc = new_proc(task, NULL, root ? root->policy : PV_BPF_HOLD);
    return 0;
}

static __noinline int watch_exit(struct task_struct *task)
{
    struct concern c = {.arg0 = (u32)task->exit_code & SIGNAL_MAX, .sysno = PV_NR_exit_group};

    return c.arg0 && c.arg0 != SIGNAL_KILL ? monitor_did(task, PV_BPF_ALARM_KILLED, &c) : 0;
}

static __always_inline void watch_signal(struct task_struct *task, int sig,
                                         struct task_struct *target)
{
    struct concern c = {.arg0 = (u32)sig, .arg1 = (u32)target->tgid, .sysno = PV_NR_kill};

    if (target->tgid != task->tgid)
        monitor_did(task, PV_BPF_ALARM_SIGNAL, &c);
}

/* Run by the auditor when a host has sealed itself: from then on it has no new threads. */
SEC("?iter/task")
int on_each_task(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;

    if (!task)
        return 0;
    struct pv_bpf_root *root = root_of(task);
    if (!root || !root->watched)
        return 0;
    struct task_state *state =
        bpf_task_storage_get(&tasks, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (!state) {
        count_loss();
        return 0;
    }
    if (state->proc)
        return 0;
    state->watched = 1;
    __sync_fetch_and_add(&root->threads, 1);
    return 0;
}
